//! Subscriptions on tickets: cursors into the event log, filtered by what the viewer may see.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, Enum, ID, Result, SimpleObject, Subscription};
use delivery::Subscription as Follower;
use futures_util::Stream;
use kernel::Ctx;
use predicate::{Path, Predicate, RecordType, Use, Visibilities, evaluate};
use store::{Audience, Event as LogEvent};
use ticket::events::EventFacts;
use ticket::fields::{READ_INTERNAL, TICKET};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::context::{platform, viewer};
use crate::door::Viewer;
use crate::door::place::{Place, Resume, Told};
use crate::loaders;
use crate::platform::Platform;
use crate::scalars::{Cursor, id_of};
use crate::tickets::event_log::{live, record_of};
use crate::tickets::events::{TicketEvent, TicketEventKind};
use crate::tickets::filters::TicketFilter;
use crate::tickets::saved_filters;
use crate::tickets::types::Ticket;

/// An event of a ticket, or a bookmark.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct TicketEventMessage {
    /// Resume with `after: cursor`: nothing before it comes again.
    pub cursor: Cursor,
    /// What happened; null in a bookmark.
    pub event: Option<TicketEvent>,
    /// Whether this only tells how far the stream has come. An idle stream says so every 20 seconds.
    pub bookmark: bool,
    #[graphql(skip)]
    subject: Option<kernel::Uuid>,
}

#[async_graphql::ComplexObject]
impl TicketEventMessage {
    /// The ticket as it is now, at delivery; null in a bookmark, or when the viewer may not see it any more.
    async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        ticket_of(ctx, self.subject).await
    }
}

/// How a ticket stands to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum QueueChangeKind {
    /// It came in.
    Added,
    /// It is still in, and something happened to it.
    Changed,
    /// It left, or the viewer lost sight of it.
    Removed,
    /// The viewer's rights changed, or the saved filter did while the stream was interrupted: list the queue again, and go on
    /// with this cursor.
    Reset,
    /// Nothing happened; the cursor tells how far the stream has come.
    Bookmark,
}

/// A change of a queue.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct QueueChange {
    /// Resume with `after: cursor`: nothing before it comes again.
    pub cursor: Cursor,
    /// What kind of change.
    pub kind: QueueChangeKind,
    /// The ticket's id; null for `RESET` and `BOOKMARK`.
    pub id: Option<ID>,
    #[graphql(skip)]
    subject: Option<kernel::Uuid>,
}

#[async_graphql::ComplexObject]
impl QueueChange {
    /// The ticket as it is now, at delivery; null for `REMOVED`, `RESET` and `BOOKMARK`.
    async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.kind {
            QueueChangeKind::Added | QueueChangeKind::Changed => ticket_of(ctx, self.subject).await,
            _ => Ok(None),
        }
    }
}

async fn ticket_of(ctx: &Context<'_>, subject: Option<kernel::Uuid>) -> Result<Option<Ticket>> {
    match subject {
        Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
        None => Ok(None),
    }
}

/// What one viewer sees of events, and which of them a filter asks for. Made anew when rights change.
struct Lens {
    ctx: Ctx,
    visible: Arc<Visibilities>,
    filter: Predicate,
    internal: Predicate,
}

impl Lens {
    fn new(ctx: Ctx, platform: &Platform, asked: &Predicate) -> kernel::Result<Self> {
        let access = &platform.access;
        let visible = access.visible(&ctx);
        let filter = access::visibility::filter(&ctx, access.catalogue(), &visible, &TICKET, asked.clone(), Use::Event)
            .map_err(|error| error.within("filter"))?;
        let internal = access.rule(&ctx, &TICKET, &READ_INTERNAL);
        Ok(Self { ctx, visible, filter, internal })
    }

    /// Whether a ticket with these facts is there for the viewer.
    fn sees(&self, record: &'static RecordType, facts: &EventFacts<'_>) -> bool {
        let exists = !predicate::Facts::value(facts, &Path::field("id")).is_null();
        exists && self.visible.get(record.name).is_some_and(|visibility| evaluate(&visibility.row, facts))
    }

    /// Whether the viewer may know of an event on a visible ticket.
    fn hears(&self, event: &LogEvent, facts: &EventFacts<'_>) -> bool {
        event.audience == Audience::Public || evaluate(&self.internal, facts)
    }

