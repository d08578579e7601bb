//! The use cases of this crate on both engines: signing in, tokens, users and their roles, teams, tenants apart.

mod lists;
mod operations;
mod sessions;
mod setup;
mod teams;
mod tenants;
mod tokens;
mod users;
