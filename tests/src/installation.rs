//! A server on a database of its own.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use access::{PasswordCost, Settings};
use deskwire::config::{Config, DATABASE_FILE};
use deskwire::serve::Server;
use futures_util::FutureExt;
use gateway::door::{Limits, Milliseconds};
use gateway::files::Files;
use gateway::platform::Platform;
use kernel::{Clock, ManualClock};
use migrations::testing::{START, TestDatabase};
use serde_json::{Value, json};
use store::{DriverConnection, Engine, Location, Store, StoreConfig};
use tempfile::TempDir;

use crate::client::Client;
use crate::company::{self, Company};

/// A running server, and what it stands on.
pub struct Installation {
    /// The engine beneath.
    pub engine: Engine,
    /// The server's clock; stands at [`START`] until moved.
    pub clock: ManualClock,
    /// What the server was started with.
    pub config: Config,
    database: TestDatabase,
    /// The folder of its files.
    _files: TempDir,
    server: Option<Server>,
}

/// Limits with the short times of a test, and a rate that no test reaches.
pub fn limits() -> Limits {
    Limits {
        drain_notice: Milliseconds(0),
        request_burst: 10_000_000,
        reauthentication_interval: Milliseconds(200),
        ..Limits::default()
    }
}

/// Passwords that cost nothing.
pub fn settings() -> Settings {
    let password_cost = PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 };
    Settings { password_cost, shortest_password: deskwire::demo::PASSWORD.len(), ..Settings::default() }
}

/// Plays a scenario on SQLite, then on PostgreSQL, each time on a fresh server with a [`Company`] in it.
///
/// # Panics
/// When the scenario does.
pub async fn each_engine<F>(scenario: F)
where
    F: AsyncFn(&mut Installation, Company),
{
    each_engine_with(|_| {}, scenario).await;
}

/// The same, with changes to the configuration.
///
/// # Panics
/// When the scenario does.
pub async fn each_engine_with<F>(configure: impl Fn(&mut Config), scenario: F)
where
    F: AsyncFn(&mut Installation, Company),
{
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let mut installation = Installation::start(engine, &configure).await;
        let company = company::found(installation.platform(), "acme").await;
        let outcome = AssertUnwindSafe(scenario(&mut installation, company)).catch_unwind().await;
        installation.delete().await;
        if let Err(panic) = outcome {
            eprintln!("the scenario failed on {engine:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

impl Installation {
    /// Starts a server on a fresh database.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn start(engine: Engine, configure: impl Fn(&mut Config)) -> Self {
        Self::on(TestDatabase::create(engine).await, engine, configure).await
    }

    async fn on(database: TestDatabase, engine: Engine, configure: impl Fn(&mut Config)) -> Self {
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            limits: limits(),
            jobs: false,
            readers: 2,
            pool: 4,
            ..Config::default()
        };
        match database.config().location {
            Location::Sqlite { file } => {
                config.data = file.parent().expect("the file is in a folder").to_owned();
                if file.exists() {
                    std::fs::rename(&file, config.data.join(DATABASE_FILE)).expect("the database can be renamed");
                }
            }
            Location::Postgres { url } => config.database_url = url,
        }
        let files = tempfile::tempdir().expect("a folder for files");
        config.files.folder = files.path().to_owned();
        configure(&mut config);
        let clock = ManualClock::starting_at(store::time::parse(START).expect("START is a time"));
        let mut installation = Self { engine, clock, config, database, _files: files, server: None };
        installation.restart().await;
        installation
    }

    /// Stops the server, as on SIGTERM.
    ///
    /// # Panics
    /// When it ended badly.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.expect("the server ends well");
        }
    }

    /// Stops the server, if it runs, and starts it again on the same database.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.server = Some(self.another().await);
    }

    /// Another server on the same database: a second replica on PostgreSQL.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn another(&self) -> Server {
        let clock = Clock::Manual(self.clock.clone());
        Server::start(self.config.clone(), clock, settings()).await.expect("the server starts")
    }

    /// The running server.
    ///
    /// # Panics
    /// When it was stopped.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// The running server's services.
    pub fn platform(&self) -> &Platform {
        self.server().platform()
    }

    /// The running server's store.
    pub fn store(&self) -> &Store {
        self.platform().tickets.store()
    }

    /// The log's end as this client is told it, all that was acknowledged being in the log.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub async fn log_end(&self, client: &Client) -> Value {
        // On PostgreSQL events are numbered a moment after the commit that wrote them.
        self.store().number_events().await.expect("events can be numbered");
        client.ask("{ tickets { logCursor } }", json!({})).await["tickets"]["logCursor"].take()
    }

    /// The running server's address.
    pub fn address(&self) -> SocketAddr {
        self.server().address()
    }

    /// A client without credentials.
    pub fn stranger(&self) -> Client {
        Client::new(self.address(), None)
    }

    /// A client with this token.
    pub fn client(&self, token: &str) -> Client {
        Client::new(self.address(), Some(token))
    }

    /// Where its files are, for a platform beside the server.
    pub fn files(&self) -> Files {
        self.config.files().expect("the folder can be used")
    }

    /// How the database is opened beside the server.
    pub fn store_config(&self) -> StoreConfig {
        self.config.store().expect("the configuration names a database")
    }

    /// Changes the stopped server's database behind the platform's back.
    ///
    /// # Panics
    /// When a statement does not hold.
    pub async fn tamper(&self, statements: &[String]) {
        assert!(self.server.is_none(), "the server is stopped first");
        let connection = store::connect_alone(&self.store_config()).await.expect("the database opens");
        for statement in statements {
            if let Err(error) = connection.execute_unprepared(statement).await {
                panic!("{statement}: {error}");
            }
        }
        store::disconnect(connection).await;
    }

    /// A copy of the stopped server's database with a server of its own, whose clock stands where this one's does.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn copy(&self, tamper: &[String]) -> Self {
        assert!(self.server.is_none(), "the server is stopped first");
        let database = match &self.database {
            TestDatabase::Sqlite { .. } => {
                let database = TestDatabase::create(Engine::Sqlite).await;
                let Location::Sqlite { file } = database.config().location else { unreachable!("it is SQLite") };
                let ours: PathBuf = self.config.data.join(DATABASE_FILE);
                for suffix in ["-wal", "-shm"] {
                    let leftover = PathBuf::from(format!("{}{suffix}", ours.display()));
                    assert!(!leftover.exists(), "a closed database has no journal");
                }
                std::fs::copy(ours, file).expect("the database can be copied");
                database
            }
            TestDatabase::Postgres { .. } => self.database.copy().await,
        };
        let limits = self.config.limits.clone();
        let mut copy = Self::on(database, self.engine, |config| config.limits = limits.clone()).await;
        copy.stop().await;
        copy.clock.advance(self.clock.now() - copy.clock.now());
        copy.tamper(tamper).await;
        copy.restart().await;
        copy
    }

    /// Stops the server and deletes its database.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn delete(mut self) {
        self.stop().await;
        self.database.delete().await;
    }
}
