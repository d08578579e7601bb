//! Making and changing teams, and who is a member.

use kernel::error::Problems;
use kernel::{Ctx, Error, Id, Patch, Result, UserError, Uuid, id::prefix};
use predicate::{Policy, Value};
use serde_json::json;
use store::query::Row;
use store::{Change, RecordRef, Tx, Written};

use super::Access;
use super::users::version_of;
use crate::commands::{
    MAX_ESCALATION_TEAMS, MAX_MEMBERS, Membership, TeamCreate, TeamRef, TeamUpdate, UserRef, checked_description,
    checked_name, checked_slug,
};
use crate::events::{self, SUBJECT_TEAM, TEAM_CREATED, TEAM_MEMBER_ADDED, TEAM_MEMBER_REMOVED, TEAM_UPDATED};
use crate::fields::TEAM;
use crate::model::{Changed, Team};
use crate::permission::TEAM_MANAGE;
use crate::rules::team_changes;
use crate::tables::{self, NewTeam};

impl Access {
    /// Makes a team.
    ///
    /// # Errors
    /// `FORBIDDEN` without `team.manage` for the tenant; `VALIDATION` and `LIMIT` with paths; `CONFLICT` at `slug` when it is taken.
    pub async fn team_create(&self, ctx: &Ctx, command: TeamCreate) -> Result<Changed<Team>> {
        self.require_tenant(ctx, TEAM_MANAGE)?;
        let team = checked_team(ctx, &command)?;
        let access = self.clone();
        let written = self
            .store()
            .write(ctx, "teamCreate", move |tx| {
                let (access, mut team, command) = (access.clone(), team.clone(), command.clone());
                Box::pin(async move {
                    let mut problems = Problems::default();
                    if let Some(next) = &command.escalation_team {
                        team.escalation_team = problems.take(access.next_level_in(tx, next, None).await)?;
                    }
                    if let Some(manager) = &command.manager {
                        team.manager = problems.take(access.team_manager_in(tx, manager).await)?;
                    }
                    problems.check()?;
                    let row = access.insert_team_in(tx, &team).await?;
                    let ctx = tx.ctx().clone();
                    access.answer_team(tx, &ctx, &row)
                })
            })
            .await?;
        self.answer(ctx, written, |id| self.team_by_id(ctx, id)).await
    }

    /// Makes a team; answers it unmasked.
    pub(super) async fn insert_team_in(&self, tx: &mut Tx, team: &NewTeam) -> Result<Row> {
        let ctx = tx.ctx().clone();
        tables::insert_team_in(tx, team).await?;
        let row = self.reload_team_in(tx, &ctx, team.id).await?;
        let mut changes = events::created(&TEAM, &row);
        changes.extend(escalation_changes(|_| None, |field| row.get(field).as_id()));
        tx.emit(events::on_record(TEAM_CREATED, SUBJECT_TEAM, &TEAM, &row, changes));
        Ok(row)
    }

    /// Changes a team.
    ///
    /// # Errors
    /// `NOT_FOUND` at `team`; `FORBIDDEN` at the field without `team.manage` for it; `CONFLICT` at `expectedVersion` or `slug`;
    /// `VALIDATION` and `LIMIT` with paths.
    pub async fn team_update(&self, ctx: &Ctx, command: TeamUpdate) -> Result<Changed<Team>> {
        let access = self.clone();
        let written = self
            .store()
            .write(ctx, "teamUpdate", move |tx| {
                let (access, command) = (access.clone(), command.clone());
                Box::pin(async move { access.update_team_in(tx, &command).await })
            })
            .await?;
        self.answer(ctx, written, |id| self.team_by_id(ctx, id)).await
    }

    async fn update_team_in(&self, tx: &mut Tx, command: &TeamUpdate) -> Result<Team> {
        let ctx = tx.ctx().clone();
        let row = self.team_in(tx, &ctx, &command.team).await.map_err(|error| error.within("team"))?;
        let version = version_of(&row)?;
        if command.expected_version.is_some_and(|expected| expected != version) {
            return Err(UserError::stale(version).into());
        }
        let mut fields = team_changes(&row, command)?;
        fields.extend(self.changed_escalation_in(tx, command, &row).await?);
        for (field, _) in &fields {
            self.require_write(&ctx, &TEAM, field, TEAM_MANAGE, &row)?;
        }
        if fields.is_empty() {
            return self.answer_team(tx, &ctx, &row);
        }
        if !tables::update_team_in(tx, row.id(), version, &fields).await? {
            return Err(if command.expected_version.is_some() {
                UserError::stale(version + 1).into()
            } else {
                tx.retry()
            });
        }
        let after = self.reload_team_in(tx, &ctx, row.id()).await?;
        let carried = |name: &str| TEAM.field(name).is_some_and(|field| field.event != Policy::Never);
        let changes = fields.iter().filter(|(name, _)| carried(name));
        let mut changes: Vec<Change> =
            changes.map(|(name, value)| events::change(name, row.get(name), value)).collect();
        changes.extend(escalation_changes(|field| row.get(field).as_id(), |field| after.get(field).as_id()));
        tx.emit(events::on_record(TEAM_UPDATED, SUBJECT_TEAM, &TEAM, &after, changes));
        self.answer_team(tx, &ctx, &after)
    }

