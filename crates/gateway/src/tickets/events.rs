//! Events in the API: one type for each kind, two interfaces.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Interface, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{ActorKind, Ctx, Id, Page, Uuid};
use predicate::{Facts, FieldType, Path, Predicate, RecordType, Value, evaluate};
use serde_json::Value as JsonValue;
use store::Change;
use store::query::{Count, Row, Slice};
use ticket::events::{EventFacts, SUBJECT};
use ticket::fields::{EVENT, TICKET};
use tokio::sync::OnceCell;

use crate::approvals::types::{Approval, ApprovalState, ApprovalVoteState};
use crate::configuration::ConfigurationItem;
use crate::configuration::types::LinkDirection;
use crate::connection::PageInfo;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::{Actor, User};
use crate::platform::Platform;
use crate::scalars::{Cursor, DateTime, Json, id_of};
use crate::tickets::comments::Comment;
use crate::tickets::links::{TicketLinkType, named_ticket};
use crate::tickets::types::Ticket;
use crate::tickets::words::TicketConfigurationItemLink;

/// Through what an act came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum EventChannel {
    /// A signed-in session.
    Session,
    /// An API token.
    Token,
    /// The command line on the server.
    CommandLine,
    /// Deskwire itself: a timer or a reaction.
    System,
}

/// One field that an event changed.
#[derive(Clone, Debug, SimpleObject)]
pub struct FieldChange {
    /// The field's name; of a custom field `customFields.` and its key.
    pub field: String,
    /// Its value before; references are ids.
    pub before: Option<Json>,
    /// Its value after; references are ids.
    pub after: Option<Json>,
}

/// An event as one viewer may read it.
pub struct EventView {
    id: Uuid,
    cursor: Option<String>,
    kind: String,
    actor: kernel::Actor,
    actor_row: Option<Row>,
    channel: EventChannel,
    subject: Uuid,
    version: i32,
    changes: Vec<FieldChange>,
    payload: JsonValue,
    occurred_at: kernel::Timestamp,
    recorded_at: kernel::Timestamp,
}

impl EventView {
    async fn actor(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = match &self.actor_row {
            Some(row) => Some(row.clone()),
            None => loaders::actor(ctx, self.actor.id).await?,
        };
        Ok(Actor::from_row(row.ok_or_else(|| kernel::Error::internal("an event's actor is missing"))?))
    }

    fn payload_text(&self, name: &str) -> Option<&str> {
        self.payload.get(name)?.as_str()
    }

    async fn payload_user(&self, ctx: &Context<'_>, name: &str) -> Result<Option<User>> {
        match self.payload_id(name) {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(User::from_row)),
            None => Ok(None),
        }
    }

    async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
        match self.payload_id("approval") {
            Some(id) => crate::approvals::types::find(ctx, id).await,
            None => Ok(None),
        }
    }

    fn payload_id(&self, name: &str) -> Option<Uuid> {
        self.payload.get(name)?.as_str()?.parse().ok()
    }
}

/// Declares the object of one event: what all events show, and its own.
macro_rules! event_object {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Arc<EventView>);

        $(#[$doc])*
        #[Object]
        impl $name {
            /// The event's id.
            pub async fn id(&self) -> ID {
                id_of(prefix::EVENT, self.0.id)
            }

            /// The event's place in the log: for `after`. Null in a mutation's payload.
            pub async fn cursor(&self) -> Option<Cursor> {
                self.0.cursor.clone().map(Cursor)
            }

            /// When it happened.
            pub async fn occurred_at(&self) -> DateTime {
                DateTime(self.0.occurred_at)
            }

            /// When it was written down; later than `occurredAt` for imported history.
            pub async fn recorded_at(&self) -> DateTime {
                DateTime(self.0.recorded_at)
            }

            /// Who did it.
            pub async fn actor(&self, ctx: &Context<'_>) -> Result<Actor> {
                self.0.actor(ctx).await
            }

            /// Through what.
            pub async fn channel(&self) -> EventChannel {
                self.0.channel
            }

            /// What changed, as far as the viewer may read it.
            pub async fn changes(&self) -> Vec<FieldChange> {
                self.0.changes.clone()
            }

            $($own)*
        }
    };
}

