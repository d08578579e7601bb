//! The inputs of people's mutations, and how they point at people and teams.

use access::{
    ApiTokenCreate, Membership, RoleInput, ServiceAccountCreate, SignIn, TeamCreate, TeamRef, TeamUpdate, UserCreate,
    UserRef, UserUpdate,
};
use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};
use kernel::id::prefix;
use kernel::{Id, Patch, Result};

use super::filters::wrong_id;
use super::scalars::{EmailAddress, TimeZone, Url};
use crate::scalars::{DateTime, Markdown, patch, reference};

/// Points at a user, or by its id at a service account.
#[derive(Clone, Debug, OneofObject)]
pub enum UserRefInput {
    /// By id, such as `usr_01jcz8…`.
    Id(ID),
    /// By e-mail address, without regard to case. Found by whoever may read the address.
    Email(EmailAddress),
}

impl UserRefInput {
    /// As the platform points at users.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> Result<UserRef> {
        match self {
            UserRefInput::Id(id) => Ok(UserRef::Id(parse_id(&id, &[prefix::USER, prefix::SERVICE_ACCOUNT], "id")?)),
            UserRefInput::Email(email) => Ok(UserRef::Email(email.0)),
        }
    }
}

/// Points at a team.
#[derive(Clone, Debug, OneofObject)]
pub enum TeamRefInput {
    /// By id, such as `team_01jcz8…`.
    Id(ID),
    /// By slug, such as `network`.
    Slug(String),
}

impl TeamRefInput {
    /// As the platform points at teams.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> Result<TeamRef> {
        match self {
            TeamRefInput::Id(id) => Ok(TeamRef::Id(parse_id(&id, &[prefix::TEAM], "id")?)),
            TeamRefInput::Slug(slug) => Ok(TeamRef::Slug(slug)),
        }
    }
}

/// Signs in with e-mail address and password.
#[derive(Clone, Debug, InputObject)]
pub struct SessionCreateInput {
    /// The tenant's slug; may be left out while the installation has one tenant.
    pub tenant: Option<String>,
    /// The address, without regard to case.
    pub email: EmailAddress,
    /// The password.
    #[graphql(secret)]
    pub password: String,
}

impl SessionCreateInput {
    pub(super) fn command(self) -> SignIn {
        SignIn { tenant: self.tenant, email: self.email.0, password: self.password }
    }
}

/// Exchanges a refresh token for the next pair of tokens.
#[derive(Clone, Debug, InputObject)]
pub struct SessionRefreshInput {
    /// The newest refresh token of the session. It can be used once: a second use ends the session.
    #[graphql(secret)]
    pub refresh_token: String,
}

/// Ends a session.
#[derive(Clone, Debug, InputObject)]
pub struct SessionRevokeInput {
    /// Which: one's own or, with `user.manage`, anybody's. Left out: the session that asks.
    pub id: Option<ID>,
}

impl SessionRevokeInput {
    pub(super) fn session(self) -> Result<Option<Id>> {
        self.id.map(|id| parse_id(&id, &[prefix::SESSION], "id")).transpose()
    }
}

/// Makes an API token.
#[derive(Clone, Debug, InputObject)]
pub struct ApiTokenCreateInput {
    /// The name, for people: 1 to 200 characters.
    pub name: String,
    /// What the token is narrowed to, such as `ticket.read` or `ticket.read:OWN`, at most 50. Left out or empty: it carries all
    /// rights of its owner.
    pub scopes: Option<Vec<String>>,
    /// When it stops working, at most ten years from now; left out: never.
    pub expires_at: Option<DateTime>,
    /// The service account that the token is for; needs `token.manage` for the tenant. Left out: the viewer.
    #[graphql(name = "for")]
    pub owner: Option<ID>,
}

impl ApiTokenCreateInput {
    pub(super) fn command(self) -> Result<ApiTokenCreate> {
        let expected = [prefix::SERVICE_ACCOUNT, prefix::USER];
        Ok(ApiTokenCreate {
            name: self.name,
            scopes: self.scopes.unwrap_or_default(),
            expires_at: self.expires_at.map(|time| time.0),
            owner: self.owner.map(|id| parse_id(&id, &expected, "for")).transpose()?,
        })
    }
}

