//! Linking incidents with a problem, many at once.

use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use problem::{Incidents, LinkIncidents, LinkedIncident};

use super::Problem;
use super::mutations::problem_ref;
use crate::context::{mutation, platform};
use crate::incidents::Incident;
use crate::loaders;
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::filters::IncidentFilter;
use crate::tickets::words::word;
use crate::user_error::{UserError, part};

word! {
    /// What became of an incident that was to be linked.
    ProblemLinkOutcome = problem::LinkOutcome {
        /// It was linked.
        Linked = "LINKED",
        /// It was linked already.
        AlreadyLinked = "ALREADY_LINKED",
        /// It could not be linked; `userErrors` says why.
        Refused = "REFUSED",
    }
}

/// Which incidents: one of these.
#[derive(Clone, Debug, OneofObject)]
pub enum ProblemIncidentsInput {
    /// These, by their ids or numbers, 1 to 100.
    Ids(Vec<ID>),
    /// Those that a filter finds; the first 100 that are not linked yet.
    Filter(Box<IncidentFilter>),
}

/// Says of incidents that a problem is their cause.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemLinkIncidentsInput {
    /// The problem's id or number.
    pub problem: ID,
    /// Which incidents.
    pub incidents: ProblemIncidentsInput,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// What became of one incident.
pub struct ProblemLinkResult(LinkedIncident);

/// What became of one incident of a call.
#[Object]
impl ProblemLinkResult {
    /// What was done.
    pub fn outcome(&self) -> ProblemLinkOutcome {
        ProblemLinkOutcome::parse(self.0.outcome.as_str()).unwrap_or(ProblemLinkOutcome::Refused)
    }

    /// The incident as it is now; null when there is none that the viewer may see.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        match self.0.incident {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Incident::from_row)),
            None => Ok(None),
        }
    }

    /// Why it was refused; paths begin at the incident.
    pub fn user_errors(&self) -> Vec<UserError> {
        self.0.refusal.map(|refusal| UserError::from(refusal.error())).into_iter().collect()
    }
}

/// What became of the incidents of a call.
#[derive(SimpleObject)]
pub struct ProblemLinkIncidentsPayload {
    /// The problem; null when it was not done.
    pub problem: Option<Problem>,
    /// What became of each incident, in the order in which they were given; null when it was not done.
    pub results: Option<Vec<ProblemLinkResult>>,
    /// Whether the filter finds further incidents: the same call without an idempotency key, or with another one, goes on.
    pub has_more: bool,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend about the call as a whole.
    pub user_errors: Vec<UserError>,
}

fn command(input: ProblemLinkIncidentsInput) -> kernel::Result<LinkIncidents> {
    let within = |error: kernel::Error, path: &str| error.within(path).within("incidents");
    let incidents = match input.incidents {
        ProblemIncidentsInput::Ids(ids) => {
            let one = |(place, id): (usize, &ID)| {
                let place = place.to_string();
                ticket::TicketRef::parse(id, &place).map_err(|error| within(error, "ids"))
            };
            Incidents::These(ids.iter().enumerate().map(one).collect::<kernel::Result<_>>()?)
        }
        ProblemIncidentsInput::Filter(filter) => {
            Incidents::Matching(filter.predicate().map_err(|error| within(error, "filter"))?)
        }
    };
    Ok(LinkIncidents { problem: problem_ref(&input.problem, "problem")?, incidents })
}

/// Does what the mutation says.
pub(super) async fn link(ctx: &Context<'_>, input: ProblemLinkIncidentsInput) -> Result<ProblemLinkIncidentsPayload> {
    let (viewer, platform) = (mutation(ctx)?, platform(ctx));
    let result = match command(input) {
        Ok(command) => platform.problems.link_incidents(&viewer, command).await,
        Err(error) => Err(error),
    };
    let (done, user_errors) = part(result)?;
    let Some(done) = done else {
        return Ok(ProblemLinkIncidentsPayload {
            problem: None,
            results: None,
            has_more: false,
            events: Vec::new(),
            user_errors,
        });
    };
    Ok(ProblemLinkIncidentsPayload {
        problem: done.problem.map(Problem::from_row),
        results: Some(done.results.into_iter().map(ProblemLinkResult).collect()),
        has_more: done.has_more,
        events: from_store(&viewer, platform, done.events),
        user_errors,
    })
}
