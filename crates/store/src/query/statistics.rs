//! Counts and durations by groups, in one statement: no figure of it tells what its viewer could not have listed.

use std::fmt::Write as _;

use kernel::{Error, Result, Timestamp};
use predicate::{Catalogue, Field, FieldType, Path, Predicate, RecordType, Value, keyed};
use sea_orm::sea_query::{Alias, CaseStatement, Expr, ExprTrait, Func, PostgresQueryBuilder, SqliteQueryBuilder};
use sea_orm::{DbBackend, Statement, Value as Bound};

use super::Scoped;
use super::compile::Compiler;
use super::row::decode_value;
use crate::connection::{ConnectionTrait, ResultRow};
use crate::error::to_error as database_error;

/// What rows are grouped by.
#[derive(Clone, Debug)]
pub enum GroupBy {
    /// The value of a field, or of `relation:key.slot`; references by their id.
    Field(String),
    /// The interval that the instant in a field lies in. Rows outside all of them are left out.
    Interval {
        /// The field.
        field: &'static str,
        /// Where the intervals begin, ascending, and at last where the last one ends.
        bounds: Vec<Timestamp>,
    },
}

/// Figures to be taken.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Of which records.
    pub record: &'static RecordType,
    /// Of those that match: checked, resolved and masked.
    pub filter: Predicate,
    /// In which groups.
    pub group_by: Vec<GroupBy>,
    /// Also of the times between the instants in two fields each.
    pub between: Vec<(&'static str, &'static str)>,
    /// Also how many of the group match: checked, resolved and masked.
    pub matching: Vec<Predicate>,
    /// Also what these whole numbers add up to: fields, or `relation.field`. What the viewer may not read adds nothing.
    pub sums: Vec<&'static str>,
    /// How many groups at most: the largest.
    pub limit: u32,
}

/// The figures of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The group's value for each part of `group_by`; for intervals the place of the interval.
    pub keys: Vec<Value>,
    /// How many rows.
    pub count: i64,
    /// The times between, for each part of `between`, where there are any.
    pub durations: Vec<Option<Durations>>,
    /// How many match, for each part of `matching`.
    pub matching: Vec<i64>,
    /// The sums, for each part of `sums`; `None` where there is no number.
    pub sums: Vec<Option<i64>>,
}

/// Times between two instants, in whole seconds. Percentiles are values that occur (nearest rank).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// Of how many rows.
    pub count: i64,
    /// The mean.
    pub mean: i64,
    /// Half of them took no longer.
    pub p50: i64,
    /// Nine of ten took no longer.
    pub p90: i64,
    /// 95 of a hundred took no longer.
    pub p95: i64,
    /// The longest.
    pub longest: i64,
}

/// Takes figures: the largest groups first.
///
/// # Errors
/// Database errors.
pub async fn statistics(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    wanted: &Statistics,
) -> Result<Vec<Group>> {
    let place = |part: &GroupBy| match part {
        GroupBy::Field(name) => place_of(scoped.catalogue, wanted.record, name),
        GroupBy::Interval { field, .. } => place_of(scoped.catalogue, wanted.record, field),
    };
    let fields = wanted.group_by.iter().map(place).collect::<Result<Vec<_>>>()?;
    let statement = compile(connection.get_database_backend(), scoped, wanted, &fields)?;
    let rows = connection.query_all_raw(statement).await.map_err(database_error)?;
    rows.iter().map(|row| decode(row, wanted, &fields)).collect()
}

/// What is counted by: the way there, the record at its end, and the field.
type Place = (Path, &'static RecordType, &'static Field);

fn place_of(catalogue: &Catalogue, record: &'static RecordType, name: &str) -> Result<Place> {
    let path = keyed::path(name);
    let target = catalogue.follow(record, &path.relations);
    let found = target.and_then(|target| Some((target, target.field(&path.field)?)));
    let (target, field) = found.ok_or_else(|| Error::internal(format!("no field `{name}`")))?;
    Ok((path, target, field))
}

