//! SQLite's one writer: group commit. Each write is a savepoint of a transaction that it shares with others that
//! are waiting; whoever waits is answered after the commit, and one's failure is nobody else's.

use std::sync::{Arc, Mutex};

use kernel::{Ctx, Error, Result};
use sea_orm::DbErr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::Engine;
use crate::config::{Limits, StoreConfig};
use crate::error::{to_error, unavailable};
use crate::idempotency::{CallKey, InFlight, Running};
use crate::observe::Observer;
use crate::reaction::Reactions;
use crate::sqlite::SqliteConnection;
use crate::tx::{Session, Shared, Tx};
use crate::write::{Aftermath, Answer, Traces, Work, Written, attempt};

/// Where writes wait for the writer.
#[derive(Clone)]
pub(crate) struct SqliteWriter {
    queue: mpsc::Sender<Member>,
    in_flight: InFlight,
    limits: Arc<Limits>,
}

/// What is to become of a member's savepoint.
enum Verdict {
    Keep(Traces),
    Discard,
}

/// One write among others.
struct Member {
    ctx: Ctx,
    name: &'static str,
    work: Work,
    result: Option<Result<Written<Answer>>>,
    reply: oneshot::Sender<Result<Written<Answer>>>,
    span: tracing::Span,
    /// Given back when this is answered.
    _running: Option<Running>,
}

impl Member {
    /// Whether nobody waits for the answer any more.
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Runs the closure once and keeps what it answered.
    async fn attempt(&mut self, tx: &mut Tx, limits: &Limits) -> Verdict {
        match attempt(tx, limits, &mut self.work).instrument(self.span.clone()).await {
            Ok((written, traces)) => {
                self.result = Some(Ok(written));
                if self.ctx.mutation.dry_run { Verdict::Discard } else { Verdict::Keep(traces) }
            }
            Err(error) => {
                self.result = Some(Err(error));
                Verdict::Discard
            }
        }
    }

    /// Answers: with what was kept, or, where that is a success that was not committed, with the reason.
    fn answer(self, committed: Result<()>) {
        let answer = match (self.result, committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(written)), Ok(())) => Ok(written),
            (None, Ok(())) => Err(unavailable("the change was not made; try again in a moment")),
        };
        // The caller may have gone; the write stands all the same.
        let _ = self.reply.send(answer);
    }
}

impl SqliteWriter {
    /// Starts nothing yet: answers the queue and the task that serves it.
    pub(crate) fn new(
        config: StoreConfig,
        connection: SqliteConnection,
        observer: Arc<Observer>,
        limits: Arc<Limits>,
        aftermath: Aftermath,
        reactions: Reactions,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = mpsc::channel(limits.write_queue);
        let connection = Some(Arc::new(Mutex::new(connection)));
        let task =
            WriterTask { config, connection, observer, limits: Arc::clone(&limits), aftermath, reactions, waiting };
        (Self { queue, in_flight: InFlight::default(), limits }, task.serve(stop))
    }

    /// The whole of one write.
    pub(crate) async fn write(&self, ctx: Ctx, name: &'static str, work: Work) -> Result<Written<Answer>> {
        let running = match CallKey::of(&ctx, name)? {
            Some(call) => Some(self.in_flight.enter(call, self.limits.lock_wait).await?),
            None => None,
        };
        let (reply, answer) = oneshot::channel();
        let span = tracing::Span::current();
        let write = Member { ctx, name, work, result: None, reply, span, _running: running };
        self.queue.try_send(write).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => unavailable("too many changes are waiting; try again in a moment"),
            mpsc::error::TrySendError::Closed(_) => unavailable("the server is shutting down"),
        })?;
        answer.await.unwrap_or_else(|_| Err(unavailable("the server is shutting down")))
    }
}

struct WriterTask {
    config: StoreConfig,
    /// `None` after a failure of a whole group: the next connects anew. The lock is never waited for.
    connection: Option<Arc<Mutex<SqliteConnection>>>,
    observer: Arc<Observer>,
    limits: Arc<Limits>,
    aftermath: Aftermath,
    reactions: Reactions,
    waiting: mpsc::Receiver<Member>,
}

/// The members of one group that have run, and what their commit sets off.
#[derive(Default)]
struct Group {
    members: Vec<Member>,
    traces: Vec<Traces>,
}

