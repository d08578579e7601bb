//! What somebody writes of a policy, checked, and with the records that it points at looked up.

use std::collections::HashSet;

use chrono::Duration;
use kernel::error::Problems;
use kernel::{Ctx, Result, UserError, Uuid};
use store::Tx;
use ticket::model::{MAX_TEXT, Priority, StateCategory};

use super::ServiceLevels;
use crate::commands::{
    ActionDraft, CalendarRef, EscalationDraft, MAX_ACTIONS, MAX_ESCALATIONS, MAX_TARGET_SECONDS, MAX_TARGETS,
    MetricDraft, PolicyDraft, TargetDraft,
};
use crate::model::{Metric, PolicyKind};
use crate::policy::{Action, Escalation, EscalationTime, MetricDocument, PolicyDocument, TargetDocument};

impl ServiceLevels {
    /// The document that is stored.
    ///
    /// # Errors
    /// All that is wrong, each with its path: `VALIDATION`, `LIMIT`, `NOT_FOUND`.
    pub(crate) async fn document_in(
        &self,
        tx: &mut Tx,
        kind: PolicyKind,
        draft: &PolicyDraft,
    ) -> Result<PolicyDocument> {
        let ctx = tx.ctx().clone();
        let mut problems = Problems::default();
        problems.take(check_draft(kind, draft))?;
        let condition = self.read_condition(&*tx, &ctx, draft.condition.as_ref()).await;
        problems.take(condition.map_err(|error| error.within("condition")))?;
        let calendar = self.usable_calendar_in(tx, &ctx, &draft.calendar).await;
        let calendar = problems.take(calendar.map_err(|error| error.within("calendar")))?;
        let mut metrics = Vec::with_capacity(draft.metrics.len());
        for (place, metric) in draft.metrics.iter().enumerate() {
            let ready = self.metric_in(tx, &ctx, metric).await;
            let ready = ready.map_err(|error| error.within(&place.to_string()).within("metrics"));
            metrics.extend(problems.take(ready)?);
        }
        problems.check()?;
        let calendar = calendar.unwrap_or_default();
        Ok(PolicyDocument { condition: draft.condition.clone(), calendar, metrics })
    }

    async fn metric_in(&self, tx: &mut Tx, ctx: &Ctx, draft: &MetricDraft) -> Result<MetricDocument> {
        let mut problems = Problems::default();
        let mut targets = Vec::with_capacity(draft.targets.len());
        for (place, target) in draft.targets.iter().enumerate() {
            let ready = self.target_in(tx, ctx, target).await;
            let ready = ready.map_err(|error| error.within(&place.to_string()).within("targets"));
            targets.extend(problems.take(ready)?);
        }
        let mut escalations = Vec::with_capacity(draft.escalations.len());
        for (place, escalation) in draft.escalations.iter().enumerate() {
            let ready = self.escalation_in(tx, ctx, escalation).await;
            let ready = ready.map_err(|error| error.within(&place.to_string()).within("escalations"));
            escalations.extend(problems.take(ready)?);
        }
        problems.check()?;
        Ok(MetricDocument { metric: draft.metric, targets, pauses: draft.pauses.clone(), escalations })
    }

    async fn target_in(&self, tx: &mut Tx, ctx: &Ctx, draft: &TargetDraft) -> Result<TargetDocument> {
        let condition = self.read_condition(&*tx, ctx, draft.condition.as_ref()).await;
        condition.map_err(|error| error.within("condition"))?;
        let calendar = match &draft.calendar {
            Some(calendar) => {
                let found = self.usable_calendar_in(tx, ctx, calendar).await;
                Some(found.map_err(|error| error.within("calendar"))?)
            }
            None => None,
        };
        Ok(TargetDocument {
            priorities: draft.priorities.clone(),
            condition: draft.condition.clone(),
            target: draft.target,
            calendar,
        })
    }

