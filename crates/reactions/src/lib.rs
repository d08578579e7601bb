//! Reactions: what one practice's event does in another, which neither could do by itself. One file for each.
//!
//! There are two registries. [`in_transaction`] holds what must be true at once: a [`store::Reaction`] runs at the end of the write that
//! emitted the event, in its transaction, and its error is the write's; so it is short, and touches few records. [`after_commit`] holds
//! everything else: an [`AfterCommit`] follows the event log from a durable cursor of its own ([`follow`]), so that no write waits for it
//! or fails by it.
//!
//! **Once.** The cursor moves in the transaction of the effect, from the place that it was read at: of two processes that take the same
//! event, one finds the cursor moved and does nothing. A reaction that failed is tried again beside the cursor, and others do not wait
//! for it; it looks at what is there, so that a second run does nothing.
//!
//! **Loops** are cut. In a transaction [`store::MAX_REACTION_DEPTH`] bounds them. What is done after the commit is told by events that name
//! their depth; an event that stands [`MAX_CHAIN`] deep is answered by none, and `ReactionFailed` reports it.
//!
//! The table of all reactions is in `ARCHITECTURE.md`.

pub mod action_raised;
pub mod events;
pub mod fix_completed;
pub mod follow;
pub mod incident_linked;
pub mod merge_undone;
pub mod problem_detection;
pub mod problem_ended;
mod tables;
pub mod workaround_published;

use std::sync::Arc;

use incident::Incidents;
use problem::Problems;

pub use follow::{AfterCommit, Follower, MAX_CHAIN, Progress, RETRY};

/// What runs in the transaction of each write, in this order, behind the clocks of service levels.
pub fn in_transaction(incidents: &Incidents, problems: &Problems) -> Vec<Arc<dyn store::Reaction>> {
    // A practice may react to itself: its job is to be written with its date, its alerts are to go where the incident goes.
    vec![Arc::new(problems.clone()), Arc::new(incidents.clone())]
}

/// What follows the log.
pub fn after_commit(incidents: &Incidents, problems: &Problems) -> Vec<Arc<dyn AfterCommit>> {
    vec![
        Arc::new(action_raised::ActionRaised::new(incidents.clone(), problems.clone())),
        Arc::new(workaround_published::WorkaroundPublished::new(problems.clone())),
        Arc::new(incident_linked::IncidentLinked::new(problems.clone())),
        Arc::new(problem_ended::ProblemEnded::new(problems.clone())),
        Arc::new(problem_detection::ProblemDetection::new(problems.clone())),
        Arc::new(fix_completed::FixCompleted::new(problems.clone())),
        Arc::new(merge_undone::MergeUndone::new(problems.clone())),
    ]
}

/// How many records a reaction changes in one transaction. What is left is done in the next, with the cursor where it is.
pub const BATCH: usize = 20;
