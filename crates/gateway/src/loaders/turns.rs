//! The turns in which the batches of a request are run: after the resolvers that can still add to them.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_graphql::runtime::Timer;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::task::{FutureObj, Spawn, SpawnError};
use futures_util::{FutureExt, Stream, StreamExt};

/// The turns of a request: all resolvers that can go on do so, then the batches that they asked for, and so again.
///
/// Both run in the request's own task, one after the other. So a batch never starts while a resolver could still add to it,
/// and ends with the request when nobody waits for that any more.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<Vec<FutureObj<'static, ()>>>>);

impl Turns {
    /// Runs a request's future, and the batches that it asks for.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut batches = FuturesUnordered::new();
        poll_fn(|cx| self.turn(&mut batches, cx, |cx| future.as_mut().poll(cx))).await
    }

    /// Runs a subscription's stream, and the batches that it asks for.
    pub fn run_stream<S: Stream + Unpin>(self, mut stream: S) -> impl Stream<Item = S::Item> {
        let mut batches = FuturesUnordered::new();
        stream::poll_fn(move |cx| self.turn(&mut batches, cx, |cx| stream.poll_next_unpin(cx)))
    }

    fn turn<T>(
        &self,
        batches: &mut FuturesUnordered<FutureObj<'static, ()>>,
        cx: &mut Context<'_>,
        mut resolvers: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        loop {
            if let Poll::Ready(answer) = resolvers(cx) {
                return Poll::Ready(answer);
            }
            batches.extend(std::mem::take(&mut *self.asked_for()));
            let mut ended = false;
            while let Poll::Ready(Some(())) = batches.poll_next_unpin(cx) {
                ended = true;
            }
            if !ended {
                return Poll::Pending;
            }
        }
    }

    fn asked_for(&self) -> MutexGuard<'_, Vec<FutureObj<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawn for Turns {
    fn spawn_obj(&self, batch: FutureObj<'static, ()>) -> std::result::Result<(), SpawnError> {
        self.asked_for().push(batch);
        Ok(())
    }
}

/// No delay: a batch is not begun before its turn anyway.
pub(super) struct AtOnce;

impl Timer for AtOnce {
    fn delay(&self, _duration: Duration) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_graphql::dataloader::{DataLoader, Loader};
    use futures_util::future::join_all;

    use super::*;

    /// Counts its batches.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Loader<u32> for Counter {
        type Value = u32;
        type Error = ();

        async fn load(&self, keys: &[u32]) -> Result<HashMap<u32, u32>, ()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(keys.iter().map(|key| (*key, key * 2)).collect())
        }
    }

    async fn two_levels(loader: &DataLoader<Counter>, key: u32) -> u32 {
        let double = loader.load_one(key).await.unwrap().unwrap();
        // Asked for as soon as the first level has come.
        loader.load_one(double + 1_000).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn each_level_is_one_batch() {
        let turns = Turns::default();
        let loader = DataLoader::new(Counter::default(), turns.clone(), AtOnce);
        let answers = turns.run(join_all((0..200).map(|key| two_levels(&loader, key)))).await;
        assert_eq!(answers[3], 2 * (2 * 3 + 1_000));
        assert_eq!(loader.loader().0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn each_message_of_a_stream_has_batches_of_its_own() {
        let turns = Turns::default();
        let loader = DataLoader::new(Counter::default(), turns.clone(), AtOnce);
        let messages =
            stream::iter(0..3).then(|key| join_all([two_levels(&loader, key), two_levels(&loader, key + 100)]));
        let answers = turns.run_stream(messages.boxed()).collect::<Vec<_>>().await;
        assert_eq!(answers[1], [2 * (2 + 1_000), 2 * (202 + 1_000)]);
        assert_eq!(loader.loader().0.load(Ordering::SeqCst), 6);
    }
}
