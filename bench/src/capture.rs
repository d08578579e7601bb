//! The very statements that an operation sends to PostgreSQL, from the server's own log, with their parameters.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use store::{DriverConnection, StoreConfig};

/// How the log's lines begin; `cargo xtask bench` sets PostgreSQL's `log_line_prefix` to it.
const APPLICATION: &str = "deskwire";
/// How long the log may take to tell of what was asked.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// One statement as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The process of its connection.
    pub backend: String,
    /// Its text, with `$1` and so on.
    pub sql: String,
    /// Its parameters in order; `None`: null.
    pub parameters: Vec<Option<String>>,
}

/// Which statements of the log belong to the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Reads of tickets and of what was said on them.
    Reads,
    /// The transaction that inserts a ticket, from its begin to its commit.
    Insert,
}

/// Has `ask` done once while PostgreSQL logs every statement, and answers those that belong to it: as many as are expected.
///
/// # Errors
/// When the log does not show them.
pub fn statements(
    url: &str,
    log: &Path,
    wanted: Wanted,
    expected: Option<usize>,
    mut ask: impl FnMut() -> Result<()>,
) -> Result<Vec<Statement>> {
    // What is asked first meets cold caches of ours.
    ask()?;
    let logging = Logging::switch_on(url)?;
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let start = fs::metadata(log).with_context(|| format!("there is no {}", log.display()))?.len();
        ask()?;
        // The log's writer is another process: it may be behind.
        std::thread::sleep(POLL);
        let found = belonging(wanted, &parse(&read_from(log, start)?));
        // A connection that has yet to hear of the new setting logs none, or not all.
        if !found.is_empty() && expected.is_none_or(|expected| found.len() == expected) {
            break found;
        }
        if Instant::now() > deadline {
            bail!("PostgreSQL's log shows {} statements; the server sends {expected:?}", found.len());
        }
    };
    logging.switch_off()?;
    Ok(found)
}

struct Logging {
    url: String,
}

impl Logging {
    fn switch_on(url: &str) -> Result<Self> {
        let logging = Self { url: url.to_owned() };
        logging.set("all")?;
        Ok(logging)
    }

    fn switch_off(self) -> Result<()> {
        self.set("none")
    }

    fn set(&self, value: &str) -> Result<()> {
        administer(&self.url, &[&format!("ALTER SYSTEM SET log_statement = '{value}'"), "SELECT pg_reload_conf()"])
    }
}

/// Runs statements outside of any transaction.
///
/// # Errors
/// When PostgreSQL refuses one.
pub fn administer(url: &str, statements: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connection = store::connect_alone(&StoreConfig::postgres(url)).await?;
        for statement in statements {
            connection.execute_unprepared(statement).await.with_context(|| (*statement).to_owned())?;
        }
        store::disconnect(connection).await;
        Ok(())
    })
}

fn read_from(file: &Path, start: u64) -> Result<String> {
    let mut file = fs::File::open(file)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The statements in a log whose lines begin with process and application.
fn parse(log: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    // Of each connection, the statement whose parameters come next.
    let mut last: HashMap<String, usize> = HashMap::new();
    for line in log.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(backend), Some(application), Some(rest)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if application != APPLICATION {
            continue;
        }
        if let Some(rest) = rest.strip_prefix("LOG:  ") {
            let prepared = rest.strip_prefix("execute ").and_then(|rest| rest.split_once(": ")).map(|(_, sql)| sql);
            let Some(sql) = prepared.or_else(|| rest.strip_prefix("statement: ")) else { continue };
            last.insert(backend.to_owned(), statements.len());
            let sql = sql.trim_end_matches(';').to_owned();
            statements.push(Statement { backend: backend.to_owned(), sql, parameters: Vec::new() });
        } else if let Some(rest) = rest.strip_prefix("DETAIL:  ")
            && let Some(rest) = rest.strip_prefix("parameters: ").or_else(|| rest.strip_prefix("Parameters: "))
            && let Some(statement) = last.get(backend).and_then(|place| statements.get_mut(*place))
        {
            statement.parameters = parameters(rest);
        }
    }
    statements
}

