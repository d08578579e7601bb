//! The events of tickets: their names, and the facts and changes that they carry.

use std::borrow::Cow;

use predicate::{Catalogue, Facts, Field, Path, Policy, RecordType, RelationKind, Value, keyed};
use serde_json::{Map, Value as Json};
use store::query::Row;
use store::{Audience, Change, NewEvent};

/// What the log calls the subject of these events.
pub const SUBJECT: &str = "ticket";

/// Fields of a ticket changed.
pub const UPDATED: &str = "TicketUpdated";
/// The team or the assignee changed.
pub const ASSIGNED: &str = "TicketAssigned";
/// The state changed.
pub const TRANSITIONED: &str = "TicketTransitioned";
/// What another system recorded of the ticket was taken over, as it was: when and by whom is that of the other system. The
/// payload names it (`source`), its key of the ticket (`key`) and the record's place in the ticket's history there
/// (`place`).
pub const IMPORTED: &str = "TicketImported";
/// The ticket follows another version of its workflow, which is named in the payload.
pub const WORKFLOW_CHANGED: &str = "TicketWorkflowChanged";
/// A comment was added; its id is in the payload.
pub const COMMENT_ADDED: &str = "CommentAdded";
/// A comment says something else now; its id and version are in the payload.
pub const COMMENT_EDITED: &str = "CommentEdited";
/// What a comment said was deleted; its id and version are in the payload.
pub const COMMENT_REDACTED: &str = "CommentRedacted";
/// A file was attached; its id is in the payload.
pub const ATTACHMENT_ADDED: &str = "AttachmentAdded";
/// A file was taken away; its id is in the payload.
pub const ATTACHMENT_REMOVED: &str = "AttachmentRemoved";
/// A virus scanner has looked at a file; its id and what was found are in the payload.
pub const ATTACHMENT_SCANNED: &str = "AttachmentScanned";
/// The configuration items that the ticket is about changed; each with how it stood there before and after, in the payload.
pub const ITEMS_CHANGED: &str = "TicketConfigurationItemsChanged";
/// The ticket was linked with another; type, direction and the other's public id are in the payload.
pub const LINKED: &str = "TicketLinked";
/// A link with another ticket was taken away; type, direction and the other's public id are in the payload.
pub const UNLINKED: &str = "TicketUnlinked";
/// The ticket was merged into another; the merge's id and the other's public id are in the payload of this and the next two.
pub const MERGED: &str = "TicketMerged";
/// A duplicate was merged into the ticket.
pub const MERGE_RECEIVED: &str = "TicketMergeReceived";
/// A merge was undone, told on both tickets.
pub const MERGE_UNDONE: &str = "TicketMergeUndone";
/// Comments of the ticket became a ticket of their own; the other's public id and how many comments and attachments went there are
/// in the payload of this and the next.
pub const SPLIT: &str = "TicketSplit";
/// The ticket was opened with comments of another.
pub const SPLIT_OFF: &str = "TicketSplitOff";
/// The open children of the ticket were resolved along with it; each with the reasons why it was not, in the payload.
pub const CHILDREN_RESOLVED: &str = "TicketChildrenResolved";
/// A task was added to a ticket.
pub const TASK_CREATED: &str = "TaskCreated";
/// Which tasks a task depends on changed; all of them are in the payload, by their public ids.
pub const DEPENDENCIES_CHANGED: &str = "TaskDependenciesChanged";
/// Somebody began to follow the ticket.
pub const WATCHED: &str = "TicketWatched";
/// Somebody ceased to follow the ticket.
pub const UNWATCHED: &str = "TicketUnwatched";
/// Approval was asked for; the approval's id is in the payload of this and of all events of approvals.
pub const APPROVAL_STARTED: &str = "ApprovalStarted";
/// A step of an approval asks for votes.
pub const APPROVAL_STEP_OPENED: &str = "ApprovalStepOpened";
/// Somebody approved or refused.
pub const APPROVAL_DECIDED: &str = "ApprovalDecided";
/// An approval is over: approved, refused, expired or canceled.
pub const APPROVAL_COMPLETED: &str = "ApprovalCompleted";
/// An approval fell because what it was about was changed.
pub const APPROVAL_VOIDED: &str = "ApprovalVoided";
/// Somebody may vote, or may not vote any more, for somebody who is asked.
pub const APPROVAL_DELEGATED: &str = "ApprovalDelegated";
/// Time was written down on a ticket; who, and what the entry says, is in the payload of this and the next two.
pub const TIME_ENTRY_ADDED: &str = "TimeEntryAdded";
/// A time entry was corrected.
pub const TIME_ENTRY_UPDATED: &str = "TimeEntryUpdated";
/// A time entry was taken away.
pub const TIME_ENTRY_REMOVED: &str = "TimeEntryRemoved";
/// A labour rate was added.
pub const LABOUR_RATE_CREATED: &str = "LabourRateCreated";
/// A labour rate changed.
pub const LABOUR_RATE_UPDATED: &str = "LabourRateUpdated";

