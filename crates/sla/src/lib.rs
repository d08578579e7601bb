//! Service levels: what is promised for tickets, and clocks that are right and can say why.
//!
//! **Vocabulary.** A *calendar* says when time counts. A *policy* says for which tickets what is promised: *metrics* with *targets*,
//! when time *pauses*, and what happens on the way (*escalations*). A *clock* is one metric of one policy on one ticket.
//!
//! **Invariants.** A clock is a function of the ticket's events and of the versions of policies and calendars that hold for the ticket
//! ([`clock`]); what is stored of it can be computed anew. Versions never change. Clocks change in the transaction of what changed
//! them. An escalation fires once for a clock, never early.
//!
//! **Events**: [`events`]. **Permissions**: `settings.manage` keeps calendars and policies; clocks are seen with their tickets.

pub mod apply;
pub mod attainment;
pub mod clock;
pub mod commands;
pub mod escalation;
pub mod events;
pub mod explain;
pub mod fields;
pub mod model;
mod moment;
pub mod policy;
pub mod queries;
mod reaction;
pub mod regime;
mod replay;
pub mod segments;
pub mod service;
pub mod simulate;
pub mod stored;
pub mod verify;

mod tables;

pub use clock::{Clock, Moment, Summary, What};
pub use commands::{
    ActionDraft, CalendarRef, CreateCalendar, CreatePolicy, EscalationDraft, MetricDraft, PolicyDraft, PolicyRef,
    TargetDraft, UpdateCalendar, UpdatePolicy,
};
pub use model::{Cause, ClockState, Metric, Phase, PolicyKind};
pub use reaction::provisional_clocks;
pub use service::ServiceLevels;
pub use stored::StoredClock;
