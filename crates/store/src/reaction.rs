//! What must hold together with a write: work on the events that it emitted, in the same transaction.
//!
//! A crate below cannot know who follows its records. Whoever does registers a [`Reaction`] when the binary starts; it runs at
//! the end of every write's closure over the events that the write emitted, and over those that reactions emit in turn.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use kernel::{Error, Result};

use crate::Tx;

/// How often reactions may answer to what reactions emitted, in one write.
pub const MAX_REACTION_DEPTH: usize = 8;

/// Work on the events of a write, in its transaction.
pub trait Reaction: Send + Sync + 'static {
    /// Works on the events in this range of [`Tx::emitted`]. It may run statements, amend these events
    /// ([`Tx::emitted_mut`]), emit further ones and enqueue jobs. An error is one of the write.
    fn react<'t>(&'t self, tx: &'t mut Tx, events: Range<usize>) -> BoxFuture<'t, Result<()>>;
}

/// The reactions of a process, registered once.
#[derive(Clone, Default)]
pub(crate) struct Reactions(Arc<OnceLock<Vec<Arc<dyn Reaction>>>>);

impl Reactions {
    /// The first registration stands.
    pub(crate) fn register(&self, reactions: Vec<Arc<dyn Reaction>>) {
        // A second registration would be the same reactions again.
        let _ = self.0.set(reactions);
    }

    /// Runs them, in the order in which they were registered, until nothing new is emitted.
    pub(crate) async fn run(&self, tx: &mut Tx) -> Result<()> {
        let Some(reactions) = self.0.get() else { return Ok(()) };
        let mut seen = 0;
        for _ in 0..MAX_REACTION_DEPTH {
            let end = tx.emitted().len();
            if seen == end {
                return Ok(());
            }
            for reaction in reactions {
                reaction.react(tx, seen..end).await?;
            }
            seen = end;
        }
        match tx.emitted().len() == seen {
            true => Ok(()),
            false => Err(Error::internal(format!("reactions went deeper than {MAX_REACTION_DEPTH}"))),
        }
    }
}