    /// How the event changed the queue, for this viewer.
    fn change(&self, platform: &Platform, event: &LogEvent) -> Option<QueueChangeKind> {
        let record = record_of(platform, event)?;
        let catalogue = platform.access.catalogue();
        let before = EventFacts::before(record, catalogue, event);
        let after = EventFacts::after(record, catalogue, event);
        let was = self.sees(record, &before) && evaluate(&self.filter, &before);
        let is = self.sees(record, &after) && evaluate(&self.filter, &after);
        match (was, is) {
            (false, true) => Some(QueueChangeKind::Added),
            (true, false) => Some(QueueChangeKind::Removed),
            (true, true) if self.hears(event, &after) => Some(QueueChangeKind::Changed),
            _ => None,
        }
    }

    /// The event as the viewer may read it, if they may and asked for it.
    fn event(&self, platform: &Platform, event: &LogEvent, kinds: Option<&[TicketEventKind]>) -> Option<TicketEvent> {
        let record = record_of(platform, event)?;
        let facts = EventFacts::after(record, platform.access.catalogue(), event);
        let wanted = kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind.as_str() == event.kind));
        if !wanted || !self.sees(record, &facts) || !self.hears(event, &facts) || !evaluate(&self.filter, &facts) {
            return None;
        }
        let cursor = event.position.map(|position| cursor(platform, &self.ctx, position));
        TicketEvent::of(live(&self.ctx, platform, event, cursor)?)
    }
}

fn cursor(platform: &Platform, ctx: &Ctx, position: i64) -> String {
    platform.tickets.store().cursors().seal_log(ctx.tenant, position)
}

/// What a stream has to deal with next.
enum Signal {
    Event(Arc<LogEvent>),
    /// The viewer's rights changed, or what is asked for; the lens is the new one.
    Rights,
    Bookmark,
}

/// The log from a place on as one viewer sees it, with changes of rights and bookmarks between.
struct Stage {
    platform: Platform,
    asked: Predicate,
    lens: Lens,
    follower: Follower,
    live: Option<watch::Receiver<Ctx>>,
    /// Where the door asks it to begin, and reads how far it has come.
    place: Option<Arc<Place>>,
    /// How long a stream may be silent.
    interval: Duration,
    bookmark: Instant,
    /// Whether it goes on by another filter than it began with: its client is told to list again.
    other: bool,
}

impl Stage {
    async fn open(ctx: &Context<'_>, asked: Predicate, after: Option<Cursor>) -> Result<Self> {
        let (viewer, platform) = (viewer(ctx)?, platform(ctx).clone());
        let store = platform.tickets.store();
        let reader = store.read("customField.list");
        let asked = platform.tickets.bound(&reader, &viewer, asked).await.map_err(|error| error.within("filter"))?;
        let Viewer { live, place, .. } = ctx.data::<Viewer>()?.clone();
        let position = match (place.as_ref().map(|place| place.resume()), after) {
            (Some(Resume::Behind(position)), _) => position,
            (Some(Resume::AsAsked) | None, Some(cursor)) => store.cursors().open_log(viewer.tenant, &cursor.0)?,
            (Some(Resume::Now), _) | (_, None) => store.log().head().await?,
        };
        let follower = platform.hub.subscribe(viewer.tenant, position);
        if let Some(place) = &place {
            place.begun(position);
        }
        let interval = platform.info.limits.bookmark_interval.duration();
        let lens = Lens::new(viewer, &platform, &asked)?;
        Ok(Self {
            platform,
            asked,
            lens,
            follower,
            live,
            place,
            interval,
            bookmark: Instant::now() + interval,
            other: false,
        })
    }

