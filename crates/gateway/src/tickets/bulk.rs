//! Bulk changes: the same change of many tickets, with a result for each.

use access::operation::{Item, ItemOutcome, NewItem, OPERATION_ITEM, OperationStatus};
use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Page, Patch, UserError as Problem, Uuid};
use predicate::Predicate;
use serde_json::Value as JsonValue;
use store::query::{OrderTerm, Row};
use ticket::TicketRef;
use ticket::bulk::{BulkChange, BulkCommand, BulkOutcome, BulkPatch, BulkSummary, BulkTransition, Choice};
use ticket::queries::ListRequest;

use crate::configuration::inputs::items;
use crate::configuration::{CiRef, ServiceRef};
use crate::connection::connection;
use crate::context::{mutation, platform, viewer, written};
use crate::custom_fields::{CustomFieldInput, set};
use crate::incidents::mutations::PriorityOverrideInput;
use crate::loaders;
use crate::operations::Operation;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{Json, Markdown, id_of, patch, reference};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::filters::TicketFilter;
use crate::tickets::types::Ticket;
use crate::tickets::words::{Impact, Urgency, word};
use crate::user_error::{UserError, part};

word! {
    /// What becomes of the other tickets of a bulk change, or of the other lines of an import, when one cannot be changed, or made.
    TicketBulkOnError = ticket::bulk::OnError {
        /// They are changed, or made.
        SkipItem = "SKIP_ITEM",
        /// None is. A bulk change is one transaction then, of at most 50 tickets; of an import all lines are tried before the first is made.
        RejectAll = "REJECT_ALL",
    }
}

/// What became of one ticket of a bulk change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TicketBulkOutcome {
    /// Its turn has not come.
    Pending,
    /// It was changed, or made; in a dry run: it would be.
    Done,
    /// It could not be changed, or made; `userErrors` says why.
    Failed,
    /// It was left as it was: the operation was canceled before its turn came, or all were rejected for the errors of others.
    NotDone,
}

/// What is stored for an outcome that somebody looks for among the items of an operation; `None` where no item has it.
fn stored(outcome: TicketBulkOutcome, canceled: bool) -> Option<ItemOutcome> {
    match outcome {
        TicketBulkOutcome::Done => Some(ItemOutcome::Done),
        TicketBulkOutcome::Failed => Some(ItemOutcome::Failed),
        TicketBulkOutcome::Pending => (!canceled).then_some(ItemOutcome::Pending),
        TicketBulkOutcome::NotDone => canceled.then_some(ItemOutcome::Pending),
    }
}

impl TicketBulkOutcome {
    /// Of an item; `stopped` when nobody works on those that wait.
    fn of(item: &Item, stopped: bool) -> Self {
        match item.outcome {
            ItemOutcome::Done => TicketBulkOutcome::Done,
            ItemOutcome::Failed => TicketBulkOutcome::Failed,
            ItemOutcome::Pending if stopped => TicketBulkOutcome::NotDone,
            ItemOutcome::Pending => TicketBulkOutcome::Pending,
        }
    }
}

fn is_canceled(operation: &Row) -> bool {
    OperationStatus::parse(&operation.text("status")) == Some(OperationStatus::Canceled)
}

async fn ticket_of(ctx: &Context<'_>, item: &Item) -> Result<Option<Ticket>> {
    match item.subject {
        Some(id) => Ok(loaders::ticket(ctx, id.uuid).await?.map(Ticket::from_row)),
        None => Ok(None),
    }
}

fn index_of(item: &Item) -> i32 {
    i32::try_from(item.place).unwrap_or(i32::MAX)
}

fn errors_of(item: &Item) -> Vec<UserError> {
    item.errors.iter().cloned().map(UserError::from).collect()
}

/// What became of one ticket of a call.
pub struct TicketBulkResult {
    item: Item,
    stopped: bool,
}

/// What became of one ticket of a call that changes many.
#[Object]
impl TicketBulkResult {
    /// Its place among those that were chosen, from 0: as `ids` names them, or as the filter found them, by their age.
    async fn index(&self) -> i32 {
        index_of(&self.item)
    }

