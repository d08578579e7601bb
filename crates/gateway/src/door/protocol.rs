//! The words of graphql-transport-ws: messages and close codes.

use apollo_compiler::response::{JsonMap, JsonValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Answer;
use super::gate::Parameters;

/// The subprotocol's name.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";
/// The longest reason that fits into a close frame, in bytes.
pub const MAX_REASON_BYTES: usize = 123;

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// A message is too large.
    TooLarge = 1009,
    /// The server restarts: connect again.
    Restart = 1012,
    /// Come back later; the client takes nothing.
    TryAgainLater = 1013,
    /// A message that is not of the protocol.
    BadRequest = 4400,
    /// An operation before the connection was initialised, or credentials that hold no more.
    Unauthorized = 4401,
    /// Credentials that do not hold.
    Forbidden = 4403,
    /// No `connection_init` in time.
    InitTimeout = 4408,
    /// An operation's id that is in use.
    SubscriberExists = 4409,
    /// A second `connection_init`.
    TooManyInits = 4429,
}

/// A message from the client.
#[derive(Debug)]
pub enum ClientMessage {
    /// Opens the connection, with credentials or without.
    Init {
        /// The `authorization` of the payload, any letter case of the key.
        authorization: Option<String>,
    },
    /// Asks for a `pong`.
    Ping(Option<Box<RawValue>>),
    /// Answers a `ping`.
    Pong,
    /// Starts an operation.
    Subscribe {
        /// Its id.
        id: String,
        /// The operation.
        parameters: Box<Parameters>,
    },
    /// Ends an operation.
    Complete {
        /// Its id.
        id: String,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
}

impl ClientMessage {
    /// Reads a text message.
    ///
    /// # Errors
    /// The reason for closing with 4400.
    pub fn parse(text: &str, id_bytes: usize) -> Result<Self, &'static str> {
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| "a message must be JSON with a `type`")?;
        let object = || -> Result<Option<JsonMap>, &'static str> {
            match envelope.payload {
                None => Ok(None),
                Some(raw) => serde_json::from_str(raw.get()).map_err(|_| "the `payload` must be an object"),
            }
        };
        let id = || match &envelope.id {
            Some(id) if !id.is_empty() && id.len() <= id_bytes => Ok(id.clone()),
            _ => Err("the message needs an `id` of a sensible length"),
        };
        match envelope.r#type.as_str() {
            "connection_init" => Ok(Self::Init { authorization: authorization(object()?)? }),
            "ping" => object().map(|payload| Self::Ping(payload.and(envelope.payload).map(ToOwned::to_owned))),
            "pong" => object().map(|_| Self::Pong),
            "complete" => Ok(Self::Complete { id: id()? }),
            "subscribe" => {
                let raw = envelope.payload.ok_or("`subscribe` needs a `payload`")?;
                let parameters = serde_json::from_str(raw.get()).map_err(
                    |_| "the `payload` must have `query`, and may have `operationName`, `variables`, `extensions`",
                )?;
                Ok(Self::Subscribe { id: id()?, parameters })
            }
            _ => Err("a message of an unknown `type`"),
        }
    }
}

fn authorization(payload: Option<JsonMap>) -> Result<Option<String>, &'static str> {
    let Some(payload) = payload else {
        return Ok(None);
    };
    let mut found = payload.iter().filter(|(key, _)| key.as_str().eq_ignore_ascii_case("authorization"));
    match (found.next(), found.next()) {
        (None | Some((_, JsonValue::Null)), None) => Ok(None),
        (Some((_, JsonValue::String(text))), None) => Ok(Some(text.as_str().to_owned())),
        _ => Err("the `authorization` must be one text"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `connection_ack`.
pub fn ack() -> String {
    r#"{"type":"connection_ack"}"#.into()
}

/// `pong`, with the payload of the ping that it answers.
pub fn pong(payload: Option<Box<RawValue>>) -> String {
    match payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#),
        None => r#"{"type":"pong"}"#.into(),
    }
}

/// `next`, or `error` when nothing was executed.
pub fn result(id: &str, answer: &Answer) -> String {
    if answer.data.is_none() && !answer.errors.is_empty() {
        return format!(r#"{{"id":{},"type":"error","payload":{}}}"#, quoted(id), answer.errors_json());
    }
    next(id, &String::from_utf8_lossy(&answer.to_json()))
}

/// `next`, with an answer as JSON.
pub fn next(id: &str, payload: &str) -> String {
    format!(r#"{{"id":{},"type":"next","payload":{payload}}}"#, quoted(id))
}

/// `complete`.
pub fn complete(id: &str) -> String {
    format!(r#"{{"id":{},"type":"complete"}}"#, quoted(id))
}

/// A reason that fits into a close frame.
pub fn reason(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_REASON_BYTES)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientMessage, &'static str> {
        ClientMessage::parse(text, 8)
    }

    #[test]
    fn credentials_in_any_letter_case() {
        for key in ["authorization", "Authorization", "AUTHORIZATION"] {
            let text = format!(r#"{{"type":"connection_init","payload":{{"{key}":"Bearer x"}}}}"#);
            assert!(
                matches!(parse(&text), Ok(ClientMessage::Init { authorization: Some(value) }) if value == "Bearer x")
            );
        }
        for text in [
            r#"{"type":"connection_init"}"#,
            r#"{"type":"connection_init","payload":null}"#,
            r#"{"type":"connection_init","payload":{}}"#,
        ] {
            assert!(matches!(parse(text), Ok(ClientMessage::Init { authorization: None })), "{text}");
        }
    }

    #[test]
    fn what_is_not_of_the_protocol() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"start"}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"connection_init","payload":{"authorization":1}}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"123456789","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":7,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":7}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":"x"}}"#,
            r#"{"type":"complete"}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reasons_fit_into_a_frame() {
        assert_eq!(reason("short"), "short");
        assert_eq!(reason(&"ü".repeat(100)).len(), 122);
    }

    #[test]
    fn ids_are_quoted() {
        assert_eq!(complete("a\"b"), r#"{"id":"a\"b","type":"complete"}"#);
    }
}
