//! A fresh, migrated store on each engine, for the tests of every crate.
//!
//! The schema is made once per state of the migrations and copied for each test: a file for SQLite, a template
//! database on the PostgreSQL server that `DESKWIRE_TEST_POSTGRES_URL` names (`cargo xtask test` starts one).

use std::fs::{self, File};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use sha2::{Digest, Sha256};
use store::kernel::{Clock, ManualClock, Timestamp, Uuid, random};
use store::{Engine, Store, StoreConfig};

/// The environment variable that names the PostgreSQL server for tests, as a URL whose user may create databases.
pub const POSTGRES_URL: &str = "DESKWIRE_TEST_POSTGRES_URL";

/// The instant at which each test's clock stands at first.
pub const START: &str = "2026-01-05T09:00:00Z";

/// A store for one test, and what it was opened with.
pub struct TestStore {
    /// The store, open and migrated, as a server has it.
    pub store: Store,
    /// Its clock; stands at [`START`] until moved.
    pub clock: ManualClock,
    /// How it was opened. To open a second store on the same database, use [`TestStore::beside`].
    pub config: StoreConfig,
}

impl TestStore {
    /// A second store on the same database, as another process would have it, on the same clock.
    pub async fn beside(&self) -> Store {
        Store::open_beside(self.config.clone(), Clock::Manual(self.clock.clone()))
            .await
            .expect("the database was opened before")
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Runs a test on SQLite, then on PostgreSQL, each time with a fresh database that is deleted afterwards.
///
/// # Panics
/// When the test does, or when there is no PostgreSQL server to test on.
pub async fn each_engine<F, R>(test: F)
where
    F: Fn(TestStore) -> R,
    R: Future<Output = ()>,
{
    each_engine_with(|_| {}, test).await;
}

/// The same, with changes to how the store is opened.
///
/// # Panics
/// When the test does, or when there is no PostgreSQL server to test on.
pub async fn each_engine_with<F, R>(configure: impl Fn(&mut StoreConfig), test: F)
where
    F: Fn(TestStore) -> R,
    R: Future<Output = ()>,
{
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = TestDatabase::create(engine).await;
        let mut config = database.config();
        configure(&mut config);
        let outcome = AssertUnwindSafe(async { test(open(config).await).await }).catch_unwind().await;
        database.delete().await;
        if let Err(panic) = outcome {
            eprintln!("the test failed on {engine:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

async fn open(config: StoreConfig) -> TestStore {
    let start: Timestamp = store::time::parse(START).expect("START is a time");
    let clock = ManualClock::starting_at(start);
    let store =
        Store::open(config.clone(), Clock::Manual(clock.clone())).await.expect("a fresh database can be opened");
    TestStore { store, clock, config }
}

/// A migrated database of its own; lives until [`TestDatabase::delete`].
pub enum TestDatabase {
    /// A file in a folder of its own.
    Sqlite {
        /// Deleted when dropped.
        folder: tempfile::TempDir,
    },
    /// A database on the test server.
    Postgres {
        /// Its name.
        name: String,
    },
}

impl TestDatabase {
    /// Makes one from the engine's template.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn create(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary folder can be made");
                let template = sqlite_template().await;
                fs::copy(template, folder.path().join("deskwire.db")).expect("the template can be copied");
                TestDatabase::Sqlite { folder }
            }
            Engine::Postgres => {
                let name = format!("deskwire_test_{}", Uuid::from_bytes(random::bytes()).simple());
                let admin = admin().await;
                let template = postgres_template(&admin).await;
                run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
                store::disconnect(admin).await;
                TestDatabase::Postgres { name }
            }
        }
    }

    /// Makes one that was never migrated.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn empty(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                TestDatabase::Sqlite { folder: tempfile::tempdir().expect("a temporary folder can be made") }
            }
            Engine::Postgres => {
                let name = format!("deskwire_test_{}", Uuid::from_bytes(random::bytes()).simple());
                let admin = admin().await;
                run(&admin, &format!("CREATE DATABASE {name}")).await;
                store::disconnect(admin).await;
                TestDatabase::Postgres { name }
            }
        }
    }

    /// How to open it.
    pub fn config(&self) -> StoreConfig {
        match self {
            TestDatabase::Sqlite { folder } => StoreConfig::sqlite(folder.path().join("deskwire.db")),
            TestDatabase::Postgres { name } => StoreConfig::postgres(url_of(name)),
        }
    }

    /// Another database with the same content; nobody is connected to this one. SQLite: the file is the caller's to copy.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn copy(&self) -> Self {
        match self {
            TestDatabase::Sqlite { .. } => Self::create(Engine::Sqlite).await,
            TestDatabase::Postgres { name: original } => {
                let name = format!("deskwire_test_{}", Uuid::from_bytes(random::bytes()).simple());
                let admin = admin().await;
                run(&admin, &format!("CREATE DATABASE {name} TEMPLATE {original}")).await;
                store::disconnect(admin).await;
                TestDatabase::Postgres { name }
            }
        }
    }

    /// Deletes it, whoever is still connected.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn delete(self) {
        if let TestDatabase::Postgres { name } = self {
            let admin = admin().await;
            run(&admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            store::disconnect(admin).await;
        }
    }
}

