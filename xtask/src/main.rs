//! Developer commands: `cargo xtask test | tidy | schema | conformance | faults | bench |
//! calendar-oracle`.
//!
//! Each command works on a machine that has only Rust, a C compiler, Debian's package manager and
//! (for `conformance`) Node.js: what else it needs it finds or installs, or it says what to install.

mod apt;
mod bench;
mod calendar_oracle;
mod conformance;
mod faults;
mod postgres;
mod process;
mod schema;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of Deskwire.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Test(test::Arguments),
    Tidy(tidy::Arguments),
    Schema(schema::Arguments),
    Conformance(conformance::Arguments),
    Faults(faults::Arguments),
    Bench(bench::Arguments),
    CalendarOracle(calendar_oracle::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    process::watch_signals()?;
    match command {
        Command::Test(arguments) => test::run(arguments),
        Command::Tidy(arguments) => tidy::run(arguments),
        Command::Schema(arguments) => schema::run(arguments),
        Command::Conformance(arguments) => conformance::run(arguments),
        Command::Faults(arguments) => faults::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::CalendarOracle(arguments) => calendar_oracle::run(arguments),
    }
}

/// What went wrong and why, one reason a line.
fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because: ")
}
