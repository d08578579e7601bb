//! Comments: public ones for everybody who sees the ticket, internal ones for those who work on it. What is said can be edited, with
//! its earlier texts kept, and redacted, with all of them gone.

pub mod mention;
pub mod revision;

use access::Managed;
use access::permission::{TICKET_COMMENT, TICKET_INTERNAL};
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Id, Result, UserError, Uuid, id, words};
use predicate::{Policy, Predicate, Rule};
use serde_json::json;
use store::query::{self, Row};
use store::{Audience, RecordRef, Tx, Written};

use crate::attachment::{Place, check_number};
use crate::commands::{AddComment, check_body};
use crate::edit::Edit;
use crate::events;
use crate::fields::COMMENT;
use crate::model::{CommentVisibility, StateCategory, WaitingReason};
use crate::search;
use crate::service::{Tickets, told_along};

/// When an agent first answered in public.
const FIRST_RESPONDED_AT: &str = "firstRespondedAt";
/// The input that names the files of a comment.
const FILES: &str = "attachments";

words! {
    /// What the author of a comment is to the ticket.
    CommentRole {
        /// Its requester.
        Requester = "REQUESTER",
        /// A person who works on it.
        Agent = "AGENT",
        /// Somebody else, or a program.
        Other = "OTHER",
    }
}

/// A comment that was added, and what happened with it.
#[derive(Clone, Debug)]
pub struct CommentOutcome {
    /// The comment; `None` when the viewer may no longer see it (a replay after rights changed).
    pub comment: Option<Row>,
    /// The ticket after it.
    pub ticket: Option<Row>,
    /// What was recorded.
    pub events: Vec<store::Event>,
}

impl Tickets {
    /// Adds a comment. The requester's public comment on a ticket that waits for the requester puts it back to work.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `VALIDATION`.
    pub async fn add_comment(&self, ctx: &Ctx, command: AddComment) -> Result<CommentOutcome> {
        let mut problems = Problems::default();
        check_body(&mut problems, "body", &command.body);
        if let Some(files) = &command.files {
            check_number(&mut problems, FILES, &files.uploads);
        }
        problems.check()?;
        let (tickets, command_in) = (self.clone(), command);
        let written = self
            .store()
            .write(ctx, "commentAdd", move |tx| {
                let (tickets, command) = (tickets.clone(), command_in.clone());
                Box::pin(async move {
                    let mut edit = tickets.edit_in(tx, &command.ticket, "id").await?;
                    edit.hold_in(tx).await?;
                    let comment = tickets.comment_in(tx, &mut edit, &command.body, command.visibility).await?;
                    if let Some(files) = &command.files {
                        let (visibility, comment) = (command.visibility, Some(comment.id()));
                        let place = Place { visibility, comment, scan: files.scan, path: FILES };
                        tickets.attach_in(tx, &edit, &files.uploads, place).await?;
                    }
                    tickets.answered_in(tx, edit, comment).await
                })
            })
            .await?;
        self.comment_outcome(ctx, written).await
    }

    /// What a write about a comment answers: the comment and its ticket.
    async fn answered_in(&self, tx: &mut Tx, edit: Edit, comment: Row) -> Result<(Row, Row)> {
        tx.answers_with(RecordRef {
            id: Id::new(id::prefix::COMMENT, comment.id()),
            version: Managed::version(&comment),
        });
        Ok((comment, edit.after))
    }

    async fn comment_outcome(&self, ctx: &Ctx, written: Written<(Row, Row)>) -> Result<CommentOutcome> {
        let events = self.events_of(ctx, &written).await?;
        match written {
            Written::Fresh { value: (comment, ticket), along, .. } => {
                let ticket = self.masked(ctx, told_along(ticket, along));
                Ok(CommentOutcome { comment: Some(comment), ticket, events })
            }
            Written::Replayed { record, .. } => {
                let comment = self.comment(ctx, record.id.uuid).await?;
                // Whoever may no longer see what they did is told nothing of it.
                let events = if comment.is_some() { events } else { Vec::new() };
                let ticket = self.ticket_of(ctx, comment.as_ref()).await?;
                Ok(CommentOutcome { comment, ticket, events })
            }
        }
    }