/// Revokes an API token.
#[derive(Clone, Debug, InputObject)]
pub struct ApiTokenRevokeInput {
    /// Which: one's own or, with `token.manage` for the tenant, anybody's.
    pub id: ID,
}

impl ApiTokenRevokeInput {
    pub(super) fn token(self) -> Result<Id> {
        parse_id(&self.id, &[prefix::API_TOKEN], "id")
    }
}

/// A role to give.
#[derive(Clone, Debug, InputObject)]
pub struct RoleAssignmentInput {
    /// The role's key: `requester`, `agent`, `team_lead`, `administrator`, `auditor` or `monitoring`.
    pub role: String,
    /// The one team that bounds its `TEAM` permissions; left out: all teams of the holder.
    pub team: Option<TeamRefInput>,
}

impl RoleAssignmentInput {
    fn command(self) -> Result<RoleInput> {
        let team = self.team.map(TeamRefInput::into_ref).transpose().map_err(|error| error.within("team"))?;
        Ok(RoleInput { role: self.role, team })
    }
}

fn roles(inputs: Vec<RoleAssignmentInput>) -> Result<Vec<RoleInput>> {
    let placed = inputs.into_iter().enumerate();
    let roles = placed.map(|(index, input)| input.command().map_err(|error| error.within(&index.to_string())));
    roles.collect::<Result<_>>().map_err(|error| error.within("roles"))
}

/// Makes a user.
#[derive(Clone, Debug, InputObject)]
pub struct UserCreateInput {
    /// The address; unique in the tenant.
    pub email: EmailAddress,
    /// The name, for people: 1 to 200 characters.
    pub name: String,
    /// The first password, 8 to 1,024 bytes. Left out: the user cannot sign in with one.
    #[graphql(secret)]
    pub password: Option<String>,
    /// Where the picture is.
    pub avatar_url: Option<Url>,
    /// The user's time zone.
    pub time_zone: Option<TimeZone>,
    /// What the user may do: at most 50 roles, none that grants more than the viewer holds.
    pub roles: Option<Vec<RoleAssignmentInput>>,
    /// Who manages the user.
    pub manager: Option<UserRefInput>,
    /// The same key and input give the same answer again instead of a second user.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    #[graphql(default_with = "Some(false)")]
    pub dry_run: Option<bool>,
}

impl UserCreateInput {
    pub(super) fn command(self) -> Result<UserCreate> {
        Ok(UserCreate {
            email: self.email.0,
            name: self.name,
            password: self.password,
            avatar_url: self.avatar_url.map(|url| url.0),
            time_zone: self.time_zone.map(|zone| zone.0),
            roles: roles(self.roles.unwrap_or_default())?,
            manager: self
                .manager
                .map(|manager| manager.into_ref().map_err(|error| error.within("manager")))
                .transpose()?,
        })
    }
}

/// Changes a user or a service account. What is left out stays as it is.
///
/// Everybody may change their own name, picture, time zone and password; the rest needs `user.manage`.
#[derive(Clone, Debug, InputObject)]
pub struct UserUpdateInput {
    /// Which.
    pub user: UserRefInput,
    /// The name, for people: 1 to 200 characters.
    pub name: MaybeUndefined<String>,
    /// The address; unique in the tenant.
    pub email: MaybeUndefined<EmailAddress>,
    /// Where the picture is; null: there is none.
    pub avatar_url: MaybeUndefined<Url>,
    /// The user's time zone; null: none is set.
    pub time_zone: MaybeUndefined<TimeZone>,
    /// Whether the user may sign in.
    pub active: MaybeUndefined<bool>,
    /// A new password, 8 to 1,024 bytes; null: none, and no sign-in with one. Ends all sessions of the user but the one that asks.
    #[graphql(secret)]
    pub password: MaybeUndefined<String>,
    /// The password so far: needed to change one's own.
    #[graphql(secret)]
    pub current_password: Option<String>,
    /// All roles, at most 50, instead of those so far.
    pub roles: MaybeUndefined<Vec<RoleAssignmentInput>>,
    /// Who manages the user: neither the user nor anybody whom the user manages; null: nobody.
    pub manager: MaybeUndefined<UserRefInput>,
    /// Refuse when the user has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the same answer again instead of a second change.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    #[graphql(default_with = "Some(false)")]
    pub dry_run: Option<bool>,
}

