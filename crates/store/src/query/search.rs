//! Search by words: an index of texts, joined with what the viewer may see, in one statement.
//!
//! The index is a table with one row for each record and the folded words of its texts ([`crate::text`]), public ones and those
//! for insiders in columns of their own, beside words for whose the record is ([`super::scope`]). On SQLite an FTS5 table named `…_index` stands over it, on PostgreSQL the column `words`
//! with a GIN index, public words with the label A, those of the scope with B, those for insiders with D. What is looked for is made of words alone, each quoted: no text of a user is
//! ever read as an operator of an engine.
//!
//! The order is made of the row and what was asked, and of nothing else: points for where each term stands, then the time of
//! creation, then the id. How often a word occurs elsewhere plays no part, for that would tell of rows that the viewer may not see.
//! Of very many hits the last [`SEARCH_WINDOW`] are ordered, counted among what the viewer may see.

use kernel::{Page, Result, Timestamp, Uuid};
use predicate::{Predicate, RecordType, Value};
use sea_orm::DbBackend;
use sea_orm::sea_query::{
    Alias, BinOper, CaseStatement, Condition, Expr, ExprTrait, Func, JoinType, Order, Query as Sql, SelectStatement,
};

use super::compile::{Compiler, ROOT, conjunction, constant, disjunction};
use super::cursor::{self, Cursors, Position};
use super::scope::{ScopeFields, groups};
use super::{Count, Scoped};
use crate::CursorSealer;
use crate::connection::ConnectionTrait;
use crate::error::to_error as database_error;

/// How many hits are looked at and put in order: those that were written down last.
pub const SEARCH_WINDOW: u64 = 200;

/// The alias of the index's table.
const TEXTS: &str = "t";
/// The alias of SQLite's index over it.
const INDEX: &str = "i";
/// What a term is worth that is the record's number.
const EXACT_NUMBER: i64 = 100;
/// The column with the words for whose a record is.
const SCOPE: &str = "scope";
/// What a term is worth that stands in a text for insiders alone.
const INTERNAL: i64 = 1;

/// Where the texts of a type of records are indexed.
#[derive(Clone, Copy, Debug)]
pub struct TextIndex {
    /// The table; its `id` is the record's.
    pub table: &'static str,
    /// The column with the number for people.
    pub number: &'static str,
    /// The columns with what everybody who sees the record may read, and what a term in each is worth; the most first.
    pub public: &'static [(&'static str, i64)],
    /// The columns with what insiders alone may read.
    pub internal: &'static [&'static str],
    /// The fields that the column `scope` holds the words of; see [`scope_word`](super::scope_word).
    pub scope: ScopeFields,
}

/// A word or a phrase that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Folded words that stand one behind the other.
    pub words: Vec<String>,
    /// Whether the last of them is only the beginning of a word.
    pub prefix: bool,
}

/// A search.
#[derive(Clone, Debug)]
pub struct Search {
    /// Which records.
    pub record: &'static RecordType,
    /// Where their texts are.
    pub index: &'static TextIndex,
    /// What is looked for.
    pub terms: Vec<Term>,
    /// One of the terms is enough; only those in public texts are worth points.
    pub any: bool,
    /// Resolved and masked condition.
    pub filter: Predicate,
    /// The records of which the viewer may read the texts for insiders.
    pub internal: Predicate,
    /// Which part, from the front.
    pub page: Page,
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: Uuid,
    /// When it was created.
    pub created_at: Timestamp,
    /// What its hits are worth.
    pub points: i64,
}

/// A page of what was found, best first.
#[derive(Clone, Debug, Default)]
pub struct FoundPage {
    /// The hits.
    pub found: Vec<Found>,
    /// The page cursor of each.
    pub cursors: Cursors,
    /// Whether there are more behind.
    pub has_next: bool,
    /// Whether there are some before.
    pub has_previous: bool,
}

