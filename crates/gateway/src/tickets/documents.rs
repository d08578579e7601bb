//! Filter documents as the API's own inputs: JSON that is coerced and validated as a variable of that type would be.

use std::sync::Arc;

use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use async_graphql::InputType;
use kernel::{Error, Result, UserError};
use predicate::Predicate;
use serde_json::Value as Json;
use ticket::TicketKind;
use ticket::document::{FilterDocuments, check_length};

use crate::door::{Contract, coerce_json};
use crate::tickets::filters::{IncidentFilter, ProblemFilter, TaskFilter, TicketFilter};

/// The name of the variable that a document is coerced as.
const VARIABLE: &str = "filter";

/// Reads filter documents by the schema that clients see.
pub struct ApiDocuments {
    schema: Arc<Valid<Schema>>,
    of_tickets: ExecutableDocument,
    of_incidents: ExecutableDocument,
    of_tasks: ExecutableDocument,
    of_problems: ExecutableDocument,
}

impl ApiDocuments {
    /// By this schema.
    ///
    /// # Errors
    /// `INTERNAL` when it has no filters of tickets.
    pub fn new(contract: &Contract) -> Result<Self> {
        let schema = Arc::clone(contract.schema());
        let of_type = |name: &str| {
            let text = format!("query(${VARIABLE}: {name}!) {{ __typename }}");
            ExecutableDocument::parse(&schema, text, "filter.graphql")
                .map_err(|invalid| Error::internal(format!("no filter `{name}`: {}", invalid.errors)))
        };
        let (of_tickets, of_incidents) = (of_type("TicketFilter")?, of_type("IncidentFilter")?);
        let (of_tasks, of_problems) = (of_type("TaskFilter")?, of_type("ProblemFilter")?);
        Ok(Self { schema, of_tickets, of_incidents, of_tasks, of_problems })
    }

    /// The input of type `F` that the document is, with defaults as a client's variable gets them.
    fn read<F: InputType>(&self, operation: &ExecutableDocument, document: &Json) -> Result<F> {
        let wrong = |message: String| {
            let message = format!("the filter does not fit: {message}");
            Error::from(UserError::constraint([] as [&str; 0], message, "filter", None))
        };
        check_length(document)?;
        let mut given = JsonMap::new();
        given.insert(VARIABLE, JsonValue::from(document.clone()));
        let value = coerce_json(&self.schema, operation, &given, VARIABLE).map_err(wrong)?;
        F::parse(Some(value)).map_err(|error| wrong(error.into_server_error(Default::default()).message))
    }
}

impl FilterDocuments for ApiDocuments {
    fn of_tickets(&self, document: &Json) -> Result<Predicate> {
        self.read::<TicketFilter>(&self.of_tickets, document)?.predicate()
    }

    fn of_kind(&self, kind: TicketKind, document: &Json) -> Result<Predicate> {
        match kind {
            TicketKind::Incident => self.read::<IncidentFilter>(&self.of_incidents, document)?.predicate(),
            TicketKind::Task => self.read::<TaskFilter>(&self.of_tasks, document)?.predicate(),
            TicketKind::Problem => self.read::<ProblemFilter>(&self.of_problems, document)?.predicate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use predicate::{Operand, Path, Test};
    use serde_json::json;

    fn documents() -> ApiDocuments {
        ApiDocuments::new(&Contract::new(crate::schema::sdl()).unwrap()).unwrap()
    }

    #[test]
    fn a_document_means_what_the_same_argument_means() {
        let document = json!({
            "state": { "category": { "in": ["NEW", "ACTIVE"] } },
            "assignee": { "isViewer": true },
            "createdAt": { "gte": "-P14D" },
            "not": { "tags": { "has": "vip" } },
        });
        let predicate = documents().of_tickets(&document).unwrap();
        let mut tests = Vec::new();
        predicate.for_each_test(&mut |path, test| tests.push((path.dotted(), test.clone())));
        assert!(tests.contains(&("assignee".into(), Test::Eq(Operand::Viewer))), "{tests:?}");
        assert!(tests.contains(&("createdAt".into(), Test::Gte(Operand::Now { offset: -14 * 86_400 }))), "{tests:?}");
        assert!(tests.contains(&("tags".into(), Test::Has("vip".into()))), "{tests:?}");
        assert_eq!(documents().of_tickets(&json!({})).unwrap(), Predicate::always());
    }

    #[test]
    fn fields_of_a_kind_are_known_for_that_kind_alone() {
        let document = json!({ "origin": { "eq": "PHONE" } });
        let predicate = documents().of_kind(TicketKind::Incident, &document).unwrap();
        let phone = Test::Eq(Operand::Value("PHONE".into()));
        assert_eq!(predicate, Predicate::All(vec![Predicate::Is(Path::field("origin"), phone)]));
        assert!(documents().of_tickets(&document).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_named() {
        let documents = documents();
        for (document, named) in [
            (json!({ "colour": { "eq": "red" } }), "colour"),
            (json!({ "priority": { "eq": "P9" } }), "P9"),
            (json!({ "title": { "eq": 7 } }), "StringFilter.eq"),
            (json!({ "createdAt": { "gte": "yesterday" } }), "createdAt"),
            (json!({ "id": { "eq": "nonsense" } }), "nonsense"),
            (json!([1]), "filter"),
            (json!(null), "filter"),
            (json!({ "title": { "eq": "x".repeat(ticket::document::MAX_DOCUMENT) } }), "bytes"),
        ] {
            let error = documents.of_tickets(&document).unwrap_err();
            assert!(matches!(error, Error::Refused(_)), "{document}: {error}");
            assert!(error.to_string().contains(named), "{named}: {error}");
        }
    }
}
