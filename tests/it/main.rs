//! End-to-end scenarios, through the public API of a real server, each on SQLite and on PostgreSQL.

mod access_matrix;
mod attacks;
mod bad_strings;
mod company_life;
mod configuration;
mod doors;
mod examples;
mod idempotency;
mod import;
mod jobs;
mod journey;
mod lifecycle;
mod links;
mod non_interference;
mod queues;
mod replicas;
mod revocation;
mod rust_client;
mod sdl;
mod shapes;
mod statements;
mod statistics;
mod tasks;
mod tenants;
mod workflows;
