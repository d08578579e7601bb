//! The limit on PostgreSQL: pgbench with the same statements, prepared, over the same keys.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::capture::Statement;
use crate::data::{CYCLE, ID_MIDDLE, SCATTER, START_MS, Scale, Teams, number};
use crate::usage::{Spent, Watched};

/// A ticket that was asked for while the statements were captured, and which others may be asked for instead.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The ticket.
    pub index: u64,
    /// The team whose tickets are drawn; `None`: all tickets.
    pub team: Option<usize>,
}

/// A script for pgbench.
#[derive(Debug)]
pub struct Script {
    file: PathBuf,
    variables: BTreeMap<String, String>,
}

/// What pgbench measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Transactions a second.
    pub rate: f64,
    /// Processor time.
    pub spent: Spent,
}

impl Script {
    /// Reads of the ticket `key`, to be made of other tickets. Without a key the same parameters each time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn of_reads(
        folder: &Path,
        name: &str,
        statements: &[Statement],
        scale: Scale,
        key: Option<Key>,
    ) -> Result<Self> {
        let mut writer = Writer::default();
        if let Some(key) = key {
            writer.text.push_str(&drawing(scale, key));
            let uuid = format!(
                "(lpad(to_hex(:ms::bigint), 12, '0') || '{ID_MIDDLE}' || lpad(to_hex(:i::bigint), 12, '0'))::uuid"
            );
            writer.replaced.insert(scale.ticket_uuid(key.index).to_string(), uuid);
            writer.replaced.insert(number(key.index), "('INC-' || (:i::bigint + 1))".to_owned());
        }
        writer.write(folder, name, statements)
    }

    /// The transaction of an insert, with a new ticket each time.
    ///
    /// # Errors
    /// When the statements are none, or the file cannot be written.
    pub fn of_insert(folder: &Path, name: &str, statements: &[Statement]) -> Result<Self> {
        let mut writer = Writer::default();
        // Two draws give the 74 bits of a UUIDv7 that are random, near enough.
        writer.text.push_str("\\set a random(0, 4095)\n\\set b random(0, 1000000000000000)\n");
        let uuid = |salt: u32| {
            format!(
                "(lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(:a::bigint), 3, '0') \
                 || '{salt:x}' || lpad(to_hex(:b::bigint), 15, '0'))::uuid"
            )
        };
        let ticket = inserted_into(statements, "\"ticket\"").context("no ticket is inserted")?;
        let id = column(ticket, "id").context("a ticket without an id")?;
        let number = column(ticket, "number").context("a ticket without a number")?;
        let created = column(ticket, "created_at").context("a ticket without a time")?;
        writer.replaced.insert(id, uuid(8));
        writer.replaced.insert(number, "('INC-B' || :a::text || '-' || :b::text)".to_owned());
        writer.replaced.insert(created, "now()".to_owned());
        if let Some(event) = inserted_into(statements, "event").and_then(|event| column(event, "id")) {
            writer.replaced.insert(event, uuid(9));
        }
        writer.write(folder, name, statements)
    }

    /// Runs it.
    ///
    /// # Errors
    /// When pgbench is missing or a transaction fails.
    pub fn run(
        &self,
        pgbench: &Path,
        url: &str,
        connections: usize,
        duration: Duration,
        watched: Watched,
    ) -> Result<Measured> {
        let mut command = Command::new(pgbench);
        command
            .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"])
            .args(["--client", &connections.to_string(), "--time", &duration.as_secs().max(1).to_string()])
            .arg("--file")
            .arg(&self.file);
        for (name, value) in &self.variables {
            command.arg("--define").arg(format!("{name}={value}"));
        }
        command.arg(url);
        let before = watched.usage()?;
        let output = command.output().with_context(|| format!("cannot start {}", pgbench.display()))?;
        let spent = before.until(watched.usage()?);
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "pgbench failed\n{printed}{}", String::from_utf8_lossy(&output.stderr));
        let value = |name: &str| {
            let line =
                printed.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no `{name}`"))?;
            line.trim_start_matches([' ', '='])
                .split_whitespace()
                .next()
                .and_then(|text| text.parse::<f64>().ok())
                .context("no number")
        };
        let transactions = value("number of transactions actually processed:")?;
        let failed = value("number of failed transactions:").unwrap_or(0.0);
        ensure!(failed == 0.0 && transactions > 0.0, "pgbench's transactions failed\n{printed}");
        Ok(Measured { rate: value("tps")?, spent })
    }
}

