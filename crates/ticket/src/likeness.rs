//! Tickets that are like another, with reasons: they share a configuration item, a service, a category, or words.
//!
//! Candidates are few: the last tickets of each of its configuration items and of its service, and the best that a search for the words of its title
//! finds. Each is then scored by itself ([`score`]), of what the viewer may read and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Ctx, Page, PageDirection, Result, Uuid};
use predicate::{Predicate, RecordType};
use store::Reader;
use store::query::{self, OrderTerm, Query, Row, Scoped, Search, Term};
use store::text;

use crate::fields::{READ_INTERNAL, TICKET_ITEM};
use crate::model::ItemLink;
use crate::search::TEXTS;
use crate::service::Tickets;

/// The most suggestions at once.
pub const MAX_SUGGESTIONS: usize = 20;
/// How many configuration items of the ticket are looked at.
const ITEMS: usize = 10;
/// How many of the last tickets of each of them, of its service, and of those with its words are looked at.
const CANDIDATES: u32 = 30;
/// How many words of the title are compared.
const WORDS: usize = 10;
/// Shorter words say little of what a ticket is about.
const SHORTEST: usize = 3;
/// How many shared words count.
const COUNTED_WORDS: usize = 5;
/// How many shared configuration items count.
const COUNTED_ITEMS: usize = 3;
/// What is worth less is no suggestion: one word, or the category, is shared by chance.
pub const LEAST: i64 = 3;

/// What is compared.
#[derive(Clone, Debug, Default)]
pub struct Likeness {
    /// The ticket itself, which is left out.
    pub except: Option<Uuid>,
    /// Its configuration items, as far as the viewer may see them.
    pub items: Vec<Uuid>,
    /// Its service.
    pub service: Option<Uuid>,
    /// Its category.
    pub category: Option<Uuid>,
    /// Its title.
    pub title: String,
}

/// What two tickets share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Configuration items.
    pub items: Vec<Uuid>,
    /// The service.
    pub service: Option<Uuid>,
    /// The category.
    pub category: Option<Uuid>,
    /// Folded words of the title that stand in a text of the other, in the title's order.
    pub words: Vec<String>,
}

/// A ticket that is like another.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// The ticket as the viewer may read it.
    pub row: Row,
    /// See [`score`].
    pub score: i64,
    /// Why.
    pub shared: Shared,
}

/// 5 for each shared configuration item (at most 3 count), 3 for the service, 1 for the category, 2 for each shared word (at most 5 count).
pub fn score(shared: &Shared) -> i64 {
    let count = |number: usize, most: usize| i64::try_from(number.min(most)).unwrap_or_default();
    5 * count(shared.items.len(), COUNTED_ITEMS)
        + 3 * i64::from(shared.service.is_some())
        + i64::from(shared.category.is_some())
        + 2 * count(shared.words.len(), COUNTED_WORDS)
}

/// The words of a title that are compared.
pub fn words_of(title: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text::words(title) {
        // Numbers are those of a day or of a room.
        let telling = word.text.chars().count() >= SHORTEST && !word.text.chars().all(char::is_numeric);
        if telling && !words.contains(&word.text) && words.len() < WORDS {
            words.push(word.text);
        }
    }
    words
}

