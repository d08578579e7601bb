//! The request context: who asks, for which tenant, with which rights, through what. First argument of everything.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{Id, prefix};
use crate::{Clock, Timestamp, random};

/// What kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ActorKind {
    /// A person.
    User,
    /// A program with rights of its own.
    ServiceAccount,
    /// Deskwire itself: timers, imports, reactions.
    System,
}

impl ActorKind {
    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            ActorKind::User => "USER",
            ActorKind::ServiceAccount => "SERVICE_ACCOUNT",
            ActorKind::System => "SYSTEM",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [ActorKind::User, ActorKind::ServiceAccount, ActorKind::System].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The prefix of such an actor's id.
    pub const fn prefix(self) -> &'static str {
        match self {
            ActorKind::User => prefix::USER,
            ActorKind::ServiceAccount => prefix::SERVICE_ACCOUNT,
            ActorKind::System => prefix::SYSTEM,
        }
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The actor's id in the tenant.
    pub id: Uuid,
    /// What kind of actor.
    pub kind: ActorKind,
}

impl Actor {
    /// The id as clients see it.
    pub fn public_id(self) -> Id {
        Id::new(self.kind.prefix(), self.id)
    }
}

/// Through what an act came in; recorded with every event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Channel {
    /// A signed-in session.
    Session(Uuid),
    /// An API token.
    Token(Uuid),
    /// The command line on the server itself.
    CommandLine,
    /// Deskwire itself: a timer or a reaction.
    System,
}

/// How far a permission reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Scope {
    /// Records that are the actor's own.
    Own,
    /// Records of the actor's teams (or of the one team that the role was given for).
    Team,
    /// All records of the tenant.
    Tenant,
}

impl Scope {
    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Own => "OWN",
            Scope::Team => "TEAM",
            Scope::Tenant => "TENANT",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Scope::Own, Scope::Team, Scope::Tenant].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// One permission with its reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The permission's name, such as `ticket.read`.
    pub permission: String,
    /// How far it reaches.
    pub scope: Scope,
    /// With [`Scope::Team`]: the team that the role was given for; `None` means all teams of the actor.
    pub team: Option<Uuid>,
}

/// All that an actor may do: resolved from roles, narrowed by the token's scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grants {
    /// The permissions, sorted, without duplicates.
    pub grants: Vec<Grant>,
    /// The teams that the actor is a member of, sorted.
    pub teams: Vec<Uuid>,
}

impl Grants {
    /// Whether nothing is missing here of what those allow.
    pub fn cover(&self, others: &Grants) -> bool {
        let teams = others.teams.iter().all(|team| self.teams.contains(team));
        let held = |grant: &Grant| self.grants.contains(grant) || self.holds_tenant(&grant.permission);
        // Somebody in fewer teams sees less by a grant for all of their teams.
        teams && others.grants.iter().all(held)
    }

    /// Whether the permission is held with any reach.
    pub fn holds(&self, permission: &str) -> bool {
        self.grants.iter().any(|grant| grant.permission == permission)
    }

    /// Whether the permission is held for the whole tenant.
    pub fn holds_tenant(&self, permission: &str) -> bool {
        self.grants.iter().any(|grant| grant.permission == permission && grant.scope == Scope::Tenant)
    }

    /// Whether the permission is held for records that are the actor's own.
    pub fn holds_own(&self, permission: &str) -> bool {
        self.grants.iter().any(|grant| grant.permission == permission && grant.scope == Scope::Own)
    }

    /// The teams for whose records the permission is held by [`Scope::Team`], sorted, without duplicates.
    pub fn teams_with(&self, permission: &str) -> Vec<Uuid> {
        let mut teams = Vec::new();
        for grant in &self.grants {
            if grant.permission == permission && grant.scope == Scope::Team {
                match grant.team {
                    Some(team) => teams.push(team),
                    None => teams.extend_from_slice(&self.teams),
                }
            }
        }
        teams.sort_unstable();
        teams.dedup();
        teams
    }
}

/// How one mutation is to be carried out; the same for every mutation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// The client's key; `None`: not idempotent. Ignored in a dry run.
    pub idempotency_key: Option<String>,
    /// SHA-256 of the coerced input without key and `dryRun`.
    pub input_hash: [u8; 32],
    /// Do everything, answer, and roll back.
    pub dry_run: bool,
}

/// Who asks, for which tenant, with which rights, through what, and when.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// The tenant whose data this is about.
    pub tenant: Uuid,
    /// Who acts.
    pub actor: Actor,
    /// What the actor may do.
    pub grants: Arc<Grants>,
    /// Through what the act came in.
    pub channel: Channel,
    /// Names the request in logs, traces and errors.
    pub request_id: Arc<str>,
    /// The clock of this process.
    pub clock: Clock,
    /// How the mutation is to be carried out; default for reads.
    pub mutation: Mutation,
}

impl Ctx {
    /// The current instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id for a record that is created now.
    pub fn new_id(&self) -> Uuid {
        random::new_id(self.clock.now())
    }

    /// The same context for one mutation.
    #[must_use]
    pub fn for_mutation(&self, mutation: Mutation) -> Self {
        Self { mutation, ..self.clone() }
    }

    /// The same context for a part of a mutation that is done in several writes. Each part has an idempotency key of its own, made of
    /// the mutation's: whoever asks again after a failure finds the parts that were done, and has the others done.
    #[must_use]
    pub fn for_part(&self, part: usize) -> Self {
        let key = self.mutation.idempotency_key.as_ref();
        let key = key.map(|key| if part == 0 { key.clone() } else { format!("{key}#{part}") });
        self.for_mutation(Mutation { idempotency_key: key, ..self.mutation.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_for_one_team_reaches_that_team_only() {
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let grant = |team| Grant { permission: "ticket.read".into(), scope: Scope::Team, team };
        let all = Grants { grants: vec![grant(None)], teams: vec![own] };
        assert_eq!(all.teams_with("ticket.read"), [own]);
        let one = Grants { grants: vec![grant(Some(other))], teams: vec![own] };
        assert_eq!(one.teams_with("ticket.read"), [other]);
        assert!(one.teams_with("ticket.update").is_empty());
    }

    #[test]
    fn rights_cover_what_is_missing_in_none_of_them() {
        let grant = |scope, team| Grant { permission: "ticket.read".into(), scope, team };
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let of = |grants: &[Grant], teams: &[Uuid]| Grants { grants: grants.to_vec(), teams: teams.to_vec() };
        let (own, team) = (grant(Scope::Own, None), grant(Scope::Team, None));
        let all = of(&[grant(Scope::Tenant, None)], &[one]);
        let some = of(&[own.clone(), team.clone()], &[one]);
        assert!(some.cover(&some) && all.cover(&some) && some.cover(&of(std::slice::from_ref(&own), &[])));
        assert!(!some.cover(&all), "a tenant is more than a team");
        assert!(!of(&[own], &[one]).cover(&some) && !some.cover(&of(&[team], &[one, two])));
        let named = of(&[grant(Scope::Team, Some(two))], &[]);
        assert!(!some.cover(&named) && all.cover(&named));
    }
}
