//! Where the data is and how much of everything is allowed: engine, location, limits.

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::DbBackend;

/// Which database engine holds the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// SQLite, embedded in the process: one file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl Engine {
    /// The same, as sea-orm calls it.
    pub const fn backend(self) -> DbBackend {
        match self {
            Engine::Sqlite => DbBackend::Sqlite,
            Engine::Postgres => DbBackend::Postgres,
        }
    }
}

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file; made when it does not exist (its folder must).
    Sqlite {
        /// The database file.
        file: PathBuf,
    },
    /// A PostgreSQL database.
    Postgres {
        /// `postgres://user:password@host:port/database?sslmode=…`
        url: String,
    },
}

/// Without the address of a server: it may hold a password.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::Sqlite { file } => f.debug_struct("Sqlite").field("file", file).finish(),
            Location::Postgres { .. } => f.debug_struct("Postgres").finish_non_exhaustive(),
        }
    }
}

impl Location {
    /// The engine that serves this location.
    pub const fn engine(&self) -> Engine {
        match self {
            Location::Sqlite { .. } => Engine::Sqlite,
            Location::Postgres { .. } => Engine::Postgres,
        }
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where the data is.
    pub location: Location,
    /// SQLite: how many read-only connections, at least 1.
    pub readers: u32,
    /// PostgreSQL: how many connections for reads and writes together, at least 2. Two more serve the event log.
    pub pool: u32,
    /// SQLite: further settings of every connection (`cache_size`, `mmap_size` …). Unsafe ones are refused at start-up.
    pub pragmas: Vec<(String, String)>,
    /// Bounds on time and number.
    pub limits: Limits,
}

/// The default of [`StoreConfig::readers`].
pub const DEFAULT_READERS: u32 = 4;
/// The default of [`StoreConfig::pool`].
pub const DEFAULT_POOL: u32 = 10;

impl StoreConfig {
    /// A store at this location, everything else as by default.
    pub fn new(location: Location) -> Self {
        Self { location, readers: DEFAULT_READERS, pool: DEFAULT_POOL, pragmas: Vec::new(), limits: Limits::default() }
    }

    /// A SQLite store in this file.
    pub fn sqlite(file: impl Into<PathBuf>) -> Self {
        Self::new(Location::Sqlite { file: file.into() })
    }

    /// A PostgreSQL store at this address.
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::new(Location::Postgres { url: url.into() })
    }
}

/// Bounds on time and number, each with its default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long the closure of one write may take, each time it is run: 2 s.
    pub closure_deadline: Duration,
    /// How long one statement may take: 5 s.
    pub statement_timeout: Duration,
    /// How long a statement waits for a row lock, and a call for an earlier one with the same idempotency key: 2 s.
    pub lock_wait: Duration,
    /// How long to wait for a connection of the pool, or for another process to let go of a SQLite file: 5 s.
    pub acquire_timeout: Duration,
    /// SQLite: how many writes share a commit at most: 100.
    pub group_members: usize,
    /// SQLite: how long a group stays open for writes that were not yet waiting: 2 ms.
    pub group_window: Duration,
    /// SQLite: how many writes may wait for the writer before more are refused: 1,024.
    pub write_queue: usize,
    /// How often the closure of one write is run at most, the first time included: 5.
    pub write_attempts: u32,
    /// How often the log looks for news that no wake-up told of: 250 ms.
    pub log_poll: Duration,
    /// PostgreSQL: how many events are numbered at once: 500.
    pub sequencer_batch: u32,
    /// How long idempotency records are kept: 24 h.
    pub idempotency_keep: Duration,
    /// How many idempotency records one run of the expiry deletes at most: 1,000.
    pub idempotency_expire_batch: u32,
    /// How far back log cursors reach, and how long events live that go with their age: 30 days; `None`: for ever.
    pub log_retention: Option<Duration>,
    /// How many events one run of the log's retention looks at: 10,000.
    pub forget_batch: u32,
    /// How often workers look for due jobs that no wake-up told of: 250 ms.
    pub job_poll: Duration,
    /// How long a claimed job is left to its worker after the last sign of life: 60 s.
    pub job_lease: Duration,
    /// How many jobs one worker loop runs at the same time: 4.
    pub job_concurrency: usize,
    /// How often a job is tried before it is put aside as failed: 10.
    pub job_attempts: u32,
    /// The pause after a job's first failure, doubled with each further one: 1 s.
    pub job_backoff: Duration,
    /// The longest pause between two attempts of a job: 1 h.
    pub job_backoff_cap: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            closure_deadline: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            lock_wait: Duration::from_secs(2),
            acquire_timeout: Duration::from_secs(5),
            group_members: 100,
            group_window: Duration::from_millis(2),
            write_queue: 1_024,
            write_attempts: 5,
            log_poll: Duration::from_millis(250),
            sequencer_batch: 500,
            idempotency_keep: Duration::from_secs(24 * 60 * 60),
            idempotency_expire_batch: 1_000,
            log_retention: Some(Duration::from_secs(30 * 24 * 60 * 60)),
            forget_batch: 10_000,
            job_poll: Duration::from_millis(250),
            job_lease: Duration::from_secs(60),
            job_concurrency: 4,
            job_attempts: 10,
            job_backoff: Duration::from_secs(1),
            job_backoff_cap: Duration::from_secs(60 * 60),
        }
    }
}

/// The longest idempotency key, in characters.
pub const MAX_IDEMPOTENCY_KEY: usize = 255;
/// How many events one write may emit.
pub const MAX_EVENTS_PER_WRITE: usize = 1_000;
/// How many jobs one write may enqueue.
pub const MAX_JOBS_PER_WRITE: usize = 1_000;
/// How many events one read of the log answers at most.
pub const MAX_LOG_READ: u32 = 1_000;