/// Finds one page. `fingerprint` names the search: a page cursor of another one is refused.
///
/// # Errors
/// `BAD_CURSOR` for a cursor that was not made for this search; database errors.
pub async fn search(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    search: &Search,
    sealer: &CursorSealer,
    fingerprint: &[u8],
) -> Result<FoundPage> {
    if search.terms.is_empty() {
        return Ok(FoundPage::default());
    }
    let after = search.page.after.as_deref();
    let after = after.map(|text| cursor::open(sealer, scoped.tenant, fingerprint, text, 2)).transpose()?;
    let engine = connection.get_database_backend();
    let mut compiler = Compiler::new(engine, scoped, search.record);
    let mut hits = window(engine, &mut compiler, scoped.tenant, search);
    hits.expr_as(text_column("id"), Alias::new("id"))
        .expr_as(text_column("created_at"), Alias::new("created_at"))
        .expr_as(points(engine, search), Alias::new("points"))
        .limit(SEARCH_WINDOW);
    compiler.join(&mut hits);
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let mut page = Sql::select();
    page.columns(["id", "created_at", "points"].map(Alias::new)).from_subquery(hits, Alias::new("hits"));
    if let Some(Position { values, id }) = &after {
        let (points, created) = match values.as_slice() {
            [Value::Int(points), Value::Time(created)] => (*points, *created),
            // Nothing else was ever sealed for a search.
            _ => (i64::MIN, Timestamp::default()),
        };
        let tie = conjunction([column("created_at").eq(created), column("id").lt(*id)]);
        let later = disjunction([column("created_at").lt(created), tie]);
        page.and_where(disjunction([column("points").lt(points), conjunction([column("points").eq(points), later])]));
    }
    for name in ["points", "created_at", "id"] {
        page.order_by(Alias::new(name), Order::Desc);
    }
    page.limit(u64::from(search.page.limit) + 1);
    let rows = connection.query_all(&page).await.map_err(database_error)?;
    let read = |row: &crate::ResultRow| -> std::result::Result<Found, sea_orm::DbErr> {
        Ok(Found {
            id: row.try_get_by_index(0)?,
            created_at: row.try_get_by_index(1)?,
            points: row.try_get_by_index(2)?,
        })
    };
    let has_next = rows.len() > search.page.limit as usize;
    let found: std::result::Result<Vec<_>, _> = rows.iter().take(search.page.limit as usize).map(read).collect();
    let found = found.map_err(database_error)?;
    let position = |found: &Found| Position {
        values: vec![Value::Int(found.points), Value::Time(found.created_at)],
        id: found.id,
    };
    let cursors = Cursors::at(sealer, scoped.tenant, fingerprint, found.iter().map(position).collect());
    Ok(FoundPage { found, cursors, has_next, has_previous: after.is_some() })
}

/// Counts what [`search`] finds, up to [`SEARCH_WINDOW`].
///
/// # Errors
/// Database errors.
pub async fn count_found(connection: &impl ConnectionTrait, scoped: &Scoped<'_>, search: &Search) -> Result<Count> {
    if search.terms.is_empty() {
        return Ok(Count { total: 0, exact: true });
    }
    let engine = connection.get_database_backend();
    let mut compiler = Compiler::new(engine, scoped, search.record);
    let mut hits = window(engine, &mut compiler, scoped.tenant, search);
    hits.expr_as(Expr::val(1), Alias::new("one")).limit(SEARCH_WINDOW + 1);
    compiler.join(&mut hits);
    let mut outer = Sql::select();
    outer.expr_as(Func::count(Expr::val(1)), Alias::new("total")).from_subquery(hits, Alias::new("hits"));
    let row = connection.query_one(&outer).await.map_err(database_error)?;
    let total = row.map(|row| row.try_get_by_index::<i64>(0)).transpose().map_err(database_error)?;
    let total = total.and_then(|total| u64::try_from(total).ok()).unwrap_or(0);
    Ok(Count { total: std::cmp::min(total, SEARCH_WINDOW), exact: total <= SEARCH_WINDOW })
}