    /// Rights are looked at before events, so that no event is judged by rights that have gone.
    async fn next(&mut self) -> kernel::Result<Signal> {
        if std::mem::take(&mut self.other) {
            return Ok(Signal::Rights);
        }
        if let Some(place) = &self.place {
            place.settle(self.follower.position(), &self.lens.ctx.grants);
        }
        let rights = async {
            if let Some(live) = &mut self.live
                && live.changed().await.is_ok()
            {
                return live.borrow_and_update().clone();
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            ctx = rights => {
                self.lens = Lens::new(ctx, &self.platform, &self.asked)?;
                Ok(Signal::Rights)
            }
            event = self.follower.next() => Ok(Signal::Event(event?)),
            () = tokio::time::sleep_until(self.bookmark) => Ok(Signal::Bookmark),
        }
    }

    /// The place that a message is told from, of an event or of none; the next bookmark is a while away after it.
    fn place(&mut self, event: bool) -> Cursor {
        self.bookmark = Instant::now() + self.interval;
        let position = self.follower.position();
        if let Some(place) = &self.place {
            place.tell(Told { position, event });
        }
        Cursor(cursor(&self.platform, &self.lens.ctx, position))
    }

    /// What `tell` makes of the signals, until an error ends the stream.
    fn messages<M>(
        mut self,
        tell: impl Fn(&mut Self, Signal) -> Option<M> + Send + 'static,
    ) -> impl Stream<Item = Result<M>>
    where
        M: Send + 'static,
    {
        async_stream::stream! {
            loop {
                match self.next().await {
                    Ok(signal) => {
                        if let Some(message) = tell(&mut self, signal) {
                            yield Ok(message);
                        }
                    }
                    Err(error) => {
                        yield Err(error.into());
                        return;
                    }
                }
            }
        }
    }
}

/// Subscriptions on tickets.
#[derive(Default)]
pub struct TicketSubscriptions;

#[Subscription]
impl TicketSubscriptions {
    /// Events on tickets that the viewer may see, in commit order, from `after` (exclusive) or from now. The filter is about
    /// the ticket after the event.
    async fn ticket_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "On which tickets. Only what events carry; nothing relative to now.")] filter: Option<
            TicketFilter,
        >,
        #[graphql(desc = "Which kinds; all when absent.")] kinds: Option<Vec<TicketEventKind>>,
        #[graphql(desc = "A place in the log: `logCursor` of a list, or the cursor of the last message.")]
        after: Option<Cursor>,
    ) -> Result<impl Stream<Item = Result<TicketEventMessage>>> {
        let stage = Stage::open(ctx, asked(filter.unwrap_or_default())?, after).await?;
        Ok(stage.messages(move |stage, signal| match signal {
            Signal::Rights => None,
            Signal::Event(event) => {
                let seen = stage.lens.event(&stage.platform, &event, kinds.as_deref())?;
                let cursor = stage.place(true);
                Some(TicketEventMessage { cursor, event: Some(seen), bookmark: false, subject: Some(event.subject) })
            }
            Signal::Bookmark => {
                let cursor = stage.place(false);
                Some(TicketEventMessage { cursor, event: None, bookmark: true, subject: None })
            }
        }))
    }

    /// A queue that stays current: what comes in, changes and leaves, against the list that `tickets` returned for the same
    /// filter. List with `logCursor`, then subscribe with `after: logCursor`.
    async fn queue_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Which tickets. Only what events carry; nothing relative to now. Either this or `savedFilter`."
        )]
        filter: Option<TicketFilter>,
        #[graphql(desc = "A saved filter's id, instead of `filter`. It is read when the subscription begins.")]
        saved_filter: Option<ID>,
        #[graphql(desc = "A place in the log: `logCursor` of a list, or the cursor of the last message.")]
        after: Option<Cursor>,
    ) -> Result<impl Stream<Item = Result<QueueChange>>> {
        viewer(ctx)?;
        let mut other = false;
        let asked = match (filter, saved_filter) {
            (Some(filter), None) => asked(filter)?,
            (None, Some(id)) => {
                let (asked, document) = saved_filters::condition(ctx, &id).await?;
                if let Some(place) = &ctx.data::<Viewer>()?.place {
                    other = place.stand_on(&document.to_string());
                }
                asked
            }
            _ => {
                let message = "give either `filter` or `savedFilter`";
                let error = kernel::UserError::constraint(["filter"], message, "exactlyOne", None);
                return Err(kernel::Error::from(error).into());
            }
        };
        let mut stage = Stage::open(ctx, asked, after).await?;
        stage.other = other;
        Ok(stage.messages(|stage, signal| {
            let (kind, event) = match signal {
                Signal::Rights => (QueueChangeKind::Reset, None),
                Signal::Bookmark => (QueueChangeKind::Bookmark, None),
                Signal::Event(event) => (stage.lens.change(&stage.platform, &event)?, Some(event)),
            };
            let id = event.as_ref().and_then(|event| ticket_id(&stage.platform, event));
            let subject = event.map(|event| event.subject);
            Some(QueueChange { cursor: stage.place(subject.is_some()), kind, id, subject })
        }))
    }
}

fn asked(filter: TicketFilter) -> kernel::Result<Predicate> {
    filter.predicate().map_err(|error| error.within("filter"))
}

fn ticket_id(platform: &Platform, event: &LogEvent) -> Option<ID> {
    let record = record_of(platform, event)?;
    let rules = platform.tickets.kinds().iter().find(|rules| rules.record().name == record.name)?;
    Some(id_of(rules.kind().id_prefix(), event.subject))
}