    /// The team of the next level and the manager that the command sets, when they differ from those that there are.
    async fn changed_escalation_in(
        &self,
        tx: &mut Tx,
        command: &TeamUpdate,
        row: &Row,
    ) -> Result<Vec<(&'static str, Value)>> {
        let mut problems = Problems::default();
        let next = match &command.escalation_team {
            Patch::Keep => row.get("escalationTeam").as_id(),
            Patch::Clear => None,
            Patch::Set(team) => {
                let of = (row.id(), row.text("slug"));
                problems.take(self.next_level_in(tx, team, Some(of)).await)?
            }
        };
        let manager = match &command.manager {
            Patch::Keep => row.get("manager").as_id(),
            Patch::Clear => None,
            Patch::Set(manager) => problems.take(self.team_manager_in(tx, manager).await)?,
        };
        problems.check()?;
        let wanted = [("escalationTeam", next), ("manager", manager)];
        let differing = wanted.into_iter().filter(|(field, value)| row.get(field).as_id() != *value);
        Ok(differing.map(|(field, value)| (field, value.into())).collect())
    }

    /// The team that shall be the next level of support of another, `of`: neither that team nor one below it.
    ///
    /// The way up is read a team at a time, each held until this write is over: of two changes that close a circle together, one
    /// so waits for the other and then sees what it did, or both are found waiting for each other and one is run again.
    async fn next_level_in(&self, tx: &mut Tx, team: &TeamRef, of: Option<(Uuid, String)>) -> Result<Uuid> {
        const PATH: &str = "escalationTeam";
        let ctx = tx.ctx().clone();
        let next = self.team_in(tx, &ctx, team).await.map_err(|error| error.within(PATH))?.id();
        let mut way: Vec<String> = of.iter().map(|(_, slug)| slug.clone()).collect();
        let mut above = Some(next);
        for _ in 0..MAX_ESCALATION_TEAMS {
            let Some(id) = above else { return Ok(next) };
            if let Some((_, slug)) = of.as_ref().filter(|(of, _)| *of == id) {
                way.push(slug.clone());
                let circle = way.iter().map(|slug| format!("`{slug}`")).collect::<Vec<_>>().join(" → ");
                let message = format!("teams would escalate in a circle: {circle}");
                return Err(UserError::constraint([PATH], message, "circle", None).into());
            }
            let held = tables::hold_escalation_in(tx, id).await?;
            let (slug, further) = held.ok_or_else(|| tx.retry())?;
            way.push(slug);
            above = further;
        }
        match above {
            None => Ok(next),
            Some(_) => {
                let message = format!("at most {MAX_ESCALATION_TEAMS} teams may stand above a team");
                Err(UserError::limit([PATH], message, MAX_ESCALATION_TEAMS as u64).into())
            }
        }
    }

    async fn team_manager_in(&self, tx: &mut Tx, manager: &UserRef) -> Result<Uuid> {
        let ctx = tx.ctx().clone();
        Ok(self.user_in(tx, &ctx, manager).await.map_err(|error| error.within("manager"))?.id())
    }

    /// Makes a user or a service account a member of a team. Whoever is one already stays one, without an event.
    ///
    /// # Errors
    /// `NOT_FOUND` at `team` or `user`; `FORBIDDEN` without `team.manage` for the team; `LIMIT` at `team` when it is full.
    pub async fn team_member_add(&self, ctx: &Ctx, command: Membership) -> Result<Changed<Team>> {
        self.change_membership(ctx, "teamMemberAdd", command, true).await
    }

    /// Ends a membership. Whoever is no member stays none, without an event.
    ///
    /// # Errors
    /// As [`Access::team_member_add`].
    pub async fn team_member_remove(&self, ctx: &Ctx, command: Membership) -> Result<Changed<Team>> {
        self.change_membership(ctx, "teamMemberRemove", command, false).await
    }

