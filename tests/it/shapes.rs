//! Inputs and documents made from the schema's text, so that no field and no argument is forgotten.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use serde_json::{Map, Value, json};

/// The schema as it is served.
pub fn schema() -> Valid<Schema> {
    Schema::parse_and_validate(gateway::schema::sdl(), "schema.graphql").expect("the schema is valid")
}

/// An id that names nothing.
pub fn unknown_id(prefix: &'static str) -> String {
    let now = store::time::parse("2026-01-05T09:00:00Z").expect("it is a time");
    kernel::Id::new(prefix, kernel::random::new_id(now)).to_string()
}

/// The least value that the type takes.
pub fn minimal(schema: &Schema, ty: &Type) -> Value {
    match ty {
        Type::Named(_) | Type::List(_) => Value::Null,
        Type::NonNullList(_) => json!([]),
        Type::NonNullNamed(name) => match schema.types.get(name) {
            Some(ExtendedType::Enum(found)) => json!(found.values.keys().next().map(|name| name.as_str())),
            Some(ExtendedType::InputObject(found)) if found.directives.has("oneOf") => {
                let (name, field) = found.fields.first().expect("an input object has fields");
                json!({ name.as_str(): minimal(schema, &(*field.ty).clone().non_null()) })
            }
            Some(ExtendedType::InputObject(found)) => {
                let required = found.fields.iter().filter(|(_, field)| field.is_required());
                Value::Object(required.map(|(name, field)| (name.to_string(), minimal(schema, &field.ty))).collect())
            }
            _ => match name.as_str() {
                "ID" => json!(unknown_id("inc")),
                "Int" => json!(1),
                "Boolean" => json!(true),
                "JSON" => json!({}),
                "EmailAddress" => json!("nobody@nowhere.example"),
                "DateTime" | "TimePoint" => json!("2026-03-01T09:00:00Z"),
                "Duration" => json!("PT1H"),
                "Decimal" => json!("42.50"),
                _ => json!("text"),
            },
        },
    }
}

/// Every value of the type in which exactly one text is `bad`.
pub fn mutants(schema: &Schema, ty: &Type, depth: usize, bad: &str) -> Vec<Value> {
    match ty {
        Type::List(item) | Type::NonNullList(item) => {
            mutants(schema, item, depth, bad).into_iter().map(|value| json!([value])).collect()
        }
        Type::Named(name) | Type::NonNullNamed(name) => match schema.types.get(name) {
            Some(ExtendedType::Enum(_)) => Vec::new(),
            Some(ExtendedType::InputObject(_)) if depth == 0 => Vec::new(),
            Some(ExtendedType::InputObject(found)) => {
                let base = match found.directives.has("oneOf") {
                    true => json!({}),
                    false => minimal(schema, &Type::NonNullNamed(name.clone())),
                };
                let fields = found.fields.iter().flat_map(|(name, field)| {
                    mutants(schema, &field.ty, depth - 1, bad).into_iter().map(move |value| (name.to_string(), value))
                });
                let merged = fields.map(|(name, value)| {
                    let mut object: Map<String, Value> = base.as_object().cloned().unwrap_or_default();
                    object.insert(name, value);
                    Value::Object(object)
                });
                merged.collect()
            }
            _ => match name.as_str() {
                "Int" | "Boolean" | "Float" => Vec::new(),
                "JSON" => vec![
                    json!({ "waitingReason": bad, "resolutionNotes": bad, "resolutionCode": bad, "team": { "slug": bad }, bad: bad }),
                ],
                _ => vec![json!(bad)],
            },
        },
    }
}

/// A root field.
pub struct Root {
    /// `query`, `mutation` or `subscription`.
    pub operation: &'static str,
    /// Its name.
    pub name: String,
    /// Its arguments' names and types.
    pub arguments: Vec<(String, Type)>,
    /// What to select from its answer, braces included; empty for a scalar.
    pub selection: String,
}

impl Root {
    /// The document that calls it with all of its arguments as variables.
    pub fn document(&self) -> String {
        let declared: Vec<_> = self.arguments.iter().map(|(name, ty)| format!("${name}: {ty}")).collect();
        let passed: Vec<_> = self.arguments.iter().map(|(name, _)| format!("{name}: ${name}")).collect();
        let wrap =
            |parts: Vec<String>| if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) };
        format!("{}{} {{ {}{} {} }}", self.operation, wrap(declared), self.name, wrap(passed), self.selection)
    }

    /// The least variables that it takes.
    pub fn minimal(&self, schema: &Schema) -> Value {
        let required = self.arguments.iter().filter(|(_, ty)| ty.is_non_null());
        Value::Object(required.map(|(name, ty)| (name.clone(), minimal(schema, ty))).collect())
    }
}

/// All root fields.
pub fn roots(schema: &Schema) -> Vec<Root> {
    let mut roots = Vec::new();
    for (operation, name) in [("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription")] {
        let Some(ExtendedType::Object(object)) = schema.types.get(name) else { panic!("no {name}") };
        for (name, field) in &object.fields {
            let selection = match schema.types.get(field.ty.inner_named_type()) {
                Some(ExtendedType::Object(_)) if operation == "mutation" => "{ userErrors { code message path } }",
                Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_)) => "{ __typename }",
                _ => "",
            };
            let arguments = field.arguments.iter().map(|argument| (argument.name.to_string(), (*argument.ty).clone()));
            roots.push(Root {
                operation,
                name: name.to_string(),
                arguments: arguments.collect(),
                selection: selection.into(),
            });
        }
    }
    roots
}
