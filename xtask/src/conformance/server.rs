//! A server with the demo company, on a free port and with a data folder of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::process;
use crate::workspace;

/// How long the server may take to load the demo company and become ready.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often readiness is asked for.
const READY_POLL: Duration = Duration::from_millis(100);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Lines of the server's log that are shown after a failure.
pub const LOG_LINES: usize = 40;
/// The user of the demo company that the judges act for.
const USER: &str = "agent@demo.example";

/// A running server. Dropping it ends the process and removes its data.
pub struct Server {
    binary: PathBuf,
    child: Child,
    port: u16,
    folder: TempDir,
    database: Option<String>,
}

impl Server {
    /// Starts the server on the embedded database or the one of a URL, and waits until it is ready.
    pub fn start(binary: &Path, database: Option<&str>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("deskwire-conformance-").tempdir()?;
        let port = workspace::free_port()?;
        let log = File::create(folder.path().join("log"))?;
        if database.is_some() {
            // An embedded database is migrated by `serve`; a server's is its administrator's to migrate.
            let mut migrate = Command::new(binary);
            migrate.arg("migrate");
            add_storage(&mut migrate, folder.path(), database);
            process::output(migrate.stdin(Stdio::null()))?;
        }
        let mut command = Command::new(binary);
        command.args(["serve", "--demo", "--listen", &format!("127.0.0.1:{port}")]);
        add_storage(&mut command, folder.path(), database);
        // The judges make more load from one token than a viewer may: they look at the protocol, not at the rate limit.
        command.env("DESKWIRE_LIMITS_REQUESTS_PER_SECOND", "100000").env("DESKWIRE_LIMITS_REQUEST_BURST", "100000");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let database = database.map(str::to_owned);
        let mut server = Self { binary: binary.into(), child, port, folder, database };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The server's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes an API token beside the running server, as an administrator would.
    pub fn create_token(&self) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.args(["token", "create", "--user", USER, "--json"]);
        add_storage(&mut command, self.folder.path(), self.database.as_deref());
        token_in(&process::output(command.stdin(Stdio::null()))?)
    }

    /// How the process ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The last lines of what the server has printed.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(self.folder.path().join("log")).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&text), lines)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        while !is_ready(self.port) {
            process::check_interrupted()?;
            if let Some(status) = self.ended()? {
                bail!("the server ended before it was ready ({status})\n{}", self.log_tail(LOG_LINES));
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("the server was not ready within {} s\n{}", START_TIMEOUT.as_secs(), self.log_tail(LOG_LINES));
            }
            thread::sleep(READY_POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = process::end(&mut self.child) {
            eprintln!("xtask: the server on port {} may still run: {error}", self.port);
        }
    }
}

/// Points a command at the data, and keeps the caller's own configuration out of it.
fn add_storage(command: &mut Command, folder: &Path, database: Option<&str>) {
    command.arg("--data").arg(folder.join("data")).current_dir(folder);
    if let Some(database) = database {
        command.args(["--database-url", database]);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("DESKWIRE_")) {
            command.env_remove(name);
        }
    }
}

fn is_ready(port: u16) -> bool {
    ask_ready(port).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn ask_ready(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The token in the JSON that `deskwire token create --json` prints.
fn token_in(json: &str) -> Result<String> {
    let value: Value =
        serde_json::from_str(json.trim()).context("`deskwire token create --json` did not print JSON")?;
    value["token"]
        .as_str()
        .map(str::to_owned)
        .context("the JSON of `deskwire token create --json` has no field `token`")
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read() {
        assert_eq!(token_in("{\"token\":\"dw_pat_x\"}\n").unwrap(), "dw_pat_x");
        assert!(token_in("dw_pat_x").is_err());
        assert!(token_in("{}").is_err());
    }

    #[test]
    fn the_tail_is_bounded() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", usize::MAX), "a");
    }
}
