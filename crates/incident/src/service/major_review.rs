//! Looking back at major incidents: what was noted, the review, and what is to be done.

use access::permission::{INCIDENT_MANAGE_MAJOR, TICKET_INTERNAL};
use access::{Changed, Managed};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Id, PageDirection, Patch, Result, UserError, Uuid};
use predicate::{Path, Predicate, Test, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Audience, RecordRef, Tx};
use ticket::commands::{check_body, check_long_text};
use ticket::fields::EVENT;
use ticket::{Edit, Outcome, TicketKind, TicketRef};

use super::Incidents;
use crate::commands::{AddMajorAction, AddTimelineNote, WriteReview};
use crate::events;
use crate::fields::{ACTION, REVIEW, STATUS_UPDATE, TIMELINE_NOTE};
use crate::major::{self, ActionKind, LAST_STATUS_UPDATES, MAX_ACTIONS, MAX_TIMELINE_EVENTS, MAX_TIMELINE_NOTES};

/// What the timeline leaves out: that somebody looks on, and notes, which stand there themselves.
const NOT_ON_TIMELINES: &[&str] = &[ticket::events::WATCHED, ticket::events::UNWATCHED, events::TIMELINE_NOTE_ADDED];
/// Those who may write a review without the permission.
const REVIEWERS: &[&str] = &["commander", "scribe"];

