//! What the operations of a socket hand over to it, and whose turn it is.

use std::sync::Arc;
use std::task::{Context, Poll};

use kernel::Ctx;
use tokio::sync::{mpsc, watch};

use super::metrics::Counted;
use super::shared::{self, Heard, Listener};

/// What an operation hands over.
pub struct Output {
    /// The operation's id.
    pub id: Arc<str>,
    /// Its serial number: the client may use an id again.
    pub serial: u64,
    /// The result.
    pub what: What,
    /// Whether nothing comes after it.
    pub last: bool,
}

pub enum What {
    /// A message.
    Text(String),
    /// A message that others get too.
    Shared(Arc<shared::Message>),
    /// It has ended on its own and listens to a shared one from now on.
    Listen(Box<Listener>),
    /// It goes on on its own, behind this position.
    Alone(i64, watch::Receiver<Ctx>),
}

/// Where the results of an operation come from.
pub enum Source {
    /// From its task.
    Task(mpsc::Receiver<Output>),
    /// From a shared subscription.
    Shared {
        /// The operation's id.
        id: Arc<str>,
        /// What it hears.
        listener: Box<Listener>,
        /// Counts it.
        _counted: Counted,
    },
}

impl Source {
    /// Its next output; `None` when there will be none any more.
    fn poll(&mut self, cx: &mut Context<'_>, serial: u64) -> Poll<Option<Output>> {
        match self {
            Source::Task(receiver) => receiver.poll_recv(cx),
            Source::Shared { id, listener, .. } => listener.poll_heard(cx).map(|heard| {
                let what = match heard {
                    Heard::Message(message) => What::Shared(message),
                    Heard::Alone(position, live) => What::Alone(position, live),
                };
                Some(Output { id: Arc::clone(id), serial, what, last: false })
            }),
        }
    }
}

/// The sources of all operations of a socket, by their serial numbers. Each has its turn.
#[derive(Default)]
pub struct Sources {
    sources: Vec<(u64, Source)>,
    /// Whose turn is next.
    next: usize,
}

impl Sources {
    /// Takes one more.
    pub fn add(&mut self, serial: u64, source: Source) {
        self.sources.push((serial, source));
    }

    /// Forgets that of this operation.
    pub fn remove(&mut self, serial: u64) {
        self.sources.retain(|(known, _)| *known != serial);
    }

    /// The next output of any.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        let mut looked_at = 0;
        while looked_at < self.sources.len() {
            if self.next >= self.sources.len() {
                self.next = 0;
            }
            let (serial, source) = &mut self.sources[self.next];
            match source.poll(cx, *serial) {
                Poll::Pending => {
                    self.next += 1;
                    looked_at += 1;
                }
                Poll::Ready(None) => {
                    self.sources.remove(self.next);
                }
                Poll::Ready(Some(output)) => {
                    if matches!(output.what, What::Alone(..)) {
                        self.sources.remove(self.next);
                    } else {
                        self.next += 1;
                    }
                    return Poll::Ready(output);
                }
            }
        }
        Poll::Pending
    }
}
