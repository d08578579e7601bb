//! Tickets on both engines: assignment, comments, watchers, categories, what each role sees; and properties: predicates in SQL
//! and in memory, paging, idempotency, each against a model.

mod approval_paths;
mod approvals;
mod as_of;
mod assignment;
mod canned_responses;
mod categories;
mod comments;
mod company;
mod custom_fields;
mod idempotency;
mod links;
mod merges;
mod paging;
mod predicates;
mod probe;
mod replays;
mod saved_filters;
mod setup;
mod sight;
mod tasks;
mod templates;
mod watchers;
mod workflow_effects;
mod workflow_limits;
