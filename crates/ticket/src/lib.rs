//! The work item that every practice shares: number, state and workflow, assignment, priority, comments, watchers, history.
//!
//! A ticket is one row of the shared table plus one row of its kind's extension (`incident`, …). This crate owns all that
//! holds for any kind; a practice adds its own fields, its workflow document and its rules through [`KindRules`], so that
//! `ticketTransition` and `incidentResolve` are one path.
//!
//! **Invariants.** An assignee is a member of the ticket's team. A ticket in a `WAITING` state has a waiting reason, one in any
//! other has none. `version` rises by one with each change to the ticket's own fields, and with nothing else. Every change
//! is an event in the same transaction. There is no finder here that is not scoped to what the viewer may see.
//!
//! **Events**: see [`events`]. **Permissions**: `ticket.read`, `ticket.internal`, `ticket.create`, `ticket.createOnBehalf`,
//! `ticket.update`, `ticket.assign`, `ticket.transition`, `ticket.reopen`, `ticket.cancel`, `ticket.comment`,
//! `ticket.overridePriority`, `time.record`, `time.manage`, `cost.read`, `rate.read`, `rate.manage`, `approval.start`, `approval.decideOnBehalf`, `filter.share`, `template.read`, `template.manage`, `settings.manage`.

pub mod affected;
pub mod approval;
pub mod as_of;
pub mod assignment;
pub mod attachment;
pub mod bulk;
pub mod canned_response;
pub mod category;
pub mod commands;
pub mod comment;
pub mod custom_field;
pub mod document;
pub mod draft;
pub mod edit;
pub mod error;
pub mod events;
pub mod fields;
pub mod highlight;
pub mod import;
pub mod kind;
pub mod likeness;
pub mod link;
pub mod merge;
pub mod model;
pub mod number;
pub mod plan;
pub mod priority;
pub mod queries;
pub mod recurrence;
pub mod recurring;
pub mod saved_filter;
pub mod search;
pub mod service;
pub mod statistics;
pub mod task;
pub mod template;
pub mod time;
pub mod timer;
pub mod transfer;
pub mod transition;
pub mod watch;
pub mod workflow;

mod tables;

pub use affected::AffectedItems;
pub use commands::*;
pub use draft::{TicketDraft, TicketPatch};
pub use edit::Edit;
pub use kind::{KindRules, Opening};
pub use model::*;
pub use plan::{ApplyPlan, PlanOutcome, PlannedTask};
pub use queries::TicketRef;
pub use service::{Outcome, Tickets};
pub use task::{CreateTask, TaskDraft, TaskRules, UpdateTask};
pub use workflow::{State, Transition, Workflow};
