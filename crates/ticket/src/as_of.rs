//! A ticket as it was at an instant, and what changed between two: from the ticket as it is now and its events, newest first.
//!
//! A ticket was, at an instant, what the newest event in the log's order that had occurred by then left behind. The log's order
//! decides, so that what is answered is a state that the ticket really had, also where clocks of processes differ or imported
//! events tell times of another system.
//!
//! The log knows every value of the fields for which [`is_told`] holds. The others are absent from a ticket of the past.

use std::collections::{BTreeMap, BTreeSet};

use access::visibility;
use kernel::{Actor, Ctx, Error, Id, Result, Timestamp, UserError, Uuid};
use predicate::{FieldType, Policy, RecordType, Value, evaluate};
use serde_json::{Map, Value as Json};
use store::query::Row;
use store::{Audience, Change, PastEvent, Reader};

use crate::events::is_told;
use crate::fields::{READ_INTERNAL, SLA_BASIS, TICKET};
use crate::queries::{RELATIONS, TicketRef};
use crate::service::Tickets;

/// How many events of a ticket are read for one answer.
pub const MAX_EVENTS: usize = 10_000;
/// How many events one statement reads.
const PAGE: u32 = 250;

/// What the log tells of an instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Then<T> {
    /// All that was asked for.
    Known(T),
    /// The log reaches back to this instant only, or tells nothing of the ticket.
    Unknown(Option<Timestamp>),
}

/// The way back from a ticket as it is now to what it was.
#[derive(Debug)]
pub struct Rewind {
    at: Timestamp,
    /// Values before the events that came later, by field.
    undone: BTreeMap<String, Json>,
    reached: Option<Reached>,
    earliest: Option<Timestamp>,
}

/// The version that the ticket had, and since when.
#[derive(Clone, Copy, Debug)]
struct Reached {
    version: i32,
    since: Timestamp,
    /// When the first event happened on the way that tells of a version before.
    older: Option<Timestamp>,
}

impl Rewind {
    /// The way back to this instant.
    pub fn to(at: Timestamp) -> Self {
        Self { at, undone: BTreeMap::new(), reached: None, earliest: None }
    }

    /// Takes the next event on the way, newest first; answers whether earlier ones are needed.
    pub fn take(&mut self, event: &PastEvent) -> bool {
        self.earliest = Some(event.occurred_at);
        match &mut self.reached {
            None if event.occurred_at > self.at => {
                let before = event.changes.iter().map(|change| (change.field.clone(), change.before.clone()));
                self.undone.extend(before);
                true
            }
            None => {
                self.reached = Some(Reached { version: event.version, since: event.occurred_at, older: None });
                true
            }
            // The first event with the version is the one that wrote the ticket's own fields last.
            Some(reached) if event.version >= reached.version => {
                *reached = Reached { version: event.version, since: event.occurred_at, older: None };
                true
            }
            // What follows from the first event of a write may tell its version behind the second one: the whole write is read.
            Some(reached) => *reached.older.get_or_insert(event.occurred_at) == event.occurred_at,
        }
    }

    /// The ticket as it was; `now` is the ticket as it was read before the first event was. Fields that the log does not know
    /// are absent, and so are relations.
    ///
    /// # Errors
    /// `INTERNAL` when the log holds what is no value of a field.
    pub fn apply(self, record: &'static RecordType, now: &Row) -> Result<Then<Row>> {
        let Some(reached) = self.reached else { return Ok(Then::Unknown(self.earliest)) };
        let mut fields = Vec::new();
        for field in record.all_fields().filter(|field| is_told(field)) {
            let value = match self.undone.get(field.name) {
                Some(json) => Value::from_json(&field.kind, json)
                    .ok_or_else(|| Error::internal(format!("an event has no value of `{}`: {json}", field.name)))?,
                None => now.get(field.name).clone(),
            };
            fields.push((field.name, value));
        }
        fields.extend([("version", reached.version.into()), ("updatedAt", reached.since.into())]);
        Ok(Then::Known(Row::new(record, fields)))
    }
}

