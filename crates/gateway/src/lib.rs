//! GraphQL: all types, loaders, limits, HTTP, WebSocket and Server-Sent Events. The only crate that knows GraphQL.
//!
//! - [`door`]: how requests reach the schema; knows nothing of tickets.
//! - [`platform`]: the services behind the schema, put together.
//! - [`schema`]: the roots, merged; one module for each practice (`types`, `queries`, `mutations`).
//!
//! Objects hold a record as the viewer may read it; scalars are plain accessors; edges were joined when the selection asked
//! for them, or go through [`loaders`]. A resolver's body is a few lines: parse, call the domain, map.

// The arguments of derived interfaces repeat types and texts; the lint takes them for attributes given twice.
#![allow(clippy::duplicated_attributes)]

pub mod agreements;
pub mod approvals;
pub mod configuration;
pub mod connection;
pub mod context;
pub mod custom_fields;
pub mod door;
pub mod error;
pub mod files;
pub mod filters;
pub mod html;
pub mod incidents;
mod jobs;
pub mod loaders;
pub mod operations;
mod payload;
pub mod people;
pub mod platform;
pub mod problems;
pub mod scalars;
pub mod schema;
pub mod search;
pub mod service_levels;
pub mod tasks;
pub mod tickets;
pub mod time;
pub mod user_error;
pub mod workflows;
