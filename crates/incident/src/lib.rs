//! Incident management: an unplanned interruption of a service, from its report to its closure.
//!
//! ```text
//!            assign          start
//!   new ───────────▶ assigned ─────▶ in_progress ◀──── reopen ───┐
//!    │                  │               │   ▲                     │
//!    │       hold       │     hold      │   │ resume              │
//!    ├──────────────────┴───────────────┴▶ on_hold                │
//!    │                                       │                    │
//!    └── resolve (from each of the four) ────┴──────▶ resolved ───┤
//!    └── cancel  (from each of the four) ──▶ canceled             └─ close ─▶ closed
//! ```
//!
//! **Invariants.** A resolved or closed incident has a resolution code and notes. A resolved incident closes by itself five days
//! later, unless its requester has commented since. All else is true of any ticket: see the crate `ticket`.
//!
//! **Events**: `IncidentCreated`, `IncidentResolved`, `IncidentReopened`, and those of tickets. **Permissions**: those of tickets.

pub mod commands;
pub mod events;
pub mod fields;
pub mod model;
pub mod rules;
pub mod service;

pub use commands::{CreateIncident, UpdateIncident};
pub use fields::INCIDENT;
pub use model::IncidentOrigin;
pub use rules::IncidentRules;
pub use service::Incidents;