/// Reads `$1 = 'text', $2 = NULL`; a quote inside of a text is doubled.
fn parameters(text: &str) -> Vec<Option<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, value)) = rest.split_once(" = ") {
        if let Some(quoted) = value.strip_prefix('\'') {
            let mut content = String::new();
            let mut letters = quoted.char_indices().peekable();
            let mut end = quoted.len();
            while let Some((at, letter)) = letters.next() {
                if letter != '\'' {
                    content.push(letter);
                } else if letters.peek().is_some_and(|(_, next)| *next == '\'') {
                    letters.next();
                    content.push('\'');
                } else {
                    end = at + 1;
                    break;
                }
            }
            found.push(Some(content));
            rest = &quoted[end..];
        } else {
            found.push(None);
            rest = value.strip_prefix("NULL").unwrap_or("");
        }
    }
    found
}

fn belonging(wanted: Wanted, statements: &[Statement]) -> Vec<Statement> {
    let of_ticket = |statement: &Statement| statement.sql.contains("\"ticket\"");
    // Whoever sees every ticket reads comments without a look at their tickets.
    let of_either = |statement: &Statement| of_ticket(statement) || statement.sql.contains("\"comment\"");
    match wanted {
        Wanted::Reads => {
            let reads =
                statements.iter().filter(|statement| statement.sql.starts_with("SELECT") && of_either(statement));
            reads.cloned().collect()
        }
        Wanted::Insert => {
            let inserts = |statement: &&Statement| statement.sql.starts_with("INSERT") && of_ticket(statement);
            let Some(backend) = statements.iter().find(inserts).map(|statement| &statement.backend) else {
                return Vec::new();
            };
            let own: Vec<_> = statements.iter().filter(|statement| statement.backend == *backend).collect();
            let insert = own.iter().position(inserts).unwrap_or(0);
            let starts = own[..insert].iter().rposition(|statement| statement.sql.starts_with("BEGIN"));
            let ends = own[insert..].iter().position(|statement| statement.sql == "COMMIT");
            match (starts, ends) {
                (Some(start), Some(end)) => own[start..=insert + end].iter().map(|found| (*found).clone()).collect(),
                _ => Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
17 deskwire LOG:  statement: BEGIN
18 deskwire LOG:  execute sqlx_s_1: SELECT position FROM log_head
17 deskwire LOG:  execute sqlx_s_4: INSERT INTO \"ticket\" (\"a\", \"b\") VALUES ($1, $2)
17 deskwire DETAIL:  parameters: $1 = 'it''s, $2 = x', $2 = NULL
17 deskwire LOG:  statement: COMMIT
19 psql LOG:  statement: SELECT 1 FROM \"ticket\"
";

    #[test]
    fn a_transaction_is_found_with_its_parameters() {
        let found = belonging(Wanted::Insert, &parse(LOG));
        let texts: Vec<_> = found.iter().map(|statement| statement.sql.as_str()).collect();
        assert_eq!(texts, ["BEGIN", "INSERT INTO \"ticket\" (\"a\", \"b\") VALUES ($1, $2)", "COMMIT"]);
        assert_eq!(found[1].parameters, [Some("it's, $2 = x".to_owned()), None]);
    }

    #[test]
    fn comments_that_are_read_without_their_tickets_belong_to_a_read() {
        let log = "17 deskwire LOG:  execute sqlx_s_1: SELECT \"r\".\"id\" FROM \"incident\" AS \"r\" INNER JOIN \"ticket\" AS \"j0\"
17 deskwire LOG:  execute sqlx_s_2: SELECT \"r\".\"id\" FROM \"comment\" AS \"r\"
18 deskwire LOG:  execute sqlx_s_1: SELECT position FROM log_head
";
        assert_eq!(belonging(Wanted::Reads, &parse(log)).len(), 2);
    }

    #[test]
    fn half_a_transaction_is_none() {
        let half = LOG.replace("17 deskwire LOG:  statement: COMMIT\n", "");
        assert!(belonging(Wanted::Insert, &parse(&half)).is_empty());
        assert!(belonging(Wanted::Reads, &parse(LOG)).is_empty());
    }
}
