//! What makes a document a workflow. Each problem has its path in the document.

use std::collections::HashSet;

use kernel::UserError;
use kernel::error::Problems;

use super::{Effect, EffectField, State, Transition, Workflow, effects};
use crate::commands::check_text;
use crate::model::{Impact, MAX_KEY, MAX_TITLE, StateCategory, Urgency};

/// How many states a workflow may have.
pub const MAX_STATES: usize = 50;
/// How many transitions a workflow may have.
pub const MAX_TRANSITIONS: usize = 200;
/// How many inputs, guards and effects (each) a transition may have.
pub const MAX_INPUTS: usize = 20;
/// How many effects a transition may have.
pub const MAX_EFFECTS: usize = 10;
/// How many resolution codes a workflow may have.
pub const MAX_CODES: usize = 50;

/// Checks all that the document says by itself: sizes, keys, references, ways. Guards, inputs and names of the tenant's
/// records are for those who know them.
pub(super) fn structure(workflow: &Workflow, problems: &mut Problems) {
    for (path, count, most) in [
        ("states", workflow.states.len(), MAX_STATES),
        ("transitions", workflow.transitions.len(), MAX_TRANSITIONS),
        ("resolutionCodes", workflow.resolution_codes.len(), MAX_CODES),
    ] {
        if count > most {
            let message = format!("`{path}` has {count} entries; at most {most} are allowed");
            problems.add(UserError::limit([path], message, most as u64));
            return;
        }
    }
    let states = workflow.states.iter().map(|state| (state.key.as_str(), state.name.as_str()));
    keys("states", states, problems);
    let transitions = workflow.transitions.iter().map(|found| (found.key.as_str(), found.name.as_str()));
    keys("transitions", transitions, problems);
    let codes = workflow.resolution_codes.iter().map(|code| (code.key.as_str(), code.name.as_str()));
    keys("resolutionCodes", codes, problems);
    match workflow.state(&workflow.initial) {
        Some(state) if matches!(state.category, StateCategory::New | StateCategory::Active) => {}
        Some(state) => {
            let message =
                format!("tickets begin in a `NEW` or `ACTIVE` state; `{}` is {}", state.key, state.category.as_str());
            problems.add(UserError::constraint(["initial"], message, "category", None));
        }
        None => {
            let message = format!("the initial state `{}` is none of the states", workflow.initial);
            problems.add(UserError::constraint(["initial"], message, "unknownState", None));
        }
    }
    for (place, transition) in workflow.transitions.iter().enumerate() {
        check_transition(workflow, place, transition, problems);
    }
    for (place, transition) in workflow.transitions.iter().enumerate() {
        // Nothing but the document is looked at, so there is nothing but what is wrong with it.
        let _ = effects::check(workflow, place, transition, problems);
    }
    ways(workflow, problems);
    if let Err(message) = workflow.auto_close_after() {
        problems.add(UserError::constraint(["autoClose"], message, "duration", None));
    }
    if let Err(message) = workflow.reopened_within() {
        problems.add(UserError::constraint(["reopenWindow"], message, "duration", None));
    }
}

/// Keys are words of their own, and each stands once.
fn keys<'a>(list: &str, entries: impl Iterator<Item = (&'a str, &'a str)>, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (place, (key, name)) in entries.enumerate() {
        let at = |field: &str| [list.to_owned(), place.to_string(), field.to_owned()];
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(plain) {
            let message = format!("a key is 1 to {MAX_KEY} letters, digits, hyphens and underscores; this is `{key}`");
            problems.add(UserError::constraint(at("key"), message, "pattern", Some(MAX_KEY as u64)));
        } else if !seen.insert(key) {
            problems.add(UserError::constraint(at("key"), format!("`{key}` stands twice"), "unique", None));
        }
        let mut of_name = Problems::default();
        check_text(&mut of_name, "name", name, MAX_TITLE);
        problems.add_within(of_name, &[list, &place.to_string()]);
    }
}

fn check_transition(workflow: &Workflow, place: usize, transition: &Transition, problems: &mut Problems) {
    let at = |rest: &[&str]| -> Vec<String> {
        ["transitions".to_owned(), place.to_string()]
            .into_iter()
            .chain(rest.iter().map(|part| (*part).to_owned()))
            .collect()
    };
    let unknown = |path: Vec<String>, state: &str| {
        let message = format!("transition `{}` names the unknown state `{state}`", transition.key);
        UserError::constraint(path, message, "unknownState", None)
    };
    if transition.from.is_empty() {
        let message = format!("transition `{}` leaves from no state", transition.key);
        problems.add(UserError::constraint(at(&["from"]), message, "minItems", Some(1)));
    }
    for (number, state) in transition.from.iter().enumerate() {
        if workflow.state(state).is_none() {
            problems.add(unknown(at(&["from", &number.to_string()]), state));
        }
    }
    if workflow.state(&transition.to).is_none() {
        problems.add(unknown(at(&["to"]), &transition.to));
    }
    if access::permission::find(&transition.permission).is_none_or(|found| !found.name.starts_with("ticket.")) {
        let names: Vec<_> =
            access::permission::ALL.iter().map(|found| found.name).filter(|name| name.starts_with("ticket.")).collect();
        let message = format!("`{}` is no permission on tickets; they are {}", transition.permission, names.join(", "));
        problems.add(UserError::constraint(at(&["permission"]), message, "unknownPermission", None));
    }
    for (name, count, most) in [
        ("required", transition.required.len(), MAX_INPUTS),
        ("optional", transition.optional.len(), MAX_INPUTS),
        ("guards", transition.guards.len(), MAX_INPUTS),
        ("effects", transition.effects.len(), MAX_EFFECTS),
    ] {
        if count > most {
            let message = format!("transition `{}` has {count} {name}; at most {most} are allowed", transition.key);
            problems.add(UserError::limit(at(&[name]), message, most as u64));
        }
    }
    for (number, guard) in transition.guards.iter().enumerate() {
        let mut of_reason = Problems::default();
        check_text(&mut of_reason, "reason", &guard.reason, MAX_TITLE);
        problems.add_within(of_reason, &["transitions", &place.to_string(), "guards", &number.to_string()]);
    }
    for (number, effect) in transition.effects.iter().enumerate() {
        if let Some(message) = wrong_effect(workflow, transition, effect) {
            problems.add(UserError::constraint(at(&["effects", &number.to_string()]), message, "effect", None));
        }
    }
    let waits = workflow.category(&transition.to) == StateCategory::Waiting;
    let has_reason = transition.required.iter().any(|name| name == "waitingReason")
        || transition.effects.iter().any(|effect| matches!(effect, Effect::SetWaitingReason { .. }));
    if waits && !has_reason {
        let message = format!(
            "`{}` leads to a waiting state: it requires `waitingReason`, or sets it by an effect",
            transition.key
        );
        problems.add(UserError::constraint(at(&["required"]), message, "waitingReason", None));
    }
}

