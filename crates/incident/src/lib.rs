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
//! **Escalation** is functional (to the team of the next level of support) or hierarchical (up the line of managers of the team that has
//! the incident): `service/escalation.rs`. Levels only rise.
//!
//! **Alerts** open incidents, are counted on them and resolve them, as the tenant's rules of alerts say: see [`alert`]. At most one open
//! incident has a deduplication key; the database holds everybody to that.
//!
//! **Major incidents** are decided on, led, told of and looked back at: see [`major`].
//!
//! **Events**: `AlertsReceived`, `IncidentCreated`, `IncidentResolved`, `IncidentReopened`, those of major incidents (see [`events`]), and those of
//! tickets. **Permissions**: those of tickets, `alert.ingest`, `incident.manageMajor`.

pub mod alert;
pub mod commands;
pub mod events;
pub mod fields;
pub mod major;
pub mod model;
pub mod rules;
pub mod service;

pub use commands::{
    AlertRuleDraft, AlertRuleRef, CreateAlertRule, CreateIncident, EscalateIncident, UpdateAlertRule, UpdateIncident,
};
pub use fields::{ALERT, ALERT_RULE, ALL, INCIDENT};
pub use model::{EscalationType, IncidentOrigin};
pub use rules::IncidentRules;
pub use service::{AlertResult, Incidents, Ingested};
