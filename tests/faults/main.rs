//! The fault runner: drives the real binary through kills, full disks and slow readers, and checks the promises of
//! durability and of the event log.
//!
//! `cargo xtask faults` builds it and the server, starts a private PostgreSQL for it, and runs it. What each scenario
//! guarantees is in CONTRIBUTING.md. The last line on the standard output is JSON: seed, faults, counts, violations.

mod alertmanager;
mod alerts;
mod audit;
mod bulk;
mod disk;
mod escalations;
mod listener;
mod load;
mod place;
mod postgres;
mod queue;
mod reactions;
mod recurring;
mod replicas;
mod report;
mod resume;
mod slow;
mod storm;
mod transfer;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use store::Engine;

use place::Place;
use postgres::Postgres;
use report::Report;

/// Fault scenarios against the real binary.
#[derive(Parser)]
struct Arguments {
    /// Which scenarios; all when none is named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// The server's binary.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// What all choices come from; another one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// How often each scenario injects its fault.
    #[arg(long)]
    rounds: Option<usize>,
    /// Many rounds instead of a few.
    #[arg(long)]
    long: bool,
    /// On which engines.
    #[arg(long, value_enum, default_value = "both")]
    engine: Engines,
    /// The program of Prometheus Alertmanager, for the scenario of that name.
    #[arg(long, value_name = "FILE")]
    alertmanager: Option<PathBuf>,
    #[command(flatten)]
    postgres: Postgres,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engines {
    Sqlite,
    Postgres,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// kill -9 of the server under eight writers that repeat their calls.
    Kill,
    /// PostgreSQL killed under load, the server alive.
    PostgresKill,
    /// SIGTERM under load: sockets closed with 1012 and a cursor.
    Sigterm,
    /// A subscription resumed behind every frame.
    Resume,
    /// A list, and a subscription from its cursor, under writers.
    ListThenSubscribe,
    /// Readers that take nothing.
    SlowReader,
    /// A full disk beneath the embedded database.
    DiskFull,
    /// Three processes on one PostgreSQL, killed and ended in turn.
    Replicas,
    /// Escalations that are due together, three processes, some killed.
    Escalations,
    /// Recurring tickets that are due together, the processes killed meanwhile.
    Recurring,
    /// Reactions of one practice to another, the processes killed meanwhile.
    Reactions,
    /// Bulk changes, within calls and in the background, the server killed meanwhile.
    Bulk,
    /// Files of tickets, read and written in the background, the server killed meanwhile.
    Transfer,
    /// A storm of alerts on few incidents, the server killed in it.
    Alerts,
    /// Prometheus Alertmanager as a source of alerts, either side restarted.
    Alertmanager,
}

impl Scenario {
    const fn name(self) -> &'static str {
        match self {
            Scenario::Kill => "kill",
            Scenario::PostgresKill => "postgres-kill",
            Scenario::Sigterm => "sigterm",
            Scenario::Resume => "resume",
            Scenario::ListThenSubscribe => "list-then-subscribe",
            Scenario::SlowReader => "slow-reader",
            Scenario::DiskFull => "disk-full",
            Scenario::Replicas => "replicas",
            Scenario::Escalations => "escalations",
            Scenario::Recurring => "recurring",
            Scenario::Reactions => "reactions",
            Scenario::Bulk => "bulk",
            Scenario::Transfer => "transfer",
            Scenario::Alerts => "alerts",
            Scenario::Alertmanager => "alertmanager",
        }
    }

