//! Bulk changes: the same change of many tickets, each by the same way and the same rights as alone.
//!
//! Which tickets is decided once, when the call comes in, and written down as the items of an [operation](access::operation). Each is
//! then changed in a transaction of its own, in which its item is done as well; so a ticket is changed once, whoever works on the
//! operation and however often, and a long bulk holds no writer for long. Up to [`MAX_AT_ONCE`] tickets are done within the call; a
//! job takes over what a call leaves behind. More are done by the job, a slice at a time, so that it goes on where it stopped whatever
//! stopped it, and memory holds a batch and no more.
//!
//! With [`OnError::RejectAll`] all tickets are changed in one transaction, or none is.

mod change;
mod choose;
mod run;
mod start;

use access::operation::{Item, NewItem, Starter, Tally};
use kernel::{UserError, words};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::Event;
use store::query::Row;

pub use change::{BulkChange, BulkPatch, BulkTransition};

use crate::queries::TicketRef;

/// The job that works on a bulk change, and the kind of its operation.
pub const JOB: &str = "ticket.bulk";
/// How many tickets are changed within a call; more are changed in the background.
pub const MAX_AT_ONCE: usize = 100;
/// How many tickets are changed in one transaction, where all are to be changed or none.
pub const MAX_TOGETHER: usize = 50;
/// How many tickets a call may name.
pub const MAX_NAMED: usize = 1_000;
/// How many tickets the filter of a call may find.
pub const MAX_CHOSEN: usize = 1_000_000;
/// How many bulk changes one actor may have under way in the background.
pub const MAX_UNDER_WAY: usize = 10;

words! {
    /// What becomes of the others when a ticket cannot be changed.
    OnError {
        /// They are changed.
        SkipItem = "SKIP_ITEM",
        /// None is.
        RejectAll = "REJECT_ALL",
    }
}

/// Which tickets.
#[derive(Clone, Debug)]
pub enum Choice {
    /// These, each with the version that it must have.
    These(Vec<(TicketRef, Option<i32>)>),
    /// Those that a filter document finds.
    Matching(Json),
}

/// Change many tickets.
#[derive(Clone, Debug)]
pub struct BulkCommand {
    /// Which.
    pub choice: Choice,
    /// How.
    pub change: BulkChange,
    /// What becomes of the others when one cannot be changed.
    pub on_error: OnError,
}

/// What became of a call.
#[derive(Clone, Debug, Default)]
pub struct BulkOutcome {
    /// The operation; `None` when nothing was to be kept: in a dry run, or when all was rejected.
    pub operation: Option<Row>,
    /// What became of each ticket; `None` while it is being done in the background.
    pub results: Option<Vec<Item>>,
    /// Why all were rejected: the errors of those that could not be changed.
    pub refused: Vec<UserError>,
    /// What was recorded.
    pub events: Vec<Event>,
}

/// What came of a bulk change, as its operation tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkSummary {
    /// Whether it was only tried.
    pub dry: bool,
    /// How many tickets were chosen.
    pub tickets: i64,
    /// How many of them were changed.
    pub done: i64,
    /// How many could not be.
    pub failed: i64,
}

impl BulkSummary {
    fn of(tally: Tally, dry: bool) -> Self {
        Self { dry, tickets: tally.all, done: tally.done, failed: tally.failed }
    }
}

/// Which mutation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Names {
    /// The mutation.
    call: &'static str,
    /// The write of one ticket.
    item: &'static str,
}

/// What a job is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Input {
    change: BulkChange,
    /// The filter document of those that are yet to be chosen; none, when they are.
    filter: Option<Json>,
    /// Whether the tickets were named, so that errors can say which.
    named: bool,
    dry: bool,
    starter: Starter,
}

/// Where an item stands in the input of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Its index.
    index: i64,
    /// Whether it was named in `ids`, or found by `filter`.
    named: bool,
}

impl Place {
    /// An error of one ticket as the call tells it: what is about the ticket itself stands at its place, the rest inside the change.
    fn of(self, inside: Option<&str>, error: UserError) -> UserError {
        let index = self.index.to_string();
        let (list, rest): (&str, Vec<String>) = match error.path.first().map(String::as_str) {
            None | Some("id") => ("ids", error.path.iter().skip(1).cloned().collect()),
            Some("expectedVersion") if self.named => ("expectedVersions", Vec::new()),
            _ => {
                return match inside {
                    Some(segment) => error.within(segment),
                    None => error,
                };
            }
        };
        let at = if self.named { vec![list.to_owned(), index] } else { vec!["filter".to_owned()] };
        UserError { path: at.into_iter().chain(rest).collect(), ..error }
    }

    /// A ticket that is not there, as far as the viewer may know.
    fn missing(self) -> UserError {
        self.of(None, UserError::not_found(["id"], "the ticket"))
    }
}

/// The tickets of a call, once they are chosen.
#[derive(Clone, Debug)]
enum Chosen {
    /// All of them.
    All(Vec<NewItem>),
    /// More than are looked at within the call: the job chooses them.
    Later(Json),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(place: Place, inside: Option<&str>, path: &[&str]) -> Vec<String> {
        place.of(inside, UserError::validation(path.iter().copied(), "no")).path
    }

    #[test]
    fn errors_stand_where_the_input_of_the_call_has_them() {
        let (named, found) = (Place { index: 3, named: true }, Place { index: 3, named: false });
        assert_eq!(path(named, Some("patch"), &["category"]), ["patch", "category"]);
        assert_eq!(path(named, Some("patch"), &["id"]), ["ids", "3"]);
        assert_eq!(path(named, Some("patch"), &[]), ["ids", "3"], "what is about the whole ticket");
        assert_eq!(path(named, Some("patch"), &["expectedVersion"]), ["expectedVersions", "3"]);
        assert_eq!(path(named, None, &["fields", "resolutionCode"]), ["fields", "resolutionCode"]);
        assert_eq!(path(found, Some("patch"), &["id"]), ["filter"]);
        assert_eq!(path(found, None, &["transition"]), ["transition"]);
        assert_eq!(found.missing().path, ["filter"]);
    }
}
