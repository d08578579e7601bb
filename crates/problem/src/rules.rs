//! What is peculiar to problems on the way through their workflow.

use std::sync::Arc;

use access::permission::PROBLEM_MANAGE;
use kernel::UserError;
use kernel::error::Problems as Complaints;
use predicate::{RecordType, Value};
use serde_json::{Map, Value as Json, json};
use store::query::Row;
use ticket::commands::{check_body, check_long_text, parse_time};
use ticket::kind::{follow_key, set_own, take_word};
use ticket::workflow::WorkflowError;
use ticket::{KindRules, Opening, StateCategory, TicketKind, Transition, Workflow};

use crate::events;
use crate::fields::PROBLEM;
use crate::model::{CANCELED, DUPLICATE, FIXED, ProblemOrigin, RISK_ACCEPTED};

/// The default workflow of problems.
const WORKFLOW: &str = include_str!("workflow.json");

/// The rules of problems.
pub struct ProblemRules {
    workflow: Arc<Workflow>,
}

impl ProblemRules {
    /// With the default workflow.
    ///
    /// # Errors
    /// When the document that ships with this crate is no workflow.
    pub fn new() -> Result<Self, WorkflowError> {
        Ok(Self { workflow: Arc::new(Workflow::parse(WORKFLOW)?) })
    }
}

fn codes(workflow: &Workflow) -> Vec<&str> {
    workflow.resolution_codes.iter().map(|code| code.key.as_str()).collect()
}

impl KindRules for ProblemRules {
    fn kind(&self) -> TicketKind {
        TicketKind::Problem
    }

    fn record(&self) -> &'static RecordType {
        &PROBLEM
    }

    fn searchable(&self) -> &'static [&'static str] {
        &["symptom", "rootCause", "workaround", "resolutionNotes"]
    }

    fn default_workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    fn opening(&self, by_itself: bool) -> Option<Opening> {
        let origin = if by_itself { ProblemOrigin::Proactive } else { ProblemOrigin::Reactive };
        let own = vec![("origin", origin.as_str().into()), ("knownError", false.into()), ("publication", 0.into())];
        Some(Opening { permission: Some(PROBLEM_MANAGE), event: events::CREATED, own })
    }

    fn open_with(
        &self,
        given: &mut Map<String, Json>,
        own: &mut Vec<(&'static str, Value)>,
        complaints: &mut Complaints,
    ) {
        take_word("origin", ProblemOrigin::NAMES, given, own, complaints);
        for field in ["symptom", "rootCause", "workaround"] {
            match given.remove(field) {
                None => {}
                Some(Json::String(text)) => {
                    check_long_text(complaints, field, &text);
                    set_own(own, field, text.into());
                }
                Some(_) => {
                    complaints.add(UserError::constraint([field], format!("`{field}` is a text"), "type", None));
                }
            }
        }
        match given.remove("knownError") {
            None => {}
            Some(Json::Bool(known)) => set_own(own, "knownError", known.into()),
            Some(_) => {
                let message = "`knownError` is true or false";
                complaints.add(UserError::constraint(["knownError"], message, "type", None));
            }
        }
        if let Some(message) = not_recognisable(&Row::new(&PROBLEM, own.clone())) {
            complaints.add(UserError::constraint(["knownError"], message, "knownError", None));
        }
    }

    fn transition_event(&self, _: &Transition, from: StateCategory, to: StateCategory) -> &'static str {
        match (from, to) {
            (from, StateCategory::Resolved) if from != to => events::RESOLVED,
            (from, to) if from.is_done() && !to.is_done() => events::REOPENED,
            (from, to) if !from.is_done() && to.is_done() => events::CLOSED,
            _ => ticket::events::TRANSITIONED,
        }
    }

    fn inputs_to_resolve(&self) -> &'static [&'static str] {
        &["resolutionCode", "resolutionNotes"]
    }

    fn input_schema(&self, workflow: &Workflow, name: &str) -> Option<Json> {
        match name {
            "resolutionCode" => Some(json!({ "enum": codes(workflow), "title": "Resolution code" })),
            "resolutionNotes" => Some(json!({ "type": "string", "minLength": 1, "title": "Resolution notes" })),
            "riskReviewAt" => Some(json!({ "type": "string", "format": "date-time", "title": "Review the risk at" })),
            _ => None,
        }
    }

    fn apply(
        &self,
        workflow: &Workflow,
        transition: &Transition,
        from: StateCategory,
        inputs: &mut Map<String, Json>,
        row: &mut Row,
        problems: &mut Complaints,
    ) {
        let to = workflow.category(&transition.to);
        // While it is open, no other problem stands for what its rule found.
        follow_key(from, to, row, "openDetectionKey", "detectionKey");
        let mut take = |name: &str| inputs.remove(name).filter(|json| !json.is_null());
        let (code, review) = (take("resolutionCode"), take("riskReviewAt"));
        if let Some(notes) = take("resolutionNotes") {
            match notes.as_str() {
                Some(notes) => {
                    check_body(problems, "resolutionNotes", notes);
                    row.set("resolutionNotes", notes.into());
                }
                None => refuse(problems, "resolutionNotes", "`resolutionNotes` is a text", "type"),
            }
        }
        // A date of a review says the code by itself.
        let accepted = || Json::from(RISK_ACCEPTED);
        if let Some(code) = code.or_else(|| review.as_ref().map(|_| accepted())) {
            match code.as_str().filter(|code| codes(workflow).contains(code)) {
                Some(code) => {
                    if let Some(message) = misplaced(code, to) {
                        refuse(problems, "resolutionCode", message, "enum");
                    }
                    row.set("resolutionCode", code.into());
                }
                None => {
                    let message = format!("`resolutionCode` is one of {}", codes(workflow).join(", "));
                    refuse(problems, "resolutionCode", message, "enum");
                }
            }
            accept_risk(code.as_str() == Some(RISK_ACCEPTED), review.as_ref(), row, problems);
        }
        if !to.is_done() {
            for field in ["resolutionCode", "resolutionNotes", "riskReviewAt"] {
                row.set(field, Value::Null);
            }
        }
    }
}

