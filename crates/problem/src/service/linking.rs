//! Saying of incidents that a problem is their cause: singly, or all that a filter finds.

use access::permission::{PROBLEM_MANAGE, TICKET_UPDATE};
use access::visibility::{self, unmasked};
use kernel::{Ctx, Error, Id, Result, UserError, Uuid, words};
use predicate::{Predicate, Use};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Event, Tx, Written};
use ticket::fields::LINK;
use ticket::link::EffectLinked;
use ticket::queries::RELATIONS;
use ticket::{Edit, LinkType, MAX_CAUSED, TicketKind, TicketRef};

use super::Problems;
use crate::commands::{Incidents, LinkIncidents, MAX_LINKED_AT_ONCE};
use crate::events::INCIDENTS_LINKED;

words! {
    /// What became of one incident that was to be linked.
    LinkOutcome {
        /// It was linked.
        Linked = "LINKED",
        /// It was linked already.
        AlreadyLinked = "ALREADY_LINKED",
        /// It could not be linked.
        Refused = "REFUSED",
    }
}

/// Why an incident could not be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// There is no such incident that the viewer may see.
    NotFound,
    /// The incident was merged into another one.
    Merged,
    /// The incident has as many links as it may have.
    IncidentFull,
    /// The problem has as many incidents as it may have.
    ProblemFull,
}

impl LinkRefusal {
    const ALL: [Self; 4] =
        [LinkRefusal::NotFound, LinkRefusal::Merged, LinkRefusal::IncidentFull, LinkRefusal::ProblemFull];

    const fn as_str(self) -> &'static str {
        match self {
            LinkRefusal::NotFound => "NOT_FOUND",
            LinkRefusal::Merged => "MERGED",
            LinkRefusal::IncidentFull => "INCIDENT_FULL",
            LinkRefusal::ProblemFull => "PROBLEM_FULL",
        }
    }

    /// As an error at one place of the list.
    pub fn error(self) -> UserError {
        let at: [&str; 0] = [];
        match self {
            LinkRefusal::NotFound => UserError::not_found(at, "the incident"),
            LinkRefusal::Merged => {
                let message = "the incident was merged into another one: link that";
                UserError::constraint(at, message, "merged", None)
            }
            LinkRefusal::IncidentFull => {
                let limit = ticket::MAX_LINKS;
                UserError::limit(at, format!("the incident has {limit} links; that is the limit"), limit as u64)
            }
            LinkRefusal::ProblemFull => {
                let message = format!("the problem has {MAX_CAUSED} incidents; that is the limit");
                UserError::limit(at, message, MAX_CAUSED as u64)
            }
        }
    }
}

/// What became of one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedIncident {
    /// The incident, where there is one.
    pub incident: Option<Uuid>,
    /// What was done.
    pub outcome: LinkOutcome,
    /// Why not.
    pub refusal: Option<LinkRefusal>,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct LinkedIncidents {
    /// The problem as the viewer may read it.
    pub problem: Option<Row>,
    /// What became of each incident: in the order in which they were given, or of their ids.
    pub results: Vec<LinkedIncident>,
    /// Whether the filter finds further incidents.
    pub has_more: bool,
    /// What was recorded.
    pub events: Vec<Event>,
}

impl Problems {
    /// Says of incidents that a problem is their cause: of those that are named, or of the first [`MAX_LINKED_AT_ONCE`] that a filter finds and
    /// that are not linked yet. Closed ones are linked like others: causes are looked for in the past. Doing it twice changes nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`; `LIMIT` for more than [`MAX_LINKED_AT_ONCE`] that are named; user errors with paths into `filter`.
    pub async fn link_incidents(&self, ctx: &Ctx, command: LinkIncidents) -> Result<LinkedIncidents> {
        if let Incidents::These(list) = &command.incidents
            && (list.is_empty() || list.len() > MAX_LINKED_AT_ONCE)
        {
            let message = format!("{} incidents are given; a call names 1 to {MAX_LINKED_AT_ONCE}", list.len());
            return Err(UserError::limit(["incidents", "ids"], message, MAX_LINKED_AT_ONCE as u64).into());
        }
        let problems = self.clone();
        let written = self.tickets.store().write(ctx, "problemLinkIncidents", move |tx| {
            let (problems, command) = (problems.clone(), command.clone());
            Box::pin(async move { problems.link_incidents_in(tx, &command).await })
        });
        let written = written.await?;
        let events = self.tickets.events_of(ctx, &written).await?;
        match written {
            Written::Fresh { value: (row, results, has_more), .. } => {
                Ok(LinkedIncidents { problem: self.tickets.masked(ctx, row), results, has_more, events })
            }
            Written::Replayed { record, .. } => {
                let kind = self.tickets.kinds().get(TicketKind::Problem)?.record();
                let problem = self.tickets.find(ctx, kind, &TicketRef::Id(record.id), RELATIONS).await?;
                // Whoever may no longer see what they did is told nothing of it.
                let events = if problem.is_some() { events } else { Vec::new() };
                let told = events.iter().find(|event| event.kind == INCIDENTS_LINKED).map(|event| &event.payload);
                let results = told.map(results_of).unwrap_or_default();
                let has_more = told.is_some_and(|told| told["hasMore"] == true);
                Ok(LinkedIncidents { problem, results, has_more, events })
            }
        }
    }

