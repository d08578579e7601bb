//! A workflow as a picture: a Mermaid state diagram.

use std::fmt::Write as _;

use super::Workflow;

/// The text of a `stateDiagram-v2`, for whatever renders Mermaid.
pub fn mermaid(workflow: &Workflow) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    let node = |key: &str| key.replace('-', "_");
    for state in &workflow.states {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}", node(&state.key), plain(&state.name));
    }
    let _ = writeln!(text, "  [*] --> {}", node(&workflow.initial));
    for transition in &workflow.transitions {
        for from in &transition.from {
            let _ = writeln!(text, "  {} --> {}: {}", node(from), node(&transition.to), plain(&transition.name));
        }
    }
    for state in &workflow.states {
        if state.category.is_ended() {
            let _ = writeln!(text, "  {} --> [*]", node(&state.key));
        }
    }
    text
}

/// Names come from people; a line break or a sign of the language would end the label.
fn plain(name: &str) -> String {
    name.chars().map(|sign| if sign.is_control() || matches!(sign, ':' | ';' | '#') { ' ' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_the_picture() {
        assert_eq!(plain("On hold: vendor\n[*] --> x"), "On hold  vendor [*] --> x");
    }
}
