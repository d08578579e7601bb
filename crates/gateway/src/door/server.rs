//! The server: connections within their cap and their timeouts, and a shutdown that loses nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Executor;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::connection::{Activity, Held, Peer, TimedStream, TrackedBody, Verdict};
use super::metrics::Counted;
use super::websocket::CLOSE_WAIT;
use super::{Inner, routes};

/// Said to a connection beyond the cap, before it is closed.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// A connection's watch ticks this often in the shortest of its timeouts.
const TICKS: u64 = 10;
/// How long accepting rests after an error such as too many open files.
const ACCEPT_REST: Duration = Duration::from_millis(50);

struct Server<E> {
    door: Arc<Inner<E>>,
    router: axum::Router,
    places: Arc<Semaphore>,
    /// No more requests on open connections.
    closing: CancellationToken,
}

pub(super) async fn serve<E: Executor>(
    door: Arc<Inner<E>>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let server = Arc::new(Server {
        router: routes::router(door.clone()),
        places: Arc::new(Semaphore::new(door.limits.connections)),
        closing: CancellationToken::new(),
        door: door.clone(),
    });
    accept_until(&server, &listener, shutdown.cancelled()).await;
    tracing::info!("draining");
    door.draining.cancel();
    // Load balancers look at /readyz: it keeps answering for a moment, with what it has to say.
    accept_until(&server, &listener, tokio::time::sleep(door.limits.drain_notice.duration())).await;
    drop(listener);
    server.closing.cancel();
    door.tasks.close();
    if tokio::time::timeout(door.limits.drain_timeout.duration(), door.tasks.wait()).await.is_err() {
        tracing::warn!(left = door.tasks.len(), "the time to drain is over");
        door.killed.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(1), door.tasks.wait()).await;
    }
    Ok(())
}

async fn accept_until<E: Executor>(server: &Arc<Server<E>>, listener: &TcpListener, end: impl Future<Output = ()>) {
    tokio::pin!(end);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut end => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => accept(server, stream, address),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

fn accept<E: Executor>(server: &Arc<Server<E>>, stream: TcpStream, address: SocketAddr) {
    let Ok(permit) = server.places.clone().try_acquire_owned() else {
        let _ = stream.try_write(FULL);
        return;
    };
    let held = Arc::new(Held::new(permit, Counted::new(&server.door.metrics.connections)));
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay");
    }
    let server = server.clone();
    let tasks = server.door.tasks.clone();
    tasks.spawn(async move { connection(&server, stream, address, held).await });
}

async fn connection<E: Executor>(server: &Server<E>, stream: TcpStream, address: SocketAddr, held: Arc<Held>) {
    let limits = &server.door.limits;
    let activity = Arc::new(Activity::default());
    let builder = builder(limits);
    let (router, tracked) = (server.router.clone(), activity.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, activity, held) = (router.clone(), tracked.clone(), held.clone());
        async move {
            let (id, in_flight) = activity.begin();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer::new(address, activity, id, held));
            let response: Response<Body> = router.oneshot(request).await?;
            Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, in_flight)))
        }
    });
    // A socket notices by itself that its client takes nothing; the time beyond is for its goodbye.
    let io = TokioIo::new(TimedStream::new(stream, limits.send_timeout.duration() + CLOSE_WAIT));
    let connection = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    let [first, idle] = [limits.header_timeout, limits.idle_timeout].map(|limit| limit.0.max(1));
    // A request's longest honest life: its body, its run, its answer.
    let longest = limits.body_timeout.0 + 2 * limits.request_deadline.0 + 2 * limits.send_timeout.0;
    let tick = (first.min(idle).min(longest) / TICKS).max(1);
    let ticks = |milliseconds: u64| milliseconds.div_ceil(tick);
    let mut watch = tokio::time::interval(Duration::from_millis(tick));
    watch.tick().await;
    let mut closing = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%address, %error, "a connection broke");
                }
                return;
            }
            () = server.closing.cancelled(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = server.door.killed.cancelled() => return,
            _ = watch.tick() => {
                if activity.tick(ticks(first), ticks(idle), ticks(longest)) == Verdict::Over {
                    tracing::debug!(%address, "a connection was idle or stalled");
                    return;
                }
            }
        }
    }
}

fn builder(limits: &super::Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper counts from the answer before: this is how long a connection may idle. The first request's header
        // has its own, shorter time, which the watch over the connection keeps.
        .header_read_timeout(limits.idle_timeout.duration().max(limits.header_timeout.duration()))
        .max_buf_size(limits.header_bytes.max(8 << 10))
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.ping_interval.duration())
        .keep_alive_timeout(limits.send_timeout.duration());
    builder
}
