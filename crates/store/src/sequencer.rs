//! Numbers the events on PostgreSQL, after their commit.
//!
//! The order in which a sequence gives out numbers is not the order of commits, so a reader that goes by it
//! misses events. Here readers see `position` alone, which is given to committed events only, by one
//! transaction at a time. Competing sequencers are harmless.

use std::sync::Arc;
use std::time::Duration;

use kernel::Result;
use sea_orm::Statement;
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::error::DbResult;
use crate::lease::{Connections, Lease};
use crate::log::EventLog;
use crate::observe::Observer;

/// The channel on which the sequencer tells the head's position.
pub(crate) const CHANNEL: &str = "deskwire_log";
/// The advisory lock of sequencers: "dwsequen" in ASCII.
const LOCK: i64 = 0x6477_7365_7175_656e;
/// The name of the sequencer's statements.
const NAME: &str = "log";

const PENDING: &str = "SELECT 1 FROM event WHERE position IS NULL LIMIT 1";

/// `log_order` is a database identity, written at insert: neither a clock nor an id decides the order.
const NUMBER: &str = "WITH batch AS ( \
        SELECT tenant_id, id, row_number() OVER (ORDER BY log_order) AS place FROM ( \
            SELECT tenant_id, id, log_order FROM event WHERE position IS NULL ORDER BY log_order LIMIT $1 \
        ) AS unnumbered \
    ), numbered AS ( \
        UPDATE event SET position = log_head.position + batch.place FROM batch, log_head \
        WHERE event.tenant_id = batch.tenant_id AND event.id = batch.id RETURNING 1 \
    ) \
    UPDATE log_head SET position = position + (SELECT count(*) FROM numbered) \
    RETURNING position, (SELECT count(*) FROM numbered) AS numbered";

#[derive(Clone)]
pub(crate) struct Sequencer {
    pub(crate) connections: Connections,
    pub(crate) observer: Arc<Observer>,
    pub(crate) log: EventLog,
    pub(crate) batch: u32,
}

impl Sequencer {
    /// Numbers after each commit of this process and, as a net, by a poll, until `stop`.
    pub(crate) async fn serve(self, poll: Duration, stop: CancellationToken) {
        let unnumbered = self.log.unnumbered();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = unnumbered.notified() => {}
                () = tokio::time::sleep(poll) => {}
            }
            if let Err(error) = self.number_all().await {
                tracing::warn!(%error, "events could not be numbered; the next poll tries again");
            }
        }
    }

    /// Numbers until there is nothing left; answers how many.
    pub(crate) async fn number_all(&self) -> Result<u64> {
        let mut lease = self.connections.lease().await.db()?;
        let mut total = 0;
        while self.has_unnumbered(&mut lease).await? {
            total += self.number_batch(&mut lease).await?;
        }
        Ok(total)
    }

    async fn has_unnumbered(&self, lease: &mut Lease) -> Result<bool> {
        let statement = Statement::from_string(Engine::Postgres.backend(), PENDING);
        Ok(self.observer.observe(NAME, PENDING, lease.query_one(statement)).await.db()?.is_some())
    }

    async fn number_batch(&self, lease: &mut Lease) -> Result<u64> {
        lease.begin().await.db()?;
        // A statement of its own: the next one takes its snapshot with the lock in hand, and so sees all that
        // the sequencer before has numbered.
        lease.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await.db()?;
        let statement =
            Statement::from_sql_and_values(Engine::Postgres.backend(), NUMBER, [i64::from(self.batch).into()]);
        let row = self.observer.observe(NAME, NUMBER, lease.query_one(statement)).await.db()?;
        lease.commit().await.db()?;
        let Some(row) = row else { return Ok(0) };
        let position: i64 = row.try_get("position").db()?;
        let numbered: i64 = row.try_get("numbered").db()?;
        if numbered > 0 {
            self.log.advance(position);
            self.notify(lease, position).await?;
        }
        Ok(numbered.unsigned_abs())
    }

    /// Tells the other replicas, once per batch, outside of any transaction.
    async fn notify(&self, lease: &mut Lease, position: i64) -> Result<()> {
        let sql = "SELECT pg_notify($1, $2)";
        let values = [CHANNEL.into(), position.to_string().into()];
        let statement = Statement::from_sql_and_values(Engine::Postgres.backend(), sql, values);
        self.observer.observe(NAME, sql, lease.query_one(statement)).await.db()?;
        Ok(())
    }
}
