//! The runner, with reactions that are made up.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{BoxFuture, join_all};
use kernel::{Error, Result};
use predicate::Predicate;
use reactions::{AfterCommit, Follower, MAX_CHAIN, Progress, RETRY};
use serde_json::Value as Json;
use store::query::Row;
use store::{Audience, Event, JobHandlers, JobOutcome, NewEvent, NewJob, Reaction, Tx};
use ticket::fields::COMMENT;
use ticket::{CommentVisibility, TicketRef, Tickets};
use tokio_util::sync::CancellationToken;

use crate::setup::{World, in_each_world};

/// Says something on the ticket of each event of a kind: twice is seen.
struct Says {
    name: &'static str,
    kind: [&'static str; 1],
    tickets: Tickets,
    /// While it stands, tickets of this title make it fail.
    broken: Option<(&'static str, Arc<AtomicBool>)>,
}

impl Says {
    fn on(world: &World, name: &'static str, kind: &'static str) -> Self {
        Self { name, kind: [kind], tickets: world.tickets.clone(), broken: None }
    }

    async fn say_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        let incident = TicketRef::Id(kernel::Id::new(kernel::id::prefix::INCIDENT, event.subject));
        let mut edit = self.tickets.edit_in(tx, &incident, "id").await?;
        self.tickets.comment_in(tx, &mut edit, self.name, CommentVisibility::Public).await?;
        match &self.broken {
            Some((title, broken)) if edit.before.text("title") == *title && broken.load(Ordering::SeqCst) => {
                Err(Error::internal("it is broken"))
            }
            _ => Ok(Progress::Done),
        }
    }
}

impl AfterCommit for Says {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kinds(&self) -> &'static [&'static str] {
        match self.kind {
            ["CommentAdded"] => &["CommentAdded"],
            _ => &["IncidentCreated"],
        }
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.say_in(tx, event))
    }
}

/// What was said on a ticket.
async fn said(world: &World, ticket: &Row) -> Vec<String> {
    let all = world.all(&COMMENT).await;
    all.iter().filter(|row| row.get("ticket").as_id() == Some(ticket.id())).map(|row| row.text("body")).collect()
}

/// Events are numbered, then answered.
async fn follow(world: &World, follower: &Follower) {
    world.store.number_events().await.unwrap();
    follower.run_to_the_end().await.unwrap();
}

async fn failures(world: &World) -> Vec<Event> {
    world.store.number_events().await.unwrap();
    let log = world.store.log().read_all_after(0, 1_000).await.unwrap();
    log.events.into_iter().filter(|event| event.kind == reactions::events::FAILED).collect()
}

fn told(event: &Event, field: &str) -> Json {
    event.changes.iter().find(|change| change.field == field).map(|change| change.after.clone()).unwrap_or_default()
}