fn compile(backend: DbBackend, scoped: &Scoped<'_>, wanted: &Statistics, fields: &[Place]) -> Result<Statement> {
    let (mut sql, mut values) = rows(backend, scoped, wanted, fields)?;
    let mut keys = Vec::new();
    for (place, part) in wanted.group_by.iter().enumerate() {
        match part {
            GroupBy::Field(_) => keys.push(format!("x.g{place}")),
            GroupBy::Interval { bounds, .. } => {
                join_intervals(backend, &mut sql, &mut values, place, bounds);
                keys.push(format!("b{place}.column1"));
            }
        }
    }
    let named: Vec<String> = keys.iter().enumerate().map(|(place, key)| format!("{key} AS g{place}")).collect();
    let groups: Vec<String> = (0..keys.len()).map(|place| format!("g{place}")).collect();
    let comma = |list: &[String]| list.iter().map(|part| format!("{part}, ")).collect::<String>();
    let partition = if keys.is_empty() { String::new() } else { format!("PARTITION BY {}", keys.join(", ")) };
    let mut figures = String::new();
    let mut read = String::new();
    // Writing to a string cannot fail.
    for n in 0..wanted.between.len() {
        let rank = |percent: u32| format!("MAX(CASE WHEN place{n} = (timed{n} * {percent} + 99) / 100 THEN d{n} END)");
        let _ = write!(
            figures,
            ", MAX(timed{n}) AS timed{n}, CAST(SUM(d{n}) AS bigint) / NULLIF(MAX(timed{n}), 0) AS mean{n}, {} AS p50_{n}, {} AS p90_{n}, \
             {} AS p95_{n}, MAX(d{n}) AS longest{n}",
            rank(50),
            rank(90),
            rank(95)
        );
        let _ = write!(
            read,
            "x.d{n} AS d{n}, COUNT(x.d{n}) OVER ({partition}) AS timed{n}, \
             ROW_NUMBER() OVER ({partition} ORDER BY x.d{n} IS NULL, x.d{n}) AS place{n}, "
        );
    }
    for n in 0..wanted.matching.len() {
        let _ = write!(figures, ", CAST(SUM(m{n}) AS bigint) AS matching{n}");
        let _ = write!(read, "x.m{n} AS m{n}, ");
    }
    for n in 0..wanted.sums.len() {
        let _ = write!(figures, ", CAST(SUM(s{n}) AS bigint) AS sum{n}");
        let _ = write!(read, "x.s{n} AS s{n}, ");
    }
    let inner = format!("SELECT {}{read}1 AS one FROM {sql}", comma(&named));
    let group_by = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
    let sql = format!(
        "SELECT {}COUNT(*) AS rows_of{figures} FROM ({inner}) AS y{group_by} ORDER BY COUNT(*) DESC{} LIMIT {}",
        comma(&groups),
        groups.iter().map(|group| format!(", {group} IS NULL, {group}")).collect::<String>(),
        wanted.limit
    );
    Ok(Statement::from_sql_and_values(backend, sql, values))
}

/// The visible rows: what they are grouped by, as the viewer may read it, and the time between, in seconds.
fn rows(
    backend: DbBackend,
    scoped: &Scoped<'_>,
    wanted: &Statistics,
    fields: &[Place],
) -> Result<(String, Vec<Bound>)> {
    let mut compiler = Compiler::new(backend, scoped, wanted.record);
    let bounded = wanted.group_by.iter().fold(wanted.filter.clone(), |filter, part| match part {
        GroupBy::Interval { field, bounds } => filter.and(within(field, bounds)),
        GroupBy::Field(_) => filter,
    });
    let mut statement = compiler.visible(&bounded);
    for (place, (path, target, field)) in fields.iter().enumerate() {
        let value = compiler.masked(&path.relations, target, field);
        statement.expr_as(value, Alias::new(format!("g{place}")));
    }
    for (n, (from, to)) in wanted.between.iter().enumerate() {
        let instant =
            |name: &str| wanted.record.field(name).ok_or_else(|| Error::internal(format!("no field `{name}`")));
        let (from, to) = (instant(from)?, instant(to)?);
        let from = compiler.masked(&[], wanted.record, from);
        let to = compiler.masked(&[], wanted.record, to);
        statement.expr_as(seconds(backend, to).sub(seconds(backend, from)), Alias::new(format!("d{n}")));
    }
    for (n, matching) in wanted.matching.iter().enumerate() {
        let holds = compiler.condition(matching, false);
        statement.expr_as(CaseStatement::new().case(holds, 1).finally(0), Alias::new(format!("m{n}")));
    }
    for (n, name) in wanted.sums.iter().enumerate() {
        let (path, target, field) = place_of(scoped.catalogue, wanted.record, name)?;
        let value = compiler.masked(&path.relations, target, field);
        statement.expr_as(value, Alias::new(format!("s{n}")));
    }
    if fields.is_empty() && wanted.between.is_empty() && wanted.matching.is_empty() && wanted.sums.is_empty() {
        statement.expr_as(Expr::val(1), Alias::new("one"));
    }
    compiler.join(&mut statement);
    let (sql, values) = match backend {
        DbBackend::Postgres => statement.build(PostgresQueryBuilder),
        _ => statement.build(SqliteQueryBuilder),
    };
    Ok((format!("({sql}) AS x"), values.0))
}

