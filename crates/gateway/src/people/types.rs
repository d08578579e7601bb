//! Users, service accounts, the system, teams, roles, tokens and the viewer, as clients see them.

use std::sync::Arc;

use access::commands::MAX_MEMBERS_READ;
use access::{ACTOR, Account, HeldRole};
use async_graphql::{Context, Enum, ID, Interface, Object, Result, SimpleObject};
use kernel::{ActorKind, Grant, UserError, Uuid};
use predicate::{Path, Policy, Value};
use store::query::Row;

use super::scalars::{EmailAddress, TimeZone, Url};
use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::scalars::{DateTime, Markdown};

/// Whoever can act: a person, a program, or Deskwire itself.
#[derive(Clone, Debug, Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "The id, such as `usr_01jcz8…`."),
    field(name = "name", ty = "&str", desc = "The name, for people."),
    field(name = "avatar_url", ty = "Option<Url>", desc = "Where the picture is.")
)]
pub enum Actor {
    /// A person.
    User(User),
    /// A program.
    ServiceAccount(ServiceAccount),
    /// Deskwire itself.
    System(System),
}

impl Actor {
    /// Of a row of record type `actor`, by its kind.
    pub fn from_row(row: Row) -> Self {
        Self::of(Account::from_row(&row))
    }

    /// Of an account, by its kind.
    pub fn of(account: Account) -> Self {
        match account.kind {
            ActorKind::User => Actor::User(User::of(account)),
            ActorKind::ServiceAccount => Actor::ServiceAccount(ServiceAccount::of(account)),
            ActorKind::System => Actor::System(System(Arc::new(account))),
        }
    }

    /// The user, if it is one.
    pub fn user(self) -> Option<User> {
        match self {
            Actor::User(user) => Some(user),
            _ => None,
        }
    }

    /// The service account, if it is one.
    pub fn service_account(self) -> Option<ServiceAccount> {
        match self {
            Actor::ServiceAccount(account) => Some(account),
            _ => None,
        }
    }
}

/// A person who asks for help, or who helps.
#[derive(Clone, Debug)]
pub struct User(Arc<Account>);

impl User {
    /// Of a row of record type `actor`.
    pub fn from_row(row: Row) -> Self {
        Self::of(Account::from_row(&row))
    }

    /// Of an account.
    pub fn of(account: Account) -> Self {
        Self(Arc::new(account))
    }
}

/// A person who asks for help, or who helps. Id, name and picture are readable by everybody in the tenant.
#[Object]
impl User {
    /// The id, such as `usr_01jcz8…`.
    pub async fn id(&self) -> ID {
        public_id(&self.0)
    }

    /// The name, for people.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where the picture is.
    pub async fn avatar_url(&self) -> Option<Url> {
        self.0.avatar_url.clone().map(Url)
    }

    /// The e-mail address. Null without `user.read`, but for oneself.
    pub fn email(&self) -> Option<EmailAddress> {
        self.0.email.clone().map(EmailAddress)
    }

    /// The time zone that the user has set. Null without `user.read`, but for oneself.
    pub fn time_zone(&self) -> Option<TimeZone> {
        self.0.time_zone.clone().map(TimeZone)
    }

    /// Whether the user may sign in and be given work.
    pub fn active(&self) -> bool {
        self.0.active
    }

