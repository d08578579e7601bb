//! Search: tickets of any kind by their numbers, words, phrases and beginnings of words.
//!
//! Each ticket has one row of folded words ([`store::text`]) in a text index, written in the transaction that writes the ticket or the
//! comment. What those alone may read who work on the ticket stands in columns of its own, and matches nobody else's search: the fields'
//! read policies say which is which.
//!
//! What is asked for: words and phrases, all of which a ticket must hold, each anywhere. `"two words"` is a phrase, and so is what is
//! written together with signs inside (`INC-1042`, `fra-vpn01.example.com`); `vp*` is the beginning of a word. Every other sign, and
//! words such as `AND`, are what they are.

use kernel::{Ctx, Page, Result, Timestamp, UserError, Uuid};
use predicate::{Field, Policy, Predicate, Value};
use serde_json::Value as Json;
use store::Tx;
use store::query::{self, Count, FoundPage, OrderTerm, Row, ScopeFields, Scoped, Search, Term, TextIndex, fingerprint};
use store::text;

use access::visibility;

use crate::edit::Edit;
use crate::fields::{COMMENT, READ_INTERNAL, TICKET};
use crate::kind::KindRules;
use crate::model::{CommentVisibility, TicketKind};
use crate::queries::checked;
use crate::service::Tickets;
use crate::tables::{self, moving};

/// The longest search, in characters.
pub const MAX_QUERY: usize = 200;
/// How many words and phrases a search may have.
pub const MAX_TERMS: usize = 10;
/// The shortest beginning of a word, in characters.
pub const MIN_PREFIX: usize = 2;
/// How much of each kind of text of a ticket is indexed, in bytes of folded words; comments until they are as many.
pub const MAX_INDEXED: usize = 32 * 1024;
/// The job that indexes what is not indexed yet.
pub const INDEX: &str = "ticket.index";
/// How many tickets are indexed in one transaction of that job.
const AT_ONCE: u64 = 50;
/// How many comments of a ticket that job reads.
const COMMENTS_READ: u32 = 100;

/// Where the texts of tickets are, and what a hit in each is worth.
pub static TEXTS: TextIndex = TextIndex {
    table: "ticket_search",
    number: "number",
    public: &[("number", 6), ("title", 6), ("details", 3), ("comments", 3)],
    internal: &["internal_details", "internal_comments"],
    scope: SCOPE,
};

/// What says whose a ticket is.
const SCOPE: ScopeFields = &[("requester", 'r'), ("openedBy", 'o'), ("team", 't')];

/// The texts that all tickets have, beside number, title and tags.
const SHARED: &[&str] = &["description", "customFields", "internalCustomFields", "priorityOverrideReason"];

/// What the index holds of one ticket: folded words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) ticket: Uuid,
    pub(crate) created_at: Timestamp,
    pub(crate) number: String,
    pub(crate) title: String,
    pub(crate) details: String,
    pub(crate) comments: String,
    pub(crate) internal_details: String,
    pub(crate) internal_comments: String,
    /// Words for whose it is.
    pub(crate) scope: String,
}

impl Texts {
    /// Of a ticket as it was read for a write, without its comments.
    fn of(rules: &dyn KindRules, row: &Row) -> Self {
        let (mut details, mut internal) = (row.texts("tags"), Vec::new());
        for field in searchable(rules) {
            match audience(field) {
                Some(CommentVisibility::Public) => texts_of(row.get(field.name), &mut details),
                Some(CommentVisibility::Internal) => texts_of(row.get(field.name), &mut internal),
                None => {}
            }
        }
        let fold = |texts: &[String]| text::folded(texts.iter().map(String::as_str), MAX_INDEXED);
        Self {
            ticket: row.id(),
            created_at: row.time("createdAt"),
            number: fold(&[row.text("number")]),
            title: fold(&[row.text("title")]),
            details: fold(&details),
            comments: String::new(),
            internal_details: fold(&internal),
            internal_comments: String::new(),
            scope: scope_of(row),
        }
    }
}

