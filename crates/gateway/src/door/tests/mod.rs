//! The doors against real clients: TCP, HTTP, WebSocket, Server-Sent Events.

mod doors_test;
mod gate_test;
mod http_test;
mod server;
mod server_test;
mod sse_test;
mod toy;
mod websocket_test;
