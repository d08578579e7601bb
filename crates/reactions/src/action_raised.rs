//! A problem is to be analysed after a major incident: it is opened, and said to be the incident's cause.

use access::UserRef;
use futures_util::future::BoxFuture;
use incident::events::MAJOR_ACTION_ADDED;
use incident::major::ActionKind;
use incident::{INCIDENT, Incidents};
use kernel::id::prefix;
use kernel::{ActorKind, Error, Id, Result, Uuid};
use problem::{CreateProblem, ProblemOrigin, Problems};
use store::query::Row;
use store::{Event, Tx};
use ticket::{Impact, TicketDraft, TicketKind, Urgency};

use crate::follow::{AfterCommit, Progress};

/// See the module.
pub struct ActionRaised {
    incidents: Incidents,
    problems: Problems,
}

impl ActionRaised {
    /// Between these incidents and these problems.
    pub fn new(incidents: Incidents, problems: Problems) -> Self {
        Self { incidents, problems }
    }

    async fn react_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        let action: Option<Uuid> = event.payload["action"].as_str().and_then(|id| id.parse().ok());
        let action = self.incidents.action_in(&*tx, action.unwrap_or_default()).await?;
        let Some(action) = action.filter(|action| action.get("ticket").is_null()) else { return Ok(Progress::Done) };
        let tickets = self.problems.tickets();
        let of_incident = tickets.access().find_unmasked(
            &*tx,
            tx.ctx(),
            &INCIDENT,
            Some(predicate::Predicate::eq("id", event.subject)),
        );
        let Some(incident) = of_incident.await? else { return Ok(Progress::Done) };
        let number = tickets.numbers().supply(tx.ctx(), TicketKind::Problem, 1)?.pop();
        let number = number.ok_or_else(|| Error::internal("one number was asked for"))?;
        let mut draft = draft(&action, &incident, event);
        // What is no longer in use can be on an incident, and cannot be chosen.
        if let Some(service) = incident.get("service").as_id() {
            draft.service = self.problems.service_in_use(&*tx, tx.ctx(), service).await?;
        }
        let command = CreateProblem {
            draft,
            origin: ProblemOrigin::Reactive,
            symptom: None,
            root_cause: None,
            workaround: None,
            known_error: false,
        };
        let mut problem = self.problems.create_in(tx, &command, number, Vec::new()).await?;
        problem.proceed();
        self.problems.link_wanted_in(tx, &problem, &[Some(incident.id())]).await?;
        self.incidents.action_became_in(tx, action.id(), problem.before.id()).await?;
        Ok(Progress::Done)
    }
}

/// As urgent as the incident was; for whoever asked for it, if that is a person.
fn draft(action: &Row, incident: &Row, event: &Event) -> TicketDraft {
    let impact = Impact::parse(&incident.text("impact")).unwrap_or(Impact::Medium);
    let urgency = Urgency::parse(&incident.text("urgency")).unwrap_or(Urgency::Medium);
    let requester = match event.actor.kind {
        ActorKind::User => Some(event.actor.id),
        _ => incident.get("requester").as_id(),
    };
    TicketDraft {
        description: action.optional_text("description"),
        requester: requester.map(|id| UserRef::Id(Id::new(prefix::USER, id))),
        ..TicketDraft::titled(action.text("title"), impact, urgency)
    }
}

impl AfterCommit for ActionRaised {
    fn name(&self) -> &'static str {
        "actionRaised"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[MAJOR_ACTION_ADDED]
    }

    fn concerns(&self, event: &Event) -> bool {
        event.payload["kind"] == ActionKind::Problem.as_str()
    }

    fn opens(&self) -> TicketKind {
        TicketKind::Problem
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
