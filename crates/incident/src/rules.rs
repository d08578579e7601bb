//! What is peculiar to incidents on the way through their workflow.

use std::sync::Arc;

use kernel::UserError;
use kernel::error::Problems;
use predicate::{RecordType, Value};
use serde_json::{Map, Value as Json, json};
use store::query::Row;
use ticket::commands::check_body;
use ticket::kind::{follow_key, take_word};
use ticket::workflow::WorkflowError;
use ticket::{KindRules, Opening, StateCategory, TicketKind, Transition, Workflow};

use crate::events;
use crate::fields::INCIDENT;
use crate::major;
use crate::model::IncidentOrigin;

/// The default workflow of incidents.
const WORKFLOW: &str = include_str!("workflow.json");

/// The rules of incidents.
pub struct IncidentRules {
    workflow: Arc<Workflow>,
}

impl IncidentRules {
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

impl KindRules for IncidentRules {
    fn kind(&self) -> TicketKind {
        TicketKind::Incident
    }

    fn record(&self) -> &'static RecordType {
        &INCIDENT
    }

    fn searchable(&self) -> &'static [&'static str] {
        &["resolutionNotes", "businessImpact", "majorReason", "deduplicationKey"]
    }

    fn default_workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    fn opening(&self, by_itself: bool) -> Option<Opening> {
        let origin = if by_itself { IncidentOrigin::Automation } else { IncidentOrigin::Api };
        let own = vec![("origin", origin.as_str().into())];
        Some(Opening { permission: None, event: events::CREATED, own })
    }

    fn open_with(&self, given: &mut Map<String, Json>, own: &mut Vec<(&'static str, Value)>, problems: &mut Problems) {
        take_word("origin", IncidentOrigin::NAMES, given, own, problems);
    }

    fn transition_event(&self, transition: &Transition, from: StateCategory, to: StateCategory) -> &'static str {
        match (from, to) {
            (from, StateCategory::Resolved) if from != to => events::RESOLVED,
            (from, to) if from.is_done() && !to.is_done() => events::REOPENED,
            _ if transition.key == "assign" => ticket::events::ASSIGNED,
            _ => ticket::events::TRANSITIONED,
        }
    }

    fn refusals(&self, _transition: &Transition, to: StateCategory, row: &Row) -> Vec<String> {
        match to == StateCategory::Closed && major::awaits_review(row) {
            true => vec![
                "a major incident is closed once its review is completed: `majorIncidentReviewComplete`".to_owned(),
            ],
            false => Vec::new(),
        }
    }

    fn speaks_against_merge(&self, row: &Row) -> Option<&'static str> {
        major::is_accepted(row).then_some("it is a major incident: others are merged into it, or linked with it")
    }

    fn closes_by_itself(&self, row: &Row) -> bool {
        !major::is_accepted(row)
    }

    fn inputs_to_resolve(&self) -> &'static [&'static str] {
        &["resolutionCode", "resolutionNotes"]
    }

    fn input_schema(&self, workflow: &Workflow, name: &str) -> Option<Json> {
        match name {
            "resolutionCode" => Some(json!({ "enum": codes(workflow), "title": "Resolution code" })),
            "resolutionNotes" => Some(json!({ "type": "string", "minLength": 1, "title": "Resolution notes" })),
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
        problems: &mut Problems,
    ) {
        let to = workflow.category(&transition.to);
        // While it is open, alerts with the key are its own.
        follow_key(from, to, row, "openKey", "deduplicationKey");
        if let Some(code) = inputs.remove("resolutionCode").filter(|json| !json.is_null()) {
            let codes = codes(workflow);
            match code.as_str().filter(|code| codes.contains(code)) {
                Some(code) => row.set("resolutionCode", code.into()),
                None => {
                    let message = format!("`resolutionCode` is one of {}", codes.join(", "));
                    problems.add(UserError::constraint(["resolutionCode"], message, "enum", None));
                }
            }
        }
        if let Some(notes) = inputs.remove("resolutionNotes").filter(|json| !json.is_null()) {
            match notes.as_str() {
                Some(notes) => {
                    check_body(problems, "resolutionNotes", notes);
                    row.set("resolutionNotes", notes.into());
                }
                None => {
                    let message = "`resolutionNotes` is a text";
                    problems.add(UserError::constraint(["resolutionNotes"], message, "type", None));
                }
            }
        }
        if matches!(to, StateCategory::New | StateCategory::Active | StateCategory::Waiting) {
            row.set("resolutionCode", Value::Null);
            row.set("resolutionNotes", Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_workflow_is_sound() {
        let rules = IncidentRules::new().unwrap();
        let from = |state| rules.workflow.leaving(state).map(|found| found.key.as_str()).collect::<Vec<_>>();
        assert_eq!(from("new"), ["assign", "start", "hold", "resolve", "cancel"]);
        assert_eq!(from("on_hold"), ["resume", "resolve", "cancel"]);
        assert_eq!(from("resolved"), ["reopen", "close"]);
        assert!(from("closed").is_empty());
        for transition in &rules.workflow.transitions {
            assert!(access::permission::find(&transition.permission).is_some(), "{}", transition.permission);
        }
    }

    #[test]
    fn a_key_is_let_go_and_taken_again_and_otherwise_stays_where_it_is() {
        use StateCategory::{Active, New, Resolved, Waiting};
        let rules = IncidentRules::new().unwrap();
        for (key, from, held, expected) in [
            ("start", New, Some("k"), Some("k")),
            ("start", New, None, None),
            ("hold", Active, None, None),
            ("resume", Waiting, Some("k"), Some("k")),
            ("resolve", Active, Some("k"), None),
            ("reopen", Resolved, None, Some("k")),
        ] {
            let mut row = Row::new(&INCIDENT, vec![("openKey", held.into()), ("deduplicationKey", "k".into())]);
            let transition = rules.workflow.transition(key).unwrap();
            rules.apply(&rules.workflow, transition, from, &mut Map::new(), &mut row, &mut Problems::default());
            assert_eq!(row.get("openKey").as_text(), expected, "{key} {held:?}");
        }
    }

    #[test]
    fn resolving_takes_a_known_code_and_notes() {
        let rules = IncidentRules::new().unwrap();
        let resolve = rules.workflow.transition("resolve").unwrap();
        for (inputs, fine) in [
            (json!({"resolutionCode": "SOLVED", "resolutionNotes": "Restarted."}), true),
            (json!({"resolutionCode": "MAGIC", "resolutionNotes": "Restarted."}), false),
            (json!({"resolutionCode": "SOLVED", "resolutionNotes": 7}), false),
            (json!({"resolutionCode": "SOLVED", "resolutionNotes": "  "}), false),
        ] {
            let mut row = Row::new(&INCIDENT, vec![]);
            let mut problems = Problems::default();
            let mut inputs_given = inputs.as_object().cloned().unwrap();
            let from = StateCategory::Active;
            rules.apply(&rules.workflow, resolve, from, &mut inputs_given, &mut row, &mut problems);
            assert_eq!(problems.is_empty(), fine, "{inputs}");
        }
    }
}
