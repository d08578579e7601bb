//! How often something comes back, in one statement: no figure of it tells what its viewer could not have listed.

use kernel::{Error, Result, Uuid};
use predicate::{Catalogue, Field, FieldType, Path, Predicate, RecordType};
use sea_orm::sea_query::{Alias, CaseStatement, PostgresQueryBuilder, SqliteQueryBuilder};
use sea_orm::{DbBackend, Statement, Value as Bound};

use super::Scoped;
use super::compile::Compiler;
use super::row::decode_value;
use super::statistics::seconds;
use crate::connection::{ConnectionTrait, ResultRow};
use crate::error::to_error as database_error;

/// What is looked for: rows that began soon after another one ended with which they have two references in common. Whoever lacks one of
/// the two has nothing in common with anybody.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// Among which records.
    pub record: &'static RecordType,
    /// What is told of: the id of this.
    pub subject: Path,
    /// The reference that rows are grouped by.
    pub common: Path,
    /// The other one that rows have in common.
    pub alike: Path,
    /// When it began.
    pub begins: Path,
    /// When it ended.
    pub ends: Path,
    /// Which are counted: checked, resolved and masked.
    pub counted: Predicate,
    /// After which they count as having come back: checked, resolved and masked.
    pub after: Predicate,
    /// How soon, in whole seconds.
    pub within: i64,
}

/// The figures of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrenceGroup {
    /// What its rows have in common.
    pub key: Uuid,
    /// How many rows.
    pub count: i64,
    /// How many of them came back.
    pub recurring: i64,
}

/// Groups, and what all of them come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecurrenceFigures {
    /// Those in which most came back first.
    pub groups: Vec<RecurrenceGroup>,
    /// How many rows all groups have, also those beyond the limit.
    pub count: i64,
    /// How many of them came back.
    pub recurring: i64,
}

/// Takes figures of what comes back, of at most so many groups.
///
/// # Errors
/// Database errors.
pub async fn recurrence(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    wanted: &Recurrence,
    limit: u32,
) -> Result<RecurrenceFigures> {
    let backend = connection.get_database_backend();
    let (rows, values) = rows(backend, scoped, wanted)?;
    let sql = format!(
        "{rows} SELECT k, COUNT(*) AS counted, CAST(SUM(hit) AS bigint) AS recurring, CAST(SUM(COUNT(*)) OVER () AS bigint) AS all_counted, \
         CAST(SUM(SUM(hit)) OVER () AS bigint) AS all_recurring FROM judged GROUP BY k \
         ORDER BY SUM(hit) DESC, COUNT(*) DESC, k LIMIT {limit}"
    );
    let found = connection.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    let mut figures = RecurrenceFigures::default();
    for row in found.map_err(database_error)? {
        let number = |name: &str| row.try_get::<i64>(name).map_err(database_error);
        figures.groups.push(RecurrenceGroup {
            key: id(&row, 0)?,
            count: number("counted")?,
            recurring: number("recurring")?,
        });
        (figures.count, figures.recurring) = (number("all_counted")?, number("all_recurring")?);
    }
    Ok(figures)
}

/// The subjects under the figures of these groups, each with its group and whether it came back; the latest of each, at most so many of
/// either kind.
///
/// # Errors
/// Database errors.
pub async fn recurrence_subjects(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    wanted: &Recurrence,
    groups: &[Uuid],
    each: u32,
) -> Result<Vec<(Uuid, Uuid, bool)>> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let backend = connection.get_database_backend();
    let (rows, mut values) = rows(backend, scoped, wanted)?;
    let marks = groups.iter().map(|group| {
        values.push(Bound::from(*group));
        if backend == DbBackend::Postgres { format!("${}", values.len()) } else { "?".to_owned() }
    });
    let marks: Vec<String> = marks.collect();
    let sql = format!(
        "{rows} SELECT k, subject, hit FROM (SELECT k, subject, hit, at, \
         ROW_NUMBER() OVER (PARTITION BY k, hit ORDER BY at DESC, subject) AS place FROM judged WHERE k IN ({})) AS placed \
         WHERE place <= {each} ORDER BY k, at DESC, subject",
        marks.join(", ")
    );
    let found = connection.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    let found = found.map_err(database_error)?;
    let one = |row: &ResultRow| {
        let hit = row.try_get::<i32>("hit").map_err(database_error)?;
        Ok((id(row, 0)?, id(row, 1)?, hit == 1))
    };
    found.iter().map(one).collect()
}

fn id(row: &ResultRow, place: usize) -> Result<Uuid> {
    let value = decode_value(row, place, &FieldType::Id)?;
    value.as_id().ok_or_else(|| Error::internal("a group without a key"))
}

/// What statements begin with: the visible rows, all beginnings and ends in their order, and `judged`: each counted row with whether it
/// came back. The latest end before a beginning decides, so one walk along the order is enough; at the same instant the beginning comes
/// first, and so nothing comes back after itself.
fn rows(backend: DbBackend, scoped: &Scoped<'_>, wanted: &Recurrence) -> Result<(String, Vec<Bound>)> {
    let mut compiler = Compiler::new(backend, scoped, wanted.record);
    let mut statement = compiler.visible(&wanted.counted.clone().or(wanted.after.clone()));
    for (name, path) in [
        ("subject", &wanted.subject),
        ("k", &wanted.common),
        ("a", &wanted.alike),
        ("b", &wanted.begins),
        ("e", &wanted.ends),
    ] {
        let (target, field) = place_of(scoped.catalogue, wanted.record, path)?;
        let value = compiler.masked(&path.relations, target, field);
        if name == "b" || name == "e" {
            let (target, field) = place_of(scoped.catalogue, wanted.record, path)?;
            let instant = compiler.masked(&path.relations, target, field);
            statement.expr_as(seconds(backend, instant), Alias::new(format!("{name}s")));
        }
        statement.expr_as(value, Alias::new(name));
    }
    for (name, condition) in [("counted", &wanted.counted), ("ended", &wanted.after)] {
        let holds = compiler.condition(condition, false);
        statement.expr_as(CaseStatement::new().case(holds, 1).finally(0), Alias::new(name));
    }
    compiler.join(&mut statement);
    let (sql, values) = match backend {
        DbBackend::Postgres => statement.build(PostgresQueryBuilder),
        _ => statement.build(SqliteQueryBuilder),
    };
    let within = wanted.within;
    let sql = format!(
        "WITH seen AS ({sql}), \
         instants AS (\
         SELECT subject, k, a, b AS at, bs AS s, 0 AS is_end, CAST(NULL AS bigint) AS end_s FROM seen WHERE counted = 1 AND k IS NOT NULL \
         UNION ALL \
         SELECT subject, k, a, e, es, 1, es FROM seen WHERE ended = 1 AND k IS NOT NULL AND a IS NOT NULL AND e IS NOT NULL), \
         walked AS (SELECT subject, k, a, at, s, is_end, MAX(end_s) OVER (PARTITION BY k, a ORDER BY at, is_end \
         ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS latest FROM instants), \
         judged AS (SELECT subject, k, at, CASE WHEN a IS NOT NULL AND s - latest <= {within} THEN 1 ELSE 0 END AS hit \
         FROM walked WHERE is_end = 0)"
    );
    Ok((sql, values.0))
}

fn place_of(
    catalogue: &Catalogue,
    record: &'static RecordType,
    path: &Path,
) -> Result<(&'static RecordType, &'static Field)> {
    let target = catalogue.follow(record, &path.relations);
    let found = target.and_then(|target| Some((target, target.field(&path.field)?)));
    found.ok_or_else(|| Error::internal(format!("no field `{}`", path.dotted())))
}