    async fn escalation_in(&self, tx: &mut Tx, ctx: &Ctx, draft: &EscalationDraft) -> Result<Escalation> {
        let mut actions = Vec::with_capacity(draft.actions.len());
        for (place, action) in draft.actions.iter().enumerate() {
            let ready = self.action_in(tx, ctx, action).await;
            actions.push(ready.map_err(|error| error.within(&place.to_string()).within("actions"))?);
        }
        Ok(Escalation { at: draft.at, actions })
    }

    async fn action_in(&self, tx: &mut Tx, ctx: &Ctx, draft: &ActionDraft) -> Result<Action> {
        match draft {
            ActionDraft::Comment(body) => Ok(Action::Comment(body.clone())),
            ActionDraft::RaisePriority => Ok(Action::RaisePriority),
            ActionDraft::Assign(team, assignee) => {
                let team = self.access().team_in(tx, ctx, team).await;
                let team = team.map_err(|error| error.within("team").within("assign"))?;
                let assignee = match assignee {
                    Some(user) => {
                        let user = self.access().user_in(tx, ctx, user).await;
                        let user = user.map_err(|error| error.within("assignee").within("assign"))?;
                        if !self.access().is_member_in(tx, team.id(), user.id()).await? {
                            let message = format!("{} is no member of the team", user.text("name"));
                            let path = ["assign", "assignee"];
                            return Err(UserError::constraint(path, message, "teamMember", None).into());
                        }
                        Some(user.id())
                    }
                    None => None,
                };
                Ok(Action::Assign { team: team.id(), assignee })
            }
        }
    }

    /// The id of a calendar that may be chosen.
    async fn usable_calendar_in(&self, tx: &Tx, ctx: &Ctx, reference: &CalendarRef) -> Result<Uuid> {
        let row = self.calendar_in(tx, ctx, reference).await?;
        if row.bool("retired") {
            let message = format!("the calendar `{}` is retired", row.text("key"));
            return Err(UserError::constraint([reference.path()], message, "retired", None).into());
        }
        Ok(row.id())
    }
}

/// What can be seen without looking anything up.
///
/// # Errors
/// All that is wrong, each with its path.
pub(crate) fn check_draft(kind: PolicyKind, draft: &PolicyDraft) -> Result<()> {
    let mut problems = Problems::default();
    if draft.metrics.is_empty() {
        problems.add(UserError::validation(["metrics"], "promise at least one metric"));
    }
    let mut seen = HashSet::new();
    for (place, metric) in draft.metrics.iter().enumerate() {
        let mut inside = Problems::default();
        if !seen.insert(metric.metric) {
            let message = format!("{} stands twice", metric.metric.as_str());
            inside.add(UserError::validation(["metric"], message));
        }
        if kind != PolicyKind::Sla && metric.metric != Metric::Resolution {
            let message = format!("a policy of the kind {} measures RESOLUTION alone", kind.as_str());
            inside.add(UserError::validation(["metric"], message));
        }
        check_targets(&mut inside, &metric.targets);
        check_pauses(&mut inside, kind, metric);
        check_escalations(&mut inside, metric);
        problems.add_within(inside, &["metrics", &place.to_string()]);
    }
    problems.check()
}

fn check_targets(problems: &mut Problems, targets: &[TargetDraft]) {
    if targets.is_empty() {
        problems.add(UserError::validation(["targets"], "give at least one target: how long it may take"));
    }
    if targets.len() > MAX_TARGETS {
        let message = format!("{} targets; at most {MAX_TARGETS} are allowed", targets.len());
        problems.add(UserError::limit(["targets"], message, MAX_TARGETS as u64));
    }
    let mut promised: HashSet<Priority> = HashSet::new();
    for (place, target) in targets.iter().enumerate() {
        let at = |field: &str| ["targets".to_owned(), place.to_string(), field.to_owned()];
        if target.target <= 0 {
            problems.add(UserError::validation(at("target"), "a target is longer than nothing, such as `PT4H`"));
        } else if target.target > MAX_TARGET_SECONDS {
            let message = format!("a target is at most {} days", MAX_TARGET_SECONDS / 86_400);
            problems.add(UserError::limit(at("target"), message, MAX_TARGET_SECONDS as u64));
        }
        let named: &[Priority] = if target.priorities.is_empty() { Priority::ALL } else { &target.priorities };
        if named.iter().all(|priority| promised.contains(priority)) {
            let message = "no ticket gets as far as this row: rows above it fit all that it fits";
            problems.add(UserError::validation(at("priorities"), message));
        }
        if target.condition.is_none() {
            promised.extend(named);
        }
    }
}

