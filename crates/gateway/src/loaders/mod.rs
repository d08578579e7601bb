//! Batches: what many resolvers of one answer ask for, read by one statement, as far as the viewer may see it.
//!
//! Keys are collected until no resolver can go on without an answer ([`Turns`]), then read together: what is in a batch depends on
//! the document alone, never on the clock. Nothing is kept beyond that, so an answer shows what was committed when its parts
//! were read.

mod approvals;
mod batch;
mod comments;
mod configuration;
mod incidents;
mod people;
mod problems;
mod service_levels;
mod templates;
mod tickets;
mod time;
mod turns;

pub use self::configuration::{configuration_item, relations, service, ticket_items};
pub use approvals::{approval, approval_steps, approval_votes, approvals};
pub use batch::Loaders;
pub use comments::{attachment, attachments, comment, comment_attachments, comment_revisions, comments, mentions};
pub use incidents::{
    alert, alert_rule, major_action, major_actions, major_review, status_update, status_updates, timeline_events,
    timeline_note, timeline_notes,
};
pub use people::{actor, members, roles_of, team, teams, teams_of};
pub use problems::{affected_users, detection_rule, incident_work, incidents_of, problems_of};
pub use service_levels::{agreement, calendar, review, review_actions, sla_clocks, sla_policy};
pub use templates::{recurring_runs, recurring_ticket, ticket_template};
pub use tickets::{category, dependencies, external_refs, filter_count, links, merges, tasks, ticket, watchers};
pub use time::{currency, labour_rate, time_entries, time_entry};
pub use turns::Turns;
