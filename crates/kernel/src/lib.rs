//! The vocabulary that every other crate speaks: ids, time, the request context, errors, pages, patches and amounts of money.
//!
//! Nothing here does I/O. The only places in the product that read the system clock or the
//! operating system's random source are [`clock`] and [`random`]; everything else is handed a
//! [`Clock`] and asks [`random`] for ids and secrets, so that tests can be deterministic.

pub mod clock;
pub mod ctx;
pub mod error;
pub mod id;
pub mod money;
pub mod page;
pub mod patch;
pub mod random;
mod words;

pub use clock::{Clock, ManualClock, Timestamp, format_duration, parse_duration};
pub use ctx::{Actor, ActorKind, Channel, Ctx, Grant, Grants, Mutation, Scope};
pub use error::{Detail, Error, ErrorCode, RefusedTransition, Result, UserError};
pub use id::{Id, IdError};
pub use page::{Page, PageArguments, PageDirection};
pub use patch::Patch;
pub use uuid::Uuid;
