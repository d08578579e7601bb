//! A policy as it is computed with: conditions read, calendars at hand.

use std::sync::Arc;

use calendar::Calendar;
use chrono::Duration;
use kernel::Uuid;
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use ticket::model::{Priority, StateCategory, WaitingReason};

use crate::model::{Metric, PolicyKind};

/// What one version of a policy says. Stored as JSON; the ids in it are those of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDocument {
    /// For which tickets, as a filter document; all, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Json>,
    /// The calendar whose time counts.
    pub calendar: Uuid,
    /// What is promised.
    pub metrics: Vec<MetricDocument>,
}

/// One promise of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricDocument {
    /// What is measured.
    pub metric: Metric,
    /// The first row that fits a ticket holds; a ticket that none fits has no clock.
    pub targets: Vec<TargetDocument>,
    /// When time does not count.
    #[serde(default)]
    pub pauses: Pauses,
    /// What happens on the way to the due time and behind it.
    #[serde(default)]
    pub escalations: Vec<Escalation>,
}

/// How long it may take, for which tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetDocument {
    /// For these priorities; for all, when there are none.
    #[serde(default)]
    pub priorities: Vec<Priority>,
    /// For these tickets, as a filter document; for all, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Json>,
    /// How long, in seconds of working time.
    pub target: i64,
    /// Another calendar than the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Uuid>,
}

/// The states in which time does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pauses {
    /// While the ticket waits for one of these.
    #[serde(default)]
    pub waiting_reasons: Vec<WaitingReason>,
    /// While the ticket is in a state of one of these categories.
    #[serde(default)]
    pub state_categories: Vec<StateCategory>,
}

impl Pauses {
    /// Whether time stands still.
    pub fn hold(&self, category: StateCategory, reason: Option<WaitingReason>) -> bool {
        let waits = category == StateCategory::Waiting;
        self.state_categories.contains(&category)
            || (waits && reason.is_some_and(|reason| self.waiting_reasons.contains(&reason)))
    }
}

/// Something that happens once on the way of a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Escalation {
    /// When.
    pub at: EscalationTime,
    /// What, beside the event.
    #[serde(default)]
    pub actions: Vec<Action>,
}

/// When an escalation is due, in the clock's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EscalationTime {
    /// When so much of the target has gone by, from 1 to 100; 100 is the due time.
    Percent(u8),
    /// So many seconds before the due time.
    Before(i64),
    /// So many seconds behind the due time; 0 is the due time.
    After(i64),
}

impl EscalationTime {
    /// How much time has gone by on the clock by then.
    pub fn elapsed(self, target: Duration) -> Duration {
        match self {
            // In whole microseconds, rounded up: never early.
            EscalationTime::Percent(percent) => {
                let whole = target.num_microseconds().unwrap_or(i64::MAX);
                let part = (i128::from(whole) * i128::from(percent) + 99) / 100;
                Duration::microseconds(i64::try_from(part).unwrap_or(i64::MAX))
            }
            EscalationTime::Before(seconds) => (target - Duration::seconds(seconds)).max(Duration::zero()),
            EscalationTime::After(seconds) => target + Duration::seconds(seconds),
        }
    }

    /// How it is called in events and in the list of what has fired: `75%`, `-PT30M`, `+PT2H`.
    pub fn key(self) -> String {
        let length = |seconds| kernel::clock::format_duration(Duration::seconds(seconds));
        match self {
            EscalationTime::Percent(percent) => format!("{percent}%"),
            EscalationTime::Before(seconds) => format!("-{}", length(seconds)),
            EscalationTime::After(seconds) => format!("+{}", length(seconds)),
        }
    }
}

/// What an escalation does beside telling of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Adds an internal comment.
    Comment(String),
    /// Hands the ticket to a team, or to somebody of it.
    #[serde(rename_all = "camelCase")]
    Assign {
        /// The team.
        team: Uuid,
        /// Somebody of the team.
        assignee: Option<Uuid>,
    },
    /// Raises the priority by one step, against the matrix; the highest stays.
    RaisePriority,
}

/// A calendar at one of its versions.
#[derive(Clone, Debug)]
pub struct WorkingTime {
    /// The calendar's id.
    pub id: Uuid,
    /// The version.
    pub version: i32,
    /// What it says.
    pub calendar: Arc<Calendar>,
}

/// A version of a policy, ready to compute with.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The policy's id.
    pub id: Uuid,
    /// Its key.
    pub key: String,
    /// Between whom it stands.
    pub kind: PolicyKind,
    /// Which version this is.
    pub version: i32,
    /// For which tickets.
    pub condition: Predicate,
    /// What is promised.
    pub metrics: Vec<MetricRule>,
}

/// One promise of a policy, ready to compute with.
#[derive(Clone, Debug)]
pub struct MetricRule {
    /// What is measured.
    pub metric: Metric,
    /// The first row that fits holds.
    pub targets: Vec<Target>,
    /// When time does not count.
    pub pauses: Pauses,
    /// What happens on the way.
    pub escalations: Vec<Escalation>,
}

/// How long it may take, for which tickets.
#[derive(Clone, Debug)]
pub struct Target {
    /// For these priorities; for all, when there are none.
    pub priorities: Vec<Priority>,
    /// For these tickets.
    pub condition: Predicate,
    /// How long.
    pub length: Duration,
    /// The time that counts.
    pub time: WorkingTime,
}

impl MetricRule {
    /// The row that fits.
    pub fn target(&self, priority: Priority, holds: &dyn Fn(&Predicate) -> bool) -> Option<&Target> {
        let fits = |target: &&Target| target.priorities.is_empty() || target.priorities.contains(&priority);
        self.targets.iter().filter(fits).find(|target| target.condition.is_always() || holds(&target.condition))
    }
}
