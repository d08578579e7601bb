//! How large an operation is once its fragments are spread, found without spreading them.
//!
//! Each fragment is measured once, whatever the number of its spreads, so that a few hundred bytes that expand to
//! 2²⁴ fields cost as little to refuse as they took to send. Nothing else may walk a document before this has.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, OperationType, Selection};
use async_graphql::ServerError;
use kernel::ErrorCode;

use super::limits::Limits;
use crate::error::refusal;

/// The size of a selection set with all fragments spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Fields.
    pub fields: u64,
    /// Fields, spreads and inline fragments.
    pub selections: u64,
    /// Aliases.
    pub aliases: u64,
    /// Fields of the outermost level.
    pub roots: u64,
    /// Fields of the outermost level that are not introspection.
    pub plain_roots: u64,
    /// Fields inside one another.
    pub depth: u32,
    /// Selection sets inside one another, fragments included.
    pub nesting: u32,
}

impl Size {
    fn add(&mut self, other: Size) {
        self.fields = self.fields.saturating_add(other.fields);
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.roots = self.roots.saturating_add(other.roots);
        self.plain_roots = self.plain_roots.saturating_add(other.plain_roots);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
    }
}

/// What measuring a document found.
#[derive(Debug, Default)]
pub struct Structure {
    /// Each operation's name and size, in document order.
    pub operations: Vec<(Option<Name>, Size)>,
    /// How many selections were looked at; never more than the document has.
    pub visited: u64,
}

/// Measures every operation of a parsed document and holds it against the limits.
///
/// # Errors
/// `COST_EXCEEDED` with the limit's name, its bound and what the document has.
pub fn measure(document: &Document, limits: &Limits) -> Result<Structure, ServerError> {
    let (structure, result) = measure_counting(document, limits);
    result.map(|()| structure)
}

/// The same, telling what was visited in case of a refusal too.
pub fn measure_counting(document: &Document, limits: &Limits) -> (Structure, Result<(), ServerError>) {
    let mut walk = Walk { document, limits, fragments: HashMap::new(), done: HashMap::new(), visited: 0 };
    let mut structure = Structure::default();
    let result = walk.operations(&mut structure);
    structure.visited = walk.visited;
    (structure, result)
}

fn exceeded(name: &str, limit: u64, found: u64) -> ServerError {
    let found = if found == u64::MAX { "far more".to_owned() } else { found.to_string() };
    refusal(ErrorCode::CostExceeded, format!("the document has {found} {name}; the limit is {limit}"), None)
}

struct Walk<'a> {
    document: &'a Document,
    limits: &'a Limits,
    fragments: HashMap<&'a str, &'a [Selection]>,
    /// `None` while a fragment is being measured: a cycle, which validation reports.
    done: HashMap<&'a str, Option<Size>>,
    visited: u64,
}

impl<'a> Walk<'a> {
    fn operations(&mut self, structure: &mut Structure) -> Result<(), ServerError> {
        let mut operations = Vec::new();
        for definition in &self.document.definitions {
            match definition {
                Definition::FragmentDefinition(fragment) => {
                    self.fragments.insert(fragment.name.as_str(), &fragment.selection_set);
                }
                Definition::OperationDefinition(operation) => operations.push(operation),
                _ => {}
            }
        }
        let (count, limit) = (operations.len(), self.limits.document_operations);
        if count > limit {
            return Err(exceeded("operations", limit as u64, count as u64));
        }
        for operation in operations {
            let size = self.selections(&operation.selection_set, 1)?;
            self.check(operation.operation_type, size)?;
            structure.operations.push((operation.name.clone(), size));
        }
        // Fragments that nothing spreads are not executed, but validation walks them.
        let names: Vec<&str> = self.fragments.keys().copied().collect();
        for name in names {
            let size = self.fragment(name, 1)?;
            self.within("fields after its fragments are spread", self.limits.fields, size.fields)?;
            self.within("selections after its fragments are spread", self.limits.selections, size.selections)?;
        }
        Ok(())
    }

    fn check(&self, kind: OperationType, size: Size) -> Result<(), ServerError> {
        self.within("fields after its fragments are spread", self.limits.fields, size.fields)?;
        self.within("selections after its fragments are spread", self.limits.selections, size.selections)?;
        self.within("aliases", self.limits.aliases, size.aliases)?;
        // Introspection nests deeply by nature; its cost is bounded by the schema's size instead.
        if size.plain_roots > 0 || kind != OperationType::Query {
            self.within("levels of fields", u64::from(self.limits.depth), u64::from(size.depth))?;
        }
        if kind == OperationType::Mutation {
            self.within("root fields of a mutation", self.limits.root_mutations, size.roots)?;
        }
        Ok(())
    }

    fn within(&self, name: &str, limit: u64, found: u64) -> Result<(), ServerError> {
        if found > limit { Err(exceeded(name, limit, found)) } else { Ok(()) }
    }

    fn selections(&mut self, selections: &'a [Selection], nesting: u32) -> Result<Size, ServerError> {
        self.within("levels of selection sets", u64::from(self.limits.nesting), u64::from(nesting))?;
        let mut total = Size::default();
        for selection in selections {
            self.visited += 1;
            total.add(self.selection(selection, nesting)?);
        }
        if !selections.is_empty() {
            total.nesting += 1;
        }
        Ok(total)
    }

