//! The event log as its readers see it: positions without gaps, in commit order, never taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kernel::{Error, Result};
use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{DatabaseConnection, Statement, Value};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::MAX_LOG_READ;
use crate::connection::ConnectionTrait;
use crate::cursor::check_retention;
use crate::error::DbResult;
use crate::event::{self, Event, PastEvent};
use crate::observe::Reader;
use crate::sequencer::CHANNEL;

/// The event log. Cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    reader: Reader,
    /// For the poll, so that requests that hold all connections cannot stop it.
    background: Reader,
    head: Arc<watch::Sender<i64>>,
    oldest: Arc<AtomicI64>,
    epoch: Uuid,
    /// Tells the sequencer (PostgreSQL) that there is something to number.
    unnumbered: Arc<Notify>,
}

/// A piece of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The events, by position.
    pub events: Vec<Event>,
    /// Up to here, this position included, there is nothing else that the reader asked for: read on from here.
    pub scanned_to: i64,
}

impl EventLog {
    pub(crate) fn new(reader: Reader, background: Reader, epoch: Uuid, position: i64, oldest: i64) -> Self {
        Self {
            reader,
            background,
            head: Arc::new(watch::Sender::new(position)),
            oldest: Arc::new(AtomicI64::new(oldest)),
            epoch,
            unnumbered: Arc::new(Notify::new()),
        }
    }

    /// Which log this is: another one after a restore.
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// The position of the newest event that readers can see, read from the database now. For a list's log
    /// cursor: read it before the rows, never after.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn head(&self) -> Result<i64> {
        Ok(self.refresh(&self.reader).await?.0)
    }

    /// Tells when the head moves. What it shows is never ahead of the log and at most a poll behind it, however
    /// the events got there.
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// The tenant's events behind a position, at most `limit` (and at most [`MAX_LOG_READ`]).
    ///
    /// # Errors
    /// `CURSOR_EXPIRED` when events behind the position are gone.
    pub async fn read_after(&self, tenant: Uuid, after: i64, limit: u32) -> Result<LogPage> {
        self.read("tenant_id = $4 AND ", vec![tenant.into()], after, limit).await
    }

    /// All tenants' events behind a position, at most `limit` (and at most [`MAX_LOG_READ`]): for the one reader of a
    /// process that serves everyone.
    ///
    /// # Errors
    /// `CURSOR_EXPIRED` when events behind the position are gone.
    pub async fn read_all_after(&self, after: i64, limit: u32) -> Result<LogPage> {
        self.read("", Vec::new(), after, limit).await
    }

    async fn read(&self, condition: &str, mut further: Vec<Value>, after: i64, limit: u32) -> Result<LogPage> {
        // The head first: whatever is at or below it is committed, so the second statement sees all of it.
        let (head, oldest) = self.refresh(&self.reader).await?;
        check_retention(after, oldest)?;
        if after >= head {
            return Ok(LogPage { events: Vec::new(), scanned_to: after });
        }
        let limit = limit.clamp(1, MAX_LOG_READ);
        let sql = format!(
            "SELECT {} FROM event WHERE {condition}position > $1 AND position <= $2 ORDER BY position LIMIT $3",
            event::COLUMNS
        );
        let mut values: Vec<Value> = vec![after.into(), head.into(), i64::from(limit).into()];
        values.append(&mut further);
        let rows = self.reader.query_all_raw(self.statement(&sql, values)).await.db()?;
        let events = rows.iter().map(event::read).collect::<Result<Vec<_>>>()?;
        let scanned_to = match events.last() {
            Some(Event { position: Some(position), .. }) if events.len() == limit as usize => *position,
            _ => head,
        };
        Ok(LogPage { events, scanned_to })
    }

    /// The tenant's events with these ids (at most [`MAX_LOG_READ`]) in the order they happened, numbered or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn by_ids(&self, tenant: Uuid, ids: &[Uuid]) -> Result<Vec<Event>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        if ids.len() > MAX_LOG_READ as usize {
            return Err(Error::internal(format!("{} events asked for at once; at most {MAX_LOG_READ}", ids.len())));
        }
        let places = (2..ids.len() + 2).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {} FROM event WHERE tenant_id = $1 AND id IN ({places}) ORDER BY log_order",
            event::COLUMNS
        );
        let mut values: Vec<Value> = vec![tenant.into()];
        values.extend(ids.iter().map(|id| Value::from(*id)));
        let rows = self.reader.query_all_raw(self.statement(&sql, values)).await.db()?;
        rows.iter().map(event::read).collect()
    }

    /// All events of these subjects, subject by subject, each in the order in which they happened, numbered or not. Through
    /// `connection`: a write reads what it may rely on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_subjects(
        &self,
        connection: &impl ConnectionTrait,
        tenant: Uuid,
        subjects: &[Uuid],
    ) -> Result<Vec<Event>> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let places = (2..subjects.len() + 2).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {} FROM event WHERE tenant_id = $1 AND subject_id IN ({places}) ORDER BY subject_id, log_order",
            event::COLUMNS
        );
        let mut values: Vec<Value> = vec![tenant.into()];
        values.extend(subjects.iter().map(|id| Value::from(*id)));
        let rows = connection.query_all_raw(self.statement(&sql, values)).await.db()?;
        rows.iter().map(event::read).collect()
    }

    /// What the events of a subject say of the way back, newest first, numbered or not: at most `limit` (and at most
    /// [`MAX_LOG_READ`]) of those before the place `before`, from the newest on when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn back_of_subject(
        &self,
        connection: &impl ConnectionTrait,
        tenant: Uuid,
        subject: Uuid,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PastEvent>> {
        let sql = format!(
            "SELECT {} FROM event WHERE tenant_id = $1 AND subject_id = $2 AND log_order < $3 \
             ORDER BY log_order DESC LIMIT {}",
            event::PAST_COLUMNS,
            limit.clamp(1, MAX_LOG_READ)
        );
        let values = vec![tenant.into(), subject.into(), before.unwrap_or(i64::MAX).into()];
        let rows = connection.query_all_raw(self.statement(&sql, values)).await.db()?;
        rows.iter().map(event::read_past).collect()
    }

    fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.reader.engine().backend(), sql, values)
    }

    /// Reads head and retention, and tells whoever watches.
    async fn refresh(&self, reader: &Reader) -> Result<(i64, i64)> {
        let row = reader
            .query_one_raw(self.statement("SELECT position, oldest FROM log_head", Vec::new()))
            .await
            .db()?
            .ok_or_else(|| Error::internal("the log has no head"))?;
        let (position, oldest) = (row.try_get("position").db()?, row.try_get("oldest").db()?);
        self.oldest.store(oldest, Ordering::Relaxed);
        self.advance(position);
        Ok((position, oldest))
    }

    /// Moves the watched head forward, never back.
    pub(crate) fn advance(&self, position: i64) {
        self.head.send_if_modified(|head| {
            let moves = position > *head;
            *head = position.max(*head);
            moves
        });
    }

    /// After a commit of this process: on SQLite the position is known, on PostgreSQL the sequencer has to give it.
    pub(crate) fn committed(&self, position: Option<i64>) {
        match position {
            Some(position) => self.advance(position),
            None => self.unnumbered.notify_one(),
        }
    }

    pub(crate) fn oldest(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.oldest)
    }

    pub(crate) fn unnumbered(&self) -> Arc<Notify> {
        Arc::clone(&self.unnumbered)
    }
}

