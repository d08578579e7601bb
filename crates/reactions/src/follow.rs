//! Following the log: each reaction from a cursor of its own, in every process that does jobs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use kernel::id::prefix;
use kernel::{Channel, Ctx, Error, ErrorCode, Id, Result, Uuid};
use serde_json::{Value as Json, json};
use store::{Audience, Change, Event, Job, JobOutcome, NewEvent, NewJob, Store, Tx, Written};
use ticket::{TicketKind, Tickets};
use tokio_util::sync::CancellationToken;

use crate::events;
use crate::tables;

/// The job that tries a failed reaction again.
pub const RETRY: &str = "reaction.retry";
/// How deep reactions may answer to what reactions did.
pub const MAX_CHAIN: u32 = 8;
/// How many events are read at a time.
const PAGE: u32 = 500;
/// How far a cursor may lag behind what was passed over before it is moved for its own sake.
const LAG: i64 = 2_000;
/// How long a follower rests after the database failed it, or when nobody tells it of news.
const REST: Duration = Duration::from_secs(1);
/// The name under which cursors are read and moved.
const NAME: &str = "reactions";
/// What the requests of reactions are called: this, their depth, and their name.
const REQUEST: &str = "reaction";

/// How far a reaction has come with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is nothing left to do.
    Done,
    /// It has done as much as fits one transaction, and is to be called again.
    More,
}

/// A reaction that follows the log.
pub trait AfterCommit: Send + Sync + 'static {
    /// What its cursor is called. It never changes: under another name it would begin anew.
    fn name(&self) -> &'static str;

    /// The kinds of events that it may answer to; any, when none is named.
    fn kinds(&self) -> &'static [&'static str];

    /// Whether it answers to this one, by what the event says.
    fn concerns(&self, _event: &Event) -> bool {
        true
    }

    /// Leaves out those of a page that turn out to need nothing, so that no transaction is spent on them.
    fn sift<'a>(&'a self, events: Vec<Arc<Event>>) -> BoxFuture<'a, Result<Vec<Arc<Event>>>> {
        Box::pin(std::future::ready(Ok(events)))
    }

    /// Of which kind it may open tickets.
    fn opens(&self) -> TicketKind {
        TicketKind::Task
    }

    /// Does what follows, in a transaction of the event's tenant and as the system. It looks at what is there by now: a second run does
    /// nothing, and neither does one that comes when the matter has passed.
    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>>;
}

/// Runs reactions. Cheap to clone.
#[derive(Clone)]
pub struct Follower {
    tickets: Tickets,
    reactions: Arc<Vec<Arc<dyn AfterCommit>>>,
}

/// Where a reaction stands.
struct Place {
    reaction: Arc<dyn AfterCommit>,
    /// What its cursor says.
    durable: i64,
    /// Up to here there is nothing for it.
    scanned: i64,
}

/// What came of one event.
enum Ran {
    Done,
    More,
    /// Another process was faster.
    Lost,
}

impl Follower {
    /// With these reactions.
    pub fn new(tickets: Tickets, reactions: Vec<Arc<dyn AfterCommit>>) -> Self {
        Self { tickets, reactions: Arc::new(reactions) }
    }

    fn store(&self) -> &Store {
        self.tickets.store()
    }

