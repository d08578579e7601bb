//! `cargo xtask faults`: the real server under kills, full disks and slow readers.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::apt;
use crate::postgres::Postgres;
use crate::process;
use crate::test::POSTGRES_URL;
use crate::workspace::{self, Profile};

/// What a test database is spared and this one is not: it is killed, and must keep what it has acknowledged.
const SETTINGS: [(&str, &str); 3] = [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")];

/// Kill, fill up and slow down the real server, and check what it promises
///
/// Builds the server and the fault runner as the tests do, starts a private PostgreSQL that may be
/// killed, and runs the scenarios: all of them, or those that are named. A short run is part of
/// .ci/run; a long one is for a change of storage, log or shutdown. Every violation is told as it
/// is found; the last line is JSON with the seed, the faults and the counts.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask faults
  cargo xtask faults kill --engine sqlite
  cargo xtask faults kill postgres-kill --long
  cargo xtask faults replicas --rounds 20 --seed 7
  cargo xtask faults --release --long
  cargo xtask faults -- --help")]
pub struct Arguments {
    /// Drive the release build instead of the one that the tests use.
    #[arg(long, conflicts_with = "binary")]
    release: bool,
    /// Drive this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Scenarios and options of the runner; `-- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    runner: Vec<String>,
}

/// Prometheus Alertmanager: that of $PATH, under the name that it has there, and else installed with apt-get.
fn alertmanager() -> Result<PathBuf> {
    let found = || ["prometheus-alertmanager", "alertmanager"].into_iter().find_map(process::find);
    if let Some(program) = found() {
        return Ok(program);
    }
    eprintln!("xtask: Prometheus Alertmanager was not found, installing it with apt-get");
    apt::update()?;
    apt::install(&["prometheus-alertmanager"])?;
    found().context("prometheus-alertmanager was installed, and is not in $PATH")
}

/// Builds, starts PostgreSQL, runs.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None if arguments.release => workspace::deskwire_binary(Profile::Release)?,
        None => workspace::deskwire_binary(Profile::Dev)?,
    };
    let runner = workspace::binary(Profile::Dev, "tests", "faults")?;
    let postgres = Postgres::start(&SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())))?;
    eprintln!("xtask: {} on port {}", postgres.version(), postgres.port());
    let mut command = Command::new(runner);
    command.arg("--binary").arg(binary).args(&arguments.runner);
    // What failed is told in words; nobody asks where in the harness.
    command.env(POSTGRES_URL, postgres.url()).env("RUST_BACKTRACE", "0");
    command.arg("--postgres-bin").arg(postgres.programs()).arg("--postgres-data").arg(postgres.data());
    command.arg("--alertmanager").arg(alertmanager()?);
    if let Some((user, group)) = postgres.owner() {
        command.args(["--postgres-owner", &format!("{user}:{group}")]);
    }
    let status = process::status(&mut command)?;
    ensure!(status.success(), "the server broke a promise, or the run failed ({status})");
    Ok(())
}
