//! The database's schema: a linear list of migrations, each one text for both engines.
//!
//! A migration is SQL whose types are words in braces (see [`sql`]), runs inside one transaction, and is
//! never changed once it is released. There is no way back but a backup.
//!
//! [`open`] is how the server opens its database: it migrates an embedded one by itself, asks for
//! `deskwire migrate` on a server, and refuses one that a newer version has migrated.

pub mod m0001_platform;
pub mod m0002_access;
pub mod m0003_ticket;
pub mod m0004_configuration;
pub mod m0005_links;
pub mod m0006_tasks;
pub mod m0007_approvals;
pub mod m0008_saved_filters;
pub mod m0009_workflows;
pub mod m0010_custom_fields;
pub mod m0011_service_levels;
pub mod m0012_operations;
pub mod m0013_agreements;
pub mod m0014_alerts;
pub mod m0015_clocks_of_tickets;
pub mod m0016_major_incidents;
pub mod m0017_acknowledgement;
pub mod m0020_problems;
pub mod m0021_reactions;
pub mod m0022_problem_detection;
pub mod m0023_escalation;
pub mod m0025_search;
pub mod m0026_comments;
pub mod m0027_time_and_cost;
pub mod m0028_attachments;
pub mod m0030_operation_items;
pub mod m0031_transfer;
pub mod m0032_templates;
pub mod m0033_merges;
pub mod m0034_search_scope;
pub mod m0035_queues;
pub mod m0036_moved_alerts;
pub mod m0037_short_segments;
pub mod sql;
#[cfg(feature = "testing")]
pub mod testing;

use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};
use sql::SqlMigration;
use store::kernel::{Clock, Error, ErrorCode, Result};
use store::{DbResult, Engine, Location, Store, StoreConfig};

/// All migrations, oldest first.
pub const ALL: &[SqlMigration] = &[
    m0001_platform::MIGRATION,
    m0002_access::MIGRATION,
    m0003_ticket::MIGRATION,
    m0004_configuration::MIGRATION,
    m0005_links::MIGRATION,
    m0006_tasks::MIGRATION,
    m0007_approvals::MIGRATION,
    m0008_saved_filters::MIGRATION,
    m0009_workflows::MIGRATION,
    m0010_custom_fields::MIGRATION,
    m0011_service_levels::MIGRATION,
    m0012_operations::MIGRATION,
    m0013_agreements::MIGRATION,
    m0014_alerts::MIGRATION,
    m0015_clocks_of_tickets::MIGRATION,
    m0016_major_incidents::MIGRATION,
    m0017_acknowledgement::MIGRATION,
    m0020_problems::MIGRATION,
    m0021_reactions::MIGRATION,
    m0022_problem_detection::MIGRATION,
    m0023_escalation::MIGRATION,
    m0025_search::MIGRATION,
    m0026_comments::MIGRATION,
    m0027_time_and_cost::MIGRATION,
    m0028_attachments::MIGRATION,
    m0030_operation_items::MIGRATION,
    m0031_transfer::MIGRATION,
    m0034_search_scope::MIGRATION,
    m0032_templates::MIGRATION,
    m0033_merges::MIGRATION,
    m0035_queues::MIGRATION,
    m0036_moved_alerts::MIGRATION,
    m0037_short_segments::MIGRATION,
];

/// The migrations, for sea-orm's machinery.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        ALL.iter().map(|migration| Box::new(*migration) as Box<dyn MigrationTrait>).collect()
    }
}

/// How a database's schema stands to this binary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Applied, oldest first.
    pub applied: Vec<String>,
    /// Known to this binary and not yet applied, oldest first.
    pub pending: Vec<String>,
    /// Applied, but unknown to this binary: a newer version was here.
    pub unknown: Vec<String>,
}

impl Status {
    /// Refuses a schema that a newer version has made.
    ///
    /// # Errors
    /// `CONFLICT` that names the migrations.
    pub fn check_not_newer(&self) -> Result<()> {
        if self.unknown.is_empty() {
            return Ok(());
        }
        Err(Error::request(
            ErrorCode::Conflict,
            format!(
                "the database was migrated by a newer version of Deskwire ({} unknown here); start that version, or restore a backup from before",
                self.unknown.join(", ")
            ),
        ))
    }

