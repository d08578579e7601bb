//! Service level management: what is required of a service, what has been agreed on it, whether the promises fit together, how well
//! they were kept, and what becomes better.
//!
//! **Vocabulary.** A *requirement* says what somebody needs of a service. An *agreement* binds promises (policies of service levels)
//! to services and to a party, for a time: a service level agreement with a customer, an operational level agreement with a team, an
//! underpinning contract with a supplier. Agreements with teams and suppliers *stand under* one with a customer. A *check* compares
//! what is promised with what stands under it ([`arithmetic`]). A *review* looks at a time that is over; an *improvement* is what is
//! to become better.
//!
//! **Invariants.** Once agreed, an agreement keeps its services, its policies, its party and its beginning; its end, its owner and what
//! stands under it can change. The figures of a review are those of the moment when it was made, and stay. Nothing here is deleted.
//! Every change is an event in the same transaction.
//!
//! **Events**: [`events`]. **Permissions**: `agreement.read`, `agreement.manage`.

pub mod arithmetic;
pub mod commands;
pub mod events;
pub mod fields;
pub mod model;
pub mod queries;
pub mod review;
pub mod rules;
pub mod service;

pub use arithmetic::{Check, Part};
pub use commands::*;
pub use fields::{AGREEMENT, ALL, IMPROVEMENT, REQUIREMENT, REVIEW, REVIEW_ACTION};
pub use model::{AgreementState, ImprovementState, RequirementState, ReviewState};
pub use review::Figure;
pub use service::Agreements;
