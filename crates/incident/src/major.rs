//! Major incidents: what may be done with one when, as pure functions.
//!
//! ```text
//!            propose             accept
//!   (none) ──────────▶ PROPOSED ────────▶ ACCEPTED ──▶ resolved ──▶ reviewed ──▶ closed
//!      ▲                  │ reject            ▲
//!      └──── REJECTED ◀───┘                   │
//!      └─────────────────── declare ──────────┘
//! ```
//!
//! A major incident has somebody who commands it, and may have somebody who tells of it and somebody who writes down. Its clocks
//! never pause. It is told of in status updates, of which the next is due after a cadence. It does not close by itself, and not
//! before its review is completed, unless the tenant's settings said otherwise when it was accepted.

use chrono::Duration;
use kernel::error::Problems;
use kernel::{Result, Timestamp, UserError, words};
use store::query::Row;
use ticket::StateCategory;
use ticket::commands::check_long_text;

/// How many whys a review may have.
pub const MAX_WHYS: usize = 10;
/// How long one of them may be, in characters.
pub const MAX_WHY: usize = 1_000;
/// How many status updates a major incident may have.
pub const MAX_STATUS_UPDATES: usize = 1_000;
/// How many of them are shown with the incident itself: the last.
pub const LAST_STATUS_UPDATES: u32 = 100;
/// How many notes its timeline may have.
pub const MAX_TIMELINE_NOTES: usize = 500;
/// How many entries of its log its timeline shows: the first.
pub const MAX_TIMELINE_EVENTS: usize = 500;
/// How many actions may come out of its review.
pub const MAX_ACTIONS: usize = 100;
/// The shortest time between status updates, in seconds.
pub const MIN_CADENCE: i64 = 60;
/// The longest time between status updates, in seconds.
pub const MAX_CADENCE: i64 = 7 * 86_400;
/// The time between status updates where nothing else is set, in seconds.
pub const USUAL_CADENCE: i64 = 30 * 60;

words! {
    /// How far it is decided that an incident is a major one.
    MajorState {
        /// Somebody says so.
        Proposed = "PROPOSED",
        /// It is one.
        Accepted = "ACCEPTED",
        /// It is none.
        Rejected = "REJECTED",
    }
}

words! {
    /// Who reads a status update.
    UpdateAudience {
        /// Those who work on the incident.
        Internal = "INTERNAL",
        /// Whoever sees the incident, and those of its children.
        Requesters = "REQUESTERS",
        /// Everybody in the tenant.
        Public = "PUBLIC",
    }
}

words! {
    /// What is to be done after a major incident.
    ActionKind {
        /// A task.
        Task = "TASK",
        /// A problem is to be analysed.
        Problem = "PROBLEM",
    }
}

/// A decision on a major incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Say that it is one.
    Propose,
    /// Agree.
    Accept,
    /// Say so and agree.
    Declare,
    /// Disagree, for this reason.
    Reject(String),
    /// Change who leads it, what it means, how often it is told of.
    Change,
}

impl Step {
    /// Whether the step needs the right to manage major incidents; anybody who works on an incident may propose.
    pub fn needs_manager(&self) -> bool {
        *self != Step::Propose
    }
}

/// How far it is decided on an incident.
pub fn state_of(incident: &Row) -> Option<MajorState> {
    incident.get("majorIncidentState").as_text().and_then(MajorState::parse)
}

/// Whether it is a major incident.
pub fn is_accepted(incident: &Row) -> bool {
    state_of(incident) == Some(MajorState::Accepted)
}

/// Whether it cannot be closed before it was looked back at.
pub fn awaits_review(incident: &Row) -> bool {
    is_accepted(incident) && incident.bool("reviewRequired") && incident.get("reviewedAt").is_null()
}

