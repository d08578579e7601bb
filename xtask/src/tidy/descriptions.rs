//! Each item of the exported schema has a description.

use apollo_parser::{Parser, SyntaxKind, SyntaxNode};

use super::Finding;

/// Directives of the GraphQL specification, which the export repeats.
const STANDARD_DIRECTIVES: [&str; 5] = ["include", "skip", "deprecated", "specifiedBy", "oneOf"];

/// What a schema's check found.
pub struct Report {
    /// Items without a description, and syntax errors.
    pub findings: Vec<Finding>,
    /// How many items were looked at.
    pub items: usize,
}

/// Checks every type, field, argument, enum value, input field and directive of an SDL text.
pub fn check(file: &str, sdl: &str) -> Report {
    let tree = Parser::new(sdl).parse();
    let mut findings: Vec<Finding> = tree
        .errors()
        .map(|error| {
            let message = format!("not GraphQL: {}", error.message());
            Finding::new(file, line_at(sdl, error.index()), message)
        })
        .collect();
    let mut items = 0;
    let document = tree.document();
    for item in apollo_parser::cst::CstNode::syntax(&document).descendants() {
        let Some(kind) = kind_name(item.kind()) else {
            continue;
        };
        if is_standard(&item) {
            continue;
        }
        items += 1;
        if !is_described(&item) {
            let (name, start) = path_of(&item);
            let message = format!("{kind} `{name}` has no description: say what it means");
            findings.push(Finding::new(file, line_at(sdl, start), message));
        }
    }
    Report { findings, items }
}

/// What an item is called in a finding; nothing for syntax that needs no description.
fn kind_name(kind: SyntaxKind) -> Option<&'static str> {
    Some(match kind {
        SyntaxKind::SCALAR_TYPE_DEFINITION => "scalar",
        SyntaxKind::OBJECT_TYPE_DEFINITION => "type",
        SyntaxKind::INTERFACE_TYPE_DEFINITION => "interface",
        SyntaxKind::UNION_TYPE_DEFINITION => "union",
        SyntaxKind::ENUM_TYPE_DEFINITION => "enum",
        SyntaxKind::INPUT_OBJECT_TYPE_DEFINITION => "input",
        SyntaxKind::FIELD_DEFINITION => "field",
        SyntaxKind::INPUT_VALUE_DEFINITION => "argument or input field",
        SyntaxKind::ENUM_VALUE_DEFINITION => "enum value",
        SyntaxKind::DIRECTIVE_DEFINITION => "directive",
        _ => return None,
    })
}

fn is_standard(item: &SyntaxNode) -> bool {
    item.ancestors()
        .filter(|node| node.kind() == SyntaxKind::DIRECTIVE_DEFINITION)
        .filter_map(|directive| own_name(&directive))
        .any(|name| STANDARD_DIRECTIVES.contains(&name.as_str()))
}

fn is_described(item: &SyntaxNode) -> bool {
    item.children()
        .find(|child| child.kind() == SyntaxKind::DESCRIPTION)
        .is_some_and(|text| text.text().to_string().contains(char::is_alphanumeric))
}

/// The item's name after those of the items around it (`Query.node.id`), and where it stands.
fn path_of(item: &SyntaxNode) -> (String, usize) {
    let mut names: Vec<String> =
        item.ancestors().filter(|node| kind_name(node.kind()).is_some()).filter_map(|node| own_name(&node)).collect();
    names.reverse();
    let start = item
        .children()
        .find(|child| matches!(child.kind(), SyntaxKind::NAME | SyntaxKind::ENUM_VALUE))
        .map_or_else(|| item.text_range().start(), |name| name.text_range().start());
    (names.join("."), usize::from(start))
}

fn own_name(item: &SyntaxNode) -> Option<String> {
    item.children()
        .find(|child| matches!(child.kind(), SyntaxKind::NAME | SyntaxKind::ENUM_VALUE))
        .map(|name| name.text().to_string().trim().to_owned())
}

fn line_at(text: &str, index: usize) -> usize {
    let before = &text.as_bytes()[..index.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = r#"
schema { query: Query }
directive @include(if: Boolean!) on FIELD
"A directive." directive @slow("Why." reason: String) on FIELD_DEFINITION
"The root."
type Query implements Node & Other {
  "One record." node("Its id." id: ID! = "x"): Node @deprecated(reason: "no")
  """
  Many records.
  """
  nodes: [Node!]!
}
"A record." interface Node { "Its id." id: ID! }
"Either." union Either = A | B
"A time." scalar DateTime @specifiedBy(url: "https://example.org")
"A colour." enum Colour { "Red." RED "Blue." BLUE @deprecated }
"A reference." input Ref @oneOf { "By id." id: ID = "a" }
"#;

    #[test]
    fn a_described_schema_has_no_findings() {
        let report = check("s.graphql", DESCRIBED);
        assert_eq!(report.findings, []);
        assert_eq!(report.items, 15);
    }

    /// Each description, left out in turn, is missed.
    #[test]
    fn every_missing_description_is_found() {
        let texts: Vec<&str> = DESCRIBED
            .match_indices('"')
            .filter_map(|(start, _)| {
                let end = DESCRIBED[start + 1..].find('"')? + start + 2;
                Some(&DESCRIBED[start..end])
            })
            .filter(|text| text.ends_with(".\"") && text.len() > 3)
            .collect();
        assert_eq!(texts.len(), 14);
        for text in texts {
            let report = check("s.graphql", &DESCRIBED.replacen(text, "", 1));
            assert_eq!(report.findings.len(), 1, "{text}: {:?}", report.findings);
        }
        let block = DESCRIBED.replace("Many records.", "");
        assert_eq!(check("s.graphql", &block).findings.len(), 1);
    }

    #[test]
    fn a_finding_names_the_item_and_its_line() {
        let sdl = "\"The root.\"\ntype Query {\n  \"One.\"\n  node(\n    id: ID!\n  ): Node\n}\n";
        let findings = check("s.graphql", sdl).findings;
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 5);
        assert!(findings[0].message.contains("`Query.node.id`"), "{}", findings[0].message);
    }

    #[test]
    fn a_syntax_error_is_found() {
        let findings = check("s.graphql", "\"A.\"\ntype A {\n  \"B.\" b Int\n}\n").findings;
        assert!(findings.iter().any(|finding| finding.message.starts_with("not GraphQL")));
    }
}