/// Words for whose a ticket is, with a space before, between and behind them.
fn scope_of(row: &Row) -> String {
    let words = SCOPE.iter().filter_map(|(field, mark)| row.get(field).as_id().map(|id| query::scope_word(*mark, id)));
    words.fold(" ".to_owned(), |scope, word| scope + &word + " ")
}

/// The fields of tickets of a kind, and of its own, that are searched beside number, title and tags.
pub fn searchable(rules: &dyn KindRules) -> impl Iterator<Item = &'static Field> {
    let record = rules.record();
    SHARED.iter().chain(rules.searchable()).filter_map(|name| record.field(name))
}

/// For whom a field's text is; `None` for one that is for others still, which is not searched at all.
pub fn audience(field: &Field) -> Option<CommentVisibility> {
    match &field.read {
        Policy::Always => Some(CommentVisibility::Public),
        policy if *policy == Policy::When(READ_INTERNAL) => Some(CommentVisibility::Internal),
        _ => None,
    }
}

/// The texts in a value: of a document of custom fields, its values.
fn texts_of(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Text(text) => texts.push(text.clone()),
        Value::Json(Json::Object(values)) => texts.extend(values.values().filter_map(|value| match value {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        })),
        _ => {}
    }
}

impl Edit {
    /// Indexes a ticket that was just inserted.
    pub(crate) async fn index_in(&self, tx: &Tx) -> Result<()> {
        tables::insert_texts_in(tx, &[Texts::of(self.rules.as_ref(), &self.after)]).await
    }

    /// Indexes a ticket anew when what it says has changed.
    pub(crate) async fn index_changes_in(&self, tx: &Tx) -> Result<()> {
        let named = ["number", "title", "tags"].into_iter().chain(SCOPE.iter().map(|(field, _)| *field));
        let mut names = named.chain(searchable(self.rules.as_ref()).map(|field| field.name));
        match names.any(|name| self.before.get(name) != self.after.get(name)) {
            true => tables::update_texts_in(tx, &Texts::of(self.rules.as_ref(), &self.after)).await,
            false => Ok(()),
        }
    }
}

/// Indexes tickets of one kind that were just inserted.
pub(crate) async fn index_all_in(tx: &Tx, rules: &dyn KindRules, rows: &[Row]) -> Result<()> {
    let texts: Vec<_> = rows.iter().map(|row| Texts::of(rules, row)).collect();
    tables::insert_texts_in(tx, &texts).await
}

/// Indexes a comment that was just inserted.
pub(crate) async fn index_comment_in(tx: &Tx, comment: &Row) -> Result<()> {
    let words = text::folded([comment.text("body").as_str()], MAX_INDEXED);
    let Some(ticket) = comment.get("ticket").as_id().filter(|_| !words.is_empty()) else { return Ok(()) };
    tables::append_text_in(tx, ticket, column_of(comment), &words, MAX_INDEXED).await
}

/// The column for the words of such a comment.
fn column_of(comment: &Row) -> &'static str {
    match comment.text("visibility") == CommentVisibility::Public.as_str() {
        true => "comments",
        false => "internal_comments",
    }
}

/// The words of those among these comments that are for the same readers.
fn said(comments: &[Row], ticket: Uuid, visibility: &str) -> String {
    let own = comments.iter().filter(|row| row.get("ticket").as_id() == Some(ticket));
    let bodies: Vec<String> =
        own.filter(|row| row.text("visibility") == visibility).map(|row| row.text("body")).collect();
    text::folded(bodies.iter().map(String::as_str), MAX_INDEXED)
}