/// The visible records that match, the last first; nothing is selected yet.
fn window(engine: DbBackend, compiler: &mut Compiler<'_>, tenant: Uuid, search: &Search) -> SelectStatement {
    let (index, table) = (search.index, search.record.table);
    let same_record = Condition::all()
        .add(
            Expr::col((Alias::new(ROOT), Alias::new("tenant_id"))).equals((Alias::new(TEXTS), Alias::new("tenant_id"))),
        )
        .add(Expr::col((Alias::new(ROOT), Alias::new("id"))).equals((Alias::new(TEXTS), Alias::new("id"))));
    let public_only = search.internal.is_never();
    let groups = groups(index.scope, &compiler.visible_condition(&search.filter));
    let mut statement = Sql::select();
    let matches = if engine == DbBackend::Postgres {
        statement.from_as(Alias::new(index.table), Alias::new(TEXTS));
        statement.join_as(JoinType::InnerJoin, Alias::new(table), Alias::new(ROOT), same_record);
        let asked = Func::cust(Alias::new("to_tsquery"))
            .arg(Expr::cust("'simple'::regconfig"))
            .arg(Expr::val(postgres_query(search, public_only, &groups)));
        text_column("words").binary(BinOper::Custom("@@"), Expr::expr(asked))
    } else {
        // CROSS JOIN keeps SQLite to this order: the index says which rows are read at all.
        let over = Alias::new(format!("{}_index", index.table));
        let place =
            Expr::col((Alias::new(TEXTS), Alias::new("place"))).equals((Alias::new(INDEX), Alias::new("rowid")));
        statement.from_as(over.clone(), Alias::new(INDEX));
        // It takes no condition of its own, so they stand with the others.
        statement.join_as(JoinType::CrossJoin, Alias::new(index.table), Alias::new(TEXTS), Condition::all());
        statement.join_as(JoinType::CrossJoin, Alias::new(table), Alias::new(ROOT), Condition::all());
        statement.and_where(place).cond_where(same_record);
        let asked = Expr::val(sqlite_query(search, public_only, &groups));
        Expr::col((Alias::new(INDEX), over)).binary(BinOper::Custom("MATCH"), asked)
    };
    statement.and_where(matches);
    statement.and_where(text_column("tenant_id").eq(tenant));
    let mut statement = compiler.visible_among(statement, &search.filter);
    if !public_only && !search.internal.is_always() {
        // A term that stands in no public text is a hit for those alone who may read the others.
        let insider = compiler.condition(&search.internal, false);
        let public =
            search.terms.iter().map(|term| disjunction(standing(engine, search, term).map(|(found, _)| found)));
        let public: Vec<_> = public.collect();
        let public = if search.any { disjunction(public) } else { conjunction(public) };
        statement.and_where(disjunction([insider, public]));
    }
    if engine == DbBackend::Postgres {
        statement.order_by_expr(text_column("created_at"), Order::Desc).order_by_expr(text_column("id"), Order::Desc);
    } else {
        statement.order_by_expr(Expr::col((Alias::new(INDEX), Alias::new("rowid"))), Order::Desc);
    }
    statement
}

fn text_column(name: &'static str) -> Expr {
    Expr::col((Alias::new(TEXTS), Alias::new(name)))
}

/// What the hits of a row are worth: for each term the best place where it stands.
fn points(engine: DbBackend, search: &Search) -> Expr {
    let worth = |term: &Term| -> Expr {
        let mut case = CaseStatement::new();
        if !term.prefix {
            let exact = text_column(search.index.number).eq(term.needle());
            case = case.case(exact, Expr::cust(EXACT_NUMBER.to_string()));
        }
        for (found, points) in standing(engine, search, term) {
            case = case.case(found, Expr::cust(points.to_string()));
        }
        // Of all terms, one that stands in no public text stands in one for insiders.
        case.finally(Expr::cust(if search.any { "0".to_owned() } else { INTERNAL.to_string() })).into()
    };
    let sum = search.terms.iter().map(worth).reduce(ExprTrait::add).unwrap_or_else(|| constant(false));
    sum.cast_as(Alias::new("bigint"))
}

/// For each public column whether the term stands in it, and what that is worth.
fn standing(engine: DbBackend, search: &Search, term: &Term) -> impl Iterator<Item = (Expr, i64)> {
    let function = if engine == DbBackend::Postgres { "strpos" } else { "instr" };
    let needle = term.needle();
    search.index.public.iter().map(move |(column, points)| {
        let place = Func::cust(Alias::new(function)).arg(text_column(column)).arg(needle.as_str());
        (Expr::expr(place).gt(Expr::cust("0")), *points)
    })
}

