//! The routes and who may use them.

use std::sync::Arc;

use async_graphql::Executor;
use axum::Router;
use axum::routing::{any, get, post, put};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Inner, files, graphiql, health, http as graphql, intake};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: it tells nothing of any tenant.
    Open,
    /// Anybody may knock; each field decides for itself, and without credentials only a few answer.
    PerField,
    /// Who has a token.
    Token,
    /// Who has a link, which is signed and short-lived.
    Link,
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its path, as the router has it.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// Every route there is.
pub const ROUTES: &[Route] = &[
    Route { path: "/", access: Access::Open },
    Route { path: "/graphiql", access: Access::Open },
    Route { path: "/graphiql/{file}", access: Access::Open },
    Route { path: "/files/{link}", access: Access::Link },
    Route { path: "/graphql", access: Access::PerField },
    Route { path: "/healthz", access: Access::Open },
    Route { path: "/intake/{form}", access: Access::Token },
    Route { path: "/metrics", access: Access::Open },
    Route { path: "/readyz", access: Access::Open },
    Route { path: "/schema.graphql", access: Access::Open },
    Route { path: "/uploads/{link}", access: Access::Link },
];

/// The response and request header that names a request.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The request header that asks for what an operation cost.
pub static WANTS_COST: HeaderName = HeaderName::from_static("x-deskwire-cost");

pub(super) fn router<E: Executor>(door: Arc<Inner<E>>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = match route.path {
            "/graphql" => router.route(route.path, any(graphql::graphql::<E>)),
            "/uploads/{link}" => router.route(route.path, put(files::receive::<E>)),
            "/files/{link}" => router.route(route.path, get(files::fetch::<E>)),
            "/intake/{form}" => router.route(route.path, post(intake::intake::<E>)),
            "/healthz" => router.route(route.path, get(health::healthz)),
            "/readyz" => router.route(route.path, get(health::readyz::<E>)),
            "/metrics" => router.route(route.path, get(health::metrics::<E>)),
            "/schema.graphql" => router.route(route.path, get(health::schema::<E>)),
            "/graphiql" if door.graphiql => router.route(route.path, get(graphiql::page)),
            "/graphiql/{file}" if door.graphiql => router.route(route.path, get(graphiql::file)),
            "/" if door.graphiql => router.route(route.path, get(graphiql::welcome)),
            _ => router,
        };
    }
    // A file is given out as it is, with its length and its digest.
    let is_no_file = |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        !headers.contains_key(header::CONTENT_DISPOSITION)
    };
    let compression = CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_no_file));
    let router = router.layer(compression);
    let router = match cors(&door.allowed_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.with_state(door)
}

/// Leave for other origins to call, if any is allowed; without it browsers keep to our own.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            REQUEST_ID.clone(),
            WANTS_COST.clone(),
        ])
        .expose_headers([REQUEST_ID.clone(), header::RETRY_AFTER])
        .max_age(std::time::Duration::from_secs(3_600));
    Some(layer)
}