fn server_url() -> String {
    std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!(
            "{POSTGRES_URL} is not set, and tests run on PostgreSQL too: run `cargo xtask test`, which starts a server, \
             or set it to the URL of one whose user may create databases"
        )
    })
}

/// The server's URL with another database.
fn url_of(database: &str) -> String {
    let url = server_url();
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url.as_str(), String::new()),
    };
    let scheme = address.find("://").map_or(0, |at| at + 3);
    let server = address[scheme..].find('/').map_or(address, |at| &address[..scheme + at]);
    format!("{server}/{database}{parameters}")
}

async fn admin() -> DatabaseConnection {
    store::connect_alone(&StoreConfig::postgres(server_url()))
        .await
        .unwrap_or_else(|error| panic!("the PostgreSQL server that {POSTGRES_URL} names does not answer: {error}"))
}

async fn run(connection: &DatabaseConnection, sql: &str) {
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Changes with every change of a migration, so that a template is never stale.
fn schema_hash() -> String {
    let mut hash = Sha256::new();
    for migration in crate::ALL {
        for part in [migration.name, migration.up] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The migrated file to copy, made by the first test that needs it.
async fn sqlite_template() -> PathBuf {
    let hash = schema_hash();
    let template = std::env::temp_dir().join(format!("deskwire-test-template-{hash}.db"));
    if template.exists() {
        return template;
    }
    let guard = File::create(template.with_extension("guard")).expect("the temporary folder can be written to");
    guard.lock().expect("a lock in the temporary folder can be taken");
    if !template.exists() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("deskwire.db");
        migrate(&StoreConfig::sqlite(&file)).await;
        publish(&file, &template);
    }
    template
}

/// Puts the finished file in its place at once, so that nobody copies half of it.
fn publish(file: &Path, template: &Path) {
    let complete = template.with_extension(format!("{}.part", std::process::id()));
    fs::copy(file, &complete).expect("the template can be copied");
    fs::rename(&complete, template).expect("the template can be renamed");
}

async fn migrate(config: &StoreConfig) {
    crate::migrate(config, &Clock::System).await.expect("an empty database can be migrated");
}

/// The name of the migrated database to copy, made by the first test that needs it.
async fn postgres_template(admin: &DatabaseConnection) -> String {
    let name = format!("deskwire_template_{}", schema_hash());
    if exists(admin, &name).await {
        return name;
    }
    let built = store::exclusively(admin, async {
        if !exists(admin, &name).await {
            let building = format!("{name}_building");
            run(admin, &format!("DROP DATABASE IF EXISTS {building} WITH (FORCE)")).await;
            run(admin, &format!("CREATE DATABASE {building}")).await;
            migrate(&StoreConfig::postgres(url_of(&building))).await;
            run(admin, &format!("ALTER DATABASE {building} RENAME TO {name}")).await;
        }
        Ok(())
    });
    built.await.expect("an advisory lock can be taken");
    name
}

async fn exists(admin: &DatabaseConnection, name: &str) -> bool {
    let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
    let statement = Statement::from_sql_and_values(Engine::Postgres.backend(), sql, [name.into()]);
    admin.query_one_raw(statement).await.expect("the catalogue can be read").is_some()
}