/// One field that differs between two instants.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The field with both values; of a document of custom fields one key alone.
    pub change: Change,
    /// The last event between that changed it: when, and who did it. Absent where the viewer may not hear of that event.
    pub last: Option<(Timestamp, Actor)>,
    audience: Audience,
}

/// What happened to a ticket between two instants.
#[derive(Debug)]
pub struct Comparison {
    record: &'static RecordType,
    from: Timestamp,
    to: Timestamp,
    /// By field and key.
    found: BTreeMap<(String, Option<String>), Difference>,
    events: [u32; 2],
    earliest: Option<Timestamp>,
    between: bool,
    complete: bool,
}

impl Comparison {
    /// Between these instants: what had occurred by `from` is before it, what had occurred by `to` is not behind it.
    pub fn between(record: &'static RecordType, from: Timestamp, to: Timestamp) -> Self {
        Self {
            record,
            from,
            to,
            found: BTreeMap::new(),
            events: [0, 0],
            earliest: None,
            between: false,
            complete: false,
        }
    }

    /// Takes the next event on the way, newest first; answers whether earlier ones are needed.
    pub fn take(&mut self, event: &PastEvent) -> bool {
        self.earliest = Some(event.occurred_at);
        if event.occurred_at <= self.from {
            self.complete = true;
            return false;
        }
        self.between |= event.occurred_at <= self.to;
        // Before its creation a ticket had no values, which is as well known as any.
        self.complete = event.changes.iter().any(|change| change.field == "id" && change.before.is_null());
        if self.between {
            self.events[usize::from(event.audience == Audience::Internal)] += 1;
            event.changes.iter().for_each(|change| self.note(event, change));
        }
        true
    }

    fn note(&mut self, event: &PastEvent, change: &Change) {
        let Some(field) = self.record.field(&change.field).filter(|field| ![SLA_BASIS, "id"].contains(&field.name))
        else {
            return;
        };
        let parts = match field.kind {
            FieldType::Json => by_key(change),
            _ => vec![(None, change.clone())],
        };
        for (key, part) in parts {
            let noted = self.found.entry((change.field.clone(), key)).or_insert_with(|| Difference {
                change: part.clone(),
                last: Some((event.occurred_at, event.actor)),
                audience: event.audience,
            });
            noted.change.before = part.before;
        }
    }

    /// What differs, by the names of the fields, and how many events lie between, those for everybody and those for the people
    /// who work on the ticket.
    pub fn finish(self) -> Then<(Vec<Difference>, [u32; 2])> {
        if !self.complete {
            return Then::Unknown(self.earliest);
        }
        let differs = |found: &Difference| found.change.before != found.change.after;
        Then::Known((self.found.into_values().filter(differs).collect(), self.events))
    }
}

/// The changes of a document, each key as a document of its own; null where the key is not there.
fn by_key(change: &Change) -> Vec<(Option<String>, Change)> {
    let documents = [&change.before, &change.after];
    let keys: BTreeSet<&String> = documents.iter().filter_map(|json| json.as_object()).flat_map(Map::keys).collect();
    let part = |json: &Json, key: &str| match json.get(key) {
        None | Some(Json::Null) => Json::Null,
        Some(value) => Json::Object(Map::from_iter([(key.to_owned(), value.clone())])),
    };
    keys.into_iter()
        .map(|key| {
            let (before, after) = (part(&change.before, key), part(&change.after, key));
            (Some(key.clone()), Change { field: change.field.clone(), before, after })
        })
        .filter(|(_, change)| change.before != change.after)
        .collect()
}

/// What changed of a ticket, as far as the viewer may read it.
pub struct TicketDifferences {
    /// The record type of the ticket's kind.
    pub record: &'static RecordType,
    /// The ticket as it is now, unmasked: for what decides how values are shown, never to be shown itself.
    pub ticket: Row,
    /// The fields that differ, by name.
    pub differences: Vec<Difference>,
    /// How many events lie between.
    pub events: u32,
}

/// The ticket that is looked back from: as it is now and unmasked, which decides what the viewer may read of its past.
struct Present {
    record: &'static RecordType,
    row: Row,
}