    /// A visible comment.
    ///
    /// # Errors
    /// Database errors.
    pub async fn comment(&self, ctx: &Ctx, comment: Uuid) -> Result<Option<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.comment");
        Ok(query::by_ids(&reader, &self.access().scoped(ctx, &visible), &COMMENT, &[comment], &["author"]).await?.pop())
    }

    /// Adds a comment inside a write, with its event and what follows from it.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission that is missing.
    pub async fn comment_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        body: &str,
        visibility: CommentVisibility,
    ) -> Result<Row> {
        let ctx = tx.ctx().clone();
        self.authorise_comment(&ctx, edit, visibility)?;
        let comment = Row::new(
            &COMMENT,
            vec![
                ("id", ctx.new_id().into()),
                ("ticket", edit.after.id().into()),
                ("author", ctx.actor.id.into()),
                ("visibility", visibility.as_str().into()),
                ("body", body.into()),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_in(tx, ctx.tenant, &COMMENT, &comment).await?;
        search::index_comment_in(tx, &comment).await?;
        let mentions = self.note_mentions_in(tx, &comment, false).await?;
        let role = self.role_in(&ctx, edit);
        if role == CommentRole::Agent && visibility == CommentVisibility::Public {
            self.note_first_response_in(tx, edit).await?;
        }
        let mut payload = payload(&comment, &mentions);
        payload["role"] = json!(role.as_str());
        let mut event = edit.event(self.access(), events::COMMENT_ADDED, payload);
        event.changes.retain(|change| change.field == FIRST_RESPONDED_AT);
        if edit.before.get(FIRST_RESPONDED_AT).is_null() {
            // It was written already; whatever else is saved later in this write must not tell of it again.
            edit.before.set(FIRST_RESPONDED_AT, edit.after.get(FIRST_RESPONDED_AT).clone());
        }
        event.audience = audience(visibility);
        tx.emit(event);
        if visibility == CommentVisibility::Public && is_awaited_answer(edit, ctx.actor.id) {
            self.resume_in(tx, edit).await?;
        }
        let mut comment = comment;
        let author = self.access().actors_in(tx, &ctx, &[ctx.actor.id]).await?.pop();
        comment.set_relation("author", author);
        Ok(comment)
    }

    /// What the author is to this ticket. A program's answer is no agent's: an acknowledgement that nobody wrote is no response.
    fn role_in(&self, ctx: &Ctx, edit: &Edit) -> CommentRole {
        if edit.after.get("requester").as_id() == Some(ctx.actor.id) {
            return CommentRole::Requester;
        }
        let works_on_it = Policy::When(Rule::Permission(TICKET_INTERNAL));
        match ctx.actor.kind == ActorKind::User
            && self.access().allows(ctx, edit.rules.record(), &works_on_it, &edit.before)
        {
            true => CommentRole::Agent,
            false => CommentRole::Other,
        }
    }

    /// The first public comment of an agent is the first response. The ticket's version stays, as with every comment.
    async fn note_first_response_in(&self, tx: &mut Tx, edit: &mut Edit) -> Result<()> {
        if !edit.after.get(FIRST_RESPONDED_AT).is_null() {
            return Ok(());
        }
        edit.set(FIRST_RESPONDED_AT, tx.now());
        let values = [(FIRST_RESPONDED_AT, tx.now().into())];
        query::update_in(tx, tx.ctx().tenant, edit.rules.record(), edit.after.id(), None, &values).await?;
        Ok(())
    }

    pub(crate) fn authorise_comment(&self, ctx: &Ctx, edit: &Edit, visibility: CommentVisibility) -> Result<()> {
        let allowed = |permission| {
            let policy = Policy::When(Rule::Permission(permission));
            self.access().allows(ctx, edit.rules.record(), &policy, &edit.before)
        };
        if !allowed(TICKET_COMMENT) {
            return Err(UserError::forbidden(TICKET_COMMENT).into());
        }
        if visibility == CommentVisibility::Internal && !allowed(TICKET_INTERNAL) {
            return Err(UserError::forbidden(TICKET_INTERNAL).into());
        }
        Ok(())
    }

    /// Whether the requester has commented in public since the ticket was resolved.
    pub(crate) async fn requester_objected_in(&self, tx: &mut Tx, row: &Row) -> Result<bool> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        // A comment of the same instant came along with the resolution: it is no objection to it.
        let since = predicate::Test::Gt(predicate::Operand::Value(row.get("resolvedAt").clone()));
        let condition = Predicate::eq("ticket", row.id())
            .and(Predicate::eq("visibility", CommentVisibility::Public.as_str()))
            .and(Predicate::eq("author", row.get("requester").clone()))
            .and(Predicate::Is(predicate::Path::field("createdAt"), since));
        Ok(query::find(tx, &self.access().scoped(&ctx, &visible), &COMMENT, &condition, &[]).await?.is_some())
    }
}

fn is_awaited_answer(edit: &Edit, author: Uuid) -> bool {
    edit.after.text("stateCategory") == StateCategory::Waiting.as_str()
        && edit.after.text("waitingReason") == WaitingReason::Requester.as_str()
        && edit.after.get("requester").as_id() == Some(author)
}

/// What events of a comment say of it: never what it says.
fn payload(comment: &Row, mentions: &[Uuid]) -> serde_json::Value {
    let mut payload = json!({ "comment": comment.id().to_string(), "visibility": comment.text("visibility") });
    if !mentions.is_empty() {
        payload["mentions"] = mentions.iter().map(Uuid::to_string).collect();
    }
    payload
}

/// Whom events of such a comment are for.
pub(crate) fn audience(visibility: CommentVisibility) -> Audience {
    match visibility {
        CommentVisibility::Public => Audience::Public,
        CommentVisibility::Internal => Audience::Internal,
    }
}
