//! The live hub: recent events in memory, and cursors into them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use kernel::{Result, Uuid};
use store::{Event, Store};
use tokio::sync::watch;

/// How many recent events the hub keeps for all subscribers together.
pub const RING_CAPACITY: usize = 4_096;
/// How many events a subscriber that fell behind reads from the log at a time.
const CATCH_UP: u32 = 200;
/// How many events a follower may have been handed that its client has not received yet: what a door buffers for one
/// operation, with room to spare. [`LiveHub::settled`] stays that far behind.
pub const UNSETTLED: usize = 8;
/// How long the hub waits after a failed read of the log.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Recent events of all tenants, by position and without gaps.
#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// The position of the newest event, also when the ring is empty.
    head: i64,
}

impl Ring {
    fn push(&mut self, event: Arc<Event>, position: i64) {
        if self.events.len() == RING_CAPACITY {
            self.events.pop_front();
        }
        // Should the log ever have a gap, what is before it is left to the log itself.
        if position != self.head + 1 {
            self.events.clear();
        }
        self.head = position;
        self.events.push_back(event);
    }

    /// The tenant's events behind `after`, at most `limit`, and how far that looked; `None` when the ring does not reach
    /// back that far.
    fn after(&self, tenant: Uuid, after: i64, limit: usize) -> Option<(Vec<Arc<Event>>, i64)> {
        let missing = usize::try_from(self.head - after).unwrap_or(0);
        let start = self.events.len().checked_sub(missing)?;
        let mut found = Vec::new();
        let mut scanned = after;
        for event in self.events.iter().skip(start) {
            if found.len() == limit {
                return Some((found, scanned));
            }
            scanned = event.position.unwrap_or(scanned);
            if event.tenant == tenant {
                found.push(Arc::clone(event));
            }
        }
        Some((found, self.head.max(after)))
    }
}

/// Up to where each follower's client has certainly been told, by the follower's number.
#[derive(Debug, Default)]
struct Followers {
    next: AtomicU64,
    settled: Mutex<HashMap<u64, (Uuid, Arc<AtomicI64>)>>,
}

impl Followers {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (Uuid, Arc<AtomicI64>)>> {
        self.settled.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Wakes subscriptions when the log grows. Cheap to clone; ends with its last clone and subscription.
#[derive(Clone)]
pub struct LiveHub {
    store: Store,
    ring: Arc<RwLock<Ring>>,
    head: watch::Receiver<i64>,
    followers: Arc<Followers>,
}

impl LiveHub {
    /// Starts the reader at the log's present end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(store: Store) -> Result<Self> {
        let start = store.log().head().await?;
        let ring = Arc::new(RwLock::new(Ring { events: VecDeque::new(), head: start }));
        let (sender, head) = watch::channel(start);
        tokio::spawn(follow(store.clone(), Arc::clone(&ring), sender));
        Ok(Self { store, ring, head, followers: Arc::default() })
    }

    /// Follows the tenant's events behind a position.
    pub fn subscribe(&self, tenant: Uuid, after: i64) -> Subscription {
        let settled = Arc::new(AtomicI64::new(after));
        let number = self.followers.next.fetch_add(1, Ordering::Relaxed);
        self.followers.lock().insert(number, (tenant, Arc::clone(&settled)));
        Subscription {
            hub: self.clone(),
            tenant,
            position: after,
            waiting: VecDeque::new(),
            head: self.head.clone(),
            number,
            handed: VecDeque::with_capacity(UNSETTLED),
            settled,
        }
    }

    /// A position that no client of the tenant's followers misses anything behind: whoever resumes from it may be told
    /// some events again, and loses none.
    pub fn settled(&self, tenant: Uuid) -> i64 {
        let followers = self.followers.lock();
        let positions = followers.values().filter(|(of, _)| *of == tenant).map(|(_, settled)| settled);
        positions.map(|settled| settled.load(Ordering::Relaxed)).min().unwrap_or_else(|| self.head())
    }

    /// The position up to which subscribers have been told.
    pub fn head(&self) -> i64 {
        *self.head.borrow()
    }

