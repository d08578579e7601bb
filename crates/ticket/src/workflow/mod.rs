//! Workflows as data: a versioned document of states and transitions.
//!
//! The default document of a kind ships as a file with its practice; a tenant writes documents of the same form through the
//! API. What a transition needs is declared there, so that `availableTransitions` can tell a portal what to ask for. A
//! published version never changes: a ticket follows the version that it names until it is moved to another.

mod act;
mod check;
mod diff;
mod effects;
mod library;
mod mermaid;
mod migrate;
mod overview;
mod service;
mod validate;

use kernel::error::Problems;
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::model::{StateCategory, TicketKind};
pub(crate) use act::Prepared;
pub use check::{MAX_CODES, MAX_EFFECTS, MAX_INPUTS, MAX_STATES, MAX_TRANSITIONS};
pub use diff::{Difference, DifferenceKind, difference};
pub use effects::{
    ApprovalStepEffect, CreateTasksEffect, MAX_EXPIRY_DAYS, NamedApprover, StartApprovalEffect, TaskEffect,
};
pub(crate) use library::Library;
pub use mermaid::mermaid;
pub use migrate::{MIGRATE, StateMapping};
pub use overview::{VersionOverview, WorkflowOverview};
pub use service::*;

/// A workflow document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workflow {
    /// Its key.
    pub key: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// Its version; a published version never changes.
    pub version: u32,
    /// The kind of ticket that it is for.
    pub kind: TicketKind,
    /// The state in which tickets begin.
    pub initial: String,
    /// All states.
    pub states: Vec<State>,
    /// All transitions.
    pub transitions: Vec<Transition>,
    /// How long a ticket stays resolved before it closes by itself; ISO 8601. It can be reopened until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_close: Option<String>,
    /// How long after it was resolved a ticket can be reopened; ISO 8601. As long as it is resolved, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopen_window: Option<String>,
    /// The codes that say how a ticket was resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolution_codes: Vec<ResolutionCode>,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What it means.
    pub category: StateCategory,
}

/// One transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The states it leaves from.
    pub from: Vec<String>,
    /// The state it leads to.
    pub to: String,
    /// The permission that it needs on the ticket.
    pub permission: String,
    /// Inputs that must be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Inputs that may be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
    /// Conditions on the ticket as it is before the transition; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// What the transition does besides, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

/// A condition on a ticket, and what to tell where it does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// The condition as clients write it: a `TicketFilter`.
    pub filter: Json,
    /// Why the transition is refused where the condition does not hold.
    pub reason: String,
    /// The condition, once the document was compiled.
    #[serde(skip)]
    pub(crate) predicate: Predicate,
}

impl Guard {
    /// One that has yet to be compiled.
    pub fn new(filter: Json, reason: String) -> Self {
        Self { filter, reason, predicate: Predicate::never() }
    }
}

/// What a transition does besides changing the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// Sets a field of the ticket.
    SetField {
        /// Which.
        field: EffectField,
        /// What to: a team's slug, a category's key, a word of the field, a tag to add; null clears team, assignee, category.
        value: Option<String>,
    },
    /// Gives the reason of a transition into a waiting state that does not ask for it.
    SetWaitingReason {
        /// The reason.
        reason: crate::model::WaitingReason,
    },
    /// Asks for approval of the ticket.
    StartApproval(StartApprovalEffect),
    /// Creates tasks on the ticket.
    CreateTasks(CreateTasksEffect),
}

/// The fields that an effect can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EffectField {
    /// The team, by its slug.
    Team,
    /// The assignee; can only be cleared.
    Assignee,
    /// The category, by its key.
    Category,
    /// The impact.
    Impact,
    /// The urgency.
    Urgency,
    /// A tag to add.
    Tag,
}

/// How a ticket was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolutionCode {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub name: String,
}

/// Why a document is not a workflow.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// Not a document of this form.
    #[error("the workflow cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A document that makes no sense.
    #[error("workflow `{workflow}`: {problem}")]
    Invalid {
        /// Its key.
        workflow: String,
        /// What is wrong.
        problem: String,
    },
}

