//! Tickets as they were, and what changed between two instants.

use async_graphql::{Context, Object, Result, SelectionField, SimpleObject};
use kernel::{Timestamp, UserError};
use store::query::Row;
use ticket::as_of::TicketDifferences;

use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::Actor;
use crate::scalars::{DateTime, Json};
use crate::tickets::event_log::difference;
use crate::tickets::queries::TicketRef;

/// The fields of a ticket that are answered as of an instant: each with the fields of the record that it shows, where these are
/// not its own name. The log knows every value that they ever had; `version` and `updatedAt` are those of its events.
const AS_OF: &[(&str, &[&str])] = &[
    ("__typename", &["kind"]),
    ("id", &[]),
    ("number", &[]),
    ("kind", &[]),
    ("version", &["id"]),
    ("title", &[]),
    ("description", &[]),
    ("state", &["state", "stateCategory", "waitingReason", "waitingUntil", "workflow", "workflowVersion"]),
    ("workflow", &["workflow", "workflowVersion"]),
    ("priority", &[]),
    ("priorityOverride", &["priorityOverrideReason", "priorityOverrideBy", "priorityOverrideAt"]),
    ("impact", &[]),
    ("urgency", &[]),
    ("category", &[]),
    ("service", &[]),
    ("requester", &[]),
    ("openedBy", &[]),
    ("team", &[]),
    ("assignee", &[]),
    ("tags", &[]),
    ("customFields", &["customFields", "internalCustomFields"]),
    ("reassignmentCount", &[]),
    ("reopenCount", &[]),
    ("createdAt", &[]),
    ("updatedAt", &["id"]),
    ("resolvedAt", &[]),
    ("closedAt", &[]),
    ("acknowledgedAt", &[]),
    ("firstRespondedAt", &[]),
    ("slaDueAt", &[]),
    ("slaState", &[]),
    // Of incidents.
    ("origin", &[]),
    ("resolutionCode", &[]),
    ("resolutionNotes", &[]),
    ("functionalEscalationLevel", &[]),
    ("hierarchicalEscalationLevel", &[]),
    ("escalatedTo", &[]),
    ("deduplicationKey", &[]),
    // Of problems.
    ("knownError", &[]),
    ("symptom", &[]),
    ("rootCause", &[]),
    ("workaround", &[]),
    ("workaroundPublishedAt", &[]),
    ("riskReviewAt", &[]),
    // Of tasks.
    ("openDependencies", &[]),
];

/// The ticket as it was at an instant.
///
/// # Errors
/// User errors inside `by` and at `asOf`, one of them for each field that is not known of the past; database errors.
pub async fn ticket_as_of(ctx: &Context<'_>, by: TicketRef, at: Timestamp) -> Result<Option<Row>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    check_selection(ctx.field().selection_set().map(|field: SelectionField<'_>| field.name()))?;
    Ok(platform(ctx).tickets.as_of(&viewer, &reference, at).await?)
}

/// Refuses fields that would show what is there now.
fn check_selection<'a>(fields: impl Iterator<Item = &'a str>) -> kernel::Result<()> {
    let mut unknown: Vec<&str> = fields.filter(|name| AS_OF.iter().all(|(known, _)| known != name)).collect();
    unknown.dedup();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("not known as of an instant: {}; ask for it without `asOf`", names.join(", "));
    Err(UserError::constraint(["asOf"], message, "known", None).into())
}

/// What changed of a ticket between two instants.
pub struct TicketDiff {
    from: Timestamp,
    to: Timestamp,
    found: TicketDifferences,
    differences: Vec<TicketDifference>,
}

/// What changed of a ticket between two instants, as far as the viewer may read it.
#[Object]
impl TicketDiff {
    /// The first instant: what had happened by then is before.
    async fn from(&self) -> DateTime {
        DateTime(self.from)
    }

    /// The second instant: what had happened by then is after. Now, unless it was given.
    async fn to(&self) -> DateTime {
        DateTime(self.to)
    }

