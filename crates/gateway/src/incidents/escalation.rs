//! Escalation of incidents: its input, and its words.

use async_graphql::{Enum, ID, InputObject};
use incident::EscalateIncident;

use crate::incidents::mutations::incident_at;
use crate::people::TeamRefInput;
use crate::scalars::Markdown;
use crate::tickets::words::word;

word! {
    /// How an incident is escalated.
    IncidentEscalationType = incident::EscalationType {
        /// To a team that knows more: the next level of support.
        Functional = "FUNCTIONAL",
        /// To somebody who decides more: up the line of managers.
        Hierarchical = "HIERARCHICAL",
    }
}

/// Escalates an incident.
#[derive(Clone, Debug, InputObject)]
pub struct IncidentEscalateInput {
    /// The incident's id or number.
    pub id: ID,
    /// Which way.
    #[graphql(name = "type")]
    pub kind: IncidentEscalationType,
    /// With `FUNCTIONAL`: to which team; to the `escalationTeam` of the incident's team when absent.
    pub team: Option<TeamRefInput>,
    /// Why; at most 64 KiB. For those who work on the incident.
    pub reason: Markdown,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl IncidentEscalateInput {
    pub(super) fn command(self) -> kernel::Result<EscalateIncident> {
        let team = self.team.map(TeamRefInput::into_ref).transpose();
        Ok(EscalateIncident {
            incident: incident_at("id", &self.id)?,
            kind: self.kind.into(),
            team: team.map_err(|error| error.within("team"))?,
            reason: self.reason.0,
            expected_version: self.expected_version,
        })
    }
}
