//! Where a subscription stands in the log that it tells of: said by the resolver, read by the door.
//!
//! The door does not know what a subscription is about. That much it has to know to let several sockets share one: where it
//! began, up to where everything has been told, and under which rights.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kernel::Grants;
use tokio::sync::watch;

/// Where a subscription is to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Where its arguments say.
    #[default]
    AsAsked,
    /// At the log's present end, whatever its arguments say.
    Now,
    /// Behind this position.
    Behind(i64),
}

/// Up to where everything has been handed to whoever reads the subscription's answers, and under which rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The position.
    pub position: i64,
    /// The viewer's rights by which what comes next is judged.
    pub rights: Arc<Grants>,
}

/// The message that was made last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Behind it the subscription goes on.
    pub position: i64,
    /// Whether it tells of the event at that position; a bookmark tells of none.
    pub event: bool,
}

/// What a subscription stands on beside its operation, its viewer and their rights: the document of a saved filter. Those that
/// stand on something else are told something else.
#[derive(Debug, Default)]
pub struct Basis(Mutex<Option<Arc<str>>>);

impl Basis {
    /// What it is.
    pub fn get(&self) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it is this; whether it was something else.
    fn replace(&self, basis: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let other = known.as_ref().is_some_and(|known| **known != *basis);
        *known = Some(basis.into());
        other
    }
}

/// One subscription's place.
#[derive(Debug)]
pub struct Place {
    resume: Resume,
    basis: Arc<Basis>,
    start: OnceLock<i64>,
    settled: watch::Sender<Option<Settled>>,
    told: Mutex<Told>,
}

impl Place {
    /// Of a subscription that is about to begin.
    pub fn new(resume: Resume) -> Arc<Self> {
        Self::on(resume, Arc::default())
    }

    /// Of one that is about to begin, or to go on, on this basis.
    pub fn on(resume: Resume, basis: Arc<Basis>) -> Arc<Self> {
        let settled = watch::Sender::new(None);
        Arc::new(Self { resume, basis, start: OnceLock::new(), settled, told: Mutex::default() })
    }

    /// Where to begin.
    pub fn resume(&self) -> Resume {
        self.resume
    }

    /// Says what it stands on, before it begins; whether it stood on something else before it was interrupted.
    pub fn stand_on(&self, basis: &str) -> bool {
        self.basis.replace(basis)
    }

    /// What it stands on.
    pub fn basis(&self) -> Option<Arc<str>> {
        self.basis.get()
    }

    /// The subscription has begun behind this position.
    pub fn begun(&self, position: i64) {
        // A subscription has one root field, and that begins once.
        let _ = self.start.set(position);
    }

    /// Everything up to this position has been told, and its reader asks for more.
    pub fn settle(&self, position: i64, rights: &Arc<Grants>) {
        self.settled.send_if_modified(|settled| {
            let changed = settled.as_ref().is_none_or(|known| known.position != position || known.rights != *rights);
            if changed {
                *settled = Some(Settled { position, rights: Arc::clone(rights) });
            }
            changed
        });
    }

    /// The message that comes next is this one.
    pub fn tell(&self, told: Told) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// What the last message told.
    pub fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it began, once it has.
    pub fn start(&self) -> Option<i64> {
        self.start.get().copied()
    }

    /// The furthest position that a message may have told of; `None` before the beginning.
    pub fn reached(&self) -> Option<i64> {
        let settled = self.settled.borrow().as_ref().map(|settled| settled.position);
        Some(self.start()?.max(settled.unwrap_or(i64::MIN)).max(self.told().position))
    }

    /// Follows what is settled.
    pub fn watch(&self) -> watch::Receiver<Option<Settled>> {
        self.settled.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_on_knows_whether_the_basis_is_another() {
        let basis = Arc::new(Basis::default());
        let first = Place::on(Resume::AsAsked, Arc::clone(&basis));
        assert!(!first.stand_on("a"));
        let second = Place::on(Resume::Behind(7), basis);
        assert!(!second.stand_on("a"));
        assert!(second.stand_on("b"));
        assert_eq!(first.basis().as_deref(), Some("b"));
    }

    #[test]
    fn what_is_reached_is_never_behind_what_was_told() {
        let place = Place::new(Resume::Now);
        assert_eq!(place.reached(), None);
        place.begun(7);
        assert_eq!(place.reached(), Some(7));
        place.tell(Told { position: 9, event: true });
        assert_eq!(place.reached(), Some(9));
        place.settle(12, &Arc::default());
        assert_eq!(place.reached(), Some(12));
        assert_eq!(place.watch().borrow().as_ref().map(|settled| settled.position), Some(12));
    }
}