/// Declares the events: those of tickets (with fields of their own, if any), and those of other records.
macro_rules! events {
    (
        tickets { $($(#[$doc:meta])* $name:ident { $($own:tt)* })* }
        records { $($(#[$record_doc:meta])* $record:ident)* }
    ) => {
        $(
            event_object! {
                $(#[$doc])*
                $name {
                    /// The ticket as it is now; null when the viewer may not see it.
                    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                        Ok(loaders::ticket(ctx, self.0.subject).await?.map(Ticket::from_row))
                    }

                    /// The ticket's version after the event.
                    pub async fn version(&self) -> i32 {
                        self.0.version
                    }

                    $($own)*
                }
            }
        )*
        $(event_object! { $(#[$record_doc])* $record {} })*

        /// Something that happened, from the event log.
        #[derive(Clone, Interface)]
        #[graphql(
            field(name = "id", ty = "ID", desc = "The event's id."),
            field(name = "cursor", ty = "Option<Cursor>", desc = "The event's place in the log: for `after`. Null in a mutation's payload."),
            field(name = "occurred_at", ty = "DateTime", desc = "When it happened."),
            field(name = "recorded_at", ty = "DateTime", desc = "When it was written down; later than `occurredAt` for imported history."),
            field(name = "actor", ty = "Actor", desc = "Who did it."),
            field(name = "channel", ty = "EventChannel", desc = "Through what."),
            field(name = "changes", ty = "Vec<FieldChange>", desc = "What changed, as far as the viewer may read it.")
        )]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
            $($(#[$record_doc])* $record($record),)*
        }

        /// Something that happened to a ticket.
        #[derive(Clone, Interface)]
        #[graphql(
            field(name = "id", ty = "ID", desc = "The event's id."),
            field(name = "cursor", ty = "Option<Cursor>", desc = "The event's place in the log: for `after`. Null in a mutation's payload."),
            field(name = "occurred_at", ty = "DateTime", desc = "When it happened."),
            field(name = "recorded_at", ty = "DateTime", desc = "When it was written down; later than `occurredAt` for imported history."),
            field(name = "actor", ty = "Actor", desc = "Who did it."),
            field(name = "channel", ty = "EventChannel", desc = "Through what."),
            field(name = "changes", ty = "Vec<FieldChange>", desc = "What changed, as far as the viewer may read it."),
            field(name = "ticket", ty = "Option<Ticket>", desc = "The ticket as it is now; null when the viewer may not see it."),
            field(name = "version", ty = "i32", desc = "The ticket's version after the event.")
        )]
        pub enum TicketEvent {
            $($(#[$doc])* $name($name),)*
        }

        /// The kinds of events that happen to tickets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum TicketEventKind {
            $($(#[$doc])* $name,)*
        }

        impl TicketEventKind {
            /// The name in the log.
            pub const fn as_str(self) -> &'static str {
                match self { $(TicketEventKind::$name => stringify!($name),)* }
            }
        }

        impl Event {
            /// Of a view; `None` for a kind that this version does not know.
            fn of(view: EventView) -> Option<Self> {
                let view = Arc::new(view);
                match view.kind.as_str() {
                    $(stringify!($name) => Some(Event::$name($name(view))),)*
                    $(stringify!($record) => Some(Event::$record($record(view))),)*
                    _ => None,
                }
            }
        }

        impl TicketEvent {
            /// Of an event; `None` for one of another record.
            pub fn of(event: Event) -> Option<Self> {
                match event {
                    $(Event::$name(event) => Some(TicketEvent::$name(event)),)*
                    _ => None,
                }
            }
        }
    };
}

events! {
    tickets {
        /// An incident was opened.
        IncidentCreated {}
        /// An incident was resolved.
        IncidentResolved {}
        /// A resolved incident was reopened.
        IncidentReopened {}
        /// Fields of a ticket changed.
        TicketUpdated {}
        /// The team or the assignee of a ticket changed.
        TicketAssigned {}
        /// The state of a ticket changed.
        TicketTransitioned {}
        /// A ticket follows another version of its workflow.
        TicketWorkflowChanged {}
        /// What another system had recorded of a ticket was taken over. `occurredAt` and `actor` are those of the other
        /// system; `recordedAt` is the time of the import.
        TicketImported {}
        /// A comment was added.
        CommentAdded {
            /// The comment; null when the viewer may not read it.
            pub async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
                let Some(id) = self.0.payload_id("comment") else { return Ok(None) };
                Ok(platform(ctx).tickets.comment(&viewer(ctx)?, id).await?.map(Comment::from_row))
            }
        }
        /// The configuration items that a ticket is about changed. For those who work on the ticket.
        TicketConfigurationItemsChanged {
            /// What changed, item by item, as far as the viewer may see the items; at most 100.
            pub async fn items(&self, ctx: &Context<'_>) -> Result<Vec<TicketConfigurationItemChange>> {
                item_changes(ctx, &self.0.payload).await
            }
        }
        /// A ticket was linked with another. Told on both, for those who work on them.
        TicketLinked {
            /// How the one stands to the other.
            #[graphql(name = "type")]
            pub async fn kind(&self) -> Option<TicketLinkType> {
                TicketLinkType::parse(self.0.payload_text("type")?)
            }

            /// Which way, seen from the event's ticket.
            pub async fn direction(&self) -> LinkDirection {
                link_direction(&self.0)
            }

            /// The other ticket as it is now; null when the viewer may not see it.
            pub async fn linked_ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }
        }
        /// A link of a ticket with another was taken away. Told on both, for those who work on them.
        TicketUnlinked {
            /// How the one stood to the other.
            #[graphql(name = "type")]
            pub async fn kind(&self) -> Option<TicketLinkType> {
                TicketLinkType::parse(self.0.payload_text("type")?)
            }

            /// Which way, seen from the event's ticket.
            pub async fn direction(&self) -> LinkDirection {
                link_direction(&self.0)
            }

            /// The other ticket as it is now; null when the viewer may not see it.
            pub async fn linked_ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }
        }
        /// The open children of a ticket were resolved along with it, as far as that was possible. For those who work on the ticket.
        TicketChildrenResolved {
            /// What became of each child that was open, as far as the viewer may see them; at most 100.
            pub async fn children(&self, ctx: &Context<'_>) -> Result<Vec<ChildResolution>> {
                child_resolutions(ctx, &self.0.payload).await
            }
        }
        /// A task was added to a ticket.
        TaskCreated {
            /// The key of the transition of the task's parent whose effect it is; null when somebody added it.
            pub async fn transition(&self) -> Option<&str> {
                self.0.payload_text("transition")
            }
        }
        /// Which tasks a task depends on changed.
        TaskDependenciesChanged {
            /// All that it depends on since, as far as the viewer may see them; at most 100.
            pub async fn depends_on(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
                let ids = self.0.payload.get("dependsOn").and_then(JsonValue::as_array).cloned().unwrap_or_default();
                let named = ids.iter().map(|id| named_ticket(ctx, id.as_str()));
                Ok(futures_util::future::try_join_all(named).await?.into_iter().flatten().collect())
            }
        }
        /// Somebody began to follow a ticket.
        TicketWatched {
            /// Who.
            pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                let Some(id) = self.0.payload_id("user") else { return Ok(None) };
                Ok(loaders::actor(ctx, id).await?.map(User::from_row))
            }
        }
        /// Somebody ceased to follow a ticket.
        TicketUnwatched {
            /// Who.
            pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                let Some(id) = self.0.payload_id("user") else { return Ok(None) };
                Ok(loaders::actor(ctx, id).await?.map(User::from_row))
            }
        }
        /// Approval of a ticket was asked for.
        ApprovalStarted {
            /// The approval; null when the viewer may not see it.
            pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
                self.0.approval(ctx).await
            }

            /// The key of the transition whose effect it is; null when somebody asked for it.
            pub async fn transition(&self) -> Option<&str> {
                self.0.payload_text("transition")
            }
        }
        /// A step of an approval began to ask.
        ApprovalStepOpened {
            /// The approval; null when the viewer may not see it.
            pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
                self.0.approval(ctx).await
            }

            /// Whether it asks the administrators because nobody else was left.
            pub async fn to_administrators(&self) -> bool {
                self.0.payload.get("toAdministrators") == Some(&JsonValue::Bool(true))
            }
        }
        /// Somebody approved or refused.
        ApprovalDecided {
            /// The approval; null when the viewer may not see it.
            pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
                self.0.approval(ctx).await
            }

            /// Whose vote it is.
            pub async fn approver(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "approver").await
            }

            /// The person who decided: the approver, or their delegate. `actor` is the service account that passed it on,
            /// where one did.
            pub async fn decided_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "decidedBy").await
            }

            /// What was said.
            pub async fn vote(&self) -> Option<ApprovalVoteState> {
                ApprovalVoteState::parse(self.0.payload.get("vote")?.as_str()?)
            }
        }
        /// An approval is over: approved, refused, expired or canceled.
        ApprovalCompleted {
            /// The approval; null when the viewer may not see it.
            pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
                self.0.approval(ctx).await
            }

            /// What it has come to.
            pub async fn outcome(&self) -> Option<ApprovalState> {
                ApprovalState::parse(self.0.payload.get("outcome")?.as_str()?)
            }
        }
        /// An approval fell because what it was about was changed.
        ApprovalVoided {
            /// The approval; null when the viewer may not see it.
            pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
                self.0.approval(ctx).await
            }
        }
        /// Somebody may vote, or may not vote any more, for somebody who is asked.
        ApprovalDelegated {
            /// The approval; null when the viewer may not see it.
            pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
                self.0.approval(ctx).await
            }

            /// Who is asked.
            pub async fn approver(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "approver").await
            }

            /// Who may vote for them; null when nobody may any more.
            pub async fn delegate(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "delegate").await
            }
        }
    }
    records {
        /// A tenant was made.
        TenantCreated
        /// A user was made.
        UserCreated
        /// A user or a service account changed.
        UserUpdated
        /// A service account was made.
        ServiceAccountCreated
        /// A team was made.
        TeamCreated
        /// A team changed.
        TeamUpdated
        /// Somebody became a member of a team.
        TeamMemberAdded
        /// Somebody is no longer a member of a team.
        TeamMemberRemoved
        /// An API token was made.
        ApiTokenCreated
        /// An API token was revoked.
        ApiTokenRevoked
        /// Somebody signed in.
        SessionCreated
        /// A session ended.
        SessionRevoked
        /// A category was added.
        CategoryCreated
        /// A category changed.
        CategoryUpdated
        /// Cells of the priority matrix were set.
        PriorityMatrixSet
        /// A workflow was made.
        WorkflowCreated
        /// A workflow or its draft changed.
        WorkflowUpdated
        /// A version of a workflow was published.
        WorkflowPublished
        /// A custom field was defined.
        CustomFieldCreated
        /// A custom field changed or was retired.
        CustomFieldUpdated
        /// A service was added.
        ServiceCreated
        /// A service changed.
        ServiceUpdated
        /// A configuration item was added.
        ConfigurationItemCreated
        /// A configuration item changed.
        ConfigurationItemUpdated
        /// A relation between two configuration items was added.
        ConfigurationItemRelated
        /// A relation between two configuration items was taken away.
        ConfigurationItemUnrelated
        /// A filter was saved.
        SavedFilterCreated
        /// A saved filter changed.
        SavedFilterUpdated
        /// A saved filter was deleted.
        SavedFilterDeleted
        /// Somebody's decisions on approvals were delegated.
        DelegationCreated
        /// A delegation was ended before its time.
        DelegationEnded
    }
}

