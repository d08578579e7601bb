//! Loads the data set into an empty database.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gateway::door::Limits;
use gateway::files::Files;
use gateway::platform::Platform;
use incident::INCIDENT;
use kernel::{Clock, Uuid};
use predicate::{Catalogue, Value};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::query::Row;
use store::{DriverConnection, DriverStatement, Engine, StoreConfig};
use ticket::fields::{COMMENT, TICKET};
use ticket::{TicketKind, events};

use super::bulk::Bulk;
use super::company::{self, Company};
use super::tickets::{Drawer, is_open};
use super::{Manifest, Scale, TEAMS};

/// Raised when what is loaded changes without a change of the schema.
const GENERATION: u32 = 3;
/// The columns of an event that the loader sets.
const EVENT_COLUMNS: [&str; 18] = [
    "tenant_id",
    "id",
    "position",
    "actor_id",
    "actor_kind",
    "channel",
    "kind",
    "subject_kind",
    "subject_id",
    "version",
    "audience",
    "changes",
    "facts",
    "payload",
    "occurred_at",
    "recorded_at",
    "request_id",
    // SQLite alone: on PostgreSQL the database gives it.
    "log_order",
];
/// Without news for so long, the log has been numbered to its end.
const SETTLED: Duration = Duration::from_secs(2);
/// Sets an event's id apart from its ticket's.
const EVENT_IDS: u64 = 1 << 42;

