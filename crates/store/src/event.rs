//! What happened: events as writes declare them, and as the log answers them.

use chrono::{DateTime, Utc};
use kernel::{Actor, ActorKind, Channel, Error, Result, Timestamp};
use sea_orm::{Statement, Value as Bound};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Engine;
use crate::connection::ResultRow;
use crate::error::DbResult;

/// Who may hear of an event at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Audience {
    /// Everyone who may see the subject.
    Public,
    /// Those only who may see what is internal to the subject.
    Internal,
}

impl Audience {
    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Audience::Public => "PUBLIC",
            Audience::Internal => "INTERNAL",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Audience::Public, Audience::Internal].into_iter().find(|audience| audience.as_str() == text)
    }
}

/// One field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The field's name in the record's registry.
    pub field: String,
    /// Its value before; null when the record is new.
    pub before: Value,
    /// Its value after.
    pub after: Value,
}

/// An event that a write declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened, such as `ticket.assigned`.
    pub kind: &'static str,
    /// What kind of record it happened to, such as `ticket`.
    pub subject_kind: &'static str,
    /// The record.
    pub subject: Uuid,
    /// The record's version after it.
    pub version: i32,
    /// Who may hear of it.
    pub audience: Audience,
    /// The fields that changed.
    pub changes: Vec<Change>,
    /// What access rules and filters need to know of the subject at that time; may be empty.
    pub facts: Map<String, Value>,
    /// Whatever else belongs to this kind of event; may be null.
    pub payload: Value,
    /// When it happened, if not now (imports, late reports).
    pub occurred_at: Option<Timestamp>,
    /// Who did it, if not who writes (imports).
    pub actor: Option<Actor>,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// Its place in the log; `None` until it is numbered, and in a dry run.
    pub position: Option<i64>,
    /// The tenant it happened in.
    pub tenant: Uuid,
    /// Who did it.
    pub actor: Actor,
    /// Through what.
    pub channel: Channel,
    /// What happened, such as `ticket.assigned`.
    pub kind: String,
    /// What kind of record it happened to, such as `ticket`.
    pub subject_kind: String,
    /// The record.
    pub subject: Uuid,
    /// The record's version after it.
    pub version: i32,
    /// Who may hear of it.
    pub audience: Audience,
    /// The fields that changed.
    pub changes: Vec<Change>,
    /// What access rules and filters need to know of the subject at that time.
    pub facts: Map<String, Value>,
    /// Whatever else belongs to this kind of event.
    pub payload: Value,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The request that caused it.
    pub request_id: String,
}

/// What an event says of the way back to the state before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    /// Its place among the events of its subject: larger is later.
    pub order: i64,
    /// Who did it.
    pub actor: Actor,
    /// The record's version after it.
    pub version: i32,
    /// Who may hear of it.
    pub audience: Audience,
    /// The fields that changed.
    pub changes: Vec<Change>,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// The columns of [`PastEvent`] in SQL.
pub(crate) const PAST_COLUMNS: &str = "log_order, actor_id, actor_kind, version, audience, changes, occurred_at";

/// The columns of [`Event`] in SQL.
pub(crate) const COLUMNS: &str = "id, position, tenant_id, actor_id, actor_kind, channel, kind, subject_kind, subject_id, \
     version, audience, changes, facts, payload, occurred_at, recorded_at, request_id";

/// How many events one INSERT carries: a bound parameter for each column, and SQLite takes 32,766 of them.
pub(crate) const INSERT_BATCH: usize = 500;

