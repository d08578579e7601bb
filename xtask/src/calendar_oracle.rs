//! `cargo xtask calendar-oracle`: working time beside a judge that walks every minute.

use anyhow::{Result, ensure};

use crate::process;
use crate::workspace;

/// Compare the arithmetic of calendars with a walk over every minute, in many more cases than the tests
///
/// Random calendars around every change of clocks from 2000 to 2037 in two dozen zones, and over
/// spans of years; one recurrence rule for 300 cases, beside the crate rrule. The first difference
/// fails the run and tells the calendar and the question.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask calendar-oracle
  cargo xtask calendar-oracle 100000 --seed 7")]
pub struct Arguments {
    /// How many cases are tried.
    #[arg(default_value_t = 1_000_000)]
    cases: usize,
    /// Repeats the choices of an earlier run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Builds the release form of the crate's tests and runs those of the judge.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["test", "--release", "-p", "calendar", "--test", "it", "--", "--nocapture", "oracle::", "the_judge"]);
    command.env("DESKWIRE_CALENDAR_CASES", arguments.cases.to_string());
    command.env("DESKWIRE_CALENDAR_SEED", arguments.seed.to_string());
    let status = process::status(&mut command)?;
    ensure!(status.success(), "the calendar and the walk over every minute differ, or the run failed ({status})");
    Ok(())
}