/// What is looked for.
///
/// # Errors
/// `VALIDATION` or `LIMIT` at `query`.
pub fn parse(query: &str) -> Result<Vec<Term>> {
    let refuse = |message: String, rule, limit: Option<usize>| {
        let limit = limit.map(|limit| limit as u64);
        Err(UserError::constraint(["query"], message, rule, limit).into())
    };
    let length = query.chars().count();
    if length > MAX_QUERY {
        return refuse(
            format!("`query` has {length} characters; at most {MAX_QUERY} are allowed"),
            "maxLength",
            Some(MAX_QUERY),
        );
    }
    let mut terms: Vec<Term> = Vec::new();
    let mut rest = query.trim_start();
    while !rest.is_empty() {
        let (chunk, behind) = match rest.strip_prefix('"') {
            Some(phrase) => match phrase.split_once('"') {
                Some(found) => found,
                None => return refuse("`query` has a phrase whose `\"` is not closed".into(), "phrase", None),
            },
            None => rest.split_at(rest.find(|sign: char| sign.is_whitespace() || sign == '"').unwrap_or(rest.len())),
        };
        // The star belongs to a phrase as to a word: `"slow vp"*`.
        let (prefix, behind) = match behind.strip_prefix('*') {
            Some(behind) => (true, behind),
            None => (chunk.ends_with('*'), behind),
        };
        rest = behind.trim_start();
        let words: Vec<String> = text::words(chunk).into_iter().map(|word| word.text).collect();
        let Some(last) = words.last() else { continue };
        if prefix && last.chars().count() < MIN_PREFIX {
            let message = format!("`{last}*` is too short: a beginning has at least {MIN_PREFIX} letters or digits");
            return refuse(message, "minPrefix", Some(MIN_PREFIX));
        }
        let term = Term { words, prefix };
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    if terms.is_empty() {
        return refuse("`query` has no words: letters or digits are looked for".into(), "words", None);
    }
    if terms.len() > MAX_TERMS {
        let message = format!("`query` has {} words and phrases; at most {MAX_TERMS} are allowed", terms.len());
        return Err(UserError::limit(["query"], message, MAX_TERMS as u64).into());
    }
    Ok(terms)
}

/// A search as a client asked for it.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// What is looked for.
    pub query: String,
    /// Of these kinds alone; of any when there are none.
    pub kinds: Vec<TicketKind>,
    /// The client's filter, before it is checked.
    pub filter: Predicate,
    /// Which part, from the front.
    pub page: Page,
    /// To-one relations to load along.
    pub relations: Vec<&'static str>,
}

/// A page of tickets that were found, best first.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// What was looked for.
    pub terms: Vec<Term>,
    /// The tickets, each with its points and its cursor.
    pub hits: Vec<Hit>,
    /// Whether there are more behind.
    pub has_next: bool,
    /// Whether there are some before.
    pub has_previous: bool,
}

/// A ticket that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The ticket as the viewer may read it.
    pub row: Row,
    /// What its hits are worth.
    pub points: i64,
    /// Its place.
    pub cursor: String,
}

impl Tickets {
    /// Tickets that hold all of what is looked for in texts that the viewer may read.
    ///
    /// # Errors
    /// User errors at `query` and inside `filter`; `BAD_CURSOR`.
    pub async fn search(&self, ctx: &Ctx, request: SearchRequest) -> Result<Hits> {
        let relations = request.relations.clone();
        let mark = mark(ctx, &request);
        let search = self.search_of(ctx, request).await?;
        let terms = search.terms.clone();
        let found = self.found(ctx, &search, &mark).await?;
        let ids: Vec<Uuid> = found.found.iter().map(|found| found.id).collect();
        let rows = self.by_ids(ctx, &TICKET, &ids, &relations).await?;
        let hit = |(place, hit): (usize, &query::Found)| {
            // One that was hidden meanwhile is left out.
            let row = rows.iter().find(|row| row.id() == hit.id)?.clone();
            Some(Hit { row, points: hit.points, cursor: found.cursors.get(place)? })
        };
        let hits = found.found.iter().enumerate().filter_map(hit).collect();
        Ok(Hits { terms, hits, has_next: found.has_next, has_previous: found.has_previous })
    }

    /// How many tickets [`Tickets::search`] finds, up to [`query::SEARCH_WINDOW`].
    ///
    /// # Errors
    /// As [`Tickets::search`].
    pub async fn search_count(&self, ctx: &Ctx, request: SearchRequest) -> Result<Count> {
        let search = self.search_of(ctx, request).await?;
        let visible = self.access().visible(ctx);
        query::count_found(&self.store().read("ticket.searchCount"), &self.access().scoped(ctx, &visible), &search)
            .await
    }

