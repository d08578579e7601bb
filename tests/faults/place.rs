//! Where servers run: a database with the company in it, a folder for logs, and processes of the real binary.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use deskwire::config::Config;
use gateway::platform::Platform;
use kernel::Clock;
use migrations::testing::TestDatabase;
use store::{Engine, Location, Store};
use tests::client::Client;
use tests::company::{self, Company};
use tests::installation::{limits, settings};
use tokio::process::{Child, Command};

/// Ports are taken from below those that the system gives to outgoing connections: else a client that connects to a
/// server that is down may be given the very port, and meet itself.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
/// How long a process may take to become ready or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A database with the company in it, and how processes are started on it.
pub struct Place {
    /// What they are configured with.
    pub config: Config,
    /// The people.
    pub company: Company,
    /// Environment variables of the processes beside those that each has.
    pub environment: Vec<(String, String)>,
    /// A command that runs the one that it is given, in place of the binary itself.
    pub wrapper: Vec<String>,
    binary: PathBuf,
    folder: tempfile::TempDir,
    database: Option<TestDatabase>,
}

impl Place {
    /// A fresh one; on SQLite in this folder, when one is given.
    pub async fn found(binary: &Path, engine: Engine, data: Option<&Path>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("deskwire-faults-").tempdir()?;
        let mut config = Config { readers: 2, pool: 8, ..Config::default() };
        config.data = folder.path().join("data");
        let mut database = None;
        match engine {
            Engine::Sqlite => config.data = data.map_or(config.data, Path::to_owned),
            Engine::Postgres => {
                let fresh = TestDatabase::create(engine).await;
                let Location::Postgres { url } = fresh.config().location else { bail!("not a PostgreSQL database") };
                config.database_url = url;
                database = Some(fresh);
            }
        }
        config.make_data_folder()?;
        let store = migrations::open(config.store()?, Clock::System).await?;
        let platform = Platform::start(store.clone(), settings(), limits(), config.files()?).await?;
        let company = company::found(&platform, "acme").await;
        drop(platform);
        store.close().await;
        let environment = [
            ("DESKWIRE_READERS", config.readers.to_string()),
            ("DESKWIRE_POOL", config.pool.to_string()),
            ("DESKWIRE_LIMITS_REQUESTS_PER_SECOND", "1000000".into()),
            ("DESKWIRE_LIMITS_REQUEST_BURST", "1000000".into()),
            ("DESKWIRE_LOG", "info".into()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let (binary, wrapper) = (binary.to_owned(), Vec::new());
        Ok(Self { config, company, environment, wrapper, binary, folder, database })
    }

    /// One more variable for the processes that are started from now on.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.environment.push((name.to_owned(), value.to_string()));
    }

    /// A store beside the servers, as an administrator's command has it.
    pub async fn beside(&self) -> Result<Store> {
        Ok(migrations::open_beside(self.config.store()?, Clock::System).await?)
    }

    /// Starts a process and waits until it is ready.
    pub async fn serve(&self, address: SocketAddr) -> Result<Process> {
        let mut process = self.spawn(address)?;
        process.ready().await?;
        Ok(process)
    }

    /// Starts a process.
    pub fn spawn(&self, address: SocketAddr) -> Result<Process> {
        let log = self.log(address);
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut words = self.wrapper.iter().map(PathBuf::from).chain([self.binary.clone()]);
        let mut command = Command::new(words.next().context("the binary is always there")?);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DESKWIRE_")) {
                command.env_remove(name);
            }
        }
        command.args(words).args(["serve", "--listen", &address.to_string(), "--data"]).arg(&self.config.data);
        if !self.config.database_url.is_empty() {
            command.args(["--database-url", &self.config.database_url]);
        }
        command.envs(self.environment.iter().cloned()).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        let pid = child.id().context("a process that was just started has an id")?;
        Ok(Process { child, pid, address, log })
    }

    /// Where the process at this address writes its log.
    pub fn log(&self, address: SocketAddr) -> PathBuf {
        self.folder.path().join(format!("{}.log", address.port()))
    }

    /// The lines of all logs that hold this word.
    pub fn logged(&self, word: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
                found.extend(text.lines().filter(|line| line.contains(word)).map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// Somebody's client of the process at this address.
    pub fn client(&self, address: SocketAddr, token: &str) -> Client {
        Client::new(address, Some(token))
    }

    /// Removes the database.
    pub async fn delete(self) {
        if let Some(database) = self.database {
            database.delete().await;
        }
    }
}

/// An address on loopback that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    for _ in 0..100 {
        let width = u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(kernel::random::below(width)).unwrap_or(0);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port on 127.0.0.1")
}

/// A running server. Dropping it kills it.
pub struct Process {
    child: Child,
    /// The process's id.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Waits until it is ready.
    pub async fn ready(&mut self) -> Result<()> {
        let client = Client::new(self.address, None);
        let ready = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    bail!("the server ended before it was ready ({status})\n{}", tail(&self.log));
                }
                let answer = client.http.get(client.url("/readyz")).send().await;
                if answer.is_ok_and(|answer| answer.status().as_u16() == 200) {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(PATIENCE, ready).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the server was not ready within {} s\n{}", PATIENCE.as_secs(), tail(&self.log)),
        }
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the server had ended by itself\n{}", tail(&self.log));
        self.child.kill().await.context("the server cannot be killed")
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        signal("TERM", self.pid).await?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the server did not end within {} s of SIGTERM\n{}", PATIENCE.as_secs(), tail(&self.log)),
        }
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Its resident memory, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
        line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")
    }
}

/// Sends a signal. The standard library has SIGKILL alone, and a slim system has no `/bin/kill`: the shell's own.
pub async fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await?;
    ensure!(status.success(), "process {pid} cannot be sent SIG{name}");
    Ok(())
}

/// The end of a log.
pub fn tail(log: &Path) -> String {
    const LINES: usize = 30;
    let text = File::open(log).and_then(std::io::read_to_string).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
