//! A subscription on a WebSocket that is not shared, or not yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_graphql::Executor;
use futures_util::StreamExt;
use kernel::Ctx;
use tokio::sync::{mpsc, watch};

use super::Inner;
use super::answer::Answer;
use super::document::OperationKind;
use super::engine::{self, Caller};
use super::metrics::Counted;
use super::place::{Basis, Place, Resume, Settled};
use super::protocol;
use super::shared::{self, Joining, Listener};
use super::sources::{Output, What};

/// A subscription, on its own or listening to a shared one.
pub struct Subscription {
    /// What is asked.
    pub admitted: engine::Admitted,
    /// By whom.
    pub caller: Caller,
    /// The position behind which its client has been told nothing yet, while it listens to a shared one; else [`i64::MAX`].
    pub behind: AtomicI64,
    /// What it goes by that its operation does not tell.
    pub basis: Arc<Basis>,
    /// Counts it.
    pub _counted: Counted,
}

/// A subscription on its own, until it can listen to a shared one.
pub struct Alone<E> {
    /// What all sockets share.
    pub door: Arc<Inner<E>>,
    /// The operation's id.
    pub id: Arc<str>,
    /// Its serial number.
    pub serial: u64,
    /// What is asked.
    pub subscription: Arc<Subscription>,
    /// The rights as they change: changes up to where the listener was that this one goes on for have been seen.
    pub live: Option<watch::Receiver<Ctx>>,
    /// Where its results go.
    pub sender: mpsc::Sender<Output>,
}

impl<E: Executor> Alone<E> {
    /// Runs it.
    pub async fn run(mut self, resume: Resume) {
        let place = Place::on(resume, Arc::clone(&self.subscription.basis));
        let caller =
            Caller { place: Some(Arc::clone(&place)), live: self.live.clone(), ..self.subscription.caller.clone() };
        let mut answers = engine::answers(&self.door, self.subscription.admitted.clone(), &caller);
        let mut settled = place.watch();
        let mut joining: Option<Joining> = None;
        loop {
            let moved = async {
                match &mut joining {
                    Some(joining) => joining.moved().await,
                    None => std::future::pending().await,
                }
            };
            // First the answers: what is settled holds when there is none.
            let answer = tokio::select! {
                biased;
                answer = answers.next() => Some(answer),
                _ = settled.changed() => None,
                () = moved => None,
            };
            match answer {
                Some(Some(answer)) => {
                    if !self.hand_over(&answer).await {
                        return;
                    }
                }
                Some(None) => {
                    let complete = What::Text(protocol::complete(&self.id));
                    let _ = self.sender.send(self.output(complete, true)).await;
                    return;
                }
                None => {
                    // It follows the log itself now, which knows how far it has come.
                    self.subscription.behind.store(i64::MAX, Ordering::Relaxed);
                    let now = settled.borrow_and_update().clone();
                    if let Some(now) = now
                        && let Some(listener) = self.join(&now, &mut joining)
                    {
                        self.leave(listener, now.position).await;
                        return;
                    }
                }
            }
        }
    }

    fn output(&self, what: What, last: bool) -> Output {
        Output { id: self.id.clone(), serial: self.serial, what, last }
    }

    /// Whether it goes on.
    async fn hand_over(&self, answer: &Answer) -> bool {
        self.door.metrics.answered("websocket", Some(OperationKind::Subscription), answer);
        let message = protocol::result(&self.id, answer);
        // After `error` there is no `complete`.
        let last = answer.data.is_none() && !answer.errors.is_empty();
        self.sender.send(self.output(What::Text(message), last)).await.is_ok() && !last
    }

    /// A listener, if there is a shared one that has come no further than this.
    fn join(&mut self, settled: &Settled, joining: &mut Option<Joining>) -> Option<Listener> {
        let live = self.live.as_mut()?;
        let ctx = live.borrow_and_update().clone();
        if ctx.grants != settled.rights {
            // It has yet to tell that the rights have changed.
            *joining = None;
            return None;
        }
        let known = joining.take().filter(|joining| *joining.rights() == ctx.grants);
        let basis = || self.subscription.basis.get();
        let taken = known.unwrap_or_else(|| shared::join(&self.door, &self.subscription.admitted, &ctx, basis()));
        match taken.into_listener(settled.position, live) {
            Ok(listener) => Some(listener),
            Err(taken) => {
                *joining = Some(taken);
                None
            }
        }
    }

    /// Hands over the listener once all messages before it have been taken.
    async fn leave(&self, listener: Listener, position: i64) {
        let Ok(mut room) = self.sender.reserve_many(self.sender.max_capacity()).await else { return };
        // Before the stream ends that keeps the log's followers back.
        self.subscription.behind.store(position, Ordering::Relaxed);
        if let Some(place) = room.next() {
            place.send(self.output(What::Listen(Box::new(listener)), false));
        }
    }
}
