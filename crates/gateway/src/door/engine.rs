//! From a caller and what they ask for to an answer, the same for every transport.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::{Executor, Value};
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use kernel::{Ctx, ErrorCode};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::answer::Answer;
use super::document::OperationKind;
use super::gate::{Checked, Parameters};
use super::place::Place;
use super::rate::{Allowance, RateKey};
use super::{Inner, Principal, Viewer};

/// Who asks, as far as the door knows.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The principal; `None` without credentials.
    pub principal: Option<Principal>,
    /// Names the request.
    pub request_id: Arc<str>,
    /// The network address, if known.
    pub address: Option<IpAddr>,
    /// For subscriptions: the rights as they change.
    pub live: Option<watch::Receiver<Ctx>>,
    /// Whether the answer is to tell what it cost.
    pub wants_cost: bool,
    /// For subscriptions that may be shared: where this one stands.
    pub place: Option<Arc<Place>>,
}

impl Caller {
    fn rate_key(&self) -> RateKey {
        match (&self.principal, self.address) {
            (Some(principal), _) => RateKey::Principal(principal.ctx.tenant, principal.ctx.actor.id),
            (None, Some(address)) => RateKey::Address(address),
            (None, None) => RateKey::Unknown,
        }
    }

    fn viewer<E>(&self, door: &Inner<E>) -> Viewer {
        Viewer {
            ctx: self.principal.as_ref().map(|principal| principal.ctx.clone()),
            live: self.live.clone(),
            request_id: self.request_id.clone(),
            clock: door.clock.clone(),
            address: self.address,
            place: self.place.clone(),
        }
    }
}

/// An operation that may run, and what its answer is to tell about its cost.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The operation.
    pub checked: Checked,
    cost: Option<Value>,
}

/// Checks rate, document, variables and cost.
///
/// # Errors
/// The answer to give instead of running anything.
pub fn admit<E>(door: &Inner<E>, parameters: &Parameters, caller: &Caller) -> Result<Admitted, Box<Answer>> {
    // Taken before the document is looked at, so that refused documents count as well.
    let allowance = door.rates.take(caller.rate_key());
    if !allowance.passed {
        let message = format!("too many requests; come back in {} s", allowance.retry_after);
        let mut answer = Answer::refusal(ErrorCode::RateLimited, message, &caller.request_id);
        answer.retry_after = Some(allowance.retry_after);
        return Err(Box::new(answer));
    }
    match door.gate.check(parameters) {
        Ok(checked) => {
            let cost = caller.wants_cost.then(|| cost_extension(&checked, &allowance));
            Ok(Admitted { checked, cost })
        }
        Err(errors) => Err(Box::new(Answer::refused(errors, &caller.request_id))),
    }
}

fn cost_extension(checked: &Checked, allowance: &Allowance) -> Value {
    async_graphql::value!({
        "requested": checked.cost,
        "limit": checked.cost_limit,
        "remaining": allowance.remaining,
        "resetAt": allowance.reset_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    })
}

fn span(checked: &Checked, caller: &Caller) -> tracing::Span {
    tracing::info_span!(
        "graphql",
        request_id = %caller.request_id,
        operation = checked.name().unwrap_or(""),
        kind = checked.kind.as_str(),
    )
}

