//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::{admin, doctor, import, serve, sla, telemetry};

/// Deskwire: a headless IT service management platform. One GraphQL API, with live subscriptions.
///
/// To try it: `deskwire serve --demo`, then open the GraphiQL link that it prints.
#[derive(Debug, Parser)]
#[command(name = "deskwire", version, about, long_about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the API. Migrates an embedded database by itself.
    Serve(ServeArguments),
    /// Applies pending migrations to the database.
    Migrate(Common),
    /// Manages API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Manages users.
    #[command(subcommand)]
    User(UserCommand),
    /// Takes over tickets and their history from other systems.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Looks after the clocks of service levels.
    #[command(subcommand)]
    Sla(SlaCommand),
    /// Prints the GraphQL schema (SDL).
    Schema,
    /// Checks configuration, database, settings, disk and clock, and says what to do.
    Doctor(Common),
}

/// Where the configuration and the data are.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// Configuration file (TOML). Environment variables (DESKWIRE_…) go over it, flags over both.
    #[arg(long, value_name = "FILE", env = "DESKWIRE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of the embedded database [default: ./deskwire-data].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Use PostgreSQL instead of the embedded database: postgres://user:password@host:port/database
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

#[derive(Debug, Args)]
struct ServeArguments {
    #[command(flatten)]
    common: Common,
    /// Address and port to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Load a small demo company (once) and print a ready token for each role.
    #[arg(long)]
    demo: bool,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Makes an API token and prints it. It cannot be shown again.
    Create(TokenCreate),
}

/// Makes an API token.
#[derive(Debug, Args)]
pub struct TokenCreate {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The user's e-mail address.
    #[arg(long, value_name = "EMAIL")]
    pub(crate) user: String,
    /// The tenant's slug; needed only when there are several tenants.
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: Option<String>,
    /// What the token is for.
    #[arg(long, value_name = "NAME", default_value = "command line")]
    pub(crate) name: String,
    /// Narrows the token to this permission, such as `ticket.read` or `ticket.read:OWN`. May be repeated.
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// When the token stops working: an ISO 8601 duration from now, such as P30D.
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Makes a user; the first one of a new database makes the tenant too.
    Create(UserCreate),
}

/// Makes a user.
#[derive(Debug, Args)]
pub struct UserCreate {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The tenant's slug, such as `acme`. Made when the database has no tenant yet.
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: String,
    /// Make the tenant even if the database has others.
    #[arg(long)]
    pub(crate) create_tenant: bool,
    /// The user's e-mail address.
    #[arg(long, value_name = "EMAIL")]
    pub(crate) email: String,
    /// The user's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// A role: requester, agent, team_lead, administrator or auditor. May be repeated.
    #[arg(long, value_name = "ROLE", required = true)]
    pub(crate) role: Vec<String>,
    /// Read the password from standard input (its first line).
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Imports a CSV file (or one compressed with gzip) of tickets' histories.
    Csv(ImportCsv),
    /// Prints a mapping that comes with Deskwire, to start from; without a name, what there is.
    Mapping {
        /// Its name.
        name: Option<String>,
    },
}

/// Imports a file of tickets' histories: each row is what a ticket was after one update.
///
/// A mapping says what becomes of each column: fields, values, workflow states, users, teams, categories. Users, teams and
/// categories that are missing are made. Each row becomes one event of the ticket's history, at its own time and by its own
/// author. Running the same import again changes nothing, and takes up one that was stopped. Rows that cannot be taken over
/// are put aside, with the reason in the report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  deskwire import csv incidents.csv.gz --mapping servicenow-incident-log --tenant acme --dry-run
  deskwire import csv incidents.csv.gz --mapping servicenow-incident-log --tenant acme --report aside.jsonl
  deskwire import mapping servicenow-incident-log > mine.toml")]
pub struct ImportCsv {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The file.
    pub(crate) file: PathBuf,
    /// The mapping: a TOML file, or the name of one that comes with Deskwire.
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) mapping: String,
    /// The tenant's slug; made when the database has no tenant yet. Needed when there is not exactly one.
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: Option<String>,
    /// Do everything and store nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write down each row that is put aside, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum SlaCommand {
    /// Computes every clock anew from the event log and compares it with what is stored.
    Verify(SlaVerify),
}

/// Computes every clock anew from the event log and compares it with what is stored.
///
/// A clock is a function of its ticket's events and of the versions of policies and calendars that hold for the ticket. What is
/// stored of it is only where that computation stood after the last event. This command does it all again, from each ticket's
/// first event, and prints each clock that differs. It changes nothing, and works beside a running server.
///
/// There is nothing to repair in daily use: run it after a restore, after a move to another database, or when somebody doubts a
/// due time. A difference means that the database was changed by other means than Deskwire, or a fault of Deskwire.
///
/// Ends with 1 when there is a difference.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  deskwire sla verify
  deskwire sla verify --tenant acme --json | jq .differing")]
pub struct SlaVerify {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The tenant's slug; all tenants, when absent.
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: Option<String>,
    /// Print JSON: one line for each tenant.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The stack of a thread, in bytes: four times the usual, so that the deepest input within the limits is far from its end.
const STACK: usize = 8 << 20;

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let outcome = runtime.context("the runtime cannot start").and_then(|runtime| runtime.block_on(cli.run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, with what to do about it.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Serve(arguments) => {
                let mut config = Config::load(&arguments.common)?;
                if let Some(listen) = arguments.listen {
                    config.listen = listen;
                }
                let _telemetry = telemetry::start(&config)?;
                serve::run(config, arguments.demo).await
            }
            Command::Migrate(common) => {
                let config = Config::load(&common)?;
                let _telemetry = telemetry::start(&config)?;
                admin::migrate(&config).await
            }
            Command::Token(TokenCommand::Create(arguments)) => admin::create_token(arguments).await,
            Command::User(UserCommand::Create(arguments)) => admin::create_user(arguments).await,
            Command::Import(ImportCommand::Csv(arguments)) => import::csv(arguments).await,
            Command::Import(ImportCommand::Mapping { name }) => import::print_mapping(name.as_deref()),
            Command::Sla(SlaCommand::Verify(arguments)) => sla::verify(arguments).await,
            Command::Schema => {
                print!("{}", gateway::schema::sdl());
                Ok(())
            }
            Command::Doctor(common) => doctor::run(&common).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
