//! Workflows as data: a versioned document of states and transitions.
//!
//! The document of a kind ships as a file with its practice. What a transition needs is declared there, so that
//! `availableTransitions` can tell a portal what to ask for.

use serde::Deserialize;

use crate::model::{StateCategory, TicketKind};

/// A workflow document.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workflow {
    /// Its key.
    pub key: String,
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
    pub auto_close: Option<String>,
    /// The codes that say how a ticket was resolved.
    #[serde(default)]
    pub resolution_codes: Vec<ResolutionCode>,
}

/// One state.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
    #[serde(default)]
    pub required: Vec<String>,
    /// Inputs that may be given.
    #[serde(default)]
    pub optional: Vec<String>,
}

/// How a ticket was resolved.
#[derive(Clone, Debug, Deserialize)]
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
    /// Reads and validates a document.
    ///
    /// # Errors
    /// Names what is wrong: an unknown state, a state that cannot be reached or left for good, a duration that is none.
    pub fn parse(text: &str) -> Result<Self, WorkflowError> {
        let workflow: Self = serde_json::from_str(text)?;
        workflow.validate().map_err(|problem| WorkflowError::Invalid { workflow: workflow.key.clone(), problem })?;
        Ok(workflow)
    }

    fn validate(&self) -> Result<(), String> {
        if self.state(&self.initial).is_none() {
            return Err(format!("the initial state `{}` is unknown", self.initial));
        }
        for transition in &self.transitions {
            for state in transition.from.iter().chain([&transition.to]) {
                if self.state(state).is_none() {
                    return Err(format!("transition `{}` names the unknown state `{state}`", transition.key));
                }
            }
        }
        for state in &self.states {
            if !self.reaches(&self.initial, |found| found.key == state.key) {
                return Err(format!("state `{}` cannot be reached", state.key));
            }
            let is_end = |found: &State| matches!(found.category, StateCategory::Closed | StateCategory::Canceled);
            if !self.reaches(&state.key, is_end) {
                return Err(format!("no way leads from state `{}` to a closed or canceled one", state.key));
            }
        }
        self.auto_close_after().map(|_| ())
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
        let Some(text) = &self.auto_close else { return Ok(None) };
        let length = kernel::parse_duration(text).filter(|length| *length > chrono::Duration::zero());
        length.map(Some).ok_or_else(|| format!("`autoClose` is no ISO 8601 duration: `{text}`"))
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
