//! Telling of major incidents: status updates, what they bring to the children, and the reminders between them.

use access::Changed;
use access::permission::INCIDENT_MANAGE_MAJOR;
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Mutation, Result, Uuid};
use predicate::Predicate;
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Audience, NewJob, RecordRef, Tx};
use ticket::commands::check_body;
use ticket::fields::LINK;
use ticket::model::{CommentVisibility, LinkType, MAX_LINKS};
use ticket::{Edit, StateCategory, TicketKind, TicketRef, timer};

use super::Incidents;
use crate::commands::PostStatusUpdate;
use crate::events;
use crate::fields::STATUS_UPDATE;
use crate::major::{self, MAX_STATUS_UPDATES, UpdateAudience};

/// The job that reminds of a status update.
pub const STATUS_UPDATE_DUE: &str = "incident.statusUpdateDue";
/// The job that brings a status update to the children of its incident.
pub const TELL_CHILDREN: &str = "incident.tellChildren";

impl Incidents {
    /// Tells of a major incident. The open children of the incident get it as a comment.
    ///
    /// # Errors
    /// `NOT_FOUND` at `incident`; `FORBIDDEN` for whoever neither holds `incident.manageMajor` nor commands it or tells of it;
    /// `VALIDATION` at `body`, and for what is no major incident; `LIMIT` beyond [`MAX_STATUS_UPDATES`].
    pub async fn post_status_update(&self, ctx: &Ctx, command: PostStatusUpdate) -> Result<Changed<Row>> {
        let mut problems = Problems::default();
        check_body(&mut problems, "body", &command.body);
        problems.check()?;
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "statusUpdatePost", move |tx| {
            let (incidents, command) = (incidents.clone(), command.clone());
            Box::pin(async move { incidents.post_in(tx, &command).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &STATUS_UPDATE, "the status update").await
    }

    async fn post_in(&self, tx: &mut Tx, command: &PostStatusUpdate) -> Result<Row> {
        let mut edit = self.accepted_edit_in(tx, &command.incident).await?;
        self.require_on(tx.ctx(), &edit, INCIDENT_MANAGE_MAJOR, &["commander", "communicationsLead"])?;
        edit.hold_in(tx).await?;
        self.check_room_in(tx, &STATUS_UPDATE, edit.before.id(), MAX_STATUS_UPDATES).await?;
        let ctx = tx.ctx().clone();
        let row = Row::new(
            &STATUS_UPDATE,
            vec![
                ("id", ctx.new_id().into()),
                ("incident", edit.before.id().into()),
                ("audience", command.audience.as_str().into()),
                ("body", command.body.as_str().into()),
                ("author", ctx.actor.id.into()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_in(tx, ctx.tenant, &STATUS_UPDATE, &row).await?;
        let id = Id::new(prefix::STATUS_UPDATE, row.id());
        let payload = json!({ "statusUpdate": row.id().to_string(), "audience": command.audience.as_str() });
        let mut event = edit.event(self.tickets().access(), events::STATUS_UPDATE_POSTED, payload);
        if command.audience == UpdateAudience::Internal {
            event.audience = Audience::Internal;
        }
        tx.emit(event);
        let due = major::next_update(&edit.before, tx.now());
        self.set_next_update_in(tx, &mut edit, due).await?;
        tx.enqueue(NewJob {
            kind: TELL_CHILDREN,
            tenant: ctx.tenant,
            unique_key: Some(row.id().to_string()),
            run_at: tx.now(),
            payload: json!({ "statusUpdate": row.id().to_string() }),
        });
        tx.answers_with(RecordRef { id, version: 1 });
        Ok(row)
    }

    /// Notes when the next status update is due, and reminds of it then. The incident's version stays, as with comments.
    async fn set_next_update_in(&self, tx: &mut Tx, edit: &mut Edit, due: Option<kernel::Timestamp>) -> Result<()> {
        let values = [("nextUpdateDueAt", due.into())];
        query::update_in(&*tx, tx.ctx().tenant, edit.rules.record(), edit.after.id(), None, &values).await?;
        edit.set("nextUpdateDueAt", due);
        if let Some(due) = due {
            tx.enqueue(timer::job(tx.ctx(), STATUS_UPDATE_DUE, &edit.after, due));
        }
        Ok(())
    }

    /// Reminds of the status update of a [`STATUS_UPDATE_DUE`] job, unless there was one. A resolved incident is not reminded of, but
    /// may be reopened.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn remind_of_status_update(&self, ctx: &Ctx, incident: TicketRef) -> Result<()> {
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, STATUS_UPDATE_DUE, move |tx| {
            let (incidents, incident) = (incidents.clone(), incident.clone());
            Box::pin(async move { incidents.remind_in(tx, &incident).await })
        });
        written.await.map(drop)
    }

    async fn remind_in(&self, tx: &mut Tx, incident: &TicketRef) -> Result<()> {
        let mut edit = self.incident_edit_in(tx, incident).await?;
        let category = StateCategory::parse(&edit.before.text("stateCategory"));
        let over = category.is_none_or(StateCategory::is_ended);
        let due = edit.before.get("nextUpdateDueAt").as_time();
        let Some(due) = due.filter(|due| !over && *due <= tx.now()) else { return Ok(()) };
        edit.hold_in(tx).await?;
        if category != Some(StateCategory::Resolved) {
            let mut event = edit.event(self.tickets().access(), events::STATUS_UPDATE_DUE, Json::Null);
            event.audience = Audience::Internal;
            tx.emit(event);
        }
        let next = major::due_again(&edit.before, due, tx.now());
        self.set_next_update_in(tx, &mut edit, next).await
    }

    /// Brings the status update of a [`TELL_CHILDREN`] job to the open children of its incident, each once.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn tell_children(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let id: Uuid = payload["statusUpdate"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Error::internal(format!("a job's payload names no status update: {payload}")))?;
        let access = self.tickets().access();
        let reader = self.tickets().store().read("statusUpdate.children");
        let found = access.find_unmasked(&reader, ctx, &STATUS_UPDATE, Some(Predicate::eq("id", id))).await?;
        let update = found.ok_or_else(|| Error::internal("a status update is missing"))?;
        let incident = update.get("incident").as_id().unwrap_or_default();
        let of_parent = Predicate::eq("source", incident).and(Predicate::eq("type", LinkType::ParentOf.as_str()));
        let visible = access.visible(ctx);
        let scoped = access.scoped(ctx, &visible);
        let links = query::all(&reader, &scoped, &LINK, &of_parent, &["source", "target"], MAX_LINKS as u64).await?;
        for link in &links {
            let (Some(parent), Some(child)) = (link.relation("source"), link.relation("target")) else { continue };
            self.tell_child(ctx, &update, parent, child).await?;
        }
        Ok(())
    }

    async fn tell_child(&self, ctx: &Ctx, update: &Row, parent: &Row, child: &Row) -> Result<()> {
        let Some(kind) = TicketKind::parse(&child.text("kind")) else { return Ok(()) };
        let child = TicketRef::Id(Id::new(kind.id_prefix(), child.id()));
        let body = format!("**Status update of {}**\n\n{}", parent.text("number"), update.text("body"));
        let visibility = match UpdateAudience::parse(&update.text("audience")) {
            Some(UpdateAudience::Requesters | UpdateAudience::Public) => CommentVisibility::Public,
            _ => CommentVisibility::Internal,
        };
        // A job may run twice; the key has each child told once.
        let key = format!("{}:{child:?}", update.id());
        let once = ctx.for_mutation(Mutation { idempotency_key: Some(key), ..Mutation::default() });
        let incidents = self.clone();
        let written = self.tickets().store().write(&once, TELL_CHILDREN, move |tx| {
            let (incidents, child, body) = (incidents.clone(), child.clone(), body.clone());
            Box::pin(async move {
                let mut edit = incidents.tickets().edit_in(tx, &child, "id").await?;
                tx.answers_with(edit.reference());
                if StateCategory::parse(&edit.before.text("stateCategory")).is_none_or(StateCategory::is_done) {
                    return Ok(());
                }
                edit.hold_in(tx).await?;
                incidents.tickets().comment_in(tx, &mut edit, &body, visibility).await.map(drop)
            })
        });
        written.await.map(drop)
    }
}