/// Where a step leads from where the incident stands.
///
/// # Errors
/// `VALIDATION` when it does not go from there.
pub fn after(step: &Step, incident: &Row) -> Result<MajorState> {
    use MajorState::{Accepted, Proposed, Rejected};
    let refuse = |message: &str| Err(UserError::constraint(["incident"], message, "majorIncidentState", None).into());
    let open = StateCategory::parse(&incident.text("stateCategory")).is_some_and(|category| !category.is_done());
    if !open && matches!(step, Step::Propose | Step::Accept | Step::Declare) {
        return refuse("it is resolved, closed or canceled: only one that is open can become a major incident");
    }
    match (step, state_of(incident)) {
        (Step::Propose, None | Some(Rejected)) => Ok(Proposed),
        (Step::Propose, Some(Proposed)) => refuse("it is proposed already"),
        (Step::Accept, Some(Proposed)) | (Step::Declare, None | Some(Proposed | Rejected)) => Ok(Accepted),
        (Step::Propose | Step::Accept | Step::Declare, Some(Accepted)) => refuse("it is a major incident already"),
        (Step::Accept, _) => refuse("nobody has proposed it: `majorIncidentDeclare` proposes and accepts"),
        (Step::Reject(_), Some(Proposed)) => Ok(Rejected),
        (Step::Reject(_), _) => refuse("only what is proposed can be rejected"),
        (Step::Change, Some(state @ (Accepted | Proposed))) => Ok(state),
        (Step::Change, _) => refuse("it is no major incident, and nobody has proposed it"),
    }
}

/// Checks what stands on a major incident after a step.
pub fn check(problems: &mut Problems, incident: &Row) {
    let state = state_of(incident);
    if matches!(state, Some(MajorState::Proposed | MajorState::Accepted)) {
        match incident.get("businessImpact").as_text() {
            Some(text) if !text.trim().is_empty() => check_long_text(problems, "businessImpact", text),
            _ => {
                let message = "say what it means for the business";
                problems.add(UserError::constraint(["businessImpact"], message, "required", None));
            }
        }
    }
    if is_accepted(incident) && incident.get("commander").is_null() {
        let message = "a major incident has somebody who commands it";
        problems.add(UserError::constraint(["commander"], message, "required", None));
    }
    if let Some(cadence) = incident.get("updateCadence").as_int() {
        check_cadence(problems, cadence);
    }
}

/// Checks the time between status updates.
pub fn check_cadence(problems: &mut Problems, seconds: i64) {
    if !(MIN_CADENCE..=MAX_CADENCE).contains(&seconds) {
        let message = "from a minute to seven days";
        problems.add(UserError::limit(["updateCadence"], message, MAX_CADENCE as u64));
    }
}

/// When the next status update is due, after one at this instant.
pub fn next_update(incident: &Row, from: Timestamp) -> Option<Timestamp> {
    let cadence = incident.get("updateCadence").as_int()?;
    is_accepted(incident).then(|| from + Duration::seconds(cadence))
}

/// When one is due next, when the last was due then and it is later by now: what was missed in between is not made up for.
pub fn due_again(incident: &Row, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let cadence = incident.get("updateCadence").as_int().filter(|cadence| *cadence > 0)?;
    let missed = (now - due).num_seconds().max(0) / cadence;
    is_accepted(incident).then(|| due + Duration::seconds((missed + 1) * cadence))
}

