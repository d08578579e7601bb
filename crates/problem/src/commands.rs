//! What can be asked of problems.

use kernel::{Patch, Timestamp};
use predicate::Predicate;
use ticket::{TicketDraft, TicketPatch, TicketRef};

use crate::model::ProblemOrigin;

/// How many incidents one call links.
pub const MAX_LINKED_AT_ONCE: usize = 100;

/// Open a problem.
#[derive(Clone, Debug)]
pub struct CreateProblem {
    /// What every ticket says.
    pub draft: TicketDraft,
    /// How it was found.
    pub origin: ProblemOrigin,
    /// By what it is recognised.
    pub symptom: Option<String>,
    /// Why it happens.
    pub root_cause: Option<String>,
    /// What helps meanwhile.
    pub workaround: Option<String>,
    /// Whether it is a known error.
    pub known_error: bool,
}

/// Change a problem. Absent fields stay.
#[derive(Clone, Debug)]
pub struct UpdateProblem {
    /// Which problem.
    pub problem: TicketRef,
    /// What every ticket says.
    pub patch: TicketPatch,
    /// By what it is recognised.
    pub symptom: Patch<String>,
    /// Why it happens.
    pub root_cause: Patch<String>,
    /// What helps meanwhile.
    pub workaround: Patch<String>,
    /// Whether it is a known error.
    pub known_error: Option<bool>,
    /// When an accepted risk is looked at again.
    pub risk_review_at: Option<Timestamp>,
    /// Refuse when the problem has another version.
    pub expected_version: Option<i32>,
}

/// Which incidents.
#[derive(Clone, Debug)]
pub enum Incidents {
    /// These: by id or number.
    These(Vec<TicketRef>),
    /// Those that a filter finds.
    Matching(Predicate),
}

/// Say of incidents that a problem is their cause.
#[derive(Clone, Debug)]
pub struct LinkIncidents {
    /// Which problem.
    pub problem: TicketRef,
    /// Which incidents.
    pub incidents: Incidents,
}