impl Workflow {
    /// Reads and validates a document that ships with a practice. Such a document has no guards: they are read with the help
    /// of the API's own filters.
    ///
    /// # Errors
    /// Names what is wrong: an unknown state, a state that cannot be reached or left for good, a duration that is none.
    pub fn parse(text: &str) -> Result<Self, WorkflowError> {
        let workflow: Self = serde_json::from_str(text)?;
        let mut problems = Problems::default();
        check::structure(&workflow, &mut problems);
        problems.check().map_err(|problem| WorkflowError::Invalid {
            workflow: workflow.key.clone(),
            problem: problem.to_string(),
        })?;
        Ok(workflow)
    }

    fn reaches(&self, from: &str, goal: impl Fn(&State) -> bool) -> bool {
        let mut seen = vec![from];
        let mut next = 0;
        while let Some(current) = seen.get(next).copied() {
            if self.state(current).is_some_and(&goal) {
                return true;
            }
            for transition in self.transitions.iter().filter(|found| found.from.iter().any(|key| key == current)) {
                if !seen.contains(&transition.to.as_str()) {
                    seen.push(&transition.to);
                }
            }
            next += 1;
        }
        false
    }

    /// How long a ticket stays resolved before it closes by itself.
    ///
    /// # Errors
    /// A text that is no ISO 8601 duration of days or less.
    pub fn auto_close_after(&self) -> Result<Option<chrono::Duration>, String> {
        length_of("autoClose", self.auto_close.as_deref())
    }

    /// How long after it was resolved a ticket can be reopened.
    ///
    /// # Errors
    /// As [`Workflow::auto_close_after`].
    pub fn reopened_within(&self) -> Result<Option<chrono::Duration>, String> {
        length_of("reopenWindow", self.reopen_window.as_deref())
    }

    /// A state by its key.
    pub fn state(&self, key: &str) -> Option<&State> {
        self.states.iter().find(|state| state.key == key)
    }

    /// A transition by its key.
    pub fn transition(&self, key: &str) -> Option<&Transition> {
        self.transitions.iter().find(|transition| transition.key == key)
    }

    /// The transitions that leave from a state.
    pub fn leaving<'a>(&'a self, state: &'a str) -> impl Iterator<Item = &'a Transition> {
        self.transitions.iter().filter(move |transition| transition.from.iter().any(|from| from == state))
    }

    /// The category of a state; `New` for one that the document no longer knows.
    pub fn category(&self, state: &str) -> StateCategory {
        self.state(state).map_or(StateCategory::New, |state| state.category)
    }
}

fn length_of(field: &str, text: Option<&str>) -> Result<Option<chrono::Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let length = kernel::parse_duration(text).filter(|length| *length > chrono::Duration::zero());
    length.map(Some).ok_or_else(|| format!("`{field}` is no ISO 8601 duration: `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(transitions: &str) -> String {
        format!(
            r#"{{"key":"t","version":1,"kind":"INCIDENT","initial":"new","autoClose":"P5D",
            "states":[{{"key":"new","name":"New","category":"NEW"}},{{"key":"closed","name":"Closed","category":"CLOSED"}}],
            "transitions":[{transitions}]}}"#
        )
    }

    #[test]
    fn a_sound_document_is_read() {
        let close = r#"{"key":"close","name":"Close","from":["new"],"to":"closed","permission":"ticket.transition"}"#;
        let workflow = Workflow::parse(&document(close)).unwrap();
        assert_eq!(workflow.auto_close_after().unwrap(), Some(chrono::Duration::days(5)));
        assert_eq!(workflow.leaving("new").count(), 1);
        assert_eq!(workflow.leaving("closed").count(), 0);
    }

    #[test]
    fn a_workflow_without_an_end_is_refused() {
        let error = Workflow::parse(&document("")).unwrap_err().to_string();
        assert!(error.contains("no way leads from state `new`"), "{error}");
    }

    #[test]
    fn unknown_states_are_named() {
        let odd = r#"{"key":"x","name":"X","from":["new"],"to":"nowhere","permission":"ticket.transition"}"#;
        assert!(Workflow::parse(&document(odd)).unwrap_err().to_string().contains("nowhere"));
    }
}
