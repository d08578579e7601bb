//! What may be told to several people by one subscription: operations that say the same to all who see the same.
//!
//! Nothing is shared among people but what is named here. A field, an argument or a field of an input that the list lacks,
//! because it depends on who asks or because nobody has looked at it yet, keeps its operation to each person alone.

use std::collections::HashSet;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};

/// All that a viewer's rights let through of what [`Alike`] names, as a digest: whose are equal are told the same.
pub type Sight = [u8; 32];

/// Fields (`Type.field`), arguments (`Type.field(argument)`) and fields of inputs (`Input.field`) whose values depend on what
/// the viewer sees, and in no other way on who the viewer is.
#[derive(Clone, Debug, Default)]
pub struct Alike {
    coordinates: HashSet<String>,
    inputs: HashSet<String>,
}

impl Alike {
    /// Those coordinates, and inputs with all of their fields.
    pub fn new(coordinates: impl IntoIterator<Item = String>, inputs: impl IntoIterator<Item = String>) -> Self {
        Self { coordinates: coordinates.into_iter().collect(), inputs: inputs.into_iter().collect() }
    }

    /// Whether this operation with these variables is about nothing else.
    pub fn covers(
        &self,
        schema: &Schema,
        document: &ExecutableDocument,
        operation: &Operation,
        variables: &JsonMap,
    ) -> bool {
        Look { alike: self, schema, document, variables }.selections(&operation.selection_set, &mut HashSet::new())
    }
}

struct Look<'a> {
    alike: &'a Alike,
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    variables: &'a JsonMap,
}

impl<'a> Look<'a> {
    /// Looks at each fragment once.
    fn selections(&self, set: &'a SelectionSet, walked: &mut HashSet<&'a str>) -> bool {
        set.selections.iter().all(|selection| match selection {
            Selection::Field(field) if field.name == "__typename" => true,
            Selection::Field(field) => {
                let coordinate = format!("{}.{}", set.ty, field.name);
                self.alike.coordinates.contains(&coordinate)
                    && field.arguments.iter().all(|argument| {
                        let known = self.alike.coordinates.contains(&format!("{coordinate}({})", argument.name));
                        let definition =
                            field.definition.arguments.iter().find(|definition| definition.name == argument.name);
                        known && definition.is_some_and(|definition| self.literal(&definition.ty, &argument.value))
                    })
                    && self.selections(&field.selection_set, walked)
            }
            Selection::InlineFragment(inline) => self.selections(&inline.selection_set, walked),
            Selection::FragmentSpread(spread) => {
                !walked.insert(spread.fragment_name.as_str())
                    || self
                        .document
                        .fragments
                        .get(&spread.fragment_name)
                        .is_some_and(|fragment| self.selections(&fragment.selection_set, walked))
            }
        })
    }

    /// Whether a field of an input is known; answers its type.
    fn input_field(&self, ty: &Type, name: &str) -> Option<&'a Type> {
        let input = ty.inner_named_type();
        let known =
            self.alike.inputs.contains(input.as_str()) || self.alike.coordinates.contains(&format!("{input}.{name}"));
        match self.schema.types.get(input)? {
            ExtendedType::InputObject(definition) if known => Some(&definition.fields.get(name)?.ty),
            _ => None,
        }
    }

    fn literal(&self, ty: &Type, value: &Value) -> bool {
        match value {
            Value::Variable(name) => self.variables.get(name.as_str()).is_none_or(|value| self.json(ty, value)),
            Value::List(items) => items.iter().all(|item| self.literal(ty.item_type(), item)),
            Value::Object(entries) => entries
                .iter()
                .all(|(name, value)| self.input_field(ty, name).is_some_and(|field| self.literal(field, value))),
            _ => true,
        }
    }

    fn json(&self, ty: &Type, value: &JsonValue) -> bool {
        match value {
            JsonValue::Array(items) => items.iter().all(|item| self.json(ty.item_type(), item)),
            JsonValue::Object(entries) => entries
                .iter()
                .all(|(name, value)| self.input_field(ty, name.as_str()).is_some_and(|field| self.json(field, value))),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::door::Contract;
    use crate::door::gate::{Gate, Parameters};
    use crate::door::limits::Limits;

    const SDL: &str = "type Query { a: Int }
        type Subscription { items(filter: Filter, after: String, mine: Boolean): Item }
        type Item { name: String, secret: Int, children(first: Int): [Item] }
        input Filter { name: Text, mine: Boolean, and: [Filter!] }
        input Text { eq: String, in: [String!] }";

    fn alike() -> Alike {
        let known = [
            "Subscription.items",
            "Subscription.items(filter)",
            "Subscription.items(after)",
            "Item.name",
            "Item.children",
            "Filter.name",
            "Filter.and",
        ];
        Alike::new(known.map(str::to_owned), ["Text".to_owned()])
    }

    fn covered(query: &str, variables: serde_json::Value) -> bool {
        let gate = Gate::new(&Contract::new(SDL).unwrap(), Limits::default());
        let parameters: Parameters = serde_json::from_value(json!({ "query": query, "variables": variables })).unwrap();
        let checked = gate.check(&parameters).unwrap();
        gate.covered(&alike(), &checked)
    }

    #[test]
    fn what_is_named_is_covered() {
        assert!(covered("subscription { items { __typename name children { name } } }", json!({})));
        assert!(covered("subscription { items(filter: { and: [{ name: { eq: \"a\" } }] }) { name } }", json!({})));
        let with_variable = "subscription($f: Filter, $a: String) { items(filter: $f, after: $a) { ...F } } fragment F on Item { name }";
        assert!(covered(with_variable, json!({ "f": { "and": [{ "name": { "in": ["a"] } }] }, "a": "x" })));
        assert!(covered(with_variable, json!({})));
    }

    #[test]
    fn what_is_not_named_is_not_covered() {
        for query in [
            "subscription { items { secret } }",
            "subscription { items { name children { ... on Item { secret } } } }",
            "subscription { items { ...F } } fragment F on Item { name secret }",
            "subscription { items { children(first: 1) { name } } }",
            "subscription { items(mine: true) { name } }",
            "subscription { items(filter: { mine: true }) { name } }",
            "subscription { items(filter: { and: [{ name: { eq: \"a\" } }, { mine: false }] }) { name } }",
        ] {
            assert!(!covered(query, json!({})), "{query}");
        }
        let inner = "subscription($m: Boolean) { items(filter: { and: [{ mine: $m }] }) { name } }";
        assert!(!covered(inner, json!({ "m": true })));
        let whole = "subscription($f: Filter) { items(filter: $f) { name } }";
        assert!(!covered(whole, json!({ "f": { "and": [{ "and": [{ "mine": true }] }] } })));
        let default = "subscription($f: Filter = { mine: true }) { items(filter: $f) { name } }";
        assert!(!covered(default, json!({})));
    }
}
