//! What may be merged, where a duplicate ends, and what is restored: decisions on rows alone.

use chrono::Duration;
use kernel::error::Problems;
use kernel::{Error, Result, Timestamp, UserError};
use predicate::{RecordType, Value};
use serde_json::{Map, Value as Json};
use store::query::Row;

use super::{MAX_MERGES, MERGE_MAX_COMMENTS};
use crate::attachment::MAX_ATTACHMENTS;
use crate::kind::KindRules;
use crate::model::StateCategory;
use crate::transition::record_outcome;
use crate::workflow::Workflow;

/// For how long a merge can be undone.
pub const MERGE_UNDO_WINDOW: Duration = Duration::hours(24);

/// The fields of a duplicate that a merge changes, and undoing it restores.
const CHANGED: &[&str] =
    &["state", "stateCategory", "waitingReason", "waitingUntil", "acknowledgedAt", "resolvedAt", "closedAt"];

/// What hangs on a duplicate and on the ticket that it goes into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Comments of the duplicate.
    pub comments: u64,
    /// Attachments of the duplicate.
    pub attachments: u64,
    /// Attachments of the other.
    pub attachments_there: u64,
    /// Merges into the other.
    pub merges_there: u64,
    /// Children of the duplicate that are not done.
    pub open_children: u64,
    /// Tasks of the duplicate that are not done.
    pub open_tasks: u64,
    /// Tickets that wait for the duplicate: for it as their cause, as what resolves them, or as a task before them.
    pub dependents: u64,
}

impl Weight {
    /// Refuses what one write cannot take, and what must not come to rest with the duplicate. How many tickets hang on it is not said:
    /// whoever merges need not see them all.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` at `id` and `into`.
    pub(super) fn check(&self) -> Result<()> {
        let mut problems = Problems::default();
        for (count, what) in [(self.open_children, "children"), (self.open_tasks, "tasks")] {
            if count > 0 {
                let message = format!("it has {what} that are not done: end them, or give them to another ticket");
                problems.add(UserError::constraint(["id"], message, what, None));
            }
        }
        if self.dependents > 0 {
            let message = "others wait for it: have them wait for the other one first";
            problems.add(UserError::constraint(["id"], message, "dependents", None));
        }
        if self.comments > MERGE_MAX_COMMENTS as u64 {
            let message = format!("it has {} comments; a merge moves at most {MERGE_MAX_COMMENTS}", self.comments);
            problems.add(UserError::limit(["id"], message, MERGE_MAX_COMMENTS as u64));
        }
        let attachments = self.attachments + self.attachments_there;
        if attachments > MAX_ATTACHMENTS as u64 && self.attachments > 0 {
            let message = format!("the two have {attachments} attachments; a ticket has at most {MAX_ATTACHMENTS}");
            problems.add(UserError::limit(["into"], message, MAX_ATTACHMENTS as u64));
        }
        if self.merges_there >= MAX_MERGES as u64 {
            let message = format!("{MAX_MERGES} tickets were merged into it; that is the limit");
            problems.add(UserError::limit(["into"], message, MAX_MERGES as u64));
        }
        problems.check()
    }
}

/// Refuses to merge a ticket into one that it cannot go into.
///
/// # Errors
/// `VALIDATION` at `id` and `into`.
pub(super) fn check_pair(rules: &dyn KindRules, duplicate: &Row, into: &Row) -> Result<()> {
    let refuse = |path: &str, message: String, rule| Err(UserError::constraint([path], message, rule, None).into());
    if duplicate.id() == into.id() {
        return refuse("into", "a ticket is not merged into itself".into(), "self");
    }
    if duplicate.text("kind") != into.text("kind") {
        let message = format!(
            "{} does not go into {}: only tickets of one kind are merged; link the two with `ticketLink`",
            duplicate.text("kind"),
            into.text("kind"),
        );
        return refuse("into", message, "kind");
    }
    if category(into).is_none_or(StateCategory::is_ended) {
        return refuse("into", "it is closed or canceled: nobody works on it any more".into(), "state");
    }
    match rules.speaks_against_merge(duplicate) {
        Some(message) => refuse("id", message.into(), "kind"),
        None => Ok(()),
    }
}

