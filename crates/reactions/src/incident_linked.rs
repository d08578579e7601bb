//! An incident was linked with a problem whose workaround is published: it is said on the incident.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kernel::id::prefix;
use kernel::{ErrorCode, Id, Result, Uuid};
use problem::{PROBLEM, Problems};
use store::{Event, Tx};
use ticket::{LinkType, TicketKind, TicketRef, events};

use crate::follow::{AfterCommit, Progress};

/// See the module.
pub struct IncidentLinked {
    problems: Problems,
}

impl IncidentLinked {
    /// On these problems.
    pub fn new(problems: Problems) -> Self {
        Self { problems }
    }

    /// Those whose problem has a published workaround. One that is published behind this look tells of itself.
    async fn sifted(&self, events: Vec<Arc<Event>>) -> Result<Vec<Arc<Event>>> {
        let tickets = self.problems.tickets();
        let mut of_tenants: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for (event, problem) in events.iter().filter_map(|event| Some((event, problem_of(event)?))) {
            of_tenants.entry(event.tenant).or_default().push(problem);
        }
        let mut published = Vec::new();
        for (tenant, mut ids) in of_tenants {
            ids.sort_unstable();
            ids.dedup();
            let ctx = tickets.access().system_ctx(tenant, self.name());
            let rows = tickets.by_ids(&ctx, &PROBLEM, &ids, &[]).await?;
            published.extend(rows.iter().filter(|row| row.int("publication") > 0).map(|row| row.id()));
        }
        let is_published = |event: &Arc<Event>| problem_of(event).is_some_and(|problem| published.contains(&problem));
        Ok(events.into_iter().filter(is_published).collect())
    }

    async fn react_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        let Some(problem) = problem_of(event) else { return Ok(Progress::Done) };
        let reference = TicketRef::Id(Id::new(prefix::PROBLEM, problem));
        let problem = match self.problems.edit_in(tx, &reference, "problem").await {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Progress::Done),
            other => other?.before,
        };
        if self.problems.causes_in(tx, problem.id(), event.subject).await? {
            let incident = TicketRef::Id(Id::new(prefix::INCIDENT, event.subject));
            self.problems.post_workaround_in(tx, &problem, &incident).await?;
        }
        Ok(Progress::Done)
    }
}

/// The problem that an event says is the cause of its incident.
fn problem_of(event: &Event) -> Option<Uuid> {
    let says = |name: &str, value: &str| event.payload[name].as_str() == Some(value);
    let is_incident = event.facts.get("kind")?.as_str()? == TicketKind::Incident.as_str();
    if !is_incident || !says("type", LinkType::CausedBy.as_str()) || !says("direction", "OUTWARD") {
        return None;
    }
    Id::parse_as(event.payload["ticket"].as_str()?, &[prefix::PROBLEM]).ok().map(|id| id.uuid)
}

impl AfterCommit for IncidentLinked {
    fn name(&self) -> &'static str {
        "incidentLinked"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[events::LINKED]
    }

    fn concerns(&self, event: &Event) -> bool {
        problem_of(event).is_some()
    }

    fn sift<'a>(&'a self, events: Vec<Arc<Event>>) -> BoxFuture<'a, Result<Vec<Arc<Event>>>> {
        Box::pin(self.sifted(events))
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