    /// Refuses a schema that is older than this binary needs.
    ///
    /// # Errors
    /// `CONFLICT` that says what to run.
    pub fn check_not_older(&self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        Err(Error::request(
            ErrorCode::Conflict,
            format!("the database needs a migration ({} pending): run `deskwire migrate`", self.pending.join(", ")),
        ))
    }
}

/// How the database's schema stands to this binary. Changes nothing; works beside a running server.
///
/// # Errors
/// When the database cannot be reached.
pub async fn status(config: &StoreConfig) -> Result<Status> {
    if let Location::Sqlite { file } = &config.location
        && !file.exists()
    {
        return Ok(Status { pending: names(), ..Status::default() });
    }
    let connection = store::connect_alone(config).await?;
    let status = read_status(&connection).await;
    store::disconnect(connection).await;
    status
}

/// Applies all pending migrations and answers which they were. On SQLite it holds the server's lock meanwhile.
///
/// # Errors
/// `CONFLICT` when a server holds the SQLite file or a newer version was here; `INTERNAL` when a migration
/// fails, which leaves the schema as it was before that one.
pub async fn migrate(config: &StoreConfig, clock: &Clock) -> Result<Vec<String>> {
    let _lock = store::take_lock(&config.location, clock)?;
    let connection = store::connect_alone(config).await?;
    let applied = match config.location.engine() {
        Engine::Sqlite => apply(&connection).await,
        Engine::Postgres => {
            // The connection is the only one of its pool, so the lock is this session's. Two replicas that
            // start together would otherwise apply the same migration.
            store::exclusively(&connection, apply(&connection)).await
        }
    };
    store::disconnect(connection).await;
    applied
}

async fn apply(connection: &sea_orm_migration::sea_orm::DatabaseConnection) -> Result<Vec<String>> {
    let status = read_status(connection).await?;
    status.check_not_newer()?;
    if status.pending.is_empty() {
        return Ok(Vec::new());
    }
    Migrator::up(connection, None).await.db()?;
    tracing::info!(migrations = status.pending.join(", "), "migrated the database");
    Ok(status.pending)
}

async fn read_status(connection: &sea_orm_migration::sea_orm::DatabaseConnection) -> Result<Status> {
    let manager = SchemaManager::new(connection);
    let known = names();
    if !manager.has_table("seaql_migrations").await.db()? {
        return Ok(Status { pending: known, ..Status::default() });
    }
    let found: Vec<String> =
        Migrator::get_migration_models(connection).await.db()?.into_iter().map(|model| model.version).collect();
    let (applied, pending) = known.iter().cloned().partition(|name| found.contains(name));
    let unknown = found.into_iter().filter(|name| !known.contains(name)).collect();
    Ok(Status { applied, pending, unknown })
}

fn names() -> Vec<String> {
    ALL.iter().map(|migration| migration.name.to_owned()).collect()
}

/// Opens the database for serving. An empty or older embedded database is migrated first.
///
/// # Errors
/// `CONFLICT` when the schema is newer than this binary, when a PostgreSQL schema is older, or when another
/// server holds the SQLite file; and all that [`Store::open`] refuses.
pub async fn open(config: StoreConfig, clock: Clock) -> Result<Store> {
    let status = status(&config).await?;
    status.check_not_newer()?;
    if !status.pending.is_empty() && config.location.engine() == Engine::Sqlite {
        migrate(&config, &clock).await?;
    } else {
        status.check_not_older()?;
    }
    Store::open(config, clock).await
}

/// Opens the database for an administrative command beside a running server. Migrates nothing.
///
/// # Errors
/// `CONFLICT` when the schema is newer or older than this binary; and all that [`Store::open_beside`] refuses.
pub async fn open_beside(config: StoreConfig, clock: Clock) -> Result<Store> {
    let status = status(&config).await?;
    status.check_not_newer()?;
    status.check_not_older()?;
    Store::open_beside(config, clock).await
}