fn check_pauses(problems: &mut Problems, kind: PolicyKind, metric: &MetricDraft) {
    let any = !metric.pauses.waiting_reasons.is_empty() || !metric.pauses.state_categories.is_empty();
    if kind == PolicyKind::UnderpinningContract && any {
        let message = "an underpinning contract runs while the ticket waits for the vendor, and pauses otherwise";
        problems.add(UserError::validation(["pauses"], message));
    }
    for (place, category) in metric.pauses.state_categories.iter().enumerate() {
        if category.is_done() {
            let path = ["pauses".to_owned(), "stateCategories".to_owned(), place.to_string()];
            let allowed = [StateCategory::New, StateCategory::Active, StateCategory::Waiting];
            let allowed: Vec<&str> = allowed.iter().map(|category| category.as_str()).collect();
            let message = format!("{} ends a clock; time can pause in {}", category.as_str(), allowed.join(", "));
            problems.add(UserError::validation(path, message));
        }
    }
}

fn check_escalations(problems: &mut Problems, metric: &MetricDraft) {
    if metric.escalations.len() > MAX_ESCALATIONS {
        let message = format!("{} escalations; at most {MAX_ESCALATIONS} are allowed", metric.escalations.len());
        problems.add(UserError::limit(["escalations"], message, MAX_ESCALATIONS as u64));
    }
    let shortest = metric.targets.iter().map(|target| target.target).min().unwrap_or_default();
    let mut seen = HashSet::new();
    for (place, escalation) in metric.escalations.iter().enumerate() {
        let at = |rest: &[&str]| {
            let head = ["escalations".to_owned(), place.to_string()].into_iter();
            head.chain(rest.iter().map(ToString::to_string)).collect::<Vec<_>>()
        };
        match escalation.at {
            EscalationTime::Percent(percent) if !(1..=100).contains(&percent) => {
                let message = "from 1 to 100 percent of the target; for what comes behind the due time give `after`";
                problems.add(UserError::validation(at(&["at", "percent"]), message));
            }
            EscalationTime::Before(seconds) if seconds <= 0 || seconds >= shortest => {
                let shortest = kernel::clock::format_duration(Duration::seconds(shortest));
                let message = format!("longer than nothing and shorter than the shortest target, {shortest}");
                problems.add(UserError::validation(at(&["at", "before"]), message));
            }
            EscalationTime::After(seconds) if !(0..=MAX_TARGET_SECONDS).contains(&seconds) => {
                let message = format!("from nothing to {} days behind the due time", MAX_TARGET_SECONDS / 86_400);
                problems.add(UserError::validation(at(&["at", "after"]), message));
            }
            _ => {}
        }
        if !seen.insert(escalation.at.key()) {
            problems.add(UserError::validation(at(&["at"]), format!("{} stands twice", escalation.at.key())));
        }
        if escalation.actions.len() > MAX_ACTIONS {
            let message = format!("{} actions; at most {MAX_ACTIONS} are allowed", escalation.actions.len());
            problems.add(UserError::limit(at(&["actions"]), message, MAX_ACTIONS as u64));
        }
        for (number, action) in escalation.actions.iter().enumerate() {
            if let ActionDraft::Comment(body) = action {
                let path = || at(&["actions", &number.to_string(), "comment"]);
                if body.trim().is_empty() {
                    problems.add(UserError::validation(path(), "a comment says something"));
                } else if body.len() > MAX_TEXT {
                    let message = format!("{} bytes; at most {MAX_TEXT} are allowed", body.len());
                    problems.add(UserError::limit(path(), message, MAX_TEXT as u64));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Pauses;

    fn draft(change: impl FnOnce(&mut MetricDraft)) -> PolicyDraft {
        let target = TargetDraft { priorities: Vec::new(), condition: None, target: 3_600, calendar: None };
        let mut metric = MetricDraft {
            metric: Metric::Resolution,
            targets: vec![target],
            pauses: Pauses::default(),
            escalations: Vec::new(),
        };
        change(&mut metric);
        PolicyDraft { condition: None, calendar: CalendarRef::Key("always".into()), metrics: vec![metric] }
    }

    fn paths(draft: &PolicyDraft) -> Vec<String> {
        match check_draft(PolicyKind::Sla, draft) {
            Err(kernel::Error::Refused(errors)) => errors.iter().map(|error| error.path.join(".")).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn escalation(at: EscalationTime) -> EscalationDraft {
        EscalationDraft { at, actions: Vec::new() }
    }

    #[test]
    fn everything_that_can_grow_has_an_end() {
        assert!(check_draft(PolicyKind::Sla, &draft(|_| {})).is_ok());
        let rows = draft(|metric| {
            let mut row = metric.targets[0].clone();
            row.condition = Some(serde_json::json!({}));
            metric.targets = vec![row; MAX_TARGETS + 1];
        });
        assert_eq!(paths(&rows), ["metrics.0.targets"]);
        let long = draft(|metric| metric.targets[0].target = MAX_TARGET_SECONDS + 1);
        assert_eq!(paths(&long), ["metrics.0.targets.0.target"]);
        let many = draft(|metric| {
            let times = (0..=MAX_ESCALATIONS as i64).map(|number| escalation(EscalationTime::After(number)));
            metric.escalations = times.collect();
        });
        assert_eq!(paths(&many), ["metrics.0.escalations"]);
        let busy = draft(|metric| {
            let actions = vec![ActionDraft::RaisePriority; MAX_ACTIONS + 1];
            metric.escalations = vec![EscalationDraft { at: EscalationTime::Percent(50), actions }];
        });
        assert_eq!(paths(&busy), ["metrics.0.escalations.0.actions"]);
        let wordy = draft(|metric| {
            let actions = vec![ActionDraft::Comment("x".repeat(MAX_TEXT + 1)), ActionDraft::Comment(" ".into())];
            metric.escalations = vec![EscalationDraft { at: EscalationTime::Percent(50), actions }];
        });
        let at = "metrics.0.escalations.0.actions";
        assert_eq!(paths(&wordy), [format!("{at}.0.comment"), format!("{at}.1.comment")]);
    }

    #[test]
    fn an_escalation_stands_once_and_within_its_bounds() {
        let wrong = draft(|metric| {
            metric.escalations = vec![
                escalation(EscalationTime::Percent(0)),
                escalation(EscalationTime::Before(3_600)),
                escalation(EscalationTime::After(-1)),
                escalation(EscalationTime::Percent(50)),
                escalation(EscalationTime::Percent(50)),
            ];
        });
        let at = "metrics.0.escalations";
        let expected = ["0.at.percent", "1.at.before", "2.at.after", "4.at"].map(|place| format!("{at}.{place}"));
        assert_eq!(paths(&wrong), expected);
    }

    #[test]
    fn only_agreements_with_customers_measure_more_than_the_resolution() {
        let response = draft(|metric| metric.metric = Metric::FirstResponse);
        assert!(check_draft(PolicyKind::Sla, &response).is_ok());
        assert!(check_draft(PolicyKind::Ola, &response).is_err());
        let pausing = draft(|metric| metric.pauses.state_categories = vec![StateCategory::New]);
        assert!(check_draft(PolicyKind::UnderpinningContract, &pausing).is_err());
    }
}
