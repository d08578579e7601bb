//! Who you are and what you may see and do.
//!
//! **Vocabulary.** A *tenant* is one organisation's data; several share a database and know nothing of each other. An *actor* is
//! whoever acts in it: a *user* (signs in with e-mail address and password), a *service account* (a program, with API tokens),
//! or the *system* (Deskwire itself; its id is the tenant's). A *team* has members. A *role* grants permissions, each with a
//! scope: `OWN`, `TEAM` or `TENANT`. A role is given to an actor for all teams of theirs or for one; the one team bounds
//! its `TEAM` permissions and nothing else. A *session* is what signing in opens: a short access token and a refresh token that may be
//! used once. An *API token* carries its owner's rights, narrowed by its scopes, never widened.
//!
//! **Invariants.**
//! - [`Access::authenticate`] is the only way from a credential to a [`kernel::Ctx`], and it answers every credential that
//!   does not hold alike.
//! - A change of rights takes effect at once in this process and within [`IDENTITY_LIFETIME`] in all others.
//! - No secret is stored: passwords as argon2id, tokens as SHA-256. Nobody reads one twice.
//! - Nobody hands on more than they hold ([`rules::uncovered`]): not by a role, not by a token, not by taking over an account.
//! - A tenant keeps an active user with the role `administrator`.
//! - What one may not know of is answered like what does not exist ([`visibility`]).
//!
//! **Events**: [`events`]. **Permissions**: [`permission`]. **Records**: [`fields`].

mod attempts;
pub mod commands;
pub mod error;
pub mod events;
pub mod fields;
mod jwt;
mod managed;
pub mod model;
pub mod operation;
mod password;
pub mod permission;
mod queries;
mod reference;
mod refresh;
pub mod rules;
mod service;
mod tables;
mod token;
pub mod visibility;

pub use attempts::{ATTEMPT_WINDOW, MAX_ATTEMPTS};
pub use commands::{
    ApiTokenCreate, ListQuery, Membership, RoleInput, ServiceAccountCreate, SignIn, TeamCreate, TeamRef, TeamUpdate,
    TenantCreate, UserCreate, UserRef, UserUpdate,
};
pub use error::unauthenticated;
pub use fields::{ACTOR, RECORDS, ROLE, TEAM};
pub use managed::{Managed, of_key, of_type, read_back, reference, written_down};
pub use model::{Account, ApiToken, Changed, HeldRole, IssuedToken, SignedIn, Team, Tenant};
pub use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, PASSWORD_QUEUE, PASSWORD_WORKERS, PasswordCost};
pub use refresh::REFRESH_PREFIX;
pub use rules::NextManager;
pub use service::{
    ACCESS_TOKEN_LIFETIME, Access, CACHED_IDENTITIES, CACHED_VISIBILITIES, IDENTITY_LIFETIME, Named, SESSION_LIFETIME,
    SWEEP_SESSIONS, Session, Settings,
};
pub use token::{PERSONAL_PREFIX, SERVICE_PREFIX, Secret};