/// A ticket template was added.
pub const TEMPLATE_CREATED: &str = "TicketTemplateCreated";
/// A ticket template changed.
pub const TEMPLATE_UPDATED: &str = "TicketTemplateUpdated";
/// A ticket template was deleted.
pub const TEMPLATE_DELETED: &str = "TicketTemplateDeleted";
/// A recurring ticket was set up.
pub const RECURRING_CREATED: &str = "RecurringTicketCreated";
/// A recurring ticket changed.
pub const RECURRING_UPDATED: &str = "RecurringTicketUpdated";
/// A recurring ticket was deleted.
pub const RECURRING_DELETED: &str = "RecurringTicketDeleted";
/// Runs of a recurring ticket were left out, because they were due too long ago.
pub const RUNS_SKIPPED: &str = "RecurringTicketRunsSkipped";
/// A run of a recurring ticket could not create its ticket.
pub const RUN_FAILED: &str = "RecurringTicketRunFailed";

/// What the log calls ticket templates.
pub const SUBJECT_TEMPLATE: &str = "ticketTemplate";
/// What the log calls recurring tickets.
pub const SUBJECT_RECURRING: &str = "recurringTicket";
/// What the log calls labour rates.
pub const SUBJECT_LABOUR_RATE: &str = "labourRate";

/// The event that a change of a tenant's setting leaves behind: `before` names the fields that may have changed, with their
/// values until then.
pub(crate) fn setting_event(
    kind: &'static str,
    subject_kind: &'static str,
    row: &Row,
    before: &[(&'static str, Value)],
    payload: Json,
) -> NewEvent {
    let changes = before.iter().map(|(field, before)| Change {
        field: (*field).to_owned(),
        before: before.to_json(),
        after: row.get(field).to_json(),
    });
    NewEvent {
        kind,
        subject_kind,
        subject: row.id(),
        version: i32::try_from(row.int("version")).unwrap_or(i32::MAX),
        audience: Audience::Internal,
        changes: changes.filter(|change| change.before != change.after).collect(),
        facts: Map::new(),
        payload,
        occurred_at: None,
        actor: None,
    }
}

/// What the facts of an event hold: the fields that predicates over events may name, under dotted paths.
///
/// Relations are one edge away; the `id` of a related record is the value of the reference itself and not repeated.
pub fn facts(record: &'static RecordType, catalogue: &Catalogue, row: &Row) -> Map<String, Json> {
    let mut facts = Map::new();
    for field in record.all_fields().filter(|field| field.event != Policy::Never) {
        facts.insert(field.name.to_owned(), row.get(field.name).to_json());
    }
    for path in related_paths(record, catalogue) {
        facts.insert(path.dotted(), row.value(&path).to_json());
    }
    facts
}

/// The fields one edge away that events carry.
fn related_paths(record: &'static RecordType, catalogue: &Catalogue) -> Vec<Path> {
    let base: &'static [_] = record.base.map_or(&[], |base| base.relations);
    let references =
        base.iter().chain(record.relations).filter(|found| matches!(found.kind, RelationKind::Reference(_)));
    references
        .filter_map(|relation| Some((relation.name, catalogue.get(relation.target)?)))
        .flat_map(|(name, target)| {
            let carried = target.fields.iter().filter(|field| field.event != Policy::Never && field.name != "id");
            carried.map(move |field| Path::through(name, field.name))
        })
        .collect()
}

/// The facts of an event, as predicates read them.
pub struct EventFacts<'a> {
    record: &'static RecordType,
    catalogue: &'a Catalogue,
    facts: &'a Map<String, Json>,
    /// Values before the event, for the state before it.
    undo: Map<String, Json>,
}

impl<'a> EventFacts<'a> {
    /// These facts.
    pub fn of(record: &'static RecordType, catalogue: &'a Catalogue, facts: &'a Map<String, Json>) -> Self {
        Self { record, catalogue, facts, undo: Map::new() }
    }

    /// The facts after the event.
    pub fn after(record: &'static RecordType, catalogue: &'a Catalogue, event: &'a store::Event) -> Self {
        Self::of(record, catalogue, &event.facts)
    }

    /// The facts before the event: those after it, its changes undone.
    pub fn before(record: &'static RecordType, catalogue: &'a Catalogue, event: &'a store::Event) -> Self {
        let undo = event.changes.iter().map(|change| (change.field.clone(), change.before.clone())).collect();
        Self { record, catalogue, facts: &event.facts, undo }
    }
}

impl EventFacts<'_> {
    /// A predicate on tickets reaches the fields of this kind through the kind's name; among the facts they stand beside
    /// the shared ones.
    fn of_this_kind<'p>(&self, path: &'p Path) -> Cow<'p, Path> {
        match path.relations.split_first() {
            Some((first, rest)) if first == self.record.name => {
                Cow::Owned(Path { relations: rest.to_vec(), field: path.field.clone() })
            }
            _ => Cow::Borrowed(path),
        }
    }
}

