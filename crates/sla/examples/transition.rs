//! What clocks cost a transition: the processor time of this process for putting tickets on hold and back to work, without
//! policies and with three that have four clocks, of which three change; on each engine, without a server around it.
//! At the end all clocks are computed anew from the log and compared.
//!
//! ```text
//! DESKWIRE_TEST_POSTGRES_URL=postgres://… cargo run --release -p sla --example transition -- [rounds] [sqlite|postgres] [plain|laden]
//! ```

#[path = "../../ticket/tests/it/setup.rs"]
mod setup;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use calendar::{CalendarDocument, Weekday, WorkingInterval};
use futures_util::future::join_all;
use sla::policy::{EscalationTime, Pauses};
use sla::{
    CalendarRef, CreateCalendar, CreatePolicy, EscalationDraft, Metric, MetricDraft, PolicyDraft, PolicyKind,
    ServiceLevels, TargetDraft,
};
use store::Engine;
use store::query::Row;
use ticket::model::{Priority, WaitingReason};

use setup::{World, in_each_world_with, inputs_of, transition};

/// How many write at once.
const WRITERS: usize = 16;
/// How many tickets each of them walks over.
const WALKED: usize = 50;
/// The kernel's ticks a second in /proc.
const TICKS: f64 = 100.0;

/// What was asked for.
struct Asked {
    rounds: usize,
    engine: Option<String>,
    side: Option<String>,
}

#[tokio::main]
async fn main() {
    let mut asked = Asked { rounds: 5, engine: None, side: None };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "sqlite" | "postgres" => asked.engine = Some(argument),
            "plain" | "laden" => asked.side = Some(argument),
            number => asked.rounds = number.parse().expect("a number of rounds, an engine, or `plain` or `laden`"),
        }
    }
    let asked = Arc::new(asked);
    in_each_world_with(sla::fields::ALL, |world| measure(world, Arc::clone(&asked))).await;
}

async fn measure(world: World, asked: Arc<Asked>) {
    let engine = match world.store.engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    if asked.engine.as_ref().is_some_and(|wanted| wanted != engine) {
        return;
    }
    let levels = ServiceLevels::new(world.tickets.clone());
    world.store.react_with(vec![Arc::new(levels.clone())]);
    let plain = open(&world).await;
    promise(&levels, &world).await;
    let laden = open(&world).await;
    let mut measured: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..asked.rounds {
        for (side, tickets) in [("plain", &plain), ("laden", &laden)] {
            if asked.side.as_ref().is_some_and(|wanted| wanted != side) {
                continue;
            }
            let statements = world.store.statement_count();
            let begun = processor_seconds();
            toggle(&world, tickets).await;
            let done = (WRITERS * WALKED * 2) as f64;
            let each = (processor_seconds() - begun) / done * 1e6;
            let statements = (world.store.statement_count() - statements) as f64 / done;
            println!("{engine} {side}: {each:.0} µs, {statements:.1} statements");
            measured.entry(side).or_default().push(each);
        }
    }
    let verified = levels.verify(&world.root, |_| ()).await.expect("the clocks can be computed anew");
    assert!(verified.clocks > 0 && verified.differing == 0, "clocks are not what the log says: {verified:?}");
    println!("{engine}: {} clocks are what the log says", verified.clocks);
    let median = |side: &str| {
        let mut times = measured.get(side).cloned().unwrap_or_default();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    if let (Some(plain), Some(laden)) = (median("plain"), median("laden")) {
        println!("{engine}: {plain:.0} and {laden:.0} µs, {:.2} times", laden / plain);
    }
}

/// Tickets that are worked on, for each writer.
async fn open(world: &World) -> Vec<Vec<Row>> {
    let mut all = Vec::new();
    for _ in 0..WRITERS {
        let mut own = Vec::new();
        for number in 0..WALKED {
            let ticket = world.open_for_network(&format!("Transition {number}")).await;
            world.bring_to(&ticket, "in_progress").await;
            own.push(ticket);
        }
        all.push(own);
    }
    all
}

/// Puts each ticket on hold and back to work.
async fn toggle(world: &World, tickets: &[Vec<Row>]) {
    let (ada, tickets_of) = (world.ctx("ada"), &world.tickets);
    let walks = tickets.iter().map(|own| {
        let (own, ada, tickets_of) = (own.clone(), ada.clone(), tickets_of.clone());
        let clock = world.store.clock.clone();
        tokio::spawn(async move {
            for ticket in &own {
                for key in ["hold", "resume"] {
                    clock.advance(chrono::Duration::milliseconds(1));
                    tickets_of.transition(&ada, transition(ticket, key, inputs_of(key))).await.expect("it is allowed");
                }
            }
        })
    });
    for walked in join_all(walks).await {
        walked.expect("nothing panics");
    }
    world.store.number_events().await.expect("events are numbered");
}

/// Promises what an office of a company does. Nothing of it is due while it is measured.
async fn promise(levels: &ServiceLevels, world: &World) {
    let hours = |day: &Weekday| WorkingInterval { day: *day, from: "08:00".into(), to: "18:00".into() };
    let document = CalendarDocument {
        time_zone: "Europe/Berlin".into(),
        week: Weekday::ALL.iter().take(5).map(hours).collect(),
        holidays: Vec::new(),
    };
    let calendar = CreateCalendar { key: "office".into(), name: "Office".into(), description: None, document };
    levels.create_calendar(&world.root, calendar).await.expect("the calendar is right");
    let metric = |metric, hours: i64, waiting: &[WaitingReason]| {
        let target = |priorities: &[Priority], hours: i64| TargetDraft {
            priorities: priorities.to_vec(),
            condition: None,
            target: hours * 3_600,
            calendar: None,
        };
        let escalation = |percent| EscalationDraft { at: EscalationTime::Percent(percent), actions: Vec::new() };
        MetricDraft {
            metric,
            targets: vec![target(&[Priority::P1, Priority::P2], hours / 2), target(&[], hours)],
            pauses: Pauses { waiting_reasons: waiting.to_vec(), state_categories: Vec::new() },
            escalations: [50, 75, 100].map(escalation).to_vec(),
        }
    };
    let awaited = [WaitingReason::Requester, WaitingReason::Vendor];
    for (key, kind, metrics) in [
        (
            "sla",
            PolicyKind::Sla,
            vec![metric(Metric::FirstResponse, 80, &[]), metric(Metric::Resolution, 400, &awaited)],
        ),
        ("ola", PolicyKind::Ola, vec![metric(Metric::Resolution, 300, &awaited)]),
        ("contract", PolicyKind::UnderpinningContract, vec![metric(Metric::Resolution, 200, &[])]),
    ] {
        let draft = PolicyDraft { condition: None, calendar: CalendarRef::Key("office".into()), metrics };
        let command = CreatePolicy { key: key.into(), name: key.into(), description: None, kind, draft };
        levels.create_policy(&world.root, command).await.expect("the policy is right");
    }
}

/// What this process has used of processors.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    // The name, in parentheses, may hold anything.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = |place: usize| behind.split_whitespace().nth(place).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / TICKS
}
