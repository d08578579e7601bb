//! The bytes of files, by links that need no credentials: `PUT /uploads/{link}` takes them, `GET /files/{link}` gives them out.
//!
//! What is given out is for saving, not for showing: whoever attached it may mean harm to whoever opens it beside our API.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use kernel::{Error, ErrorCode};

use super::Inner;
use super::connection::Peer;
use super::http::{discard, next_chunk, request_id};
use super::intake::{mark, refusal};

/// How much of a file that is refused is still taken, so that the client reads why.
const DISCARDED_BYTES: usize = 8 << 20;
/// Has a browser treat a file as nothing that may run.
const SANDBOX: &str = "sandbox; default-src 'none'";

/// A file that is given out.
pub struct Fetched {
    /// What it is called.
    pub file_name: String,
    /// Its media type.
    pub media_type: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// The bytes.
    pub body: BoxStream<'static, kernel::Result<Bytes>>,
}

/// Takes the bytes of an upload.
pub async fn receive<E>(State(door): State<Arc<Inner<E>>>, Path(link): Path<String>, request: Request<Body>) -> Response
where
    E: Send + Sync + 'static,
{
    let id = request_id(request.headers());
    let (parts, mut body) = request.into_parts();
    // A file takes longer than any other request; its own limits are kept below.
    let streaming = parts.extensions.get::<Peer>().map(Peer::streaming);
    let (tasks, receiving) = (door.tasks.clone(), door.clone());
    // In a task of its own: when the client goes away, what has arrived is given up in order.
    let received = tasks.spawn(async move {
        let result = take(&receiving, &link, &parts.headers, &mut body).await;
        if result.is_err() {
            discard(&mut body, DISCARDED_BYTES).await;
        }
        drop(streaming);
        result
    });
    let mut response = match received.await.unwrap_or_else(|error| Err(Error::internal(error))) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error, &id),
    };
    mark(&mut response, &id);
    response
}

async fn take<E>(door: &Inner<E>, link: &str, headers: &HeaderMap, body: &mut Body) -> kernel::Result<()>
where
    E: Send + Sync,
{
    if door.draining.is_cancelled() {
        return Err(Error::request(ErrorCode::Unavailable, "the server is shutting down; send it again"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Error::request(ErrorCode::UnsupportedMediaType, "the body must be the file as it is, not encoded"));
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let received = door.backend.receive(link, media_type, chunks(door, body));
    match tokio::time::timeout(door.limits.upload_timeout.duration(), received).await {
        Ok(result) => result,
        Err(_) => Err(Error::request(ErrorCode::BadRequest, "the file took too long to arrive")),
    }
}

/// The body, chunk by chunk; it ends with the first error.
fn chunks<'a, E>(door: &'a Inner<E>, body: &'a mut Body) -> BoxStream<'a, kernel::Result<Bytes>>
where
    E: Send + Sync,
{
    stream::unfold(Some(body), move |body| async move {
        let body = body?;
        match next_chunk(door, body).await.transpose()? {
            Ok(chunk) => Some((Ok(chunk), Some(body))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// Gives a file out.
pub async fn fetch<E>(State(door): State<Arc<Inner<E>>>, Path(link): Path<String>, request: Request<Body>) -> Response
where
    E: Send + Sync + 'static,
{
    let id = request_id(request.headers());
    let opening = door.backend.fetch(&link);
    let opened = match tokio::time::timeout(door.limits.request_deadline.duration(), opening).await {
        Ok(result) => result,
        Err(_) => Err(Error::request(ErrorCode::Unavailable, "the file could not be opened in time; try again")),
    };
    let mut response = match opened {
        Ok(fetched) => given_out(fetched, request.extensions().get::<Peer>()),
        Err(error) => refused(&error, &id),
    };
    mark(&mut response, &id);
    response
}

fn given_out(fetched: Fetched, peer: Option<&Peer>) -> Response {
    let (digest, length) = (STANDARD.encode(fetched.sha256), fetched.bytes);
    let named = disposition(&fetched.file_name);
    // A large file takes as long as it takes, while the client takes something of it.
    let body = stream::unfold((fetched.body, peer.map(Peer::streaming)), |(mut body, streaming)| async move {
        let chunk = body.next().await?.map_err(|error| std::io::Error::other(error.to_string()));
        Some((chunk, (body, streaming)))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &fetched.media_type);
    set(header::CONTENT_LENGTH, &length.to_string());
    set(header::CONTENT_DISPOSITION, &named);
    set(header::CONTENT_SECURITY_POLICY, SANDBOX);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("content-digest"), &format!("sha-256=:{digest}:"));
    response
}

/// `Content-Disposition` after RFC 6266: to be saved under this name, in ASCII for old clients and in full for all others.
fn disposition(file_name: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_graphic() && !"\"\\%".contains(sign) || sign == ' ' { sign } else { '_' };
    let ascii: String = file_name.chars().map(plain).collect();
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let mut full = String::new();
    for byte in file_name.bytes() {
        match kept(byte) {
            true => full.push(char::from(byte)),
            false => full.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{full}")
}

fn refused(error: &Error, request_id: &str) -> Response {
    let (status, body) = refusal(error, request_id);
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_under_its_name() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        assert_eq!(
            disposition("Größe\"\\%.pdf"),
            "attachment; filename=\"Gr__e___.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%22%5C%25.pdf"
        );
        assert!(HeaderValue::from_str(&disposition("x\r\nset-cookie: y")).is_ok(), "no name can end the header");
    }
}
