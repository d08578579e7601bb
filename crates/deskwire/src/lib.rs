//! The server and its commands: configuration, start-up, shutdown, administration.
//!
//! The binary is a thin shell around this library, so that the end-to-end tests start the very same server.

pub mod admin;
pub mod cli;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod import;
pub mod serve;
pub mod sla;
pub mod telemetry;
