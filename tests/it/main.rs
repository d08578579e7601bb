//! End-to-end scenarios, through the public API of a real server, each on SQLite and on PostgreSQL.

mod attacks;
mod bad_strings;
mod company_life;
mod journey;
mod non_interference;
mod queues;
mod rights;
mod sdl;
mod shapes;
mod statements;
mod tenants;
