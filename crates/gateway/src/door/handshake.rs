//! The WebSocket handshake: what may become a graphql-transport-ws socket.

use std::sync::Arc;

use async_graphql::Executor;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use kernel::ErrorCode;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::Answer;
use super::connection::Peer;
use super::protocol::SUBPROTOCOL;
use super::{Inner, http as door_http, websocket};

/// Whether the request wants to become a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The handshake: refuses what is not a graphql-transport-ws socket of an allowed origin.
pub fn upgrade<E: Executor>(door: Arc<Inner<E>>, mut request: Request<Body>, request_id: Arc<str>) -> Response {
    let refuse = |status: StatusCode, code: ErrorCode, message: &str| {
        let answer = Answer::refusal(code, message, &request_id);
        door.metrics.answered("websocket", None, &answer);
        (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], answer.to_json()).into_response()
    };
    let headers = request.headers();
    let unavailable = |message| refuse(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message);
    if door.draining.is_cancelled() {
        return unavailable("the server is shutting down; connect again");
    }
    if !origin_allowed(headers, request.uri(), &door.allowed_origins) {
        return refuse(StatusCode::FORBIDDEN, ErrorCode::Forbidden, "this origin may not connect");
    }
    if !has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        let message = "the WebSocket subprotocol must be graphql-transport-ws";
        return refuse(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message);
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (true, true, Some(accept)) = (has_token(headers, header::CONNECTION, "upgrade"), version, key) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            ErrorCode::BadRequest,
            "this is not a WebSocket handshake of version 13",
        );
    };
    let handshake_token = match door_http::bearer(&door, headers) {
        Ok(token) => token,
        Err(error) => {
            return refuse(StatusCode::UNAUTHORIZED, ErrorCode::Unauthenticated, &error.to_string());
        }
    };
    let Ok(place) = door.sockets.clone().try_acquire_owned() else {
        return unavailable("there are too many open sockets; come back later");
    };
    let peer = request.extensions().get::<Peer>().cloned();
    let on_upgrade = hyper::upgrade::on(&mut request);
    let tasks = door.tasks.clone();
    tasks.spawn(websocket::open(door, on_upgrade, peer, place, handshake_token, request_id));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Whether a browser's page may connect: one of our own origin, or of the list. Programs send no origin.
fn origin_allowed(headers: &HeaderMap, uri: &http::Uri, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return true,
        (Some(origin), None) => origin.to_str().unwrap_or(""),
        _ => return false,
    };
    if allowed.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host =
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|host| host.as_str()));
    // TLS may end in front of us: the scheme does not tell, host and port do.
    let own = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    matches!((own, host), (Some(own), Some(host)) if own.eq_ignore_ascii_case(host))
}