impl Incidents {
    /// Notes something on the timeline of a major incident.
    ///
    /// # Errors
    /// `NOT_FOUND` at `incident`; `FORBIDDEN` without `ticket.internal`; `VALIDATION` at `body`, `at`, and for what is no major incident;
    /// `LIMIT` beyond [`MAX_TIMELINE_NOTES`].
    pub async fn add_timeline_note(&self, ctx: &Ctx, command: AddTimelineNote) -> Result<Changed<Row>> {
        let mut problems = Problems::default();
        check_body(&mut problems, "body", &command.body);
        if command.at.is_some_and(|at| at > ctx.now()) {
            problems.add(UserError::constraint(["at"], "it is in the future", "range", None));
        }
        problems.check()?;
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "timelineNoteAdd", move |tx| {
            let (incidents, command) = (incidents.clone(), command.clone());
            Box::pin(async move { incidents.add_note_in(tx, &command).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &TIMELINE_NOTE, "the note").await
    }

    async fn add_note_in(&self, tx: &mut Tx, command: &AddTimelineNote) -> Result<Row> {
        let edit = self.accepted_edit_in(tx, &command.incident).await?;
        self.require_on(tx.ctx(), &edit, TICKET_INTERNAL, REVIEWERS)?;
        edit.hold_in(tx).await?;
        self.check_room_in(tx, &TIMELINE_NOTE, edit.before.id(), MAX_TIMELINE_NOTES).await?;
        let row = Row::new(
            &TIMELINE_NOTE,
            vec![
                ("id", tx.new_id().into()),
                ("incident", edit.before.id().into()),
                ("at", command.at.unwrap_or_else(|| tx.now()).into()),
                ("body", command.body.as_str().into()),
                ("author", tx.ctx().actor.id.into()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_in(tx, tx.ctx().tenant, &TIMELINE_NOTE, &row).await?;
        self.tell_internally(tx, &edit, events::TIMELINE_NOTE_ADDED, json!({ "note": row.id().to_string() }));
        tx.answers_with(RecordRef { id: Id::new(prefix::TIMELINE_NOTE, row.id()), version: 1 });
        Ok(row)
    }

    fn tell_internally(&self, tx: &mut Tx, edit: &Edit, kind: &'static str, payload: Json) {
        let mut event = edit.event(self.tickets().access(), kind, payload);
        event.audience = Audience::Internal;
        tx.emit(event);
    }

    /// Writes the review of a major incident; the first call begins it.
    ///
    /// # Errors
    /// `NOT_FOUND` at `incident`; `FORBIDDEN` for whoever neither holds `incident.manageMajor` nor commands it or writes down for it;
    /// `VALIDATION` and `LIMIT` with paths, and for one that is completed; `CONFLICT` with the current version of the review.
    pub async fn write_major_review(&self, ctx: &Ctx, command: WriteReview) -> Result<Changed<Row>> {
        let mut problems = Problems::default();
        for (field, text) in [("whatHappened", &command.what_happened), ("lessons", &command.lessons)] {
            if let Patch::Set(text) = text {
                check_long_text(&mut problems, field, text);
            }
        }
        major::check_whys(&mut problems, command.five_whys.as_deref().unwrap_or_default());
        problems.check()?;
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "majorIncidentReviewWrite", move |tx| {
            let (incidents, command) = (incidents.clone(), command.clone());
            Box::pin(async move { incidents.write_review_in(tx, &command).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &REVIEW, "the review").await
    }

    async fn write_review_in(&self, tx: &mut Tx, command: &WriteReview) -> Result<Row> {
        let edit = self.reviewed_edit_in(tx, &command.incident).await?;
        let there = self.review_in(tx, edit.before.id()).await?;
        let mut row = there.clone().unwrap_or_else(|| {
            let values = vec![
                ("id", tx.new_id().into()),
                ("incident", edit.before.id().into()),
                ("fiveWhys", Value::TextList(Vec::new())),
                ("version", 0.into()),
                ("createdAt", tx.now().into()),
            ];
            Row::new(&REVIEW, values)
        });
        Managed::expect_version(&row, command.expected_version)?;
        for (field, text) in [("whatHappened", &command.what_happened), ("lessons", &command.lessons)] {
            match text {
                Patch::Keep => {}
                Patch::Clear => row.set(field, Value::Null),
                Patch::Set(text) => row.set(field, text.as_str().into()),
            }
        }
        if let Some(whys) = &command.five_whys {
            row.set("fiveWhys", Value::TextList(whys.clone()));
        }
        let version = Managed::version(&row);
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let tenant = tx.ctx().tenant;
        match there {
            None => query::insert_unique_in(tx, tenant, &REVIEW, &row).await?,
            Some(_) => {
                let fields = ["whatHappened", "lessons", "fiveWhys", "version", "updatedAt"];
                let values = fields.map(|field| (field, row.get(field).clone()));
                if !query::update_in(&*tx, tenant, &REVIEW, row.id(), Some(version), &values).await? {
                    return Err(tx.retry());
                }
            }
        }
        self.tell_internally(tx, &edit, events::MAJOR_REVIEW_UPDATED, json!({ "review": row.id().to_string() }));
        tx.answers_with(RecordRef {
            id: Id::new(prefix::MAJOR_INCIDENT_REVIEW, row.id()),
            version: Managed::version(&row),
        });
        Ok(row)
    }

    /// A major incident that is not looked back at yet, held, for whoever may look back.
    async fn reviewed_edit_in(&self, tx: &mut Tx, incident: &TicketRef) -> Result<Edit> {
        let edit = self.accepted_edit_in(tx, incident).await?;
        self.require_on(tx.ctx(), &edit, INCIDENT_MANAGE_MAJOR, REVIEWERS)?;
        if !edit.before.get("reviewedAt").is_null() {
            let message = "its review is completed and changes no more";
            return Err(UserError::constraint(["incident"], message, "reviewed", None).into());
        }
        edit.hold_in(tx).await?;
        Ok(edit)
    }

    async fn review_in(&self, tx: &Tx, incident: Uuid) -> Result<Option<Row>> {
        // Whoever may write it has read it: a commander needs no further right.
        let access = self.tickets().access();
        let system = access.system_ctx(tx.ctx().tenant, &tx.ctx().request_id);
        access.find_unmasked(tx, &system, &REVIEW, Some(Predicate::eq("incident", incident))).await
    }

    /// Completes the review of a major incident, which can be closed from then on.
    ///
    /// # Errors
    /// As [`Incidents::write_major_review`]; `VALIDATION` while it does not say what happened and why.
    pub async fn complete_major_review(
        &self,
        ctx: &Ctx,
        incident: TicketRef,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        let incidents = self.clone();
        self.tickets()
            .write(ctx, "majorIncidentReviewComplete", move |tx| {
                let (incidents, incident) = (incidents.clone(), incident.clone());
                Box::pin(async move { incidents.complete_review_in(tx, &incident, expected_version).await })
            })
            .await
    }

    async fn complete_review_in(
        &self,
        tx: &mut Tx,
        incident: &TicketRef,
        expected_version: Option<i32>,
    ) -> Result<Row> {
        let mut edit = self.reviewed_edit_in(tx, incident).await?;
        edit.expect_version(expected_version)?;
        let review = self.review_in(tx, edit.before.id()).await?;
        let said = |row: &Row| row.optional_text("whatHappened").is_some_and(|text| !text.trim().is_empty());
        let review = review.filter(|row| said(row) && !row.texts("fiveWhys").is_empty()).ok_or_else(|| {
            let message = "the review says what happened and why first: `majorIncidentReviewWrite`";
            UserError::constraint(["incident"], message, "review", None)
        })?;
        let version = Managed::version(&review);
        let values =
            [("completedAt", tx.now().into()), ("version", (version + 1).into()), ("updatedAt", tx.now().into())];
        if !query::update_in(&*tx, tx.ctx().tenant, &REVIEW, review.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        edit.set("reviewedAt", tx.now());
        edit.save_in(tx, self.tickets().access(), events::MAJOR_REVIEW_COMPLETED, Json::Null).await?;
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    /// Has something done after a major incident: a task that belongs to no ticket, for the incident may be over. A problem is opened by
    /// whoever follows the event.
    ///
    /// # Errors
    /// As [`Incidents::write_major_review`], but a completed review gets further actions; `FORBIDDEN` without what a task needs;
    /// `LIMIT` beyond [`MAX_ACTIONS`]; and those of a task's fields.
    pub async fn add_major_action(&self, ctx: &Ctx, command: AddMajorAction) -> Result<Changed<Row>> {
        let draft = self.tickets().checked_task(ctx, command.draft)?;
        let number = self.tickets().numbers().next(ctx, TicketKind::Task).await?;
        let command = AddMajorAction { draft, ..command };
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "majorIncidentActionAdd", move |tx| {
            let (incidents, command, number) = (incidents.clone(), command.clone(), number.clone());
            Box::pin(async move { incidents.add_action_in(tx, &command, number).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &ACTION, "the action").await
    }

    async fn add_action_in(&self, tx: &mut Tx, command: &AddMajorAction, number: String) -> Result<Row> {
        let edit = self.accepted_edit_in(tx, &command.incident).await?;
        self.require_on(tx.ctx(), &edit, INCIDENT_MANAGE_MAJOR, REVIEWERS)?;
        edit.hold_in(tx).await?;
        self.check_room_in(tx, &ACTION, edit.before.id(), MAX_ACTIONS).await?;
        let ticket = match command.kind {
            ActionKind::Problem => None,
            ActionKind::Task => {
                let (service, team) = (edit.before.relation("service"), edit.before.relation("team"));
                let task = self.tickets().insert_task_alone_in(tx, &command.draft, service, team, number).await?;
                Some(task.id())
            }
        };
        let row = Row::new(
            &ACTION,
            vec![
                ("id", tx.new_id().into()),
                ("incident", edit.before.id().into()),
                ("kind", command.kind.as_str().into()),
                ("title", command.draft.title.trim().into()),
                ("description", command.draft.description.clone().into()),
                ("ticket", ticket.into()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_in(tx, tx.ctx().tenant, &ACTION, &row).await?;
        let payload = json!({
            "action": row.id().to_string(), "kind": command.kind.as_str(), "title": command.draft.title.trim(),
        });
        self.tell_internally(tx, &edit, events::MAJOR_ACTION_ADDED, payload);
        tx.answers_with(RecordRef { id: Id::new(prefix::MAJOR_INCIDENT_ACTION, row.id()), version: 1 });
        Ok(row)
    }

    /// An action, for whoever makes something of it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn action_in(&self, tx: &Tx, action: Uuid) -> Result<Option<Row>> {
        let condition = Some(Predicate::eq("id", action));
        self.tickets().access().find_unmasked(tx, tx.ctx(), &ACTION, condition).await
    }

    /// Notes what became of an action.
    ///
    /// # Errors
    /// Database errors.
    pub async fn action_became_in(&self, tx: &Tx, action: Uuid, ticket: Uuid) -> Result<()> {
        let values = [("ticket", ticket.into())];
        query::update_in(tx, tx.ctx().tenant, &ACTION, action, None, &values).await.map(drop)
    }

    /// The last [`LAST_STATUS_UPDATES`] status updates of each of these incidents, the oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn status_updates_of(&self, ctx: &Ctx, incidents: &[Uuid]) -> Result<Vec<Row>> {
        self.of_incidents(ctx, &STATUS_UPDATE, incidents, PageDirection::Backward, LAST_STATUS_UPDATES).await
    }

    /// The reviews of these incidents.
    ///
    /// # Errors
    /// Database errors.
    pub async fn major_reviews_of(&self, ctx: &Ctx, incidents: &[Uuid]) -> Result<Vec<Row>> {
        self.of_incidents(ctx, &REVIEW, incidents, PageDirection::Forward, 1).await
    }

    /// What is to be done after these incidents, the oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn major_actions_of(&self, ctx: &Ctx, incidents: &[Uuid]) -> Result<Vec<Row>> {
        self.of_incidents(ctx, &ACTION, incidents, PageDirection::Forward, MAX_ACTIONS as u32).await
    }

    /// What is noted on the timelines of these incidents.
    ///
    /// # Errors
    /// Database errors.
    pub async fn timeline_notes_of(&self, ctx: &Ctx, incidents: &[Uuid]) -> Result<Vec<Row>> {
        self.of_incidents(ctx, &TIMELINE_NOTE, incidents, PageDirection::Forward, MAX_TIMELINE_NOTES as u32).await
    }

    /// What the log tells of these incidents, as far as a timeline shows it, the oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn timeline_events_of(&self, ctx: &Ctx, incidents: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.tickets().access().visible(ctx);
        let scoped = self.tickets().access().scoped(ctx, &visible);
        let shown = Predicate::Not(Box::new(Predicate::one_of("kind", NOT_ON_TIMELINES)))
            .and(Predicate::Is(Path::field("position"), Test::IsNull(false)));
        let (forward, limit) = (PageDirection::Forward, MAX_TIMELINE_EVENTS as u32);
        let reader = self.tickets().store().read("majorIncident.timeline");
        query::by_parents(&reader, &scoped, &EVENT, "subject", incidents, &shown, forward, limit, &["actor", "ticket"])
            .await
    }

    async fn of_incidents(
        &self,
        ctx: &Ctx,
        record: &'static predicate::RecordType,
        incidents: &[Uuid],
        direction: PageDirection,
        limit: u32,
    ) -> Result<Vec<Row>> {
        let visible = self.tickets().access().visible(ctx);
        let scoped = self.tickets().access().scoped(ctx, &visible);
        let reader = self.tickets().store().read("majorIncident.parts");
        let all = Predicate::always();
        query::by_parents(&reader, &scoped, record, "incident", incidents, &all, direction, limit, &[]).await
    }
}
