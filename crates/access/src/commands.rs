//! What can be asked of this crate, and the bounds of everything that comes from outside.

use kernel::{Id, Patch, Result, Timestamp, UserError, Uuid};
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use store::query::OrderTerm;

/// The longest name of a user, team, tenant, service account or token, in characters.
pub const MAX_NAME: usize = 200;
/// The longest e-mail address, in bytes.
pub const MAX_EMAIL: usize = 254;
/// The longest slug, in bytes.
pub const MAX_SLUG: usize = 63;
/// The longest description of a team, in characters.
pub const MAX_DESCRIPTION: usize = 10_000;
/// The longest URL of a picture, in bytes.
pub const MAX_URL: usize = 2_048;
/// The longest name of a time zone, in bytes.
pub const MAX_TIME_ZONE: usize = 64;
/// How many roles one actor may have.
pub const MAX_ROLES: usize = 50;
/// How many API tokens of one actor may be alive.
pub const MAX_TOKENS: usize = 50;
/// How many scopes one token may have.
pub const MAX_SCOPES: usize = 50;
/// How many members one team may have.
pub const MAX_MEMBERS: u64 = 1_000;
/// How many managers may stand above one user.
pub const MAX_MANAGERS: usize = 50;
/// How many teams may stand above one team, each the next level of support of the one below.
pub const MAX_ESCALATION_TEAMS: usize = 10;
/// How many members of each team one batch read answers.
pub const MAX_MEMBERS_READ: u32 = 100;

/// Points at a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UserRef {
    /// By id.
    Id(Id),
    /// By e-mail address, without regard to case. Found by whoever may read the address.
    Email(String),
}

/// Points at a team.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TeamRef {
    /// By id.
    Id(Id),
    /// By slug.
    Slug(String),
}

/// A role to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleInput {
    /// The role's key, such as `agent`.
    pub role: String,
    /// The one team it is given for; `None`: for all teams of the actor.
    pub team: Option<TeamRef>,
}

/// Make a tenant.
#[derive(Clone, Debug)]
pub struct TenantCreate {
    /// Names it; unique in the installation.
    pub slug: String,
    /// Its name, for people.
    pub name: String,
}

/// Make a user.
#[derive(Clone, Debug, Default)]
pub struct UserCreate {
    /// The address; unique in the tenant.
    pub email: String,
    /// The name, for people.
    pub name: String,
    /// `None`: the user cannot sign in with a password.
    pub password: Option<String>,
    /// Where the picture is.
    pub avatar_url: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// What the user may do.
    pub roles: Vec<RoleInput>,
    /// Who manages the user.
    pub manager: Option<UserRef>,
}

/// Change a user or a service account. Fields that cannot be absent refuse to be cleared.
#[derive(Clone, Debug)]
pub struct UserUpdate {
    /// Which.
    pub user: UserRef,
    /// The name, for people.
    pub name: Patch<String>,
    /// The address; unique in the tenant.
    pub email: Patch<String>,
    /// Where the picture is.
    pub avatar_url: Patch<String>,
    /// IANA name.
    pub time_zone: Patch<String>,
    /// Whether the user may sign in.
    pub active: Patch<bool>,
    /// A new password; clearing it leaves the user without one. Ends all sessions of the user but the one that asks.
    pub password: Patch<String>,
    /// The password so far: needed to change one's own.
    pub current_password: Option<String>,
    /// All roles, replacing those so far.
    pub roles: Patch<Vec<RoleInput>>,
    /// Who manages the user.
    pub manager: Patch<UserRef>,
    /// Refuse when the user has another version.
    pub expected_version: Option<i32>,
}

impl UserUpdate {
    /// Changes nothing yet.
    pub fn of(user: UserRef) -> Self {
        Self {
            user,
            name: Patch::Keep,
            email: Patch::Keep,
            avatar_url: Patch::Keep,
            time_zone: Patch::Keep,
            active: Patch::Keep,
            password: Patch::Keep,
            current_password: None,
            roles: Patch::Keep,
            manager: Patch::Keep,
            expected_version: None,
        }
    }
}

/// Make a team.
#[derive(Clone, Debug, Default)]
pub struct TeamCreate {
    /// Names it in inputs; unique in the tenant.
    pub slug: String,
    /// Its name, for people.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The team of the next level of support.
    pub escalation_team: Option<TeamRef>,
    /// Who manages the team.
    pub manager: Option<UserRef>,
}