/// Why a resolution code does not go with a state of this category.
fn misplaced(code: &str, to: StateCategory) -> Option<&'static str> {
    let resolved = to == StateCategory::Resolved;
    match code {
        FIXED if !resolved => Some("`FIXED` resolves a problem; it does not close one"),
        RISK_ACCEPTED | DUPLICATE | CANCELED if resolved => Some("this code closes a problem; it does not resolve one"),
        _ => None,
    }
}

/// An accepted risk has the date of its review, and nothing else has one.
fn accept_risk(accepted: bool, review: Option<&Json>, row: &mut Row, problems: &mut Complaints) {
    let at = review.and_then(Json::as_str).and_then(parse_time);
    // A ticket that is being closed was closed now.
    let past = at.zip(row.get("closedAt").as_time()).is_some_and(|(at, now)| at <= now);
    let complaint = match (accepted, review, at) {
        (true, None, _) => Some(("`RISK_ACCEPTED` needs `riskReviewAt`", "required")),
        (false, Some(_), _) => Some(("`riskReviewAt` goes with `RISK_ACCEPTED` only", "riskReviewAt")),
        (true, Some(_), None) => {
            Some(("`riskReviewAt` is no instant in RFC 3339, such as `2026-03-01T09:00:00Z`", "riskReviewAt"))
        }
        (true, Some(_), Some(_)) if past => Some(("`riskReviewAt` is in the past", "riskReviewAt")),
        _ => None,
    };
    if let Some((message, constraint)) = complaint {
        refuse(problems, "riskReviewAt", message, constraint);
    }
    row.set("riskReviewAt", at.filter(|_| accepted).into());
}

fn refuse(problems: &mut Complaints, path: &str, message: impl Into<String>, constraint: &'static str) {
    problems.add(UserError::constraint([path], message.into(), constraint, None));
}