    /// Follows the log until `shutdown`; then finishes what it is at. Several may, in one process or in many.
    pub async fn follow(self, shutdown: CancellationToken) {
        let mut news = self.store().log().watch();
        let mut places = Vec::new();
        while !shutdown.is_cancelled() {
            news.borrow_and_update();
            let caught_up = match self.catch_up(&mut places, &shutdown).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "reactions could not go on; they try again in a moment");
                    false
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                changed = news.changed(), if caught_up => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(REST), if !caught_up => {}
            }
        }
    }

    /// Does all that is to be done up to the end of the log.
    ///
    /// # Errors
    /// When the database does not answer. What failed of a reaction itself is tried again later, and is no error here.
    pub async fn run_to_the_end(&self) -> Result<()> {
        self.catch_up(&mut Vec::new(), &CancellationToken::new()).await
    }

    async fn catch_up(&self, places: &mut Vec<Place>, shutdown: &CancellationToken) -> Result<()> {
        if places.is_empty() {
            for reaction in self.reactions.iter() {
                let durable = self.begin(reaction.name()).await?;
                places.push(Place { reaction: Arc::clone(reaction), durable, scanned: durable });
            }
        }
        while !shutdown.is_cancelled() {
            let Some(from) = places.iter().map(|place| place.scanned).min() else { return Ok(()) };
            let page = match self.store().log().read_all_after(from, PAGE).await {
                Err(error) if error.code() == ErrorCode::CursorExpired => {
                    self.pass_over(places).await?;
                    continue;
                }
                other => other?,
            };
            let (full, scanned_to) = (page.events.len() == PAGE as usize, page.scanned_to);
            let events: Vec<Arc<Event>> = page.events.into_iter().map(Arc::new).collect();
            let mut again = full;
            for place in places.iter_mut() {
                again |= !self.take(place, &events, scanned_to, shutdown).await?;
            }
            if !again {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where a reaction stands; at the end of the log, when it was never here.
    async fn begin(&self, name: &'static str) -> Result<i64> {
        if let Some(position) = tables::position(&self.store().read(NAME), name).await? {
            return Ok(position);
        }
        let ctx = self.store().system_ctx(Uuid::nil(), NAME);
        let begun = self.store().write(&ctx, NAME, move |tx| Box::pin(async move { tables::begin_in(tx, name).await }));
        begun.await?;
        let position = tables::position(&self.store().read(NAME), name).await?;
        position.ok_or_else(|| Error::internal("a cursor was made and is not there"))
    }

    /// What retention took away before it was reacted to is gone: everybody goes on behind it.
    async fn pass_over(&self, places: &mut [Place]) -> Result<()> {
        let head = self.store().log().head().await?;
        for place in places {
            tracing::warn!(
                reaction = place.reaction.name(),
                from = place.durable,
                to = head,
                "events are gone unanswered"
            );
            self.move_to(place, head).await?;
        }
        Ok(())
    }

    /// Answers to what is new of a page; answers whether nobody else was faster.
    async fn take(
        &self,
        place: &mut Place,
        events: &[Arc<Event>],
        scanned_to: i64,
        shutdown: &CancellationToken,
    ) -> Result<bool> {
        let kinds = place.reaction.kinds();
        let is_news = |event: &&Arc<Event>| {
            event.position.is_some_and(|position| position > place.scanned)
                && (kinds.is_empty() || kinds.contains(&event.kind.as_str()))
                && place.reaction.concerns(event)
        };
        let wanted: Vec<Arc<Event>> = events.iter().filter(is_news).cloned().collect();
        let wanted = if wanted.is_empty() { wanted } else { place.reaction.sift(wanted).await? };
        for event in wanted {
            loop {
                if shutdown.is_cancelled() {
                    return Ok(true);
                }
                match self.answer(place, &event).await? {
                    Ran::Done => break,
                    Ran::More => {}
                    Ran::Lost => {
                        place.durable = self.begin(place.reaction.name()).await?;
                        place.scanned = place.durable;
                        return Ok(false);
                    }
                }
            }
        }
        place.scanned = place.scanned.max(scanned_to);
        if place.scanned - place.durable > LAG {
            self.move_to(place, place.scanned).await?;
        }
        Ok(true)
    }

    /// Answers to one event, or puts it aside to be tried again.
    async fn answer(&self, place: &mut Place, event: &Arc<Event>) -> Result<Ran> {
        let (from, to) = (place.durable, event.position.unwrap_or(place.durable));
        let depth = depth_of(event) + 1;
        let ran = if depth > MAX_CHAIN {
            tracing::error!(reaction = place.reaction.name(), event = %event.id, "a chain of reactions is cut");
            self.report(&place.reaction, event, "CHAIN_TOO_DEEP", Some((from, to))).await?
        } else {
            match self.run(&place.reaction, event, Some((from, to))).await {
                // The database is away: so would be what comes of putting it aside.
                Err(error) if error.code() == ErrorCode::Unavailable => return Err(error),
                Err(error) => {
                    tracing::warn!(reaction = place.reaction.name(), event = %event.id, %error, "a reaction failed");
                    self.put_aside(&place.reaction, event, (from, to)).await?
                }
                Ok(ran) => ran,
            }
        };
        if let Ran::Done = ran {
            (place.durable, place.scanned) = (to, to);
        }
        Ok(ran)
    }

    /// Runs a reaction in a transaction, in which its cursor moves if there is one to move.
    async fn run(&self, reaction: &Arc<dyn AfterCommit>, event: &Arc<Event>, step: Option<(i64, i64)>) -> Result<Ran> {
        let ctx = self.ctx(reaction.name(), event);
        let (reaction_in, event) = (Arc::clone(reaction), Arc::clone(event));
        let written = self.tickets.write_stocked(&ctx, reaction.name(), reaction.opens(), move |tx| {
            let (reaction, event) = (Arc::clone(&reaction_in), Arc::clone(&event));
            Box::pin(async move {
                if let Some((from, to)) = step
                    && !tables::move_in(tx, reaction.name(), from, to).await?
                {
                    return Ok(Ran::Lost);
                }
                let progress = reaction.react(tx, &event).await?;
                match (progress, step) {
                    (Progress::Done, _) => Ok(Ran::Done),
                    (Progress::More, None) => Ok(Ran::More),
                    (Progress::More, Some((from, to))) => {
                        tables::move_in(tx, reaction.name(), to, from).await?;
                        Ok(Ran::More)
                    }
                }
            })
        });
        fresh(written.await?)
    }

    /// Has the event tried again by a job of its own, and goes on.
    async fn put_aside(&self, reaction: &Arc<dyn AfterCommit>, event: &Arc<Event>, step: (i64, i64)) -> Result<Ran> {
        let (name, tenant, id) = (reaction.name(), event.tenant, event.id);
        let ctx = self.ctx(name, event);
        let written = self.store().write(&ctx, NAME, move |tx| {
            Box::pin(async move {
                if !tables::move_in(tx, name, step.0, step.1).await? {
                    return Ok(Ran::Lost);
                }
                tx.enqueue(NewJob {
                    kind: RETRY,
                    tenant,
                    unique_key: Some(format!("{name}/{id}")),
                    run_at: tx.now(),
                    payload: json!({ "reaction": name, "event": id.to_string() }),
                });
                Ok(Ran::Done)
            })
        });
        fresh(written.await?)
    }

    /// Tries a reaction again that was put aside. When its last attempt fails, that is reported.
    ///
    /// # Errors
    /// Those of the reaction: the job is tried again, with growing pauses.
    pub async fn retry(&self, job: &Job) -> Result<JobOutcome> {
        let text = |name: &str| job.payload.get(name).and_then(Json::as_str).unwrap_or_default();
        let reaction = self.reactions.iter().find(|reaction| reaction.name() == text("reaction"));
        let id = text("event").parse::<Uuid>().map_err(Error::internal)?;
        let event = self.store().log().by_ids(job.tenant, &[id]).await?.pop();
        let (Some(reaction), Some(event)) = (reaction, event.map(Arc::new)) else {
            // A version ago there was such a reaction, or retention was faster.
            return Ok(JobOutcome::Done);
        };
        loop {
            match self.run(reaction, &event, None).await {
                Ok(Ran::More) => {}
                Ok(_) => return Ok(JobOutcome::Done),
                Err(error) if job.attempt.unsigned_abs() >= self.store().limits().job_attempts => {
                    tracing::error!(reaction = reaction.name(), event = %event.id, %error, "a reaction is given up");
                    self.report(reaction, &event, error.code().as_str(), None).await?;
                    return Ok(JobOutcome::Done);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells the log that an event stays unanswered.
    async fn report(
        &self,
        reaction: &Arc<dyn AfterCommit>,
        event: &Arc<Event>,
        why: &'static str,
        step: Option<(i64, i64)>,
    ) -> Result<Ran> {
        let (name, subject) = (reaction.name(), event.id);
        let told = [
            ("reaction", Json::from(name)),
            ("event", Id::new(prefix::EVENT, subject).to_string().into()),
            ("kind", event.kind.as_str().into()),
            ("error", why.into()),
        ];
        let change = |(field, after): (&str, Json)| Change { field: field.to_owned(), before: Json::Null, after };
        let changes: Vec<Change> = told.into_iter().map(change).collect();
        let ctx = self.ctx(name, event);
        let written = self.store().write(&ctx, NAME, move |tx| {
            let changes = changes.clone();
            Box::pin(async move {
                if let Some((from, to)) = step
                    && !tables::move_in(tx, name, from, to).await?
                {
                    return Ok(Ran::Lost);
                }
                tx.emit(NewEvent {
                    kind: events::FAILED,
                    subject_kind: events::SUBJECT,
                    subject,
                    version: 1,
                    audience: Audience::Internal,
                    changes,
                    facts: Default::default(),
                    payload: Json::Null,
                    occurred_at: None,
                    actor: None,
                });
                Ok(Ran::Done)
            })
        });
        fresh(written.await?)
    }

    /// Moves a cursor over what is nobody's business.
    async fn move_to(&self, place: &mut Place, to: i64) -> Result<()> {
        let (name, from) = (place.reaction.name(), place.durable);
        let ctx = self.store().system_ctx(Uuid::nil(), NAME);
        let moving = self
            .store()
            .write(&ctx, NAME, move |tx| Box::pin(async move { tables::move_in(tx, name, from, to).await }));
        let moved = moving.await?.fresh().unwrap_or_default();
        place.durable = if moved { to } else { self.begin(name).await? };
        place.scanned = place.durable;
        Ok(())
    }

    /// The system, in the event's tenant. What it does says how deep it stands.
    fn ctx(&self, name: &str, event: &Event) -> Ctx {
        self.tickets.access().system_ctx(event.tenant, &format!("{REQUEST}/{}/{name}", depth_of(event) + 1))
    }
}

fn fresh(written: Written<Ran>) -> Result<Ran> {
    written.fresh().ok_or_else(|| Error::internal("a reaction was taken for a replay"))
}

/// How many reactions stand behind an event.
fn depth_of(event: &Event) -> u32 {
    // What others say of their requests is no business of ours.
    if event.channel != Channel::System {
        return 0;
    }
    let mut parts = event.request_id.split('/');
    match (parts.next(), parts.next()) {
        (Some(REQUEST), Some(depth)) => depth.parse().unwrap_or_default(),
        _ => 0,
    }
}