/// Change a team. Fields that cannot be absent refuse to be cleared.
#[derive(Clone, Debug)]
pub struct TeamUpdate {
    /// Which.
    pub team: TeamRef,
    /// Names it in inputs; unique in the tenant.
    pub slug: Patch<String>,
    /// Its name, for people.
    pub name: Patch<String>,
    /// What it does.
    pub description: Patch<String>,
    /// The team of the next level of support.
    pub escalation_team: Patch<TeamRef>,
    /// Who manages the team.
    pub manager: Patch<UserRef>,
    /// Refuse when the team has another version.
    pub expected_version: Option<i32>,
}

impl TeamUpdate {
    /// Changes nothing yet.
    pub fn of(team: TeamRef) -> Self {
        Self {
            team,
            slug: Patch::Keep,
            name: Patch::Keep,
            description: Patch::Keep,
            escalation_team: Patch::Keep,
            manager: Patch::Keep,
            expected_version: None,
        }
    }
}

/// Add a user to a team, or remove one.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The team.
    pub team: TeamRef,
    /// The user.
    pub user: UserRef,
}

/// Make a service account.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccountCreate {
    /// Its name, for people.
    pub name: String,
    /// What it may do.
    pub roles: Vec<RoleInput>,
}

/// Make an API token.
#[derive(Clone, Debug, Default)]
pub struct ApiTokenCreate {
    /// Its name, for people.
    pub name: String,
    /// What it is narrowed to: `ticket.read`, `ticket.read:OWN`; empty: not narrowed.
    pub scopes: Vec<String>,
    /// When it stops working; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// The service account whose rights it carries; `None`: the caller's own. The command line may name a user.
    pub owner: Option<Id>,
}

/// Sign in with a password.
#[derive(Clone)]
pub struct SignIn {
    /// The tenant's slug; may be left out while there is one tenant.
    pub tenant: Option<String>,
    /// The address, without regard to case.
    pub email: String,
    /// The password.
    pub password: String,
}

/// A list of users or teams to read.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The client's filter.
    pub filter: Predicate,
    /// The client's order.
    pub order: Vec<OrderTerm>,
    /// Which part.
    pub page: kernel::Page,
}

/// Checks a name: not blank, bounded, without control characters. Answers it without space around it.
///
/// # Errors
/// A user error at `field`.
pub fn checked_name(field: &str, name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() {
        return Err(UserError::constraint([field], format!("`{field}` is empty"), "minLength", Some(1)).into());
    }
    if name.chars().any(char::is_control) {
        return Err(UserError::validation([field], format!("`{field}` holds a control character")).into());
    }
    within(field, name.chars().count(), MAX_NAME, "characters")?;
    Ok(name.to_owned())
}

/// Whether a text could be a stored key of at most so many bytes. PostgreSQL cannot even be asked for a NUL character.
pub fn is_key(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.contains('\0')
}

/// Checks a text of several lines.
///
/// # Errors
/// A user error at `field`.
pub fn checked_description(field: &str, text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err(UserError::validation([field], format!("`{field}` holds a NUL character")).into());
    }
    within(field, text.chars().count(), MAX_DESCRIPTION, "characters")?;
    Ok(text.to_owned())
}

/// Checks a slug: lower-case letters, digits and hyphens.
///
/// # Errors
/// A user error at `field`.
pub fn checked_slug(field: &str, slug: &str) -> Result<String> {
    within(field, slug.len(), MAX_SLUG, "characters")?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if slug.is_empty() || !slug.bytes().all(fits) {
        let message = format!("`{field}` needs one or more lower-case letters, digits and hyphens, as in `network-2`");
        return Err(UserError::constraint([field], message, "pattern", None).into());
    }
    Ok(slug.to_owned())
}

/// Checks the form of an e-mail address; whether mail arrives there is not checked.
///
/// # Errors
/// A user error at `field`.
pub(crate) fn checked_email(field: &str, email: &str) -> Result<String> {
    let email = email.trim();
    within(field, email.len(), MAX_EMAIL, "bytes")?;
    let fine = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !domain.contains("..")
            && !domain.is_empty()
    });
    if !fine || email.chars().any(|character| character.is_whitespace() || character.is_control()) {
        let message = format!("`{field}` is no e-mail address; it should look like `ada@example.com`");
        return Err(UserError::constraint([field], message, "email", None).into());
    }
    Ok(email.to_owned())
}

