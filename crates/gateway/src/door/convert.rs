//! From the gate's checked document to the executor's: one parser decides what a text means.
//!
//! The executor's own parser is not asked: it refuses valid escapes, and a second reading of the same text could
//! disagree with the first about what was checked.

use std::collections::HashMap;

use apollo_compiler::ExecutableDocument as Checked;
use apollo_compiler::ast::{
    Argument, DirectiveList, OperationType as CheckedType, Type as CheckedValueType, Value as CheckedValue,
};
use apollo_compiler::executable::{Operation, Selection as CheckedSelection, SelectionSet as CheckedSet};
use apollo_compiler::parser::{SourceMap, SourceSpan};
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
    InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition,
    VariableDefinition,
};
use async_graphql::{Name, Number, Pos, Positioned, ServerError, Value};
use async_graphql_value::Value as Literal;
use kernel::ErrorCode;

use crate::error::refusal;

/// One operation of a checked document with the fragments it reaches, as the executor takes it.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for a number that no JSON number can hold.
pub fn operation(document: &Checked, operation: &Operation) -> Result<ExecutableDocument, ServerError> {
    let mut conversion = Conversion { sources: &document.sources, wanted: Vec::new() };
    let definition = conversion.operation(operation)?;
    let mut fragments = HashMap::new();
    while let Some(name) = conversion.wanted.pop() {
        if fragments.contains_key(&name) {
            continue;
        }
        let Some(fragment) = document.fragments.get(name.as_str()) else {
            continue;
        };
        let pos = conversion.pos(fragment.location());
        let node = FragmentDefinition {
            type_condition: type_condition(fragment.type_condition(), pos),
            directives: conversion.directives(&fragment.directives, pos)?,
            selection_set: conversion.selection_set(&fragment.selection_set, pos)?,
        };
        fragments.insert(name, Positioned::new(node, pos));
    }
    Ok(ExecutableDocument { operations: DocumentOperations::Single(definition), fragments })
}

/// A JSON value as the executor takes it in variables.
pub fn json_value(value: &apollo_compiler::response::JsonValue) -> Value {
    use apollo_compiler::response::JsonValue as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => Value::Number(number.clone()),
        Json::String(text) => Value::String(text.as_str().to_owned()),
        Json::Array(items) => Value::List(items.iter().map(json_value).collect()),
        Json::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (Name::new(key.as_str()), json_value(value))).collect())
        }
    }
}

fn type_condition(name: &apollo_compiler::Name, pos: Pos) -> Positioned<TypeCondition> {
    Positioned::new(TypeCondition { on: Positioned::new(Name::new(name.as_str()), pos) }, pos)
}

fn value_type(ty: &CheckedValueType) -> Type {
    match ty {
        CheckedValueType::Named(name) => Type { base: BaseType::Named(Name::new(name.as_str())), nullable: true },
        CheckedValueType::NonNullNamed(name) => {
            Type { base: BaseType::Named(Name::new(name.as_str())), nullable: false }
        }
        CheckedValueType::List(item) => Type { base: BaseType::List(Box::new(value_type(item))), nullable: true },
        CheckedValueType::NonNullList(item) => {
            Type { base: BaseType::List(Box::new(value_type(item))), nullable: false }
        }
    }
}

type Converted<T> = Result<T, ServerError>;

struct Conversion<'a> {
    sources: &'a SourceMap,
    wanted: Vec<Name>,
}