    /// The ticket's id; null when there is none that the viewer may see.
    async fn id(&self) -> Option<ID> {
        self.item.subject.map(|id| ID(id.to_string()))
    }

    /// The ticket as it is now; null when there is none that the viewer may see.
    async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        ticket_of(ctx, &self.item).await
    }

    /// What was done.
    async fn outcome(&self) -> TicketBulkOutcome {
        TicketBulkOutcome::of(&self.item, self.stopped)
    }

    /// Why it could not be changed, with paths into the input of the call: into `patch` or `fields`, or at `ids` or `filter` for what is
    /// about the ticket itself.
    async fn user_errors(&self) -> Vec<UserError> {
        errors_of(&self.item)
    }
}

/// One ticket of a bulk change, as its operation keeps it.
pub struct TicketBulkItem {
    item: Item,
    stopped: bool,
}

impl TicketBulkItem {
    /// Of a stored item, read with its operation.
    pub fn from_row(row: Row) -> Self {
        let item = Item::of(&row).unwrap_or_else(|error| {
            tracing::error!(%error, "an item of an operation cannot be read");
            let unread = NewItem { subject: None, expected_version: None, errors: Vec::new() };
            Item { id: row.id(), ..Item::passing(row.int("index"), &unread) }
        });
        let stopped = row.relation("operation").is_some_and(is_canceled);
        Self { item, stopped }
    }
}

/// One ticket of a bulk change, or one line of an import, as its operation keeps it; for whoever sees the operation.
#[Object]
impl TicketBulkItem {
    /// The item's id, such as `opi_01jcz8…`; that of the ticket is in `ticket`.
    pub async fn id(&self) -> ID {
        id_of(prefix::OPERATION_ITEM, self.item.id)
    }

    /// Its place among those that were chosen, from 0: as `ids` names them, or as the filter found them, by their age. Of an import: that of the
    /// line in the file.
    pub async fn index(&self) -> i32 {
        index_of(&self.item)
    }

    /// The ticket as it is now; null when there is none that the viewer may see, and of a line that was only tried.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        ticket_of(ctx, &self.item).await
    }

    /// What was done.
    pub async fn outcome(&self) -> TicketBulkOutcome {
        TicketBulkOutcome::of(&self.item, self.stopped)
    }

    /// Why it could not be changed, with paths into the input of the call: into `patch` or `fields`, or at `ids` or `filter` for what is
    /// about the ticket itself. Of an import: below `upload`, the number of the line from 1, and the line's field.
    pub async fn user_errors(&self) -> Vec<UserError> {
        errors_of(&self.item)
    }
}

connection! {
    /// A page of the tickets of a bulk change.
    TicketBulkItemConnection, TicketBulkItemEdge, TicketBulkItem
}

/// An item of an operation by its id, if the viewer may see it.
pub async fn find(ctx: &Context<'_>, item: Uuid) -> Result<Option<TicketBulkItem>> {
    let (tickets, viewer) = (&platform(ctx).tickets, viewer(ctx)?);
    let found = tickets.by_ids(&viewer, &OPERATION_ITEM, &[item], &["operation"]).await?.pop();
    Ok(found.map(TicketBulkItem::from_row))
}

/// The results of an operation, in the order of their indexes.
pub async fn results_of(
    ctx: &Context<'_>,
    operation: &Row,
    only: Option<TicketBulkOutcome>,
    page: Page,
) -> Result<TicketBulkItemConnection> {
    let mut filter = Predicate::eq("operation", operation.id());
    if let Some(only) = only {
        filter = filter.and(match stored(only, is_canceled(operation)) {
            Some(outcome) => Predicate::eq("outcome", outcome.as_str()),
            None => Predicate::never(),
        });
    }
    let order = vec![OrderTerm { field: "index".into(), descending: false, nulls_first: false }];
    let counted = Some((&OPERATION_ITEM, filter.clone()));
    let request = ListRequest { record: &OPERATION_ITEM, filter, order, page, relations: vec!["operation"] };
    let slice = platform(ctx).tickets.list(&viewer(ctx)?, request).await?;
    Ok(TicketBulkItemConnection::new(slice, counted, None))
}

/// What came of a bulk change.
pub struct TicketBulkSummary(pub BulkSummary);

