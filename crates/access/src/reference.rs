//! References to users and teams as documents hold them (inputs of transitions): `{"email": "…"}`, `{"id": "…"}`, `{"slug": "…"}`.

use kernel::{Id, Result, UserError, id::prefix};
use serde_json::Value as Json;

use crate::commands::{TeamRef, UserRef};

impl UserRef {
    /// Reads `{"id": "usr_…"}` or `{"email": "…"}`.
    ///
    /// # Errors
    /// `VALIDATION` at `field`.
    pub fn from_json(json: &Json, field: &str) -> Result<Self> {
        match only_entry(json) {
            Some(("id", id)) => Ok(UserRef::Id(read_id(id, &[prefix::USER, prefix::SERVICE_ACCOUNT], field)?)),
            Some(("email", email)) => Ok(UserRef::Email(email.to_owned())),
            _ => Err(malformed(field, "email")),
        }
    }
}

impl TeamRef {
    /// Reads `{"id": "team_…"}` or `{"slug": "…"}`.
    ///
    /// # Errors
    /// `VALIDATION` at `field`.
    pub fn from_json(json: &Json, field: &str) -> Result<Self> {
        match only_entry(json) {
            Some(("id", id)) => Ok(TeamRef::Id(read_id(id, &[prefix::TEAM], field)?)),
            Some(("slug", slug)) => Ok(TeamRef::Slug(slug.to_owned())),
            _ => Err(malformed(field, "slug")),
        }
    }
}

fn only_entry(json: &Json) -> Option<(&str, &str)> {
    let mut entries = json.as_object()?.iter();
    let (key, value) = entries.next()?;
    if entries.next().is_some() {
        return None;
    }
    Some((key, value.as_str()?))
}

fn read_id(text: &str, expected: &[&'static str], field: &str) -> Result<Id> {
    Id::parse_as(text, expected).map_err(|error| UserError::validation([field, "id"], error.to_string()).into())
}

fn malformed(field: &str, other: &str) -> kernel::Error {
    UserError::validation([field], format!("give either `id` or `{other}`, as a text")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_read_strictly() {
        let id = Id::new(prefix::USER, kernel::Uuid::from_u128(1));
        assert_eq!(UserRef::from_json(&json!({ "id": id.to_string() }), "user").unwrap(), UserRef::Id(id));
        assert_eq!(TeamRef::from_json(&json!({ "slug": "network" }), "team").unwrap(), TeamRef::Slug("network".into()));
        for wrong in [json!({}), json!("network"), json!({ "slug": 1 }), json!({ "slug": "a", "id": "b" })] {
            assert!(TeamRef::from_json(&wrong, "team").is_err(), "{wrong}");
        }
        let kernel::Error::Refused(errors) = TeamRef::from_json(&json!({ "id": id.to_string() }), "team").unwrap_err()
        else {
            panic!()
        };
        assert_eq!(errors[0].path, ["team", "id"]);
    }
}