    /// Who manages the user. Null without `user.read`, but for oneself.
    pub async fn manager(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.manager {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// The teams that the user is a member of.
    pub async fn teams(&self, ctx: &Context<'_>) -> Result<Vec<Team>> {
        teams_of(ctx, self.0.id).await
    }

    /// What the user may do: at most 50 roles. Null without `user.read`, but for oneself.
    pub async fn roles(&self, ctx: &Context<'_>) -> Result<Option<Vec<RoleAssignment>>> {
        roles_of(ctx, self.0.id).await
    }

    /// Raised by every change; for `expectedVersion`.
    pub fn version(&self) -> i32 {
        self.0.version
    }

    /// When the user was created.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the user was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}

/// A program with rights of its own.
#[derive(Clone, Debug)]
pub struct ServiceAccount(Arc<Account>);

impl ServiceAccount {
    /// Of a row of record type `actor`.
    pub fn from_row(row: Row) -> Self {
        Self::of(Account::from_row(&row))
    }

    /// Of an account.
    pub fn of(account: Account) -> Self {
        Self(Arc::new(account))
    }
}

/// A program with rights of its own. It has no password: it acts with API tokens (`dw_svc_…`).
#[Object]
impl ServiceAccount {
    /// The id, such as `svc_01jcz8…`.
    pub async fn id(&self) -> ID {
        public_id(&self.0)
    }

    /// The name, for people.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where the picture is.
    pub async fn avatar_url(&self) -> Option<Url> {
        self.0.avatar_url.clone().map(Url)
    }

    /// Whether its tokens work.
    pub fn active(&self) -> bool {
        self.0.active
    }

    /// The teams that it is a member of.
    pub async fn teams(&self, ctx: &Context<'_>) -> Result<Vec<Team>> {
        teams_of(ctx, self.0.id).await
    }

    /// What it may do: at most 50 roles. Null without `user.read`, but for itself.
    pub async fn roles(&self, ctx: &Context<'_>) -> Result<Option<Vec<RoleAssignment>>> {
        roles_of(ctx, self.0.id).await
    }

    /// Raised by every change; for `expectedVersion`.
    pub fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was created.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}

/// Deskwire itself.
#[derive(Clone, Debug)]
pub struct System(Arc<Account>);

/// Deskwire itself, as it acts in this tenant: timers, imports, the command line on the server.
#[Object]
impl System {
    /// The id, such as `sys_01jcz8…`.
    pub async fn id(&self) -> ID {
        public_id(&self.0)
    }

    /// The name, for people.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where the picture is.
    pub async fn avatar_url(&self) -> Option<Url> {
        self.0.avatar_url.clone().map(Url)
    }
}

/// People and programs that work on tickets together.
#[derive(Clone, Debug)]
pub struct Team(Arc<access::Team>);

impl Team {
    /// Of a row of record type `team`.
    pub fn from_row(row: Row) -> Self {
        Self::of(access::Team::from_row(&row))
    }

    /// Of a team.
    pub fn of(team: access::Team) -> Self {
        Self(Arc::new(team))
    }
}

/// People and programs that work on tickets together. Readable by everybody in the tenant.
#[Object]
impl Team {
    /// The id, such as `team_01jcz8…`.
    pub async fn id(&self) -> ID {
        ID(self.0.public_id().to_string())
    }

    /// Names the team in inputs, as in `team: { slug: "network" }`; unique in the tenant.
    pub fn slug(&self) -> &str {
        &self.0.slug
    }

    /// The name, for people.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// What the team does.
    pub fn description(&self) -> Option<Markdown> {
        self.0.description.clone().map(Markdown)
    }

    /// The team of the next level of support: where `incidentEscalate` hands incidents to when it is told no team.
    pub async fn escalation_team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        optional_team(ctx, self.0.escalation_team).await
    }

    /// Who manages the team: the first whom `incidentEscalate` tells when it goes up the line of managers.
    pub async fn manager(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.manager {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// The first members, oldest accounts first: at most 100 of the 1,000 that a team may have.
    pub async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: 0 to 100.", default_with = "Some(DEFAULT_MEMBERS)")] first: Option<i32>,
    ) -> Result<Vec<Actor>> {
        let limit = members_limit(first.unwrap_or(DEFAULT_MEMBERS))?;
        Ok(loaders::members(ctx, self.0.id, limit).await?.into_iter().map(Actor::of).collect())
    }

    /// Raised by every change of the team's own fields, not by its members'; for `expectedVersion`.
    pub fn version(&self) -> i32 {
        self.0.version
    }

    /// When the team was created.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the team was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}

/// How many members of a team are answered when `first` is not given.
const DEFAULT_MEMBERS: i32 = 50;

fn members_limit(first: i32) -> kernel::Result<u32> {
    match u32::try_from(first) {
        Ok(limit) if limit <= MAX_MEMBERS_READ => Ok(limit),
        _ => {
            let message = format!("`first` is {first}; it must be between 0 and {MAX_MEMBERS_READ}");
            Err(UserError::limit(["first"], message, u64::from(MAX_MEMBERS_READ)).into())
        }
    }
}

connection! {
    /// A page of users.
    UserConnection, UserEdge, User
}

connection! {
    /// A page of teams.
    TeamConnection, TeamEdge, Team
}

/// What holders of it may do.
#[derive(Clone, Debug, SimpleObject)]
pub struct Role {
    /// Names the role in inputs, such as `agent`.
    key: String,
    /// The name, for people.
    name: String,
}

/// A role that somebody was given.
#[derive(Clone, Debug)]
pub struct RoleAssignment(HeldRole);

/// A role that somebody was given, for all teams of theirs or for one.
#[Object]
impl RoleAssignment {
    /// The role.
    fn role(&self) -> Role {
        Role { key: self.0.role.clone(), name: self.0.name.clone() }
    }

    /// The one team that its `TEAM` permissions are bounded to; null: all teams of the holder.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        optional_team(ctx, self.0.team).await
    }
}

/// How far a permission reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum PermissionScope {
    /// Records that are the holder's own.
    Own,
    /// Records of the holder's teams, or of the one team that is named.
    Team,
    /// All records of the tenant.
    Tenant,
}

impl From<kernel::Scope> for PermissionScope {
    fn from(scope: kernel::Scope) -> Self {
        match scope {
            kernel::Scope::Own => PermissionScope::Own,
            kernel::Scope::Team => PermissionScope::Team,
            kernel::Scope::Tenant => PermissionScope::Tenant,
        }
    }
}

/// One permission with its reach.
#[derive(Clone, Debug)]
pub struct PermissionGrant(Grant);

impl PermissionGrant {
    /// Of a grant.
    pub fn of(grant: Grant) -> Self {
        Self(grant)
    }
}

/// One permission with its reach.
#[Object]
impl PermissionGrant {
    /// What it allows, such as `ticket.read`.
    fn permission(&self) -> &str {
        &self.0.permission
    }

    /// How far it reaches.
    fn scope(&self) -> PermissionScope {
        self.0.scope.into()
    }

    /// With scope `TEAM`: the one team that it reaches; null: all teams of the holder.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        optional_team(ctx, self.0.team).await
    }
}

fn public_id(account: &Account) -> ID {
    ID(account.public_id().to_string())
}

async fn teams_of(ctx: &Context<'_>, actor: Uuid) -> Result<Vec<Team>> {
    Ok(loaders::teams_of(ctx, actor).await?.into_iter().map(Team::of).collect())
}

async fn roles_of(ctx: &Context<'_>, actor: Uuid) -> Result<Option<Vec<RoleAssignment>>> {
    if !may_read_details(ctx, actor)? {
        return Ok(None);
    }
    Ok(Some(loaders::roles_of(ctx, actor).await?.into_iter().map(RoleAssignment).collect()))
}

/// Whether the viewer may read an actor's personal details: roles go by the rule of the e-mail address.
fn may_read_details(ctx: &Context<'_>, actor: Uuid) -> Result<bool> {
    let policy = ACTOR.field("email").map_or(Policy::Never, |field| field.read);
    let facts = |path: &Path| match path.field.as_str() {
        "id" => Value::Id(actor),
        _ => Value::Null,
    };
    Ok(platform(ctx).access.allows(&viewer(ctx)?, &ACTOR, &policy, &facts))
}

async fn optional_team(ctx: &Context<'_>, id: Option<Uuid>) -> Result<Option<Team>> {
    match id {
        Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_that_the_descriptions_tell() {
        assert_eq!((MAX_MEMBERS_READ, access::commands::MAX_MEMBERS), (100, 1_000));
        assert_eq!(
            (access::commands::MAX_ROLES, access::commands::MAX_TOKENS, access::commands::MAX_SCOPES),
            (50, 50, 50)
        );
    }

    #[test]
    fn members_are_asked_for_within_bounds() {
        assert_eq!(members_limit(0).unwrap(), 0);
        assert_eq!(members_limit(100).unwrap(), 100);
        for wrong in [-1, 101, i32::MAX] {
            assert_eq!(members_limit(wrong).unwrap_err().code(), kernel::ErrorCode::Limit);
        }
    }

    #[test]
    fn an_actor_is_what_its_row_says() {
        let row = |kind: &str| Row::new(&ACTOR, vec![("id", Uuid::from_u128(1).into()), ("kind", kind.into())]);
        assert!(matches!(Actor::from_row(row("USER")), Actor::User(_)));
        assert!(matches!(Actor::from_row(row("SERVICE_ACCOUNT")), Actor::ServiceAccount(_)));
        assert!(matches!(Actor::from_row(row("SYSTEM")), Actor::System(_)));
    }
}
