//! Media types: which one a request body has, and which one the client wants back.

use http::{HeaderMap, header};

/// What an answer may be sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`.
    GraphqlResponse,
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    EventStream,
}

impl Media {
    /// The `Content-Type` of an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Media::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Media::Json => "application/json; charset=utf-8",
            Media::EventStream => "text/event-stream; charset=utf-8",
        }
    }
}

/// Which media types the client accepts, best first; empty when it accepts none of ours.
///
/// Without an `Accept` header, and for wildcards, `application/json`.
pub fn accepted(headers: &HeaderMap) -> Vec<Media> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return vec![Media::Json];
    }
    let mut found: Vec<(u32, Media)> = Vec::new();
    for value in values {
        for range in value.to_str().unwrap_or("").split(',') {
            if let Some((media, quality)) = media_range(range)
                && quality > 0
                && !found.iter().any(|(_, known)| *known == media)
            {
                found.push((quality, media));
            }
        }
    }
    // Stable: among equals the client's order holds.
    found.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    found.into_iter().map(|(_, media)| media).collect()
}

/// A media range and its quality in thousandths.
fn media_range(range: &str) -> Option<(Media, u32)> {
    let mut parts = range.split(';').map(str::trim);
    let media = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/graphql-response+json" => Media::GraphqlResponse,
        "application/json" | "application/*" | "*/*" => Media::Json,
        "text/event-stream" => Media::EventStream,
        _ => return None,
    };
    let mut quality = 1_000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => quality = (value.parse::<f32>().ok()?.clamp(0.0, 1.0) * 1_000.0) as u32,
            "charset" if !value.eq_ignore_ascii_case("utf-8") => return None,
            _ => {}
        }
    }
    Some((media, quality))
}

/// Whether a request's body is JSON in UTF-8, and nothing else.
pub fn is_json_body(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return false;
    }
    parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Vec<Media> {
        accepted(&HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]))
    }

    #[test]
    fn the_best_comes_first() {
        assert_eq!(accepted(&HeaderMap::new()), [Media::Json]);
        assert_eq!(accept("*/*"), [Media::Json]);
        assert_eq!(accept("text/html"), []);
        assert_eq!(
            accept("application/json;q=0.9, application/graphql-response+json; charset=utf-8"),
            [Media::GraphqlResponse, Media::Json]
        );
        assert_eq!(accept("application/json, application/graphql-response+json")[0], Media::Json);
        assert_eq!(accept("text/event-stream"), [Media::EventStream]);
        assert_eq!(accept("application/json;q=0"), []);
        assert_eq!(accept("application/json; charset=latin1"), []);
    }

    #[test]
    fn only_json_is_json() {
        let is = |value: &str| is_json_body(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]));
        assert!(
            is("application/json") && is("Application/JSON; charset=UTF-8") && is("application/json;charset=\"utf-8\"")
        );
        for other in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/graphql",
            "application/json; charset=utf-16",
            "application/jsonp",
            "",
        ] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_json_body(&HeaderMap::new()));
    }
}
