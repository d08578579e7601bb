//! From what a policy names to the persons whom a step asks.

use access::permission::ADMINISTRATOR;
use kernel::{Result, UserError, Uuid};
use store::Tx;

use super::rules::{Asked, StepRule, seated};
use super::{ApproverRef, Approvers, MAX_APPROVERS, StepInput, StepPolicy};
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
    pub(super) async fn persons_in(&self, tx: &mut Tx, step: &StepPolicy, barred: &[Uuid]) -> Result<Resolved> {
        let voters = self.users_of_in(tx, &step.approvers).await?;
        let veto_holders = self.users_of_in(tx, &step.veto).await?;
        let asked = seated(&voters, &veto_holders, barred);
        if asked.iter().any(|asked| asked.counts) {
            return Ok(Resolved { asked, rule: step.rule, to_administrators: false });
        }
        let administrators = self.users_of_in(tx, &[Approvers::Role(ADMINISTRATOR.to_owned())]).await?;
        let asked = seated(&administrators, &veto_holders, barred);
        Ok(Resolved { asked, rule: StepRule::Any, to_administrators: true })
    }

    async fn users_of_in(&self, tx: &mut Tx, sources: &[Approvers]) -> Result<Vec<Uuid>> {
        let mut persons = Vec::new();
        for source in sources {
            let limit = MAX_APPROVERS as u64 + 1;
            persons.extend(match source {
                Approvers::User(user) => self.access().active_users_in(tx, &[*user]).await?,
                Approvers::Team(team) => self.access().active_members_in(tx, *team, limit).await?,
                Approvers::Role(key) => self.access().active_holders_in(tx, key, limit).await?,
            });
        }
        Ok(persons)
    }

    /// A step whose references are looked up as far as the caller may know of them.
    ///
    /// # Errors
    /// `NOT_FOUND` with the place in the step.
    pub(super) async fn step_policy_in(&self, tx: &mut Tx, step: &StepInput) -> Result<StepPolicy> {
        Ok(StepPolicy {
            name: step.name.as_deref().map(str::trim).map(str::to_owned),
            rule: step.rule,
            approvers: self.sources_in(tx, "approvers", &step.approvers).await?,
            veto: self.sources_in(tx, "vetoHolders", &step.veto).await?,
        })
    }

    async fn sources_in(&self, tx: &mut Tx, path: &str, references: &[ApproverRef]) -> Result<Vec<Approvers>> {
        let mut sources = Vec::new();
        for (index, reference) in references.iter().enumerate() {
            let found = match reference {
                ApproverRef::User(user) => self.user_in(tx, user, "user").await.map(|row| Approvers::User(row.id())),
                ApproverRef::Team(team) => self.team_in(tx, team, "team").await.map(|row| Approvers::Team(row.id())),
                ApproverRef::Role(key) => match self.access().role_exists_in(tx, key).await? {
                    true => Ok(Approvers::Role(key.clone())),
                    false => Err(UserError::not_found(["role"], "the role").into()),
                },
            };
            sources.push(found.map_err(|error| error.within(&index.to_string()).within(path))?);
        }
        Ok(sources)
    }
}