    async fn link_incidents_in(
        &self,
        tx: &mut Tx,
        command: &LinkIncidents,
    ) -> Result<(Row, Vec<LinkedIncident>, bool)> {
        let problem = self.edit_in(tx, &command.problem, "problem").await?;
        for permission in [TICKET_UPDATE, PROBLEM_MANAGE] {
            self.tickets.require_on(tx.ctx(), &problem, permission)?;
        }
        let (wanted, has_more) = match &command.incidents {
            Incidents::These(list) => (self.named_in(tx, list).await?, false),
            Incidents::Matching(filter) => self.matching_in(tx, &problem, filter).await?,
        };
        let results = self.link_wanted_in(tx, &problem, &wanted).await?;
        if !results.is_empty() {
            let told: Vec<Json> = results.iter().copied().map(LinkedIncident::to_json).collect();
            self.tell(tx, &problem, INCIDENTS_LINKED, json!({ "incidents": told, "hasMore": has_more }));
        }
        tx.answers_with(problem.reference());
        Ok((problem.after, results, has_more))
    }

    /// Links these incidents, whoever may see them, with a problem that was loaded for this write.
    ///
    /// # Errors
    /// Database errors; a lost race is run again.
    pub async fn link_wanted_in(
        &self,
        tx: &mut Tx,
        problem: &Edit,
        wanted: &[Option<Uuid>],
    ) -> Result<Vec<LinkedIncident>> {
        let mut ids: Vec<Uuid> = wanted.iter().copied().flatten().collect();
        ids.sort_unstable();
        ids.dedup();
        let held: Vec<Uuid> = ids.iter().copied().chain([problem.before.id()]).collect();
        self.tickets.hold_in(tx, &held).await?;
        problem.hold_in(tx).await?;
        let effects = self.loaded_in(tx, &ids).await?;
        let done = self.tickets.link_effects_in(tx, &effects, problem).await?;
        let found = |id: Uuid| effects.iter().position(|effect| effect.before.id() == id).and_then(|at| done.get(at));
        let mut seen = Vec::new();
        Ok(wanted
            .iter()
            .map(|id| {
                let again = id.is_some_and(|id| seen.contains(&id));
                seen.extend(*id);
                LinkedIncident::of(*id, id.and_then(found).copied(), again)
            })
            .collect())
    }