/// Has a ticket end as a duplicate: canceled, or closed where it was resolved or its workflow knows no canceling. One that has
/// ended stays as it is.
///
/// # Errors
/// `INTERNAL` for a workflow that was never checked.
pub(super) fn end(workflow: &Workflow, row: &mut Row, now: Timestamp) -> Result<()> {
    let from = category(row).unwrap_or(StateCategory::New);
    if from.is_ended() {
        return Ok(());
    }
    let wanted = match from {
        StateCategory::Resolved => [StateCategory::Closed, StateCategory::Canceled],
        _ => [StateCategory::Canceled, StateCategory::Closed],
    };
    let found = wanted.iter().find_map(|wanted| workflow.states.iter().find(|state| state.category == *wanted));
    // From each state of a workflow a way leads to such a state: that is checked before it is published.
    let state = found.ok_or_else(|| Error::internal("a workflow has no state in which a ticket ends"))?;
    row.set("state", state.key.as_str().into());
    row.set("stateCategory", state.category.as_str().into());
    row.set("waitingReason", Value::Null);
    row.set("waitingUntil", Value::Null);
    record_outcome(row, from, state.category, now);
    Ok(())
}

/// What [`restore`] needs.
pub(super) fn kept(row: &Row) -> Json {
    Json::Object(CHANGED.iter().map(|field| ((*field).to_owned(), row.get(field).to_json())).collect::<Map<_, _>>())
}

/// Gives a duplicate the fields back that it had.
///
/// # Errors
/// `VALIDATION` at `id` when its workflow no longer has the state; `INTERNAL` for what [`kept`] did not make.
pub(super) fn restore(record: &RecordType, workflow: &Workflow, row: &mut Row, kept: &Json) -> Result<()> {
    for name in CHANGED {
        let field = record.field(name);
        let value = field.zip(kept.get(name)).and_then(|(field, json)| Value::from_json(&field.kind, json));
        row.set(name, value.ok_or_else(|| Error::internal(format!("a merge does not know `{name}`")))?);
    }
    let state = row.text("state");
    if workflow.state(&state).is_none() {
        let message = format!("its workflow has no state `{state}` any more");
        return Err(UserError::constraint(["id"], message, "state", None).into());
    }
    Ok(())
}

/// Refuses to undo a merge that stands for good.
///
/// # Errors
/// `VALIDATION` at `id`.
pub(super) fn check_undo(merge: &Row, into: &Row, now: Timestamp) -> Result<()> {
    let refuse = |message: &str, rule| Err(UserError::constraint(["id"], message, rule, None).into());
    let hours = MERGE_UNDO_WINDOW.num_hours();
    if !merge.get("undoneAt").is_null() {
        return refuse("the merge was undone already", "undone");
    }
    if !into.get("mergedInto").is_null() {
        return refuse("the ticket that it went into was merged on since: undo that first", "mergedOn");
    }
    if now > merge.time("undoableUntil") {
        return refuse(&format!("a merge can be undone for {hours} hours"), "window");
    }
    Ok(())
}