impl Tickets {
    /// The visible ticket as it was at an instant, as far as the viewer may read the ticket of now. Fields whose values the log
    /// does not know are absent, and so are relations. `None` where there is no such ticket, or was none then.
    ///
    /// # Errors
    /// At `asOf`: `VALIDATION` for an instant in the future or before what the log knows, `LIMIT` for more than [`MAX_EVENTS`]
    /// events since; database errors.
    pub async fn as_of(&self, ctx: &Ctx, reference: &TicketRef, at: Timestamp) -> Result<Option<Row>> {
        check_past(ctx, at, "asOf")?;
        let reader = self.store().read("ticket.asOf");
        let Some(present) = self.present(&reader, ctx, reference).await? else { return Ok(None) };
        if at < present.row.time("createdAt") {
            return Ok(None);
        }
        let mut rewind = Rewind::to(at);
        self.walk_back(&reader, ctx, present.row.id(), "asOf", |event| rewind.take(event)).await?;
        let mut row = known(rewind.apply(present.record, &present.row)?, "asOf")?;
        let visible = self.access().visible(ctx);
        let visibility = visible.get(present.record.name);
        for field in present.record.all_fields() {
            let mask = visibility.map(|visibility| visibility.mask(field.name));
            if mask.is_none_or(|mask| mask.is_some_and(|mask| !evaluate(mask, &present.row))) {
                row.set(field.name, Value::Null);
            }
        }
        Ok(Some(row))
    }

