//! What an operation may cost: its fields, times the sizes of the pages and lists they are in.
//!
//! A field whose type is a connection (it takes `first` or `last`) multiplies the lists inside it by the page that
//! was asked for, a list of records by an assumed length, and introspection by the schema's own size.

use std::collections::HashMap;

use apollo_compiler::ast::Value;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};
use async_graphql::ServerError;
use kernel::ErrorCode;

use super::limits::Limits;
use crate::error::refusal;

/// How long the lists of introspection are in this schema.
#[derive(Clone, Debug, Default)]
pub struct IntrospectionSizes(HashMap<(&'static str, &'static str), u64>);

impl IntrospectionSizes {
    /// Counts the schema.
    pub fn of(schema: &Schema) -> Self {
        let types = schema.types.len() as u64;
        let (mut fields, mut arguments, mut input_fields, mut values) = (0, 0, 0, 0);
        for definition in schema.types.values() {
            let of_type: Vec<_> = match definition {
                ExtendedType::Object(object) => object.fields.values().collect(),
                ExtendedType::Interface(interface) => interface.fields.values().collect(),
                ExtendedType::InputObject(input) => {
                    input_fields += input.fields.len() as u64;
                    continue;
                }
                ExtendedType::Enum(definition) => {
                    values += definition.values.len() as u64;
                    continue;
                }
                _ => continue,
            };
            fields += of_type.len() as u64;
            arguments += of_type.iter().map(|field| field.arguments.len() as u64).sum::<u64>();
        }
        // Averages over all types: in the query that asks for every type they add up to the whole.
        let share = |count: u64, of: u64| count.div_ceil(of.max(1));
        Self(HashMap::from([
            (("__Schema", "types"), types),
            (("__Schema", "directives"), schema.directive_definitions.len() as u64),
            (("__Type", "fields"), share(fields, types)),
            (("__Type", "inputFields"), share(input_fields, types)),
            (("__Type", "enumValues"), share(values, types)),
            (("__Type", "interfaces"), 1),
            (("__Type", "possibleTypes"), 1),
            (("__Field", "args"), share(arguments, fields)),
            (("__Directive", "args"), 2),
        ]))
    }

    fn get(&self, parent: &str, field: &str) -> Option<u64> {
        self.0.iter().find(|((of, name), _)| *of == parent && *name == field).map(|(_, size)| *size)
    }
}

/// Fields that are more work than reading what is selected of them, and what each costs by itself.
const WORK: &[(&str, &str, u64)] = &[
    ("Query", "search", 50),
    // Some five statements each: for one incident that somebody looks at, and not for a page of them.
    ("Incident", "suggestedKnownErrors", 1_000),
    ("Incident", "similarIncidents", 1_000),
];

/// What a field costs, whatever is selected of it.
fn own_cost(parent: &str, field: &str) -> u64 {
    WORK.iter().find(|(of, name, _)| *of == parent && *name == field).map_or(1, |(_, _, cost)| *cost)
}

/// The cost of an operation whose variables have been coerced.
///
/// # Errors
/// `LIMIT` when a page is larger than the limit.
pub fn cost(
    document: &ExecutableDocument,
    operation: &Operation,
    variables: &JsonMap,
    limits: &Limits,
    introspection: &IntrospectionSizes,
) -> Result<u64, ServerError> {
    Counter { document, variables, limits, introspection }.set(&operation.selection_set, None)
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    variables: &'a JsonMap,
    limits: &'a Limits,
    introspection: &'a IntrospectionSizes,
}

