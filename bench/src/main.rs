//! The benchmark's program: loads data sets, makes load, compares, reports. `cargo xtask bench` builds and runs it.

mod alerts;
mod asking;
mod bare;
mod bulk;
mod capture;
mod data;
mod fanout;
mod load;
mod pgbench;
mod random;
mod report;
mod run;
mod server;
mod setup;
mod transfer;
mod transition;
mod usage;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::data::{Scale, build};
use crate::run::{Kind, Protocol};
use crate::setup::{Engine, Setup};

/// Measures Deskwire; `cargo xtask bench` prepares what it needs.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what a data set of this program is known by.
    Fingerprint,
    /// Loads the data set into an empty database.
    Data(DataArguments),
    /// Measures.
    Run(RunArguments),
    /// Serves the bare JSON endpoint.
    Bare {
        /// Where.
        address: String,
    },
}

#[derive(Debug, Args)]
struct DataArguments {
    /// How many tickets.
    #[arg(long)]
    tickets: u64,
    /// Where the manifest goes, and without a URL the SQLite database.
    #[arg(long)]
    folder: PathBuf,
    /// An empty PostgreSQL database.
    #[arg(long)]
    database_url: Option<String>,
}

#[derive(Debug, Args)]
struct RunArguments {
    /// What has been prepared, a JSON file.
    #[arg(long)]
    setup: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often each is repeated.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Connections at once.
    #[arg(long, value_delimiter = ',', default_value = "16")]
    connections: Vec<usize>,
    /// Requests a second, instead of as many as are answered.
    #[arg(long)]
    rate: Option<f64>,
    /// Subscribers of the fan-out.
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Changes a second of the fan-out.
    #[arg(long, default_value_t = 40.0)]
    updates: f64,
    /// Where the rows go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Which rows; all when absent.
    #[arg(value_enum)]
    rows: Vec<Kind>,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Fingerprint => {
            println!("{}", build::fingerprint());
            Ok(())
        }
        Command::Data(arguments) => load_data(&arguments),
        Command::Run(arguments) => run_rows(&arguments),
        Command::Bare { address } => bare::serve(&address),
    }
}

fn load_data(arguments: &DataArguments) -> Result<()> {
    let scale = Scale::new(arguments.tickets)?;
    let config = build::config_of(arguments.database_url.as_deref(), &arguments.folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(build::build(config, scale, &arguments.folder.join("manifest.json")))
}

fn run_rows(arguments: &RunArguments) -> Result<()> {
    ensure!(arguments.repetitions > 0 && arguments.seconds > 0, "nothing is measured in no time");
    let setup = Setup::read(&arguments.setup)?;
    let protocol = Protocol {
        duration: Duration::from_secs(arguments.seconds),
        repetitions: arguments.repetitions,
        subscribers: arguments.subscribers,
        updates: arguments.updates,
    };
    let all = [
        Kind::Bare,
        Kind::Ticket,
        Kind::TicketLead,
        Kind::TicketAgents,
        Kind::Queue,
        Kind::Search,
        Kind::SearchBroad,
        Kind::Create,
        Kind::Transition,
        Kind::TransitionSla,
        Kind::Alerts,
        Kind::Fanout,
        Kind::Start,
    ];
    let kinds = if arguments.rows.is_empty() { &all[..] } else { &arguments.rows };
    let mut rows = Vec::new();
    for kind in kinds {
        for place in places(&setup, *kind) {
            let several: &[usize] = match kind {
                Kind::Start | Kind::Fanout | Kind::Growth => &[0],
                _ => &arguments.connections,
            };
            for connections in several {
                for row in run::row(&setup, place, *kind, *connections, arguments.rate, protocol)? {
                    println!("{}", row.text());
                    rows.push(row);
                }
            }
        }
    }
    match &arguments.json {
        Some(file) => run::write_json(file, &rows),
        None => Ok(()),
    }
}

/// Where a row is measured: growth at every scale, the others at the largest; what has no database, once.
fn places(setup: &Setup, kind: Kind) -> Vec<&setup::Place> {
    let largest = setup.places.iter().map(|place| place.tickets).max().unwrap_or(0);
    let mut places: Vec<_> =
        setup.places.iter().filter(|place| kind == Kind::Growth || place.tickets == largest).collect();
    places.sort_by_key(|place| (place.engine == Engine::Sqlite, place.tickets));
    if kind == Kind::Bare {
        places.truncate(1);
    }
    places
}
