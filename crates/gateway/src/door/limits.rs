//! Every limit of the doors: its name, what it bounds, its unit and its default.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time in whole milliseconds, as configuration gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milliseconds(pub u64);

impl From<Milliseconds> for Duration {
    fn from(value: Milliseconds) -> Self {
        Duration::from_millis(value.0)
    }
}

impl Milliseconds {
    /// The same span as a [`Duration`].
    pub fn duration(self) -> Duration {
        self.into()
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr,)*) => {
        /// Every limit of the doors. A configuration may set each; what it leaves out has its default.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits { $($(#[$doc])* pub $name: $type,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

limits! {
    /// Size of a request's body and of a WebSocket message, in bytes.
    body_bytes: usize = 1 << 20,
    /// Size of a document, in bytes.
    document_bytes: usize = 64 << 10,
    /// Tokens in a document.
    document_tokens: usize = 20_000,
    /// Operations in a document.
    document_operations: usize = 20,
    /// Fields of an operation, each fragment counted wherever it is spread.
    fields: u64 = 2_000,
    /// Fields, spreads and inline fragments of an operation, each fragment counted wherever it is spread.
    selections: u64 = 5_000,
    /// Fields inside one another.
    depth: u32 = 15,
    /// Selection sets and values inside one another, fragments included; bounds recursion.
    nesting: u32 = 100,
    /// Lists and objects inside one another in an argument, variables put in. Reading a deeper input would take more stack
    /// than a thread has.
    input_depth: u32 = 32,
    /// Aliases of an operation, each fragment counted wherever it is spread.
    aliases: u64 = 50,
    /// Root fields of a mutation.
    root_mutations: u64 = 10,
    /// Records on one page (`first`, `last`).
    page: u64 = 100,
    /// Records assumed for a page that gives neither `first` nor `last`.
    default_page: u64 = 20,
    /// Items assumed for a list that is not a page.
    list_items: u64 = 10,
    /// Cost of an operation: fields × page sizes.
    cost: u64 = 50_000,
    /// Cost of an introspection query, which has no depth limit: its fields × the schema's size.
    introspection_cost: u64 = 2_000_000,
    /// Requests and operations of one principal (without credentials: of one address), per second in the long run.
    requests_per_second: u64 = 100,
    /// Requests and operations of one principal at once, before `requests_per_second` holds.
    request_burst: u64 = 500,
    /// Principals whose rate is remembered.
    rate_entries: u64 = 100_000,
    /// Memory for checked documents, in bytes (an estimate).
    document_cache_bytes: u64 = 64 << 20,
    /// Open connections, sockets included.
    connections: usize = 10_000,
    /// Open WebSockets.
    sockets: usize = 5_000,
    /// Concurrent operations on one WebSocket.
    operations_per_socket: usize = 100,
    /// Results of one operation that wait for their turn on a socket or stream.
    operation_buffer: usize = 2,
    /// Length of an operation's id on a WebSocket, in bytes.
    operation_id_bytes: usize = 256,
    /// Concurrent streams on one HTTP/2 connection.
    http2_streams: u32 = 100,
    /// Size of a request's headers, in bytes.
    header_bytes: usize = 32 << 10,
    /// Length of a bearer token, in bytes.
    token_bytes: usize = 8 << 10,
    /// Time from the first byte of a request to the end of its headers, and of a new connection to its first request.
    header_timeout: Milliseconds = Milliseconds(10_000),
    /// Time without a byte of a body that is not complete.
    body_idle_timeout: Milliseconds = Milliseconds(15_000),
    /// Time for a whole body.
    body_timeout: Milliseconds = Milliseconds(60_000),
    /// Time for a whole file that is uploaded.
    upload_timeout: Milliseconds = Milliseconds(600_000),
    /// Time a connection may stay open between requests.
    idle_timeout: Milliseconds = Milliseconds(60_000),
    /// Time for one request or operation that is not a subscription.
    request_deadline: Milliseconds = Milliseconds(10_000),
    /// Time for a client to take what is sent to it. A second later its connection is dropped; a socket offers its goodbye
    /// meanwhile.
    send_timeout: Milliseconds = Milliseconds(10_000),
    /// Time for `connection_init` on a new socket.
    socket_init_timeout: Milliseconds = Milliseconds(5_000),
    /// Time between two pings of a socket; without a sign of life in between, it is dropped.
    ping_interval: Milliseconds = Milliseconds(15_000),
    /// Time between two keep-alive comments of an event stream.
    keep_alive_interval: Milliseconds = Milliseconds(12_000),
    /// Time between two checks of a long-lived connection's token.
    reauthentication_interval: Milliseconds = Milliseconds(2_000),
    /// Time after which an idle subscription tells how far it has come.
    bookmark_interval: Milliseconds = Milliseconds(20_000),
    /// Time between telling that we are not ready and accepting no more connections.
    drain_notice: Milliseconds = Milliseconds(500),
    /// Time for requests in flight to finish at shutdown.
    drain_timeout: Milliseconds = Milliseconds(30_000),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_promised_ones() {
        let limits = Limits::default();
        assert_eq!(
            (limits.body_bytes, limits.document_bytes, limits.fields, limits.depth, limits.aliases),
            (1_048_576, 65_536, 2_000, 15, 50)
        );
        assert_eq!((limits.root_mutations, limits.page), (10, 100));
        assert_eq!(
            [limits.request_deadline, limits.header_timeout, limits.body_idle_timeout, limits.socket_init_timeout]
                .map(|limit| limit.0),
            [10_000, 10_000, 15_000, 5_000]
        );
        assert_eq!((limits.send_timeout.0, limits.drain_timeout.0), (10_000, 30_000));
        assert!(limits.keep_alive_interval.0 <= 12_000 && limits.reauthentication_interval.0 <= 5_000);
        assert_eq!((crate::error::MAX_ERRORS, crate::error::MAX_ERROR_BYTES), (5, 1_024));
    }

    #[test]
    fn configuration_sets_some_and_mistakes_none() {
        let limits: Limits = serde_json::from_str(r#"{"depth": 7, "send_timeout": 50}"#).unwrap();
        assert_eq!((limits.depth, limits.send_timeout.duration()), (7, Duration::from_millis(50)));
        assert_eq!(limits.fields, Limits::default().fields);
        assert!(serde_json::from_str::<Limits>(r#"{"dept": 7}"#).is_err());
    }
}