/// What came of a bulk change; of each ticket, `results` of the operation tells.
#[Object]
impl TicketBulkSummary {
    /// Whether it was only tried.
    async fn dry_run(&self) -> bool {
        self.0.dry
    }

    /// How many tickets were chosen.
    async fn tickets(&self) -> i32 {
        count(self.0.tickets)
    }

    /// How many of them were changed; in a dry run: would be.
    async fn done(&self) -> i32 {
        count(self.0.done)
    }

    /// How many could not be changed.
    async fn failed(&self) -> i32 {
        count(self.0.failed)
    }
}

fn count(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What changes on each ticket. Absent fields stay, null clears. Title and description say what one ticket is about, and are changed
/// ticket by ticket.
#[derive(Clone, Debug, InputObject)]
pub struct TicketBulkPatchInput {
    /// Who is affected.
    pub requester: Option<UserRefInput>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix; null goes back to the matrix. Needs `ticket.overridePriority`.
    pub priority_override: MaybeUndefined<PriorityOverrideInput>,
    /// The key of a category.
    pub category: MaybeUndefined<String>,
    /// The service that it is about.
    pub service: MaybeUndefined<ServiceRef>,
    /// All configuration items that are affected, replacing those there are; at most 50. They leave the version alone.
    pub configuration_items: Option<Vec<CiRef>>,
    /// All configuration items that are known not to be affected, replacing those there are; at most 50.
    pub not_impacted_items: Option<Vec<CiRef>>,
    /// All tags, replacing those there are; at most 50. Not together with `addTags` and `removeTags`.
    pub tags: Option<Vec<String>>,
    /// Tags to put beside those there are; a ticket has at most 50.
    pub add_tags: Option<Vec<String>>,
    /// Tags to take away, where they are; also those that `addTags` names.
    pub remove_tags: Option<Vec<String>>,
    /// Custom fields to change, at most 50; those that are not named stay.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// The team, as `ticketAssign` sets it; another team leaves an assignee behind who is not its member. Needs `ticket.assign`.
    pub team: MaybeUndefined<TeamRefInput>,
    /// The assignee, as `ticketAssign` sets it: a member of the team. Needs `ticket.assign`.
    pub assignee: MaybeUndefined<UserRefInput>,
}

/// Changes many tickets alike.
#[derive(Clone, Debug, InputObject)]
pub struct TicketBulkUpdateInput {
    /// The tickets' ids or numbers, 1 to 1,000. Give these, or `filter`.
    pub ids: Option<Vec<ID>>,
    /// The tickets that a filter finds, at most 1,000,000. Give it, or `ids`.
    pub filter: Option<TicketFilter>,
    /// The versions that the tickets of `ids` must have, in the same order; null for one that may have any.
    pub expected_versions: Option<Vec<Option<i32>>>,
    /// What changes.
    pub patch: TicketBulkPatchInput,
    /// What becomes of the others when a ticket cannot be changed; `SKIP_ITEM` when absent.
    pub on_error: Option<TicketBulkOnError>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Try it: answer what would become of each ticket, and change none. Above 100 tickets an operation tells it.
    pub dry_run: Option<bool>,
}

/// Moves many tickets through their workflows.
#[derive(Clone, Debug, InputObject)]
pub struct TicketBulkTransitionInput {
    /// The tickets' ids or numbers, 1 to 1,000. Give these, or `filter`.
    pub ids: Option<Vec<ID>>,
    /// The tickets that a filter finds, at most 1,000,000. Give it, or `ids`.
    pub filter: Option<TicketFilter>,
    /// The versions that the tickets of `ids` must have, in the same order; null for one that may have any.
    pub expected_versions: Option<Vec<Option<i32>>>,
    /// The transition's key, such as `resolve`; a ticket whose workflow has none in its state has a `TransitionRefusedError`.
    pub transition: String,
    /// The transition's inputs as an object, as `ticketTransition` takes them.
    pub fields: Option<Json>,
    /// A public comment to add along.
    pub comment: Option<Markdown>,
    /// What becomes of the others when a ticket cannot take it; `SKIP_ITEM` when absent.
    pub on_error: Option<TicketBulkOnError>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Try it: answer what would become of each ticket, and move none. Above 100 tickets an operation tells it.
    pub dry_run: Option<bool>,
}

macro_rules! bulk_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// Its operation, which keeps the results; null when nothing was kept: it was not started, it was rejected, or it was a dry
            /// run of at most 100 tickets.
            pub operation: Option<Operation>,
            /// What became of each ticket; null when it was not started, and above 100 tickets, which are changed in the background.
            pub results: Option<Vec<TicketBulkResult>>,
            /// What was recorded.
            pub events: Vec<Event>,
            /// What the user can mend about the call as a whole; with `REJECT_ALL` also what kept the tickets from being changed.
            pub user_errors: Vec<UserError>,
        }

        impl $name {
            fn of(ctx: &Context<'_>, viewer: &kernel::Ctx, result: kernel::Result<BulkOutcome>) -> Result<Self> {
                let (done, mut user_errors) = part(result)?;
                let done = done.unwrap_or_default();
                let stopped = done.operation.as_ref().is_none_or(is_canceled);
                let results = |items: Vec<Item>| items.into_iter().map(|item| TicketBulkResult { item, stopped }).collect();
                user_errors.extend(done.refused.into_iter().map(UserError::from));
                Ok(Self {
                    operation: done.operation.map(Operation::from_row),
                    results: done.results.map(results),
                    events: from_store(viewer, platform(ctx), done.events),
                    user_errors,
                })
            }
        }
    };
}

