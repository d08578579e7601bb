//! Configuration: a file, environment variables over it, flags over both. Unknown keys are refused with a suggestion.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use gateway::door::Limits;
use gateway::files::{Files, LARGEST_FILE_BYTES, MAX_FILE_BYTES};
use objects::{Objects, ObjectsConfig, S3Config};
use serde::{Deserialize, Serialize};
use store::{Location, StoreConfig};
use ticket::attachment::{FileRules, media_type};
use toml::{Table, Value};

use crate::cli::Common;

/// The file of the embedded database, in the data folder.
pub const DATABASE_FILE: &str = "deskwire.sqlite";
/// The folder of uploaded files, in the data folder.
pub const FILES_FOLDER: &str = "files";
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
    /// What links begin with, such as `https://desk.acme.example`; empty: they are relative to where the API is.
    pub public_url: String,
    /// Where uploaded files are kept, and which are taken.
    pub files: FilesConfig,
    /// The limits that requests meet.
    pub limits: Limits,
}

/// Where uploaded files are kept, and which are taken. Each key is an environment variable too: `DESKWIRE_FILES_BUCKET`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// A folder; empty: `files` in the data folder. Servers that share a database share it too.
    pub folder: PathBuf,
    /// A bucket of a store that speaks S3, instead of a folder.
    pub bucket: String,
    /// The store's address, such as `http://127.0.0.1:9000`; empty: Amazon's.
    pub endpoint: String,
    /// The bucket's region.
    pub region: String,
    /// Who asks the store; empty: as `AWS_ACCESS_KEY_ID` and the like, or the machine's role, say.
    pub access_key_id: String,
    /// The secret that goes with it.
    pub secret_access_key: String,
    /// Whether the bucket is named in the path and not in the host's name.
    pub path_style: bool,
    /// Size of a file, in bytes; at most 2 GiB.
    pub max_bytes: u64,
    /// Media types that are taken, such as `image/*`; empty: all but programs.
    pub media_types: Vec<String>,
    /// Whether a virus scanner looks at files before anybody fetches them.
    pub scan: bool,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            bucket: String::new(),
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            path_style: true,
            max_bytes: MAX_FILE_BYTES,
            media_types: Vec::new(),
            scan: false,
        }
    }
}

impl std::fmt::Debug for FilesConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the secret.
        f.debug_struct("FilesConfig")
            .field("folder", &self.folder)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
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
            public_url: String::new(),
            files: FilesConfig::default(),
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

    /// The folder of uploaded files; `None` when they are in a bucket.
    pub fn files_folder(&self) -> Option<PathBuf> {
        let folder = &self.files.folder;
        let given = || if folder.as_os_str().is_empty() { self.data.join(FILES_FOLDER) } else { folder.clone() };
        self.files.bucket.is_empty().then(given)
    }

    /// Where files are, and which are taken.
    ///
    /// # Errors
    /// Names the key that does not hold, or what is wrong with the folder or the bucket.
    pub fn files(&self) -> Result<Files> {
        let files = &self.files;
        if !(1..=LARGEST_FILE_BYTES).contains(&files.max_bytes) {
            bail!("`files.max_bytes` is {}; it must be 1 to {LARGEST_FILE_BYTES}", files.max_bytes);
        }
        if let Some(pattern) = files.media_types.iter().find(|pattern| !is_pattern(pattern)) {
            bail!("`files.media_types` has `{pattern}`; it takes media types such as `application/pdf` and `image/*`");
        }
        if !self.public_url.is_empty()
            && !["http://", "https://"].iter().any(|scheme| self.public_url.starts_with(scheme))
        {
            bail!("`public_url` is `{}`; it must begin with `https://` or `http://`", self.public_url);
        }
        if !files.bucket.is_empty() && !files.folder.as_os_str().is_empty() {
            bail!("`files.folder` and `files.bucket` are both given; leave one of them out");
        }
        let objects = match self.files_folder() {
            Some(folder) => ObjectsConfig::Folder(folder),
            None => ObjectsConfig::S3(S3Config {
                bucket: files.bucket.clone(),
                endpoint: files.endpoint.clone(),
                region: files.region.clone(),
                access_key_id: files.access_key_id.clone(),
                secret_access_key: files.secret_access_key.clone(),
                path_style: files.path_style,
            }),
        };
        let media_types = files.media_types.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        Ok(Files {
            objects: Objects::open(&objects)?,
            rules: FileRules { max_bytes: files.max_bytes, media_types, scan: files.scan },
            public_url: self.public_url.clone(),
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

/// Whether a pattern names a media type, or all of a kind.
fn is_pattern(pattern: &str) -> bool {
    let named = pattern.replace("/*", "/any");
    media_type::normalised(&named).is_some_and(|normalised| normalised == named.to_ascii_lowercase())
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
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if NOT_OURS.contains(&variable.as_str()) || variable.starts_with(TEST_PREFIX) {
            continue;
        }
        let key = name.to_ascii_lowercase();
        let complaint = || format!("unknown environment variable {variable}");
        match in_table(&known, &key) {
            Some((name, keys, key)) => {
                let shown = |key: &str| format!("{PREFIX}{}_{}", name.to_ascii_uppercase(), key.to_ascii_uppercase());
                let like = keys.get(key).ok_or_else(|| unknown(complaint(), key, keys, shown))?;
                let value = typed(&variable, like, &text)?;
                let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(values) = entry {
                    values.insert(key.to_owned(), value);
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

/// The table that a variable's key belongs to, by the table's name in front: its name, its keys, and which of them.
fn in_table<'a>(known: &'a Table, key: &'a str) -> Option<(&'a str, &'a Table, &'a str)> {
    known.iter().find_map(|(name, value)| {
        let key = key.strip_prefix(name.as_str())?.strip_prefix('_')?;
        Some((name.as_str(), value.as_table()?, key))
    })
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
    fn where_files_are_is_checked_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let config = |file: &str| {
            let mut config = from(file, &[]).unwrap();
            config.data = folder.path().to_owned();
            config
        };
        let files = config("[files]\nmedia_types = [\"Image/*\", \"application/pdf\"]").files().unwrap();
        assert_eq!((files.rules.max_bytes, files.rules.scan), (MAX_FILE_BYTES, false));
        assert_eq!(files.rules.media_types, ["image/*", "application/pdf"]);
        assert!(folder.path().join(FILES_FOLDER).is_dir());
        let variables = [("DESKWIRE_FILES_SCAN", "true"), ("DESKWIRE_FILES_MEDIA_TYPES", "text/plain, image/png")];
        let set = from("[files]\nmax_bytes = 7", &variables).unwrap().files;
        assert_eq!((set.max_bytes, set.scan, set.media_types.len()), (7, true, 2));
        let error = from("", &[("DESKWIRE_FILES_BUKET", "x")]).unwrap_err().to_string();
        assert!(error.contains("did you mean `DESKWIRE_FILES_BUCKET`"), "{error}");
        for (file, said) in [
            ("[files]\nmax_bytes = 0", "must be 1 to"),
            ("[files]\nmax_bytes = 3000000000", "must be 1 to 2147483647"),
            ("[files]\nmedia_types = [\"png\"]", "`png`"),
            ("[files]\nfolder = \"a\"\nbucket = \"b\"", "both given"),
            ("public_url = \"desk.acme.example\"", "must begin with `https://`"),
        ] {
            let error = config(file).files().unwrap_err().to_string();
            assert!(error.contains(said), "{file}: {error}");
        }
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