    async fn change_membership(
        &self,
        ctx: &Ctx,
        name: &'static str,
        command: Membership,
        add: bool,
    ) -> Result<Changed<Team>> {
        let (access, dry_run) = (self.clone(), ctx.mutation.dry_run);
        let written = self
            .store()
            .write(ctx, name, move |tx| {
                let (access, command) = (access.clone(), command.clone());
                Box::pin(async move { access.change_membership_in(tx, &command, add).await })
            })
            .await?;
        if matches!(written, Written::Fresh { .. }) && !dry_run {
            self.rights_changed();
        }
        self.answer(ctx, written, |id| self.team_by_id(ctx, id)).await
    }

    async fn change_membership_in(&self, tx: &mut Tx, command: &Membership, add: bool) -> Result<Team> {
        let ctx = tx.ctx().clone();
        let mut problems = Problems::default();
        let team = problems.take(self.team_in(tx, &ctx, &command.team).await.map_err(|error| error.within("team")))?;
        let user = self.account_row(&*tx, &ctx, &command.user).await.map_err(|error| error.within("user"));
        let user = problems.take(user)?;
        problems.check()?;
        let (Some(team), Some(user)) = (team, user) else { return Err(Error::internal("references were checked")) };
        // The rule of the team's own fields: who may rename it may say who is in it.
        let write = TEAM.field("name").map_or(Policy::Never, |field| field.write);
        if !self.allows(&ctx, &TEAM, &write, &team) {
            return Err(UserError::forbidden(TEAM_MANAGE).within("team").into());
        }
        let changed = match add {
            true => add_in(tx, &team, &user).await?,
            false => tables::remove_member_in(tx, team.id(), user.id()).await?,
        };
        if changed {
            let kind = if add { TEAM_MEMBER_ADDED } else { TEAM_MEMBER_REMOVED };
            let mut event = events::on_record(kind, SUBJECT_TEAM, &TEAM, &team, Vec::new());
            event.payload = json!({ "user": user.id() });
            tx.emit(event);
        }
        self.answer_team(tx, &ctx, &team)
    }

    fn answer_team(&self, tx: &mut Tx, ctx: &Ctx, row: &Row) -> Result<Team> {
        tx.answers_with(RecordRef { id: Id::new(prefix::TEAM, row.id()), version: version_of(row)? });
        Ok(Team::from_row(&self.masked(ctx, &TEAM, row)))
    }

    async fn reload_team_in(&self, tx: &Tx, ctx: &Ctx, id: Uuid) -> Result<Row> {
        let row = self.row(tx, ctx, &TEAM, id).await?;
        row.ok_or_else(|| Error::internal("a team that was just written cannot be read"))
    }
}

async fn add_in(tx: &Tx, team: &Row, user: &Row) -> Result<bool> {
    if tables::count_members(tx, tx.ctx().tenant, team.id()).await? >= MAX_MEMBERS
        && !tables::is_member(tx, tx.ctx().tenant, team.id(), user.id()).await?
    {
        let message = format!("the team has {MAX_MEMBERS} members, which is the most");
        return Err(UserError::limit(["team"], message, MAX_MEMBERS).into());
    }
    tables::add_member_in(tx, team.id(), user.id()).await
}

/// Told with the ids that clients know: they are no part of the facts of other records.
fn escalation_changes(before: impl Fn(&str) -> Option<Uuid>, after: impl Fn(&str) -> Option<Uuid>) -> Vec<Change> {
    let fields = [("escalationTeam", prefix::TEAM), ("manager", prefix::USER)];
    let differing = fields.into_iter().filter(|(field, _)| before(field) != after(field));
    let change = |(field, prefix): (&str, &'static str)| {
        let id = |id: Option<Uuid>| id.map(|id| Id::new(prefix, id).to_string()).into();
        Change { field: field.to_owned(), before: id(before(field)), after: id(after(field)) }
    };
    differing.map(change).collect()
}

pub(super) fn checked_team(ctx: &Ctx, command: &TeamCreate) -> Result<NewTeam> {
    let mut problems = Problems::default();
    let slug = problems.take(checked_slug("slug", &command.slug))?;
    let name = problems.take(checked_name("name", &command.name))?;
    let description = command.description.as_deref().map(|text| checked_description("description", text)).transpose();
    let description = problems.take(description)?;
    problems.check()?;
    Ok(NewTeam {
        id: ctx.new_id(),
        slug: slug.unwrap_or_default(),
        name: name.unwrap_or_default(),
        description: description.flatten(),
        escalation_team: None,
        manager: None,
    })
}
