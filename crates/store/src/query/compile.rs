//! From predicates to SQL, for both engines.
//!
//! `not` is pushed down to the comparisons, where a negated comparison also holds for an absent value: that makes SQL's
//! reading the same as the two-valued one in memory. Text columns compare by bytes on both engines, and `lower` knows ASCII
//! alone there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use predicate::{
    Field, FieldType, Operand, Path, Policy, Predicate, RecordType, RelationKind, Test, Value, Visibility, keyed,
};
use sea_orm::sea_query::{
    Alias, CaseStatement, Condition, Expr, ExprTrait, Func, JoinType, Order, OverStatement, PostgresQueryBuilder,
    Query as Sql, SelectStatement, SqliteQueryBuilder, WindowStatement,
};
use sea_orm::{DbBackend, Statement, Value as Bound};

use super::cursor::Position;
use super::row::Shape;
use super::{OrderTerm, Scoped};

/// The alias of the root record's own table.
pub(super) const ROOT: &str = "r";
/// How a statement begins.
const SELECT: &str = "SELECT ";
/// Stands for the columns until the head is put in its place.
const COLUMNS: &str = "NULL";

/// The id column of an extension's own table: null for a record that is not extended.
static EXTENSION_ID: Field = Field {
    name: "id",
    kind: FieldType::Id,
    column: "id",
    nullable: false,
    read: Policy::Always,
    write: Policy::Never,
    filter: Policy::Never,
    order: Policy::Never,
    event: Policy::Never,
};

/// Builds one statement: collects the joins that its conditions need while it compiles them.
pub(super) struct Compiler<'a> {
    backend: DbBackend,
    scoped: &'a Scoped<'a>,
    record: &'static RecordType,
    joins: Vec<Join>,
    head: Arc<Head>,
}

/// The columns that a statement selects, with all that they need: the same for every statement of a viewer that reads a record
/// with the same relations, and the larger part of its text.
#[derive(Debug, Default)]
struct Head {
    columns: String,
    values: Vec<Bound>,
    joins: Vec<Join>,
    shape: Shape,
}

/// Engine, record and relations.
type HeadKey = (bool, &'static str, Vec<&'static str>);

/// The heads of one viewer's statements.
#[derive(Default)]
struct Heads(Mutex<HashMap<HeadKey, Arc<Head>>>);

/// How many heads are kept for a viewer: the selections of a few screens.
const HEADS: usize = 16;