fn category(row: &Row) -> Option<StateCategory> {
    StateCategory::parse(&row.text("stateCategory"))
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use serde_json::json;

    use super::*;
    use crate::commands::parse_time;
    use crate::fields::TASK;
    use crate::task::TaskRules;

    fn row(id: u128, kind: &str, category: &str) -> Row {
        Row::new(
            &TASK,
            vec![
                ("id", Uuid::from_u128(id).into()),
                ("kind", kind.into()),
                ("state", "waits".into()),
                ("stateCategory", category.into()),
                ("waitingReason", "VENDOR".into()),
            ],
        )
    }

    fn refused(result: Result<()>) -> Vec<String> {
        match result {
            Ok(()) => Vec::new(),
            Err(Error::Refused(errors)) => errors
                .iter()
                .map(|error| match &error.detail {
                    kernel::Detail::Validation { constraint, .. } => format!("{} {constraint}", error.path.join(".")),
                    kernel::Detail::Limit { limit } => format!("{} {limit}", error.path.join(".")),
                    other => format!("{other:?}"),
                })
                .collect(),
            Err(other) => panic!("{other}"),
        }
    }

    /// States of these categories, each with the name of its own.
    fn workflow(categories: &[&str]) -> Workflow {
        let state = |category: &&str| json!({ "key": category.to_lowercase(), "name": "x", "category": category });
        let states: Vec<Json> = categories.iter().map(state).collect();
        let document = json!({
            "key": "t", "version": 1, "kind": "TASK", "initial": "new", "states": states, "transitions": [],
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn like_goes_into_like_that_is_open() {
        let rules = TaskRules::new().unwrap();
        let one = row(1, "TASK", "NEW");
        for (into, expected) in [
            (row(2, "TASK", "ACTIVE"), None),
            (row(2, "TASK", "RESOLVED"), None),
            (row(1, "TASK", "ACTIVE"), Some("into self")),
            (row(2, "PROBLEM", "ACTIVE"), Some("into kind")),
            (row(2, "TASK", "CLOSED"), Some("into state")),
            (row(2, "TASK", "CANCELED"), Some("into state")),
        ] {
            assert_eq!(refused(check_pair(&rules, &one, &into)), Vec::from_iter(expected), "{into:?}");
        }
    }

    #[test]
    fn each_limit_is_kept() {
        let fine = Weight {
            comments: MERGE_MAX_COMMENTS as u64,
            attachments: 50,
            attachments_there: MAX_ATTACHMENTS as u64 - 50,
            merges_there: MAX_MERGES as u64 - 1,
            ..Weight::default()
        };
        assert!(refused(fine.check()).is_empty());
        for (weight, expected) in [
            (Weight { comments: MERGE_MAX_COMMENTS as u64 + 1, ..fine }, "id 1000"),
            (Weight { attachments: 51, ..fine }, "into 100"),
            (Weight { merges_there: MAX_MERGES as u64, ..fine }, "into 100"),
            (Weight { open_children: 1, ..fine }, "id children"),
            (Weight { open_tasks: 1, ..fine }, "id tasks"),
            (Weight { dependents: 1, ..fine }, "id dependents"),
        ] {
            assert_eq!(refused(weight.check()), [expected], "{weight:?}");
        }
    }

    #[test]
    fn a_duplicate_ends_and_comes_back_as_it_was() {
        let now = parse_time("2026-03-01T09:00:00Z").unwrap();
        let all = ["NEW", "WAITING", "RESOLVED", "CLOSED", "CANCELED"];
        for (states, from, to) in [
            (&all[..], "WAITING", "CANCELED"),
            (&all, "RESOLVED", "CLOSED"),
            (&["NEW", "WAITING", "CLOSED"], "WAITING", "CLOSED"),
            (&["NEW", "RESOLVED", "CANCELED"], "RESOLVED", "CANCELED"),
        ] {
            let workflow = workflow(states);
            let mut ticket = row(1, "TASK", from);
            ticket.set("state", from.to_lowercase().as_str().into());
            let before = ticket.clone();
            let kept = kept(&ticket);
            end(&workflow, &mut ticket, now).unwrap();
            assert_eq!((ticket.text("stateCategory").as_str(), ticket.get("closedAt").as_time()), (to, Some(now)));
            assert!(ticket.get("waitingReason").is_null());
            restore(&TASK, &workflow, &mut ticket, &kept).unwrap();
            assert!(CHANGED.iter().all(|field| ticket.get(field) == before.get(field)), "{ticket:?}");
            ticket.set("state", "gone".into());
            let of_another = super::kept(&ticket);
            assert_eq!(refused(restore(&TASK, &workflow, &mut ticket, &of_another)), ["id state"]);
        }
        let mut ended = row(1, "TASK", "CLOSED");
        let before = ended.clone();
        end(&workflow(&all), &mut ended, now).unwrap();
        assert_eq!(ended.fields(), before.fields(), "what has ended stays as it is");
    }

    #[test]
    fn a_merge_is_undone_once_and_in_time() {
        let now = parse_time("2026-03-02T09:00:00Z").unwrap();
        let merge = |until: &str, undone: Option<Timestamp>| {
            let until = parse_time(until).into();
            Row::new(&super::super::fields::TICKET_MERGE, vec![("undoableUntil", until), ("undoneAt", undone.into())])
        };
        let mut gone = row(2, "TASK", "CANCELED");
        gone.set("mergedInto", Uuid::from_u128(3).into());
        let there = row(2, "TASK", "CLOSED");
        for (merge, into, expected) in [
            (merge("2026-03-02T09:00:00Z", None), &there, None),
            (merge("2026-03-02T08:59:59Z", None), &there, Some("id window")),
            (merge("2026-03-03T09:00:00Z", Some(now)), &there, Some("id undone")),
            (merge("2026-03-03T09:00:00Z", None), &gone, Some("id mergedOn")),
        ] {
            assert_eq!(refused(check_undo(&merge, into, now)), Vec::from_iter(expected));
        }
    }
}