/// Checks the whys of a review.
pub fn check_whys(problems: &mut Problems, whys: &[String]) {
    if whys.len() > MAX_WHYS {
        let message = format!("{} whys; at most {MAX_WHYS} are allowed", whys.len());
        problems.add(UserError::limit(["fiveWhys"], message, MAX_WHYS as u64));
    }
    for (place, why) in whys.iter().enumerate().take(MAX_WHYS) {
        let at = || ["fiveWhys".to_owned(), place.to_string()];
        if why.trim().is_empty() || why.contains('\0') {
            problems.add(UserError::validation(at(), "say why"));
        } else if why.chars().count() > MAX_WHY {
            let message = format!("at most {MAX_WHY} characters");
            problems.add(UserError::limit(at(), message, MAX_WHY as u64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use predicate::Value;

    use crate::fields::INCIDENT;

    fn incident(state: Option<MajorState>, category: StateCategory) -> Row {
        Row::new(
            &INCIDENT,
            vec![
                ("majorIncidentState", state.map(MajorState::as_str).into()),
                ("stateCategory", category.as_str().into()),
                ("updateCadence", 600.into()),
            ],
        )
    }

    #[test]
    fn each_step_leads_from_where_it_may() {
        use MajorState::{Accepted, Proposed, Rejected};
        let reject = Step::Reject("No.".into());
        let to = |step: &Step, from| after(step, &incident(from, StateCategory::Active)).ok();
        for (from, proposed, accepted, declared, rejected, changed) in [
            (None, Some(Proposed), None, Some(Accepted), None, None),
            (Some(Proposed), None, Some(Accepted), Some(Accepted), Some(Rejected), Some(Proposed)),
            (Some(Rejected), Some(Proposed), None, Some(Accepted), None, None),
            (Some(Accepted), None, None, None, None, Some(Accepted)),
        ] {
            assert_eq!(to(&Step::Propose, from), proposed, "{from:?}");
            assert_eq!(to(&Step::Accept, from), accepted, "{from:?}");
            assert_eq!(to(&Step::Declare, from), declared, "{from:?}");
            assert_eq!(to(&reject, from), rejected, "{from:?}");
            assert_eq!(to(&Step::Change, from), changed, "{from:?}");
        }
        let done = incident(Some(Proposed), StateCategory::Resolved);
        assert!(after(&Step::Accept, &done).is_err() && after(&reject, &done).is_ok());
    }

    #[test]
    fn it_needs_impact_and_a_commander() {
        let refused = |row: &Row| {
            let mut problems = Problems::default();
            check(&mut problems, row);
            problems.check().is_err()
        };
        let mut row = incident(Some(MajorState::Accepted), StateCategory::Active);
        assert!(refused(&row));
        row.set("businessImpact", "Nobody can sell.".into());
        assert!(refused(&row));
        row.set("commander", kernel::Uuid::from_u128(1).into());
        assert!(!refused(&row));
        row.set("updateCadence", Value::Int(MIN_CADENCE - 1));
        assert!(refused(&row));
        row.set("updateCadence", Value::Int(MAX_CADENCE + 1));
        assert!(refused(&row));
        row.set("updateCadence", Value::Null);
        row.set("businessImpact", "  ".into());
        assert!(refused(&row));
    }

    #[test]
    fn reminders_that_were_missed_are_one() {
        let row = incident(Some(MajorState::Accepted), StateCategory::Active);
        let due = Timestamp::UNIX_EPOCH;
        for (late, next) in [(0, 600), (599, 600), (600, 1_200), (6_001, 6_600)] {
            assert_eq!(due_again(&row, due, due + Duration::seconds(late)), Some(due + Duration::seconds(next)));
        }
        let proposed = incident(Some(MajorState::Proposed), StateCategory::Active);
        assert_eq!(due_again(&proposed, due, due), None);
        assert_eq!(next_update(&row, due), Some(due + Duration::seconds(600)));
    }

    #[test]
    fn it_is_closed_after_its_review_where_that_is_asked_for() {
        let mut row = incident(Some(MajorState::Accepted), StateCategory::Resolved);
        assert!(!awaits_review(&row));
        row.set("reviewRequired", true.into());
        assert!(awaits_review(&row));
        row.set("reviewedAt", Timestamp::UNIX_EPOCH.into());
        assert!(!awaits_review(&row));
    }

    #[test]
    fn whys_are_few_and_short() {
        let refused = |whys: Vec<String>| {
            let mut problems = Problems::default();
            check_whys(&mut problems, &whys);
            problems.check().is_err()
        };
        assert!(!refused(vec!["w".repeat(MAX_WHY); MAX_WHYS]));
        assert!(refused(vec!["w".into(); MAX_WHYS + 1]));
        assert!(refused(vec!["w".repeat(MAX_WHY + 1)]));
        assert!(refused(vec![" ".into()]));
    }
}