/// One INSERT for these events, in order. On PostgreSQL it can carry another statement along, which changes rows of other tables.
pub(crate) fn insert(engine: Engine, events: &[Event], beside: Option<Statement>) -> Result<Statement> {
    let numbered = engine == Engine::Sqlite;
    let (beside, mut values) = match beside {
        Some(beside) => {
            (format!("WITH beside AS ({}) ", beside.sql), beside.values.map(|values| values.0).unwrap_or_default())
        }
        None => (String::new(), Vec::with_capacity(events.len() * 18)),
    };
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let first = values.len() + 1;
        values.extend(bindings(event)?);
        if numbered {
            // On SQLite the order of insertion is the position: one writer, one transaction.
            values.extend([Bound::from(event.position), Bound::from(event.position)]);
        }
        // SQLite looks numbered parameters up one by one among all of the statement: plain ones for it.
        let places = (first..=values.len()).map(|place| match engine {
            Engine::Sqlite => "?".to_owned(),
            Engine::Postgres => format!("${place}"),
        });
        let places: Vec<String> = places.collect();
        rows.push(format!("({})", places.join(", ")));
    }
    let order = if numbered { ", position, log_order" } else { "" };
    let sql = format!(
        "{beside}INSERT INTO event (id, tenant_id, actor_id, actor_kind, channel, kind, subject_kind, subject_id, version, audience, \
         changes, facts, payload, occurred_at, recorded_at, request_id{order}) VALUES {}",
        rows.join(", ")
    );
    Ok(Statement::from_sql_and_values(engine.backend(), sql, values))
}

fn bindings(event: &Event) -> Result<Vec<Bound>> {
    let json = |value: serde_json::Result<Value>| value.map(Bound::from).map_err(Error::internal);
    Ok(vec![
        event.id.into(),
        event.tenant.into(),
        event.actor.id.into(),
        event.actor.kind.as_str().into(),
        json(serde_json::to_value(&event.channel))?,
        event.kind.as_str().into(),
        event.subject_kind.as_str().into(),
        event.subject.into(),
        event.version.into(),
        event.audience.as_str().into(),
        json(serde_json::to_value(&event.changes))?,
        Bound::from(Value::Object(event.facts.clone())),
        Bound::from(event.payload.clone()),
        event.occurred_at.into(),
        event.recorded_at.into(),
        event.request_id.as_str().into(),
    ])
}

/// Reads a row with all of [`PAST_COLUMNS`].
pub(crate) fn read_past(row: &ResultRow) -> Result<PastEvent> {
    Ok(PastEvent {
        order: row.try_get("log_order").db()?,
        actor: actor(row)?,
        version: row.try_get("version").db()?,
        audience: audience(row)?,
        changes: serde_json::from_value(row.try_get("changes").db()?).map_err(Error::internal)?,
        occurred_at: row.try_get::<DateTime<Utc>>("occurred_at").db()?,
    })
}

fn actor(row: &ResultRow) -> Result<Actor> {
    let kind: String = row.try_get("actor_kind").db()?;
    let kind = ActorKind::parse(&kind).ok_or_else(|| broken("actor_kind"))?;
    Ok(Actor { id: row.try_get("actor_id").db()?, kind })
}

fn audience(row: &ResultRow) -> Result<Audience> {
    let text: String = row.try_get("audience").db()?;
    Audience::parse(&text).ok_or_else(|| broken("audience"))
}

fn broken(column: &str) -> Error {
    Error::internal(format!("an event has an unreadable {column}"))
}

/// Reads a row with all of [`COLUMNS`].
pub(crate) fn read(row: &ResultRow) -> Result<Event> {
    let text = |column: &str| row.try_get::<String>(column).db();
    let json = |column: &str| row.try_get::<Value>(column).db();
    let time = |column: &str| row.try_get::<DateTime<Utc>>(column).db();
    Ok(Event {
        id: row.try_get("id").db()?,
        position: row.try_get("position").db()?,
        tenant: row.try_get("tenant_id").db()?,
        actor: actor(row)?,
        channel: serde_json::from_value(json("channel")?).map_err(Error::internal)?,
        kind: text("kind")?,
        subject_kind: text("subject_kind")?,
        subject: row.try_get("subject_id").db()?,
        version: row.try_get("version").db()?,
        audience: audience(row)?,
        changes: serde_json::from_value(json("changes")?).map_err(Error::internal)?,
        facts: serde_json::from_value(json("facts")?).map_err(Error::internal)?,
        payload: json("payload")?,
        occurred_at: time("occurred_at")?,
        recorded_at: time("recorded_at")?,
        request_id: text("request_id")?,
    })
}