/// A joined table: the record at the end of a path of relations, or the base of the record there.
#[derive(Clone, Debug)]
struct Join {
    path: Vec<String>,
    of_base: bool,
    alias: String,
    table: &'static str,
    /// The column of an earlier table that this table's `column` equals.
    on: (String, &'static str),
    /// `id`, but for the values under keys, which name their record.
    column: &'static str,
    /// The column that holds the key, and the key.
    key: Option<(&'static str, String)>,
    optional: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(backend: DbBackend, scoped: &'a Scoped<'a>, record: &'static RecordType) -> Self {
        Self { backend, scoped, record, joins: Vec::new(), head: Arc::default() }
    }

    /// Selects all fields and the relations of the visible rows that match. End with [`Self::finish`].
    pub(super) fn select(&mut self, relations: &[&'static str], filter: &Predicate) -> SelectStatement {
        self.head = self.known_head(relations);
        self.joins.clone_from(&self.head.joins);
        let mut statement = self.visible(filter);
        statement.expr(Expr::cust(COLUMNS));
        statement
    }

    /// The statement of [`Self::select`] as it is sent, for so many rows. Their number stands in the text: PostgreSQL takes one that it is
    /// given later for a tenth of all rows, and then plans anew each time.
    pub(super) fn finish(&self, mut statement: SelectStatement, limit: Option<u64>) -> Statement {
        self.join(&mut statement);
        let (rest, values) = match self.backend {
            DbBackend::Postgres => statement.build(PostgresQueryBuilder),
            _ => statement.build(SqliteQueryBuilder),
        };
        let rest = rest.strip_prefix(SELECT).and_then(|rest| rest.strip_prefix(COLUMNS)).unwrap_or(&rest);
        let mut sql = String::with_capacity(SELECT.len() + self.head.columns.len() + rest.len() + 16);
        sql.push_str(SELECT);
        sql.push_str(&self.head.columns);
        self.push_shifted(&mut sql, rest);
        if let Some(limit) = limit {
            // Writing to a string cannot fail.
            let _ = write!(sql, " LIMIT {limit}");
        }
        let values = self.head.values.iter().cloned().chain(values.0);
        Statement::from_sql_and_values(self.backend, sql, values)
    }

    /// On PostgreSQL parameters have numbers, and the first are those of the head. Nothing else in a statement has a dollar:
    /// values are bound, and names are ours.
    fn push_shifted(&self, sql: &mut String, rest: &str) {
        let shift = self.head.values.len();
        if self.backend != DbBackend::Postgres || shift == 0 {
            sql.push_str(rest);
            return;
        }
        let mut rest = rest;
        while let Some((before, after)) = rest.split_once('$') {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let place = after[..digits].parse::<usize>().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = write!(sql, "{before}${}", place + shift);
            rest = &after[digits..];
        }
        sql.push_str(rest);
    }

    fn known_head(&self, relations: &[&'static str]) -> Arc<Head> {
        let make = || Arc::new(Compiler::new(self.backend, self.scoped, self.record).make_head(relations));
        let Some(heads) = self.scoped.visible.derived(Heads::default) else { return make() };
        let mut heads = heads.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.backend == DbBackend::Postgres, self.record.name, relations.to_vec());
        if let Some(known) = heads.get(&key) {
            return Arc::clone(known);
        }
        if heads.len() >= HEADS {
            heads.clear();
        }
        Arc::clone(heads.entry(key).or_insert_with(make))
    }

    fn make_head(mut self, relations: &[&'static str]) -> Head {
        let mut statement = Sql::select();
        let mut shape = Shape { record: self.record.name, ..Shape::default() };
        for field in self.record.all_fields() {
            statement.expr(self.masked(&[], self.record, field));
            shape.fields.push(field);
        }
        for name in relations {
            let Some(target) = self.scoped.catalogue.follow(self.record, &[(*name).to_owned()]) else { continue };
            let path = [(*name).to_owned()];
            let extension = self.is_extension(&path);
            let mut fields: Vec<&'static Field> = Vec::new();
            if extension && let Some(alias) = self.alias(&path) {
                statement.expr(Expr::col((Alias::new(alias), Alias::new("id"))));
                fields.push(&EXTENSION_ID);
            }
            for field in target.all_fields().filter(|field| !extension || !target.is_of_base(field.name)) {
                statement.expr(self.masked(&path, target, field));
                fields.push(field);
            }
            shape.relations.push((name, Shape { record: target.name, fields, relations: Vec::new() }));
        }
        let (columns, values) = match self.backend {
            DbBackend::Postgres => statement.build(PostgresQueryBuilder),
            _ => statement.build(SqliteQueryBuilder),
        };
        let columns = columns.strip_prefix(SELECT).unwrap_or(&columns).to_owned();
        Head { columns, values: values.0, joins: self.joins, shape }
    }

    /// Selects the number one for each visible row that matches.
    pub(super) fn select_one(&mut self, filter: &Predicate) -> SelectStatement {
        let mut statement = self.visible(filter);
        statement.expr_as(Expr::val(1), Alias::new("one"));
        statement
    }

    /// Selects `id` and its `rank` among the rows of the same parent.
    pub(super) fn ranked_ids(&mut self, parent: &str, filter: &Predicate, backward: bool) -> SelectStatement {
        let mut statement = self.visible(filter);
        let id = self.column(&Path::field("id"));
        let parent = self.column(&Path::field(parent));
        let mut window = WindowStatement::new();
        window.add_partition_by(parent);
        window.order_by_expr(id.clone(), if backward { Order::Desc } else { Order::Asc });
        statement.expr_as(id, Alias::new("id")).expr_window_as(
            Func::cust(Alias::new("row_number")),
            window,
            Alias::new("rank"),
        );
        statement
    }

    pub(super) fn id_column(&mut self) -> Expr {
        self.column(&Path::field("id"))
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.head.shape
    }

    /// Adds the joins that were asked for. Last, because conditions and orders ask for them.
    pub(super) fn join(&self, statement: &mut SelectStatement) {
        for join in &self.joins {
            let alias = || Alias::new(&join.alias);
            let same_tenant =
                Expr::col((alias(), Alias::new("tenant_id"))).equals((Alias::new(&join.on.0), Alias::new("tenant_id")));
            let same_id =
                Expr::col((alias(), Alias::new(join.column))).equals((Alias::new(&join.on.0), Alias::new(join.on.1)));
            let kind = if join.optional { JoinType::LeftJoin } else { JoinType::InnerJoin };
            let key = join.key.as_ref();
            let key = key.map(|(column, key)| Expr::col((alias(), Alias::new(*column))).eq(key.as_str()));
            let condition = Condition::all().add(same_tenant).add(same_id).add_option(key);
            statement.join_as(kind, Alias::new(join.table), alias(), condition);
        }
    }

    /// The visible rows that match; nothing is selected yet.
    pub(super) fn visible(&mut self, filter: &Predicate) -> SelectStatement {
        let mut statement = Sql::select();
        statement.from_as(Alias::new(self.record.table), Alias::new(ROOT));
        self.visible_among(statement, filter)
    }

    /// What holds for the visible records that match.
    pub(super) fn visible_condition(&self, filter: &Predicate) -> Predicate {
        let row = match self.scoped.visible.get(self.record.name) {
            Some(visibility) => visibility.row.clone(),
            None => Predicate::never(),
        };
        // Where only what is visible is asked for, the rule would keep the database from the index that fits.
        if filter.implies(&row) { filter.clone() } else { row.and(filter.clone()) }
    }

    /// The same of a statement that reads the record's table, as [`ROOT`], together with others.
    pub(super) fn visible_among(&mut self, mut statement: SelectStatement, filter: &Predicate) -> SelectStatement {
        statement.and_where(Expr::col((Alias::new(ROOT), Alias::new("tenant_id"))).eq(self.scoped.tenant));
        let condition = self.visible_condition(filter);
        if !condition.is_always() {
            let condition = self.condition(&condition, false);
            statement.and_where(condition);
        }
        statement
    }

    /// The rows behind `position` in the order (or before it, when `reverse`).
    pub(super) fn beyond(&mut self, order: &[OrderTerm], position: &Position, reverse: bool) -> Expr {
        let mut alternatives = Vec::new();
        let mut equal_so_far: Vec<Expr> = Vec::new();
        for (term, value) in order.iter().zip(&position.values) {
            let (expression, nullable) = self.order_expression(term);
            let descending = term.descending != reverse;
            let nulls_first = term.nulls_first != reverse;
            let further = match value {
                Value::Null if nulls_first => Some(expression.clone().is_not_null()),
                Value::Null => None,
                value => {
                    let bound = literal(value);
                    let side = if descending { expression.clone().lt(bound) } else { expression.clone().gt(bound) };
                    let or_null = nullable && !nulls_first;
                    Some(if or_null { side.or(expression.clone().is_null()) } else { side })
                }
            };
            if let Some(further) = further {
                alternatives.push(conjunction(equal_so_far.iter().cloned().chain([further])));
            }
            equal_so_far.push(match value {
                Value::Null => expression.is_null(),
                value => expression.eq(literal(value)),
            });
        }
        let id = self.id_column();
        let tie = if reverse { id.lt(position.id) } else { id.gt(position.id) };
        alternatives.push(conjunction(equal_so_far.into_iter().chain([tie])));
        let exact = disjunction(alternatives);
        match self.coarse_bound(order, position, reverse) {
            Some(coarse) => coarse.and(exact),
            None => exact,
        }
    }

    /// An inclusive bound on the first term alone: implied by the exact one, but a range that an index can seek to.
    fn coarse_bound(&mut self, order: &[OrderTerm], position: &Position, reverse: bool) -> Option<Expr> {
        let (term, value) = (order.first()?, position.values.first()?);
        let (expression, nullable) = self.order_expression(term);
        if nullable || value.is_null() {
            return None;
        }
        let bound = literal(value);
        Some(if term.descending != reverse { expression.lte(bound) } else { expression.gte(bound) })
    }

    pub(super) fn order(&mut self, statement: &mut SelectStatement, order: &[OrderTerm], backward: bool) {
        for term in order {
            let (expression, nullable) = self.order_expression(term);
            if nullable {
                let nulls = if term.nulls_first != backward { Order::Desc } else { Order::Asc };
                statement.order_by_expr(expression.clone().is_null(), nulls);
            }
            let direction = if term.descending != backward { Order::Desc } else { Order::Asc };
            statement.order_by_expr(expression, direction);
        }
        let id = self.id_column();
        statement.order_by_expr(id, if backward { Order::Desc } else { Order::Asc });
    }

    /// The masked expression of an order's term, and whether it can be null.
    fn order_expression(&mut self, term: &OrderTerm) -> (Expr, bool) {
        let path = term.path();
        let target = self.scoped.catalogue.follow(self.record, &path.relations);
        let Some((target, field)) = target.and_then(|target| Some((target, target.field(&path.field)?))) else {
            return (Expr::value(Option::<String>::None), true);
        };
        let masked = self.mask_of(target, field.name).is_some() || !path.relations.is_empty();
        let expression = self.masked(&path.relations, target, field);
        (expression, masked || field.nullable)
    }

    fn is_extension(&self, path: &[String]) -> bool {
        path.split_last().is_some_and(|(last, before)| {
            let source = self.scoped.catalogue.follow(self.record, before);
            source
                .and_then(|source| self.scoped.catalogue.relation(source, last))
                .is_some_and(|found| found.kind == RelationKind::Extension)
        })
    }

    fn mask_of(&self, record: &RecordType, field: &str) -> Option<Predicate> {
        match self.scoped.visible.get(record.name) {
            Some(visibility) => visibility.mask(field).cloned(),
            None => Some(Predicate::never()),
        }
    }

    /// A field as the viewer may read it, of the record at the end of the path.
    pub(super) fn masked(&mut self, path: &[String], record: &'static RecordType, field: &'static Field) -> Expr {
        let column = self.column(&Path { relations: path.to_vec(), field: field.name.to_owned() });
        let mask = self.mask_of(record, field.name).unwrap_or_default();
        let readable = self.way(path).and(along(path, mask));
        if readable.is_always() {
            return column;
        }
        if readable.is_never() {
            return self.null_of(&field.kind);
        }
        let condition = self.condition(&readable, false);
        CaseStatement::new().case(condition, column).into()
    }

    /// The rows on which the viewer may follow the relations of the path: read each reference, and see each record.
    fn way(&self, path: &[String]) -> Predicate {
        let steps = (0..path.len()).map(|depth| {
            let (before, name) = (&path[..depth], &path[depth]);
            let source = self.scoped.catalogue.follow(self.record, before)?;
            let relation = self.scoped.catalogue.relation(source, name)?;
            let readable = |field: &str| self.mask_of(source, field).unwrap_or_default();
            let seen = match relation.kind {
                RelationKind::Extension => Predicate::always(),
                RelationKind::Keyed { .. } => readable(relation.name),
                RelationKind::Reference(field) => {
                    let row = self.scoped.visible.get(relation.target).map(|Visibility { row, .. }| row.clone())?;
                    readable(field).and(row.through(name))
                }
            };
            Some(along(before, seen))
        });
        Predicate::all(steps.map(|step| step.unwrap_or_else(Predicate::never)))
    }

    /// A null that has the field's type, which PostgreSQL needs to know.
    fn null_of(&self, kind: &FieldType) -> Expr {
        let null = Expr::cust("NULL");
        if self.backend != DbBackend::Postgres {
            return null;
        }
        null.cast_as(Alias::new(match kind {
            FieldType::Id => "uuid",
            FieldType::Text | FieldType::Enum(_) => "text",
            FieldType::Int => "bigint",
            FieldType::Number => "double precision",
            FieldType::Bool => "boolean",
            FieldType::Time => "timestamptz",
            FieldType::TextList | FieldType::Json => "jsonb",
        }))
    }

    pub(super) fn condition(&mut self, predicate: &Predicate, negated: bool) -> Expr {
        match predicate {
            Predicate::All(parts) | Predicate::Any(parts) => {
                let conjunctive = matches!(predicate, Predicate::All(_)) != negated;
                let parts: Vec<_> = parts.iter().map(|part| self.condition(part, negated)).collect();
                if conjunctive { conjunction(parts) } else { disjunction(parts) }
            }
            Predicate::Not(part) => self.condition(part, !negated),
            Predicate::Is(path, test) => self.comparison(path, test, negated),
        }
    }

    fn comparison(&mut self, path: &Path, test: &Test, negated: bool) -> Expr {
        let column = self.column(path);
        let compared = column.clone();
        if let Some(named) = self.named(path, test) {
            let positive = compared.is_in(named);
            return if negated { positive.not().or(column.is_null()) } else { positive };
        }
        let positive = match test {
            Test::IsNull(expected) => {
                return if *expected != negated { column.is_null() } else { column.is_not_null() };
            }
            Test::Eq(operand) => concrete(operand).map(|value| compared.eq(literal(value))),
            Test::In(operands) => {
                let values: Vec<_> = operands.iter().filter_map(concrete).map(literal).collect();
                (!values.is_empty()).then(|| compared.is_in(values))
            }
            Test::Lt(operand) => concrete(operand).map(|value| compared.lt(literal(value))),
            Test::Lte(operand) => concrete(operand).map(|value| compared.lte(literal(value))),
            Test::Gt(operand) => concrete(operand).map(|value| compared.gt(literal(value))),
            Test::Gte(operand) => concrete(operand).map(|value| compared.gte(literal(value))),
            Test::Contains(part) => Some(self.contains(column.clone(), part)),
            Test::StartsWith(part) => Some(Self::starts_with(column.clone(), part)),
            Test::Has(item) => Some(self.has(column.clone(), item)),
            Test::InViewerTeams => None,
        };
        match (positive, negated) {
            (None, negated) => constant(negated),
            (Some(positive), false) => positive,
            (Some(positive), true) => positive.not().or(column.is_null()),
        }
    }

    /// The names of an enumeration that a test allows, in their own order, as they stand in a statement's text. They are part of what is
    /// asked, not values: the database sees while it plans that the index of open tickets holds all that is asked for.
    fn named(&self, path: &Path, test: &Test) -> Option<Vec<Expr>> {
        let record = self.scoped.catalogue.follow(self.record, &path.relations)?;
        let FieldType::Enum(names) = record.field(&path.field)?.kind else { return None };
        let asked: Vec<&str> = match test {
            Test::Eq(operand) => vec![concrete(operand)?.as_text()?],
            Test::In(operands) => operands.iter().map(|operand| concrete(operand)?.as_text()).collect::<Option<_>>()?,
            _ => return None,
        };
        if asked.is_empty() || asked.iter().any(|name| !names.contains(name)) {
            return None;
        }
        let asked = names.iter().filter(|name| asked.contains(name));
        Some(asked.map(|name| Expr::cust(format!("'{name}'"))).collect())
    }

    fn contains(&self, column: Expr, part: &str) -> Expr {
        let function = if self.backend == DbBackend::Postgres { "strpos" } else { "instr" };
        let found = Func::cust(Alias::new(function)).arg(Func::lower(column)).arg(part.to_ascii_lowercase());
        Expr::expr(found).gt(0)
    }

    fn starts_with(column: Expr, part: &str) -> Expr {
        let length = part.chars().count() as i32;
        let head = Func::cust(Alias::new("substr")).arg(Func::lower(column)).arg(1).arg(length);
        Expr::expr(head).eq(part.to_ascii_lowercase())
    }

    fn has(&self, column: Expr, item: &str) -> Expr {
        match self.backend {
            DbBackend::Postgres => Func::cust(Alias::new("jsonb_exists")).arg(column).arg(item).into(),
            _ => Expr::cust_with_exprs(
                "EXISTS (SELECT 1 FROM json_each(?) AS item WHERE item.value = ?)",
                [column, Expr::val(item)],
            ),
        }
    }

    /// The column at a path; asks for the joins on the way.
    fn column(&mut self, path: &Path) -> Expr {
        match self.place(&path.relations, &path.field) {
            Some((alias, column)) => Expr::col((Alias::new(alias), Alias::new(column))),
            None => Expr::cust("NULL"),
        }
    }

    fn place(&mut self, relations: &[String], field: &str) -> Option<(String, &'static str)> {
        let record = self.scoped.catalogue.follow(self.record, relations)?;
        let found = record.field(field)?;
        let extended = record.base.is_some() && record.is_of_base(field);
        let alias = if extended { self.base_alias(relations, record)? } else { self.alias(relations)? };
        Some((alias, found.column))
    }

    /// The alias of the own table of the record at the end of the path.
    fn alias(&mut self, relations: &[String]) -> Option<String> {
        let Some((last, before)) = relations.split_last() else { return Some(ROOT.to_owned()) };
        if let Some(join) = self.joins.iter().find(|join| !join.of_base && join.path == relations) {
            return Some(join.alias.clone());
        }
        let source = self.scoped.catalogue.follow(self.record, before)?;
        let relation = self.scoped.catalogue.relation(source, last)?;
        let target = self.scoped.catalogue.get(relation.target)?;
        let (on, column, key) = match relation.kind {
            RelationKind::Reference(field) => (self.place(before, field)?, "id", None),
            RelationKind::Extension => (self.place(before, "id")?, "id", None),
            RelationKind::Keyed { parent, key } => {
                let named = (target.field(key)?.column, keyed::split(last)?.1.to_owned());
                (self.place(before, "id")?, target.field(parent)?.column, Some(named))
            }
        };
        let join = Join { column, key, ..Join::to(relations, target.table, on) };
        Some(self.add_join(join))
    }

    /// The alias of the base table of the record at the end of the path.
    fn base_alias(&mut self, relations: &[String], record: &'static RecordType) -> Option<String> {
        if let Some((last, before)) = relations.split_last() {
            let source = self.scoped.catalogue.follow(self.record, before)?;
            // An extension's base is the row that it extends.
            if self.scoped.catalogue.relation(source, last)?.kind == RelationKind::Extension {
                return if source.base.is_none() { self.alias(before) } else { self.base_alias(before, source) };
            }
        }
        if let Some(join) = self.joins.iter().find(|join| join.of_base && join.path == relations) {
            return Some(join.alias.clone());
        }
        let own = self.alias(relations)?;
        let join = Join::to(relations, record.base?.table, (own, "id"));
        Some(self.add_join(Join { of_base: true, optional: !relations.is_empty(), ..join }))
    }

    fn add_join(&mut self, join: Join) -> String {
        let alias = format!("j{}", self.joins.len());
        self.joins.push(Join { alias: alias.clone(), ..join });
        alias
    }
}

impl Join {
    /// The record at the end of the path, by its id; none need be there.
    fn to(path: &[String], table: &'static str, on: (String, &'static str)) -> Self {
        let alias = String::new();
        Self { path: path.to_vec(), of_base: false, alias, table, on, column: "id", key: None, optional: true }
    }
}

/// The same condition on the record at the end of the path.
fn along(path: &[String], predicate: Predicate) -> Predicate {
    path.iter().rev().fold(predicate, |predicate, relation| predicate.through(relation))
}

fn concrete(operand: &Operand) -> Option<&Value> {
    match operand {
        Operand::Value(Value::Null) | Operand::Viewer | Operand::Now { .. } => None,
        // Nothing that is stored has a NUL character, and PostgreSQL cannot even be asked for one.
        Operand::Value(Value::Text(text)) if text.contains('\0') => None,
        Operand::Value(value) => Some(value),
    }
}

fn literal(value: &Value) -> Expr {
    match value {
        Value::Bool(value) => Expr::val(*value),
        Value::Int(value) => Expr::val(*value),
        Value::Number(value) => Expr::val(*value),
        Value::Text(value) => Expr::val(value.as_str()),
        Value::Id(value) => Expr::val(*value),
        Value::Time(value) => Expr::val(*value),
        Value::Null | Value::TextList(_) | Value::Json(_) => Expr::value(Option::<String>::None),
    }
}

pub(super) fn constant(value: bool) -> Expr {
    Expr::cust(if value { "1 = 1" } else { "1 = 0" })
}

pub(super) fn conjunction(parts: impl IntoIterator<Item = Expr>) -> Expr {
    parts.into_iter().reduce(ExprTrait::and).unwrap_or_else(|| constant(true))
}

pub(super) fn disjunction(parts: impl IntoIterator<Item = Expr>) -> Expr {
    parts.into_iter().reduce(ExprTrait::or).unwrap_or_else(|| constant(false))
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use predicate::{Catalogue, Relation, Visibilities};

    use super::*;

    const fn field(name: &'static str, kind: FieldType) -> Field {
        Field {
            name,
            kind,
            column: name,
            nullable: true,
            read: Policy::Always,
            write: Policy::Never,
            filter: Policy::Always,
            order: Policy::Always,
            event: Policy::Always,
        }
    }

    static RELATIONS: [Relation; 0] = [];
    static TICKET: RecordType = RecordType {
        name: "ticket",
        table: "ticket",
        base: None,
        fields: &[
            field("id", FieldType::Id),
            field("team", FieldType::Id),
            field("requester", FieldType::Id),
            field("state", FieldType::Enum(&["NEW", "ACTIVE", "CLOSED"])),
        ],
        relations: &RELATIONS,
        row: predicate::Rule::Always,
        own: &[],
        team: &[],
    };

    const TEAM: Uuid = Uuid::from_u128(1);
    const VIEWER: Uuid = Uuid::from_u128(2);

    /// The condition of the statement for somebody who sees the tickets of a team and their own.
    fn condition_of(backend: DbBackend, filter: &Predicate) -> (String, usize) {
        let catalogue = Catalogue::new([&TICKET]).unwrap();
        let row = Predicate::eq("team", TEAM).or(Predicate::eq("requester", VIEWER));
        let visible: Visibilities = [("ticket", Visibility { row, ..Visibility::default() })].into_iter().collect();
        let scoped = Scoped { tenant: Uuid::nil(), catalogue: &catalogue, visible: &visible };
        let mut compiler = Compiler::new(backend, &scoped, &TICKET);
        let statement = compiler.select(&[], filter);
        let statement = compiler.finish(statement, Some(51));
        let sql = statement.sql.strip_suffix(" LIMIT 51").unwrap();
        let condition = sql.split_once("\"tenant_id\" = ").unwrap().1.split_once(" AND ").unwrap().1;
        let condition = condition.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap().to_owned();
        (condition, statement.values.map_or(0, |values| values.0.len()))
    }

    #[test]
    fn a_page_of_a_queue_is_asked_for_as_its_index_has_it() {
        let queue = Predicate::one_of("state", &["ACTIVE", "NEW"]).and(Predicate::one_of("team", &[TEAM]));
        for (backend, place) in [(DbBackend::Sqlite, "?"), (DbBackend::Postgres, "$2")] {
            let (condition, values) = condition_of(backend, &queue);
            assert_eq!(condition, format!("\"r\".\"state\" IN ('NEW', 'ACTIVE') AND \"r\".\"team\" = {place}"));
            assert_eq!(values, 2, "the tenant and the team");
        }
    }

    #[test]
    fn what_goes_beyond_the_visible_is_asked_with_the_rule() {
        let (condition, values) = condition_of(DbBackend::Sqlite, &Predicate::eq("state", "NEW"));
        let rule = "(\"r\".\"team\" = ? OR \"r\".\"requester\" = ?)";
        assert_eq!(condition, format!("{rule} AND \"r\".\"state\" IN ('NEW')"));
        assert_eq!(values, 3);
        let other = Predicate::eq("team", Uuid::from_u128(9));
        assert!(condition_of(DbBackend::Sqlite, &other).0.starts_with(rule));
    }

    #[test]
    fn a_name_that_is_none_is_a_value_and_nul_is_nothing() {
        let named = |name: &str| {
            condition_of(DbBackend::Sqlite, &Predicate::eq("team", TEAM).and(Predicate::eq("state", name)))
        };
        assert_eq!(named("x' OR 1 = 1").0, "\"r\".\"team\" = ? AND \"r\".\"state\" = ?");
        assert_eq!(named("N\0EW").0, "\"r\".\"team\" = ? AND (1 = 0)");
        let not = condition_of(DbBackend::Sqlite, &Predicate::eq("team", TEAM).and(!Predicate::eq("state", "N\0EW")));
        assert_eq!(not.0, "\"r\".\"team\" = ? AND (1 = 1)");
    }
}
