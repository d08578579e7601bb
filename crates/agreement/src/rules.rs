//! The rules of agreements as pure functions: what a policy promises, and what may follow what.

use chrono::Duration;
use kernel::error::Problems;
use kernel::{Timestamp, UserError};
use sla::policy::{MetricDocument, PolicyDocument, TargetDocument};
use sla::{Metric, PolicyKind};
use store::query::Row;
use ticket::model::{Priority, StateCategory, WaitingReason};

use crate::model::AgreementState;

/// What tickets with users are measured by from the beginning to the end: what teams and suppliers have to fit into.
pub const MEASURED_WHOLE: [Metric; 2] = [Metric::Resolution, Metric::Fulfilment];

/// The promise of a metric.
pub fn metric_of(document: &PolicyDocument, metric: Metric) -> Option<&MetricDocument> {
    document.metrics.iter().find(|found| found.metric == metric)
}

/// The rows that tickets of this priority can get: behind one without a condition comes no other.
fn rows(metric: &MetricDocument, priority: Priority) -> impl Iterator<Item = &TargetDocument> {
    let fits = move |row: &TargetDocument| row.priorities.is_empty() || row.priorities.contains(&priority);
    let last = metric.targets.iter().position(|row| fits(row) && row.condition.is_none());
    let within_reach = &metric.targets[..last.map_or(metric.targets.len(), |last| last + 1)];
    within_reach.iter().filter(move |row| fits(row))
}

/// The shortest that a ticket of this priority can be promised.
pub fn tightest(metric: &MetricDocument, priority: Priority) -> Option<&TargetDocument> {
    rows(metric, priority).min_by_key(|row| row.target)
}

/// The longest that a ticket of this priority can be promised.
pub fn longest(metric: &MetricDocument, priority: Priority) -> Option<&TargetDocument> {
    rows(metric, priority).max_by_key(|row| row.target)
}

/// How long a row promises.
pub fn length(row: &TargetDocument) -> Duration {
    Duration::seconds(row.target)
}

/// Whether a promise stands still while the vendor is awaited.
pub fn pauses_for_vendor(metric: &MetricDocument) -> bool {
    metric.pauses.hold(StateCategory::Waiting, Some(WaitingReason::Vendor))
}

/// The party of an agreement of this kind: the field that names it, and what it is called.
pub const fn party(kind: PolicyKind) -> (&'static str, &'static str) {
    match kind {
        PolicyKind::Sla => ("customer", "customer"),
        PolicyKind::Ola => ("team", "team"),
        PolicyKind::UnderpinningContract => ("supplier", "supplier"),
    }
}

/// What of an agreement stays once it has been agreed.
pub const AGREED_FIELDS: [&str; 6] = ["services", "policies", "customer", "team", "supplier", "validFrom"];

/// The agreement's kind.
pub fn kind_of(row: &Row) -> PolicyKind {
    PolicyKind::parse(&row.text("kind")).unwrap_or(PolicyKind::Sla)
}

/// Whether an agreement holds at an instant: its validity begins with its first instant and ends before its last.
pub fn in_force(row: &Row, at: Timestamp) -> bool {
    row.text("state") == AgreementState::Agreed.as_str()
        && row.get("validFrom").as_time().is_some_and(|from| from <= at)
        && row.get("validUntil").as_time().is_none_or(|until| at < until)
}

/// Checks an agreement as it will be, after a change.
pub fn check_agreement(problems: &mut Problems, before: Option<&Row>, after: &Row) {
    let state = |row: &Row| AgreementState::parse(&row.text("state")).unwrap_or(AgreementState::Draft);
    let (was, is) = (before.map_or(AgreementState::Draft, state), state(after));
    let refuse = |path: &str, message: String, rule: &'static str| UserError::constraint([path], message, rule, None);
    let kind = kind_of(after);
    for other in [PolicyKind::Sla, PolicyKind::Ola, PolicyKind::UnderpinningContract] {
        let (field, _) = party(other);
        if other != kind && !after.get(field).is_null() {
            let message = format!("an agreement of the kind {} is with a {}", kind.as_str(), party(kind).1);
            problems.add(refuse(field, message, "kind"));
        }
    }
    if kind != PolicyKind::Sla && !after.texts("underpinnedBy").is_empty() {
        let message = "other agreements stand under one with a customer, of the kind SLA, alone".to_owned();
        problems.add(refuse("underpinnedBy", message, "kind"));
    }
    if let (Some(from), Some(until)) = (after.get("validFrom").as_time(), after.get("validUntil").as_time())
        && until <= from
        && is != AgreementState::Terminated
    {
        problems.add(refuse("validUntil", "it ends before it begins".to_owned(), "range"));
    }
    match (was, is) {
        (AgreementState::Terminated, _) => {
            let message = "a terminated agreement changes no more: make a new one".to_owned();
            problems.add(refuse("agreement", message, "state"));
        }
        (AgreementState::Agreed, AgreementState::Draft) => {
            let message = "what has been agreed is no draft again: terminate it and make a new one".to_owned();
            problems.add(refuse("state", message, "state"));
        }
        _ => {}
    }
    if let (AgreementState::Agreed, Some(before)) = (was, before) {
        for field in AGREED_FIELDS.into_iter().filter(|field| before.get(field) != after.get(field)) {
            let message = format!("`{field}` has been agreed and stays: terminate the agreement and make a new one");
            problems.add(refuse(field, message, "state"));
        }
    }
    if was == AgreementState::Draft && is == AgreementState::Agreed {
        let (field, what) = party(kind);
        for (field, missing, what) in [
            (field, after.get(field).is_null(), format!("name the {what}")),
            ("services", after.texts("services").is_empty(), "name at least one service".to_owned()),
            ("policies", after.texts("policies").is_empty(), "name at least one policy".to_owned()),
        ] {
            if missing {
                problems.add(refuse(field, format!("nothing can be agreed yet: {what}"), "required"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metric(rows: serde_json::Value) -> MetricDocument {
        serde_json::from_value(json!({ "metric": "RESOLUTION", "targets": rows })).unwrap()
    }

    #[test]
    fn rows_behind_one_without_a_condition_are_out_of_reach() {
        let metric = metric(json!([
            { "priorities": ["P1"], "target": 100, "condition": { "tags": { "has": "vip" } } },
            { "priorities": ["P1"], "target": 300 },
            { "target": 50 },
        ]));
        let target = |found: Option<&TargetDocument>| found.map(|row| row.target);
        assert_eq!(target(tightest(&metric, Priority::P1)), Some(100));
        assert_eq!(target(longest(&metric, Priority::P1)), Some(300));
        assert_eq!(target(longest(&metric, Priority::P4)), Some(50));
    }

    #[test]
    fn a_priority_without_a_row_is_promised_nothing() {
        let metric = metric(json!([{ "priorities": ["P2"], "target": 100 }]));
        assert!(tightest(&metric, Priority::P1).is_none());
    }
}
