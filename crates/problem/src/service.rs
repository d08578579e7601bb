//! Use cases of problems: authorise, load, decide, write, tell.

mod detecting;
mod detection_rules;
mod fix;
mod linking;
mod workaround;

pub use detecting::Simulated;
pub use detection_rules::DetectionRule;
pub use linking::{LinkOutcome, LinkRefusal, LinkedIncident, LinkedIncidents};

use access::permission::PROBLEM_MANAGE;
use kernel::error::Problems as Complaints;
use kernel::{Ctx, Error, Id, Patch, Result, Timestamp, UserError, id};
use predicate::Value;
use serde_json::{Map, Value as Json, json};
use store::Tx;
use store::query::Row;
use ticket::commands::check_long_text;
use ticket::{Edit, Outcome, TicketKind, TicketRef, Tickets, TransitionTicket};

use crate::commands::{CreateProblem, UpdateProblem};
use crate::events;
use crate::fields::PROBLEM;
use crate::model::{FIXED, RISK_ACCEPTED};
use crate::rules::not_recognisable;

/// Everything that can be done with problems. Cheap to clone.
#[derive(Clone)]
pub struct Problems {
    tickets: Tickets,
}

impl Problems {
    /// On top of tickets, among whose kinds are the [`crate::ProblemRules`].
    pub fn new(tickets: Tickets) -> Self {
        Self { tickets }
    }

    /// The tickets underneath.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// The id of a problem as clients see it.
    pub fn public_id(row: &Row) -> Id {
        Id::new(id::prefix::PROBLEM, row.id())
    }

    /// Opens a problem.
    ///
    /// # Errors
    /// `FORBIDDEN`, `VALIDATION`, `NOT_FOUND` for what the input points at, `CONFLICT` for an external reference that is taken.
    pub async fn create(&self, ctx: &Ctx, mut command: CreateProblem) -> Result<Outcome> {
        if !ctx.grants.holds(PROBLEM_MANAGE) {
            return Err(UserError::forbidden(PROBLEM_MANAGE).into());
        }
        command.draft.check(ctx)?;
        let mut complaints = Complaints::default();
        for (field, text) in
            [("symptom", &command.symptom), ("rootCause", &command.root_cause), ("workaround", &command.workaround)]
        {
            if let Some(text) = text {
                check_long_text(&mut complaints, field, text);
            }
        }
        complaints.check()?;
        let number = self.tickets.numbers().next(ctx, TicketKind::Problem).await?;
        let problems = self.clone();
        self.tickets
            .write(ctx, "problemCreate", move |tx| {
                let (problems, command, number) = (problems.clone(), command.clone(), number.clone());
                Box::pin(async move { Ok(problems.create_in(tx, &command, number, Vec::new()).await?.after) })
            })
            .await
    }