    fn recent(&self, tenant: Uuid, after: i64) -> Option<(Vec<Arc<Event>>, i64)> {
        let ring = self.ring.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        ring.after(tenant, after, CATCH_UP as usize)
    }
}

/// Copies the log's end into the ring until nobody listens any more.
async fn follow(store: Store, ring: Arc<RwLock<Ring>>, head: watch::Sender<i64>) {
    let mut grown = store.log().watch();
    loop {
        let position = *head.borrow();
        let known = *grown.borrow_and_update();
        if position < known {
            if read_on(&store, &ring, &head, position).await.is_err() {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
            continue;
        }
        tokio::select! {
            changed = grown.changed() => if changed.is_err() { return },
            () = head.closed() => return,
        }
    }
}

async fn read_on(store: &Store, ring: &RwLock<Ring>, head: &watch::Sender<i64>, position: i64) -> Result<()> {
    let page = store.log().read_all_after(position, 500).await.inspect_err(|error| {
        tracing::warn!(%error, "the live hub cannot read the event log; it tries again");
    })?;
    {
        let mut ring = ring.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for event in page.events {
            if let Some(position) = event.position {
                ring.push(Arc::new(event), position);
            }
        }
        ring.head = ring.head.max(page.scanned_to);
    }
    head.send_replace(page.scanned_to);
    Ok(())
}

/// One follower of a tenant's events: a cursor.
pub struct Subscription {
    hub: LiveHub,
    tenant: Uuid,
    position: i64,
    waiting: VecDeque<Arc<Event>>,
    head: watch::Receiver<i64>,
    number: u64,
    /// The positions before the last events that were handed out, oldest first.
    handed: VecDeque<i64>,
    settled: Arc<AtomicI64>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.followers.lock().remove(&self.number);
    }
}

impl Subscription {
    /// Notes that an event is handed out: the one [`UNSETTLED`] events ago has certainly arrived.
    fn hand_out(&mut self, position: i64) {
        if self.handed.len() == UNSETTLED
            && let Some(arrived) = self.handed.pop_front()
        {
            self.settled.store(self.handed.front().copied().unwrap_or(arrived), Ordering::Relaxed);
        }
        self.handed.push_back(self.position);
        self.position = position;
    }

    /// The next event. Cancel-safe: an event that was not answered is answered by the next call.
    ///
    /// # Errors
    /// `CURSOR_EXPIRED` when the log no longer reaches back; database errors, after which the call may be repeated.
    pub async fn next(&mut self) -> Result<Arc<Event>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.hand_out(event.position.unwrap_or(self.position));
                return Ok(event);
            }
            let head = *self.head.borrow_and_update();
            if self.position >= head {
                // The sender lives as long as a receiver does; should its task have died, wait for the caller to end.
                if self.head.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            let (events, scanned) = match self.hub.recent(self.tenant, self.position) {
                Some(found) => found,
                None => {
                    let page = self.hub.store.log().read_after(self.tenant, self.position, CATCH_UP).await?;
                    (page.events.into_iter().map(Arc::new).collect(), page.scanned_to)
                }
            };
            if events.is_empty() {
                self.position = self.position.max(scanned);
            }
            self.waiting = events.into();
        }
    }

    /// Up to where all events were answered. Nothing of the tenant's is between the last answer and here.
    pub fn position(&self) -> i64 {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Actor, ActorKind, Channel, Timestamp};
    use store::Audience;

    const OURS: Uuid = Uuid::from_u128(1);
    const THEIRS: Uuid = Uuid::from_u128(2);

    fn event(position: i64, tenant: Uuid) -> Arc<Event> {
        Arc::new(Event {
            id: Uuid::from_u128(position as u128),
            position: Some(position),
            tenant,
            actor: Actor { id: Uuid::nil(), kind: ActorKind::System },
            channel: Channel::System,
            kind: "Tested".into(),
            subject_kind: "test".into(),
            subject: Uuid::nil(),
            version: 1,
            audience: Audience::Public,
            changes: Vec::new(),
            facts: Default::default(),
            payload: serde_json::Value::Null,
            occurred_at: Timestamp::UNIX_EPOCH,
            recorded_at: Timestamp::UNIX_EPOCH,
            request_id: "test".into(),
        })
    }

    fn ring(count: i64) -> Ring {
        let mut ring = Ring::default();
        for position in 1..=count {
            ring.push(event(position, if position % 2 == 0 { OURS } else { THEIRS }), position);
        }
        ring
    }

    fn positions(found: &[Arc<Event>]) -> Vec<i64> {
        found.iter().filter_map(|event| event.position).collect()
    }

    #[test]
    fn a_cursor_sees_its_tenant_alone_and_moves_over_the_others() {
        let (found, scanned) = ring(5).after(OURS, 1, 10).unwrap();
        assert_eq!(positions(&found), [2, 4]);
        assert_eq!(scanned, 5);
    }

    #[test]
    fn a_full_batch_ends_at_its_last_event() {
        let (found, scanned) = ring(8).after(OURS, 0, 2).unwrap();
        assert_eq!(positions(&found), [2, 4]);
        assert!(scanned < 6);
    }

    #[test]
    fn the_ring_is_bounded_and_says_when_it_does_not_reach_back() {
        let over = RING_CAPACITY as i64 + 10;
        let ring = ring(over);
        assert_eq!(ring.events.len(), RING_CAPACITY);
        assert!(ring.after(OURS, 9, 1).is_none());
        assert!(ring.after(OURS, 10, 1).is_some());
    }

    #[test]
    fn after_a_gap_the_ring_begins_anew() {
        let mut ring = ring(3);
        ring.push(event(9, OURS), 9);
        assert!(ring.after(OURS, 3, 10).is_none());
        assert_eq!(positions(&ring.after(OURS, 8, 10).unwrap().0), [9]);
    }
}
