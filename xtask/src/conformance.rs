//! `cargo xtask conformance`: programs by others, and checks of our own against the published
//! protocols, judge a running server.

mod clients;
mod python;
mod server;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::postgres::Postgres;
use crate::process;
use crate::workspace::{self, Profile};
use server::{LOG_LINES, Server};

/// How long Schemathesis makes up documents, unless told otherwise.
const FUZZ_SECONDS: u32 = 120;

/// Let third-party clients judge the running server
///
/// Builds the server as the tests do, starts it with the demo company on a free port and an empty
/// data folder, and runs the checks in tests/clients against it: graphql-http's server audits, the
/// graphql-transport-ws protocol frame by frame, the clients of graphql-ws, graphql-sse, Apollo and
/// urql, graphql-codegen with TypeScript, the Relay compiler, graphql-eslint, the verdicts of
/// graphql-js on valid and invalid documents, and Schemathesis' fuzzing. Needs Node.js 20.19 or later
/// with npm, and Python 3.11 or later with venv, which it installs with apt-get where it can.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask conformance
  cargo xtask conformance --postgres
  cargo xtask conformance --release
  cargo xtask conformance --fuzz-seconds 1800 -- schemathesis
  cargo xtask conformance -- graphql-transport-ws
  cargo xtask conformance -- graphql-transport-ws/4409")]
pub struct Arguments {
    /// Drive the release build instead of the one that the tests use.
    #[arg(long, conflicts_with = "binary")]
    release: bool,
    /// Drive this binary, building nothing.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Serve from a private PostgreSQL instead of SQLite.
    #[arg(long)]
    postgres: bool,
    /// Show the server's log when a check fails, all of it.
    #[arg(long)]
    full_log: bool,
    /// How long Schemathesis makes up documents.
    #[arg(long, value_name = "SECONDS", default_value_t = FUZZ_SECONDS)]
    fuzz_seconds: u32,
    /// The seed of what is made up, as a run before has printed it.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u32>,
    /// Only the checks whose name contains one of these, as CHECK or CHECK/CASE.
    #[arg(last = true, value_name = "CHECKS")]
    checks: Vec<String>,
}

/// Builds, starts, judges, stops.
pub fn run(arguments: &Arguments) -> Result<()> {
    let clients = clients::prepare()?;
    let python = python::is_wanted(&arguments.checks).then(python::prepare).transpose()?;
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None if arguments.release => workspace::deskwire_binary(Profile::Release)?,
        None => workspace::deskwire_binary(Profile::Dev)?,
    };
    let postgres = arguments.postgres.then(|| Postgres::start(&[])).transpose()?;
    let database = postgres.as_ref().map(Postgres::url);
    let mut server = Server::start(&binary, database.as_deref())?;
    let token = server.create_token()?;
    let mut judges = Command::new("node");
    judges
        .arg("run.mjs")
        .args(&arguments.checks)
        .current_dir(clients)
        .env("DESKWIRE_CONFORMANCE_URL", server.url())
        .env("DESKWIRE_CONFORMANCE_TOKEN", token)
        .env("DESKWIRE_CONFORMANCE_FUZZ_SECONDS", arguments.fuzz_seconds.to_string());
    if let Some(python) = python {
        judges.env("DESKWIRE_CONFORMANCE_PYTHON", python);
    }
    if let Some(seed) = arguments.seed {
        judges.env("DESKWIRE_CONFORMANCE_SEED", seed.to_string());
    }
    let status = process::status(&mut judges)?;
    if let Some(end) = server.ended()? {
        eprintln!("{}", server.log_tail(LOG_LINES));
        anyhow::bail!("the server ended during the checks ({end})");
    }
    if !status.success() {
        let lines = if arguments.full_log { usize::MAX } else { LOG_LINES };
        eprintln!("The server's log ends with:\n{}", server.log_tail(lines));
    }
    ensure!(status.success(), "conformance failed");
    Ok(())
}