impl Facts for EventFacts<'_> {
    fn value(&self, path: &Path) -> Value {
        let path = self.of_this_kind(path);
        if let [relation] = path.relations.as_slice()
            && let Some((document, key)) = keyed::split(relation)
        {
            let document = self.undo.get(document).or_else(|| self.facts.get(document));
            return document.map_or(Value::Null, |document| keyed::value(document, key, &path.field));
        }
        let Some(target) = self.catalogue.follow(self.record, &path.relations) else { return Value::Null };
        let Some(field) = target.field(&path.field) else { return Value::Null };
        let mut name = path.dotted();
        if path.field == "id"
            && let Some(reference) = name.strip_suffix(".id")
        {
            name = reference.to_owned();
        }
        let json = self.undo.get(&name).or_else(|| self.facts.get(&name));
        json.and_then(|json| Value::from_json(&field.kind, json)).unwrap_or(Value::Null)
    }
}

/// What changed between two states of a ticket. Values of related records change with the reference to them; they are named
/// by dotted paths and serve predicates only.
pub fn changes(record: &'static RecordType, catalogue: &Catalogue, before: &Row, after: &Row) -> Vec<Change> {
    let before_facts = facts_with_texts(record, catalogue, before);
    let after_facts = facts_with_texts(record, catalogue, after);
    after_facts
        .into_iter()
        .filter_map(|(field, after)| {
            let before = before_facts.get(&field).cloned().unwrap_or(Json::Null);
            (before != after).then_some(Change { field, before, after })
        })
        .collect()
}

/// The facts, and beside them what history shows but no predicate over events may name.
fn facts_with_texts(record: &'static RecordType, catalogue: &Catalogue, row: &Row) -> Map<String, Json> {
    let mut all = facts(record, catalogue, row);
    for field in record.all_fields().filter(|field| HISTORY_ONLY.contains(&field.name)) {
        all.insert(field.name.to_owned(), row.get(field.name).to_json());
    }
    all
}

/// Whether the log knows each value that the field ever had: its changes are told.
pub fn is_told(field: &Field) -> bool {
    field.event != Policy::Never || HISTORY_ONLY.contains(&field.name)
}

/// Long texts: told in history, not repeated in the facts of each event.
const HISTORY_ONLY: &[&str] = &["description", "resolutionNotes", "symptom", "rootCause", "workaround"];