impl Counter<'_> {
    /// `page` is the page's size while the selection set is that of a connection.
    fn set(&self, set: &SelectionSet, page: Option<u64>) -> Result<u64, ServerError> {
        let mut total = 0u64;
        for selection in &set.selections {
            let cost = match selection {
                Selection::Field(field) => self.field(set.ty.as_str(), field, page)?,
                Selection::InlineFragment(inline) => self.set(&inline.selection_set, page)?,
                Selection::FragmentSpread(spread) => match self.document.fragments.get(&spread.fragment_name) {
                    Some(fragment) => self.set(&fragment.selection_set, page)?,
                    None => 0,
                },
            };
            total = total.saturating_add(cost);
        }
        Ok(total)
    }

    fn field(&self, parent: &str, field: &Field, page: Option<u64>) -> Result<u64, ServerError> {
        self.check_inputs(field)?;
        let own_page = self.page(field)?;
        let is_list = field.definition.ty.is_list();
        // A list that takes `first` is its own page; a connection's page is that of the lists right below it.
        let (list_page, page_below) = if is_list { (own_page, None) } else { (None, own_page) };
        let inside = self.set(&field.selection_set, page_below)?;
        let times = if field.selection_set.selections.is_empty() || !is_list {
            1
        } else {
            self.introspection
                .get(parent, &field.name)
                .or(list_page)
                .or(page)
                .or_else(|| self.listed_ids(field))
                .unwrap_or(self.limits.list_items)
        };
        Ok(inside.saturating_mul(times).saturating_add(own_cost(parent, &field.name)))
    }

    /// Refuses an argument that nests deeper than the resolvers' inputs may be read.
    fn check_inputs(&self, field: &Field) -> Result<(), ServerError> {
        let limit = self.limits.input_depth;
        match field.arguments.iter().find(|argument| self.depth(&argument.value) > limit) {
            None => Ok(()),
            Some(argument) => {
                let message = format!("`{}` nests deeper than {limit} lists and objects", argument.name);
                Err(refusal(ErrorCode::CostExceeded, message, None))
            }
        }
    }

    fn depth(&self, value: &Value) -> u32 {
        match value {
            Value::List(items) => 1 + items.iter().map(|item| self.depth(item)).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.iter().map(|(_, value)| self.depth(value)).max().unwrap_or(0),
            Value::Variable(name) => self.variables.get(name.as_str()).map_or(0, json_depth),
            _ => 0,
        }
    }

    /// The page that a connection's field asks for; `None` for other fields.
    fn page(&self, field: &Field) -> Result<Option<u64>, ServerError> {
        let takes = |name: &str| field.definition.arguments.iter().any(|argument| argument.name == name);
        if !takes("first") && !takes("last") {
            return Ok(None);
        }
        let mut page = None;
        for name in ["first", "last"] {
            if let Some(asked) = self.integer(field, name) {
                if asked > i64::try_from(self.limits.page).unwrap_or(i64::MAX) {
                    return Err(refusal(
                        ErrorCode::Limit,
                        format!("`{name}` of `{}` is {asked}; the limit is {}", field.name, self.limits.page),
                        None,
                    ));
                }
                // A negative number costs nothing here: the resolver refuses it.
                page = page.max(Some(u64::try_from(asked).unwrap_or(0)));
            }
        }
        Ok(Some(page.unwrap_or(self.limits.default_page)))
    }

    fn integer(&self, field: &Field, name: &str) -> Option<i64> {
        let argument = field.arguments.iter().find(|argument| argument.name == name)?;
        match argument.value.as_ref() {
            Value::Int(number) => number.as_str().parse().ok(),
            Value::Variable(variable) => self.variables.get(variable.as_str())?.as_i64(),
            _ => None,
        }
    }

    /// How many ids a field like `nodes(ids:)` names.
    fn listed_ids(&self, field: &Field) -> Option<u64> {
        let argument = field.arguments.iter().find(|argument| argument.name == "ids")?;
        match argument.value.as_ref() {
            Value::List(items) => Some(items.len() as u64),
            Value::Variable(variable) => match self.variables.get(variable.as_str())? {
                JsonValue::Array(items) => Some(items.len() as u64),
                _ => Some(1),
            },
            _ => Some(1),
        }
    }
}

/// Lists and objects inside one another; bounded by the JSON parser.
fn json_depth(value: &JsonValue) -> u32 {
    match value {
        JsonValue::Array(items) => 1 + items.iter().map(json_depth).max().unwrap_or(0),
        JsonValue::Object(fields) => 1 + fields.iter().map(|(_, value)| json_depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}
