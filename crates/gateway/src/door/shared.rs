//! Subscriptions that several sockets share: run once, written once, sent to each.
//!
//! Each subscription begins on its own. Once it has told everything up to where a shared one of the same operation, variables
//! and basis (the document of a saved filter) stands, for viewers to whom it says the same, it ends and its socket listens to the
//! shared one. It goes on on its own again, from where it
//! stands, when the viewer's rights change, when it cannot keep up, and when the shared one ends. So what a client is told, and
//! in which order, is the same either way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use async_graphql::Executor;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use kernel::{Ctx, Grants, Uuid};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::alike::Sight;
use super::engine::{self, Admitted, Caller};
use super::gate::Identity;
use super::metrics::Counted;
use super::place::{Place, Resume, Settled, Told};
use super::protocol;
use super::{Inner, Principal};

/// How many messages a listener may be behind before it goes on on its own.
const BEHIND: usize = 16;

/// Who and what: those with equal keys are told the same. Everything that an answer can depend on is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    operation: Identity,
    tenant: Uuid,
    viewers: Viewers,
    basis: Option<Arc<str>>,
}

/// Whom a subscription is shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Viewers {
    /// One person's sockets, while their rights are these.
    One(Uuid, Arc<Grants>),
    /// All who see the same, of an operation that says the same to them. Who they are and what else they may do is not in it:
    /// nothing that the operation can reach depends on it.
    Alike(Sight),
}

impl Viewers {
    fn of<E>(door: &Inner<E>, admitted: &Admitted, ctx: &Ctx) -> Self {
        let covered = door.gate.covered(&door.alike, &admitted.checked);
        match covered.then(|| door.backend.sight(ctx)).flatten() {
            Some(sight) => Viewers::Alike(sight),
            None => Viewers::One(ctx.actor.id, Arc::clone(&ctx.grants)),
        }
    }
}

/// One message of a shared subscription.
#[derive(Debug)]
pub struct Message {
    told: Told,
    payload: String,
    /// The frame for whoever asked first, with the operation's id there: nearly always the same.
    frame: OnceLock<(Arc<str>, Utf8Bytes)>,
}

impl Message {
    /// The text of the frame for this operation.
    pub fn frame(&self, id: &Arc<str>) -> Utf8Bytes {
        let make = || Utf8Bytes::from(protocol::next(id, &self.payload));
        let (first, frame) = self.frame.get_or_init(|| (Arc::clone(id), make()));
        if first == id { frame.clone() } else { make() }
    }

    /// Behind it the subscription goes on.
    pub fn position(&self) -> i64 {
        self.told.position
    }
}

/// What one listener has yet to take. To take from it concerns nobody else.
#[derive(Debug, Default)]
struct Buffer(Mutex<Buffered>);

#[derive(Debug, Default)]
struct Buffered {
    messages: VecDeque<Arc<Message>>,
    /// Nothing comes any more: the shared one has ended, or the listener was too far behind.
    ended: bool,
    waker: Option<Waker>,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Buffered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn put(&self, message: &Arc<Message>) -> bool {
        let mut buffered = self.lock();
        if buffered.messages.len() < BEHIND {
            buffered.messages.push_back(Arc::clone(message));
        } else {
            buffered.ended = true;
        }
        let (room, waker) = (!buffered.ended, buffered.waker.take());
        drop(buffered);
        waker.into_iter().for_each(Waker::wake);
        room
    }