    /// On which engines there is something to see. What does not touch the database is seen on one in a short run.
    fn engines(self, arguments: &Arguments) -> &'static [Engine] {
        let brief = !arguments.long && arguments.engine == Engines::Both;
        match self {
            Scenario::SlowReader if brief => &[Engine::Sqlite],
            Scenario::PostgresKill | Scenario::Replicas | Scenario::Escalations => &[Engine::Postgres],
            Scenario::DiskFull => &[Engine::Sqlite],
            _ => &[Engine::Sqlite, Engine::Postgres],
        }
    }

    fn play(self, run: &Run) -> LocalBoxFuture<'_, Result<()>> {
        match self {
            Scenario::Kill => storm::kill(run).boxed_local(),
            Scenario::PostgresKill => storm::postgres_kill(run).boxed_local(),
            Scenario::Sigterm => storm::sigterm(run).boxed_local(),
            Scenario::Resume => resume::resume(run).boxed_local(),
            Scenario::ListThenSubscribe => queue::list_then_subscribe(run).boxed_local(),
            Scenario::SlowReader => slow::slow_reader(run).boxed_local(),
            Scenario::DiskFull => disk::disk_full(run).boxed_local(),
            Scenario::Replicas => replicas::replicas(run).boxed_local(),
            Scenario::Escalations => escalations::escalations(run).boxed_local(),
            Scenario::Recurring => recurring::recurring(run).boxed_local(),
            Scenario::Reactions => reactions::reactions(run).boxed_local(),
            Scenario::Bulk => bulk::bulk(run).boxed_local(),
            Scenario::Transfer => transfer::transfer(run).boxed_local(),
            Scenario::Alerts => alerts::alerts(run).boxed_local(),
            Scenario::Alertmanager => alertmanager::alertmanager(run).boxed_local(),
        }
    }
}

/// One scenario on one engine.
struct Run {
    engine: Engine,
    seed: u64,
    rounds: Option<usize>,
    long: bool,
    binary: PathBuf,
    postgres: Postgres,
    alertmanager: Option<PathBuf>,
    report: Arc<Report>,
}

impl Run {
    /// How many rounds: as asked for, or so many in a short or a long run.
    fn rounds(&self, short: usize, long: usize) -> usize {
        self.rounds.unwrap_or(if self.long { long } else { short })
    }

    fn rng(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    async fn place(&self, data: Option<&Path>) -> Result<Place> {
        Place::found(&self.binary, self.engine, data).await
    }
}

/// The stack of a thread, in bytes: that of the server, whose services make the company.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let outcome = runtime.context("the runtime cannot start").and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                outcome = run_all(&arguments) => outcome,
                outcome = interrupted() => outcome,
            }
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// So that everything is dropped, and with it every process ended.
async fn interrupted() -> Result<bool> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    bail!("interrupted")
}

async fn run_all(arguments: &Arguments) -> Result<bool> {
    let binary = std::path::absolute(&arguments.binary)?;
    let seed = arguments.seed.unwrap_or_else(|| kernel::random::below(u64::from(u32::MAX)));
    let named = |scenario: &Scenario| arguments.scenarios.is_empty() || arguments.scenarios.contains(scenario);
    let (mut runs, mut clean) = (Vec::new(), true);
    for scenario in Scenario::value_variants().iter().copied().filter(named) {
        for engine in scenario.engines(arguments).iter().copied() {
            let other = if engine == Engine::Sqlite { Engines::Postgres } else { Engines::Sqlite };
            if arguments.engine == other {
                continue;
            }
            let report = Arc::new(Report::new(scenario.name(), name(engine)));
            let run = Run {
                engine,
                seed,
                rounds: arguments.rounds,
                long: arguments.long,
                binary: binary.clone(),
                postgres: arguments.postgres.clone(),
                alertmanager: arguments.alertmanager.clone(),
                report: Arc::clone(&report),
            };
            match AssertUnwindSafe(scenario.play(&run)).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => report.violation(format!("{error:#}")),
                Err(_) => report.violation("the scenario failed; the reason is above"),
            }
            let told = report.json();
            eprintln!("faults: {told}");
            clean &= report.clean();
            runs.push(told);
        }
    }
    if runs.is_empty() {
        bail!("none of these scenarios runs on this engine");
    }
    println!("{}", json!({ "seed": seed, "long": arguments.long, "clean": clean, "runs": runs }));
    Ok(clean)
}

const fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    }
}
