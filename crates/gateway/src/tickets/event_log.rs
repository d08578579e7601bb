//! The log as a viewer may read it: pages of it, what is recorded just now, and what of each event is shown.

use std::collections::BTreeSet;

use async_graphql::{Context, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{ActorKind, Ctx, Id, Page, Uuid};
use predicate::{Facts, FieldType, Path, Predicate, RecordType, Value, evaluate};
use serde_json::Value as JsonValue;
use store::Change;
use store::query::{Count, Row, Slice};
use ticket::events::{EventFacts, SUBJECT, SUBJECT_TEMPLATE};
use ticket::fields::{EVENT, SLA_BASIS, TICKET};
use ticket::template;
use tokio::sync::OnceCell;

use crate::connection::PageInfo;
use crate::context::{platform, viewer};
use crate::platform::Platform;
use crate::scalars::{Cursor, Json};
use crate::tickets::events::{Event, EventChannel, EventView, FieldChange};

/// Events that a mutation has just recorded, as the viewer may read them.
pub fn from_store(ctx: &Ctx, platform: &Platform, events: Vec<store::Event>) -> Vec<Event> {
    events.iter().filter_map(|event| live(ctx, platform, event, None)).collect()
}

/// An event of the log as the viewer may read it, by the facts that it carries. `cursor` is its place in the log.
pub fn live(ctx: &Ctx, platform: &Platform, event: &store::Event, cursor: Option<String>) -> Option<Event> {
    let record = record_of(platform, event);
    let facts = record.map(|record| EventFacts::after(record, platform.access.catalogue(), event));
    let changes = match (record, &facts) {
        (Some(record), Some(facts)) => ticket_changes(ctx, platform, record, &event.changes, facts),
        _ => plain_changes(ctx, &event.subject_kind, &event.changes),
    };
    Event::of(EventView {
        id: event.id,
        cursor,
        kind: event.kind.clone(),
        actor: event.actor,
        actor_row: None,
        channel: channel(&event.channel),
        subject: event.subject,
        version: event.version,
        changes,
        payload: event.payload.clone(),
        occurred_at: event.occurred_at,
        recorded_at: event.recorded_at,
    })
}

/// The record type of the ticket that an event is about; `None` for other subjects.
pub fn record_of(platform: &Platform, event: &store::Event) -> Option<&'static RecordType> {
    if event.subject_kind != SUBJECT {
        return None;
    }
    let kind = event.facts.get("kind").and_then(JsonValue::as_str).and_then(ticket::TicketKind::parse)?;
    platform.tickets.kinds().get(kind).ok().map(|rules| rules.record())
}

/// An event of the log as it was read with its ticket, and when it happened.
pub(crate) fn listed(ctx: &Ctx, platform: &Platform, row: &Row) -> Option<(kernel::Timestamp, Event)> {
    let cursor = platform.access.store().cursors().seal_log(ctx.tenant, row.int("position"));
    Some((row.time("occurredAt"), from_row(ctx, platform, row, cursor)?))
}

/// An event of the log as it was read with its ticket.
fn from_row(ctx: &Ctx, platform: &Platform, row: &Row, cursor: String) -> Option<Event> {
    let stored: Vec<Change> = match row.get("changes") {
        Value::Json(json) => serde_json::from_value(json.clone()).unwrap_or_default(),
        _ => Vec::new(),
    };
    let changes = match row.relation("ticket") {
        Some(ticket) => {
            let kind = ticket::TicketKind::parse(&ticket.text("kind"));
            let record =
                kind.and_then(|kind| platform.tickets.kinds().get(kind).ok()).map_or(&TICKET, |rules| rules.record());
            ticket_changes(ctx, platform, record, &stored, ticket)
        }
        None => plain_changes(ctx, &row.text("subjectKind"), &stored),
    };
    let channel_json = match row.get("channel") {
        Value::Json(json) => serde_json::from_value(json.clone()).unwrap_or(kernel::Channel::System),
        _ => kernel::Channel::System,
    };
    Event::of(EventView {
        id: row.id(),
        cursor: Some(cursor),
        kind: row.text("kind"),
        actor: kernel::Actor {
            id: row.get("actor").as_id().unwrap_or_default(),
            kind: ActorKind::parse(&row.text("actorKind")).unwrap_or(ActorKind::System),
        },
        actor_row: row.relation("actor").cloned(),
        channel: channel(&channel_json),
        subject: row.get("subject").as_id().unwrap_or_default(),
        version: i32::try_from(row.int("version")).unwrap_or(i32::MAX),
        changes,
        payload: match row.get("payload") {
            Value::Json(json) => json.clone(),
            _ => JsonValue::Null,
        },
        occurred_at: row.time("occurredAt"),
        recorded_at: row.time("recordedAt"),
    })
}