    fn end(&self) {
        let mut buffered = self.lock();
        buffered.ended = true;
        let waker = buffered.waker.take();
        drop(buffered);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The next message; `None` when nothing comes any more.
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Arc<Message>>> {
        let mut buffered = self.lock();
        match buffered.messages.pop_front() {
            Some(message) => Poll::Ready(Some(message)),
            None if buffered.ended => Poll::Ready(None),
            None => {
                if buffered.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                    buffered.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// Those who listen to one shared subscription.
#[derive(Debug, Default)]
struct Listeners(Mutex<Vec<Weak<Buffer>>>);

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Buffer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) -> Arc<Buffer> {
        let buffer = Arc::new(Buffer::default());
        self.lock().push(Arc::downgrade(&buffer));
        buffer
    }

    /// Hands the message to all; who is too far behind, or gone, hears no more. Answers whether anybody is left.
    fn tell(&self, message: &Arc<Message>) -> bool {
        let mut listeners = self.lock();
        listeners.retain(|listener| listener.upgrade().is_some_and(|buffer| buffer.put(message)));
        !listeners.is_empty()
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.lock().iter().filter_map(Weak::upgrade).for_each(|buffer| buffer.end());
    }
}

/// A shared subscription that runs.
#[derive(Debug)]
struct Group {
    listeners: Arc<Listeners>,
    place: Arc<Place>,
}

/// The shared subscriptions of all sockets.
#[derive(Debug, Default)]
pub struct Groups(Mutex<HashMap<Key, Group>>);

impl Groups {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the listeners of a shared subscription, taken before it is known whether it can be used.
pub struct Joining {
    messages: Arc<Buffer>,
    group: Arc<Place>,
    group_moves: watch::Receiver<Option<Settled>>,
    /// How far the shared one had come by then.
    reached: Option<i64>,
    rights: Arc<Grants>,
    basis: Option<Arc<str>>,
}

impl Joining {
    /// Whether whoever has been told everything up to this position misses nothing by listening from now on.
    fn fits(&self, position: i64) -> bool {
        // It may have begun on another basis than whoever had it begin.
        if self.group.start().is_none() || self.group.basis() != self.basis {
            return false;
        }
        // One that had not begun will have told nothing from before its beginning.
        self.reached.or_else(|| self.group.start()).is_some_and(|reached| position >= reached)
    }

    /// The listener, if whoever has been told everything up to `position` under `rights` misses nothing by it.
    pub fn into_listener(self, position: i64, live: &watch::Receiver<Ctx>) -> Result<Listener, Self> {
        if !self.fits(position) {
            return Err(self);
        }
        Ok(Listener {
            messages: self.messages,
            position,
            live: live.clone(),
            change: next_change(live.clone()),
            watching: None,
            rights: self.rights,
        })
    }

    /// Waits until the shared one has come further, or has begun.
    pub async fn moved(&mut self) {
        if self.group_moves.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The rights under which it was joined.
    pub fn rights(&self) -> &Arc<Grants> {
        &self.rights
    }
}

/// Takes a place among the listeners of the shared subscription for this one, which begins when there is none.
pub fn join<E: Executor>(door: &Arc<Inner<E>>, admitted: &Admitted, ctx: &Ctx, basis: Option<Arc<str>>) -> Joining {
    let rights = Arc::clone(&ctx.grants);
    let key = Key {
        operation: admitted.checked.identity(),
        tenant: ctx.tenant,
        viewers: Viewers::of(door, admitted, ctx),
        basis: basis.clone(),
    };
    let mut groups = door.groups.lock();
    if let Some(group) = groups.get(&key) {
        // First the place, then how far it has come: what is told in between is heard.
        let messages = group.listeners.add();
        let reached = group.place.reached();
        let group_moves = group.place.watch();
        return Joining { messages, group: Arc::clone(&group.place), group_moves, reached, rights, basis };
    }
    let listeners = Arc::new(Listeners::default());
    let messages = listeners.add();
    let place = Place::new(Resume::Now);
    groups.insert(key.clone(), Group { listeners: Arc::clone(&listeners), place: Arc::clone(&place) });
    drop(groups);
    let caller = Caller {
        principal: Some(Principal { ctx: ctx.clone(), expires_at: None }),
        request_id: super::http::new_request_id(),
        address: None,
        // Rights are watched by the listeners, who leave when theirs change.
        live: None,
        wants_cost: false,
        place: Some(Arc::clone(&place)),
    };
    let answers = engine::answers(door, admitted.clone(), &caller);
    door.tasks.spawn(tell(Arc::clone(door), key, answers, listeners, Arc::clone(&place)));
    Joining { messages, group_moves: place.watch(), group: place, reached: None, rights, basis }
}

/// Runs a shared subscription while somebody listens.
async fn tell<E: Executor>(
    door: Arc<Inner<E>>,
    key: Key,
    mut answers: BoxStream<'static, super::answer::Answer>,
    listeners: Arc<Listeners>,
    place: Arc<Place>,
) {
    let _counted = Counted::new(&door.metrics.shared);
    loop {
        let answer = tokio::select! {
            answer = answers.next() => answer,
            () = door.draining.cancelled() => None,
            () = door.killed.cancelled() => None,
        };
        // One with errors is for each to meet on its own, under its own request's name.
        let Some(answer) = answer.filter(|answer| answer.errors.is_empty() && answer.data.is_some()) else {
            // With the last of those who hold it, its listeners hear that it has ended.
            door.groups.lock().remove(&key);
            return;
        };
        let payload = String::from_utf8_lossy(&answer.to_json()).into_owned();
        let message = Arc::new(Message { told: place.told(), payload, frame: OnceLock::new() });
        if !listeners.tell(&message) {
            let mut groups = door.groups.lock();
            // Nobody can come in between: joining takes the same lock.
            if listeners.lock().is_empty() {
                groups.remove(&key);
                return;
            }
        }
        // Those who were woken take it before the next is worked out, so that a burst leaves nobody behind.
        tokio::task::yield_now().await;
    }
}

/// Who listens to a shared subscription.
pub struct Listener {
    messages: Arc<Buffer>,
    /// Up to where it has been told everything.
    position: i64,
    /// As it was when the listener came: a change since then is not seen yet.
    live: watch::Receiver<Ctx>,
    /// The next change of the rights.
    change: BoxFuture<'static, Option<watch::Receiver<Ctx>>>,
    /// Whom that change will wake.
    watching: Option<Waker>,
    rights: Arc<Grants>,
}

/// Waits for a change; `None` when there will be none any more.
fn next_change(mut watched: watch::Receiver<Ctx>) -> BoxFuture<'static, Option<watch::Receiver<Ctx>>> {
    async move {
        watched.changed().await.ok()?;
        Some(watched)
    }
    .boxed()
}

/// What a listener hears.
pub enum Heard {
    /// The next message.
    Message(Arc<Message>),
    /// The last: the subscription goes on on its own behind this position; the rights are to be watched from where this one
    /// stood.
    Alone(i64, watch::Receiver<Ctx>),
}

impl Listener {
    /// What it hears next; not to be asked again after [`Heard::Alone`].
    pub fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        // Before messages: none is told under rights that have gone.
        if self.rights_have_gone(cx) {
            return Poll::Ready(self.alone());
        }
        loop {
            match self.messages.poll_take(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(self.alone()),
                Poll::Ready(Some(message)) => {
                    let told = message.told;
                    if !told.event || told.position > self.position {
                        self.position = self.position.max(told.position);
                        return Poll::Ready(Heard::Message(message));
                    }
                }
            }
        }
    }

    fn alone(&self) -> Heard {
        Heard::Alone(self.position, self.live.clone())
    }

    fn rights_have_gone(&mut self, cx: &mut Context<'_>) -> bool {
        // For most messages nothing has changed, and whoever is to be woken by a change is known already.
        let watching = self.watching.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if watching && matches!(self.live.has_changed(), Ok(false)) {
            return false;
        }
        self.watching = Some(cx.waker().clone());
        while let Poll::Ready(watched) = self.change.poll_unpin(cx) {
            match watched {
                Some(watched) if watched.borrow().grants == self.rights => self.change = next_change(watched),
                _ => return true,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn message(position: i64) -> Arc<Message> {
        let told = Told { position, event: true };
        Arc::new(Message { told, payload: "{}".to_owned(), frame: OnceLock::new() })
    }

    fn taken(buffer: &Buffer, woken: &Arc<Woken>) -> Poll<Option<i64>> {
        let waker = Waker::from(Arc::clone(woken));
        buffer.poll_take(&mut Context::from_waker(&waker)).map(|message| message.map(|message| message.position()))
    }

    #[test]
    fn who_is_too_far_behind_gets_what_there_was_and_then_the_end() {
        let (listeners, woken) = (Listeners::default(), Arc::new(Woken::default()));
        let (slow, quick) = (listeners.add(), listeners.add());
        assert_eq!(taken(&slow, &woken), Poll::Pending);
        for position in 0..=BEHIND as i64 {
            assert!(listeners.tell(&message(position)), "the quick one is left");
            assert_eq!(taken(&quick, &woken), Poll::Ready(Some(position)));
        }
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "once, since it did not ask again");
        for position in 0..BEHIND as i64 {
            assert_eq!(taken(&slow, &woken), Poll::Ready(Some(position)));
        }
        assert_eq!(taken(&slow, &woken), Poll::Ready(None));
        assert_eq!(taken(&quick, &woken), Poll::Pending);
    }

    #[test]
    fn the_end_wakes_whoever_waits_and_whoever_is_gone_is_forgotten() {
        let (listeners, woken) = (Listeners::default(), Arc::new(Woken::default()));
        let (here, gone) = (listeners.add(), listeners.add());
        drop(gone);
        assert!(listeners.tell(&message(1)));
        assert_eq!(listeners.lock().len(), 1);
        assert_eq!(taken(&here, &woken), Poll::Ready(Some(1)));
        assert_eq!(taken(&here, &woken), Poll::Pending);
        drop(listeners);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(taken(&here, &woken), Poll::Ready(None));
    }

    #[test]
    fn the_last_to_leave_is_noticed() {
        let listeners = Listeners::default();
        drop(listeners.add());
        assert!(!listeners.tell(&message(1)));
    }
}
