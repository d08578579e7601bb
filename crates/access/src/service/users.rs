//! Making and changing users and service accounts.

use kernel::error::Problems;
use kernel::{ActorKind, Channel, Ctx, Error, Id, Patch, Result, UserError, Uuid};
use predicate::{Policy, Value};
use serde_json::{Value as Json, json};
use store::query::Row;
use store::{RecordRef, Tx, Written};

use super::{Access, roles};
use crate::commands::{
    MAX_MANAGERS, MAX_ROLES, RoleInput, ServiceAccountCreate, UserCreate, UserRef, UserUpdate, checked_email,
    checked_name, checked_time_zone, checked_url, within,
};
use crate::error::{last_administrator, not_held};
use crate::events::{self, SERVICE_ACCOUNT_CREATED, SUBJECT_ACTOR, USER_CREATED, USER_UPDATED};
use crate::fields::ACTOR;
use crate::model::{Account, Changed};
use crate::permission::{ADMINISTRATOR, USER_MANAGE};
use crate::rules::{FieldChanges, loses_last_administrator, uncovered, user_changes};
use crate::tables::{self, Assignment, NewActor, NewAssignment};
use crate::{commands, password};

impl Access {
    /// Makes a user.
    ///
    /// # Errors
    /// `FORBIDDEN` without `user.manage` for the tenant, or for a role that grants more than the caller holds;
    /// `VALIDATION`, `LIMIT`, `NOT_FOUND` (roles, teams) with paths; `CONFLICT` at `email` when it is taken.
    pub async fn user_create(&self, ctx: &Ctx, command: UserCreate) -> Result<Changed<Account>> {
        self.require_tenant(ctx, USER_MANAGE)?;
        let actor = checked_user(self, &command)?;
        let hash = match command.password {
            Some(password) => Some(self.inner().passwords.hash(password).await?),
            None => None,
        };
        let about = About { name: "userCreate", event: USER_CREATED, manager: command.manager };
        self.insert_actor(ctx, about, actor, command.roles, hash).await
    }

    /// Makes a service account. It has no password; give it an API token.
    ///
    /// # Errors
    /// As [`Access::user_create`].
    pub async fn service_account_create(&self, ctx: &Ctx, command: ServiceAccountCreate) -> Result<Changed<Account>> {
        self.require_tenant(ctx, USER_MANAGE)?;
        let actor = NewActor {
            id: ctx.new_id(),
            kind: ActorKind::ServiceAccount,
            name: checked_name("name", &command.name)?,
            email: None,
            avatar_url: None,
            time_zone: None,
            manager: None,
        };
        let about = About { name: "serviceAccountCreate", event: SERVICE_ACCOUNT_CREATED, manager: None };
        self.insert_actor(ctx, about, actor, command.roles, None).await
    }

    async fn insert_actor(
        &self,
        ctx: &Ctx,
        about: About,
        actor: NewActor,
        roles: Vec<RoleInput>,
        hash: Option<String>,
    ) -> Result<Changed<Account>> {
        within("roles", roles.len(), MAX_ROLES, "roles")?;
        let access = self.clone();
        let written = self
            .store()
            .write(ctx, about.name, move |tx| {
                let (access, mut actor, roles, hash) = (access.clone(), actor.clone(), roles.clone(), hash.clone());
                let about = about.clone();
                Box::pin(async move {
                    if let Some(manager) = &about.manager {
                        actor.manager = Some(access.manager_in(tx, manager, None).await?);
                    }
                    let row = access.insert_actor_in(tx, about.event, &actor, &roles, hash.as_deref()).await?;
                    tx.answers_with(RecordRef { id: Id::new(actor.kind.prefix(), actor.id), version: 1 });
                    Ok(Account::from_row(&access.masked(tx.ctx(), &ACTOR, &row)))
                })
            })
            .await?;
        self.answer(ctx, written, |id| self.account(ctx, id)).await
    }

