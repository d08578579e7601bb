//! The schema that clients see: its text, and the form that their documents are checked against.

use std::sync::Arc;

use apollo_compiler::ast::{DirectiveList, FieldDefinition, Type};
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Schema, name};
use kernel::Error;

/// A schema, read once. Cheap to clone: copies share it, for it takes some megabytes.
#[derive(Clone, Debug)]
pub struct Contract {
    sdl: Arc<str>,
    schema: Arc<Valid<Schema>>,
}

impl Contract {
    /// The schema in this text.
    ///
    /// # Errors
    /// `INTERNAL` when it is not a valid schema.
    pub fn new(sdl: impl Into<Arc<str>>) -> kernel::Result<Self> {
        let sdl = sdl.into();
        let schema = Schema::parse_and_validate(&*sdl, "schema.graphql")
            .map_err(|invalid| Error::internal(format!("the exported schema is invalid: {}", invalid.errors)))?;
        Ok(Self { sdl, schema: Arc::new(with_is_one_of(schema)) })
    }

    /// The text.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// What documents are checked against.
    pub fn schema(&self) -> &Arc<Valid<Schema>> {
        &self.schema
    }
}

/// The schema with `__Type.isOneOf`, which the executor answers and the validator's built-in types do not have yet.
fn with_is_one_of(schema: Valid<Schema>) -> Valid<Schema> {
    let mut schema = schema.into_inner();
    if let Some(ExtendedType::Object(meta)) = schema.types.get_mut("__Type") {
        let field = FieldDefinition {
            description: None,
            name: name!("isOneOf"),
            arguments: Vec::new(),
            ty: Type::Named(name!("Boolean")),
            directives: DirectiveList::default(),
        };
        meta.make_mut().fields.entry(name!("isOneOf")).or_insert_with(|| Component::new(field));
    }
    // One more field of a built-in scalar type leaves a valid schema valid.
    Valid::assume_valid(schema)
}