    /// Opens a problem inside a write. `found` are the fields of one that a rule found.
    ///
    /// # Errors
    /// As [`Problems::create`].
    pub async fn create_in(
        &self,
        tx: &mut Tx,
        command: &CreateProblem,
        number: String,
        found: Vec<(&'static str, Value)>,
    ) -> Result<Edit> {
        let rules = self.tickets.kinds().get(TicketKind::Problem)?.clone();
        let mut own = vec![
            ("origin", command.origin.as_str().into()),
            ("symptom", command.symptom.clone().into()),
            ("rootCause", command.root_cause.clone().into()),
            ("workaround", command.workaround.clone().into()),
            ("knownError", command.known_error.into()),
            ("publication", 0.into()),
        ];
        check_recognisable(&Row::new(&PROBLEM, own.clone()))?;
        own.extend(found);
        self.tickets.open_in(tx, &rules, &command.draft, number, own, events::CREATED).await
    }

    /// Changes a problem.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `VALIDATION`, `CONFLICT`.
    pub async fn update(&self, ctx: &Ctx, mut command: UpdateProblem) -> Result<Outcome> {
        command.patch.check()?;
        let mut complaints = Complaints::default();
        for (field, text) in
            [("symptom", &command.symptom), ("rootCause", &command.root_cause), ("workaround", &command.workaround)]
        {
            if let Patch::Set(text) = text {
                check_long_text(&mut complaints, field, text);
            }
        }
        complaints.check()?;
        let problems = self.clone();
        self.tickets
            .write(ctx, "problemUpdate", move |tx| {
                let (problems, command) = (problems.clone(), command.clone());
                Box::pin(async move { problems.update_in(tx, &command).await })
            })
            .await
    }

    async fn update_in(&self, tx: &mut Tx, command: &UpdateProblem) -> Result<Row> {
        let mut edit = self.edit_in(tx, &command.problem, "id").await?;
        edit.expect_version(command.expected_version)?;
        self.tickets.patch_in(tx, &mut edit, &command.patch).await?;
        for (field, text) in
            [("symptom", &command.symptom), ("rootCause", &command.root_cause), ("workaround", &command.workaround)]
        {
            match text {
                Patch::Keep => {}
                Patch::Clear => edit.set(field, Value::Null),
                Patch::Set(text) => edit.set(field, text.as_str()),
            }
        }
        if let Some(known) = command.known_error {
            edit.set("knownError", known);
        }
        if let Some(at) = command.risk_review_at {
            check_review(&edit.before, at, tx.now())?;
            edit.set("riskReviewAt", at);
        }
        check_recognisable(&edit.after)?;
        self.tickets.save_patch_in(tx, &mut edit, &command.patch).await?;
        Ok(edit.after)
    }

    /// Brings a problem to its end: `FIXED` resolves it, `RISK_ACCEPTED` (with the date of its review) and all other codes close it.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn resolve(
        &self,
        ctx: &Ctx,
        problem: TicketRef,
        (code, notes): (String, String),
        risk_review_at: Option<Timestamp>,
        custom_fields: Map<String, Json>,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        let mut inputs = Map::new();
        inputs.insert("resolutionNotes".into(), notes.into());
        if let Some(at) = risk_review_at {
            inputs.insert("riskReviewAt".into(), at.to_rfc3339().into());
        }
        if !custom_fields.is_empty() {
            inputs.insert("customFields".into(), custom_fields.into());
        }
        let transition = match code.as_str() {
            FIXED => "resolve",
            RISK_ACCEPTED => "accept_risk",
            _ => "dismiss",
        };
        if code != RISK_ACCEPTED {
            inputs.insert("resolutionCode".into(), code.into());
        }
        let command = TransitionTicket {
            ticket: problem,
            transition: transition.into(),
            inputs,
            comment: None,
            resolve_children: false,
            expected_version,
        };
        self.tickets.transition_as(ctx, "problemResolve", command).await.map_err(without_fields)
    }

    /// Reopens a resolved problem, which was not fixed: the transition `reopen`.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn reopen(
        &self,
        ctx: &Ctx,
        problem: TicketRef,
        comment: Option<String>,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        let command = TransitionTicket {
            ticket: problem,
            transition: "reopen".into(),
            inputs: Map::new(),
            comment,
            resolve_children: false,
            expected_version,
        };
        self.tickets.transition_as(ctx, "problemReopen", command).await
    }

    /// The problem that a write is about.
    ///
    /// # Errors
    /// `NOT_FOUND` at `path`, also for a ticket of another kind.
    pub async fn edit_in(&self, tx: &mut Tx, reference: &TicketRef, path: &str) -> Result<Edit> {
        let edit = self.tickets.edit_in(tx, reference, path).await?;
        match edit.rules.kind() {
            TicketKind::Problem => Ok(edit),
            _ => Err(UserError::not_found([path], "the problem").into()),
        }
    }

    /// An event on a problem that changes nothing of it, for those who work on it.
    fn tell(&self, tx: &mut Tx, problem: &Edit, kind: &'static str, payload: Json) {
        let mut event = problem.event(self.tickets.access(), kind, payload);
        event.changes.clear();
        event.audience = store::Audience::Internal;
        tx.emit(event);
    }
}

fn check_recognisable(row: &Row) -> Result<()> {
    match not_recognisable(row) {
        None => Ok(()),
        Some(message) => Err(UserError::constraint(["knownError"], message, "knownError", None).into()),
    }
}

/// Only an accepted risk has a date of its review, and that lies ahead.
fn check_review(problem: &Row, at: Timestamp, now: Timestamp) -> Result<()> {
    let complaint = match problem.text("resolutionCode") == RISK_ACCEPTED {
        false => "only a problem whose risk was accepted has a date of its review",
        true if at <= now => "`riskReviewAt` is in the past",
        true => return Ok(()),
    };
    Err(UserError::constraint(["riskReviewAt"], complaint, "riskReviewAt", None).into())
}

/// `problemResolve` takes the transition's inputs at the top of its own: the path has no `fields`.
fn without_fields(error: Error) -> Error {
    match error {
        Error::Refused(errors) => Error::Refused(
            errors
                .into_iter()
                .map(|mut error| {
                    if error.path.first().is_some_and(|segment| segment == "fields") {
                        error.path.remove(0);
                    }
                    error
                })
                .collect(),
        ),
        other => other,
    }
}

/// The payload that names a publication.
pub(crate) fn publication(number: i32) -> Json {
    json!({ "publication": number })
}
