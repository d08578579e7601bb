//! Idempotency against a model: random sequences of calls with few keys, few inputs, dry runs and refusals.

use std::collections::BTreeMap;

use kernel::{Ctx, ErrorCode, Mutation, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use store::query::Row;
use ticket::CommentVisibility::Public;
use ticket::fields::{COMMENT, EVENT, WATCHER};

use crate::company::{broken, check};
use crate::setup::{World, comment, in_each_world, retitle, update, watch};

const CASES: u32 = 40;
const PEOPLE: &[&str] = &["ada", "abe"];

/// What is asked of one of two tickets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    /// A new title; an empty one is refused.
    Title(usize, &'static str, Option<i32>),
    /// A comment; an empty one is refused.
    Comment(usize, &'static str),
    Watch(usize),
    Unwatch(usize),
    /// Needs a permission that agents lack.
    Override(usize),
}

#[derive(Clone, Debug)]
struct Call {
    who: usize,
    ask: Ask,
    key: Option<&'static str>,
    dry: bool,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let title =
        (0..2usize, select(vec!["one", "two", ""]), prop_oneof![3 => Just(None), 1 => (1..5i32).prop_map(Some)]);
    let ask = prop_oneof![
        4 => title.prop_map(|(ticket, title, version)| Ask::Title(ticket, title, version)),
        3 => (0..2usize, select(vec!["hi", "ho", " "])).prop_map(|(ticket, body)| Ask::Comment(ticket, body)),
        1 => (0..2usize).prop_map(Ask::Watch),
        1 => (0..2usize).prop_map(Ask::Unwatch),
        1 => (0..2usize).prop_map(Ask::Override),
    ];
    let key = prop_oneof![1 => Just(None), 3 => select(vec!["k", "l"]).prop_map(Some)];
    let call = (0..PEOPLE.len(), ask, key, proptest::bool::weighted(0.2));
    vec(call.prop_map(|(who, ask, key, dry)| Call { who, ask, key, dry }), 1..25)
}

impl Ask {
    /// The mutation's name, which keys are scoped by.
    fn mutation(&self) -> &'static str {
        match self {
            Ask::Title(..) | Ask::Override(_) => "incidentUpdate",
            Ask::Comment(..) => "commentAdd",
            Ask::Watch(_) => "ticketWatch",
            Ask::Unwatch(_) => "ticketUnwatch",
        }
    }

    /// A hash of the input: the input itself, where it is that short.
    fn hash(&self) -> [u8; 32] {
        let text = format!("{self:?}");
        let mut hash = [0u8; 32];
        for (place, byte) in text.bytes().enumerate() {
            hash[place % 32] = hash[place % 32].wrapping_mul(31).wrapping_add(byte);
        }
        hash
    }
}

/// A ticket of the model.
#[derive(Clone, Debug, PartialEq)]
struct Ticket {
    title: String,
    version: i32,
    comments: usize,
    watchers: Vec<usize>,
}

/// What a call that was done has answered.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    record: Uuid,
    events: Vec<Uuid>,
}

struct Model {
    tickets: Vec<Ticket>,
    events: u64,
    done: BTreeMap<(usize, &'static str, &'static str), (Ask, Answer)>,
}

impl Model {
    /// What becomes of the call when no earlier one answers it: how many events, or which refusal.
    fn apply(&mut self, who: usize, ask: &Ask) -> Result<usize, ErrorCode> {
        match ask {
            Ask::Title(ticket, title, version) => {
                let ticket = &mut self.tickets[*ticket];
                if version.is_some_and(|version| version != ticket.version) {
                    return Err(ErrorCode::Conflict);
                }
                let changed = ticket.title != *title;
                if changed {
                    ticket.title = (*title).to_owned();
                    ticket.version += 1;
                }
                Ok(usize::from(changed))
            }
            Ask::Comment(ticket, _) => {
                self.tickets[*ticket].comments += 1;
                Ok(1)
            }
            Ask::Watch(ticket) => {
                let watchers = &mut self.tickets[*ticket].watchers;
                let new = !watchers.contains(&who);
                if new {
                    watchers.push(who);
                }
                Ok(usize::from(new))
            }
            Ask::Unwatch(ticket) => {
                let watchers = &mut self.tickets[*ticket].watchers;
                let before = watchers.len();
                watchers.retain(|watcher| *watcher != who);
                Ok(before - watchers.len())
            }
            Ask::Override(_) => Err(ErrorCode::Forbidden),
        }
    }
}

/// What a call came to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done { events: usize },
    Replayed(Answer),
    Refused(ErrorCode),
}