bulk_payload! {
    /// What became of the tickets that were to be changed.
    TicketBulkUpdatePayload
}
bulk_payload! {
    /// What became of the tickets that were to be moved.
    TicketBulkTransitionPayload
}

/// Which tickets: exactly one of the two ways to say it.
fn choice(
    ids: Option<Vec<ID>>,
    filter: Option<TicketFilter>,
    versions: Option<Vec<Option<i32>>>,
    written: &JsonValue,
) -> kernel::Result<Choice> {
    let list = match (ids, filter) {
        (Some(ids), None) => ids,
        (None, Some(filter)) => {
            filter.predicate().map_err(|error| error.within("filter"))?;
            if versions.is_some() {
                let message = "`expectedVersions` goes with `ids`";
                return Err(Problem::constraint(["expectedVersions"], message, "exclusive", None).into());
            }
            return Ok(Choice::Matching(written.get("filter").cloned().unwrap_or_default()));
        }
        _ => {
            let message = "say which tickets: give `ids` or `filter`, one of them";
            return Err(Problem::constraint(["ids"], message, "exactlyOne", None).into());
        }
    };
    let versions = versions.unwrap_or_else(|| vec![None; list.len()]);
    if versions.len() != list.len() {
        let message = format!("{} versions are given for {} tickets", versions.len(), list.len());
        return Err(Problem::constraint(["expectedVersions"], message, "length", Some(list.len() as u64)).into());
    }
    let one = |(place, (id, version)): (usize, (&ID, Option<i32>))| {
        let parsed = TicketRef::parse(id, &place.to_string()).map_err(|error| error.within("ids"))?;
        Ok((parsed, version))
    };
    Ok(Choice::These(list.iter().zip(versions).enumerate().map(one).collect::<kernel::Result<_>>()?))
}

impl TicketBulkPatchInput {
    fn patch(self) -> kernel::Result<BulkPatch> {
        let requester = self.requester.map(UserRefInput::into_ref).transpose();
        let fields = ticket::TicketPatch {
            requester: requester.map_err(|error| error.within("requester"))?,
            impact: self.impact.map(Into::into),
            urgency: self.urgency.map(Into::into),
            priority_override: patch(self.priority_override).map(Into::into),
            category: patch(self.category),
            service: reference("service", self.service, ServiceRef::into_ref)?,
            items: ticket::AffectedItems {
                affected: items("configurationItems", self.configuration_items)?,
                not_impacted: items("notImpactedItems", self.not_impacted_items)?,
            },
            tags: self.tags,
            custom_fields: set(self.custom_fields)?,
            title: None,
            description: Patch::Keep,
        };
        Ok(BulkPatch {
            fields,
            add_tags: self.add_tags.unwrap_or_default(),
            remove_tags: self.remove_tags.unwrap_or_default(),
            team: reference("team", self.team, TeamRefInput::into_ref)?,
            assignee: reference("assignee", self.assignee, UserRefInput::into_ref)?,
        })
    }
}

