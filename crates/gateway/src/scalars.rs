//! The scalars of the contract, each with the specification of its form.

use async_graphql::{ID, InputValueError, InputValueResult, MaybeUndefined, Pos, Scalar, ScalarType, Value};
use chrono::{DateTime as ChronoDateTime, SecondsFormat, SubsecRound, Utc};
use kernel::{Id, Patch, Timestamp, Uuid};
use predicate::Operand;

use crate::people::scalars::{EmailAddress, TimeZone, Url};

/// An instant in RFC 3339. Answers are in UTC with microseconds; inputs may have any offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

/// An instant in RFC 3339, such as `2026-03-01T09:00:00Z`. Answers are in UTC with microseconds; inputs may have any offset.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        match ChronoDateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(DateTime(time.with_timezone(&Utc).trunc_subsecs(6))),
            Err(_) => Err(InputValueError::custom("expected an instant in RFC 3339, such as `2026-03-01T09:00:00Z`")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A day of the calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Date(pub String);

/// A day of the calendar in ISO 8601, such as `2026-03-01`. It has no time zone.
#[Scalar(name = "Date", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = value else { return Err(InputValueError::expected_type(value)) };
        let read = chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok();
        match read.filter(|read| read.format("%Y-%m-%d").to_string() == text && text.len() == 10) {
            Some(_) => Ok(Date(text)),
            None => Err(InputValueError::custom("expected a date such as `2026-03-01`")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A decimal number with at most four digits behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal(pub i64);

/// An exact decimal number as a text, such as `"42.50"`: at most 12 digits before the point and at most 4 behind it. Never read it
/// into a floating point number.
#[Scalar(name = "Decimal", specified_by_url = "https://www.w3.org/TR/xmlschema11-2/#decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => kernel::money::parse_amount(text)
                .map(Decimal)
                .ok_or_else(|| InputValueError::custom("expected a decimal number as a text, such as `\"42.50\"`")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(kernel::money::format_amount(self.0))
    }
}

/// A place in a list or in the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// An opaque place in a list (`edges.cursor`, `pageInfo`) or in the event log (`logCursor`, events). The two kinds do not
/// replace each other.
#[Scalar(name = "Cursor", specified_by_url = "https://relay.dev/graphql/connections.htm#sec-Cursor")]
impl ScalarType for Cursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Cursor(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A text in Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markdown(pub String);

/// A text in Markdown (CommonMark), as its author wrote it. Sanitise what you render from it.
#[Scalar(name = "Markdown", specified_by_url = "https://spec.commonmark.org/")]
impl ScalarType for Markdown {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Markdown(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Any JSON value.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

/// Any JSON value.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Json(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

/// A JSON Schema.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonSchema(pub serde_json::Value);

/// A JSON Schema of draft 2020-12.
#[Scalar(name = "JSONSchema", specified_by_url = "https://json-schema.org/draft/2020-12/schema")]
impl ScalarType for JsonSchema {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(JsonSchema(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

/// An instant, or a duration relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePoint {
    /// This instant.
    At(Timestamp),
    /// Now, moved by this many seconds.
    Relative(i64),
}

/// An instant in RFC 3339 (`2026-03-01T09:00:00Z`), or an ISO 8601 duration relative to now (`-P14D`, `PT1H`); a day has 24 hours.
#[Scalar(name = "TimePoint", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#appendix-A")]
impl ScalarType for TimePoint {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        if let Ok(time) = ChronoDateTime::parse_from_rfc3339(text) {
            return Ok(TimePoint::At(time.with_timezone(&Utc).trunc_subsecs(6)));
        }
        relative_seconds(text).map(TimePoint::Relative).ok_or_else(|| {
            InputValueError::custom("expected an instant such as `2026-03-01T09:00:00Z` or a duration such as `-P14D`")
        })
    }

    fn to_value(&self) -> Value {
        Value::String(match self {
            TimePoint::At(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
            TimePoint::Relative(seconds) if *seconds < 0 => format!("-PT{}S", seconds.unsigned_abs()),
            TimePoint::Relative(seconds) => format!("PT{seconds}S"),
        })
    }
}

/// A length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration(pub String);

impl Duration {
    /// Of so many seconds.
    pub fn of_seconds(seconds: i64) -> Self {
        Self(kernel::clock::format_duration(chrono::Duration::seconds(seconds)))
    }

    /// How many seconds it has; the scalar has read it before.
    pub fn seconds(&self) -> i64 {
        kernel::parse_duration(&self.0).unwrap_or_default().num_seconds()
    }
}

/// A length of time in ISO 8601, such as `P5D` or `PT1H30M`; a day has 24 hours.
#[Scalar(name = "Duration", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#appendix-A")]
impl ScalarType for Duration {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if kernel::parse_duration(&text).is_some() => Ok(Duration(text)),
            Value::String(_) => Err(InputValueError::custom("expected a duration such as `P5D` or `PT1H30M`")),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Durations that are not longer than this make sense relative to now.
const MAX_RELATIVE_SECONDS: i64 = 100 * 366 * 86_400;

fn relative_seconds(text: &str) -> Option<i64> {
    let seconds = kernel::parse_duration(text)?.num_seconds();
    (seconds.abs() <= MAX_RELATIVE_SECONDS).then_some(seconds)
}

impl TimePoint {
    /// The instant, when it is now so late.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            TimePoint::At(at) => at,
            TimePoint::Relative(seconds) => now + chrono::Duration::seconds(seconds),
        }
    }
}

impl From<TimePoint> for Operand {
    fn from(point: TimePoint) -> Self {
        match point {
            TimePoint::At(time) => Operand::Value(time.into()),
            TimePoint::Relative(offset) => Operand::Now { offset },
        }
    }
}

/// Looks at a value as a scalar would; the text says what is wrong with it.
pub type ScalarCheck = fn(Value) -> Result<(), String>;

/// The check of a scalar that this project declares, by its public name. Documents are checked with it before anything
/// of them runs: a mutation must not be done before the next one is found to be invalid.
pub fn check_of(name: &str) -> Option<ScalarCheck> {
    Some(match name {
        "Cursor" => check::<Cursor>,
        "Date" => check::<Date>,
        "DateTime" => check::<DateTime>,
        "Decimal" => check::<Decimal>,
        "Duration" => check::<Duration>,
        "EmailAddress" => check::<EmailAddress>,
        "JSON" => check::<Json>,
        "JSONSchema" => check::<JsonSchema>,
        "Markdown" => check::<Markdown>,
        "TimePoint" => check::<TimePoint>,
        "TimeZone" => check::<TimeZone>,
        "URL" => check::<Url>,
        _ => return None,
    })
}

fn check<T: ScalarType + async_graphql::InputType>(value: Value) -> Result<(), String> {
    <T as ScalarType>::parse(value).map(drop).map_err(|error| error.into_server_error(Pos::default()).message)
}

/// The id of a record as clients see it.
pub fn id_of(prefix: &'static str, uuid: Uuid) -> ID {
    ID(Id::new(prefix, uuid).to_string())
}

/// Absent, null or a value.
pub fn patch<T: async_graphql::InputType>(field: MaybeUndefined<T>) -> Patch<T> {
    match field {
        MaybeUndefined::Undefined => Patch::Keep,
        MaybeUndefined::Null => Patch::Clear,
        MaybeUndefined::Value(value) => Patch::Set(value),
    }
}

/// A patch of a reference, with the paths of its errors under the field's name.
///
/// # Errors
/// Those of the conversion, below `field`.
pub fn reference<I, R>(
    field: &str,
    input: MaybeUndefined<I>,
    convert: impl FnOnce(I) -> kernel::Result<R>,
) -> kernel::Result<Patch<R>> {
    match input {
        MaybeUndefined::Undefined => Ok(Patch::Keep),
        MaybeUndefined::Null => Ok(Patch::Clear),
        MaybeUndefined::Value(input) => convert(input).map(Patch::Set).map_err(|error| error.within(field)),
    }
}

/// An optional reference, with the paths of its errors under the field's name.
///
/// # Errors
/// Those of the conversion, below `path`.
pub fn within<T>(path: &str, result: Option<kernel::Result<T>>) -> kernel::Result<Option<T>> {
    result.transpose().map_err(|error| error.within(path))
}

/// An optional list of references, with the paths of errors under the field's name and the place in the list.
///
/// # Errors
/// Those of the conversion, below `path` and the place.
pub fn references<I, R>(
    path: &str,
    list: Option<Vec<I>>,
    convert: impl Fn(I) -> kernel::Result<R>,
) -> kernel::Result<Option<Vec<R>>> {
    let Some(list) = list else { return Ok(None) };
    let placed = list.into_iter().enumerate();
    let converted = placed.map(|(place, one)| convert(one).map_err(|error| error.within(&place.to_string())));
    converted.collect::<kernel::Result<Vec<_>>>().map(Some).map_err(|error| error.within(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_point_is_an_instant_or_a_duration() {
        let parse = |text: &str| TimePoint::parse(Value::String(text.into())).ok();
        assert_eq!(parse("-P14D"), Some(TimePoint::Relative(-14 * 86_400)));
        assert_eq!(parse("PT1H30M"), Some(TimePoint::Relative(5_400)));
        assert!(matches!(parse("2026-03-01T09:00:00+01:00"), Some(TimePoint::At(_))));
        for wrong in ["yesterday", "14 days", "P1M", "P999999999D", ""] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_scalar_of_the_schema_is_checked_before_anything_runs() {
        let sdl = crate::schema::sdl();
        let declared = sdl.lines().filter_map(|line| line.strip_prefix("scalar ")?.split_whitespace().next());
        let unchecked: Vec<&str> = declared.filter(|name| check_of(name).is_none()).collect();
        assert_eq!(unchecked, Vec::<&str>::new());
    }

    #[test]
    fn instants_are_answered_in_utc() {
        let time = DateTime::parse(Value::String("2026-03-01T09:00:00.1234567+01:00".into())).unwrap();
        assert_eq!(time.to_value(), Value::String("2026-03-01T08:00:00.123456Z".into()));
    }
}