/// What became of an open child when its parent was resolved.
#[derive(SimpleObject)]
pub struct ChildResolution {
    /// The child as it is now.
    pub ticket: Ticket,
    /// Whether it was resolved.
    pub resolved: bool,
    /// Why it was not.
    pub reasons: Vec<String>,
}

async fn child_resolutions(ctx: &Context<'_>, payload: &JsonValue) -> Result<Vec<ChildResolution>> {
    let children = payload.get("children").and_then(JsonValue::as_array).cloned().unwrap_or_default();
    let shown = children.iter().map(|child| async move {
        let ticket = named_ticket(ctx, child.get("ticket").and_then(JsonValue::as_str)).await?;
        let reasons = child.get("reasons").and_then(JsonValue::as_array).cloned().unwrap_or_default();
        let reasons: Vec<String> = reasons.iter().filter_map(JsonValue::as_str).map(str::to_owned).collect();
        Ok::<_, async_graphql::Error>(ticket.map(|ticket| ChildResolution {
            ticket,
            resolved: reasons.is_empty(),
            reasons,
        }))
    });
    Ok(futures_util::future::try_join_all(shown).await?.into_iter().flatten().collect())
}

fn link_direction(view: &EventView) -> LinkDirection {
    match view.payload_text("direction") {
        Some("INWARD") => LinkDirection::Inward,
        _ => LinkDirection::Outward,
    }
}

