//! Making and changing reviews, and the tasks that come out of them.

use access::permission::AGREEMENT_MANAGE;
use access::{Changed, Managed, UserRef};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Id, Result, UserError, Uuid};
use predicate::{Predicate, Value};
use serde_json::json;
use sla::attainment::AttainmentRequest;
use store::Tx;
use store::query::{self, Row};
use ticket::model::TicketKind;
use ticket::statistics::Interval;
use ticket::{Outcome, TaskDraft};

use super::Agreements;
use super::writing::Writing;
use crate::commands::{
    AddReviewAction, AgreementRef, CreateReview, MAX_ATTENDEES, MAX_REVIEW_ACTIONS, ReviewDraft, UpdateReview,
};
use crate::events::{REVIEW_ACTION_ADDED, REVIEW_CREATED, REVIEW_UPDATED, SUBJECT_REVIEW};
use crate::fields::{REVIEW, REVIEW_ACTION};
use crate::model::ReviewState;
use crate::queries::uuids;
use crate::review::{DIMENSIONS, Figure};

const KIND: Managed = Managed { record: &REVIEW, subject: SUBJECT_REVIEW, prefix: prefix::SERVICE_REVIEW };

impl Agreements {
    /// Makes a review. Its figures are counted now, of all tickets of the agreement, whoever may see them: a review is about the whole.
    ///
    /// # Errors
    /// `FORBIDDEN` without `agreement.manage`; `VALIDATION` at `since` and `until`; `NOT_FOUND` for what it points at.
    pub async fn create_review(&self, ctx: &Ctx, command: CreateReview) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, AGREEMENT_MANAGE)?;
        check_range(ctx, &command)?;
        let reader = self.store().read("serviceReview.agreement");
        let agreement = self.agreement_in(&reader, ctx, &command.agreement).await;
        let agreement = agreement.map_err(|error| error.within("agreement"))?;
        let figures = self.figures(ctx, &agreement, &command).await?;
        let agreements = self.clone();
        self.write(ctx, "serviceReviewCreate", &REVIEW, "the review", move |tx| {
            let (agreements, command) = (agreements.clone(), command.clone());
            let (agreement, figures) = (agreement.id(), json!(figures));
            Box::pin(async move {
                let empty = Row::new(
                    &REVIEW,
                    vec![
                        ("agreement", agreement.into()),
                        ("since", command.since.into()),
                        ("until", command.until.into()),
                        ("attendees", Value::TextList(Vec::new())),
                        ("figures", Value::Json(figures)),
                        ("state", ReviewState::Open.as_str().into()),
                    ],
                );
                let row = agreements.review_written_in(tx, empty, &command.draft).await?;
                KIND.insert_in(tx, REVIEW_CREATED, row.fields().to_vec()).await
            })
        })
        .await
    }

    async fn figures(&self, ctx: &Ctx, agreement: &Row, command: &CreateReview) -> Result<Vec<Figure>> {
        let policies = uuids(agreement, "policies", prefix::SLA_POLICY);
        let services = uuids(agreement, "services", prefix::SERVICE);
        let request = AttainmentRequest {
            filter: Predicate::one_of("policy", &policies)
                .and(Predicate::one_of("service", &services).through("ticket")),
            dimensions: DIMENSIONS.to_vec(),
            interval: Interval::Month,
            time_zone: "UTC".to_owned(),
            since: command.since,
            until: command.until,
        };
        let system = self.access().system_ctx(ctx.tenant, &ctx.request_id);
        let found = self.levels().attainment(&system, request).await?;
        Ok(found.groups.iter().filter_map(Figure::of).collect())
    }

    /// Changes a review that is open, or closes it.
    ///
    /// # Errors
    /// As [`Agreements::create_review`]; `NOT_FOUND` at `id`; `VALIDATION` at `id` for a closed one; `CONFLICT` with the
    /// current version.
    pub async fn update_review(&self, ctx: &Ctx, command: UpdateReview) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceReviewUpdate", &REVIEW, "the review", move |tx| {
            let (agreements, command) = (agreements.clone(), command.clone());
            Box::pin(async move {
                let before = agreements.open_review_in(tx, &command.review).await?;
                Managed::expect_version(&before, command.expected_version)?;
                let mut row = agreements.review_written_in(tx, before.clone(), &command.draft).await?;
                if let Some(state) = command.state {
                    row.set("state", state.as_str().into());
                }
                KIND.update_in(tx, REVIEW_UPDATED, &before, row).await
            })
        })
        .await
    }

    async fn open_review_in(&self, tx: &Tx, id: &Id) -> Result<Row> {
        let row = self.review_in(tx, id).await.map_err(|error| error.within("id"))?;
        if row.text("state") == ReviewState::Closed.as_str() {
            let message = "a closed review changes no more";
            return Err(UserError::constraint(["id"], message, "state", None).into());
        }
        Ok(row)
    }

    async fn review_written_in(&self, tx: &mut Tx, row: Row, draft: &ReviewDraft) -> Result<Row> {
        let mut writing = Writing::new(self, tx, row);
        writing.time("heldAt", &draft.held_at);
        writing.text("minutes", &draft.minutes)?;
        if let Some(attendees) = &draft.attendees {
            let found = found_users(&mut writing, attendees).await;
            writing.list("attendees", prefix::USER, MAX_ATTENDEES, found)?;
        }
        writing.done()
    }

    /// Adds an action to an open review: a task that belongs to no ticket.
    ///
    /// # Errors
    /// `FORBIDDEN` without `agreement.manage` and what a task needs; `NOT_FOUND` at `id`; `VALIDATION` for a closed one;
    /// `LIMIT` beyond [`MAX_REVIEW_ACTIONS`]; and those of a task's fields.
    pub async fn add_review_action(&self, ctx: &Ctx, command: AddReviewAction) -> Result<Outcome> {
        self.access().require_tenant(ctx, AGREEMENT_MANAGE)?;
        let tickets = self.levels().tickets();
        let task = tickets.checked_task(ctx, command.task)?;
        let number = tickets.numbers().next(ctx, TicketKind::Task).await?;
        let (agreements, review) = (self.clone(), command.review);
        tickets
            .write(ctx, "serviceReviewActionAdd", move |tx| {
                let (agreements, task, number) = (agreements.clone(), task.clone(), number.clone());
                Box::pin(async move { agreements.add_action_in(tx, &review, &task, number).await })
            })
            .await
    }

    async fn add_action_in(&self, tx: &mut Tx, review: &Id, task: &TaskDraft, number: String) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let review = self.open_review_in(tx, review).await?;
        let of_review = Predicate::eq("review", review.id());
        let system = self.access().system_ctx(ctx.tenant, &ctx.request_id);
        let everything = access::visibility::unmasked(&self.access().visible(&system));
        let scoped = self.access().scoped(&system, &everything);
        let there = query::all(&*tx, &scoped, &REVIEW_ACTION, &of_review, &[], MAX_REVIEW_ACTIONS as u64).await?.len();
        if there >= MAX_REVIEW_ACTIONS {
            let message = format!("the review has {there} actions; at most {MAX_REVIEW_ACTIONS} are allowed");
            return Err(UserError::limit(["id"], message, MAX_REVIEW_ACTIONS as u64).into());
        }
        let (service, team) = self.keepers_in(tx, &ctx, &review).await?;
        let tickets = self.levels().tickets();
        let made = tickets.insert_task_alone_in(tx, task, service.as_ref(), team.as_ref(), number).await?;
        let action = Row::new(
            &REVIEW_ACTION,
            vec![("id", tx.new_id().into()), ("review", review.id().into()), ("task", made.id().into())],
        );
        query::insert_in(tx, ctx.tenant, &REVIEW_ACTION, &action).await?;
        let payload = json!({ "task": Id::new(TicketKind::Task.id_prefix(), made.id()).to_string() });
        tx.emit(KIND.event(REVIEW_ACTION_ADDED, &review, Vec::new(), payload));
        Ok(made)
    }

    /// The first service of the review's agreement, and the team that looks after it, or that of the agreement.
    async fn keepers_in(&self, tx: &mut Tx, ctx: &Ctx, review: &Row) -> Result<(Option<Row>, Option<Row>)> {
        let agreement = review.get("agreement").as_id().unwrap_or_default();
        let agreement = AgreementRef::Id(Id::new(prefix::SERVICE_AGREEMENT, agreement));
        let agreement = self.agreement_in(&*tx, ctx, &agreement).await?;
        let service = match uuids(&agreement, "services", prefix::SERVICE).first() {
            Some(id) => {
                let reference = configuration::ServiceRef::Id(Id::new(prefix::SERVICE, *id));
                Some(self.configuration().service_in(tx, &reference).await?)
            }
            None => None,
        };
        let of_service = service.as_ref().and_then(|service| service.get("team").as_id());
        let team: Option<Uuid> = of_service.or_else(|| agreement.get("team").as_id());
        let team = match team {
            Some(id) => {
                let reference = access::TeamRef::Id(Id::new(prefix::TEAM, id));
                Some(self.access().team_in(tx, ctx, &reference).await?)
            }
            None => None,
        };
        Ok((service, team))
    }
}

async fn found_users(writing: &mut Writing<'_>, users: &[UserRef]) -> Vec<Result<Row>> {
    let mut found = Vec::new();
    for user in users.iter().take(MAX_ATTENDEES + 1) {
        found.push(writing.agreements.access().user_in(writing.tx, &writing.ctx, user).await);
    }
    found
}

fn check_range(ctx: &Ctx, command: &CreateReview) -> Result<()> {
    let mut problems = Problems::default();
    if command.until <= command.since {
        let message = "the time ends behind its beginning: `until` is later than `since`";
        problems.add(UserError::validation(["until"], message));
    }
    if command.until > ctx.now() {
        problems.add(UserError::validation(
            ["until"],
            "a review looks at a time that is over: `until` is not in the future",
        ));
    }
    problems.check()
}
