//! Configuration: a file, environment variables over it, flags over both. Unknown keys are refused with a suggestion.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use gateway::door::Limits;
use serde::{Deserialize, Serialize};
use store::{Location, StoreConfig};
use toml::{Table, Value};

use crate::cli::Common;

/// The file of the embedded database, in the data folder.
pub const DATABASE_FILE: &str = "deskwire.sqlite";
/// Subscribers must be able to come back after a short absence.
const SHORTEST_RETENTION: Duration = Duration::from_secs(60 * 60);
/// What environment variables of the configuration begin with.
const PREFIX: &str = "DESKWIRE_";
/// Variables with the prefix that are not configuration.
const NOT_OURS: &[&str] = &["DESKWIRE_CONFIG", "DESKWIRE_POSTGRES_BIN"];
/// Variables of the tests begin with this.
const TEST_PREFIX: &str = "DESKWIRE_TEST_";

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What an installation may set. Each key is an environment variable too: `DESKWIRE_LISTEN`, `DESKWIRE_LIMITS_COST`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Folder of the embedded database.
    pub data: PathBuf,
    /// PostgreSQL instead of the embedded database; empty: embedded.
    pub database_url: String,
    /// SQLite: how many read-only connections.
    pub readers: u32,
    /// PostgreSQL: how many connections.
    pub pool: u32,
    /// How far back the log reaches for cursors, and how long events of sign-ins are kept; ISO 8601, at least an hour.
    /// Empty: for ever.
    pub log_retention: String,
    /// Origins beside our own that browsers may call from, such as `https://portal.example`.
    pub allowed_origins: Vec<String>,
    /// Whether `/graphiql` is there.
    pub graphiql: bool,
    /// Whether this process does durable jobs (auto-close, waking up).
    pub jobs: bool,
    /// What is logged, as `tracing` directives: `info`, `info,store=debug`.
    pub log: String,
    /// How logs are written: `text` or `json`.
    pub log_format: LogFormat,
    /// Where traces go (OTLP over HTTP), such as `http://127.0.0.1:4318/v1/traces`; empty: nowhere.
    pub otlp_endpoint: String,
    /// The limits that requests meet.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("deskwire-data"),
            database_url: String::new(),
            readers: store::config::DEFAULT_READERS,
            pool: store::config::DEFAULT_POOL,
            log_retention: "P30D".to_owned(),
            allowed_origins: Vec::new(),
            graphiql: true,
            jobs: true,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            otlp_endpoint: String::new(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads the file, the environment and the flags.
    ///
    /// # Errors
    /// Names the file or variable and the key, and suggests the one that was meant.
    pub fn load(common: &Common) -> Result<Self> {
        let mut table = match &common.config {
            Some(file) => read_file(file)?,
            None => Table::new(),
        };
        check_keys(&table, &known()?, "", &|key| format!("unknown key `{key}` in the configuration file"))?;
        apply_environment(&mut table, std::env::vars())?;
        let mut config: Self = table.try_into().context("the configuration does not hold")?;
        if let Some(data) = &common.data {
            config.data = data.clone();
        }
        if let Some(url) = &common.database_url {
            config.database_url = url.clone();
        }
        Ok(config)
    }

    /// How the store is opened.
    ///
    /// # Errors
    /// When the database's address is none of PostgreSQL's.
    pub fn store(&self) -> Result<StoreConfig> {
        let url = self.database_url.as_str();
        let location = if url.is_empty() {
            Location::Sqlite { file: self.data.join(DATABASE_FILE) }
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Location::Postgres { url: url.to_owned() }
        } else {
            bail!("the database's address must begin with `postgres://`; for the embedded database leave it out");
        };
        let mut store = StoreConfig::new(location);
        store.readers = self.readers.max(1);
        store.pool = self.pool.max(2);
        store.limits.log_retention = self.log_retention()?;
        Ok(store)
    }

    fn log_retention(&self) -> Result<Option<Duration>> {
        if self.log_retention.is_empty() {
            return Ok(None);
        }
        kernel::parse_duration(&self.log_retention)
            .and_then(|length| length.to_std().ok())
            .filter(|length| *length >= SHORTEST_RETENTION)
            .map(Some)
            .with_context(|| {
                format!(
                    "`log_retention` is `{}`; it must be a time of at least an hour, such as `P30D`",
                    self.log_retention
                )
            })
    }

    /// Makes the data folder, where the embedded database needs one.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn make_data_folder(&self) -> Result<()> {
        if self.database_url.is_empty() {
            std::fs::create_dir_all(&self.data)
                .with_context(|| format!("the data folder {} cannot be made", self.data.display()))?;
        }
        Ok(())
    }
}

/// All keys, as the defaults have them.
fn known() -> Result<Table> {
    Ok(Table::try_from(Config::default())?)
}

fn read_file(file: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the configuration file {} cannot be read", file.display()))?;
    text.parse().with_context(|| format!("the configuration file {} is no TOML", file.display()))
}