/// Changes with the schema and with what is loaded: a data set of another fingerprint is stale.
pub fn fingerprint() -> String {
    let mut hash = Sha256::new();
    hash.update(GENERATION.to_le_bytes());
    for migration in migrations::ALL {
        hash.update(migration.name);
        hash.update(migration.up);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Loads everything and writes the manifest.
///
/// # Errors
/// When the database is not empty, or refuses.
pub async fn build(config: StoreConfig, scale: Scale, manifest: &Path) -> Result<()> {
    migrations::migrate(&config, &Clock::System).await?;
    let store = migrations::open(config.clone(), Clock::System).await?;
    let folder = tempfile::tempdir()?;
    let files = Files::in_folder(folder.path())?;
    let platform =
        Platform::start(store.clone(), access::Settings::default(), Limits::default(), files.clone()).await?;
    let company = company::make(&platform).await?;
    let position = settled_head(&platform).await?;
    drop(platform);
    store.close().await;

    let connection = store::connect_alone(&config).await?;
    let loader = Loader {
        connection: &connection,
        engine: config.location.engine(),
        catalogue: gateway::platform::catalogue()?,
        scale,
        drawer: Drawer::new(scale, &company),
        company: &company,
    };
    let open = loader.load(position).await;
    store::disconnect(connection).await;
    let open = open?;
    index(&config, files, company.tenant).await?;
    let described = Manifest {
        tickets: scale.tickets,
        open,
        administrator: company.administrator.clone(),
        agents: company.agents.clone(),
    };
    std::fs::write(manifest, serde_json::to_vec_pretty(&described)?)
        .with_context(|| format!("cannot write {}", manifest.display()))
}

/// Indexes the texts of what was loaded past the platform, as the job after an upgrade does.
async fn index(config: &StoreConfig, files: Files, tenant: Uuid) -> Result<()> {
    let store = migrations::open(config.clone(), Clock::System).await?;
    let platform = Platform::start(store.clone(), access::Settings::default(), Limits::default(), files).await?;
    let ctx = platform.access.system_ctx(tenant, ticket::search::INDEX);
    platform.tickets.index_missing(&ctx).await?;
    drop(platform);
    store.close().await;
    if config.location.engine() == Engine::Postgres {
        let connection = store::connect_alone(config).await?;
        let analysed = connection.execute_unprepared("VACUUM (ANALYZE) ticket_search").await;
        store::disconnect(connection).await;
        analysed?;
    }
    Ok(())
}

/// The log's end, once all that the company's making left in it is numbered: nothing came for several of the store's polls.
async fn settled_head(platform: &Platform) -> Result<i64> {
    let log = platform.tickets.store().log();
    let mut head = log.watch();
    while let Ok(changed) = tokio::time::timeout(SETTLED, head.changed()).await {
        changed.context("the log ended")?;
    }
    Ok(log.head().await?)
}

struct Loader<'a, C> {
    connection: &'a C,
    engine: Engine,
    catalogue: Catalogue,
    scale: Scale,
    drawer: Drawer<'a>,
    company: &'a Company,
}

impl<C: DriverConnection> Loader<'_, C> {
    /// Loads tickets, comments and events behind a position; answers how many tickets of each team are open.
    async fn load(&self, position: i64) -> Result<Vec<u64>> {
        if self.engine == Engine::Postgres {
            // The references hold by construction; checking each of them would take most of the time.
            self.run("SET session_replication_role = replica").await?;
        }
        let open = self.load_tickets(position).await?;
        self.load_comments().await?;
        let tickets = self.scale.tickets as i64;
        self.run(&format!("UPDATE log_head SET position = {}", position + tickets)).await?;
        let mut counter = Bulk::new(self.connection, self.engine, "number_counter", &["tenant_id", "kind", "next"]);
        let kind = TicketKind::Incident.as_str();
        counter.add(&[self.company.tenant.into(), kind.into(), Value::Int(tickets + 1)]).await?;
        counter.finish().await?;
        match self.engine {
            Engine::Postgres => {
                self.analyze().await?;
                self.run("CHECKPOINT").await?;
            }
            Engine::Sqlite => {
                // The product does not analyse it either.
                self.run("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            }
        }
        Ok(open)
    }

    async fn load_tickets(&self, position: i64) -> Result<Vec<u64>> {
        let tenant = self.company.tenant;
        let columns = match self.engine {
            Engine::Sqlite => &EVENT_COLUMNS[..],
            Engine::Postgres => &EVENT_COLUMNS[..EVENT_COLUMNS.len() - 1],
        };
        let mut open = vec![0; TEAMS];
        // One after the other, since they share the connection's transaction.
        for part in 0..3 {
            let mut bulk = match part {
                0 => Bulk::of_record(self.connection, self.engine, &TICKET),
                1 => Bulk::of_record(self.connection, self.engine, &INCIDENT),
                _ => Bulk::new(self.connection, self.engine, "event", columns),
            };
            for index in 0..self.scale.tickets {
                let row = self.drawer.ticket(index);
                match part {
                    0 => {
                        open[self.drawer.team(index)] += u64::from(is_open(&row));
                        bulk.add_record(tenant, &TICKET, &row).await?;
                    }
                    1 => bulk.add_record(tenant, &INCIDENT, &row).await?,
                    _ => {
                        let event = self.event(index, &row, position + 1 + index as i64);
                        bulk.add(&event[..columns.len()]).await?;
                    }
                }
            }
            bulk.finish().await?;
        }
        Ok(open)
    }

    /// The event of a ticket's opening, as the product tells it.
    fn event(&self, index: u64, row: &Row, position: i64) -> Vec<Value> {
        let catalogue = &self.catalogue;
        let changes = events::changes(&INCIDENT, catalogue, &Row::new(&INCIDENT, Vec::new()), row);
        let changes = serde_json::to_value(changes).unwrap_or_default();
        let facts = events::facts(&INCIDENT, catalogue, row);
        let opened = self.drawer.opened(index);
        vec![
            self.company.tenant.into(),
            super::uuid_v7(self.scale.opened_ms(index), EVENT_IDS + index).into(),
            Value::Int(position),
            row.get("openedBy").clone(),
            "USER".into(),
            Value::Json(json!({ "kind": "SESSION", "id": Uuid::from_u128(u128::from(index)) })),
            incident::events::CREATED.into(),
            events::SUBJECT.into(),
            row.id().into(),
            Value::Int(1),
            "PUBLIC".into(),
            Value::Json(changes),
            Value::Json(facts.into()),
            Value::Json(serde_json::Value::Null),
            opened.into(),
            opened.into(),
            format!("{index:016x}").into(),
            Value::Int(position),
        ]
    }

    /// Comments of all tickets mixed, in the order in which they were made.
    async fn load_comments(&self) -> Result<()> {
        let counts = self.scale.comment_counts();
        let mut order: Vec<(u64, u64)> = Vec::new();
        for (ticket, count) in counts.into_iter().enumerate() {
            let ticket = ticket as u64;
            order.extend(self.drawer.comment_times(ticket, count).map(|at| (at, ticket)));
        }
        order.sort_unstable();
        let mut bulk = Bulk::of_record(self.connection, self.engine, &COMMENT);
        for (serial, (at, ticket)) in order.into_iter().enumerate() {
            let row = self.drawer.comment(serial as u64, ticket, at);
            bulk.add_record(self.company.tenant, &COMMENT, &row).await?;
        }
        bulk.finish().await
    }

    /// Analyses the tables that hold something. One that is analysed empty is taken for empty for as long as nothing analyses it again,
    /// which in a measurement nothing does: statements prepared then read all of it.
    async fn analyze(&self) -> Result<()> {
        let filled = "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class WHERE relkind = 'r' \
             AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0";
        let row = self.connection.query_one_raw(DriverStatement::from_string(self.engine.backend(), filled)).await?;
        let tables: String = row.context("PostgreSQL names no tables")?.try_get_by_index(0)?;
        self.run(&format!("VACUUM (ANALYZE) {tables}")).await
    }

    async fn run(&self, statement: &str) -> Result<()> {
        self.connection.execute_unprepared(statement).await.with_context(|| statement.to_owned())?;
        Ok(())
    }
}

/// How the database at this place is opened.
pub fn config_of(url: Option<&str>, folder: &Path) -> StoreConfig {
    match url {
        Some(url) => StoreConfig::postgres(url),
        None => StoreConfig::sqlite(folder.join("deskwire.sqlite")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is loaded past the platform must keep up with the schema: a column that was added is missed here.
    #[tokio::test]
    async fn the_smallest_data_set_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("manifest.json");
        build(config_of(None, folder.path()), Scale::new(super::super::CYCLE).unwrap(), &manifest).await.unwrap();
        let loaded: Manifest = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
        assert_eq!(loaded.tickets, 1_000);
        assert!(loaded.open.iter().sum::<u64>() > 0);
    }
}
