//! The kinds of events: what all of them show, and which there are.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Interface, Object, Result};
use kernel::id::prefix;

use super::approvals::{
    ApprovalCompletedFields, ApprovalDecidedFields, ApprovalDelegatedFields, ApprovalFields, ApprovalStartedFields,
    ApprovalStepFields,
};
use super::comments::{AttachmentFields, AttachmentRemovedFields, CommentFields};
use super::incidents::{
    AlertsFields, EscalationFields, MajorIncidentActionFields, StatusUpdateFields, TimelineNoteFields,
};
use super::links::{
    ChildrenFields, ConfigurationItemsFields, LinkedFields, MergeReceivedFields, MergeUndoneFields, MergedFields,
    SplitFields, SplitOffFields, UnlinkedFields,
};
use super::problems::{IncidentsLinkedFields, WorkaroundFields};
use super::recurring::{RunFailedFields, RunsSkippedFields};
use super::service_levels::{BreachFields, PolicyFields, SlaEscalationFields};
use super::tasks::{DependenciesFields, TaskFields, WatcherFields};
use super::time::{TimeEntryAddedFields, TimeEntryRemovedFields, TimeEntryUpdatedFields};
use super::view::{EventChannel, EventView, FieldChange};
use crate::loaders;
use crate::people::Actor;
use crate::scalars::{Cursor, DateTime, id_of};
use crate::tickets::types::Ticket;

/// Declares the object of one event: what all events show, and what it shows besides.
macro_rules! event_object {
    ($(#[$doc:meta])* $name:ident { $($besides:tt)* }) => {
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

            $($besides)*
        }
    };
}