/// Runs a query or mutation to its end, within the deadline.
///
/// It runs in a task of its own: a panic becomes an answer; a query ends when nobody waits for it any more, and a
/// mutation does not.
pub async fn execute<E: Executor>(door: &Arc<Inner<E>>, admitted: Admitted, caller: &Caller) -> Answer {
    let Admitted { checked, cost } = admitted;
    let kind = checked.kind;
    let span = span(&checked, caller);
    let request = checked.into_request().data(caller.viewer(door));
    let executor = door.executor.clone();
    let started = door.clock.now();
    let task = door.tasks.spawn(async move { executor.execute(request).await }.instrument(span));
    let joined = if kind == OperationKind::Mutation {
        tokio::time::timeout(door.limits.request_deadline.duration(), task).await
    } else {
        tokio::time::timeout(door.limits.request_deadline.duration(), AbortOnDropHandle::new(task)).await
    };
    let request_id = &caller.request_id;
    let mut answer = match joined {
        Ok(Ok(response)) => Answer::executed(response, request_id),
        Ok(Err(failed)) => {
            tracing::error!(%request_id, error = %failed, "an operation panicked");
            Answer::panicked(request_id)
        }
        Err(_) => {
            let deadline = door.limits.request_deadline.0;
            let more = match kind {
                OperationKind::Mutation => "; it may still be carried out: ask again with the same idempotency key",
                _ => "",
            };
            Answer::refusal(
                ErrorCode::DeadlineExceeded,
                format!("the request took longer than its deadline of {deadline} ms{more}"),
                request_id,
            )
        }
    };
    let micros = (door.clock.now() - started).num_microseconds().unwrap_or(0).max(0);
    door.metrics.took(kind, micros as f64 / 1e6);
    if let Some(cost) = cost {
        answer.extensions.insert("cost".into(), cost);
    }
    answer
}

/// The answers of a subscription. A panic is its last.
pub fn subscribe<E: Executor>(door: &Arc<Inner<E>>, admitted: Admitted, caller: &Caller) -> BoxStream<'static, Answer> {
    let counted = super::metrics::Counted::new(&door.metrics.subscriptions);
    answers(door, admitted, caller).map(move |answer| (answer, &counted).0).boxed()
}

/// The same, not counted as a subscription of its own.
pub fn answers<E: Executor>(door: &Arc<Inner<E>>, admitted: Admitted, caller: &Caller) -> BoxStream<'static, Answer> {
    let Admitted { checked, mut cost } = admitted;
    let span = span(&checked, caller);
    let request = checked.into_request().data(caller.viewer(door));
    let request_id = caller.request_id.clone();
    let responses = {
        let _entered = span.enter();
        door.executor.execute_stream(request, None)
    };
    let guarded = AssertUnwindSafe(responses).catch_unwind();
    futures_util::stream::unfold(Some(guarded), move |state| {
        let (request_id, cost, span) = (request_id.clone(), cost.take(), span.clone());
        async move {
            let mut guarded = state?;
            match guarded.next().instrument(span).await? {
                Ok(response) => {
                    let mut answer = Answer::executed(response, &request_id);
                    if let Some(cost) = cost {
                        answer.extensions.insert("cost".into(), cost);
                    }
                    Some((answer, Some(guarded)))
                }
                Err(_) => {
                    tracing::error!(%request_id, "a subscription panicked");
                    Some((Answer::panicked(&request_id), None))
                }
            }
        }
    })
    .boxed()
}

/// Runs an operation of any kind and hands over each answer, in order; stops when `deliver` says so.
///
/// Used by the transports that stream. The future may be dropped at any time: queries and subscriptions end with it.
pub async fn run<E, F, D>(door: &Arc<Inner<E>>, admitted: Admitted, caller: &Caller, mut deliver: D)
where
    E: Executor,
    D: FnMut(Answer) -> F,
    F: Future<Output = bool>,
{
    if admitted.checked.kind != OperationKind::Subscription {
        let answer = execute(door, admitted, caller).await;
        deliver(answer).await;
        return;
    }
    let mut answers = subscribe(door, admitted, caller);
    while let Some(answer) = answers.next().await {
        if !deliver(answer).await {
            return;
        }
    }
}

/// Spawns a future that ends when the returned handle says so or by itself; shutdown waits for it.
pub fn spawn_abortable<E, F>(door: &Inner<E>, future: F) -> AbortHandle
where
    F: Future<Output = ()> + Send + 'static,
{
    let (handle, registration) = AbortHandle::new_pair();
    door.tasks.spawn(Abortable::new(future, registration).map(|_| ()));
    handle
}
