//! What the validator does not look at in the literals of arguments: variables inside them, keys, and scalars of our own.
//!
//! It compares the whole type of a variable that is an argument, and takes `null` for a default. Of one inside a list or an input object it compares the
//! named type alone, a key may come twice, and a custom scalar takes anything.

use std::collections::HashSet;

use apollo_compiler::ast::{Argument, DirectiveList, InputValueDefinition, Type, Value, VariableDefinition};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{ExecutableDocument, Node, Schema};
use async_graphql::{Pos, ServerError, Value as ConstValue};
use kernel::ErrorCode;

use super::convert;
use crate::error::{MAX_ERRORS, refusal};
use crate::scalars::{self, ScalarCheck};

/// Checks the literals of a validated document.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for variables where their type does not fit, keys that come twice and literals that do not
/// have the form of their scalar, at most five.
pub fn check(schema: &Schema, document: &ExecutableDocument) -> Result<(), Vec<ServerError>> {
    let mut check = Check { schema, document, errors: Vec::new() };
    for operation in document.operations.iter() {
        for definition in &operation.variables {
            if let Some(default) = &definition.default_value {
                check.value(operation, default, Place::of(&definition.ty));
            }
        }
        check.selections(operation, &operation.selection_set, &mut HashSet::new());
    }
    check.errors.truncate(MAX_ERRORS);
    if check.errors.is_empty() { Ok(()) } else { Err(check.errors) }
}

struct Check<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    errors: Vec<ServerError>,
}

/// What is expected of a value.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The type; `None` inside a scalar that takes any value.
    ty: Option<&'a Type>,
    has_default: bool,
    is_one_of: bool,
}

impl<'a> Place<'a> {
    fn of(ty: &'a Type) -> Self {
        Self { ty: Some(ty), has_default: false, is_one_of: false }
    }

    const fn anything() -> Self {
        Self { ty: None, has_default: false, is_one_of: false }
    }
}

impl<'a> Check<'a> {
    /// Walks each fragment once: its arguments mean the same wherever it is spread in one operation.
    fn selections(&mut self, operation: &Operation, set: &'a SelectionSet, walked: &mut HashSet<&'a str>) {
        for selection in &set.selections {
            self.directives(operation, selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.arguments(operation, &field.arguments, &field.definition.arguments);
                    self.selections(operation, &field.selection_set, walked);
                }
                Selection::InlineFragment(inline) => self.selections(operation, &inline.selection_set, walked),
                Selection::FragmentSpread(spread) => {
                    if let Some((name, fragment)) = self.document.fragments.get_key_value(&spread.fragment_name)
                        && walked.insert(name.as_str())
                    {
                        self.selections(operation, &fragment.selection_set, walked);
                    }
                }
            }
        }
    }

    fn directives(&mut self, operation: &Operation, directives: &'a DirectiveList) {
        for directive in directives.iter() {
            if let Some(definition) = self.schema.directive_definitions.get(&directive.name) {
                self.arguments(operation, &directive.arguments, &definition.arguments);
            }
        }
    }

    fn arguments(
        &mut self,
        operation: &Operation,
        given: &'a [Node<Argument>],
        definitions: &'a [Node<InputValueDefinition>],
    ) {
        for argument in given {
            if let Some(definition) = definitions.iter().find(|definition| definition.name == argument.name) {
                let has_default = definition.default_value.is_some();
                let place = Place { has_default, ..Place::of(&definition.ty) };
                self.value(operation, &argument.value, place);
            }
        }
    }

    fn value(&mut self, operation: &Operation, value: &Node<Value>, place: Place<'_>) {
        if let Some(check) = place.ty.and_then(|ty| scalar_check(ty, value.as_list().is_some())) {
            self.scalar(value, check);
        }
        match value.as_ref() {
            Value::Variable(name) => {
                let definition = operation.variables.iter().find(|definition| definition.name == *name);
                if let (Some(definition), Some(ty)) = (definition, place.ty) {
                    self.variable(value, definition, ty, place);
                }
            }
            Value::List(items) => {
                let item = place.ty.filter(|ty| ty.is_list()).map_or(Place::anything(), |ty| Place::of(ty.item_type()));
                for value in items {
                    self.value(operation, value, item);
                }
            }
            Value::Object(entries) => {
                let input = place.ty.and_then(|ty| self.input(ty));
                let is_one_of = input.is_some_and(|input| input.directives.has("oneOf"));
                let mut names = HashSet::new();
                for (name, value) in entries {
                    if !names.insert(name.as_str()) {
                        self.refuse(value, format!("There can be only one input field named \"{name}\"."));
                    }
                    let place = match input.and_then(|input| input.fields.get(name)) {
                        Some(field) => {
                            Place { has_default: field.default_value.is_some(), is_one_of, ..Place::of(&field.ty) }
                        }
                        None => Place::anything(),
                    };
                    self.value(operation, value, place);
                }
            }
            _ => {}
        }
    }

    /// A literal that holds a variable is checked when it runs: only a scalar that takes any value can hold one.
    fn scalar(&mut self, value: &Node<Value>, check: ScalarCheck) {
        let literal = match convert::literal(value, Pos::default()) {
            Ok(literal) => literal,
            // The conversion of the whole document tells it with its place.
            Err(_) => return,
        };
        if let Some(constant) = literal.into_const()
            && constant != ConstValue::Null
            && let Err(message) = check(constant)
        {
            self.refuse(value, message);
        }
    }

    fn variable(&mut self, value: &Node<Value>, definition: &VariableDefinition, ty: &Type, place: Place<'_>) {
        let (name, own) = (&definition.name, &definition.ty);
        if !is_allowed(definition, ty, place.has_default) {
            self.refuse(
                value,
                format!("Variable \"${name}\" of type \"{own}\" used in position expecting type \"{ty}\"."),
            );
        } else if place.is_one_of && !own.is_non_null() {
            self.refuse(value, format!("Variable \"${name}\" of type \"{own}\" must not be null in a @oneOf input."));
        }
    }

    fn input(&self, ty: &Type) -> Option<&'a InputObjectType> {
        match self.schema.types.get(ty.inner_named_type())? {
            ExtendedType::InputObject(input) => Some(input),
            _ => None,
        }
    }

    fn refuse(&mut self, value: &Node<Value>, message: String) {
        let place = value.line_column_range(&self.document.sources);
        let position = place.map(|range| Pos { line: range.start.line, column: range.start.column });
        self.errors.push(refusal(ErrorCode::GraphqlValidationFailed, message, position));
    }
}

/// The check of a place's own scalar. A list's items have places of their own; one value may stand for a list of it.
pub fn scalar_check(ty: &Type, is_list: bool) -> Option<ScalarCheck> {
    if ty.is_list() && is_list { None } else { scalars::check_of(ty.inner_named_type()) }
}

/// `IsVariableUsageAllowed` of the specification.
fn is_allowed(definition: &VariableDefinition, ty: &Type, has_default: bool) -> bool {
    let is_given = definition.default_value.as_ref().is_some_and(|default| !default.is_null());
    if ty.is_non_null() && !definition.ty.is_non_null() {
        (is_given || has_default) && definition.ty.is_assignable_to(&ty.clone().nullable())
    } else {
        definition.ty.is_assignable_to(ty)
    }
}