    /// Makes an actor with its roles; answers it unmasked.
    pub(super) async fn insert_actor_in(
        &self,
        tx: &mut Tx,
        event: &'static str,
        actor: &NewActor,
        roles: &[RoleInput],
        password_hash: Option<&str>,
    ) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let wanted = self.wanted_roles_in(tx, &ctx, roles).await?;
        tables::insert_actor_in(tx, actor).await?;
        for assignment in &wanted {
            tables::insert_assignment_in(tx, actor.id, assignment).await?;
        }
        if let Some(hash) = password_hash {
            tables::set_password_in(tx, actor.id, hash).await?;
        }
        let row = self.reload_in(tx, &ctx, actor.id).await?;
        let mut changes = events::created(&ACTOR, &row);
        if !wanted.is_empty() {
            changes.push(roles_change(&[], &wanted));
        }
        changes.extend(manager_change(None, actor.manager));
        tx.emit(events::on_record(event, SUBJECT_ACTOR, &ACTOR, &row, changes));
        Ok(row)
    }

    /// Changes a user or a service account.
    ///
    /// Everybody may change their own name, picture, time zone and (knowing it) password. The rest needs `user.manage`; and who
    /// changes how another signs in, or their roles, must hold all that the other holds.
    ///
    /// # Errors
    /// `NOT_FOUND` at `user`; `FORBIDDEN` at the field; `CONFLICT` at `expectedVersion` or `email`; `VALIDATION`, among them that
    /// the last administrator cannot go; `LIMIT`.
    pub async fn user_update(&self, ctx: &Ctx, command: UserUpdate) -> Result<Changed<Account>> {
        let password = self.new_password(ctx, &command).await?;
        let (access, dry_run) = (self.clone(), ctx.mutation.dry_run);
        let written = self
            .store()
            .write(ctx, "userUpdate", move |tx| {
                let (access, command, password) = (access.clone(), command.clone(), password.clone());
                Box::pin(async move { access.update_actor_in(tx, &command, &password).await })
            })
            .await?;
        if matches!(written, Written::Fresh { .. }) && !dry_run {
            self.rights_changed();
        }
        self.answer(ctx, written, |id| self.account(ctx, id)).await
    }

    /// The hash of the password that the command sets. To change one's own, one must know it.
    async fn new_password(&self, ctx: &Ctx, command: &UserUpdate) -> Result<Patch<String>> {
        if command.password.is_keep() {
            return Ok(Patch::Keep);
        }
        if let Patch::Set(password) = &command.password {
            password::check(password, self.inner().settings.shortest_password)?;
        }
        let reader = self.store().read("user.password");
        let row = self.account_row(&reader, ctx, &command.user).await.map_err(|error| error.within("user"))?;
        let is_own = row.id() == ctx.actor.id;
        if !is_own {
            self.require_write(ctx, &ACTOR, "active", USER_MANAGE, &row)?;
        }
        let known = if is_own { tables::password_hash(&reader, ctx.tenant, row.id()).await? } else { None };
        if let Some(known) = known {
            let given = command.current_password.clone().unwrap_or_default();
            if !self.inner().passwords.verify(given, Some(known)).await? {
                let message = "changing your own password needs the one you have now";
                return Err(UserError::constraint(["currentPassword"], message, "currentPassword", None).into());
            }
        }
        Ok(match command.password.clone() {
            Patch::Set(password) => Patch::Set(self.inner().passwords.hash(password).await?),
            other => other.map(|_| String::new()),
        })
    }

    async fn update_actor_in(&self, tx: &mut Tx, command: &UserUpdate, password: &Patch<String>) -> Result<Account> {
        let ctx = tx.ctx().clone();
        let row = self.account_row(&*tx, &ctx, &command.user).await.map_err(|error| error.within("user"))?;
        let version = version_of(&row)?;
        if command.expected_version.is_some_and(|expected| expected != version) {
            return Err(UserError::stale(version).into());
        }
        let mut fields = user_changes(&row, command)?;
        fields.extend(self.changed_manager_in(tx, command, &row).await?);
        for (field, _) in &fields {
            self.require_write(&ctx, &ACTOR, field, USER_MANAGE, &row)?;
        }
        if !password.is_keep() && row.get("email").is_null() {
            return Err(
                UserError::validation(["password"], "a service account has no password; give it an API token").into()
            );
        }
        let assignments = tables::assignments_of(&*tx, ctx.tenant, &[row.id()]).await?;
        let roles = self.changed_roles_in(tx, &ctx, command, &row, &assignments).await?;
        if fields.is_empty() && roles.is_none() && password.is_keep() {
            tx.answers_with(RecordRef { id: public_id(&row), version });
            return Ok(Account::from_row(&self.masked(&ctx, &ACTOR, &row)));
        }
        self.check_reach_in(tx, &ctx, &row, &fields, roles.is_some() || !password.is_keep()).await?;
        if !tables::update_actor_in(tx, row.id(), version, &fields).await? {
            return Err(if command.expected_version.is_some() {
                UserError::stale(version + 1).into()
            } else {
                tx.retry()
            });
        }
        if let Some(wanted) = &roles {
            roles::replace_in(tx, row.id(), wanted).await?;
        }
        check_administrators_in(tx, &row, &fields, &assignments, roles.as_deref()).await?;
        let payload = self.apply_sign_in_in(tx, &row, &fields, password).await?;
        let after = self.reload_in(tx, &ctx, row.id()).await?;
        let mut changes = fields
            .iter()
            .filter(|(name, _)| ACTOR.field(name).is_some_and(|field| field.event != Policy::Never))
            .map(|(name, value)| events::change(name, row.get(name), value))
            .collect::<Vec<_>>();
        if let Some(wanted) = &roles {
            changes.push(roles_change(&assignments, wanted));
        }
        changes.extend(manager_change(row.get("manager").as_id(), after.get("manager").as_id()));
        let mut event = events::on_record(USER_UPDATED, SUBJECT_ACTOR, &ACTOR, &after, changes);
        event.payload = payload;
        tx.emit(event);
        tx.answers_with(RecordRef { id: public_id(&row), version: version + 1 });
        Ok(Account::from_row(&self.masked(&ctx, &ACTOR, &after)))
    }

    /// The manager that the command sets, when it differs from who is one.
    async fn changed_manager_in(
        &self,
        tx: &mut Tx,
        command: &UserUpdate,
        row: &Row,
    ) -> Result<Option<(&'static str, Value)>> {
        let manager = match &command.manager {
            Patch::Keep => return Ok(None),
            Patch::Clear => None,
            Patch::Set(_) if row.get("email").is_null() => {
                return Err(UserError::validation(["manager"], "a service account has no manager").into());
            }
            Patch::Set(manager) => Some(self.manager_in(tx, manager, Some(row.id())).await?),
        };
        Ok((row.get("manager").as_id() != manager).then(|| ("manager", manager.into())))
    }

    /// The user who shall manage another, `of`: neither that user nor anybody below them.
    ///
    /// The way up is read a manager at a time, each held until this write is over. Of two changes that close a circle
    /// together, one so waits for the other and then sees what it did, or both are found waiting for each other and one is
    /// run again.
    async fn manager_in(&self, tx: &mut Tx, manager: &UserRef, of: Option<Uuid>) -> Result<Uuid> {
        let ctx = tx.ctx().clone();
        let manager = self.user_in(tx, &ctx, manager).await.map_err(|error| error.within("manager"))?.id();
        let mut above = Some(manager);
        for _ in 0..MAX_MANAGERS {
            let Some(id) = above else { return Ok(manager) };
            if Some(id) == of {
                let message = "nobody manages themselves, neither directly nor through those whom they manage";
                return Err(UserError::constraint(["manager"], message, "circle", None).into());
            }
            above = tables::hold_manager_in(tx, id).await?;
        }
        match above {
            None => Ok(manager),
            Some(_) => {
                let message = format!("at most {MAX_MANAGERS} managers may stand above a user");
                Err(UserError::limit(["manager"], message, MAX_MANAGERS as u64).into())
            }
        }
    }

    /// The roles that the command sets, when they differ from those there are.
    async fn changed_roles_in(
        &self,
        tx: &mut Tx,
        ctx: &Ctx,
        command: &UserUpdate,
        row: &Row,
        current: &[Assignment],
    ) -> Result<Option<Vec<NewAssignment>>> {
        let Some(inputs) = commands::required("roles", command.roles.clone())? else { return Ok(None) };
        // Who may give roles is who may say whether the user may sign in.
        self.require_write(ctx, &ACTOR, "active", USER_MANAGE, row).map_err(|error| renamed(error, "roles"))?;
        let wanted = self.wanted_roles_in(tx, ctx, &inputs).await?;
        let has = |assignment: &Assignment| {
            wanted.iter().any(|wanted| wanted.role.id == assignment.role.id && wanted.team == assignment.team)
        };
        let same = wanted.len() == current.len() && current.iter().all(has);
        Ok((!same).then_some(wanted))
    }

    /// Who changes how another signs in, or their roles, must hold all that the other holds: else a manager of users could
    /// become whoever they like.
    async fn check_reach_in(
        &self,
        tx: &Tx,
        ctx: &Ctx,
        row: &Row,
        fields: &FieldChanges,
        sign_in_or_roles: bool,
    ) -> Result<()> {
        let identity = fields.iter().any(|(name, _)| matches!(*name, "email" | "active"));
        if row.id() == ctx.actor.id || !(identity || sign_in_or_roles) {
            return Ok(());
        }
        let theirs = tables::rights(tx, ctx.tenant, row.id()).await?;
        match uncovered(&ctx.grants, &theirs.grants) {
            Some(grant) => Err(not_held("user", &grant.permission).into()),
            None => Ok(()),
        }
    }

    /// Applies a new password, and ends sessions where the way to sign in changed. Answers the event's payload.
    async fn apply_sign_in_in(
        &self,
        tx: &mut Tx,
        row: &Row,
        fields: &FieldChanges,
        password: &Patch<String>,
    ) -> Result<Json> {
        match password {
            Patch::Keep => {}
            Patch::Clear => tables::clear_password_in(tx, row.id()).await?,
            Patch::Set(hash) => tables::set_password_in(tx, row.id(), hash).await?,
        }
        let deactivated = fields.iter().any(|(name, value)| *name == "active" && value.as_bool() == Some(false));
        if password.is_keep() && !deactivated {
            return Ok(Json::Null);
        }
        let kept = match tx.ctx().channel {
            Channel::Session(session) if !deactivated => Some(session),
            _ => None,
        };
        let ended = tables::revoke_sessions_of_in(tx, row.id(), kept).await?;
        Ok(json!({ "passwordChanged": !password.is_keep(), "sessionsEnded": ended }))
    }

    async fn reload_in(&self, tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<Row> {
        let row = self.row(tx, ctx, &ACTOR, id).await?;
        row.ok_or_else(|| Error::internal("an actor that was just written cannot be read"))
    }
}

