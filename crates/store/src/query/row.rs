//! One row as it was read: values by field, and the rows of joined relations.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kernel::{Result, Timestamp, Uuid};
use predicate::{Facts, Field, FieldType, Path, RecordType, Value, keyed};
use sea_orm::QueryResult;
use sea_orm::sqlx::postgres::{PgRow, PgValueFormat};
use sea_orm::sqlx::{Row as _, ValueRef as _};

use crate::connection::ResultRow;
use crate::error::to_error as database_error;

/// A record as the viewer may read it. Cheap to clone: copies share what neither has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    record: &'static str,
    fields: Arc<Vec<(&'static str, Value)>>,
    relations: Arc<Vec<(&'static str, Option<Row>)>>,
}

impl Row {
    /// The name of its record type.
    pub fn record(&self) -> &'static str {
        self.record
    }

    /// The value of a field; [`Value::Null`] for one that was not read.
    pub fn get(&self, field: &str) -> &Value {
        self.fields.iter().find(|(name, _)| *name == field).map_or(&Value::Null, |(_, value)| value)
    }

    fn holds(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| *name == field)
    }

    /// The id.
    pub fn id(&self) -> Uuid {
        self.get("id").as_id().unwrap_or_default()
    }

    /// A text that is never absent in the database; empty otherwise.
    pub fn text(&self, field: &str) -> String {
        self.optional_text(field).unwrap_or_default()
    }

    /// A text that may be absent.
    pub fn optional_text(&self, field: &str) -> Option<String> {
        self.get(field).as_text().map(str::to_owned)
    }

    /// A number that is never absent in the database; 0 otherwise.
    pub fn int(&self, field: &str) -> i64 {
        self.get(field).as_int().unwrap_or_default()
    }

    /// A truth value that is never absent in the database; false otherwise.
    pub fn bool(&self, field: &str) -> bool {
        self.get(field).as_bool().unwrap_or_default()
    }

    /// An instant that is never absent in the database; the epoch otherwise.
    pub fn time(&self, field: &str) -> Timestamp {
        self.get(field).as_time().unwrap_or_default()
    }

    /// A list of texts; empty when absent.
    pub fn texts(&self, field: &str) -> Vec<String> {
        match self.get(field) {
            Value::TextList(items) => items.clone(),
            _ => Vec::new(),
        }
    }

    /// The joined record of a relation: `None` when there is none, when the viewer may not see it, or when the relation was not loaded.
    pub fn relation(&self, name: &str) -> Option<&Row> {
        self.relations.iter().find(|(known, _)| *known == name).and_then(|(_, row)| row.as_ref())
    }

    /// Whether the relation was loaded, with or without a record.
    pub fn has_loaded(&self, relation: &str) -> bool {
        self.relations.iter().any(|(known, _)| *known == relation)
    }

    /// Replaces a field's value, as an update in the making does.
    pub fn set(&mut self, field: &'static str, value: Value) {
        let fields = Arc::make_mut(&mut self.fields);
        match fields.iter_mut().find(|(name, _)| *name == field) {
            Some((_, current)) => *current = value,
            None => fields.push((field, value)),
        }
    }

    /// Replaces the joined record of a relation.
    pub fn set_relation(&mut self, relation: &'static str, row: Option<Row>) {
        let relations = Arc::make_mut(&mut self.relations);
        match relations.iter_mut().find(|(name, _)| *name == relation) {
            Some((_, current)) => *current = row,
            None => relations.push((relation, row)),
        }
    }

    /// A row with these values, as a record in the making is.
    pub fn new(record: &'static RecordType, fields: Vec<(&'static str, Value)>) -> Self {
        Self { record: record.name, fields: Arc::new(fields), relations: Arc::default() }
    }

    /// All values that were read.
    pub fn fields(&self) -> &[(&'static str, Value)] {
        &self.fields
    }
}

impl Facts for Row {
    fn value(&self, path: &Path) -> Value {
        match path.relations.split_first() {
            None => self.get(&path.field).clone(),
            Some((relation, _)) if let Some((document, key)) = keyed::split(relation) => match self.get(document) {
                Value::Json(document) => keyed::value(document, key, &path.field),
                _ => Value::Null,
            },
            Some((relation, rest)) => self.relation(relation).map_or(Value::Null, |row| {
                // The row of an extension holds its own fields; those of its base are here.
                if rest.is_empty() && !row.holds(&path.field) {
                    return self.get(&path.field).clone();
                }
                row.value(&Path { relations: rest.to_vec(), field: path.field.clone() })
            }),
        }
    }
}

