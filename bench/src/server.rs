//! The server under test: the release binary as a child process, on the data set.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::setup::Place;

/// How long the server may take to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);
/// How often readiness is asked for: finer than what is measured by it.
const POLL: Duration = Duration::from_millis(2);
/// A rate that nobody reaches: the load comes from few principals.
const NO_RATE_LIMIT: &str = "100000000";

/// A running server. Dropping it ends the process.
pub struct Server {
    child: Child,
    address: String,
    log: PathBuf,
    /// From the start of the process until it said that it is ready.
    pub ready_after: Duration,
}

impl Server {
    /// Starts the binary on a database with so many connections to it.
    ///
    /// # Errors
    /// When it does not become ready; with what it printed.
    pub fn start(binary: &Path, place: &Place, pool: u32) -> Result<Self> {
        let address = free_address()?;
        let folder = place.folder();
        let log = folder.join("server.log");
        let output = File::create(&log)?;
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &address, "--data"]).arg(folder).current_dir(folder);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DESKWIRE_")) {
                command.env_remove(name);
            }
        }
        if let Some(url) = place.url() {
            command.args(["--database-url", url]);
        }
        command
            .env("DESKWIRE_POOL", pool.to_string())
            .env("DESKWIRE_LIMITS_REQUESTS_PER_SECOND", NO_RATE_LIMIT)
            .env("DESKWIRE_LIMITS_REQUEST_BURST", NO_RATE_LIMIT)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Self { child, address, log, ready_after: Duration::ZERO };
        server.wait_until_ready(started)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, started: Instant) -> Result<()> {
        while !get(&self.address, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")) {
            let ended = self.child.try_wait()?;
            let printed = || std::fs::read_to_string(&self.log).unwrap_or_default();
            ensure!(ended.is_none(), "the server ended before it was ready\n{}", printed());
            ensure!(started.elapsed() < START_TIMEOUT, "the server does not become ready\n{}", printed());
            std::thread::sleep(POLL);
        }
        self.ready_after = started.elapsed();
        Ok(())
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A counter or gauge of the server.
    ///
    /// # Errors
    /// When the server does not tell it.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = get(&self.address, "/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse().ok()).with_context(|| format!("the metrics do not tell {name}"))
    }

    /// How many statements the server has sent to its database, authentication and the log's own apart.
    ///
    /// # Errors
    /// When the metrics do not tell.
    pub fn statements(&self) -> Result<f64> {
        self.metric("deskwire_sql_statements_total")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ask = format!("kill -TERM {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &ask]).stderr(Stdio::null()).status();
        let asked = Instant::now();
        while asked.elapsed() < STOP_TIMEOUT {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on which nobody listened a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.to_string())
}

fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
