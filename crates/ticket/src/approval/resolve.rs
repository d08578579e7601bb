//! From what a policy names to the persons whom a step asks.

use access::permission::ADMINISTRATOR;
use kernel::{Ctx, Result, UserError, Uuid};
use predicate::Predicate;
use store::query::Row;
use store::{ConnectionTrait, Tx};

use super::read::own;
use super::rules::{Asked, StepRule, seated};
use super::{ApproverPath, ApproverRef, Approvers, MAX_APPROVERS, StepInput, StepPolicy};
use crate::service::Tickets;

/// Whom a step asks, and by which rule.
pub(super) struct Resolved {
    /// The persons, each once.
    pub asked: Vec<Asked>,
    /// The policy's rule; that of the administrators when nobody else was left.
    pub rule: StepRule,
    /// Whether the administrators are asked because nobody else was left.
    pub to_administrators: bool,
}

impl Tickets {
    /// The persons whom a step asks now: active users, without those who are barred. Nobody left means the administrators,
    /// of whom one is enough.
    pub(super) async fn persons_in(
        &self,
        tx: &mut Tx,
        ticket: &Row,
        step: &StepPolicy,
        barred: &[Uuid],
    ) -> Result<Resolved> {
        let voters = self.users_of_in(tx, ticket, &step.approvers).await?;
        let veto_holders = self.users_of_in(tx, ticket, &step.veto).await?;
        let asked = seated(&voters, &veto_holders, barred);
        if asked.iter().any(|asked| asked.counts) {
            return Ok(Resolved { asked, rule: step.rule, to_administrators: false });
        }
        let administrators = self.users_of_in(tx, ticket, &[Approvers::Role(ADMINISTRATOR.to_owned())]).await?;
        let asked = seated(&administrators, &veto_holders, barred);
        Ok(Resolved { asked, rule: StepRule::Any, to_administrators: true })
    }

    async fn users_of_in(&self, tx: &mut Tx, ticket: &Row, sources: &[Approvers]) -> Result<Vec<Uuid>> {
        let mut persons = Vec::new();
        for source in sources {
            let limit = MAX_APPROVERS as u64 + 1;
            persons.extend(match source {
                Approvers::User(user) => self.access().active_users_in(tx, &[*user]).await?,
                Approvers::Team(team) => self.access().active_members_in(tx, *team, limit).await?,
                Approvers::Role(key) => self.access().active_holders_in(tx, key, limit).await?,
                Approvers::Path(path) => self.user_on_path_in(tx, ticket, *path).await?.into_iter().collect(),
            });
        }
        Ok(persons)
    }

    /// The active user at the end of a path, if there is one.
    async fn user_on_path_in(&self, tx: &mut Tx, ticket: &Row, path: ApproverPath) -> Result<Option<Uuid>> {
        match path {
            ApproverPath::RequesterManager => match ticket.get("requester").as_id() {
                Some(requester) => self.access().active_manager_in(tx, requester).await,
                None => Ok(None),
            },
            ApproverPath::ServiceOwner => {
                let Some(service) = ticket.get("service").as_id() else { return Ok(None) };
                // Asked for anew: what came along with the ticket may be masked for whoever acts.
                let by_id = Predicate::eq("id", service);
                let service = own(self.access(), tx, &configuration::fields::SERVICE, &by_id, 1).await?.pop();
                match service.and_then(|service| service.get("owner").as_id()) {
                    Some(owner) => Ok(self.access().active_users_in(tx, &[owner]).await?.pop()),
                    None => Ok(None),
                }
            }
        }
    }

    /// A step whose references are looked up as far as who asks may know of them.
    ///
    /// # Errors
    /// `NOT_FOUND` with the place in the step.
    pub(crate) async fn step_policy(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        step: &StepInput,
    ) -> Result<StepPolicy> {
        Ok(StepPolicy {
            name: step.name.as_deref().map(str::trim).map(str::to_owned),
            rule: step.rule,
            approvers: self.sources(connection, ctx, "approvers", &step.approvers).await?,
            veto: self.sources(connection, ctx, "vetoHolders", &step.veto).await?,
        })
    }

    async fn sources(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        path: &str,
        references: &[ApproverRef],
    ) -> Result<Vec<Approvers>> {
        let access = self.access();
        let mut sources = Vec::new();
        for (index, reference) in references.iter().enumerate() {
            let found = match reference {
                ApproverRef::User(user) => {
                    let found = access.user_with(connection, ctx, user).await.map_err(|error| error.within("user"));
                    found.map(|row| Approvers::User(row.id()))
                }
                ApproverRef::Team(team) => {
                    let found = access.team_with(connection, ctx, team).await.map_err(|error| error.within("team"));
                    found.map(|row| Approvers::Team(row.id()))
                }
                ApproverRef::Path(path) => Ok(Approvers::Path(*path)),
                ApproverRef::Role(key) => match access.role_exists(connection, ctx, key).await? {
                    true => Ok(Approvers::Role(key.clone())),
                    false => Err(UserError::not_found(["role"], "the role").into()),
                },
            };
            sources.push(found.map_err(|error| error.within(&index.to_string()).within(path))?);
        }
        Ok(sources)
    }
}