/// Which columns a statement answers, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) record: &'static str,
    pub(super) fields: Vec<&'static Field>,
    pub(super) relations: Vec<(&'static str, Shape)>,
}

pub(super) fn decode(result: &ResultRow, shape: &Shape) -> Result<Row> {
    decode_from(result, shape, &mut 0)
}

fn decode_from(result: &ResultRow, shape: &Shape, index: &mut usize) -> Result<Row> {
    let mut fields = Vec::with_capacity(shape.fields.len());
    for field in &shape.fields {
        fields.push((field.name, decode_value(result, *index, &field.kind)?));
        *index += 1;
    }
    let mut relations = Vec::with_capacity(shape.relations.len());
    for (name, inner) in &shape.relations {
        let row = decode_from(result, inner, index)?;
        relations.push((*name, (!row.get("id").is_null()).then_some(row)));
    }
    Ok(Row { record: shape.record, fields: Arc::new(fields), relations: Arc::new(relations) })
}

pub(super) fn decode_value(result: &ResultRow, index: usize, kind: &FieldType) -> Result<Value> {
    if let Some(row) = result.driver().and_then(QueryResult::try_as_pg_row)
        && let Some(value) = postgres_value(row, index, kind)
    {
        return Ok(value);
    }
    let value = match kind {
        FieldType::Id => result.try_get_by_index::<Option<Uuid>>(index).map(Value::from),
        FieldType::Text | FieldType::Enum(_) => result.try_get_by_index::<Option<String>>(index).map(Value::from),
        FieldType::Int => {
            result.try_get_by_index::<Option<i64>>(index).map(|value| value.map_or(Value::Null, Value::Int))
        }
        FieldType::Number => result.try_get_by_index::<Option<f64>>(index).map(Value::from),
        FieldType::Bool => result.try_get_by_index::<Option<bool>>(index).map(Value::from),
        FieldType::Time => result.try_get_by_index::<Option<DateTime<Utc>>>(index).map(Value::from),
        FieldType::TextList => result
            .try_get_by_index::<Option<serde_json::Value>>(index)
            .map(|json| json.and_then(|json| Value::from_json(&FieldType::TextList, &json)).unwrap_or(Value::Null)),
        FieldType::Json => result
            .try_get_by_index::<Option<serde_json::Value>>(index)
            .map(|json| json.map_or(Value::Null, Value::Json)),
    };
    value.map_err(database_error)
}

/// Reads PostgreSQL's binary form of a value without asking for its type again: the statement was made from the same
/// declaration. `None` for what does not look like it.
///
/// A page of 50 tickets has some 3,500 values; the general way takes several times as long for each.
fn postgres_value(row: &PgRow, index: usize, kind: &FieldType) -> Option<Value> {
    let raw = row.try_get_raw(index).ok()?;
    if raw.is_null() {
        return Some(Value::Null);
    }
    if raw.format() != PgValueFormat::Binary {
        return None;
    }
    let bytes = raw.as_bytes().ok()?;
    Some(match kind {
        FieldType::Id => Value::Id(Uuid::from_slice(bytes).ok()?),
        FieldType::Text | FieldType::Enum(_) => Value::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
        // `integer` or `bigint`.
        FieldType::Int => match bytes.len() {
            4 => Value::Int(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
            _ => Value::Int(i64::from_be_bytes(bytes.try_into().ok()?)),
        },
        FieldType::Number => Value::Number(f64::from_be_bytes(bytes.try_into().ok()?)),
        FieldType::Bool => Value::Bool(*bytes.first()? != 0),
        FieldType::Time => {
            let microseconds = i64::from_be_bytes(bytes.try_into().ok()?);
            Value::Time(DateTime::from_timestamp_micros(microseconds.checked_add(POSTGRES_EPOCH)?)?)
        }
        FieldType::TextList | FieldType::Json => {
            // `jsonb` begins with the version of its form.
            let json = serde_json::from_slice(bytes.strip_prefix(&[1])?).ok()?;
            match kind {
                FieldType::TextList => Value::from_json(kind, &json).unwrap_or(Value::Null),
                _ => Value::Json(json),
            }
        }
    })
}

/// PostgreSQL counts microseconds from the year 2000 on.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