impl WriterTask {
    async fn serve(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                member = self.waiting.recv() => member,
                () = stop.cancelled(), if !self.waiting.is_closed() => {
                    // Whoever waits is still served; nobody new comes.
                    self.waiting.close();
                    continue;
                }
            };
            match first {
                Some(first) => self.serve_group(first).await,
                None => break,
            }
        }
    }

    /// Runs a group and answers its members.
    async fn serve_group(&mut self, first: Member) {
        let mut group = Group::default();
        match self.run_group(first, &mut group).await {
            Ok(()) => {
                for traces in group.traces {
                    self.aftermath.committed(traces);
                }
                group.members.into_iter().for_each(|member| member.answer(Ok(())));
            }
            Err(error) => {
                tracing::warn!(%error, members = group.members.len(), "a group of writes was not committed");
                // Whether the engine has rolled back by itself is not to be known from here; a new connection is clean.
                self.connection = None;
                let error = outer_failure(error);
                group.members.into_iter().for_each(|member| member.answer(Err(error.clone())));
            }
        }
    }

    async fn run_group(&mut self, first: Member, group: &mut Group) -> Result<(), DbErr> {
        let shared = match self.begin() {
            Ok(shared) => Arc::new(shared),
            Err(error) => {
                // Those who wait would only wait as long again for the same answer.
                group.members.push(first);
                while let Ok(member) = self.waiting.try_recv() {
                    group.members.push(member);
                }
                return Err(error);
            }
        };
        let mut selection = Selection::new(&self.limits);
        let mut next = Some(first);
        while let Some(member) = next {
            if !member.abandoned() {
                self.run_member(&shared, member, group).await?;
            }
            next = selection.next(&mut self.waiting);
        }
        shared.write_head()?;
        for member in &group.members {
            self.observer.fault(member.name)?;
        }
        shared.control(&["COMMIT"])
    }

    fn begin(&mut self) -> Result<Shared, DbErr> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => self.connection.insert(Arc::new(Mutex::new(SqliteConnection::open(&self.config)?))),
        };
        let shared = Shared::new(Arc::clone(connection));
        shared.control(&["BEGIN IMMEDIATE"])?;
        Ok(shared)
    }

    /// Runs one member in its savepoint. An error is one of the whole group.
    async fn run_member(&self, shared: &Arc<Shared>, member: Member, group: &mut Group) -> Result<(), DbErr> {
        group.members.push(member);
        let member = group.members.last_mut().expect("it was pushed a line above");
        let (ctx, name) = (member.ctx.clone(), member.name);
        for number in 1.. {
            shared.open_with_next();
            let last = shared.last();
            let mut tx = Tx::new(
                Session::Group(Arc::clone(shared)),
                Arc::clone(&self.observer),
                Engine::Sqlite,
                self.reactions.clone(),
                ctx.clone(),
                name,
            );
            let verdict = member.attempt(&mut tx, &self.limits).await;
            let again = tx.wants_retry();
            drop(tx);
            // Without any statement there is no savepoint.
            let opened = shared.opened();
            match verdict {
                Verdict::Keep(traces) => {
                    group.traces.push(traces);
                    return if opened { shared.control(&["RELEASE member"]) } else { Ok(()) };
                }
                Verdict::Discard => {
                    if opened {
                        shared.control(&["ROLLBACK TO member", "RELEASE member"])?;
                    }
                    shared.set_last(last);
                    if !again || number >= self.limits.write_attempts {
                        return Ok(());
                    }
                    self.observer.retried(name);
                }
            }
        }
        Ok(())
    }
}

/// Starts a thread for the writer alone, since its statements block it; answers when it has ended.
///
/// # Errors
/// When the system has no thread to give.
pub(crate) fn on_a_thread_of_its_own(
    task: impl Future<Output = ()> + Send + 'static,
) -> Result<impl Future<Output = ()> + Send + 'static> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Error::internal)?;
    let (ended, end) = oneshot::channel::<()>();
    let run = move || {
        runtime.block_on(task);
        drop(ended);
    };
    std::thread::Builder::new().name("sqlite-writer".into()).spawn(run).map_err(Error::internal)?;
    Ok(async move {
        let _ = end.await;
    })
}

/// What the members of a group that failed as a whole are told: the reason, and that they may come again.
fn outer_failure(error: DbErr) -> Error {
    match to_error(error) {
        Error::Internal(text) => {
            tracing::error!(text, "a group of writes failed");
            unavailable("the change could not be stored; try again in a moment")
        }
        other => other,
    }
}

/// Decides who joins a group: whoever is waiting, newcomers for as long as the window is open, up to a number.
struct Selection {
    members_left: usize,
    window_closes: Instant,
    /// Once the window is closed: how many were waiting then.
    waiting_left: Option<usize>,
}

impl Selection {
    fn new(limits: &Limits) -> Self {
        Self {
            members_left: limits.group_members.saturating_sub(1),
            window_closes: Instant::now() + limits.group_window,
            waiting_left: None,
        }
    }

    fn next<T>(&mut self, waiting: &mut mpsc::Receiver<T>) -> Option<T> {
        self.members_left = self.members_left.checked_sub(1)?;
        if self.waiting_left.is_none() && Instant::now() >= self.window_closes {
            self.waiting_left = Some(waiting.len());
        }
        if let Some(left) = &mut self.waiting_left {
            *left = left.checked_sub(1)?;
        }
        waiting.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(group_members: usize, group_window: Duration) -> Limits {
        Limits { group_members, group_window, ..Limits::default() }
    }

    /// All that join behind the first, when each that joins brings a newcomer.
    fn joined(limits: &Limits, waiting_at_first: usize) -> usize {
        let (sender, mut waiting) = mpsc::channel(1_000);
        (0..waiting_at_first).for_each(|n| sender.try_send(n).expect("there is room"));
        let mut selection = Selection::new(limits);
        let mut joined = 0;
        while selection.next(&mut waiting).is_some() {
            joined += 1;
            sender.try_send(0).expect("there is room");
        }
        joined
    }

    #[test]
    fn a_group_has_a_limited_number_of_members() {
        assert_eq!(joined(&limits(100, Duration::from_secs(60)), 1), 99);
        assert_eq!(joined(&limits(1, Duration::from_secs(60)), 5), 0);
    }

    #[test]
    fn once_the_window_is_closed_only_those_who_were_waiting_join() {
        assert_eq!(joined(&limits(100, Duration::ZERO), 5), 5);
        assert_eq!(joined(&limits(100, Duration::ZERO), 0), 0);
    }
}