    /// The fields whose values at the two instants differ, by name. What changed and came back is not among them.
    async fn differences(&self) -> Vec<TicketDifference> {
        self.differences.clone()
    }

    /// How many events lie between, as far as the viewer may hear of them: of any kind, also those that changed no field.
    async fn event_count(&self) -> i32 {
        i32::try_from(self.found.events).unwrap_or(i32::MAX)
    }
}

/// A field of a ticket that differs between two instants.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct TicketDifference {
    /// The field's name; of a custom field `customFields.` and its key.
    field: String,
    /// Its value at the first instant; references are ids. Null as well when the ticket was not there yet.
    before: Option<Json>,
    /// Its value at the second instant; references are ids.
    after: Option<Json>,
    /// When it was changed last between them. Null where that was told to those who work on the ticket alone, and the viewer does
    /// not.
    changed_at: Option<DateTime>,
    #[graphql(skip)]
    by: Option<kernel::Actor>,
}

#[async_graphql::ComplexObject]
impl TicketDifference {
    /// Who changed it last between them. Null where `changedAt` is.
    async fn changed_by(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        match self.by {
            Some(by) => Ok(loaders::actor(ctx, by.id).await?.map(Actor::from_row)),
            None => Ok(None),
        }
    }
}

/// Queries of the past of tickets.
#[derive(Default)]
pub struct PastQueries;

#[Object]
impl PastQueries {
    /// What changed of a ticket between two instants, from its events: at most 10,000 since `from`. Null when there is no ticket
    /// that the viewer may see, or was none at `to`.
    async fn ticket_diff(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, such as `{ number: \"INC-1042\" }`.")] by: TicketRef,
        #[graphql(desc = "The first instant, not in the future. Before its creation a ticket had no values.")]
        from: DateTime,
        #[graphql(desc = "The second instant, not earlier than `from` and not in the future; now when absent.")]
        to: Option<DateTime>,
    ) -> Option<Result<TicketDiff>> {
        diff(ctx, by, from.0, to.map(|to| to.0)).await.transpose()
    }
}

async fn diff(ctx: &Context<'_>, by: TicketRef, from: Timestamp, to: Option<Timestamp>) -> Result<Option<TicketDiff>> {
    let (viewer, platform) = (viewer(ctx)?, platform(ctx));
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    let to = to.unwrap_or_else(|| viewer.now());
    let Some(found) = platform.tickets.compare(&viewer, &reference, from, to).await? else { return Ok(None) };
    let shown = found.differences.iter().filter_map(|one| {
        let shown = difference(&viewer, platform, found.record, &one.change, &found.ticket)?;
        let (changed_at, by) = one.last.unzip();
        let changed_at = changed_at.map(DateTime);
        Some(TicketDifference { field: shown.field, before: shown.before, after: shown.after, changed_at, by })
    });
    let differences = shown.collect();
    Ok(Some(TicketDiff { from, to, found, differences }))
}

#[cfg(test)]
mod tests {
    use predicate::RecordType;

    use super::*;

    #[test]
    fn the_log_knows_what_is_answered_of_the_past() {
        let records: [&RecordType; 3] = [&incident::INCIDENT, &problem::PROBLEM, &ticket::fields::TASK];
        for (name, shown) in AS_OF {
            let shown = if shown.is_empty() { &[*name][..] } else { shown };
            for field in shown {
                let mut declared = records.iter().filter_map(|record| record.field(field)).peekable();
                assert!(declared.peek().is_some(), "{name}: no ticket has `{field}`");
                assert!(declared.all(ticket::events::is_told), "{name}: the log does not tell of `{field}`");
            }
        }
    }

    #[test]
    fn what_is_only_known_of_now_is_refused_by_name() {
        check_selection(["id", "title", "state"].into_iter()).unwrap();
        let error = check_selection(["title", "comments", "watchers"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("`comments`, `watchers`") && !error.contains("`title`"), "{error}");
    }
}