fn channel(channel: &kernel::Channel) -> EventChannel {
    match channel {
        kernel::Channel::Session(_) => EventChannel::Session,
        kernel::Channel::Token(_) => EventChannel::Token,
        kernel::Channel::CommandLine => EventChannel::CommandLine,
        kernel::Channel::System => EventChannel::System,
    }
}

/// The changes of a record that is no ticket.
fn plain_changes(ctx: &Ctx, subject_kind: &str, changes: &[Change]) -> Vec<FieldChange> {
    let show = match subject_kind == SUBJECT_TEMPLATE && !template::reads_internal(ctx) {
        true => template::without_custom_fields,
        false => JsonValue::clone,
    };
    changes.iter().map(|change| field_change(change, show)).collect()
}

fn field_change(change: &Change, show: impl Fn(&JsonValue) -> JsonValue) -> FieldChange {
    let shown = |json: &JsonValue| (!json.is_null()).then(|| Json(show(json)));
    FieldChange { field: change.field.clone(), before: shown(&change.before), after: shown(&change.after) }
}

/// The changes of fields that the viewer may read on the ticket; references as the ids that clients know.
fn ticket_changes(
    ctx: &Ctx,
    platform: &Platform,
    record: &'static RecordType,
    changes: &[Change],
    facts: &impl Facts,
) -> Vec<FieldChange> {
    let visible = platform.access.visible(ctx);
    let readable = |name: &str| {
        let mask = visible.get(record.name).and_then(|visibility| visibility.mask(name));
        mask.is_none_or(|mask| evaluate(mask, facts))
    };
    changes
        .iter()
        .filter_map(|change| Some((change, record.field(&change.field)?)))
        // The id is there so that the state before a creation has none; it is no news.
        // How it is kept which versions of policies hold says nothing to anybody.
        .filter(|(_, field)| !["id", SLA_BASIS].contains(&field.name) && readable(field.name))
        .flat_map(|(change, field)| match field.kind {
            FieldType::Json => by_key(change),
            FieldType::Id => vec![field_change(change, |json| public_id(record, field.name, json, facts))],
            _ => vec![field_change(change, Clone::clone)],
        })
        .collect()
}

/// One field with its values at two instants, if the viewer may read it on the ticket with these facts. Of a document of custom
/// fields it holds one key.
pub(crate) fn difference(
    ctx: &Ctx,
    platform: &Platform,
    record: &'static RecordType,
    change: &Change,
    facts: &impl Facts,
) -> Option<FieldChange> {
    ticket_changes(ctx, platform, record, std::slice::from_ref(change), facts).pop()
}

/// The changes of a document of custom fields, one for each field: `customFields.costCenter`.
fn by_key(change: &Change) -> Vec<FieldChange> {
    let keys = |json: &JsonValue| json.as_object().map(|values| values.keys().cloned().collect()).unwrap_or_default();
    let mut all: BTreeSet<String> = keys(&change.before);
    all.append(&mut keys(&change.after));
    let of = |json: &JsonValue, key: &str| json.get(key).cloned().unwrap_or_default();
    all.into_iter()
        .map(|key| Change {
            before: of(&change.before, &key),
            after: of(&change.after, &key),
            field: format!("{}.{key}", ticket::custom_field::DOCUMENT),
        })
        .filter(|change| change.before != change.after)
        .map(|change| field_change(&change, Clone::clone))
        .collect()
}