impl Tickets {
    /// The visible tickets of a kind, among these, that are most like what is given, best first and the newest of equals. `texts` are
    /// the fields that are compared beside the title.
    ///
    /// # Errors
    /// Database errors.
    pub async fn alike(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        among: Predicate,
        texts: &[&'static str],
        like: &Likeness,
        limit: usize,
    ) -> Result<Vec<Suggestion>> {
        let words = words_of(&like.title);
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.alike");
        let mut items = self.with_its_items(&reader, &scoped, record, like).await?;
        let mut candidates: BTreeSet<Uuid> = items.keys().copied().collect();
        candidates.extend(self.with_its_service(&reader, &scoped, record, &among, like).await?);
        candidates.extend(self.with_its_words(ctx, &reader, &scoped, record, &among, &words).await?);
        if let Some(except) = like.except {
            candidates.remove(&except);
        }
        let ids: Vec<Uuid> = candidates.into_iter().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let filter = Predicate::one_of("id", &ids).and(among);
        let rows = query::all(&reader, &scoped, record, &filter, &[], ids.len() as u64).await?;
        let mut suggestions: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let shared = shared(&row, items.remove(&row.id()).unwrap_or_default(), &words, texts, like);
                Suggestion { score: score(&shared), row, shared }
            })
            .filter(|suggestion| suggestion.score >= LEAST)
            .collect();
        suggestions.sort_by_key(|found| std::cmp::Reverse((found.score, found.row.time("createdAt"), found.row.id())));
        suggestions.truncate(limit.min(MAX_SUGGESTIONS));
        Ok(suggestions)
    }

    /// The last tickets of each of the configuration items, with those of the items that they have.
    async fn with_its_items(
        &self,
        reader: &Reader,
        scoped: &Scoped<'_>,
        record: &'static RecordType,
        like: &Likeness,
    ) -> Result<BTreeMap<Uuid, Vec<Uuid>>> {
        let mut items: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        let compared = &like.items[..like.items.len().min(ITEMS)];
        if compared.is_empty() {
            return Ok(items);
        }
        let affected = !Predicate::eq("link", ItemLink::NotImpacted.as_str());
        let affected = affected.and(Predicate::eq("kind", kind_of(self, record)).through("ticket"));
        let (newest, parent) = (PageDirection::Backward, "configurationItem");
        let links =
            query::by_parents(reader, scoped, &TICKET_ITEM, parent, compared, &affected, newest, CANDIDATES, &[]);
        for link in links.await? {
            if let (Some(ticket), Some(item)) = (link.get("ticket").as_id(), link.get(parent).as_id()) {
                items.entry(ticket).or_default().push(item);
            }
        }
        Ok(items)
    }

    /// The last tickets of the service.
    async fn with_its_service(
        &self,
        reader: &Reader,
        scoped: &Scoped<'_>,
        record: &'static RecordType,
        among: &Predicate,
        like: &Likeness,
    ) -> Result<Vec<Uuid>> {
        let Some(service) = like.service else { return Ok(Vec::new()) };
        let newest = vec![OrderTerm { field: "createdAt".into(), descending: true, nulls_first: false }];
        let filter = Predicate::eq("service", service).and(among.clone());
        let query = Query { record, filter, order: newest, page: Page::first(CANDIDATES), relations: Vec::new() };
        let slice = query::list(reader, scoped, &query, self.store().cursors(), &[]).await?;
        Ok(slice.rows.iter().map(Row::id).collect())
    }

    /// The best that a search for any of the words finds.
    async fn with_its_words(
        &self,
        ctx: &Ctx,
        reader: &Reader,
        scoped: &Scoped<'_>,
        record: &'static RecordType,
        among: &Predicate,
        words: &[String],
    ) -> Result<Vec<Uuid>> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let search = Search {
            record,
            index: &TEXTS,
            terms: words.iter().map(|word| Term { words: vec![word.clone()], prefix: false }).collect(),
            any: true,
            filter: among.clone(),
            internal: self.access().rule(ctx, record, &READ_INTERNAL),
            page: Page::first(CANDIDATES),
        };
        let page = query::search(reader, scoped, &search, self.store().cursors(), &[]).await?;
        Ok(page.found.iter().map(|found| found.id).collect())
    }
}

/// The kind whose record type this is, as it is stored.
fn kind_of(tickets: &Tickets, record: &'static RecordType) -> &'static str {
    let rules = tickets.kinds().iter().find(|rules| rules.record().name == record.name);
    rules.map_or("", |rules| rules.kind().as_str())
}

/// What a candidate shares, of what the viewer may read of it.
fn shared(row: &Row, items: Vec<Uuid>, words: &[String], texts: &[&'static str], like: &Likeness) -> Shared {
    let same = |field: &str, value: Option<Uuid>| value.filter(|value| row.get(field).as_id() == Some(*value));
    let says: BTreeSet<String> =
        ["title"].iter().chain(texts).flat_map(|field| text::words(&row.text(field))).map(|word| word.text).collect();
    Shared {
        items,
        service: same("service", like.service),
        category: same("category", like.category),
        words: words.iter().filter(|word| says.contains(*word)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_words_are_compared_once() {
        assert_eq!(words_of("The VPN of FRA drops the VPN, 4711 of 12"), ["the", "vpn", "fra", "drops"]);
        let long: String = (0..30).map(|place| format!("word{place} ")).collect();
        assert_eq!(words_of(&long).len(), WORDS);
    }

    #[test]
    fn what_is_shared_adds_up_to_a_bound() {
        let id = Uuid::from_u128;
        let word = |count: usize| (0..count).map(|place| format!("word{place}")).collect::<Vec<_>>();
        let nothing = Shared::default();
        assert_eq!(score(&nothing), 0);
        assert_eq!(score(&Shared { items: vec![id(1)], ..nothing.clone() }), 5);
        assert_eq!(score(&Shared { items: (0..9).map(id).collect(), ..nothing.clone() }), 15);
        assert_eq!(score(&Shared { service: Some(id(1)), category: Some(id(2)), ..nothing.clone() }), 4);
        assert_eq!(score(&Shared { words: word(2), ..nothing.clone() }), 4);
        assert_eq!(score(&Shared { words: word(9), ..nothing.clone() }), 10);
        assert!(score(&Shared { words: word(1), ..nothing.clone() }) < LEAST, "one word is chance");
        assert!(score(&Shared { category: Some(id(2)), ..nothing }) < LEAST, "and so is the category");
    }
}
