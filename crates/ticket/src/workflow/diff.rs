//! What differs between two versions of a workflow.

use serde_json::{Value as Json, json};

use super::Workflow;

/// What became of a part of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// One part of the document that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What became of it.
    pub kind: DifferenceKind,
    /// Where: `states.on_hold.name`, `transitions.resolve.required`, `initial`. Parts of lists are named by their keys.
    pub path: String,
    /// As it was; null where it is new.
    pub before: Json,
    /// As it is; null where it is gone.
    pub after: Json,
}

/// What differs, in the order of the document: what was changed or removed, then what was added.
pub fn difference(before: &Workflow, after: &Workflow) -> Vec<Difference> {
    let mut found = Vec::new();
    for (path, before, after) in [
        ("initial", json!(before.initial), json!(after.initial)),
        ("autoClose", json!(before.auto_close), json!(after.auto_close)),
        ("reopenWindow", json!(before.reopen_window), json!(after.reopen_window)),
    ] {
        compare(path.to_owned(), &before, &after, &mut found);
    }
    lists("states", keyed(&before.states, |state| &state.key), keyed(&after.states, |state| &state.key), &mut found);
    let transitions = |workflow: &Workflow| keyed(&workflow.transitions, |transition| &transition.key);
    lists("transitions", transitions(before), transitions(after), &mut found);
    let codes = |workflow: &Workflow| keyed(&workflow.resolution_codes, |code| &code.key);
    lists("resolutionCodes", codes(before), codes(after), &mut found);
    found
}

type Keyed = Vec<(String, Json)>;

fn keyed<T: serde::Serialize>(list: &[T], key: impl Fn(&T) -> &String) -> Keyed {
    // Documents are plain data, which JSON can always hold.
    list.iter().map(|entry| (key(entry).clone(), serde_json::to_value(entry).unwrap_or_default())).collect()
}

fn lists(name: &str, before: Keyed, after: Keyed, found: &mut Vec<Difference>) {
    for (key, old) in &before {
        let path = format!("{name}.{key}");
        match after.iter().find(|(other, _)| other == key) {
            None => {
                found.push(Difference { kind: DifferenceKind::Removed, path, before: old.clone(), after: Json::Null })
            }
            Some((_, new)) => fields(&path, old, new, found),
        }
    }
    for (key, new) in after.iter().filter(|(key, _)| before.iter().all(|(other, _)| other != key)) {
        let path = format!("{name}.{key}");
        found.push(Difference { kind: DifferenceKind::Added, path, before: Json::Null, after: new.clone() });
    }
}

fn fields(path: &str, before: &Json, after: &Json, found: &mut Vec<Difference>) {
    let (Json::Object(old), Json::Object(new)) = (before, after) else {
        return compare(path.to_owned(), before, after, found);
    };
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (old, new) = (old.get(name).unwrap_or(&Json::Null), new.get(name).unwrap_or(&Json::Null));
        compare(format!("{path}.{name}"), old, new, found);
    }
}

fn compare(path: String, before: &Json, after: &Json, found: &mut Vec<Difference>) {
    if before != after {
        let kind = match (before, after) {
            (Json::Null, _) => DifferenceKind::Added,
            (_, Json::Null) => DifferenceKind::Removed,
            _ => DifferenceKind::Changed,
        };
        found.push(Difference { kind, path, before: before.clone(), after: after.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(states: Json, close_to: &str) -> Workflow {
        let document = json!({
            "key": "t", "version": 1, "kind": "INCIDENT", "initial": "new", "states": states,
            "transitions": [
                { "key": "close", "name": "Close", "from": ["new"], "to": close_to, "permission": "ticket.transition" },
            ],
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn parts_are_told_apart_by_their_keys() {
        let new = json!({ "key": "new", "name": "New", "category": "NEW" });
        let done = json!({ "key": "done", "name": "Done", "category": "CLOSED" });
        let over = json!({ "key": "over", "name": "Over", "category": "CLOSED" });
        let renamed = json!({ "key": "new", "name": "Fresh", "category": "NEW" });
        let before = workflow(json!([new, done]), "done");
        let after = workflow(json!([over, renamed]), "over");
        let found = difference(&before, &after);
        let told: Vec<_> = found.iter().map(|found| (found.kind, found.path.as_str())).collect();
        assert_eq!(
            told,
            [
                (DifferenceKind::Changed, "states.new.name"),
                (DifferenceKind::Removed, "states.done"),
                (DifferenceKind::Added, "states.over"),
                (DifferenceKind::Changed, "transitions.close.to"),
            ]
        );
        assert!(difference(&before, &before).is_empty());
    }
}