fn wrong_effect(workflow: &Workflow, transition: &Transition, effect: &Effect) -> Option<String> {
    match effect {
        Effect::StartApproval(_) | Effect::CreateTasks(_) => None,
        Effect::SetWaitingReason { reason } => {
            let waits = workflow.category(&transition.to) == StateCategory::Waiting;
            let scheduled = *reason == crate::model::WaitingReason::Schedule;
            (!waits || scheduled).then(|| {
                "a waiting reason goes with a waiting state, and `SCHEDULE` needs an instant that only an input can give".to_owned()
            })
        }
        Effect::SetField { field, value } => match (field, value.as_deref()) {
            (EffectField::Assignee, Some(_)) => {
                Some("an effect can only clear the assignee: its value is null".to_owned())
            }
            (EffectField::Impact, value) if value.and_then(Impact::parse).is_none() => {
                Some(format!("an impact is one of {}", Impact::NAMES.join(", ")))
            }
            (EffectField::Urgency, value) if value.and_then(Urgency::parse).is_none() => {
                Some(format!("an urgency is one of {}", Urgency::NAMES.join(", ")))
            }
            (EffectField::Tag, value)
                if value.is_none_or(|tag| tag.trim().is_empty() || tag.chars().count() > MAX_KEY) =>
            {
                Some(format!("a tag has 1 to {MAX_KEY} characters"))
            }
            _ => None,
        },
    }
}

/// Every state can be reached, and from every state a way leads to an end.
fn ways(workflow: &Workflow, problems: &mut Problems) {
    let is_end = |found: &State| found.category.is_ended();
    for (place, state) in workflow.states.iter().enumerate() {
        let at = || ["states".to_owned(), place.to_string()];
        if !workflow.reaches(&workflow.initial, |found| found.key == state.key) {
            let message = format!("state `{}` cannot be reached", state.key);
            problems.add(UserError::constraint(at(), message, "unreachable", None));
        }
        if !workflow.reaches(&state.key, is_end) {
            let message = format!("no way leads from state `{}` to a closed or canceled one", state.key);
            problems.add(UserError::constraint(at(), message, "noEnd", None));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A sound workflow with so many more states between its first and its last, and so many tags that the last step adds.
    fn workflow(more: usize, effects: usize) -> Workflow {
        let state = |key: String, category: &str| json!({ "key": key, "name": key, "category": category });
        let states: Vec<_> = std::iter::once(state("s0".into(), "NEW"))
            .chain((1..=more).map(|number| state(format!("s{number}"), "ACTIVE")))
            .chain([state("end".into(), "CLOSED")])
            .collect();
        let tag = json!({ "setField": { "field": "TAG", "value": "x" } });
        let steps: Vec<_> = (0..=more)
            .map(|number| {
                let to = if number == more { "end".to_owned() } else { format!("s{}", number + 1) };
                json!({ "key": format!("t{number}"), "name": "On", "from": [format!("s{number}")], "to": to,
                    "permission": "ticket.transition", "effects": vec![tag.clone(); effects] })
            })
            .collect();
        let document = json!({ "key": "t", "version": 1, "kind": "INCIDENT", "initial": "s0", "states": states, "transitions": steps });
        serde_json::from_value(document).unwrap()
    }

    fn verdict(workflow: &Workflow) -> Result<(), String> {
        let mut problems = Problems::default();
        structure(workflow, &mut problems);
        problems.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_document_has_limits() {
        assert_eq!(verdict(&workflow(MAX_STATES - 2, MAX_EFFECTS)), Ok(()));
        assert!(verdict(&workflow(MAX_STATES - 1, 0)).unwrap_err().contains("`states` has 51"));
        assert!(verdict(&workflow(0, MAX_EFFECTS + 1)).unwrap_err().contains("11 effects"));
        let mut many = workflow(0, 0);
        many.transitions[0].optional = vec!["team".into(); MAX_INPUTS + 1];
        assert!(verdict(&many).unwrap_err().contains("21 optional"));
        many.transitions = vec![many.transitions[0].clone(); MAX_TRANSITIONS + 1];
        assert!(verdict(&many).unwrap_err().contains("`transitions` has 201"));
    }

    #[test]
    fn each_key_stands_once() {
        let mut twice = workflow(1, 0);
        twice.transitions[1].key = "t0".into();
        assert!(verdict(&twice).unwrap_err().contains("`t0` stands twice"));
    }
}