    async fn search_of(&self, ctx: &Ctx, request: SearchRequest) -> Result<Search> {
        let terms = parse(&request.query)?;
        let visible = self.access().visible(ctx);
        let filter = self.bound_filter(&self.store().read("customField.list"), ctx, request.filter).await?;
        let filter = checked(self.access(), ctx, &visible, &TICKET, filter)?;
        let kinds: Vec<&str> = request.kinds.iter().map(|kind| kind.as_str()).collect();
        let of_kinds = if kinds.is_empty() { Predicate::always() } else { Predicate::one_of("kind", &kinds) };
        Ok(Search {
            record: &TICKET,
            index: &TEXTS,
            terms,
            any: false,
            filter: filter.and(of_kinds),
            internal: self.access().rule(ctx, &TICKET, &READ_INTERNAL),
            page: request.page,
        })
    }

    /// What a search finds, before the records are read.
    ///
    /// # Errors
    /// `BAD_CURSOR`; database errors.
    pub async fn found(&self, ctx: &Ctx, search: &Search, mark: &[u8]) -> Result<FoundPage> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.search");
        query::search(&reader, &self.access().scoped(ctx, &visible), search, self.store().cursors(), mark).await
    }

    /// Indexes the tickets of the tenant that are not in the index, the last first.
    ///
    /// # Errors
    /// Database errors; what is done stays done.
    pub async fn index_missing(&self, ctx: &Ctx) -> Result<()> {
        let mut before = None;
        loop {
            let reader = self.store().read(INDEX);
            let missing = tables::without_texts(&reader, ctx.tenant, before, AT_ONCE).await?;
            let Some(last) = missing.last() else { return Ok(()) };
            before = Some(*last);
            let tickets = self.clone();
            self.store()
                .write(ctx, INDEX, move |tx| {
                    let (tickets, missing) = (tickets.clone(), missing.clone());
                    Box::pin(async move { tickets.index_these_in(tx, &missing).await })
                })
                .await?;
        }
    }

    async fn index_these_in(&self, tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
        // Whoever comments meanwhile waits, and then finds the row that his words are added to.
        self.hold_in(tx, ids).await?;
        let ctx = tx.ctx().clone();
        let visible = visibility::unmasked(&self.access().visible(&ctx));
        let scoped = self.access().scoped(&ctx, &visible);
        let mut texts = Vec::new();
        for rules in self.kinds().iter() {
            let own = Predicate::one_of("id", ids);
            let rows = query::all(tx, &scoped, rules.record(), &own, &[], ids.len() as u64).await?;
            texts.extend(rows.iter().map(|row| Texts::of(rules.as_ref(), row)));
        }
        let comments = comments_in(tx, &scoped, ids, &Predicate::always()).await?;
        for text in &mut texts {
            text.comments = said(&comments, text.ticket, CommentVisibility::Public.as_str());
            text.internal_comments = said(&comments, text.ticket, CommentVisibility::Internal.as_str());
        }
        tables::insert_texts_in(tx, &texts).await
    }
}

impl Tickets {
    /// Indexes the comments of a ticket anew that are for the same readers as this one, which has changed.
    pub(crate) async fn index_comments_anew_in(&self, tx: &Tx, comment: &Row) -> Result<()> {
        let Some(ticket) = comment.get("ticket").as_id() else { return Ok(()) };
        let ctx = tx.ctx().clone();
        let visible = visibility::unmasked(&self.access().visible(&ctx));
        let visibility = comment.text("visibility");
        let alike = Predicate::eq("visibility", visibility.as_str());
        let comments = comments_in(tx, &self.access().scoped(&ctx, &visible), &[ticket], &alike).await?;
        tables::update_text_in(tx, ticket, column_of(comment), &said(&comments, ticket, &visibility)).await
    }

    /// Has the words of all comments of one ticket, which moved to another, be found there.
    pub(crate) async fn index_moved_in(&self, tx: &Tx, from: Uuid, to: Uuid) -> Result<()> {
        match moving::move_texts_in(tx, from, to, MAX_INDEXED).await? {
            true => Ok(()),
            // One of them waits for the job that indexes what is not indexed yet.
            false => self.index_comments_of_in(tx, &[to]).await,
        }
    }