fn check_keys(table: &Table, known: &Table, prefix: &str, complain: &dyn Fn(&str) -> String) -> Result<()> {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match (known.get(key), value) {
            (None, _) => return Err(unknown(complain(&path), key, known, str::to_owned)),
            (Some(Value::Table(known)), Value::Table(table)) => {
                check_keys(table, known, &format!("{path}."), complain)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `shown` makes of a key what the reader would write.
fn unknown(complaint: String, key: &str, known: &Table, shown: impl Fn(&str) -> String) -> anyhow::Error {
    let close = known.keys().map(|name| (strsim::damerau_levenshtein(name, key), name)).min();
    match close {
        Some((distance, name)) if distance <= name.len().max(3) / 2 => {
            anyhow!("{complaint}; did you mean `{}`?", shown(name))
        }
        _ => anyhow!("{complaint}; the keys are in docs/operations.md"),
    }
}

/// Puts variables over the table.
fn apply_environment(table: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
    let known = known()?;
    let limits = known.get("limits").and_then(Value::as_table).cloned().unwrap_or_default();
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if NOT_OURS.contains(&variable.as_str()) || variable.starts_with(TEST_PREFIX) {
            continue;
        }
        let key = name.to_ascii_lowercase();
        let complaint = || format!("unknown environment variable {variable}");
        match key.strip_prefix("limits_") {
            Some(limit) => {
                let shown = |key: &str| format!("{PREFIX}LIMITS_{}", key.to_ascii_uppercase());
                let like = limits.get(limit).ok_or_else(|| unknown(complaint(), limit, &limits, shown))?;
                let value = typed(&variable, like, &text)?;
                let entry = table.entry("limits").or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(limits) = entry {
                    limits.insert(limit.to_owned(), value);
                }
            }
            None => {
                let shown = |key: &str| format!("{PREFIX}{}", key.to_ascii_uppercase());
                let like = known
                    .get(&key)
                    .filter(|like| !like.is_table())
                    .ok_or_else(|| unknown(complaint(), &key, &known, shown))?;
                table.insert(key, typed(&variable, like, &text)?);
            }
        }
    }
    Ok(())
}

/// The variable's text as the type of the key's default.
fn typed(variable: &str, like: &Value, text: &str) -> Result<Value> {
    Ok(match like {
        Value::Integer(_) => {
            Value::Integer(text.trim().parse().with_context(|| format!("{variable} is no whole number"))?)
        }
        Value::Boolean(_) => {
            Value::Boolean(text.trim().parse().with_context(|| format!("{variable} is neither `true` nor `false`"))?)
        }
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(file: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let mut table: Table = file.parse()?;
        check_keys(&table, &known()?, "", &|key| format!("unknown key `{key}`"))?;
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        apply_environment(&mut table, variables)?;
        Ok(table.try_into()?)
    }

    #[test]
    fn the_environment_goes_over_the_file() {
        let config = from(
            "listen = '0.0.0.0:80'\nlog = 'warn'\n[limits]\ncost = 7",
            &[
                ("DESKWIRE_LOG", "debug"),
                ("DESKWIRE_LIMITS_DEPTH", "9"),
                ("DESKWIRE_ALLOWED_ORIGINS", "https://a.example, https://b.example"),
                ("DESKWIRE_TEST_POSTGRES_URL", "postgres://"),
            ],
        )
        .unwrap();
        assert_eq!(config.listen.port(), 80);
        assert_eq!(config.log, "debug");
        assert_eq!((config.limits.cost, config.limits.depth), (7, 9));
        assert_eq!(config.allowed_origins.len(), 2);
        assert_eq!(config.limits.aliases, Limits::default().aliases);
    }

    #[test]
    fn unknown_keys_are_refused_with_a_suggestion() {
        for (file, variables, meant) in [
            ("lisen = 'x'", vec![], "`listen`"),
            ("[limits]\ncots = 1", vec![], "`cost`"),
            ("", vec![("DESKWIRE_DATABSE_URL", "x")], "`DESKWIRE_DATABASE_URL`"),
            ("", vec![("DESKWIRE_LIMITS_DEEPTH", "1")], "`DESKWIRE_LIMITS_DEPTH`"),
        ] {
            let error = from(file, &variables).unwrap_err().to_string();
            assert!(error.contains("did you mean") && error.contains(meant), "{error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_variable() {
        let error = from("", &[("DESKWIRE_POOL", "many")]).unwrap_err().to_string();
        assert!(error.contains("DESKWIRE_POOL"), "{error}");
    }

    #[test]
    fn a_retention_is_a_time_of_at_least_an_hour_or_empty() {
        let of = |text: &str| Config { log_retention: text.into(), ..Config::default() }.store();
        assert_eq!(of("PT1H").unwrap().limits.log_retention, Some(Duration::from_secs(3_600)));
        assert_eq!(of("").unwrap().limits.log_retention, None);
        for wrong in ["PT59M", "-P1D", "30 days"] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("log_retention") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_address_of_another_database_is_refused() {
        let config = Config { database_url: "mysql://x".into(), ..Config::default() };
        assert!(config.store().is_err());
    }
}
