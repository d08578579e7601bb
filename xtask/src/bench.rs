//! `cargo xtask bench`: the release build under load, on data sets of its own, beside the limits of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::postgres::Postgres;
use crate::process;
use crate::workspace;

/// PostgreSQL as a careful installation on a small machine has it; what is written survives a crash. The same for our server
/// and for pgbench.
const SETTINGS: [(&str, &str); 9] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "1GB"),
    ("effective_cache_size", "4GB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("random_page_cost", "1.1"),
    // The statements that an operation sends are read from the log by process and application.
    ("log_line_prefix", "%p %a "),
];
/// While the data set is loaded nothing has to survive.
const LOADING: [(&str, &str); 3] =
    [("shared_buffers", "1GB"), ("max_wal_size", "8GB"), ("maintenance_work_mem", "256MB")];
/// The scale of everything but growth.
const SCALE: u64 = 100_000;
/// What growth is measured at beside [`SCALE`].
const SMALL_SCALE: u64 = 10_000;
/// Sockets of the fan-out on both sides, with room to spare.
const OPEN_FILES: u32 = 16_384;

/// Which database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Postgres,
    Sqlite,
}

/// Measure the release build beside the limits of this machine
///
/// Loads the data set (seed 42: tickets, 1,000 users, 50 teams, five comments a ticket) once and keeps it in target/bench.
/// Drives the release binary with a load generator of its own, access control on, and in the same run pgbench with the same
/// statements, prepared. Interleaved; quoted are medians with ranges beside an A/A row. Reading the figures:
/// docs/performance.md.
#[derive(clap::Args)]
#[command(
    after_help = "Rows: bare, ticket, ticket-lead, ticket-agents, queue, search, search-broad, create, transition,
transition-sla, alerts, bulk, fanout, start; growth only by name.

Examples:
  cargo xtask bench
  cargo xtask bench ticket queue --engine postgres
  cargo xtask bench fanout --seconds 5 --repetitions 3
  cargo xtask bench growth --scale 1000000
  cargo xtask bench --quick --json target/bench.json"
)]
pub struct Arguments {
    /// Which rows; all but growth when absent.
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// On one engine only.
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Tickets in the data set, 10000, 100000 or 1000000. For growth the largest.
    #[arg(long, default_value_t = SCALE)]
    scale: u64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often each is repeated.
    #[arg(long, default_value_t = 5)]
    repetitions: u32,
    /// Connections at once, several separated by commas.
    #[arg(long, default_value = "16")]
    connections: String,
    /// Requests a second, instead of as many as are answered.
    #[arg(long)]
    rate: Option<f64>,
    /// Subscribers of the fan-out.
    #[arg(long, default_value_t = 1_000)]
    subscribers: u32,
    /// Changes a second of the fan-out.
    #[arg(long, default_value_t = 40)]
    updates: u32,
    /// The small data set, one second, one repetition: shows that everything works, and measures nothing.
    #[arg(long)]
    quick: bool,
    /// The profile to build with: release, or dist with link-time optimisation.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Drive this server binary instead of the one that is built.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Write the rows as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Builds, loads, measures.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (binary, program) = workspace::bench_binaries(&arguments.profile)?;
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => binary,
    };
    let fingerprint = process::output(Command::new(&program).arg("fingerprint").stdout(std::process::Stdio::piped()))?;
    let cache = workspace::target()?.join("bench").join(fingerprint.trim());
    fs::create_dir_all(&cache)?;
    let mut places = Vec::new();
    for scale in scales(arguments) {
        for engine in [Engine::Postgres, Engine::Sqlite] {
            if arguments.engine.is_none_or(|wanted| wanted == engine) {
                places.push(Place::open(engine, scale, &program, &cache)?);
            }
        }
    }
    let setup = json!({
        "binary": binary,
        "pgbench": places.iter().find_map(|place| place.postgres.as_ref()?.installed("pgbench")),
        "places": places.iter().map(Place::described).collect::<Result<Vec<_>>>()?,
    });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("setup.json");
    fs::write(&file, setup.to_string())?;
    process::run(&mut command(&program, &file, arguments))
}

