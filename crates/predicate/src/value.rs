//! Typed values of fields, and their form in JSON (facts of events, stored predicates).

use std::cmp::Ordering;

use kernel::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::FieldType;

/// One value of a field.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// Absent.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, finite.
    Number(f64),
    /// Text, and the names of enum values.
    Text(String),
    /// The id of a record.
    Id(Uuid),
    /// An instant.
    Time(Timestamp),
    /// A short list of texts, such as tags.
    TextList(Vec<String>),
    /// A document that is shown but never compared.
    Json(serde_json::Value),
}

impl Value {
    /// Whether it is absent.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The order of two values of one type; `None` when either is absent or the types differ.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
            (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Value::Id(a), Value::Id(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// The plain JSON form, without a type tag.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Number(value) => (*value).into(),
            Value::Text(value) => value.clone().into(),
            Value::Id(value) => value.to_string().into(),
            Value::Time(value) => value.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into(),
            Value::TextList(value) => value.clone().into(),
            Value::Json(value) => value.clone(),
        }
    }

    /// Reads the plain JSON form of a field of this type; `None` when it does not fit.
    pub fn from_json(kind: &FieldType, json: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match (kind, json) {
            (_, Json::Null) => Value::Null,
            (FieldType::Bool, Json::Bool(value)) => Value::Bool(*value),
            (FieldType::Int, Json::Number(value)) => Value::Int(value.as_i64()?),
            (FieldType::Number, Json::Number(value)) => Value::Number(value.as_f64()?),
            (FieldType::Text | FieldType::Enum(_), Json::String(value)) => Value::Text(value.clone()),
            (FieldType::Id, Json::String(value)) => Value::Id(value.parse().ok()?),
            (FieldType::Time, Json::String(value)) => {
                Value::Time(chrono::DateTime::parse_from_rfc3339(value).ok()?.with_timezone(&chrono::Utc))
            }
            (FieldType::TextList, Json::Array(items)) => {
                Value::TextList(items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?)
            }
            (FieldType::Json, value) => Value::Json(value.clone()),
            _ => return None,
        })
    }

    /// Whether the value may stand in a field of this type.
    pub fn fits(&self, kind: &FieldType) -> bool {
        matches!(
            (self, kind),
            (Value::Bool(_), FieldType::Bool)
                | (Value::Int(_), FieldType::Int)
                | (Value::Number(_), FieldType::Number)
                | (Value::Text(_), FieldType::Text | FieldType::Enum(_))
                | (Value::Id(_), FieldType::Id)
                | (Value::Time(_), FieldType::Time)
                | (Value::TextList(_), FieldType::TextList)
                | (Value::Json(_), FieldType::Json)
        )
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(value) = self { Some(value) } else { None }
    }

    /// The id, if it is one.
    pub fn as_id(&self) -> Option<Uuid> {
        if let Value::Id(value) = self { Some(*value) } else { None }
    }

    /// The number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(value) = self { Some(*value) } else { None }
    }

    /// The number with a fraction, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        if let Value::Number(value) = self { Some(*value) } else { None }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The instant, if it is one.
    pub fn as_time(&self) -> Option<Timestamp> {
        if let Value::Time(value) = self { Some(*value) } else { None }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Value::Id(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Number(value)
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Value::Time(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_the_value() {
        let time =
            chrono::DateTime::parse_from_rfc3339("2026-03-01T10:00:00.123456Z").unwrap().with_timezone(&chrono::Utc);
        for (kind, value) in [
            (FieldType::Int, Value::Int(7)),
            (FieldType::Number, Value::Number(0.1 + 0.2)),
            (FieldType::Id, Value::Id(Uuid::from_u128(9))),
            (FieldType::Time, Value::Time(time)),
            (FieldType::TextList, Value::TextList(vec!["vpn".into()])),
            (FieldType::Text, Value::Null),
        ] {
            assert_eq!(Value::from_json(&kind, &value.to_json()), Some(value));
        }
        assert_eq!(Value::from_json(&FieldType::Int, &serde_json::json!("7")), None);
    }
}
