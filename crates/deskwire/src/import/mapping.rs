//! Mappings: what becomes of each column of a file, as a TOML document.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The mappings that come with the binary, by name.
const SHIPPED: &[(&str, &str)] =
    &[("servicenow-incident-log", include_str!("../../mappings/servicenow-incident-log.toml"))];

/// What becomes of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Names the other system; with the key it identifies a ticket.
    pub source: String,
    /// The kind of ticket that the rows become.
    #[serde(default = "incident")]
    pub kind: String,
    /// Between two values of a row.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Texts that mean: no value.
    #[serde(default = "empty_text")]
    pub missing: Vec<String>,
    /// The column whose value the rows of one ticket share.
    pub key: String,
    /// The columns that order rows, numbers as numbers.
    pub order: Vec<String>,
    /// The column that says when a row happened.
    pub occurred_at: String,
    /// The column that says who did it.
    pub actor: Option<String>,
    /// The column of the ticket's number; none: it gets one of ours.
    pub number: Option<String>,
    /// How times are written.
    pub dates: Dates,
    /// How users are found and made.
    #[serde(default)]
    pub users: Users,
    /// Cells of the priority matrix to set: impact, urgency, priority.
    #[serde(default)]
    pub priority_matrix: BTreeMap<String, BTreeMap<String, String>>,
    /// What becomes the fields of tickets.
    pub fields: BTreeMap<String, FieldMapping>,
}

/// How times are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// Tried one after the other, as of `strftime`.
    pub formats: Vec<String>,
    /// The zone of times that name none.
    #[serde(default = "utc")]
    pub time_zone: String,
}

/// How users are found and made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    /// Makes an address of a name: `{slug}` is the name in lower-case letters, digits and hyphens.
    pub email: String,
    /// What users who are made may do.
    pub roles: Vec<String>,
}

impl Default for Users {
    fn default() -> Self {
        Self { email: "{slug}@import.invalid".to_owned(), roles: vec!["requester".to_owned()] }
    }
}

/// What becomes one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldMapping {
    /// The column; none: the default everywhere.
    pub column: Option<String>,
    /// The value where the column has none.
    pub default: Option<String>,
    /// What the column's texts become; none: they stay as they are.
    pub values: Option<BTreeMap<String, String>>,
    /// What texts that `values` does not list become; empty: no value. None: the row is put aside.
    pub unlisted: Option<String>,
    /// Of a category: the column of the category below it.
    pub child: Option<String>,
    /// Of tags: what stands between two of them.
    pub separator: Option<String>,
}

fn incident() -> String {
    "INCIDENT".to_owned()
}

fn comma() -> char {
    ','
}

fn empty_text() -> Vec<String> {
    vec![String::new()]
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Mapping {
    /// Reads a file, or one of [`SHIPPED`] by its name.
    ///
    /// # Errors
    /// When there is neither, or the document is no mapping.
    pub fn load(name: &str) -> Result<Self> {
        let path = Path::new(name);
        let text = match SHIPPED.iter().find(|(shipped, _)| *shipped == name && !path.exists()) {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(path).with_context(|| {
                let shipped = SHIPPED.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                format!("the mapping {name} cannot be read; those that come with Deskwire are {shipped}")
            })?,
        };
        Self::parse(&text).with_context(|| format!("the mapping {name}"))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it is no mapping.
    pub fn parse(text: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text)?;
        if mapping.source.is_empty() || mapping.source.chars().count() > ticket::MAX_KEY {
            bail!("`source` has 1 to {} characters", ticket::MAX_KEY);
        }
        if !mapping.delimiter.is_ascii() {
            bail!("`delimiter` is one ASCII character");
        }
        if !mapping.users.email.contains("{slug}") {
            bail!("`users.email` makes an address of a name, such as `{{slug}}@example.com`");
        }
        Ok(mapping)
    }
}

/// The command `import mapping`.
///
/// # Errors
/// When none has this name.
pub fn print(name: Option<&str>) -> Result<()> {
    match name {
        None => SHIPPED.iter().for_each(|(name, _)| println!("{name}")),
        Some(name) => match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => print!("{text}"),
            None => bail!("no mapping `{name}` comes with Deskwire; `deskwire import mapping` lists them"),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_sound() {
        for (name, text) in SHIPPED {
            Mapping::parse(text).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let wrong = SHIPPED[0].1.replace("unlisted =", "unlist =");
        let error = format!("{:#}", Mapping::parse(&wrong).unwrap_err());
        assert!(error.contains("unlist") && error.contains("unlisted"), "{error}");
    }
}