impl Model {
    fn expect(&mut self, call: &Call) -> Outcome {
        if matches!(call.ask, Ask::Title(_, "", _) | Ask::Comment(_, " ")) {
            // What is malformed is refused before anything is looked up.
            return Outcome::Refused(ErrorCode::Validation);
        }
        let key = call.key.filter(|_| !call.dry).map(|key| (call.who, call.ask.mutation(), key));
        match key.and_then(|key| self.done.get(&key)) {
            Some((ask, answer)) if *ask == call.ask => return Outcome::Replayed(answer.clone()),
            Some(_) => return Outcome::Refused(ErrorCode::IdempotencyMismatch),
            None => {}
        }
        let before = self.tickets.clone();
        let outcome = self.apply(call.who, &call.ask);
        if call.dry {
            self.tickets = before;
        }
        match outcome {
            Ok(events) => {
                self.events += if call.dry { 0 } else { events as u64 };
                Outcome::Done { events }
            }
            Err(code) => Outcome::Refused(code),
        }
    }
}

async fn perform(world: &World, rows: &[Row], call: &Call) -> kernel::Result<Answer> {
    let mutation =
        Mutation { idempotency_key: call.key.map(Into::into), input_hash: call.ask.hash(), dry_run: call.dry };
    let ctx: Ctx = world.ctx(PEOPLE[call.who]).for_mutation(mutation);
    let ids = |events: &[store::Event]| events.iter().map(|event| event.id).collect();
    let (row, events) = match &call.ask {
        Ask::Title(ticket, title, version) => {
            let command = incident::UpdateIncident { expected_version: *version, ..retitle(&rows[*ticket], title) };
            let outcome = world.incidents.update(&ctx, command).await?;
            (outcome.row, outcome.events)
        }
        Ask::Comment(ticket, body) => {
            let outcome = world.tickets.add_comment(&ctx, comment(&rows[*ticket], body, Public)).await?;
            (outcome.comment, outcome.events)
        }
        Ask::Watch(ticket) => {
            let outcome = world.tickets.watch(&ctx, watch(&rows[*ticket], None)).await?;
            (outcome.row, outcome.events)
        }
        Ask::Unwatch(ticket) => {
            let outcome = world.tickets.unwatch(&ctx, watch(&rows[*ticket], None)).await?;
            (outcome.row, outcome.events)
        }
        Ask::Override(ticket) => {
            let command =
                incident::UpdateIncident { priority_override: kernel::Patch::Clear, ..update(&rows[*ticket]) };
            let outcome = world.incidents.update(&ctx, command).await?;
            (outcome.row, outcome.events)
        }
    };
    Ok(Answer { record: row.map(|row| row.id()).unwrap_or_default(), events: ids(&events) })
}

async fn same_state(world: &World, rows: &[Row], model: &Model, first: u64) -> TestCaseResult {
    for (row, expected) in rows.iter().zip(&model.tickets) {
        let of_ticket = || predicate::Predicate::eq("ticket", row.id());
        let seen = world.see(row).await;
        let comments = world.tickets.count(&world.root, &COMMENT, of_ticket()).await.map_err(broken)?;
        let watchers = world.tickets.count(&world.root, &WATCHER, of_ticket()).await.map_err(broken)?;
        prop_assert_eq!(seen.text("title"), expected.title.clone());
        prop_assert_eq!(seen.int("version"), i64::from(expected.version));
        prop_assert_eq!(comments.total as usize, expected.comments);
        prop_assert_eq!(watchers.total as usize, expected.watchers.len());
    }
    let events = world.tickets.count(&world.root, &EVENT, predicate::Predicate::always()).await.map_err(broken)?;
    prop_assert_eq!(events.total - first, model.events, "events");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_behave_as_the_model_does() {
    in_each_world(|world| async move {
        check(CASES, &calls(), async |calls| -> TestCaseResult {
            // Fresh tickets, and a fresh tenure of the keys: they expire after a day.
            world.advance(chrono::Duration::days(2));
            expire_keys(&world).await;
            let rows = [world.open_for_network("zero").await, world.open_for_network("zero").await];
            let fresh = Ticket { title: "zero".into(), version: 1, comments: 0, watchers: Vec::new() };
            let mut model = Model { tickets: vec![fresh; 2], events: 0, done: BTreeMap::new() };
            let count = world.tickets.count(&world.root, &EVENT, predicate::Predicate::always()).await;
            let first = count.map_err(broken)?.total;
            for call in &calls {
                let expected = model.expect(call);
                let outcome = perform(&world, &rows, call).await;
                match (&expected, &outcome) {
                    (Outcome::Done { events }, Ok(answer)) => {
                        prop_assert_eq!(answer.events.len(), *events, "{:?}", call)
                    }
                    (Outcome::Replayed(expected), Ok(answer)) => prop_assert_eq!(answer, expected, "{:?}", call),
                    (Outcome::Refused(code), Err(error)) => prop_assert_eq!(error.code(), *code, "{:?}", call),
                    _ => prop_assert!(false, "{call:?}: expected {expected:?}, got {outcome:?}"),
                }
                if let (Outcome::Done { .. }, Ok(answer), Some(key), false) = (expected, outcome, call.key, call.dry) {
                    model.done.insert((call.who, call.ask.mutation(), key), (call.ask.clone(), answer));
                }
                same_state(&world, &rows, &model, first).await?;
            }
            Ok(())
        });
    })
    .await;
}

async fn expire_keys(world: &World) {
    world.run_due_jobs().await;
}
