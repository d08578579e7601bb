//! How inputs set custom fields.

use async_graphql::InputObject;
use kernel::error::Problems;
use kernel::{Result, UserError};
use serde_json::{Map, Value as Json, json};
use ticket::custom_field::{Given, SetCustomField};

use crate::configuration::CiRef;
use crate::people::UserRefInput;
use crate::people::scalars::Url;
use crate::scalars::{Date, DateTime};

/// Sets a custom field of a ticket: its key, and a value of its type. Without a value, or with null, what is there is taken away.
#[derive(Clone, Debug, InputObject)]
pub struct CustomFieldInput {
    /// The field's key, such as `costCenter`.
    pub key: String,
    /// For the type `TEXT`; at most 2,000 bytes.
    pub text: Option<String>,
    /// For the type `NUMBER`; between -1e15 and 1e15.
    pub number: Option<f64>,
    /// For the type `BOOLEAN`.
    pub boolean: Option<bool>,
    /// For the type `DATE`.
    pub date: Option<Date>,
    /// For the type `DATE_TIME`.
    pub date_time: Option<DateTime>,
    /// For the type `ENUM`: an option's key.
    pub option: Option<String>,
    /// For the type `USER`.
    pub user: Option<UserRefInput>,
    /// For the type `CONFIGURATION_ITEM`.
    pub configuration_item: Option<CiRef>,
    /// For the type `URL`; `http` or `https`, at most 2,000 bytes.
    pub url: Option<Url>,
}

impl CustomFieldInput {
    fn set(self, at: &str) -> Result<SetCustomField> {
        let user = self.user.map(|user| user.into_ref().map_err(|error| error.within("user"))).transpose()?;
        let item = self.configuration_item;
        let item = item.map(|item| item.into_ref().map_err(|error| error.within("configurationItem"))).transpose()?;
        let given = [
            self.text.map(Given::Text),
            self.number.map(Given::Number),
            self.boolean.map(Given::Boolean),
            self.date.map(|day| Given::Date(day.0)),
            self.date_time.map(|time| Given::DateTime(time.0)),
            self.option.map(Given::Option),
            user.map(Given::User),
            item.map(Given::ConfigurationItem),
            self.url.map(|url| Given::Url(url.0)),
        ];
        let mut given: Vec<Given> = given.into_iter().flatten().collect();
        if given.len() > 1 {
            let message = format!("`{}` is given {} values; give the one of its type", self.key, given.len());
            return Err(UserError::constraint([] as [&str; 0], message, "exactlyOne", None).into());
        }
        Ok(SetCustomField { at: at.to_owned(), key: self.key, value: given.pop() })
    }

    /// As an input of a transition has it.
    fn json(self) -> Json {
        let user = self.user.map(|user| match user {
            UserRefInput::Id(id) => json!({ "id": id.0 }),
            UserRefInput::Email(email) => json!({ "email": email.0 }),
        });
        let item = self.configuration_item.map(|CiRef::Id(id)| json!({ "id": id.0 }));
        let date_time = self.date_time.map(|time| time.0.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        [
            self.text.map(Json::from),
            self.number.map(Json::from),
            self.boolean.map(Json::from),
            self.date.map(|day| day.0.into()),
            date_time.map(Json::from),
            self.option.map(Json::from),
            user,
            item,
            self.url.map(|url| url.0.into()),
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_default()
    }
}

/// The custom fields of an input, errors with their place in it.
///
/// # Errors
/// `VALIDATION` below `customFields`.
pub fn set(list: Option<Vec<CustomFieldInput>>) -> Result<Vec<SetCustomField>> {
    let mut problems = Problems::default();
    let mut set = Vec::new();
    for (place, input) in list.unwrap_or_default().into_iter().enumerate() {
        let at = place.to_string();
        let read = input.set(&at).map_err(|error| error.within(&at).within("customFields"));
        set.extend(problems.take(read)?);
    }
    problems.check()?;
    Ok(set)
}

/// The custom fields of an input as a transition takes them.
///
/// # Errors
/// As [`set`]; `VALIDATION` for a key that stands twice.
pub fn of_transition(list: Option<Vec<CustomFieldInput>>) -> Result<Map<String, Json>> {
    set(list.clone())?;
    let mut values = Map::new();
    for (place, input) in list.unwrap_or_default().into_iter().enumerate() {
        let key = input.key.clone();
        if values.insert(key.clone(), input.json()).is_some() {
            let path = ["customFields".to_owned(), place.to_string()];
            return Err(UserError::constraint(path, format!("`{key}` is given twice"), "unique", None).into());
        }
    }
    Ok(values)
}