/// Declares the events: those of tickets and those of other records, with the object whose fields they show besides, if any.
macro_rules! events {
    (
        tickets { $($(#[$doc:meta])* $name:ident $(: $own:ident)?,)* }
        records { $($(#[$record_doc:meta])* $record:ident $(: $record_own:ident)?,)* }
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

                    $(#[graphql(flatten)]
                    fn own(&self) -> $own {
                        $own(self.0.clone())
                    })?
                }
            }
        )*
        $(
            event_object! {
                $(#[$record_doc])*
                $record {
                    $(#[graphql(flatten)]
                    fn own(&self) -> $record_own {
                        $record_own(self.0.clone())
                    })?
                }
            }
        )*

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
            pub(in crate::tickets) fn of(view: EventView) -> Option<Self> {
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
        IncidentCreated,
        /// An incident was resolved.
        IncidentResolved,
        /// A resolved incident was reopened.
        IncidentReopened,
        /// An incident was escalated. For those who work on it.
        IncidentEscalated: EscalationFields,
        /// Fields of a ticket changed.
        TicketUpdated,
        /// The team or the assignee of a ticket changed.
        TicketAssigned,
        /// The state of a ticket changed.
        TicketTransitioned,
        /// A ticket follows another version of its workflow.
        TicketWorkflowChanged,
        /// What another system had recorded of a ticket was taken over. `occurredAt` and `actor` are those of the other
        /// system; `recordedAt` is the time of the import.
        TicketImported,
        /// A comment was added.
        CommentAdded: CommentFields,
        /// A comment says something else now.
        CommentEdited: CommentFields,
        /// What a comment said was deleted.
        CommentRedacted: CommentFields,
        /// A file was attached.
        AttachmentAdded: AttachmentFields,
        /// A virus scanner has looked at a file.
        AttachmentScanned: AttachmentFields,
        /// A file was taken away.
        AttachmentRemoved: AttachmentRemovedFields,
        /// A problem was opened.
        ProblemCreated,
        /// A problem was resolved: its cause is gone.
        ProblemResolved,
        /// A resolved problem was reopened: it was not fixed.
        ProblemReopened,
        /// A problem was closed without having been resolved.
        ProblemClosed,
        /// Incidents were linked with a problem. For those who work on it.
        ProblemIncidentsLinked: IncidentsLinkedFields,
        /// The workaround of a problem was published.
        WorkaroundPublished: WorkaroundFields,
        /// The date has come at which an accepted risk is to be looked at again. For those who work on the problem.
        ProblemRiskReviewDue,
        /// Alerts came in on an incident: began, were told again, or ended. For those who work on it.
        AlertsReceived: AlertsFields,
        /// Somebody says that an incident is a major one.
        MajorIncidentProposed,
        /// An incident is a major one from now on.
        MajorIncidentAccepted,
        /// An incident that was proposed is no major one.
        MajorIncidentRejected,
        /// Who leads a major incident, what it means for the business, or how often it is told of changed.
        MajorIncidentUpdated,
        /// Something was told of a major incident.
        StatusUpdatePosted: StatusUpdateFields,
        /// A major incident should have been told of by now. For those who work on it.
        StatusUpdateDue,
        /// Somebody noted something on the timeline of a major incident. For those who work on it.
        TimelineNoteAdded: TimelineNoteFields,
        /// The review of a major incident was written. For those who work on it.
        MajorIncidentReviewUpdated,
        /// The review of a major incident was completed.
        MajorIncidentReviewCompleted,
        /// Something is to be done after a major incident. For those who work on it.
        MajorIncidentActionAdded: MajorIncidentActionFields,
        /// The configuration items that a ticket is about changed. For those who work on the ticket.
        TicketConfigurationItemsChanged: ConfigurationItemsFields,
        /// A ticket was linked with another. Told on both, for those who work on them.
        TicketLinked: LinkedFields,
        /// A link of a ticket with another was taken away. Told on both, for those who work on them.
        TicketUnlinked: UnlinkedFields,
        /// A ticket was merged into another, and ended by it.
        TicketMerged: MergedFields,
        /// Another ticket was merged into a ticket: its comments and attachments stand there now. For those who work on it.
        TicketMergeReceived: MergeReceivedFields,
        /// A merge was undone. Told on both tickets; on the one that had received the other for those who work on it.
        TicketMergeUndone: MergeUndoneFields,
        /// Comments of a ticket became a ticket of their own. For those who work on it.
        TicketSplit: SplitFields,
        /// A ticket was opened with comments of another. For those who work on it.
        TicketSplitOff: SplitOffFields,
        /// The open children of a ticket were resolved along with it, as far as that was possible. For those who work on the ticket.
        TicketChildrenResolved: ChildrenFields,
        /// A task was added to a ticket.
        TaskCreated: TaskFields,
        /// Which tasks a task depends on changed.
        TaskDependenciesChanged: DependenciesFields,
        /// Somebody began to follow a ticket.
        TicketWatched: WatcherFields,
        /// Somebody ceased to follow a ticket.
        TicketUnwatched: WatcherFields,
        /// Approval of a ticket was asked for.
        ApprovalStarted: ApprovalStartedFields,
        /// A step of an approval began to ask.
        ApprovalStepOpened: ApprovalStepFields,
        /// Somebody approved or refused.
        ApprovalDecided: ApprovalDecidedFields,
        /// An approval is over: approved, refused, expired or canceled.
        ApprovalCompleted: ApprovalCompletedFields,
        /// An approval fell because what it was about was changed.
        ApprovalVoided: ApprovalFields,
        /// Somebody may vote, or may not vote any more, for somebody who is asked.
        ApprovalDelegated: ApprovalDelegatedFields,
        /// Time was written down on a ticket. For those who work on it.
        TimeEntryAdded: TimeEntryAddedFields,
        /// A time entry was corrected. For those who work on the ticket.
        TimeEntryUpdated: TimeEntryUpdatedFields,
        /// A time entry was taken away. For those who work on the ticket.
        TimeEntryRemoved: TimeEntryRemovedFields,
        /// A clock of a service level is over time.
        SlaBreached: BreachFields,
        /// An escalation of a clock was due. For those who work on the ticket.
        SlaEscalated: SlaEscalationFields,
        /// Other versions of a policy and its calendars hold for a ticket, back to its beginning.
        SlaPolicyApplied: PolicyFields,
    }
    records {
        /// A reaction to an event could not be done, or stood too deep in a chain of them; `changes` name the reaction, the event, its
        /// kind, and why.
        ReactionFailed,
        /// An operation was started.
        OperationStarted,
        /// An operation went on.
        OperationProgressed,
        /// An operation is over.
        OperationEnded,
        /// A calendar was added.
        CalendarCreated,
        /// A calendar changed.
        CalendarUpdated,
        /// A policy of service levels was added.
        SlaPolicyCreated,
        /// A policy of service levels changed.
        SlaPolicyUpdated,
        /// A rule of alerts was added.
        AlertRuleCreated,
        /// A rule of alerts changed.
        AlertRuleUpdated,
        /// What a tenant sets for its major incidents changed.
        MajorIncidentSettingsUpdated,
        /// A rule that finds problems was added.
        ProblemDetectionRuleCreated,
        /// A rule that finds problems changed.
        ProblemDetectionRuleUpdated,
        /// An agreement on service levels was added.
        ServiceAgreementCreated,
        /// An agreement on service levels changed.
        ServiceAgreementUpdated,
        /// A service level requirement was added.
        ServiceLevelRequirementCreated,
        /// A service level requirement changed.
        ServiceLevelRequirementUpdated,
        /// A service review was made.
        ServiceReviewCreated,
        /// A service review changed or was closed.
        ServiceReviewUpdated,
        /// An action of a service review became a task.
        ServiceReviewActionAdded,
        /// An entry was added to the service improvement register.
        ServiceImprovementCreated,
        /// An entry of the service improvement register changed.
        ServiceImprovementUpdated,
        /// A labour rate was added.
        LabourRateCreated,
        /// A labour rate changed or was retired.
        LabourRateUpdated,
        /// A tenant was made.
        TenantCreated,
        /// A user was made.
        UserCreated,
        /// A user or a service account changed.
        UserUpdated,
        /// A service account was made.
        ServiceAccountCreated,
        /// A team was made.
        TeamCreated,
        /// A team changed.
        TeamUpdated,
        /// Somebody became a member of a team.
        TeamMemberAdded,
        /// Somebody is no longer a member of a team.
        TeamMemberRemoved,
        /// An API token was made.
        ApiTokenCreated,
        /// An API token was revoked.
        ApiTokenRevoked,
        /// Somebody signed in.
        SessionCreated,
        /// A session ended.
        SessionRevoked,
        /// A category was added.
        CategoryCreated,
        /// A category changed.
        CategoryUpdated,
        /// A canned response was written.
        CannedResponseCreated,
        /// A canned response changed or was retired.
        CannedResponseUpdated,
        /// A ticket template was added.
        TicketTemplateCreated,
        /// A ticket template changed.
        TicketTemplateUpdated,
        /// A ticket template was deleted.
        TicketTemplateDeleted,
        /// A recurring ticket was set up.
        RecurringTicketCreated,
        /// A recurring ticket changed.
        RecurringTicketUpdated,
        /// A recurring ticket was deleted.
        RecurringTicketDeleted,
        /// Runs of a recurring ticket were left out, because they were due too long ago: after a downtime.
        RecurringTicketRunsSkipped: RunsSkippedFields,
        /// A run of a recurring ticket could not create its ticket.
        RecurringTicketRunFailed: RunFailedFields,
        /// Cells of the priority matrix were set.
        PriorityMatrixSet,
        /// A workflow was made.
        WorkflowCreated,
        /// A workflow or its draft changed.
        WorkflowUpdated,
        /// A version of a workflow was published.
        WorkflowPublished,
        /// A custom field was defined.
        CustomFieldCreated,
        /// A custom field changed or was retired.
        CustomFieldUpdated,
        /// A service was added.
        ServiceCreated,
        /// A service changed.
        ServiceUpdated,
        /// A configuration item was added.
        ConfigurationItemCreated,
        /// A configuration item changed.
        ConfigurationItemUpdated,
        /// A relation between two configuration items was added.
        ConfigurationItemRelated,
        /// A relation between two configuration items was taken away.
        ConfigurationItemUnrelated,
        /// A filter was saved.
        SavedFilterCreated,
        /// A saved filter changed.
        SavedFilterUpdated,
        /// A saved filter was deleted.
        SavedFilterDeleted,
        /// Somebody's decisions on approvals were delegated.
        DelegationCreated,
        /// A delegation was ended before its time.
        DelegationEnded,
    }
}