/// How a configuration item came onto a ticket, or left it.
#[derive(SimpleObject)]
pub struct TicketConfigurationItemChange {
    /// The item.
    pub configuration_item: ConfigurationItem,
    /// How it stood there before; null when it did not.
    pub before: Option<TicketConfigurationItemLink>,
    /// How it stands there after; null when it does not.
    pub after: Option<TicketConfigurationItemLink>,
}

async fn item_changes(ctx: &Context<'_>, payload: &JsonValue) -> Result<Vec<TicketConfigurationItemChange>> {
    let changes = payload.get("items").and_then(JsonValue::as_array).cloned().unwrap_or_default();
    let shown = changes.iter().map(|change| async move {
        let text = |name: &str| change.get(name).and_then(JsonValue::as_str).unwrap_or_default();
        let Ok(id) = text("item").parse::<Uuid>() else { return Ok(None) };
        let item = loaders::configuration_item(ctx, id).await?;
        Ok::<_, async_graphql::Error>(item.map(|row| TicketConfigurationItemChange {
            configuration_item: ConfigurationItem::from_row(row),
            before: TicketConfigurationItemLink::parse(text("before")),
            after: TicketConfigurationItemLink::parse(text("after")),
        }))
    });
    Ok(futures_util::future::try_join_all(shown).await?.into_iter().flatten().collect())
}

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
        _ => plain_changes(&event.changes),
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
        None => plain_changes(&stored),
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

fn plain_changes(changes: &[Change]) -> Vec<FieldChange> {
    changes.iter().map(|change| field_change(change, |json| json.clone())).collect()
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
        .filter(|(_, field)| field.name != "id" && readable(field.name))
        .flat_map(|(change, field)| match field.kind {
            FieldType::Json => by_key(change),
            FieldType::Id => vec![field_change(change, |json| public_id(record, field.name, json, facts))],
            _ => vec![field_change(change, Clone::clone)],
        })
        .collect()
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
    async fn edges(&self) -> Vec<EventEdge> {
        let pairs = self.slice.cursors.iter().zip(&self.events);
        pairs.map(|(cursor, event)| EventEdge { cursor: Cursor(cursor), node: event.clone() }).collect()
    }

    /// The events of this page.
    async fn nodes(&self) -> Vec<Event> {
        self.events.clone()
    }

    /// Where this page lies in the log.
    async fn page_info(&self) -> PageInfo {
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