fn within(field: &'static str, bounds: &[Timestamp]) -> Predicate {
    use predicate::{Operand, Test};
    let is = |test: fn(Operand) -> Test, at: Option<&Timestamp>| match at {
        Some(at) => Predicate::Is(Path::field(field), test(Operand::Value((*at).into()))),
        None => Predicate::never(),
    };
    is(Test::Gte, bounds.first()).and(is(Test::Lt, bounds.last()))
}

/// Whole seconds since 1970, the same on both engines.
pub(super) fn seconds(backend: DbBackend, instant: Expr) -> Expr {
    match backend {
        DbBackend::Postgres => {
            let epoch = Func::cust(Alias::new("date_part")).arg("epoch").arg(instant);
            Expr::expr(Func::cust(Alias::new("floor")).arg(epoch)).cast_as(Alias::new("bigint"))
        }
        _ => Expr::expr(Func::cust(Alias::new("unixepoch")).arg(instant)),
    }
}

fn join_intervals(backend: DbBackend, sql: &mut String, values: &mut Vec<Bound>, place: usize, bounds: &[Timestamp]) {
    let mut mark = |value: Bound| {
        values.push(value);
        if backend == DbBackend::Postgres { format!("${}", values.len()) } else { "?".to_owned() }
    };
    let intervals = bounds.iter().zip(bounds.iter().skip(1)).enumerate().map(|(number, (begins, ends))| {
        let (begins, ends) = (mark(Bound::from(*begins)), mark(Bound::from(*ends)));
        format!("({number}, {begins}, {ends})")
    });
    let intervals: Vec<String> = intervals.collect();
    // Writing to a string cannot fail.
    let _ = write!(
        sql,
        " JOIN (VALUES {}) AS b{place} ON x.g{place} >= b{place}.column2 AND x.g{place} < b{place}.column3",
        intervals.join(", ")
    );
}

fn decode(row: &ResultRow, wanted: &Statistics, fields: &[Place]) -> Result<Group> {
    let keys = wanted.group_by.iter().zip(fields).enumerate().map(|(place, (part, (_, _, field)))| match part {
        GroupBy::Field(_) => decode_value(row, place, &field.kind),
        GroupBy::Interval { .. } => decode_value(row, place, &FieldType::Int),
    });
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let number = |name: &str| row.try_get::<Option<i64>>(name).map_err(database_error);
    let mut durations = Vec::with_capacity(wanted.between.len());
    for n in 0..wanted.between.len() {
        let figure = |name: &str| Ok::<_, Error>(number(&format!("{name}{n}"))?.unwrap_or_default());
        durations.push(match figure("timed")? {
            0 => None,
            count => Some(Durations {
                count,
                mean: figure("mean")?,
                p50: figure("p50_")?,
                p90: figure("p90_")?,
                p95: figure("p95_")?,
                longest: figure("longest")?,
            }),
        });
    }
    let matching = (0..wanted.matching.len()).map(|n| Ok(number(&format!("matching{n}"))?.unwrap_or_default()));
    let matching = matching.collect::<Result<Vec<_>>>()?;
    let sums = (0..wanted.sums.len()).map(|n| number(&format!("sum{n}"))).collect::<Result<Vec<_>>>()?;
    Ok(Group { keys, count: number("rows_of")?.unwrap_or_default(), durations, matching, sums })
}