    /// Indexes the comments of these tickets anew, whose comments have moved.
    pub(crate) async fn index_comments_of_in(&self, tx: &Tx, tickets: &[Uuid]) -> Result<()> {
        let visible = visibility::everything(self.access().catalogue());
        let ctx = tx.ctx().clone();
        let scoped = self.access().scoped(&ctx, &visible);
        let mut all = Vec::new();
        for visibility in [CommentVisibility::Public, CommentVisibility::Internal] {
            let alike = Predicate::eq("visibility", visibility.as_str());
            all.extend(comments_in(tx, &scoped, tickets, &alike).await?);
        }
        for ticket in tickets {
            let words = |visibility: CommentVisibility| said(&all, *ticket, visibility.as_str());
            let (public, internal) = (words(CommentVisibility::Public), words(CommentVisibility::Internal));
            moving::update_comment_texts_in(tx, *ticket, &public, &internal).await?;
        }
        Ok(())
    }
}

/// The first comments of each of these tickets, as many as are indexed.
async fn comments_in(tx: &Tx, scoped: &Scoped<'_>, tickets: &[Uuid], filter: &Predicate) -> Result<Vec<Row>> {
    let forward = kernel::PageDirection::Forward;
    query::by_parents(tx, scoped, &COMMENT, "ticket", tickets, filter, forward, COMMENTS_READ, &[]).await
}

/// Names a search, so that a cursor of another one is refused.
fn mark(ctx: &Ctx, request: &SearchRequest) -> [u8; 16] {
    let kinds: Vec<_> = request.kinds.iter().map(|kind| kind.as_str()).collect();
    let field = format!("search:{}:{}", kinds.join(","), request.query);
    let asked = OrderTerm { field, descending: true, nulls_first: false };
    fingerprint(ctx.actor.id, &TICKET, &request.filter, &[asked])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(query: &str) -> Vec<String> {
        let shown = |term: Term| format!("{}{}", term.words.join("+"), if term.prefix { "*" } else { "" });
        parse(query).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn words_phrases_and_beginnings() {
        assert_eq!(terms("VPN  drops"), ["vpn", "drops"]);
        assert_eq!(terms("\"VPN drops\" often"), ["vpn+drops", "often"]);
        assert_eq!(terms("INC-1042"), ["inc+1042"]);
        assert_eq!(terms("vp* \"slow vp\"*"), ["vp*", "slow+vp*"]);
        assert_eq!(terms("vpn VPN"), ["vpn"], "the same is looked for once");
        assert_eq!(terms("vpn -- !"), ["vpn"], "signs alone are nothing to look for");
    }

    #[test]
    fn operators_are_words() {
        assert_eq!(terms("a AND b OR NOT c"), ["a", "and", "b", "or", "not", "c"]);
        assert_eq!(terms("title:x NEAR(a b) -z ^c {d} e|f&g"), ["title+x", "near+a", "b", "z", "c", "d", "e+f+g"]);
    }

    #[test]
    fn what_cannot_be_looked_for_is_told() {
        let many: Vec<String> = (0..=MAX_TERMS).map(|word| format!("w{word}")).collect();
        let long = "x".repeat(MAX_QUERY + 1);
        for (query, said) in [
            ("", "no words"),
            (" ?!… ", "no words"),
            ("\"\"", "no words"),
            ("\"open", "not closed"),
            ("vpn \"", "not closed"),
            ("a*", "too short"),
            (long.as_str(), "at most 200"),
            (many.join(" ").as_str(), "at most 10"),
        ] {
            let error = parse(query).unwrap_err().to_string();
            assert!(error.contains(said), "{query}: {error}");
        }
        assert!(parse(&"x".repeat(MAX_QUERY)).is_ok());
        assert_eq!(parse(&many[1..].join(" ")).unwrap().len(), MAX_TERMS);
    }

    proptest! {
        #[test]
        fn nothing_but_letters_and_digits_is_looked_for(query in "\\PC{0,60}") {
            for term in parse(&query).unwrap_or_default() {
                prop_assert!(!term.words.is_empty());
                prop_assert!(term.words.iter().all(|word| word.chars().all(char::is_alphanumeric)));
            }
        }
    }
}
