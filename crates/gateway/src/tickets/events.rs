//! Events in the API: one type for each kind, two interfaces.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Interface, Object, Result, SimpleObject};
use kernel::Uuid;
use kernel::id::prefix;
use serde_json::Value as JsonValue;
use store::query::Row;

use crate::approvals::types::{Approval, ApprovalState, ApprovalVoteState};
use crate::configuration::ConfigurationItem;
use crate::configuration::types::LinkDirection;
use crate::files::Attachment;
use crate::incidents::alerts::AlertOutcome;
use crate::incidents::escalation::IncidentEscalationType;
use crate::incidents::major::{MajorIncidentAction, StatusUpdate, TimelineNote};
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::scalars::{Cursor, DateTime, Json, Markdown, id_of};
use crate::service_levels::SlaPolicy;
use crate::service_levels::types::SlaMetric;
use crate::tickets::comments::Comment;
use crate::tickets::links::{TicketLinkType, named_ticket};
use crate::tickets::merges::{self, TicketMerge};
use crate::tickets::recurring_tickets::RecurringTicket;
use crate::tickets::types::Ticket;
use crate::tickets::words::TicketConfigurationItemLink;
use crate::time::TimeEntry;
use crate::time::entries::TimeEntryState;

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
    pub(super) id: Uuid,
    pub(super) cursor: Option<String>,
    pub(super) kind: String,
    pub(super) actor: kernel::Actor,
    pub(super) actor_row: Option<Row>,
    pub(super) channel: EventChannel,
    pub(super) subject: Uuid,
    pub(super) version: i32,
    pub(super) changes: Vec<FieldChange>,
    pub(super) payload: JsonValue,
    pub(super) occurred_at: kernel::Timestamp,
    pub(super) recorded_at: kernel::Timestamp,
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

    fn is_escalated(&self, kind: IncidentEscalationType) -> bool {
        self.payload_text("type").and_then(IncidentEscalationType::parse) == Some(kind)
    }

    async fn recurring_ticket(&self, ctx: &Context<'_>) -> Result<Option<RecurringTicket>> {
        Ok(loaders::recurring_ticket(ctx, self.subject).await?.map(RecurringTicket::from_row))
    }

    async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
        let Some(id) = self.payload_id("comment") else { return Ok(None) };
        Ok(loaders::comment(ctx, id).await?.map(Comment::from_row))
    }

    async fn attachment(&self, ctx: &Context<'_>) -> Result<Option<Attachment>> {
        let Some(id) = self.payload_id("attachment") else { return Ok(None) };
        Ok(loaders::attachment(ctx, id).await?.map(Attachment::from_row))
    }

    async fn escalation_team(&self, ctx: &Context<'_>, name: &str) -> Result<Option<Team>> {
        let functional = self.is_escalated(IncidentEscalationType::Functional);
        match self.payload_id(name).filter(|_| functional) {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    async fn escalation_manager(&self, ctx: &Context<'_>, name: &str) -> Result<Option<User>> {
        match self.is_escalated(IncidentEscalationType::Hierarchical) {
            true => self.payload_user(ctx, name).await,
            false => Ok(None),
        }
    }

    async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
        match self.payload_id("approval") {
            Some(id) => crate::approvals::types::find(ctx, id).await,
            None => Ok(None),
        }
    }

    async fn time_entry(&self, ctx: &Context<'_>) -> Result<Option<TimeEntry>> {
        match self.payload_id("entry") {
            Some(id) => crate::time::entries::find(ctx, id).await,
            None => Ok(None),
        }
    }

    async fn time_entry_state(&self, ctx: &Context<'_>, name: &str) -> Result<Option<TimeEntryState>> {
        let ticket = loaders::ticket(ctx, self.subject).await?;
        let costs = ticket.is_some_and(|ticket| crate::time::cost::readable(&ticket));
        Ok(TimeEntryState::of(self.payload.get(name), costs))
    }

    async fn sla_policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        let Some(id) = self.payload_id("policy") else { return Ok(None) };
        Ok(loaders::sla_policy(ctx, id).await?.map(SlaPolicy::from_row))
    }

    fn payload_time(&self, name: &str) -> Option<DateTime> {
        serde_json::from_value(self.payload.get(name)?.clone()).ok().map(DateTime)
    }

    fn payload_count(&self, name: &str) -> i32 {
        let count = self.payload.get(name).and_then(JsonValue::as_i64).unwrap_or_default();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    async fn merge(&self, ctx: &Context<'_>) -> Result<Option<TicketMerge>> {
        match self.payload_id("merge") {
            Some(id) => merges::find(ctx, id).await,
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

/// Declares the events: those of tickets and those of other records, with fields of their own, if any.
macro_rules! events {
    (
        tickets { $($(#[$doc:meta])* $name:ident { $($own:tt)* })* }
        records { $($(#[$record_doc:meta])* $record:ident $({ $($record_own:tt)* })?)* }
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
        $(event_object! { $(#[$record_doc])* $record { $($($record_own)*)? } })*

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
            pub(super) fn of(view: EventView) -> Option<Self> {
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
        /// An incident was escalated. For those who work on it.
        IncidentEscalated {
            /// Which way.
            #[graphql(name = "type")]
            pub async fn kind(&self) -> Option<IncidentEscalationType> {
                IncidentEscalationType::parse(self.0.payload_text("type")?)
            }

            /// The incident's level of that type since.
            pub async fn level(&self) -> i32 {
                let level = self.0.payload.get("level").and_then(JsonValue::as_i64).unwrap_or_default();
                i32::try_from(level).unwrap_or(i32::MAX)
            }

            /// Why.
            pub async fn reason(&self) -> Option<Markdown> {
                self.0.payload_text("reason").map(|reason| Markdown(reason.to_owned()))
            }

            /// Of a functional escalation: the team that had it.
            pub async fn from_team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
                self.0.escalation_team(ctx, "from").await
            }

            /// Of a functional escalation: the team that has it since.
            pub async fn to_team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
                self.0.escalation_team(ctx, "to").await
            }

            /// Of a hierarchical escalation: the manager whom it had reached before; null at first.
            pub async fn from_manager(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.escalation_manager(ctx, "from").await
            }

            /// Of a hierarchical escalation: the manager who watches it since.
            pub async fn to_manager(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.escalation_manager(ctx, "to").await
            }
        }
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
            /// The comment as it is now; null when the viewer may not read it.
            pub async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
                self.0.comment(ctx).await
            }
        }
        /// A comment says something else now.
        CommentEdited {
            /// The comment as it is now; null when the viewer may not read it.
            pub async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
                self.0.comment(ctx).await
            }
        }
        /// What a comment said was deleted.
        CommentRedacted {
            /// The comment as it is now; null when the viewer may not read it.
            pub async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
                self.0.comment(ctx).await
            }
        }
        /// A file was attached.
        AttachmentAdded {
            /// The attachment as it is now; null when it was taken away, and when the viewer may not see it.
            pub async fn attachment(&self, ctx: &Context<'_>) -> Result<Option<Attachment>> {
                self.0.attachment(ctx).await
            }
        }
        /// A virus scanner has looked at a file.
        AttachmentScanned {
            /// The attachment as it is now; null when it was taken away, and when the viewer may not see it.
            pub async fn attachment(&self, ctx: &Context<'_>) -> Result<Option<Attachment>> {
                self.0.attachment(ctx).await
            }
        }
        /// A file was taken away.
        AttachmentRemoved {
            /// The id that the attachment had.
            pub async fn attachment_id(&self) -> Option<ID> {
                self.0.payload_id("attachment").map(|id| id_of(prefix::ATTACHMENT, id))
            }
        }
        /// A problem was opened.
        ProblemCreated {}
        /// A problem was resolved: its cause is gone.
        ProblemResolved {}
        /// A resolved problem was reopened: it was not fixed.
        ProblemReopened {}
        /// A problem was closed without having been resolved.
        ProblemClosed {}
        /// Incidents were linked with a problem. For those who work on it.
        ProblemIncidentsLinked {
            /// Those that were linked, as they are now and as far as the viewer may see them; at most 100.
            pub async fn incidents(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
                let told = self.0.payload.get("incidents").and_then(JsonValue::as_array).cloned().unwrap_or_default();
                let linked = told.iter().filter(|one| one.get("outcome").and_then(JsonValue::as_str) == Some("LINKED"));
                let named = linked.map(|one| named_ticket(ctx, one.get("incident").and_then(JsonValue::as_str)));
                Ok(futures_util::future::try_join_all(named).await?.into_iter().flatten().collect())
            }
        }
        /// The workaround of a problem was published.
        WorkaroundPublished {
            /// Which publication of the problem it is, from 1.
            pub async fn publication(&self) -> i32 {
                let number = self.0.payload.get("publication").and_then(JsonValue::as_i64).unwrap_or_default();
                i32::try_from(number).unwrap_or(i32::MAX)
            }
        }
        /// The date has come at which an accepted risk is to be looked at again. For those who work on the problem.
        ProblemRiskReviewDue {}
        /// Alerts came in on an incident: began, were told again, or ended. For those who work on it.
        AlertsReceived {
            /// How often alerts of the incident have been told by then.
            pub async fn occurrences(&self) -> i32 {
                let told = self.0.payload.get("occurrences").and_then(JsonValue::as_i64).unwrap_or_default();
                i32::try_from(told).unwrap_or(i32::MAX)
            }

            /// What became of each alert; at most 20.
            pub async fn alerts(&self) -> Vec<AlertReceived> {
                let alerts = self.0.payload.get("alerts").and_then(JsonValue::as_array);
                alerts.into_iter().flatten().filter_map(AlertReceived::of).collect()
            }
        }
        /// Somebody says that an incident is a major one.
        MajorIncidentProposed {}
        /// An incident is a major one from now on.
        MajorIncidentAccepted {}
        /// An incident that was proposed is no major one.
        MajorIncidentRejected {}
        /// Who leads a major incident, what it means for the business, or how often it is told of changed.
        MajorIncidentUpdated {}
        /// Something was told of a major incident.
        StatusUpdatePosted {
            /// The status update; null when it is not meant for the viewer.
            pub async fn status_update(&self, ctx: &Context<'_>) -> Result<Option<StatusUpdate>> {
                let Some(id) = self.0.payload_id("statusUpdate") else { return Ok(None) };
                Ok(loaders::status_update(ctx, id).await?.map(StatusUpdate::from_row))
            }
        }
        /// A major incident should have been told of by now. For those who work on it.
        StatusUpdateDue {}
        /// Somebody noted something on the timeline of a major incident. For those who work on it.
        TimelineNoteAdded {
            /// The note; null when the viewer may not read it.
            pub async fn note(&self, ctx: &Context<'_>) -> Result<Option<TimelineNote>> {
                let Some(id) = self.0.payload_id("note") else { return Ok(None) };
                Ok(loaders::timeline_note(ctx, id).await?.map(TimelineNote::from_row))
            }
        }
        /// The review of a major incident was written. For those who work on it.
        MajorIncidentReviewUpdated {}
        /// The review of a major incident was completed.
        MajorIncidentReviewCompleted {}
        /// Something is to be done after a major incident. For those who work on it.
        MajorIncidentActionAdded {
            /// The action; null when the viewer may not read it.
            pub async fn action(&self, ctx: &Context<'_>) -> Result<Option<MajorIncidentAction>> {
                let Some(id) = self.0.payload_id("action") else { return Ok(None) };
                Ok(loaders::major_action(ctx, id).await?.map(MajorIncidentAction::from_row))
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
        /// A ticket was merged into another, and ended by it.
        TicketMerged {
            /// The ticket that goes on, as it is now; null when the viewer may not see it.
            pub async fn into(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }

            /// The merge as it is now; null when the viewer may not see both tickets.
            pub async fn merge(&self, ctx: &Context<'_>) -> Result<Option<TicketMerge>> {
                self.0.merge(ctx).await
            }
        }
        /// Another ticket was merged into a ticket: its comments and attachments stand there now. For those who work on it.
        TicketMergeReceived {
            /// The duplicate as it is now; null when the viewer may not see it.
            pub async fn duplicate(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }

            /// The merge as it is now; null when the viewer may not see both tickets.
            pub async fn merge(&self, ctx: &Context<'_>) -> Result<Option<TicketMerge>> {
                self.0.merge(ctx).await
            }
        }
        /// A merge was undone. Told on both tickets; on the one that had received the other for those who work on it.
        TicketMergeUndone {
            /// The ticket at the other end, as it is now; null when the viewer may not see it.
            pub async fn other_ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }

            /// The merge as it is now; null when the viewer may not see both tickets.
            pub async fn merge(&self, ctx: &Context<'_>) -> Result<Option<TicketMerge>> {
                self.0.merge(ctx).await
            }
        }
        /// Comments of a ticket became a ticket of their own. For those who work on it.
        TicketSplit {
            /// The new ticket as it is now; null when the viewer may not see it.
            pub async fn split_off(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }

            /// How many comments went there.
            pub async fn comments(&self) -> i32 {
                self.0.payload_count("comments")
            }

            /// How many attachments went along.
            pub async fn attachments(&self) -> i32 {
                self.0.payload_count("attachments")
            }
        }
        /// A ticket was opened with comments of another. For those who work on it.
        TicketSplitOff {
            /// The ticket whose comments they were, as it is now; null when the viewer may not see it.
            pub async fn split_from(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
                named_ticket(ctx, self.0.payload_text("ticket")).await
            }

            /// How many comments came with it.
            pub async fn comments(&self) -> i32 {
                self.0.payload_count("comments")
            }

            /// How many attachments came along.
            pub async fn attachments(&self) -> i32 {
                self.0.payload_count("attachments")
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
        /// Time was written down on a ticket. For those who work on it.
        TimeEntryAdded {
            /// The entry as it is now; null when it was taken away, and when the viewer may not see it.
            pub async fn time_entry(&self, ctx: &Context<'_>) -> Result<Option<TimeEntry>> {
                self.0.time_entry(ctx).await
            }

            /// Whose time it is.
            pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "user").await
            }

            /// What the entry said.
            pub async fn after(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
                self.0.time_entry_state(ctx, "after").await
            }
        }
        /// A time entry was corrected. For those who work on the ticket.
        TimeEntryUpdated {
            /// The entry as it is now; null when it was taken away, and when the viewer may not see it.
            pub async fn time_entry(&self, ctx: &Context<'_>) -> Result<Option<TimeEntry>> {
                self.0.time_entry(ctx).await
            }

            /// Whose time it is.
            pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "user").await
            }

            /// What the entry said before.
            pub async fn before(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
                self.0.time_entry_state(ctx, "before").await
            }

            /// What the entry said after.
            pub async fn after(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
                self.0.time_entry_state(ctx, "after").await
            }
        }
        /// A time entry was taken away. For those who work on the ticket.
        TimeEntryRemoved {
            /// Whose time it was.
            pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
                self.0.payload_user(ctx, "user").await
            }

            /// What the entry had said.
            pub async fn before(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
                self.0.time_entry_state(ctx, "before").await
            }
        }
        /// A clock of a service level is over time.
        SlaBreached {
            /// The policy; null when the viewer may not read it.
            pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
                self.0.sla_policy(ctx).await
            }

            /// What is measured.
            pub async fn metric(&self) -> Option<SlaMetric> {
                SlaMetric::parse(self.0.payload_text("metric")?)
            }

            /// When it was due.
            pub async fn due_at(&self) -> Option<DateTime> {
                self.0.payload_time("dueAt")
            }

            /// Whether it is told more than a minute late, such as after a downtime.
            pub async fn late(&self) -> bool {
                self.0.payload.get("late") == Some(&JsonValue::Bool(true))
            }
        }
        /// An escalation of a clock was due. For those who work on the ticket.
        SlaEscalated {
            /// The policy; null when the viewer may not read it.
            pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
                self.0.sla_policy(ctx).await
            }

            /// What is measured.
            pub async fn metric(&self) -> Option<SlaMetric> {
                SlaMetric::parse(self.0.payload_text("metric")?)
            }

            /// Which escalation: `75%`, `-PT30M`, `+PT2H`.
            pub async fn at(&self) -> Option<&str> {
                self.0.payload_text("at")
            }

            /// When it was due.
            pub async fn due_at(&self) -> Option<DateTime> {
                self.0.payload_time("dueAt")
            }

            /// Whether it comes more than a minute late, such as after a downtime.
            pub async fn late(&self) -> bool {
                self.0.payload.get("late") == Some(&JsonValue::Bool(true))
            }
        }
        /// Other versions of a policy and its calendars hold for a ticket, back to its beginning.
        SlaPolicyApplied {
            /// The policy; null when the viewer may not read it.
            pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
                self.0.sla_policy(ctx).await
            }
        }
    }
    records {
        /// A reaction to an event could not be done, or stood too deep in a chain of them; `changes` name the reaction, the event, its
        /// kind, and why.
        ReactionFailed
        /// An operation was started.
        OperationStarted
        /// An operation went on.
        OperationProgressed
        /// An operation is over.
        OperationEnded
        /// A calendar was added.
        CalendarCreated
        /// A calendar changed.
        CalendarUpdated
        /// A policy of service levels was added.
        SlaPolicyCreated
        /// A policy of service levels changed.
        SlaPolicyUpdated
        /// A rule of alerts was added.
        AlertRuleCreated
        /// A rule of alerts changed.
        AlertRuleUpdated
        /// What a tenant sets for its major incidents changed.
        MajorIncidentSettingsUpdated
        /// A rule that finds problems was added.
        ProblemDetectionRuleCreated
        /// A rule that finds problems changed.
        ProblemDetectionRuleUpdated
        /// An agreement on service levels was added.
        ServiceAgreementCreated
        /// An agreement on service levels changed.
        ServiceAgreementUpdated
        /// A service level requirement was added.
        ServiceLevelRequirementCreated
        /// A service level requirement changed.
        ServiceLevelRequirementUpdated
        /// A service review was made.
        ServiceReviewCreated
        /// A service review changed or was closed.
        ServiceReviewUpdated
        /// An action of a service review became a task.
        ServiceReviewActionAdded
        /// An entry was added to the service improvement register.
        ServiceImprovementCreated
        /// An entry of the service improvement register changed.
        ServiceImprovementUpdated
        /// A labour rate was added.
        LabourRateCreated
        /// A labour rate changed or was retired.
        LabourRateUpdated
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
        /// A canned response was written.
        CannedResponseCreated
        /// A canned response changed or was retired.
        CannedResponseUpdated
        /// A ticket template was added.
        TicketTemplateCreated
        /// A ticket template changed.
        TicketTemplateUpdated
        /// A ticket template was deleted.
        TicketTemplateDeleted
        /// A recurring ticket was set up.
        RecurringTicketCreated
        /// A recurring ticket changed.
        RecurringTicketUpdated
        /// A recurring ticket was deleted.
        RecurringTicketDeleted
        /// Runs of a recurring ticket were left out, because they were due too long ago: after a downtime.
        RecurringTicketRunsSkipped {
            /// The recurring ticket; null when it was deleted since, and without `template.read`.
            pub async fn recurring_ticket(&self, ctx: &Context<'_>) -> Result<Option<RecurringTicket>> {
                self.0.recurring_ticket(ctx).await
            }

            /// How many.
            pub async fn count(&self) -> i32 {
                let count = self.0.payload.get("count").and_then(JsonValue::as_i64).unwrap_or_default();
                i32::try_from(count).unwrap_or(i32::MAX)
            }

            /// When the first of them was due.
            pub async fn from(&self) -> Option<DateTime> {
                self.0.payload_time("from")
            }

            /// When the last of them was due.
            pub async fn to(&self) -> Option<DateTime> {
                self.0.payload_time("to")
            }
        }
        /// A run of a recurring ticket could not create its ticket.
        RecurringTicketRunFailed {
            /// The recurring ticket; null when it was deleted since, and without `template.read`.
            pub async fn recurring_ticket(&self, ctx: &Context<'_>) -> Result<Option<RecurringTicket>> {
                self.0.recurring_ticket(ctx).await
            }

            /// When it was due.
            pub async fn due_at(&self) -> Option<DateTime> {
                self.0.payload_time("dueAt")
            }

            /// Why, for people.
            pub async fn message(&self) -> Option<&str> {
                self.0.payload_text("message")
            }
        }
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

/// What became of an alert that came in.
#[derive(SimpleObject)]
pub struct AlertReceived {
    /// By which monitoring means the same alert again.
    pub key: String,
    /// What was done.
    pub outcome: AlertOutcome,
}

impl AlertReceived {
    fn of(entry: &JsonValue) -> Option<Self> {
        let text = |name: &str| entry.get(name)?.as_str();
        Some(Self { key: text("key")?.to_owned(), outcome: AlertOutcome::parse(text("outcome")?)? })
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