    fn selection(&mut self, selection: &'a Selection, nesting: u32) -> Result<Size, ServerError> {
        match selection {
            Selection::Field(field) => {
                let inside = self.selections(&field.selection_set, nesting + 1)?;
                Ok(Size {
                    fields: inside.fields.saturating_add(1),
                    selections: inside.selections.saturating_add(1),
                    aliases: inside.aliases.saturating_add(u64::from(field.alias.is_some())),
                    roots: 1,
                    plain_roots: u64::from(!field.name.starts_with("__")),
                    depth: inside.depth.saturating_add(1),
                    nesting: inside.nesting,
                })
            }
            Selection::InlineFragment(inline) => {
                let inside = self.selections(&inline.selection_set, nesting + 1)?;
                Ok(Size { selections: inside.selections.saturating_add(1), ..inside })
            }
            Selection::FragmentSpread(spread) => {
                let inside = self.fragment(spread.fragment_name.as_str(), nesting + 1)?;
                Ok(Size { selections: inside.selections.saturating_add(1), ..inside })
            }
        }
    }

    fn fragment(&mut self, name: &str, nesting: u32) -> Result<Size, ServerError> {
        // An unknown fragment or a cycle measures nothing here: validation refuses both.
        let Some((&name, &selections)) = self.fragments.get_key_value(name) else {
            return Ok(Size::default());
        };
        if let Some(known) = self.done.get(name) {
            let size = known.unwrap_or_default();
            // Measured near the root before, it may nest too deeply here.
            self.within("levels of selection sets", u64::from(self.limits.nesting), u64::from(nesting + size.nesting))?;
            return Ok(size);
        }
        self.done.insert(name, None);
        let size = self.selections(selections, nesting)?;
        self.done.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Document {
        Document::parse(text, "document").expect("a document")
    }

    fn refused(text: &str) -> (u64, String) {
        let document = parse(text);
        let (structure, result) = measure_counting(&document, &Limits::default());
        (structure.visited, result.unwrap_err().message)
    }

    fn doubling(levels: u32) -> String {
        let mut text = "query { ...f0 }".to_owned();
        for level in 0..levels {
            text += &format!("fragment f{level} on Q {{ ...f{0} ...f{0} }}", level + 1);
        }
        text + &format!("fragment f{levels} on Q {{ __typename }}")
    }

    #[test]
    fn doubling_fragments_are_refused_after_each_was_visited_once() {
        let (visited, message) = refused(&doubling(24));
        assert_eq!(visited, 1 + 24 * 2 + 1);
        assert!(message.contains("16777216 fields"), "{message}");
    }

    #[test]
    fn more_than_a_number_can_hold_saturates() {
        let (visited, message) = refused(&doubling(90));
        assert_eq!(visited, 1 + 90 * 2 + 1);
        assert!(message.contains("far more fields"), "{message}");
    }

    #[test]
    fn wide_fragments_are_refused_after_each_was_visited_once() {
        let mut text = "query { ...f0 }".to_owned();
        for level in 0..5 {
            text += &format!("fragment f{level} on Q {{ {} }}", format!("...f{} ", level + 1).repeat(60));
        }
        text += "fragment f5 on Q { __typename }";
        let (visited, message) = refused(&text);
        assert_eq!(visited, 1 + 5 * 60 + 1);
        assert!(message.contains("777600000 fields"), "{message}");
    }

    #[test]
    fn chains_of_fragments_end_at_the_nesting_limit() {
        let mut text = "query { ...f0 }".to_owned();
        for level in 0..2_000 {
            text += &format!("fragment f{level} on Q {{ ...f{} }}", level + 1);
        }
        text += "fragment f2000 on Q { __typename }";
        let (visited, message) = refused(&text);
        assert!(visited <= 101, "{visited}");
        assert!(message.contains("levels of selection sets"), "{message}");
    }

    #[test]
    fn a_chain_that_is_measured_from_its_end_is_refused_too() {
        let mut text = "query { ".to_owned();
        for level in (0..=500).rev() {
            text += &format!("...f{level} ");
        }
        text += "}";
        for level in 0..500 {
            text += &format!("fragment f{level} on Q {{ ...f{} }}", level + 1);
        }
        text += "fragment f500 on Q { __typename }";
        assert!(refused(&text).1.contains("levels of selection sets"));
    }

    #[test]
    fn cycles_end() {
        let document = parse("query { ...a } fragment a on Q { x ...b } fragment b on Q { ...a }");
        assert!(measure(&document, &Limits::default()).is_ok());
    }

    #[test]
    fn counts_what_the_executor_will_see() {
        let document = parse("query { a: x { y ...f } ... on Q { x ...f } } fragment f on Q { b: z { z } z }");
        let structure = measure(&document, &Limits::default()).unwrap();
        let size = structure.operations[0].1;
        assert_eq!((size.fields, size.selections), (9, 12));
        assert_eq!((size.aliases, size.roots, size.depth), (3, 4, 3));
    }

    #[test]
    fn each_limit_holds() {
        let limits = Limits { fields: 10, depth: 3, aliases: 2, root_mutations: 2, ..Limits::default() };
        let check = |text: &str| measure(&parse(text), &limits).map(|_| ()).map_err(|error| error.message);
        assert_eq!(check("{ a b c d e f g h i j }"), Ok(()));
        assert!(check("{ a b c d e f g h i j k }").unwrap_err().contains("11 fields"));
        assert_eq!(check("{ a { b { c } } }"), Ok(()));
        assert!(check("{ a { b { c { d } } } }").unwrap_err().contains("4 levels of fields"));
        assert_eq!(check("{ __schema { b { c { d { e } } } } }"), Ok(()), "introspection has no depth limit");
        assert!(check("{ __schema { b { c { d } } } a }").is_err(), "unless it comes with something else");
        assert!(check("{ x: a y: a z: a }").unwrap_err().contains("3 aliases"));
        assert_eq!(check("mutation { a b }"), Ok(()));
        assert!(check("mutation { a ... on M { b c } }").unwrap_err().contains("3 root fields"));
        assert!(check(&"query q { a }".repeat(21)).unwrap_err().contains("21 operations"));
    }
}
