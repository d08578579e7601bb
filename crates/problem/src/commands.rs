//! What can be asked of problems.

use access::{TeamRef, UserRef};
use kernel::{Id, Patch, Timestamp};
use predicate::Predicate;
use serde_json::Value as Json;
use ticket::{Impact, TicketDraft, TicketPatch, TicketRef, Urgency};

use crate::detection::DetectionKey;
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

/// Points at a rule that finds problems.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DetectionRuleRef {
    /// By id.
    Id(Id),
    /// By key.
    Key(String),
}

/// What a rule that finds problems says.
#[derive(Clone, Debug)]
pub struct DetectionDraft {
    /// What the incidents have in common.
    pub same: DetectionKey,
    /// How many incidents make a problem.
    pub threshold: i32,
    /// Within how long, in seconds.
    pub window: i64,
    /// Among which incidents, as a filter document; among all, when absent.
    pub condition: Option<Json>,
    /// How many the candidate is said to affect.
    pub impact: Impact,
    /// How long the candidate can wait.
    pub urgency: Urgency,
    /// Who has the candidates, as their requester.
    pub requester: UserRef,
    /// The team that works on them.
    pub team: Option<TeamRef>,
}

/// Add a rule that finds problems.
#[derive(Clone, Debug)]
pub struct CreateDetectionRule {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it says.
    pub draft: DetectionDraft,
}

/// Change a rule that finds problems.
#[derive(Clone, Debug)]
pub struct UpdateDetectionRule {
    /// Which.
    pub rule: DetectionRuleRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// What it says, as a whole.
    pub draft: Option<DetectionDraft>,
    /// A retired rule finds nothing any more.
    pub retired: Option<bool>,
    /// Refuse when the rule has another version.
    pub expected_version: Option<i32>,
}
