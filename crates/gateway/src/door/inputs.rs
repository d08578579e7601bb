//! What the validator does not look at in the values of an operation: exactly one field of a `@oneOf` input, and
//! variables that do not have the form of their scalar.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use async_graphql::ServerError;
use kernel::ErrorCode;

use super::convert::json_value;
use super::values::scalar_check;
use crate::error::refusal;

/// Checks the literals and the coerced variables of an operation.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` with the place of the first input that does not have exactly one field, or of the first
/// value that is none of its scalar's.
pub fn check(
    schema: &Schema,
    document: &ExecutableDocument,
    operation: &Operation,
    variables: &JsonMap,
) -> Result<(), ServerError> {
    let check = Check { schema, document, variables };
    for definition in &operation.variables {
        // A default is part of the document, whether it is used or not.
        if let Some(default) = &definition.default_value {
            check.literal(&definition.ty, default, &format!("${}", definition.name))?;
        }
        if let Some(value) = variables.get(definition.name.as_str()) {
            check.json(&definition.ty, value, &format!("${}", definition.name))?;
        }
    }
    check.selections(&operation.selection_set)
}

/// Coerces one variable of the document's only operation and checks it as [`check`] does, outside of any request.
///
/// # Errors
/// What is wrong with the value, for people.
pub fn coerce_json(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    given: &JsonMap,
    variable: &str,
) -> Result<async_graphql::Value, String> {
    let operation = document.operations.get(None).map_err(|error| error.message().to_string())?;
    let variables = coerce_variable_values(schema, operation, given).map_err(|error| error.message().to_string())?;
    check(schema, document, operation, &variables).map_err(|error| error.message)?;
    Ok(variables.get(variable).map(json_value).unwrap_or_default())
}

struct Check<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    variables: &'a JsonMap,
}

fn broken(place: &str, input: &InputObjectType, given: usize) -> ServerError {
    let names: Vec<&str> = input.fields.keys().map(|name| name.as_str()).collect();
    refusal(
        ErrorCode::GraphqlValidationFailed,
        format!("`{place}` must have exactly one of {} and not null; it has {given}", names.join(", ")),
        None,
    )
}

impl Check<'_> {
    fn input(&self, ty: &Type) -> Option<&InputObjectType> {
        match self.schema.types.get(ty.inner_named_type())? {
            ExtendedType::InputObject(input) => Some(input),
            _ => None,
        }
    }

    fn selections(&self, set: &SelectionSet) -> Result<(), ServerError> {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    for argument in &field.arguments {
                        let definition =
                            field.definition.arguments.iter().find(|definition| definition.name == argument.name);
                        if let Some(definition) = definition {
                            self.literal(&definition.ty, &argument.value, argument.name.as_str())?;
                        }
                    }
                    self.selections(&field.selection_set)?;
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set)?,
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name) {
                        self.selections(&fragment.selection_set)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn literal(&self, ty: &Type, value: &Value, place: &str) -> Result<(), ServerError> {
        match value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.literal(ty.item_type(), item, &format!("{place}.{index}"))?;
                }
            }
            Value::Object(entries) => {
                let Some(input) = self.input(ty) else {
                    return Ok(());
                };
                let is_null = |value: &Value| match value {
                    Value::Null => true,
                    Value::Variable(name) => self.variables.get(name.as_str()).is_none_or(JsonValue::is_null),
                    _ => false,
                };
                if input.directives.has("oneOf")
                    && (entries.len() != 1 || entries.iter().any(|(_, value)| is_null(value)))
                {
                    return Err(broken(place, input, entries.len()));
                }
                for (name, value) in entries {
                    if let Some(field) = input.fields.get(name) {
                        self.literal(&field.ty, value, &format!("{place}.{name}"))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn json(&self, ty: &Type, value: &JsonValue, place: &str) -> Result<(), ServerError> {
        if value.is_null() {
            return Ok(());
        }
        if let Some(check) = scalar_check(ty, value.is_array()) {
            let message = |message| format!("`{place}`: {message}");
            return check(json_value(value))
                .map_err(|error| refusal(ErrorCode::GraphqlValidationFailed, message(error), None));
        }
        match value {
            JsonValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.json(ty.item_type(), item, &format!("{place}.{index}"))?;
                }
            }
            JsonValue::Object(entries) => {
                let Some(input) = self.input(ty) else {
                    return Ok(());
                };
                if input.directives.has("oneOf") && (entries.len() != 1 || entries.values().any(JsonValue::is_null)) {
                    return Err(broken(place, input, entries.len()));
                }
                for (name, value) in entries {
                    if let Some(field) = input.fields.get(name.as_str()) {
                        self.json(&field.ty, value, &format!("{place}.{}", name.as_str()))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