fn on_error(on_error: Option<TicketBulkOnError>) -> ticket::bulk::OnError {
    on_error.unwrap_or(TicketBulkOnError::SkipItem).into()
}

impl TicketBulkUpdateInput {
    fn command(self, written: &JsonValue) -> kernel::Result<BulkCommand> {
        Ok(BulkCommand {
            choice: choice(self.ids, self.filter, self.expected_versions, written)?,
            change: BulkChange::Update(Box::new(self.patch.patch().map_err(|error| error.within("patch"))?)),
            on_error: on_error(self.on_error),
        })
    }
}

impl TicketBulkTransitionInput {
    fn command(self, written: &JsonValue) -> kernel::Result<BulkCommand> {
        let change = BulkTransition {
            transition: self.transition,
            inputs: super::mutations::transition_inputs(self.fields)?,
            comment: self.comment.map(|comment| comment.0),
        };
        Ok(BulkCommand {
            choice: choice(self.ids, self.filter, self.expected_versions, written)?,
            change: BulkChange::Transition(change),
            on_error: on_error(self.on_error),
        })
    }
}

/// Mutations of many tickets.
#[derive(Default)]
pub struct BulkMutations;

#[Object]
impl BulkMutations {
    /// Changes many tickets alike, each as far as the viewer may: its fields as `incidentUpdate` and its like do, team and assignee as
    /// `ticketAssign` does. Up to 100 are changed now, each with a result; more in the background, by an operation that keeps the results.
    async fn ticket_bulk_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tickets, and what changes.")] input: TicketBulkUpdateInput,
    ) -> Result<TicketBulkUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).tickets.bulk(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketBulkUpdatePayload::of(ctx, &viewer, result)
    }

    /// Moves many tickets through their workflows by the same transition, each as `ticketTransition` does. Up to 100 are moved now, each
    /// with a result; more in the background, by an operation that keeps the results.
    async fn ticket_bulk_transition(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tickets, which transition, with what.")] input: TicketBulkTransitionInput,
    ) -> Result<TicketBulkTransitionPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).tickets.bulk(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketBulkTransitionPayload::of(ctx, &viewer, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_on_a_canceled_operation_is_not_done() {
        let all = [
            TicketBulkOutcome::Pending,
            TicketBulkOutcome::Done,
            TicketBulkOutcome::Failed,
            TicketBulkOutcome::NotDone,
        ];
        let found = |canceled| all.map(|outcome| stored(outcome, canceled).map(ItemOutcome::as_str));
        assert_eq!(found(false), [Some("PENDING"), Some("DONE"), Some("FAILED"), None]);
        assert_eq!(found(true), [None, Some("DONE"), Some("FAILED"), Some("PENDING")]);
    }

    #[test]
    fn tickets_are_named_or_found() {
        let ids = || Some(vec![ID("INC-1".into()), ID("INC-2".into())]);
        let written = serde_json::json!({ "filter": { "tags": { "has": "vpn" } } });
        let path = |result: kernel::Result<Choice>| match result {
            Err(kernel::Error::Refused(errors)) => errors[0].path.join("."),
            Err(other) => panic!("{other}"),
            Ok(_) => String::new(),
        };
        let filter = || Some(TicketFilter::default());
        assert_eq!(path(choice(ids(), None, None, &written)), "");
        assert_eq!(path(choice(None, filter(), None, &written)), "");
        assert_eq!(path(choice(None, None, None, &written)), "ids");
        assert_eq!(path(choice(ids(), filter(), None, &written)), "ids");
        assert_eq!(path(choice(ids(), None, Some(vec![Some(1)]), &written)), "expectedVersions");
        assert_eq!(path(choice(ids(), None, Some(vec![Some(1), None]), &written)), "");
        assert_eq!(path(choice(None, filter(), Some(Vec::new()), &written)), "expectedVersions");
        let wrong = Some(vec![ID("INC-1".into()), ID("nonsense".into())]);
        assert_eq!(path(choice(wrong, None, None, &written)), "ids.1");
    }
}