/// Words of letters and digits, quoted and joined by operators: in the language of FTS5.
fn sqlite_query(search: &Search, public_only: bool, groups: &[Vec<String>]) -> String {
    let phrase = |term: &Term| {
        let prefix = if term.prefix { " *" } else { "" };
        format!("\"{}\"{prefix}", term.words.join(" "))
    };
    let phrases: Vec<_> = search.terms.iter().map(phrase).collect();
    let all = phrases.join(if search.any { " OR " } else { " AND " });
    let internal = if public_only { &[] } else { search.index.internal };
    let columns = search.index.public.iter().map(|(column, _)| column).chain(internal);
    let columns: Vec<_> = columns.copied().collect();
    let mut query = format!("({{{}}} : ({all}))", columns.join(" "));
    for group in groups {
        let words: Vec<_> = group.iter().map(|word| format!("\"{word}\"")).collect();
        query.push_str(&format!(" AND ({SCOPE} : ({}))", words.join(" OR ")));
    }
    query
}

/// The same in the language of `to_tsquery`.
fn postgres_query(search: &Search, public_only: bool, groups: &[Vec<String>]) -> String {
    let labels = if public_only { "A" } else { "AD" };
    let phrase = |term: &Term| {
        let last = term.words.len().saturating_sub(1);
        let words = term.words.iter().enumerate().map(|(place, word)| {
            let prefix = if term.prefix && place == last { "*" } else { "" };
            format!("'{word}':{prefix}{labels}")
        });
        format!("({})", words.collect::<Vec<_>>().join(" <-> "))
    };
    let phrases: Vec<_> = search.terms.iter().map(phrase).collect();
    let mut query = format!("({})", phrases.join(if search.any { " | " } else { " & " }));
    for group in groups {
        let words: Vec<_> = group.iter().map(|word| format!("'{word}':B")).collect();
        query.push_str(&format!(" & ({})", words.join(" | ")));
    }
    query
}

impl Term {
    /// As it stands in a folded text, whose words have a space before and behind them.
    fn needle(&self) -> String {
        let behind = if self.prefix { "" } else { " " };
        format!(" {}{behind}", self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use predicate::Rule;

    use super::*;

    static RECORD: RecordType = RecordType {
        name: "a",
        table: "a",
        base: None,
        fields: &[],
        relations: &[],
        row: Rule::Always,
        own: &[],
        team: &[],
    };
    static INDEX: TextIndex = TextIndex {
        table: "a_text",
        number: "number",
        public: &[("number", 6), ("title", 6)],
        internal: &["notes"],
        scope: &[("team", 't')],
    };

    fn asked(any: bool) -> Search {
        let term =
            |words: &[&str], prefix| Term { words: words.iter().map(|word| (*word).to_owned()).collect(), prefix };
        let terms = vec![term(&["vpn"], false), term(&["inc", "10"], true)];
        let (filter, internal, page) = (Predicate::always(), Predicate::always(), Page::first(1));
        Search { record: &RECORD, index: &INDEX, terms, any, filter, internal, page }
    }

    #[test]
    fn words_are_quoted_for_both_engines() {
        let (nobodys, somebodys) = (Vec::new(), [vec!["t1".to_owned(), "r2".to_owned()], vec!["t1".to_owned()]]);
        assert_eq!(sqlite_query(&asked(false), false, &nobodys), r#"({number title notes} : ("vpn" AND "inc 10" *))"#);
        assert_eq!(sqlite_query(&asked(true), true, &nobodys), r#"({number title} : ("vpn" OR "inc 10" *))"#);
        let scoped = r#"({number title} : ("vpn" OR "inc 10" *)) AND (scope : ("t1" OR "r2")) AND (scope : ("t1"))"#;
        assert_eq!(sqlite_query(&asked(true), true, &somebodys), scoped);
        assert_eq!(postgres_query(&asked(false), false, &nobodys), "(('vpn':AD) & ('inc':AD <-> '10':*AD))");
        assert_eq!(postgres_query(&asked(true), true, &nobodys), "(('vpn':A) | ('inc':A <-> '10':*A))");
        let scoped = "(('vpn':A) | ('inc':A <-> '10':*A)) & ('t1':B | 'r2':B) & ('t1':B)";
        assert_eq!(postgres_query(&asked(true), true, &somebodys), scoped);
    }

    #[test]
    fn a_needle_is_bounded_by_spaces() {
        assert_eq!(asked(false).terms[0].needle(), " vpn ");
        assert_eq!(asked(false).terms[1].needle(), " inc 10");
    }
}