    /// The incidents with these ids, ready to be told of.
    async fn loaded_in(&self, tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Edit>> {
        let rules = self.tickets.kinds().get(TicketKind::Incident)?.clone();
        let ctx = tx.ctx().clone();
        let access = self.tickets.access();
        let visible = unmasked(&access.visible(&ctx));
        let rows = query::by_ids(tx, &access.scoped(&ctx, &visible), rules.record(), ids, RELATIONS).await?;
        let mut edits = Vec::with_capacity(rows.len());
        for row in rows {
            let workflow = self.tickets.workflow_of(tx, &ctx, rules.as_ref(), &row).await?;
            edits.push(Edit::new(rules.clone(), workflow, row));
        }
        Ok(edits)
    }

    /// The visible incidents that a list names, each at its place.
    async fn named_in(&self, tx: &mut Tx, list: &[TicketRef]) -> Result<Vec<Option<Uuid>>> {
        let ctx = tx.ctx().clone();
        let access = self.tickets.access();
        let visible = access.visible(&ctx);
        let of_kind = TicketKind::Incident.id_prefix();
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        for reference in list {
            match reference {
                TicketRef::Id(id) if id.prefix == of_kind => ids.push(id.uuid),
                TicketRef::Number(number) => numbers.push(number.as_str()),
                _ => {}
            }
        }
        let named = Predicate::one_of("id", &ids).or(Predicate::one_of("number", &numbers));
        let record = self.tickets.kinds().get(TicketKind::Incident)?.record();
        let rows = query::all(tx, &access.scoped(&ctx, &visible), record, &named, &[], list.len() as u64).await?;
        let find = |reference: &TicketRef| {
            let is = |row: &&Row| match reference {
                TicketRef::Id(id) => id.prefix == of_kind && row.id() == id.uuid,
                TicketRef::Number(number) => row.text("number") == *number,
                TicketRef::External { .. } => false,
            };
            rows.iter().find(is).map(Row::id)
        };
        Ok(list.iter().map(find).collect())
    }

    /// The first incidents that a filter finds and that are not linked yet, and whether there are more.
    async fn matching_in(&self, tx: &mut Tx, problem: &Edit, filter: &Predicate) -> Result<(Vec<Option<Uuid>>, bool)> {
        let ctx = tx.ctx().clone();
        let access = self.tickets.access();
        let visible = access.visible(&ctx);
        let record = self.tickets.kinds().get(TicketKind::Incident)?.record();
        let bound = self.tickets.bound(&*tx, &ctx, filter.clone()).await;
        let filter =
            bound.and_then(|bound| visibility::filter(&ctx, access.catalogue(), &visible, record, bound, Use::Query));
        let filter = filter.map_err(|error: Error| error.within("filter").within("incidents"))?;
        let linked =
            Predicate::eq("target", problem.before.id()).and(Predicate::eq("type", LinkType::CausedBy.as_str()));
        let everything = unmasked(&access.visible(&ctx));
        let linked = query::all(tx, &access.scoped(&ctx, &everything), &LINK, &linked, &[], MAX_CAUSED as u64).await?;
        let linked: Vec<Option<Uuid>> = linked.iter().map(|link| link.get("source").as_id()).collect();
        let enough = (linked.len() + MAX_LINKED_AT_ONCE + 1) as u64;
        let rows = query::all(tx, &access.scoped(&ctx, &visible), record, &filter, &[], enough).await?;
        let mut found = rows.iter().map(|row| Some(row.id())).filter(|id| !linked.contains(id));
        let wanted: Vec<_> = found.by_ref().take(MAX_LINKED_AT_ONCE).collect();
        Ok((wanted, found.next().is_some()))
    }
}

impl LinkedIncident {
    fn of(incident: Option<Uuid>, done: Option<EffectLinked>, again: bool) -> Self {
        let refused = |refusal| (LinkOutcome::Refused, Some(refusal));
        let (outcome, refusal) = match done {
            Some(EffectLinked::Linked) if again => (LinkOutcome::AlreadyLinked, None),
            Some(EffectLinked::Linked) => (LinkOutcome::Linked, None),
            Some(EffectLinked::Already) => (LinkOutcome::AlreadyLinked, None),
            Some(EffectLinked::Merged) => refused(LinkRefusal::Merged),
            Some(EffectLinked::Full { of_cause: true, .. }) => refused(LinkRefusal::ProblemFull),
            Some(EffectLinked::Full { .. }) => refused(LinkRefusal::IncidentFull),
            Some(EffectLinked::Itself) | None => refused(LinkRefusal::NotFound),
        };
        Self { incident: incident.filter(|_| refusal != Some(LinkRefusal::NotFound)), outcome, refusal }
    }

    fn to_json(self) -> Json {
        let incident = self.incident.map(|id| Id::new(TicketKind::Incident.id_prefix(), id).to_string());
        json!({
            "incident": incident, "outcome": self.outcome.as_str(), "refusal": self.refusal.map(LinkRefusal::as_str),
        })
    }

    fn from_json(json: &Json) -> Option<Self> {
        let incident = json["incident"].as_str().and_then(|text| Id::parse(text).ok());
        let refusal = json["refusal"].as_str();
        Some(Self {
            incident: incident.map(|id| id.uuid),
            outcome: LinkOutcome::parse(json["outcome"].as_str()?)?,
            refusal: LinkRefusal::ALL.into_iter().find(|known| Some(known.as_str()) == refusal),
        })
    }
}

/// What an event tells of the incidents of a call.
pub(crate) fn results_of(payload: &Json) -> Vec<LinkedIncident> {
    payload["incidents"].as_array().into_iter().flatten().filter_map(LinkedIncident::from_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_what_the_call_answered() {
        let id = Some(Uuid::from_u128(7));
        let full = EffectLinked::Full { limit: MAX_CAUSED, of_cause: true };
        let results = [
            LinkedIncident::of(id, Some(EffectLinked::Linked), false),
            LinkedIncident::of(id, Some(EffectLinked::Linked), true),
            LinkedIncident::of(id, Some(full), false),
            LinkedIncident::of(None, None, false),
        ];
        let told: Vec<Json> = results.iter().copied().map(LinkedIncident::to_json).collect();
        assert_eq!(results_of(&json!({ "incidents": told })), results);
        assert_eq!(results.map(|result| result.outcome.as_str()), ["LINKED", "ALREADY_LINKED", "REFUSED", "REFUSED"]);
    }
}
