//! One network connection: it may not sit idle, stall or fill up for ever.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::metrics::Counted;

/// A TCP stream that fails when the other side takes nothing for too long.
#[derive(Debug)]
pub struct TimedStream {
    inner: TcpStream,
    send_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    /// Wraps the stream.
    pub fn new(inner: TcpStream, send_timeout: Duration) -> Self {
        Self { inner, send_timeout, stalled: None }
    }

    fn watched<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timeout = self.send_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, data);
        self.watched(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watched(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watched(cx, result)
    }
}

/// What is held as long as a connection, or the socket it became, is open.
#[derive(Debug)]
pub struct Held {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Held {
    /// One place among the connections, counted.
    pub fn new(permit: OwnedSemaphorePermit, counted: Counted) -> Self {
        Self { _permit: permit, _counted: counted }
    }
}

/// The connection that a request came on: among the request's extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    activity: Arc<Activity>,
    request: u64,
    /// Kept by a socket after the connection was upgraded.
    pub held: Arc<Held>,
}

impl Peer {
    /// A request on a connection.
    pub fn new(address: SocketAddr, activity: Arc<Activity>, request: u64, held: Arc<Held>) -> Self {
        Self { address, activity, request, held }
    }

    /// The client's network address.
    pub fn address(&self) -> IpAddr {
        self.address.ip()
    }

    /// The request becomes a stream: it may last, as long as the returned value is kept.
    pub fn streaming(&self) -> Streaming {
        let mut state = self.activity.state();
        state.requests.remove(&self.request);
        state.streams += 1;
        Streaming(self.activity.clone())
    }
}

/// What is going on on a connection, in ticks of its watch.
#[derive(Debug, Default)]
pub struct Activity(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now: u64,
    next: u64,
    idle_since: u64,
    seen: bool,
    requests: HashMap<u64, u64>,
    streams: usize,
}

/// What the watch of a connection concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Fine,
    /// Nothing goes on, or something has gone on far too long.
    Over,
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> (u64, InFlight) {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.seen = true;
        let now = state.now;
        state.requests.insert(id, now);
        (id, InFlight { activity: self.clone(), id })
    }

    /// One tick later: `first` ticks without any request, `idle` ticks between requests, or one request for more
    /// than `longest` ticks end the connection.
    pub fn tick(&self, first: u64, idle: u64, longest: u64) -> Verdict {
        let mut state = self.state();
        state.now += 1;
        let now = state.now;
        let quiet = state.requests.is_empty() && state.streams == 0;
        if !quiet {
            state.idle_since = now;
        }
        let patience = if state.seen { idle } else { first };
        let too_quiet = quiet && now - state.idle_since >= patience;
        let too_long = state.requests.values().any(|begun| now - begun >= longest);
        if too_quiet || too_long { Verdict::Over } else { Verdict::Fine }
    }
}

/// A request whose answer is not sent yet.
#[derive(Debug)]
pub struct InFlight {
    activity: Arc<Activity>,
    id: u64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests.remove(&self.id);
        // Requests may be shorter than a tick: no tick has to see one.
        state.idle_since = state.now;
    }
}

/// A stream of answers that is open.
#[derive(Debug)]
pub struct Streaming(Arc<Activity>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.state().streams -= 1;
    }
}

/// A response's body that keeps its request in flight until it is sent.
#[derive(Debug)]
pub struct TrackedBody {
    inner: Body,
    in_flight: Option<InFlight>,
}

impl TrackedBody {
    /// Wraps the body.
    pub fn new(inner: Body, in_flight: InFlight) -> Self {
        Self { inner, in_flight: Some(in_flight) }
    }
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() {
            self.in_flight = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_request_is_over_soon() {
        let activity = Arc::new(Activity::default());
        assert_eq!(activity.tick(2, 5, 9), Verdict::Fine);
        assert_eq!(activity.tick(2, 5, 9), Verdict::Over);
    }

    #[test]
    fn between_requests_it_may_wait_longer() {
        let activity = Arc::new(Activity::default());
        let (_, request) = activity.begin();
        assert!((0..8).all(|_| activity.tick(2, 5, 9) == Verdict::Fine));
        drop(request);
        assert!((0..4).all(|_| activity.tick(2, 5, 9) == Verdict::Fine));
        assert_eq!(activity.tick(2, 5, 9), Verdict::Over);
    }

    #[test]
    fn requests_between_two_ticks_keep_it_open() {
        let activity = Arc::new(Activity::default());
        for _ in 0..100 {
            drop(activity.begin());
            assert_eq!(activity.tick(2, 5, 9), Verdict::Fine);
        }
    }

    #[test]
    fn a_request_that_never_ends_is_over_but_a_stream_is_not() {
        let activity = Arc::new(Activity::default());
        let (_, _request) = activity.begin();
        assert_eq!((0..9).map(|_| activity.tick(2, 5, 9)).reduce(|_, last| last), Some(Verdict::Over));

        let activity = Arc::new(Activity::default());
        let (id, _request) = activity.begin();
        activity.state().requests.remove(&id);
        activity.state().streams += 1;
        let stream = Streaming(activity.clone());
        assert!((0..100).all(|_| activity.tick(2, 5, 9) == Verdict::Fine));
        drop(stream);
        assert_eq!((0..5).map(|_| activity.tick(2, 5, 9)).reduce(|_, last| last), Some(Verdict::Over));
    }
}
