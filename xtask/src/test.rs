//! `cargo xtask test`: the whole test suite beside a private PostgreSQL.

use anyhow::{Result, ensure};

use crate::postgres::{self, Postgres};
use crate::process;
use crate::workspace;

/// Where the tests find a PostgreSQL in which they may create databases.
pub const POSTGRES_URL: &str = "DESKWIRE_TEST_POSTGRES_URL";

/// Run the tests, on SQLite and on a private PostgreSQL that is started for them
///
/// PostgreSQL is searched in $DESKWIRE_POSTGRES_BIN (a folder with initdb and pg_ctl), in
/// /usr/lib/postgresql/*/bin and in $PATH, and else installed with apt-get. It runs on a free port
/// of 127.0.0.1 with a private data folder and is stopped and removed afterwards. When
/// $DESKWIRE_TEST_POSTGRES_URL is set, that server is used and none is started; its role must be
/// allowed to create databases.
///
/// The tests run with cargo-nextest where it is installed, else with cargo test.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test -- -p store
  cargo xtask test -- -p store sequencer
  cargo xtask test --postgres-setting log_statement=all -- -p store")]
pub struct Arguments {
    /// A PostgreSQL setting for this run; repeatable.
    #[arg(long = "postgres-setting", value_name = "NAME=VALUE", value_parser = postgres::parse_setting)]
    settings: Vec<(String, String)>,
    /// Run with cargo test even where cargo-nextest is installed.
    #[arg(long)]
    no_nextest: bool,
    /// Arguments for the test runner: packages, filters, flags.
    #[arg(last = true, value_name = "ARGUMENTS")]
    runner: Vec<String>,
}

/// Starts the database, runs the tests, stops the database.
pub fn run(arguments: &Arguments) -> Result<()> {
    let nextest = !arguments.no_nextest && has_nextest();
    let mut command = workspace::cargo();
    command.args(runner_arguments(nextest, &arguments.runner));
    let given = std::env::var_os(POSTGRES_URL).is_some();
    let _postgres = if given {
        eprintln!("xtask: using the PostgreSQL of ${POSTGRES_URL}");
        None
    } else {
        let postgres = Postgres::start(&arguments.settings)?;
        eprintln!("xtask: {} on port {}", postgres.version(), postgres.port());
        command.env(POSTGRES_URL, postgres.url());
        Some(postgres)
    };
    let status = process::status(&mut command)?;
    ensure!(status.success(), "tests failed ({status})");
    Ok(())
}

fn has_nextest() -> bool {
    let mut probe = workspace::cargo();
    process::quiet(probe.args(["nextest", "--version"])).is_ok()
}

/// The cargo arguments of a test run. Documentation tests are left out: they would link one binary
/// each.
fn runner_arguments(nextest: bool, extra: &[String]) -> Vec<String> {
    let own: &[&str] = if nextest { &["nextest", "run"] } else { &["test", "--no-fail-fast"] };
    let mut arguments: Vec<String> = own.iter().map(ToString::to_string).collect();
    // Cargo lets `--workspace` win over `-p`, so it is given only when no package is.
    if !extra.iter().any(|argument| selects_packages(argument)) {
        arguments.push("--workspace".into());
    }
    if !nextest && !extra.iter().any(|argument| selects_targets(argument)) {
        arguments.push("--tests".into());
    }
    arguments.extend_from_slice(extra);
    arguments
}

fn selects_packages(argument: &str) -> bool {
    argument.starts_with("-p") || argument.starts_with("--package") || ["--workspace", "--all"].contains(&argument)
}

fn selects_targets(argument: &str) -> bool {
    let name = argument.split_once('=').map_or(argument, |(name, _)| name);
    ["--lib", "--bin", "--bins", "--test", "--tests", "--doc", "--all-targets"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(nextest: bool, extra: &[&str]) -> String {
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        runner_arguments(nextest, &extra).join(" ")
    }

    #[test]
    fn the_whole_workspace_is_the_default() {
        assert_eq!(line(true, &[]), "nextest run --workspace");
        assert_eq!(line(false, &[]), "test --no-fail-fast --workspace --tests");
    }

    #[test]
    fn a_chosen_package_narrows_the_run() {
        assert_eq!(line(true, &["-p", "store"]), "nextest run -p store");
        assert_eq!(line(true, &["--package=store", "log"]), "nextest run --package=store log");
        assert_eq!(line(true, &["log"]), "nextest run --workspace log");
    }

    #[test]
    fn a_chosen_target_replaces_the_default_ones() {
        assert_eq!(line(false, &["--test", "it"]), "test --no-fail-fast --workspace --test it");
    }
}