/// Why what a problem says does not make it a known error; `None` when it does, or is not said to be one.
pub fn not_recognisable(row: &Row) -> Option<&'static str> {
    let says = |field: &str| row.optional_text(field).is_some_and(|text| !text.trim().is_empty());
    if !row.bool("knownError") || (says("symptom") && (says("rootCause") || says("workaround"))) {
        return None;
    }
    Some("a known error has a symptom, and a root cause or a workaround")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_workflow_is_the_one_of_the_practice() {
        let rules = ProblemRules::new().unwrap();
        let from = |state| rules.workflow.leaving(state).map(|found| found.key.as_str()).collect::<Vec<_>>();
        assert_eq!(from("new"), ["assess"]);
        assert_eq!(from("assess"), ["analyze", "dismiss"]);
        assert_eq!(from("root_cause_analysis"), ["fix", "accept_risk"]);
        assert_eq!(from("fix_in_progress"), ["resolve", "accept_risk"]);
        assert_eq!(from("resolved"), ["reopen", "close"]);
        assert!(from("closed").is_empty());
        for transition in &rules.workflow.transitions {
            assert!(access::permission::find(&transition.permission).is_some(), "{}", transition.permission);
        }
    }

    #[test]
    fn a_code_goes_where_it_belongs_and_a_risk_has_a_review() {
        let rules = ProblemRules::new().unwrap();
        let (soon, notes) = ("2999-01-01T00:00:00Z", "Because.");
        for (transition, inputs, fine) in [
            ("resolve", json!({ "resolutionCode": "FIXED", "resolutionNotes": notes }), true),
            ("resolve", json!({ "resolutionCode": "DUPLICATE", "resolutionNotes": notes }), false),
            ("resolve", json!({ "resolutionCode": "RISK_ACCEPTED", "resolutionNotes": notes }), false),
            ("resolve", json!({ "resolutionCode": "FIXED", "riskReviewAt": soon, "resolutionNotes": notes }), false),
            ("dismiss", json!({ "resolutionCode": "CANCELED", "resolutionNotes": notes }), true),
            ("dismiss", json!({ "resolutionCode": "FIXED", "resolutionNotes": notes }), false),
            ("dismiss", json!({ "resolutionCode": "MAGIC", "resolutionNotes": notes }), false),
            ("accept_risk", json!({ "riskReviewAt": soon, "resolutionNotes": notes }), true),
            ("accept_risk", json!({ "riskReviewAt": "soon", "resolutionNotes": notes }), false),
            ("accept_risk", json!({ "riskReviewAt": "2001-01-01T00:00:00Z", "resolutionNotes": notes }), false),
            ("accept_risk", json!({ "riskReviewAt": soon, "resolutionNotes": " " }), false),
        ] {
            let transition = rules.workflow.transition(transition).unwrap();
            let mut row = Row::new(&PROBLEM, vec![("closedAt", parse_time("2026-01-01T00:00:00Z").into())]);
            let mut complaints = Complaints::default();
            let mut given = inputs.as_object().cloned().unwrap();
            rules.apply(&rules.workflow, transition, StateCategory::Active, &mut given, &mut row, &mut complaints);
            assert_eq!(complaints.is_empty(), fine, "{} {inputs}", transition.key);
            assert!(given.is_empty(), "all inputs are taken");
        }
    }

    #[test]
    fn what_is_known_is_enough_to_recognise_it() {
        let row = |known: bool, symptom: &str, workaround: &str| {
            let texts = [("symptom", symptom.into()), ("workaround", workaround.into())];
            Row::new(&PROBLEM, texts.into_iter().chain([("knownError", known.into())]).collect())
        };
        assert!(not_recognisable(&row(true, "It drops.", "Use the cable.")).is_none());
        assert!(not_recognisable(&row(true, "It drops.", " ")).is_some());
        assert!(not_recognisable(&row(true, "", "Use the cable.")).is_some());
        assert!(not_recognisable(&row(false, "", "")).is_none());
    }
}
