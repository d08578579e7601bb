//! A bare JSON endpoint: what HTTP alone costs on this machine, as a limit for what an API can reach.

use std::convert::Infallible;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;

/// The text that each answer holds.
pub const MARK: &str = "INC-1";

/// Answers every request with the same small ticket as JSON, serialised anew each time, until the process is ended.
///
/// # Errors
/// When the address is taken.
pub fn serve(address: &str) -> Result<()> {
    // As the server under test.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let served = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await;
                if let Err(error) = served {
                    eprintln!("bench: a connection to the bare endpoint broke: {error}");
                }
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // The body is read and parsed, as every API must.
    let asked = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let parsed: serde_json::Value = serde_json::from_slice(&asked).unwrap_or_default();
    let text = json!({ "data": { "incident": { "number": MARK, "title": "VPN drops", "asked": parsed.is_object() } } });
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