/// The arithmetic of the data set, in pgbench's own.
fn drawing(scale: Scale, key: Key) -> String {
    let mut text = String::new();
    let _ = match key.team {
        None => writeln!(text, "\\set i random(0, {})", scale.tickets - 1),
        Some(team) => {
            let places = Teams::new().places(team);
            let _ = writeln!(text, "\\set q random(0, {})", scale.tickets / CYCLE - 1);
            let _ = writeln!(text, "\\set r random({}, {})", places.start, places.end - 1);
            writeln!(text, "\\set i {CYCLE} * :q + ({SCATTER} * :r) % {CYCLE}")
        }
    };
    let _ = writeln!(text, "\\set ms {START_MS} + :i * {}", scale.step_ms());
    text
}

fn inserted_into<'a>(statements: &'a [Statement], table: &str) -> Option<&'a Statement> {
    let head = format!("INSERT INTO {table} (");
    statements.iter().find(|statement| statement.sql.starts_with(&head))
}

/// The parameter that goes into a column, in a statement `INSERT INTO t (a, b) VALUES ($1, $2)`.
fn column(statement: &Statement, name: &str) -> Option<String> {
    let (_, rest) = statement.sql.split_once('(')?;
    let (columns, values) = rest.split_once(") VALUES (")?;
    let place = columns.split(", ").position(|column| column.trim_matches('"') == name)?;
    let value = values.split(')').next()?.split(", ").nth(place)?;
    let parameter: usize = value.strip_prefix('$')?.parse().ok()?;
    statement.parameters.get(parameter - 1)?.clone()
}

/// Collects the script and its variables.
#[derive(Default)]
struct Writer {
    text: String,
    /// Parameters that are written as an expression instead.
    replaced: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
}

impl Writer {
    fn write(mut self, folder: &Path, name: &str, statements: &[Statement]) -> Result<Script> {
        ensure!(!statements.is_empty(), "there are no statements for pgbench");
        for statement in statements {
            let sql = self.rewritten(statement)?;
            let _ = writeln!(self.text, "{sql};");
        }
        let file = folder.join(format!("{name}.pgbench.sql"));
        std::fs::write(&file, &self.text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Script { file, variables: self.variables })
    }

    /// The statement with pgbench's variables in the places of its parameters.
    fn rewritten(&mut self, statement: &Statement) -> Result<String> {
        let mut text = String::with_capacity(statement.sql.len());
        let mut rest = statement.sql.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let place: usize = after[..digits].parse().context("a dollar that is no parameter")?;
            let parameter = statement.parameters.get(place - 1).context("a parameter without a value")?;
            match parameter {
                None => text.push_str("NULL"),
                // pgbench has no variable without a value.
                Some(value) if value.is_empty() => text.push_str("''"),
                Some(value) => match self.replaced.get(value) {
                    Some(expression) => text.push_str(expression),
                    None => {
                        let next = format!("p{}", self.variables.len());
                        let known =
                            self.variables.iter().find(|(_, known)| *known == value).map(|(name, _)| name.clone());
                        let name = known.unwrap_or(next);
                        let _ = write!(text, ":{name}");
                        self.variables.insert(name, value.clone());
                    }
                },
            }
            rest = &after[digits..];
        }
        text.push_str(rest);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str, parameters: &[Option<&str>]) -> Statement {
        Statement {
            backend: "1".into(),
            sql: sql.into(),
            parameters: parameters.iter().map(|value| value.map(str::to_owned)).collect(),
        }
    }

    #[test]
    fn parameters_become_variables_or_draws() {
        let folder = tempfile::tempdir().unwrap();
        let scale = Scale::new(1_000).unwrap();
        let id = scale.ticket_uuid(7).to_string();
        let read = statement(
            "SELECT $2 FROM t WHERE id = $1 AND x = $3 AND y = $4",
            &[Some(&id), Some("it's"), None, Some("")],
        );
        let script =
            Script::of_reads(folder.path(), "read", &[read], scale, Some(Key { index: 7, team: Some(3) })).unwrap();
        let text = std::fs::read_to_string(&script.file).unwrap();
        assert!(text.contains("SELECT :p0 FROM t WHERE id = (lpad(to_hex(:ms::bigint)"), "{text}");
        assert!(
            text.contains("x = NULL AND y = '';") && text.contains("\\set i 1000 * :q + (617 * :r) % 1000"),
            "{text}"
        );
        assert_eq!(script.variables["p0"], "it's");
    }

    #[test]
    fn a_column_of_an_insert_is_found() {
        let insert =
            statement("INSERT INTO \"ticket\" (\"tenant_id\", \"id\") VALUES ($1, $2)", &[Some("t"), Some("i")]);
        assert_eq!(column(&insert, "id").as_deref(), Some("i"));
        assert_eq!(column(&insert, "number"), None);
    }
}
