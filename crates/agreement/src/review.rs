//! The figures of a review: how an agreement was kept over a time that is over, as it was when the review was made.

use kernel::Uuid;
use predicate::Value;
use serde::{Deserialize, Serialize};
use sla::Metric;
use sla::attainment::{AttainmentGroup, Dimension};
use ticket::model::Priority;

/// By what a review counts.
pub const DIMENSIONS: [Dimension; 3] = [Dimension::Policy, Dimension::Metric, Dimension::Priority];

/// How many clocks ended in time and how many late, of one policy, metric and priority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// The policy.
    pub policy: Uuid,
    /// What is measured.
    pub metric: Metric,
    /// The tickets' priority when the review was made.
    pub priority: Priority,
    /// How many ended in time.
    pub met: i64,
    /// How many ended late.
    pub breached: i64,
}

impl Figure {
    /// Of a group that was counted by [`DIMENSIONS`].
    pub fn of(group: &AttainmentGroup) -> Option<Self> {
        let [policy, metric, priority] = group.keys.as_slice() else { return None };
        let word = |value: &Value| value.as_text().map(str::to_owned);
        Some(Self {
            policy: policy.as_id()?,
            metric: Metric::parse(&word(metric)?)?,
            priority: Priority::parse(&word(priority)?)?,
            met: group.met,
            breached: group.breached,
        })
    }
}
