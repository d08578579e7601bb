//! Which roles actors have, and giving them.

use std::collections::HashMap;

use kernel::error::Problems;
use kernel::{Ctx, Grant, Result, UserError, Uuid};
use predicate::{Policy, Rule};
use serde_json::{Value as Json, json};
use store::{ConnectionTrait, Tx};

use super::Access;
use crate::commands::{MAX_ROLES, RoleInput, is_key, within};
use crate::error::not_held;
use crate::fields::ACTOR;
use crate::model::HeldRole;
use crate::permission::USER_READ;
use crate::rules::uncovered;
use crate::tables::{self, Assignment, NewAssignment};

impl Access {
    /// The roles of each of these actors. Those of others than oneself are told to whoever may read users' details.
    ///
    /// # Errors
    /// Database errors.
    pub async fn roles_of(&self, ctx: &Ctx, actors: &[Uuid]) -> Result<HashMap<Uuid, Vec<HeldRole>>> {
        let readable = Policy::When(Rule::Any(&[Rule::IsViewer("id"), Rule::Permission(USER_READ)]));
        let may_read = |actor: Uuid| {
            let facts = |path: &predicate::Path| match path.field.as_str() {
                "id" => predicate::Value::Id(actor),
                _ => predicate::Value::Null,
            };
            self.allows(ctx, &ACTOR, &readable, &facts)
        };
        let actors = actors.iter().copied().filter(|actor| may_read(*actor)).collect::<Vec<_>>();
        if actors.is_empty() {
            return Ok(HashMap::new());
        }
        let mut roles: HashMap<Uuid, Vec<HeldRole>> = HashMap::new();
        for Assignment { actor, role, team } in
            tables::assignments_of(&self.store().read("role.list"), ctx.tenant, &actors).await?
        {
            roles.entry(actor).or_default().push(HeldRole { role: role.key, name: role.name, team });
        }
        Ok(roles)
    }

    /// The roles that an input names, checked: they exist, their teams exist, and the caller holds all that they grant.
    ///
    /// # Errors
    /// User errors below `roles`.
    pub(super) async fn wanted_roles_in(
        &self,
        tx: &mut Tx,
        ctx: &Ctx,
        inputs: &[RoleInput],
    ) -> Result<Vec<NewAssignment>> {
        within("roles", inputs.len(), MAX_ROLES, "roles")?;
        let keys = inputs.iter().map(|input| input.role.as_str());
        let keys = keys.filter(|key| is_key(key, usize::MAX)).collect::<Vec<_>>();
        let known = tables::roles_by_keys(&*tx, ctx.tenant, &keys).await?;
        let mut problems = Problems::default();
        let mut wanted: Vec<NewAssignment> = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let at = |error: kernel::Error| error.within(&index.to_string()).within("roles");
            let role = known.iter().find(|role| role.key == input.role).cloned();
            let role = role.ok_or_else(|| UserError::not_found(["role"], &format!("the role `{}`", input.role)).into());
            let role = problems.take(role.map_err(at))?;
            let team = match &input.team {
                None => Some(None),
                Some(team) => {
                    let found = self.team_in(tx, ctx, team).await.map_err(|error| at(error.within("team")));
                    problems.take(found)?.map(|row| Some(row.id()))
                }
            };
            if let (Some(role), Some(team)) = (role, team) {
                let assignment = NewAssignment { role, team };
                if !wanted.contains(&assignment) {
                    wanted.push(assignment);
                }
            }
        }
        problems.check()?;
        self.check_held_in(tx, ctx, &wanted).await?;
        Ok(wanted)
    }

    /// Nobody gives a role that grants more than they hold.
    async fn check_held_in(&self, tx: &Tx, ctx: &Ctx, wanted: &[NewAssignment]) -> Result<()> {
        let grants = granted_by(tx, ctx.tenant, wanted).await?;
        match uncovered(&ctx.grants, &grants) {
            Some(grant) => Err(not_held("roles", &grant.permission).into()),
            None => Ok(()),
        }
    }
}

async fn granted_by(connection: &impl ConnectionTrait, tenant: Uuid, wanted: &[NewAssignment]) -> Result<Vec<Grant>> {
    let roles = wanted.iter().map(|assignment| assignment.role.id).collect::<Vec<_>>();
    let permissions = tables::grants_of_roles(connection, tenant, &roles).await?;
    let of = |assignment: &NewAssignment| {
        let (role, team) = (assignment.role.id, assignment.team);
        let own = permissions.iter().filter(move |(id, ..)| *id == role);
        own.map(move |(_, permission, scope)| tables::assigned_grant(permission.clone(), *scope, team))
            .collect::<Vec<_>>()
    };
    Ok(wanted.iter().flat_map(of).collect())
}

/// Gives the actor these roles and takes all others.
pub(super) async fn replace_in(tx: &mut Tx, actor: Uuid, wanted: &[NewAssignment]) -> Result<()> {
    tables::delete_assignments_in(tx, actor).await?;
    for assignment in wanted {
        tables::insert_assignment_in(tx, actor, assignment).await?;
    }
    Ok(())
}

/// Roles as events carry them, in an order of their own.
pub(super) fn described<'a>(roles: impl Iterator<Item = (&'a str, Option<Uuid>)>) -> Json {
    let mut roles = roles.collect::<Vec<_>>();
    roles.sort_unstable();
    roles.into_iter().map(|(role, team)| json!({ "role": role, "team": team })).collect()
}