/// Checks the form of an IANA name such as `Europe/Vienna`.
///
/// # Errors
/// A user error at `field`.
pub(crate) fn checked_time_zone(field: &str, name: &str) -> Result<String> {
    within(field, name.len(), MAX_TIME_ZONE, "characters")?;
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    };
    if !name.split('/').all(part) {
        let message = format!("`{field}` is no time zone; it should be an IANA name such as `Europe/Vienna`");
        return Err(UserError::constraint([field], message, "timeZone", None).into());
    }
    Ok(name.to_owned())
}

/// Checks the form of a web address.
///
/// # Errors
/// A user error at `field`.
pub(crate) fn checked_url(field: &str, url: &str) -> Result<String> {
    within(field, url.len(), MAX_URL, "bytes")?;
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let blank = |character: char| character.is_whitespace() || character.is_control();
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) || url.chars().any(blank) {
        let message = format!("`{field}` is no web address; it should begin with `https://`");
        return Err(UserError::constraint([field], message, "url", None).into());
    }
    Ok(url.to_owned())
}

/// What a patch of a field that cannot be absent sets, if anything.
///
/// # Errors
/// A user error when it clears the field.
pub fn required<T>(field: &str, patch: Patch<T>) -> Result<Option<T>> {
    match patch {
        Patch::Keep => Ok(None),
        Patch::Set(value) => Ok(Some(value)),
        Patch::Clear => {
            let message = format!("`{field}` cannot be null; leave it out to keep it");
            Err(UserError::constraint([field], message, "required", None).into())
        }
    }
}

/// Refuses more than `limit` of something.
///
/// # Errors
/// A `LIMIT` user error at `field`.
pub fn within(field: &str, count: usize, limit: usize, unit: &str) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    let message = format!("`{field}` has {count} {unit}; at most {limit} are allowed");
    Err(UserError::limit([field], message, limit as u64).into())
}

/// The form in which addresses are compared.
pub(crate) fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Reads an id that must be a user's or a service account's.
pub(crate) fn is_account(id: &Id) -> bool {
    [kernel::id::prefix::USER, kernel::id::prefix::SERVICE_ACCOUNT].contains(&id.prefix)
}

/// An id with another prefix than `prefix` names nothing.
pub(crate) fn uuid_of(id: &Id, prefix: &str) -> Option<Uuid> {
    (id.prefix == prefix).then_some(id.uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(checked_name("name", "  Ada ").unwrap(), "Ada");
        assert_eq!(checked_name("name", &"ä".repeat(MAX_NAME)).unwrap().chars().count(), MAX_NAME);
        for wrong in ["", "   ", "a\nb", &"ä".repeat(MAX_NAME + 1)] {
            assert!(checked_name("name", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn slugs_have_one_form() {
        for fine in ["a", "network-2", &"x".repeat(MAX_SLUG)] {
            assert!(checked_slug("slug", fine).is_ok(), "{fine}");
        }
        for wrong in ["", "Network", "net work", "netz_werk", "ü", &"x".repeat(MAX_SLUG + 1)] {
            assert!(checked_slug("slug", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_look_like_addresses() {
        for fine in ["ada@example.com", "a+b@demo.example", "ada@localhost"] {
            assert!(checked_email("email", fine).is_ok(), "{fine}");
        }
        let long = format!("{}@example.com", "a".repeat(MAX_EMAIL));
        for wrong in ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c", "a@.com", "a@b..c", &long] {
            assert!(checked_email("email", wrong).is_err(), "{wrong}");
        }
        assert_eq!(folded(" Ada@Example.COM"), "ada@example.com");
    }

    #[test]
    fn zones_and_urls_have_their_form() {
        for fine in ["UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(checked_time_zone("timeZone", fine).is_ok(), "{fine}");
        }
        for wrong in ["", "/", "Europe/", "a b", &"x".repeat(MAX_TIME_ZONE + 1)] {
            assert!(checked_time_zone("timeZone", wrong).is_err(), "{wrong}");
        }
        assert!(checked_url("avatarUrl", "https://example.com/a.png").is_ok());
        for wrong in [
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://a b",
            &format!("https://{}", "a".repeat(MAX_URL)),
        ] {
            assert!(checked_url("avatarUrl", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_absent_cannot_be_cleared() {
        assert_eq!(required("name", Patch::Set(1)).unwrap(), Some(1));
        assert_eq!(required::<i32>("name", Patch::Keep).unwrap(), None);
        assert_eq!(required::<i32>("name", Patch::Clear).unwrap_err().code(), kernel::ErrorCode::Validation);
    }
}