impl UserUpdateInput {
    pub(super) fn command(self) -> Result<UserUpdate> {
        Ok(UserUpdate {
            user: self.user.into_ref().map_err(|error| error.within("user"))?,
            name: patch(self.name),
            email: patch(self.email).map(|email| email.0),
            avatar_url: patch(self.avatar_url).map(|url| url.0),
            time_zone: patch(self.time_zone).map(|zone| zone.0),
            active: patch(self.active),
            password: patch(self.password),
            current_password: self.current_password,
            roles: match patch(self.roles) {
                Patch::Set(inputs) => Patch::Set(roles(inputs)?),
                Patch::Clear => Patch::Clear,
                Patch::Keep => Patch::Keep,
            },
            manager: reference("manager", self.manager, UserRefInput::into_ref)?,
            expected_version: self.expected_version,
        })
    }
}

/// Makes a team.
#[derive(Clone, Debug, InputObject)]
pub struct TeamCreateInput {
    /// Names the team in inputs: 1 to 63 lower-case letters, digits and hyphens; unique in the tenant.
    pub slug: String,
    /// The name, for people: 1 to 200 characters.
    pub name: String,
    /// What the team does: at most 10,000 characters.
    pub description: Option<Markdown>,
    /// The team of the next level of support; at most 10 stand above a team.
    pub escalation_team: Option<TeamRefInput>,
    /// Who manages the team.
    pub manager: Option<UserRefInput>,
    /// The same key and input give the same answer again instead of a second team.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    #[graphql(default_with = "Some(false)")]
    pub dry_run: Option<bool>,
}

impl TeamCreateInput {
    pub(super) fn command(self) -> Result<TeamCreate> {
        let next = self.escalation_team.map(TeamRefInput::into_ref).transpose();
        let manager = self.manager.map(UserRefInput::into_ref).transpose();
        Ok(TeamCreate {
            slug: self.slug,
            name: self.name,
            description: self.description.map(|text| text.0),
            escalation_team: next.map_err(|error| error.within("escalationTeam"))?,
            manager: manager.map_err(|error| error.within("manager"))?,
        })
    }
}

/// Changes a team. What is left out stays as it is.
#[derive(Clone, Debug, InputObject)]
pub struct TeamUpdateInput {
    /// Which.
    pub team: TeamRefInput,
    /// Names the team in inputs: 1 to 63 lower-case letters, digits and hyphens; unique in the tenant.
    pub slug: MaybeUndefined<String>,
    /// The name, for people: 1 to 200 characters.
    pub name: MaybeUndefined<String>,
    /// What the team does: at most 10,000 characters; null: nothing is said.
    pub description: MaybeUndefined<Markdown>,
    /// The team of the next level of support, neither the team itself nor one that escalates to it; at most 10 stand above a team.
    /// Null: there is none.
    pub escalation_team: MaybeUndefined<TeamRefInput>,
    /// Who manages the team; null: nobody.
    pub manager: MaybeUndefined<UserRefInput>,
    /// Refuse when the team has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the same answer again instead of a second change.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    #[graphql(default_with = "Some(false)")]
    pub dry_run: Option<bool>,
}

impl TeamUpdateInput {
    pub(super) fn command(self) -> Result<TeamUpdate> {
        Ok(TeamUpdate {
            team: self.team.into_ref().map_err(|error| error.within("team"))?,
            slug: patch(self.slug),
            name: patch(self.name),
            description: patch(self.description).map(|text| text.0),
            escalation_team: reference("escalationTeam", self.escalation_team, TeamRefInput::into_ref)?,
            manager: reference("manager", self.manager, UserRefInput::into_ref)?,
            expected_version: self.expected_version,
        })
    }
}

