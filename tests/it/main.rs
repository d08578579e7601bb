//! End-to-end scenarios, through the public API of a real server, each on SQLite and on PostgreSQL.

mod company_life;
mod journey;
mod queues;
mod statements;
