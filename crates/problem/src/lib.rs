//! Problem management: the cause, or a possible cause, of incidents, from its suspicion to its end.
//!
//! ```text
//!         assess          analyze                      fix                       resolve            close
//!   new ─────────▶ assess ───────▶ root_cause_analysis ───▶ fix_in_progress ◀─────────▶ resolved ─────────▶ closed
//!                    │                      │                      │        reopen                             ▲
//!                    │ dismiss              └──── accept_risk ─────┘                                           │
//!                    └───────────────────────────────┴─────────────────────────────────────────────────────────┘
//! ```
//!
//! **Vocabulary.** A *workaround* helps those affected before the cause is gone; *publishing* it has it said on the incidents. A *known
//! error* is a problem that is understood well enough to be recognised: a flag and a record (symptom, root cause, workaround), not a
//! state. Whoever *accepts the risk* closes the problem unfixed, until a date at which that is looked at again.
//!
//! **Invariants.** `FIXED` resolves; `RISK_ACCEPTED`, `DUPLICATE` and `CANCELED` close without a fix, the first with the date of its
//! review. A known error has a symptom, and a root cause or a workaround. An incident is caused by a problem where a link `CAUSED_BY`
//! leads from the one to the other. At most one open problem stands for a rule of detection and what it found; the database holds
//! everybody to that.
//!
//! This crate knows tickets only. What a problem brings about on incidents is in the crate `reactions`.
//!
//! **Events**: [`events`]. **Permissions**: those of tickets, and `problem.manage`.

pub mod commands;
pub mod detection;
pub mod events;
pub mod fields;
pub mod model;
pub mod queries;
pub mod review;
pub mod rules;
pub mod service;

pub use commands::{
    CreateDetectionRule, CreateProblem, DetectionDraft, DetectionRuleRef, Incidents, LinkIncidents,
    UpdateDetectionRule, UpdateProblem,
};
pub use fields::{ALL, DETECTION_RULE, PROBLEM, WORKAROUND_POST};
pub use model::ProblemOrigin;
pub use rules::ProblemRules;
pub use service::{DetectionRule, LinkOutcome, LinkRefusal, LinkedIncident, LinkedIncidents, Problems, Simulated};