/// Declares an input that names a team and a user.
macro_rules! membership {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, InputObject)]
        pub struct $name {
            /// The team.
            pub team: TeamRefInput,
            /// The user or, by id, the service account.
            pub user: UserRefInput,
            /// The same key and input give the same answer again.
            pub idempotency_key: Option<String>,
            /// Do everything, answer, and roll back.
            #[graphql(default_with = "Some(false)")]
            pub dry_run: Option<bool>,
        }

        impl $name {
            pub(super) fn command(self) -> Result<Membership> {
                Ok(Membership {
                    team: self.team.into_ref().map_err(|error| error.within("team"))?,
                    user: self.user.into_ref().map_err(|error| error.within("user"))?,
                })
            }
        }
    };
}

membership! {
    /// Makes a user a member of a team.
    TeamMemberAddInput
}

membership! {
    /// Ends a user's membership of a team.
    TeamMemberRemoveInput
}

/// Makes a service account.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceAccountCreateInput {
    /// The name, for people: 1 to 200 characters.
    pub name: String,
    /// What it may do: at most 50 roles, none that grants more than the viewer holds.
    pub roles: Option<Vec<RoleAssignmentInput>>,
    /// The same key and input give the same answer again instead of a second service account.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    #[graphql(default_with = "Some(false)")]
    pub dry_run: Option<bool>,
}

impl ServiceAccountCreateInput {
    pub(super) fn command(self) -> Result<ServiceAccountCreate> {
        Ok(ServiceAccountCreate { name: self.name, roles: roles(self.roles.unwrap_or_default())? })
    }
}

/// Reads an id with one of these prefixes.
///
/// # Errors
/// `VALIDATION` at `path`.
pub(crate) fn parse_id(text: &str, expected: &[&'static str], path: &str) -> Result<Id> {
    Id::parse_as(text, expected).map_err(|error| wrong_id(path, &error).into())
}

#[cfg(test)]
mod tests {
    use access::commands::{MAX_DESCRIPTION, MAX_NAME, MAX_ROLES, MAX_SCOPES, MAX_SLUG};
    use kernel::Error;

    use super::*;

    const TEAM_ID: &str = "team_01h455vb4pex5vsknk084sn02q";

    fn path<T>(result: Result<T>) -> Vec<String> {
        match result {
            Err(Error::Refused(errors)) => errors[0].path.clone(),
            _ => panic!("it was taken"),
        }
    }

    #[test]
    fn the_limits_are_those_that_the_descriptions_tell() {
        assert_eq!((MAX_NAME, MAX_SLUG, MAX_DESCRIPTION, MAX_ROLES, MAX_SCOPES), (200, 63, 10_000, 50, 50));
        assert_eq!((access::MIN_PASSWORD_BYTES, access::MAX_PASSWORD_BYTES), (8, 1_024));
    }

    #[test]
    fn references_are_read_strictly() {
        assert!(matches!(TeamRefInput::Id(TEAM_ID.into()).into_ref(), Ok(TeamRef::Id(_))));
        assert_eq!(path(UserRefInput::Id(TEAM_ID.into()).into_ref()), ["id"]);
        assert_eq!(path(TeamRefInput::Id("network".into()).into_ref()), ["id"]);
        let email = UserRefInput::Email(EmailAddress("Ada@Example.com".into())).into_ref().unwrap();
        assert_eq!(email, UserRef::Email("Ada@Example.com".into()));
    }

    #[test]
    fn a_wrong_role_is_told_with_its_place() {
        let role = |team| RoleAssignmentInput { role: "agent".into(), team };
        let inputs = vec![role(None), role(Some(TeamRefInput::Id("nonsense".into())))];
        assert_eq!(path(roles(inputs)), ["roles", "1", "team", "id"]);
    }

    #[test]
    fn absent_keeps_null_clears_and_a_value_sets() {
        let input = TeamUpdateInput {
            team: TeamRefInput::Slug("network".into()),
            slug: MaybeUndefined::Undefined,
            name: MaybeUndefined::Value("Network".into()),
            description: MaybeUndefined::Null,
            escalation_team: MaybeUndefined::Undefined,
            manager: MaybeUndefined::Null,
            expected_version: Some(3),
            idempotency_key: None,
            dry_run: None,
        };
        let command = input.command().unwrap();
        assert_eq!(command.slug, Patch::Keep);
        assert_eq!(command.name, Patch::Set("Network".into()));
        assert_eq!(command.description, Patch::Clear);
        assert_eq!(command.expected_version, Some(3));
    }
}