impl Conversion<'_> {
    fn pos(&self, span: Option<SourceSpan>) -> Pos {
        let start = span.and_then(|span| span.line_column(self.sources));
        start.map_or(Pos::default(), |start| Pos { line: start.line, column: start.column })
    }

    fn operation(&mut self, operation: &Operation) -> Converted<Positioned<OperationDefinition>> {
        let pos = Pos { line: 1, column: 1 };
        let mut variable_definitions = Vec::with_capacity(operation.variables.len());
        for variable in &operation.variables {
            let pos = self.pos(variable.location());
            let default_value = match &variable.default_value {
                None => None,
                Some(value) => {
                    let constant = literal(value, pos)?.into_const();
                    constant.map(|constant| Positioned::new(constant, pos))
                }
            };
            let node = VariableDefinition {
                name: Positioned::new(Name::new(variable.name.as_str()), pos),
                var_type: Positioned::new(value_type(&variable.ty), pos),
                directives: self.directives(&variable.directives, pos)?,
                default_value,
            };
            variable_definitions.push(Positioned::new(node, pos));
        }
        let node = OperationDefinition {
            ty: match operation.operation_type {
                CheckedType::Query => OperationType::Query,
                CheckedType::Mutation => OperationType::Mutation,
                CheckedType::Subscription => OperationType::Subscription,
            },
            variable_definitions,
            directives: self.directives(&operation.directives, pos)?,
            selection_set: self.selection_set(&operation.selection_set, pos)?,
        };
        Ok(Positioned::new(node, pos))
    }

    fn selection_set(&mut self, set: &CheckedSet, pos: Pos) -> Converted<Positioned<SelectionSet>> {
        let items = set.selections.iter().map(|selection| self.selection(selection)).collect::<Converted<_>>()?;
        Ok(Positioned::new(SelectionSet { items }, pos))
    }

    fn selection(&mut self, selection: &CheckedSelection) -> Converted<Positioned<Selection>> {
        match selection {
            CheckedSelection::Field(field) => {
                let pos = self.pos(field.location());
                let node = Field {
                    alias: field.alias.as_ref().map(|alias| Positioned::new(Name::new(alias.as_str()), pos)),
                    name: Positioned::new(Name::new(field.name.as_str()), pos),
                    arguments: arguments(&field.arguments, pos)?,
                    directives: self.directives(&field.directives, pos)?,
                    selection_set: self.selection_set(&field.selection_set, pos)?,
                };
                Ok(Positioned::new(Selection::Field(Positioned::new(node, pos)), pos))
            }
            CheckedSelection::FragmentSpread(spread) => {
                let pos = self.pos(spread.location());
                let name = Name::new(spread.fragment_name.as_str());
                self.wanted.push(name.clone());
                let node = FragmentSpread {
                    fragment_name: Positioned::new(name, pos),
                    directives: self.directives(&spread.directives, pos)?,
                };
                Ok(Positioned::new(Selection::FragmentSpread(Positioned::new(node, pos)), pos))
            }
            CheckedSelection::InlineFragment(inline) => {
                let pos = self.pos(inline.location());
                let node = InlineFragment {
                    type_condition: inline.type_condition.as_ref().map(|name| type_condition(name, pos)),
                    directives: self.directives(&inline.directives, pos)?,
                    selection_set: self.selection_set(&inline.selection_set, pos)?,
                };
                Ok(Positioned::new(Selection::InlineFragment(Positioned::new(node, pos)), pos))
            }
        }
    }

    fn directives(&self, directives: &DirectiveList, pos: Pos) -> Converted<Vec<Positioned<Directive>>> {
        let convert = |directive: &apollo_compiler::Node<apollo_compiler::ast::Directive>| {
            let node = Directive {
                name: Positioned::new(Name::new(directive.name.as_str()), pos),
                arguments: arguments(&directive.arguments, pos)?,
            };
            Ok(Positioned::new(node, pos))
        };
        directives.iter().map(convert).collect()
    }
}

type Arguments = Vec<(Positioned<Name>, Positioned<Literal>)>;

fn arguments(arguments: &[apollo_compiler::Node<Argument>], pos: Pos) -> Converted<Arguments> {
    let convert = |argument: &apollo_compiler::Node<Argument>| {
        let name = Positioned::new(Name::new(argument.name.as_str()), pos);
        Ok((name, Positioned::new(literal(&argument.value, pos)?, pos)))
    };
    arguments.iter().map(convert).collect()
}

/// A literal as the executor takes it.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for a number that no JSON number can hold.
pub fn literal(value: &CheckedValue, pos: Pos) -> Converted<Literal> {
    Ok(match value {
        CheckedValue::Null => Literal::Null,
        CheckedValue::Enum(name) => Literal::Enum(Name::new(name.as_str())),
        CheckedValue::Variable(name) => Literal::Variable(Name::new(name.as_str())),
        CheckedValue::String(text) => Literal::String(text.clone()),
        CheckedValue::Boolean(value) => Literal::Boolean(*value),
        CheckedValue::Int(number) => Literal::Number(json_number(number.as_str(), pos)?),
        CheckedValue::Float(number) => Literal::Number(json_number(number.as_str(), pos)?),
        CheckedValue::List(items) => {
            Literal::List(items.iter().map(|item| literal(item, pos)).collect::<Converted<_>>()?)
        }
        CheckedValue::Object(entries) => {
            let convert = |(name, value): &(apollo_compiler::Name, apollo_compiler::Node<CheckedValue>)| {
                Ok((Name::new(name.as_str()), literal(value, pos)?))
            };
            Literal::Object(entries.iter().map(convert).collect::<Converted<IndexMap<_, _>>>()?)
        }
    })
}

fn json_number(text: &str, pos: Pos) -> Converted<Number> {
    text.parse()
        .map_err(|_| refusal(ErrorCode::GraphqlValidationFailed, "a number is too large to be represented", Some(pos)))
}
