//! How inputs point at services and configuration items.

use async_graphql::{ID, OneofObject};
use kernel::id::prefix;
use kernel::{Id, Result, UserError};

use crate::scalars::references;

/// Points at a service.
#[derive(Clone, Debug, OneofObject)]
pub enum ServiceRef {
    /// By id, such as `service_01jcz8…`.
    Id(ID),
    /// By key, such as `e-mail`.
    Key(String),
}

impl ServiceRef {
    /// As the platform points at services.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> Result<configuration::ServiceRef> {
        Ok(match self {
            ServiceRef::Id(id) => configuration::ServiceRef::Id(parse(&id, prefix::SERVICE)?),
            ServiceRef::Key(key) => configuration::ServiceRef::Key(key),
        })
    }
}

/// Points at a configuration item.
#[derive(Clone, Debug, OneofObject)]
pub enum CiRef {
    /// By id, such as `ci_01jcz8…`.
    Id(ID),
}

impl CiRef {
    /// As the platform points at configuration items.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> Result<configuration::ItemRef> {
        let CiRef::Id(id) = self;
        Ok(configuration::ItemRef::Id(parse(&id, prefix::CONFIGURATION_ITEM)?))
    }
}

/// The items of a list in an input, errors with their place in it.
///
/// # Errors
/// `VALIDATION` below `path`.
pub fn items(path: &str, list: Option<Vec<CiRef>>) -> Result<Option<Vec<configuration::ItemRef>>> {
    references(path, list, CiRef::into_ref)
}

fn parse(text: &str, expected: &'static str) -> Result<Id> {
    Id::parse_as(text, &[expected]).map_err(|error| UserError::constraint(["id"], error.to_string(), "id", None).into())
}