/// Refuses a change after which no active user has the administrator's role.
async fn check_administrators_in(
    tx: &Tx,
    row: &Row,
    fields: &FieldChanges,
    assignments: &[Assignment],
    roles: Option<&[NewAssignment]>,
) -> Result<()> {
    let deactivates = fields.iter().any(|(name, _)| *name == "active");
    let was_administrator =
        row.bool("active") && assignments.iter().any(|assignment| assignment.role.key == ADMINISTRATOR);
    if !was_administrator || !(deactivates || roles.is_some()) {
        return Ok(());
    }
    let left = tables::count_administrators_in(tx).await?;
    if loses_last_administrator(was_administrator, left) {
        return Err(last_administrator(if roles.is_some() { "roles" } else { "active" }).into());
    }
    Ok(())
}

pub(super) fn checked_user(access: &Access, command: &UserCreate) -> Result<NewActor> {
    let mut problems = Problems::default();
    let email = problems.take(checked_email("email", &command.email))?;
    let name = problems.take(checked_name("name", &command.name))?;
    let avatar_url = command.avatar_url.as_deref().map(|url| checked_url("avatarUrl", url)).transpose();
    let avatar_url = problems.take(avatar_url)?;
    let time_zone = command.time_zone.as_deref().map(|zone| checked_time_zone("timeZone", zone)).transpose();
    let time_zone = problems.take(time_zone)?;
    if let Some(password) = &command.password {
        problems.take(password::check(password, access.inner().settings.shortest_password))?;
    }
    problems.check()?;
    Ok(NewActor {
        id: kernel::random::new_id(access.store().clock().now()),
        kind: ActorKind::User,
        name: name.unwrap_or_default(),
        email,
        avatar_url: avatar_url.flatten(),
        time_zone: time_zone.flatten(),
        manager: None,
    })
}