/// Keeps the watched head up to date with what other processes write, until `stop`.
pub(crate) async fn follow(
    log: EventLog,
    listening: Option<DatabaseConnection>,
    poll: Duration,
    stop: CancellationToken,
) {
    let mut listener = None;
    loop {
        if listener.is_none()
            && let Some(connection) = &listening
        {
            listener = listen(connection).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(poll) => {
                if let Err(error) = log.refresh(&log.background).await {
                    tracing::warn!(%error, "the log's head could not be read");
                }
            }
            heard = hear(&mut listener) => match heard {
                Some(position) => log.advance(position),
                // Connect again; the poll is the net meanwhile.
                None => listener = None,
            },
        }
    }
}

async fn listen(connection: &DatabaseConnection) -> Option<PgListener> {
    let listener = async {
        let mut listener = PgListener::connect_with(connection.get_postgres_connection_pool()).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, sea_orm::sqlx::Error>(listener)
    };
    listener.await.inspect_err(|error| tracing::warn!(%error, "cannot listen for news of the log; polling")).ok()
}

/// The next position that a notification tells; never without a listener.
async fn hear(listener: &mut Option<PgListener>) -> Option<i64> {
    match listener {
        None => std::future::pending().await,
        Some(listener) => match listener.recv().await {
            Ok(notification) => notification.payload().parse().ok().or(Some(0)),
            Err(error) => {
                tracing::warn!(%error, "listening for news of the log failed");
                None
            }
        },
    }
}