fn scales(arguments: &Arguments) -> Vec<u64> {
    let largest = if arguments.quick { SMALL_SCALE } else { arguments.scale };
    let mut scales = vec![largest];
    if arguments.rows.iter().any(|row| row == "growth") {
        scales.extend([SMALL_SCALE, SCALE].into_iter().filter(|scale| *scale < largest));
    }
    scales.sort_unstable();
    scales
}

fn command(program: &Path, setup: &Path, arguments: &Arguments) -> Command {
    let (seconds, repetitions) = if arguments.quick { (1, 1) } else { (arguments.seconds, arguments.repetitions) };
    // The shell raises the limit of open files, as far as the system lets it.
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n {OPEN_FILES} 2>/dev/null; exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["run", "--setup"])
        .arg(setup)
        .args(["--seconds", &seconds.to_string(), "--repetitions", &repetitions.to_string()])
        .args(["--connections", &arguments.connections])
        .args(["--subscribers", &arguments.subscribers.to_string(), "--updates", &arguments.updates.to_string()]);
    if let Some(rate) = arguments.rate {
        command.args(["--rate", &rate.to_string()]);
    }
    if let Some(file) = &arguments.json {
        command.arg("--json").arg(file);
    }
    command.args(&arguments.rows);
    command
}

/// A database with its data set, a fresh copy for this run.
struct Place {
    engine: Engine,
    scale: u64,
    folder: TempDir,
    postgres: Option<Postgres>,
}

impl Place {
    fn open(engine: Engine, scale: u64, program: &Path, cache: &Path) -> Result<Self> {
        let saved = cache.join(format!("{}-{scale}", if engine == Engine::Postgres { "postgres" } else { "sqlite" }));
        // Written last: without it the folder is half of a data set.
        let complete = saved.join("complete");
        if !complete.is_file() {
            if saved.exists() {
                fs::remove_dir_all(&saved)?;
            }
            eprintln!("xtask: loading {scale} tickets into {engine:?}; that is done once");
            load(engine, scale, program, &saved)?;
            fs::write(&complete, "")?;
        }
        let folder = tempfile::Builder::new().prefix("deskwire-bench-").tempdir()?;
        fs::copy(saved.join("manifest.json"), folder.path().join("manifest.json"))?;
        let postgres = match engine {
            Engine::Postgres => Some(Postgres::start_from(&saved, &owned(&SETTINGS))?),
            Engine::Sqlite => {
                fs::copy(saved.join("deskwire.sqlite"), folder.path().join("deskwire.sqlite"))?;
                None
            }
        };
        Ok(Self { engine, scale, folder, postgres })
    }

    fn described(&self) -> Result<Value> {
        let postgres = self.postgres.as_ref();
        Ok(json!({
            "engine": if self.engine == Engine::Postgres { "postgres" } else { "sqlite" },
            "tickets": self.scale,
            "folder": self.folder.path(),
            "url": postgres.map(Postgres::url),
            "postmaster": postgres.map(Postgres::postmaster).transpose()?,
            "log": postgres.map(Postgres::log),
        }))
    }
}

fn load(engine: Engine, scale: u64, program: &Path, saved: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("deskwire-bench-").tempdir()?;
    let mut command = Command::new(program);
    command.args(["data", "--tickets", &scale.to_string(), "--folder"]).arg(folder.path());
    let kept: &[&str] = match engine {
        Engine::Postgres => {
            let postgres = Postgres::start(&owned(&LOADING))?;
            process::run(command.args(["--database-url", &postgres.url()]))?;
            postgres.save(saved)?;
            &["manifest.json"]
        }
        Engine::Sqlite => {
            process::run(&mut command)?;
            fs::create_dir_all(saved)?;
            &["manifest.json", "deskwire.sqlite"]
        }
    };
    for name in kept {
        fs::copy(folder.path().join(name), saved.join(name)).with_context(|| format!("cannot keep {name}"))?;
    }
    Ok(())
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
