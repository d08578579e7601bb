//! What can be asked of calendars and policies, with limits on everything.

use access::{TeamRef, UserRef};
use calendar::CalendarDocument;
use kernel::{Id, Patch};
use serde_json::Value as Json;
use ticket::model::Priority;

use crate::model::{Metric, PolicyKind};
use crate::policy::{EscalationTime, Pauses};

/// How many calendars a tenant may have.
pub const MAX_CALENDARS: usize = 100;
/// How many policies a tenant may have.
pub const MAX_POLICIES: usize = 100;
/// How many versions a calendar or a policy may have.
pub const MAX_VERSIONS: usize = 1_000;
/// How many rows of targets a metric may have.
pub const MAX_TARGETS: usize = 20;
/// How many escalations a metric may have.
pub const MAX_ESCALATIONS: usize = 10;
/// How many actions an escalation may have.
pub const MAX_ACTIONS: usize = 5;
/// The longest target, in seconds of working time: five years round the clock.
pub const MAX_TARGET_SECONDS: i64 = 5 * 366 * 86_400;

/// Points at a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CalendarRef {
    /// By id.
    Id(Id),
    /// By key.
    Key(String),
}

/// Points at a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PolicyRef {
    /// By id.
    Id(Id),
    /// By key.
    Key(String),
}

/// Add a calendar.
#[derive(Clone, Debug)]
pub struct CreateCalendar {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it says.
    pub document: CalendarDocument,
}

/// Change a calendar. What it says becomes a new version.
#[derive(Clone, Debug)]
pub struct UpdateCalendar {
    /// Which.
    pub calendar: CalendarRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// The time zone.
    pub time_zone: Option<String>,
    /// The week.
    pub week: Option<Vec<calendar::WorkingInterval>>,
    /// The holidays.
    pub holidays: Option<Vec<calendar::Holiday>>,
    /// A retired calendar stays with the policies that use it and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

impl UpdateCalendar {
    /// Nothing of this calendar changes yet.
    pub fn of(calendar: CalendarRef) -> Self {
        Self {
            calendar,
            name: None,
            description: Patch::Keep,
            time_zone: None,
            week: None,
            holidays: None,
            retired: None,
            expected_version: None,
        }
    }
}

/// What a policy says, as somebody writes it.
#[derive(Clone, Debug)]
pub struct PolicyDraft {
    /// For which tickets, as a filter document; all, when absent.
    pub condition: Option<Json>,
    /// The calendar whose time counts.
    pub calendar: CalendarRef,
    /// What is promised.
    pub metrics: Vec<MetricDraft>,
}

/// One promise, as somebody writes it.
#[derive(Clone, Debug)]
pub struct MetricDraft {
    /// What is measured.
    pub metric: Metric,
    /// How long it may take.
    pub targets: Vec<TargetDraft>,
    /// When time does not count.
    pub pauses: Pauses,
    /// What happens on the way.
    pub escalations: Vec<EscalationDraft>,
}

/// How long it may take, as somebody writes it.
#[derive(Clone, Debug)]
pub struct TargetDraft {
    /// For these priorities; for all, when there are none.
    pub priorities: Vec<Priority>,
    /// For these tickets, as a filter document; for all, when absent.
    pub condition: Option<Json>,
    /// How long, in seconds of working time.
    pub target: i64,
    /// Another calendar than the policy's.
    pub calendar: Option<CalendarRef>,
}

/// An escalation, as somebody writes it.
#[derive(Clone, Debug)]
pub struct EscalationDraft {
    /// When.
    pub at: EscalationTime,
    /// What, beside the event.
    pub actions: Vec<ActionDraft>,
}

/// What an escalation does, as somebody writes it.
#[derive(Clone, Debug)]
pub enum ActionDraft {
    /// Adds an internal comment.
    Comment(String),
    /// Hands the ticket to a team, or to somebody of it.
    Assign(TeamRef, Option<UserRef>),
    /// Raises the priority by one step.
    RaisePriority,
}

/// Add a policy.
#[derive(Clone, Debug)]
pub struct CreatePolicy {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Between whom it stands.
    pub kind: PolicyKind,
    /// What it says.
    pub draft: PolicyDraft,
}

/// Change a policy. What it says becomes a new version, which holds for new tickets.
#[derive(Clone, Debug)]
pub struct UpdatePolicy {
    /// Which.
    pub policy: PolicyRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// What it says, as a whole.
    pub draft: Option<PolicyDraft>,
    /// A retired policy goes on for the tickets that have it, and holds for no new ones.
    pub retired: Option<bool>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}
