//! Two worlds that differ only in what a viewer may not read answer that viewer's documents with the same bytes.
//!
//! The worlds are one database and its copy, in which hidden rows and masked values were changed or deleted behind the
//! platform's back: so ids, numbers, times and cursors are equal by construction, and answers are compared as they are.

mod documents;
mod world;

use access::visibility;
use kernel::{Ctx, Page};
use predicate::{Path, Predicate, Test, Use, Visibilities};
use serde_json::{Value, json};
use store::Engine;
use store::query::{self, OrderTerm, Query};
use tests::client::Client;
use tests::company::Person;
use tests::installation::Installation;
use ticket::fields::TICKET;

use documents::{Documents, Known};
use world::{Eyes, World};

/// Documents of each persona on each engine: 5,000 in all.
const DOCUMENTS: usize = 1_250;
/// How many clients ask at the same time.
const AT_ONCE: usize = 4;
/// The seed, unless `TESTS_SEED` gives another.
const SEED: u64 = 42;

fn seed() -> u64 {
    std::env::var("TESTS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

/// What one client found.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    answered: usize,
    different: usize,
    first: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.different += other.different;
        self.first = self.first.take().or(other.first);
    }
}

/// The same documents to both worlds.
async fn compare(worlds: [Client; 2], known: Known, seed: u64, count: usize) -> Tally {
    let mut documents = Documents::new(known, seed);
    let mut tally = Tally::default();
    for number in 0..count {
        let (query, variables) = documents.next();
        let body = json!({ "query": query, "variables": variables });
        let [one, other] = &worlds;
        let ask = async |client: &Client| {
            let response = client.post(&body).header("x-request-id", format!("document-{number}")).send().await;
            let response = response.expect("the server answers");
            (response.status().as_u16(), response.text().await.expect("the answer is complete"))
        };
        let (left, right) = tokio::join!(ask(one), ask(other));
        tally.asked += 1;
        let answer: Value = serde_json::from_str(&left.1).unwrap_or_default();
        let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
        assert!(
            !matches!(code, "INTERNAL" | "GRAPHQL_VALIDATION_FAILED" | "GRAPHQL_PARSE_FAILED"),
            "{body}\n{}",
            left.1
        );
        tally.answered += usize::from(answer.get("errors").is_none());
        if left != right {
            tally.different += 1;
            tally.first.get_or_insert_with(|| format!("{body}\n{left:?}\n{right:?}"));
        }
        documents.learn(&answer);
    }
    tally
}

async fn compare_all(one: &Installation, other: &Installation, person: &Person, world: &World, count: usize) -> Tally {
    let mut tasks = Vec::new();
    for task in 0..AT_ONCE {
        let worlds = [one.client(&person.token), other.client(&person.token)];
        let (known, seed) = (world.known.clone(), seed().wrapping_mul(1_000_003).wrapping_add(task as u64));
        tasks.push(tokio::spawn(compare(worlds, known, seed, count / AT_ONCE)));
    }
    let mut tally = Tally::default();
    for task in tasks {
        tally.add(task.await.expect("the comparison runs"));
    }
    tally
}

async fn worlds(engine: Engine) {
    let mut one = Installation::start(engine, |_| {}).await;
    let world = world::build(&one).await;
    one.stop().await;
    for (person, eyes) in [(&world.company.requester, Eyes::Requester), (&world.company.agent, Eyes::Agent)] {
        let other = one.copy(&world::tampering(engine, &world, eyes)).await;
        one.restart().await;
        let tally = compare_all(&one, &other, person, &world, DOCUMENTS).await;
        println!(
            "{engine:?} {}: seed {}, {} documents, {} answered without errors",
            person.name,
            seed(),
            tally.asked,
            tally.answered
        );
        assert_eq!(
            tally.different,
            0,
            "{engine:?}, {}, seed {}: {}",
            person.name,
            seed(),
            tally.first.unwrap_or_default()
        );
        assert!(tally.answered * 10 > tally.asked * 6, "most documents must say something: {tally:?}");

        // Power: whoever may read what differs tells the worlds apart, and so does the persona once masks are off.
        let admin = compare_all(&one, &other, &world.company.admin, &world, 80).await;
        assert!(admin.different * 10 > admin.asked, "the worlds differ too little: {admin:?}");
        unmasked_reading_differs(&one, &other, person).await;
        one.stop().await;
        other.delete().await;
    }
    one.delete().await;
}

/// The same list with and without masks: with them equal, without them not.
async fn unmasked_reading_differs(one: &Installation, other: &Installation, person: &Person) {
    let mut differences = [0, 0];
    for count in 0..6 {
        let predicate =
            Predicate::Is(Path::field("reassignmentCount"), Test::Gt(predicate::Operand::Value(count.into())));
        for (at, masked) in [true, false].into_iter().enumerate() {
            let left = read(one, person, predicate.clone(), masked).await;
            let right = read(other, person, predicate.clone(), masked).await;
            differences[at] += usize::from(left != right);
        }
    }
    assert_eq!(differences[0], 0, "the masks hold");
    assert!(differences[1] > 0, "without masks the difference shows");
}

async fn read(installation: &Installation, person: &Person, filter: Predicate, masked: bool) -> String {
    let access = &installation.platform().access;
    let ctx: Ctx = access.authenticate(&person.token, "tests").await.expect("the token holds").ctx;
    let visible = access.visible(&ctx);
    let visible: Visibilities = if masked { (*visible).clone() } else { visibility::unmasked(&visible) };
    let Ok(filter) = visibility::filter(&ctx, access.catalogue(), &visible, &TICKET, filter, Use::Query) else {
        return "refused".into();
    };
    let order = vec![OrderTerm { field: "createdAt".into(), descending: false, nulls_first: false }];
    let page = Page::new(kernel::page::PageArguments { first: Some(100), ..Default::default() }).expect("a page");
    let asked = Query { record: &TICKET, filter, order, page, relations: vec![] };
    let store = installation.store();
    let scoped = access.scoped(&ctx, &visible);
    let slice =
        query::list(&store.read("tests"), &scoped, &asked, store.cursors(), &[]).await.expect("the list is read");
    slice.rows.iter().map(|row| format!("{} {:?};", row.text("number"), row.get("reassignmentCount"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_makes_no_difference_on_sqlite() {
    worlds(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_makes_no_difference_on_postgres() {
    worlds(Engine::Postgres).await;
}