/// What one way of making an actor is called, and who shall manage it.
#[derive(Clone)]
struct About {
    name: &'static str,
    event: &'static str,
    manager: Option<UserRef>,
}

/// Told with the ids that clients know: the manager is no part of the facts of other records.
fn manager_change(before: Option<Uuid>, after: Option<Uuid>) -> Option<store::Change> {
    let id = |manager: Option<Uuid>| manager.map(|id| Id::new(kernel::id::prefix::USER, id).to_string()).into();
    (before != after).then(|| store::Change { field: "manager".to_owned(), before: id(before), after: id(after) })
}

fn roles_change(before: &[Assignment], after: &[NewAssignment]) -> store::Change {
    let before = before.iter().map(|assignment| (assignment.role.key.as_str(), assignment.team));
    let after = after.iter().map(|assignment| (assignment.role.key.as_str(), assignment.team));
    store::Change { field: "roles".to_owned(), before: roles::described(before), after: roles::described(after) }
}

fn renamed(error: Error, field: &str) -> Error {
    match error {
        Error::Refused(errors) => {
            let errors = errors.into_iter().map(|error| UserError { path: vec![field.to_owned()], ..error });
            Error::Refused(errors.collect())
        }
        other => other,
    }
}

fn public_id(row: &Row) -> Id {
    Account::from_row(row).public_id()
}

/// The version of a row that was read.
pub(super) fn version_of(row: &Row) -> Result<i32> {
    i32::try_from(row.int("version")).map_err(Error::internal)
}

/// The reference to an account that was read.
impl From<&Account> for UserRef {
    fn from(account: &Account) -> Self {
        UserRef::Id(account.public_id())
    }
}
