//! The small doors: alive, ready, metrics, the schema's text.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::Inner;

/// The process lives.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Requests can be served: not while draining, not without a database.
pub async fn readyz<E>(State(door): State<Arc<Inner<E>>>) -> Response
where
    E: Send + Sync + 'static,
{
    let unready = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response();
    if door.draining.is_cancelled() {
        return unready("draining".into());
    }
    match tokio::time::timeout(door.limits.request_deadline.duration(), door.backend.ready()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(reason)) => unready(reason),
        Err(_) => unready("the check took too long".into()),
    }
}

/// The doors' and the platform's counters.
pub async fn metrics<E>(State(door): State<Arc<Inner<E>>>) -> Response
where
    E: Send + Sync + 'static,
{
    let text = door.metrics.text() + &door.backend.metrics_text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The schema.
pub async fn schema<E>(State(door): State<Arc<Inner<E>>>) -> Response
where
    E: Send + Sync + 'static,
{
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], door.contract.sdl().to_owned()).into_response()
}