    /// What changed of the visible ticket between two instants. `None` where there is no such ticket, or was none at the end.
    ///
    /// # Errors
    /// At `from` or `to`: `VALIDATION` for an instant in the future, the wrong order or an instant before what the log knows,
    /// `LIMIT` for more than [`MAX_EVENTS`] events since `from`; database errors.
    pub async fn compare(
        &self,
        ctx: &Ctx,
        reference: &TicketRef,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<TicketDifferences>> {
        check_past(ctx, from, "from")?;
        check_past(ctx, to, "to")?;
        if from > to {
            return Err(UserError::constraint(["to"], "`to` is earlier than `from`", "order", None).into());
        }
        let reader = self.store().read("ticket.compare");
        let Some(Present { record, row }) = self.present(&reader, ctx, reference).await? else { return Ok(None) };
        if to < row.time("createdAt") {
            return Ok(None);
        }
        let mut comparison = Comparison::between(record, from, to);
        self.walk_back(&reader, ctx, row.id(), "from", |event| comparison.take(event)).await?;
        let (mut differences, [public, internal]) = known(comparison.finish(), "from")?;
        let visible = self.access().visible(ctx);
        let visibility = visible.get(record.name);
        differences.retain(|found| {
            let mask = visibility.map(|visibility| visibility.mask(&found.change.field));
            mask.is_some_and(|mask| mask.is_none_or(|mask| evaluate(mask, &row)))
        });
        // As the events themselves: those for the people who work on the ticket are for the auditors of the log as well.
        let works_on_it = Policy::When(READ_INTERNAL);
        let hears = self.access().allows(ctx, record, &works_on_it, &row)
            || ctx.grants.holds_tenant(access::permission::AUDIT_READ);
        for found in differences.iter_mut().filter(|found| !hears && found.audience == Audience::Internal) {
            found.last = None;
        }
        let events = if hears { public + internal } else { public };
        Ok(Some(TicketDifferences { record, ticket: row, differences, events }))
    }

    async fn present(&self, reader: &Reader, ctx: &Ctx, reference: &TicketRef) -> Result<Option<Present>> {
        let visible = visibility::unmasked(&self.access().visible(ctx));
        let id = match reference {
            TicketRef::Id(id) => *id,
            // A number that was imported says nothing of the kind.
            _ => match self.find_with(reader, ctx, &visible, &TICKET, reference, &[]).await? {
                Some(row) => Id::new(self.kinds().of(&row)?.kind().id_prefix(), row.id()),
                None => return Ok(None),
            },
        };
        let Some(record) = self.record_of(reader, ctx, &visible, &TicketRef::Id(id)).await? else { return Ok(None) };
        let row = self.find_with(reader, ctx, &visible, record, &TicketRef::Id(id), RELATIONS).await?;
        Ok(row.map(|row| Present { record, row }))
    }

    /// Reads the ticket's events, newest first, until `take` has enough. The ticket was read before: whatever it shows is among
    /// the events, and what came since is undone as well.
    async fn walk_back(
        &self,
        reader: &Reader,
        ctx: &Ctx,
        ticket: Uuid,
        path: &str,
        mut take: impl FnMut(&PastEvent) -> bool,
    ) -> Result<()> {
        let (mut before, mut left) = (None, MAX_EVENTS);
        loop {
            let page = self.store().log().back_of_subject(reader, ctx.tenant, ticket, before, PAGE).await?;
            for event in &page {
                if left == 0 {
                    let message = format!("more than {MAX_EVENTS} events of the ticket lie behind that instant");
                    return Err(UserError::limit([path], message, MAX_EVENTS as u64).into());
                }
                left -= 1;
                if !take(event) {
                    return Ok(());
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => before = Some(last.order),
                _ => return Ok(()),
            }
        }
    }
}

fn check_past(ctx: &Ctx, at: Timestamp, path: &str) -> Result<()> {
    if at <= ctx.now() {
        return Ok(());
    }
    let message = format!("`{path}` lies in the future");
    Err(UserError::constraint([path], message, "past", None).into())
}

fn known<T>(then: Then<T>, path: &str) -> Result<T> {
    let message = match then {
        Then::Known(found) => return Ok(found),
        Then::Unknown(Some(earliest)) => {
            let earliest = earliest.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            format!("the log tells of the ticket from {earliest} on: how it was before is not known")
        }
        Then::Unknown(None) => "the log tells nothing of the ticket: how it was is not known".to_owned(),
    };
    Err(UserError::constraint([path], message, "known", None).into())
}

#[cfg(test)]
mod tests {
    use kernel::ActorKind;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn event(second: i64, version: i32, changes: &[(&str, Json, Json)]) -> PastEvent {
        let change = |(field, before, after): &(&str, Json, Json)| Change {
            field: (*field).to_owned(),
            before: before.clone(),
            after: after.clone(),
        };
        PastEvent {
            order: 0,
            actor: Actor { id: Uuid::from_u128(second.unsigned_abs().into()), kind: ActorKind::User },
            version,
            audience: Audience::Public,
            changes: changes.iter().map(change).collect(),
            occurred_at: at(second),
        }
    }

    /// What is known of an instant from these events, oldest first.
    fn rewound(now: &Row, events: &[PastEvent], second: i64) -> Then<Row> {
        let mut rewind = Rewind::to(at(second));
        let _ = events.iter().rev().all(|event| rewind.take(event));
        rewind.apply(&TICKET, now).unwrap()
    }

    fn compared(events: &[PastEvent], from: i64, to: i64) -> Then<(Vec<Difference>, [u32; 2])> {
        let mut comparison = Comparison::between(&TICKET, at(from), at(to));
        let _ = events.iter().rev().all(|event| comparison.take(event));
        comparison.finish()
    }

    /// Fields of each type, a text that only history tells among them.
    const EDITED: &[&str] =
        &["title", "description", "waitingUntil", "team", "tags", "reopenCount", "pausable", "customFields"];

    fn value(field: &str, choice: u8) -> Value {
        if choice == 0 && field != "title" {
            return Value::Null;
        }
        let number = i64::from(choice);
        match field {
            "waitingUntil" => at(number).into(),
            "team" => Uuid::from_u128(choice.into()).into(),
            "tags" => Value::TextList(vec![format!("tag {choice}")]),
            "reopenCount" => Value::Int(number),
            "pausable" => choice.is_multiple_of(2).into(),
            "customFields" => Value::Json(json!({ "site": number / 2, "cost": number % 2 })),
            _ => format!("text {choice}").into(),
        }
    }

    /// What a sequence of edits leaves: a row for each step, and its event. Steps without an edit tell of something else, such as
    /// a comment, and leave the version as it is.
    fn played(steps: &[(i64, Vec<(usize, u8)>)]) -> (Vec<Row>, Vec<PastEvent>) {
        let mut row = Row::new(&TICKET, Vec::new());
        let (mut rows, mut events, mut second) = (Vec::new(), Vec::new(), 100);
        for (index, (pause, edits)) in steps.iter().enumerate() {
            let before = row.clone();
            second += pause;
            if index == 0 {
                row.set("id", Uuid::from_u128(7).into());
                row.set("createdAt", at(second).into());
            }
            for (field, choice) in edits {
                let field = EDITED[*field];
                row.set(field, value(field, *choice));
            }
            let changed: Vec<_> = TICKET
                .fields
                .iter()
                .filter(|field| before.get(field.name) != row.get(field.name))
                .map(|field| (field.name, before.get(field.name).to_json(), row.get(field.name).to_json()))
                .collect();
            if !changed.is_empty() {
                row.set("version", (i32::try_from(row.int("version")).unwrap() + 1).into());
                row.set("updatedAt", at(second).into());
            }
            events.push(event(second, i32::try_from(row.int("version")).unwrap(), &changed));
            rows.push(row.clone());
        }
        (rows, events)
    }

    fn shown(row: &Row) -> Vec<(&'static str, Value)> {
        EDITED
            .iter()
            .chain(&["id", "createdAt", "version", "updatedAt"])
            .map(|name| (*name, row.get(name).clone()))
            .collect()
    }

    proptest! {
        #[test]
        fn each_instant_is_as_it_was_recorded(
            steps in prop::collection::vec((0..3_i64, prop::collection::vec((0..EDITED.len(), 0..5_u8), 0..4)), 1..30)
        ) {
            let (rows, events) = played(&steps);
            let now = rows.last().unwrap();
            for second in 99..events.last().unwrap().occurred_at.timestamp() + 2 {
                let expected = events.iter().rposition(|event| event.occurred_at <= at(second));
                match (rewound(now, &events, second), expected) {
                    (Then::Known(row), Some(place)) => prop_assert_eq!(shown(&row), shown(&rows[place])),
                    (Then::Unknown(earliest), None) => prop_assert_eq!(earliest, Some(events[0].occurred_at)),
                    (found, expected) => prop_assert!(false, "{second}: {found:?}, but {expected:?}"),
                }
            }
        }

        #[test]
        fn what_differs_leads_from_one_instant_to_the_other(
            steps in prop::collection::vec((0..3_i64, prop::collection::vec((0..EDITED.len(), 0..5_u8), 0..4)), 1..20),
            (from, length) in (99..140_i64, 0..40_i64),
        ) {
            let (rows, events) = played(&steps);
            let (now, to) = (rows.last().unwrap(), from + length);
            let Then::Known((found, [public, internal])) = compared(&events, from, to) else {
                return Err(TestCaseError::fail("the whole log is there"));
            };
            let between = events.iter().filter(|event| event.occurred_at > at(from) && event.occurred_at <= at(to));
            prop_assert_eq!((public as usize, internal), (between.count(), 0));
            let empty = Row::new(&TICKET, Vec::new());
            let row = |second| match rewound(now, &events, second) {
                Then::Known(row) => row,
                Then::Unknown(_) => empty.clone(),
            };
            let (before, after) = (row(from), row(to));
            for name in EDITED.iter().filter(|name| **name != "customFields") {
                let told = found.iter().find(|found| found.change.field == *name);
                let expected = (before.get(name) != after.get(name)).then(|| (before.get(name).to_json(), after.get(name).to_json()));
                prop_assert_eq!(told.map(|found| (found.change.before.clone(), found.change.after.clone())), expected);
            }
            for key in ["site", "cost"] {
                let of = |row: &Row| match row.get("customFields") {
                    Value::Json(document) => document.get(key).cloned().unwrap_or_default(),
                    _ => Json::Null,
                };
                let named = |json: &Json| json.get(key).is_some();
                let told = found.iter().find(|found| named(&found.change.before) || named(&found.change.after));
                let told = told.map(|found| {
                    let value = |json: &Json| json.get(key).cloned().unwrap_or_default();
                    (value(&found.change.before), value(&found.change.after))
                });
                prop_assert_eq!(told, (of(&before) != of(&after)).then(|| (of(&before), of(&after))));
            }
        }
    }

    #[test]
    fn the_order_of_the_log_decides_where_times_do_not_rise() {
        let titles = |before: Option<&str>, after: &str| ("title", json!(before), json!(after));
        let created = event(10, 1, &[("id", Json::Null, json!(Uuid::nil())), titles(None, "one")]);
        let events =
            [created, event(30, 2, &[titles(Some("one"), "two")]), event(20, 3, &[titles(Some("two"), "three")])];
        let now = Row::new(&TICKET, vec![("title", "three".into()), ("version", 3.into())]);
        let title = |second| match rewound(&now, &events, second) {
            Then::Known(row) => row.text("title"),
            Then::Unknown(_) => "unknown".to_owned(),
        };
        assert_eq!([9, 10, 19, 20, 30].map(title), ["unknown", "one", "one", "three", "three"]);
    }

    #[test]
    fn the_version_is_that_of_the_whole_write() {
        // A comment, the transition that follows from it, and what follows from the comment's event; then another comment.
        let events = [event(10, 4, &[]), event(20, 5, &[]), event(30, 5, &[]), event(30, 6, &[]), event(30, 5, &[])];
        let last = event(40, 6, &[]);
        let now = Row::new(&TICKET, vec![("version", 6.into())]);
        let version = |events: &[PastEvent], second| match rewound(&now, events, second) {
            Then::Known(row) => (row.int("version"), row.time("updatedAt").timestamp()),
            Then::Unknown(_) => (0, 0),
        };
        assert_eq!([10, 20, 29, 30].map(|second| version(&events, second)), [(4, 10), (5, 20), (5, 20), (6, 30)]);
        let events: Vec<_> = events.into_iter().chain([last]).collect();
        assert_eq!(version(&events, 40), (6, 30), "a comment is no change of the ticket's own fields");
    }

    #[test]
    fn fields_that_the_log_does_not_know_are_absent() {
        let now = Row::new(
            &TICKET,
            vec![("title", "one".into()), ("blockedTransitions", Value::TextList(vec!["start".to_owned()]))],
        );
        let Then::Known(row) = rewound(&now, &[event(10, 1, &[])], 10) else { panic!("it is known") };
        assert_eq!((row.text("title").as_str(), row.get("blockedTransitions")), ("one", &Value::Null));
    }

    #[test]
    fn without_its_beginning_the_log_tells_from_when_on_it_knows() {
        let updated = [event(10, 4, &[("title", json!("one"), json!("two"))])];
        let now = Row::new(&TICKET, vec![("title", "two".into())]);
        assert_eq!(rewound(&now, &updated, 9), Then::Unknown(Some(at(10))));
        assert_eq!(rewound(&now, &[], 9), Then::Unknown(None));
        assert_eq!(compared(&updated, 9, 11), Then::Unknown(Some(at(10))));
        let Then::Known((found, _)) = compared(&updated, 10, 11) else { panic!("nothing happened since") };
        assert_eq!(found, []);
    }

    #[test]
    fn a_difference_names_who_changed_the_field_last() {
        let site = |before: Json, after: Json| ("customFields", json!({ "site": before }), json!({ "site": after }));
        let events = [
            event(10, 1, &[("title", json!("one"), json!("two")), site(json!(1), json!(2))]),
            event(20, 2, &[("title", json!("two"), json!("three"))]),
            event(30, 3, &[site(json!(2), json!(1)), ("tags", json!([]), json!(["vpn"]))]),
        ];
        let earlier = event(5, 1, &[]);
        let all: Vec<_> = std::iter::once(earlier).chain(events).collect();
        let Then::Known((found, _)) = compared(&all, 5, 30) else { panic!("it is known") };
        let told: Vec<_> =
            found.iter().map(|found| (found.change.field.as_str(), found.last.map(|last| last.0))).collect();
        assert_eq!(told, [("tags", Some(at(30))), ("title", Some(at(20)))], "what is back as it was does not differ");
    }
}
