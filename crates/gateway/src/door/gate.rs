//! The gate in front of the executor: nothing runs that has not been measured, validated, coerced and costed.

use std::sync::Arc;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use async_graphql::{Name, Request, ServerError, Variables};
use kernel::ErrorCode;
use moka::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::alike::Alike;
use super::contract::Contract;
use super::convert::json_value;
use super::cost::{self, IntrospectionSizes};
use super::document::{Document, Operation, OperationKind};
use super::inputs;
use super::limits::Limits;
use crate::error::refusal;

/// What a client asks for, the same on every transport.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// The document.
    pub query: String,
    /// Which of its operations.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// Values of its variables.
    #[serde(default)]
    pub variables: Option<JsonMap>,
    /// Whatever else; not used.
    #[serde(default)]
    pub extensions: Option<JsonMap>,
}

/// What is asked: operations with equal identities ask for the same, but for where in the log they begin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    document: [u8; 32],
    operation: usize,
    variables: String,
}

/// An operation that may run.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it does.
    pub kind: OperationKind,
    /// Its cost.
    pub cost: u64,
    /// What it may cost.
    pub cost_limit: u64,
    document: Arc<Document>,
    operation: usize,
    variables: Valid<JsonMap>,
}

impl Checked {
    fn operation(&self) -> &Operation {
        &self.document.operations[self.operation]
    }

    /// The operation's name, for traces.
    pub fn name(&self) -> Option<&str> {
        self.operation().name.as_deref()
    }

    /// What is asked.
    pub fn identity(&self) -> Identity {
        let places = &self.operation().places;
        let asked = self.variables.iter().filter(|(name, _)| !places.iter().any(|place| place == name.as_str()));
        let asked: Vec<_> = asked.collect();
        Identity {
            document: self.document.key,
            operation: self.operation,
            // Names and JSON values can always be written.
            variables: serde_json::to_string(&asked).unwrap_or_default(),
        }
    }

    /// The request for the executor, its document parsed and its variables coerced.
    pub fn into_request(self) -> Request {
        let mut variables = Variables::default();
        for (name, value) in self.variables.iter() {
            variables.insert(Name::new(name.as_str()), json_value(value));
        }
        let mut request = Request::new(String::new()).variables(variables);
        request.set_parsed_query(self.operation().executable.clone());
        request
    }
}

/// Checks operations against the schema and the limits; remembers documents by their hash.
#[derive(Debug)]
pub struct Gate {
    schema: Arc<Valid<Schema>>,
    limits: Limits,
    documents: Cache<[u8; 32], Arc<Document>>,
    introspection: IntrospectionSizes,
}

impl Gate {
    /// A gate for this schema.
    pub fn new(contract: &Contract, limits: Limits) -> Self {
        let schema = Arc::clone(contract.schema());
        let documents = Cache::builder()
            .max_capacity(limits.document_cache_bytes)
            // An estimate: both trees of a document take some forty times its text.
            .weigher(|_, document: &Arc<Document>| {
                let text: usize = document.checked.sources.values().map(|source| source.source_text().len()).sum();
                u32::try_from(4_096 + 40 * text).unwrap_or(u32::MAX)
            })
            .build();
        Self { introspection: IntrospectionSizes::of(&schema), schema, limits, documents }
    }

    /// Checks what a client asks for.
    ///
    /// # Errors
    /// Everything that is wrong with the document (at most five), its variables or its cost.
    pub fn check(&self, parameters: &Parameters) -> Result<Checked, Vec<ServerError>> {
        let document = self.document(&parameters.query)?;
        let one = |error: ServerError| vec![error];
        let index = document.select(parameters.operation_name.as_deref()).map_err(one)?;
        let operation = &document.operations[index];
        let none = JsonMap::new();
        let given = parameters.variables.as_ref().unwrap_or(&none);
        let variables = self.coerce(&document.checked, operation, given).map_err(one)?;
        let cost = self.cost(&document.checked, operation, &variables).map_err(one)?;
        let cost_limit = if operation.is_introspection() { self.limits.introspection_cost } else { self.limits.cost };
        if cost > cost_limit {
            let message = format!(
                "the operation costs {cost}; the limit is {cost_limit}: ask for fewer fields, smaller pages or less nesting"
            );
            return Err(one(refusal(ErrorCode::CostExceeded, message, None)));
        }
        let kind = operation.kind;
        Ok(Checked { kind, cost, cost_limit, document, operation: index, variables })
    }

    /// Whether the operation is about nothing but what is named here.
    pub fn covered(&self, alike: &Alike, checked: &Checked) -> bool {
        let document = &checked.document.checked;
        let operation = self.compiled(document, checked.operation());
        operation.is_ok_and(|operation| alike.covers(&self.schema, document, operation, &checked.variables))
    }

    fn document(&self, text: &str) -> Result<Arc<Document>, Vec<ServerError>> {
        let key: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if let Some(known) = self.documents.get(&key) {
            return Ok(known);
        }
        let document = Arc::new(Document::parse(text, key, &self.schema, &self.limits)?);
        self.documents.insert(key, document.clone());
        Ok(document)
    }

    fn coerce(
        &self,
        document: &ExecutableDocument,
        operation: &Operation,
        given: &JsonMap,
    ) -> Result<Valid<JsonMap>, ServerError> {
        let compiled = self.compiled(document, operation)?;
        let refused = |message: String| refusal(ErrorCode::GraphqlValidationFailed, message, None);
        let variables = coerce_variable_values(&self.schema, compiled, given)
            .map_err(|error| refused(error.message().to_string()))?;
        inputs::check(&self.schema, document, compiled, &variables)?;
        Ok(variables)
    }

    fn cost(
        &self,
        document: &ExecutableDocument,
        operation: &Operation,
        variables: &JsonMap,
    ) -> Result<u64, ServerError> {
        let compiled = self.compiled(document, operation)?;
        cost::cost(document, compiled, variables, &self.limits, &self.introspection)
    }

    fn compiled<'a>(
        &self,
        document: &'a ExecutableDocument,
        operation: &Operation,
    ) -> Result<&'a apollo_compiler::executable::Operation, ServerError> {
        document
            .operations
            .get(operation.name.as_deref())
            .map(|node| node.as_ref())
            .map_err(|error| refusal(ErrorCode::GraphqlValidationFailed, error.message().to_string(), None))
    }
}