/// A stored id as clients know it.
fn public_id(record: &'static RecordType, field: &str, json: &JsonValue, facts: &impl Facts) -> JsonValue {
    let Some(uuid) = json.as_str().and_then(|text| text.parse::<Uuid>().ok()) else { return JsonValue::Null };
    let prefix = match record.relation(field).map(|relation| relation.target) {
        Some("team") => prefix::TEAM,
        Some("category") => prefix::CATEGORY,
        Some("service") => prefix::SERVICE,
        _ => {
            let current = facts.value(&Path::field(field)).as_id() == Some(uuid);
            let kind = facts.value(&Path::through(field, "kind"));
            let kind = kind.as_text().filter(|_| current).and_then(ActorKind::parse);
            kind.unwrap_or(ActorKind::User).prefix()
        }
    };
    Id::new(prefix, uuid).to_string().into()
}

/// A page of events. Its cursors are places in the log.
pub struct EventConnection {
    slice: Slice,
    events: Vec<Event>,
    filter: Predicate,
    count: OnceCell<Count>,
}

impl EventConnection {
    /// Counts once, however many fields ask.
    async fn count(&self, ctx: &Context<'_>) -> Result<Count> {
        let count = || async {
            let viewer = viewer(ctx)?;
            Ok::<_, async_graphql::Error>(platform(ctx).tickets.count(&viewer, &EVENT, self.filter.clone()).await?)
        };
        self.count.get_or_try_init(count).await.copied()
    }
}

/// A page of events. Its cursors are places in the event log: they do for `after` of subscriptions as well.
#[Object]
impl EventConnection {
    /// The events of this page, each with its cursor.
    fn edges(&self) -> Vec<EventEdge> {
        let pairs = self.slice.cursors.iter().zip(&self.events);
        pairs.map(|(cursor, event)| EventEdge { cursor: Cursor(cursor), node: event.clone() }).collect()
    }

    /// The events of this page.
    fn nodes(&self) -> Vec<Event> {
        self.events.clone()
    }

    /// Where this page lies in the log.
    fn page_info(&self) -> PageInfo {
        PageInfo::of(&self.slice)
    }

    /// How many events there are in all. Counted only when asked for, and no further than 10,000.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(i32::try_from(self.count(ctx).await?.total).unwrap_or(i32::MAX))
    }

    /// Whether `totalCount` is the whole truth; false when there are more than 10,000.
    async fn total_count_is_exact(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.count(ctx).await?.exact)
    }
}

/// One event of a page and its cursor.
#[derive(SimpleObject)]
pub struct EventEdge {
    /// The event's place in the log.
    pub cursor: Cursor,
    /// The event.
    pub node: Event,
}

/// The events of one ticket.
pub async fn history(ctx: &Context<'_>, ticket: Uuid, page: Page) -> Result<EventConnection> {
    let filter = Predicate::eq("subject", ticket).and(Predicate::eq("subjectKind", SUBJECT));
    list(ctx, filter, page).await
}

/// A page of the log.
pub async fn list(ctx: &Context<'_>, filter: Predicate, page: Page) -> Result<EventConnection> {
    let (viewer, platform) = (viewer(ctx)?, platform(ctx));
    let mut slice = platform.tickets.events(&viewer, filter.clone(), &page).await?;
    let rows = std::mem::take(&mut slice.rows);
    let cursors = std::mem::take(&mut slice.cursors);
    let (mut events, mut places) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    // An event of a kind that this version does not know is passed over, cursor and all.
    for (row, cursor) in rows.iter().zip(cursors.iter()) {
        if let Some(event) = from_row(&viewer, platform, row, cursor.clone()) {
            events.push(event);
            places.push(cursor);
        }
    }
    slice.cursors = places.into();
    Ok(EventConnection { slice, events, filter, count: OnceCell::new() })
}
