//! From a document's text to a checked document: token and recursion limits, structure, validation.

use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use async_graphql::{Pos, ServerError};
use kernel::ErrorCode;

use super::convert;
use super::limits::Limits;
use super::structure::{self, Size};
use super::values;
use crate::error::{MAX_ERRORS, refusal};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Changes.
    Mutation,
    /// Streams.
    Subscription,
}

impl OperationKind {
    /// The name in metrics, traces and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        }
    }
}

/// A document that fits the limits and the schema.
#[derive(Debug)]
pub struct Document {
    /// Names its text.
    pub key: [u8; 32],
    /// The document with its types.
    pub checked: Valid<ExecutableDocument>,
    /// Its operations.
    pub operations: Vec<Operation>,
}

/// One operation of a checked document.
#[derive(Debug)]
pub struct Operation {
    /// Its name.
    pub name: Option<String>,
    /// What it does.
    pub kind: OperationKind,
    /// How large it is with its fragments spread.
    pub size: Size,
    /// The variables that are places in a log: a subscription's begin, which it soon leaves behind.
    pub places: Vec<String>,
    /// The operation and the fragments it reaches, as the executor takes them.
    pub executable: async_graphql::parser::types::ExecutableDocument,
}

impl Operation {
    /// Whether it asks for nothing but the schema.
    pub fn is_introspection(&self) -> bool {
        self.kind == OperationKind::Query && self.size.plain_roots == 0
    }
}

/// The argument of a subscription that says behind what to begin.
const RESUME: &str = "after";

impl Document {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// `COST_EXCEEDED`, `GRAPHQL_PARSE_FAILED` or `GRAPHQL_VALIDATION_FAILED`, at most five.
    pub fn parse(text: &str, key: [u8; 32], schema: &Valid<Schema>, limits: &Limits) -> Result<Self, Vec<ServerError>> {
        if text.len() > limits.document_bytes {
            return Err(vec![refusal(
                ErrorCode::CostExceeded,
                format!("the document has {} bytes; the limit is {}", text.len(), limits.document_bytes),
                None,
            )]);
        }
        let mut parser = Parser::new().token_limit(limits.document_tokens).recursion_limit(limits.nesting as usize);
        let parsed = parser.parse_ast(text, "document");
        if parser.tokens_reached() > limits.document_tokens {
            return Err(vec![too_much("tokens", limits.document_tokens)]);
        }
        if parser.recursion_reached() > limits.nesting as usize {
            return Err(vec![too_much("levels of nesting", limits.nesting as usize)]);
        }
        let ast = parsed.map_err(|failed| diagnostics(&failed.errors, ErrorCode::GraphqlParseFailed))?;
        let structure = structure::measure(&ast, limits).map_err(|error| vec![error])?;
        let checked = ast
            .to_executable_validate(schema)
            .map_err(|failed| diagnostics(&failed.errors, ErrorCode::GraphqlValidationFailed))?;
        values::check(schema, &checked)?;
        Self::new(key, checked, structure.operations)
    }

    fn new(
        key: [u8; 32],
        checked: Valid<ExecutableDocument>,
        sizes: Vec<(Option<apollo_compiler::Name>, Size)>,
    ) -> Result<Self, Vec<ServerError>> {
        let mut operations = Vec::with_capacity(sizes.len());
        for (name, size) in sizes {
            let name = name.as_ref().map(|name| name.as_str());
            // Validation has seen to it that names are unique: each size has its operation.
            let Ok(operation) = checked.operations.get(name) else {
                continue;
            };
            operations.push(Operation {
                name: name.map(str::to_owned),
                kind: match operation.operation_type {
                    apollo_compiler::ast::OperationType::Query => OperationKind::Query,
                    apollo_compiler::ast::OperationType::Mutation => OperationKind::Mutation,
                    apollo_compiler::ast::OperationType::Subscription => OperationKind::Subscription,
                },
                size,
                places: places(&checked, operation),
                executable: convert::operation(&checked, operation).map_err(|error| vec![error])?,
            });
        }
        Ok(Self { key, checked, operations })
    }

    /// The operation to run, by its position in [`Document::operations`].
    ///
    /// # Errors
    /// `GRAPHQL_VALIDATION_FAILED` when the name fits no operation or several could be meant.
    pub fn select(&self, name: Option<&str>) -> Result<usize, ServerError> {
        let refused = |message: String| refusal(ErrorCode::GraphqlValidationFailed, message, None);
        match (name, self.operations.len()) {
            (_, 0) => Err(refused("the document has no operation".into())),
            (None, 1) => Ok(0),
            (None, count) => Err(refused(format!("the document has {count} operations: name one in `operationName`"))),
            (Some(name), _) => self
                .operations
                .iter()
                .position(|operation| operation.name.as_deref() == Some(name))
                .ok_or_else(|| refused(format!("the document has no operation named `{name}`"))),
        }
    }
}

/// The variables that say where a subscription begins, and nothing else: given to its root field's argument `after`, and named
/// nowhere but there and in their declaration.
fn places(document: &ExecutableDocument, operation: &apollo_compiler::executable::Operation) -> Vec<String> {
    if !operation.is_subscription() {
        return Vec::new();
    }
    let fields = operation.selection_set.selections.iter().filter_map(|selection| selection.as_field());
    let after = fields.filter_map(|field| field.arguments.iter().find(|argument| argument.name == RESUME));
    let variables = after.filter_map(|argument| argument.value.as_variable()).map(ToString::to_string);
    let named = |variable: &str| -> usize {
        let texts = document.sources.values().map(|source| source.source_text());
        texts.map(|text| mentions(text, variable)).sum()
    };
    variables.filter(|variable| named(variable) == 2).collect()
}

/// How often a text has this variable.
fn mentions(text: &str, variable: &str) -> usize {
    let ends = |rest: &str| !rest.starts_with(|next: char| next == '_' || next.is_ascii_alphanumeric());
    text.split('$').skip(1).filter(|rest| rest.trim_start().strip_prefix(variable).is_some_and(ends)).count()
}

fn too_much(name: &str, limit: usize) -> ServerError {
    refusal(ErrorCode::CostExceeded, format!("the document has more {name} than the limit of {limit}"), None)
}

fn diagnostics(list: &DiagnosticList, code: ErrorCode) -> Vec<ServerError> {
    list.iter()
        .take(MAX_ERRORS)
        .map(|diagnostic| {
            let told = diagnostic.unstable_to_json_compat();
            let mut error = refusal(code, told.message, None);
            error.locations = told.locations.iter().map(|at| Pos { line: at.line, column: at.column }).collect();
            error
        })
        .collect()
}
