//! GraphiQL from inside the binary: nothing is fetched from elsewhere, and the page may not.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};

/// What the page may load and call: its own origin. GraphiQL's menus write style elements, its fonts are `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and bytes of each file.
const FILES: &[(&str, &str, &[u8])] = &[
    ("react.production.min.js", JAVASCRIPT, include_bytes!("../../assets/graphiql/react.production.min.js")),
    ("react-dom.production.min.js", JAVASCRIPT, include_bytes!("../../assets/graphiql/react-dom.production.min.js")),
    ("graphiql.min.js", JAVASCRIPT, include_bytes!("../../assets/graphiql/graphiql.min.js")),
    ("graphql-ws.min.js", JAVASCRIPT, include_bytes!("../../assets/graphiql/graphql-ws.min.js")),
    ("deskwire.js", JAVASCRIPT, include_bytes!("../../assets/graphiql/deskwire.js")),
    ("graphiql.min.css", "text/css; charset=utf-8", include_bytes!("../../assets/graphiql/graphiql.min.css")),
    ("deskwire.css", "text/css; charset=utf-8", include_bytes!("../../assets/graphiql/deskwire.css")),
];

/// The page.
pub async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, include_str!("../../assets/graphiql/index.html")).into_response()
}

/// One of its files.
pub async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, media, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, *media),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::CACHE_CONTROL, "public, max-age=3600"),
            ];
            (headers, *bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The front page.
pub async fn welcome() -> Redirect {
    Redirect::to("/graphiql")
}