/// Runs the retries that are due.
async fn retry(world: &World, follower: &Follower) {
    let (end, follower) = (CancellationToken::new(), follower.clone());
    let ended = end.clone();
    let handlers = JobHandlers::new()
        .on(RETRY, move |_, job| {
            let follower = follower.clone();
            async move { follower.retry(&job).await }
        })
        .on("test.last", move |_, _| {
            let ended = ended.clone();
            async move {
                ended.cancel();
                Ok(JobOutcome::Done)
            }
        });
    // Jobs are claimed by their time: when this one runs, those before it were claimed.
    world.advance(chrono::Duration::hours(2));
    let tenant = world.root.tenant;
    let last = world.store.write(&world.root, "test.last", move |tx| {
        Box::pin(async move {
            let run_at = tx.now();
            tx.enqueue(NewJob { kind: "test.last", tenant, unique_key: None, run_at, payload: Json::Null });
            Ok(())
        })
    });
    last.await.unwrap();
    world.store.run_jobs(handlers, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_answered_once_whoever_follows() {
    in_each_world(|world| async move {
        let early = world.open("before anybody followed").await;
        let followers: Vec<Follower> = (0..3)
            .map(|_| {
                let says: Arc<dyn AfterCommit> = Arc::new(Says::on(&world, "test.once", "IncidentCreated"));
                Follower::new(world.tickets.clone(), vec![says])
            })
            .collect();
        follow(&world, &followers[0]).await;
        let mut opened = Vec::new();
        for number in 0..8 {
            opened.push(world.open(&format!("number {number}")).await);
        }
        world.store.number_events().await.unwrap();
        for done in join_all(followers.iter().map(Follower::run_to_the_end)).await {
            done.unwrap();
        }
        for ticket in &opened {
            assert_eq!(said(&world, ticket).await, ["test.once"], "neither twice nor never");
        }
        assert_eq!(said(&world, &early).await, Vec::<String>::new(), "it began behind what there was");
        follow(&world, &followers[1]).await;
        assert_eq!(said(&world, &opened[0]).await, ["test.once"], "nor later again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_tried_again_and_nobody_waits_behind_it() {
    in_each_world(|world| async move {
        let broken = Arc::new(AtomicBool::new(true));
        let failing =
            Says { broken: Some(("bad", Arc::clone(&broken))), ..Says::on(&world, "test.failing", "IncidentCreated") };
        let other = Says::on(&world, "test.other", "IncidentCreated");
        let follower = Follower::new(world.tickets.clone(), vec![Arc::new(failing), Arc::new(other)]);
        follow(&world, &follower).await;
        let (bad, good) = (world.open("bad").await, world.open("good").await);
        follow(&world, &follower).await;
        assert_eq!(said(&world, &bad).await, ["test.other"], "what failed left nothing, and the others went on");
        assert_eq!(said(&world, &good).await.len(), 2, "and so did what came behind");
        retry(&world, &follower).await;
        broken.store(false, Ordering::SeqCst);
        retry(&world, &follower).await;
        assert_eq!(said(&world, &bad).await, ["test.other", "test.failing"], "done after all");
        assert!(failures(&world).await.is_empty());

        broken.store(true, Ordering::SeqCst);
        let lost = world.open("bad").await;
        follow(&world, &follower).await;
        for _ in 0..=world.store.limits().job_attempts {
            retry(&world, &follower).await;
        }
        let reported = failures(&world).await;
        assert_eq!(reported.len(), 1, "given up once");
        assert_eq!(
            (told(&reported[0], "reaction"), told(&reported[0], "error")),
            ("test.failing".into(), "INTERNAL".into())
        );
        assert_eq!(said(&world, &lost).await, ["test.other"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_reactions_is_cut_and_reported() {
    in_each_world(|world| async move {
        let echo: Arc<dyn AfterCommit> = Arc::new(Says::on(&world, "test.echo", "CommentAdded"));
        let follower = Follower::new(world.tickets.clone(), vec![echo]);
        follow(&world, &follower).await;
        let ticket = world.open("a cave").await;
        world.comment("rita", &ticket, "Hello!").await;
        for _ in 0..MAX_CHAIN + 4 {
            follow(&world, &follower).await;
        }
        assert_eq!(said(&world, &ticket).await.len(), 1 + MAX_CHAIN as usize);
        let reported = failures(&world).await;
        assert_eq!(reported.len(), 1);
        assert_eq!(
            (told(&reported[0], "error"), told(&reported[0], "kind")),
            ("CHAIN_TOO_DEEP".into(), "CommentAdded".into())
        );
    })
    .await;
}

/// Answers to everything with one more event.
struct Endless;

impl Reaction for Endless {
    fn react<'t>(&'t self, tx: &'t mut Tx, events: Range<usize>) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let last = tx.emitted().get(events).and_then(|events| events.last()).cloned();
            if let Some(last) = last {
                tx.emit(NewEvent { kind: "TicketUpdated", audience: Audience::Internal, ..last });
            }
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_in_a_transaction_fails_it_and_says_so() {
    in_each_world(|world| async move {
        world.store.react_with(vec![Arc::new(Endless)]);
        let refused = world.incidents.create(&world.ctx("rita"), crate::setup::new("endless")).await.unwrap_err();
        assert!(refused.to_string().contains("deeper than 8"), "{refused}");
        let there = world.tickets.count(&world.root, &ticket::fields::TICKET, Predicate::always()).await.unwrap();
        assert_eq!(there.total, 0, "nothing of it stays");
    })
    .await;
}
