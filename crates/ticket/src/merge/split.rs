//! Splitting: comments that are about something else become a ticket of their own, opened as any other of its kind.

use std::sync::Arc;

use access::permission::TICKET_UPDATE;
use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::error::Problems;
use kernel::{Ctx, Error, Id, Result, UserError, Uuid, id};
use predicate::Predicate;
use serde_json::json;
use store::query::{self, Row};
use store::{Event, Tx, Written};

use crate::affected::AffectedItems;
use crate::custom_field::SetCustomField;
use crate::draft::TicketDraft;
use crate::edit::Edit;
use crate::events;
use crate::fields::COMMENT;
use crate::kind::KindRules;
use crate::model::{Impact, TicketKind, Urgency};
use crate::queries::TicketRef;
use crate::service::{Tickets, told_along};
use crate::tables::moving;
use crate::task::{TaskDraft, checked_draft, refuse_on_task, require_for_draft};

/// How many comments a split moves at most.
pub const SPLIT_MAX_COMMENTS: usize = 100;

/// Open a ticket with comments of another. What is absent is as on that.
#[derive(Clone, Debug)]
pub struct SplitTicket {
    /// Whose comments.
    pub ticket: TicketRef,
    /// Which comments, 1 to [`SPLIT_MAX_COMMENTS`].
    pub comments: Vec<Id>,
    /// What the new one is about, in a line.
    pub title: String,
    /// What it is about, in Markdown; nothing when absent.
    pub description: Option<String>,
    /// Who is affected.
    pub requester: Option<UserRef>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// The key of a category.
    pub category: Option<String>,
    /// The service that it is about.
    pub service: Option<ServiceRef>,
    /// The team that works on it.
    pub team: Option<TeamRef>,
    /// The member of the team who does; nobody when absent.
    pub assignee: Option<UserRef>,
    /// Free words; none when absent.
    pub tags: Vec<String>,
    /// Custom fields; none when absent.
    pub custom_fields: Vec<SetCustomField>,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
}

/// What became of a split.
#[derive(Clone, Debug)]
pub struct SplitOutcome {
    /// The new ticket; both are `None` for whoever may no longer see them.
    pub ticket: Option<Row>,
    /// The one whose comments they were.
    pub original: Option<Row>,
    /// What was recorded.
    pub events: Vec<Event>,
}

impl SplitTicket {
    /// What the new ticket says, as far as it is said here.
    fn draft(&self) -> TicketDraft {
        TicketDraft {
            description: self.description.clone(),
            requester: self.requester.clone(),
            category: self.category.clone(),
            service: self.service.clone(),
            items: AffectedItems::default(),
            team: self.team.clone(),
            assignee: self.assignee.clone(),
            tags: self.tags.clone(),
            custom_fields: self.custom_fields.clone(),
            ..TicketDraft::titled(
                self.title.clone(),
                self.impact.unwrap_or(Impact::Low),
                self.urgency.unwrap_or(Urgency::Low),
            )
        }
    }

    /// The same, and what is not said here as on the original.
    fn draft_like(&self, original: &Row) -> TicketDraft {
        let usable = |name: &str| original.relation(name).filter(|row| !row.bool("retired"));
        let id = |prefix, row: &Row| Id::new(prefix, row.id());
        let mut draft = self.draft();
        draft.impact = self.impact.or_else(|| Impact::parse(&original.text("impact"))).unwrap_or(draft.impact);
        draft.urgency = self.urgency.or_else(|| Urgency::parse(&original.text("urgency"))).unwrap_or(draft.urgency);
        let requester = original.get("requester").as_id().map(|user| UserRef::Id(Id::new(id::prefix::USER, user)));
        draft.requester = draft.requester.or(requester);
        draft.category = draft.category.or_else(|| usable("category").map(|row| row.text("key")));
        let service = usable("service").map(|row| ServiceRef::Id(id(id::prefix::SERVICE, row)));
        draft.service = draft.service.or(service);
        let team = original.relation("team").map(|row| TeamRef::Id(id(id::prefix::TEAM, row)));
        draft.team = draft.team.or(team);
        draft
    }

    fn task_draft(&self) -> TaskDraft {
        TaskDraft::of(self.draft(), self.impact, self.urgency)
    }

    /// Checks what can be checked without looking anything up, and trims the tags.
    ///
    /// # Errors
    /// `FORBIDDEN`; `VALIDATION` and `LIMIT` with paths.
    fn check(&mut self, ctx: &Ctx, kind: TicketKind) -> Result<()> {
        let mut problems = Problems::default();
        match kind {
            TicketKind::Task => {
                require_for_draft(ctx, &self.task_draft())?;
                self.tags = checked_draft(self.task_draft(), &mut problems).tags;
                let others = [
                    (self.requester.is_some(), "requester"),
                    (self.category.is_some(), "category"),
                    (self.service.is_some(), "service"),
                ];
                refuse_on_task(&mut problems, others);
            }
            TicketKind::Incident | TicketKind::Problem => {
                let mut draft = self.draft();
                problems.take(draft.check(ctx))?;
                self.tags = draft.tags;
            }
        }
        if self.comments.is_empty() {
            let message = "name at least one comment";
            problems.add(UserError::constraint(["comments"], message, "minItems", Some(1)));
        }
        if self.comments.len() > SPLIT_MAX_COMMENTS {
            let message =
                format!("{} comments are named; at most {SPLIT_MAX_COMMENTS} are moved at once", self.comments.len());
            problems.add(UserError::limit(["comments"], message, SPLIT_MAX_COMMENTS as u64));
        }
        problems.check()
    }
}

impl Tickets {
    /// Opens a ticket of the same kind with comments of another, and their attachments. The two are linked as `RELATES_TO`.
    ///
    /// # Errors
    /// `NOT_FOUND` for the ticket and for comments that are not its own; `FORBIDDEN` without `ticket.update` on it and what opening a
    /// ticket needs; `CONFLICT`; `VALIDATION` as for opening one; `LIMIT` beyond [`SPLIT_MAX_COMMENTS`] and of links.
    pub async fn split(&self, ctx: &Ctx, mut command: SplitTicket) -> Result<SplitOutcome> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.split");
        let record = self.record_of(&reader, ctx, &visible, &command.ticket).await?;
        let rules = self.kinds().iter().find(|rules| record.is_some_and(|record| rules.record().name == record.name));
        let kind = rules.map(|rules| rules.kind()).ok_or_else(|| UserError::not_found(["id"], "the ticket"))?;
        command.check(ctx, kind)?;
        let number = self.numbers().next(ctx, kind).await?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketSplit", move |tx| {
            let (tickets, command, number) = (tickets.clone(), command.clone(), number.clone());
            Box::pin(async move { tickets.split_in(tx, &command, number).await })
        });
        self.split_outcome(ctx, written.await?).await
    }

    async fn split_in(&self, tx: &mut Tx, command: &SplitTicket, number: String) -> Result<(Row, Row)> {
        let original = self.edit_in(tx, &command.ticket, "id").await?;
        original.expect_version(command.expected_version)?;
        self.require_on(tx.ctx(), &original, TICKET_UPDATE)?;
        original.hold_in(tx).await?;
        let comments = self.comments_named_in(tx, &original, &command.comments).await?;
        let new = self.begin_in(tx, command, &original, number).await?;
        let (from, to) = (original.before.id(), new.after.id());
        let attachments = moving::move_comments_in(tx, &comments, from, to).await?;
        self.index_comments_of_in(tx, &[from, to]).await?;
        self.relate_in(tx, &original, &new).await?;
        for (subject, other, kind) in [(&original, &new, events::SPLIT), (&new, &original, events::SPLIT_OFF)] {
            let other = other.reference().id.to_string();
            let payload = json!({ "ticket": other, "comments": comments.len(), "attachments": attachments });
            self.tell(tx, subject, kind, payload);
        }
        tx.answers_with(new.reference());
        Ok((new.after, original.after))
    }

    /// The comments that are named, each once: all must be the ticket's, and be seen by the viewer.
    async fn comments_named_in(&self, tx: &mut Tx, original: &Edit, named: &[Id]) -> Result<Vec<Uuid>> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let mut ids: Vec<Uuid> = named.iter().map(|id| id.uuid).collect();
        ids.sort_unstable();
        ids.dedup();
        let own = Predicate::one_of("id", &ids).and(Predicate::eq("ticket", original.before.id()));
        let scoped = self.access().scoped(&ctx, &visible);
        let found = query::all(&*tx, &scoped, &COMMENT, &own, &[], ids.len() as u64).await?;
        let mut problems = Problems::default();
        for (place, id) in named.iter().enumerate() {
            if !found.iter().any(|row| row.id() == id.uuid) {
                problems.add(UserError::not_found(["comments", &place.to_string()], "the comment"));
            }
        }
        problems.check()?;
        Ok(ids)
    }

    /// Opens the new ticket, as any of its kind is opened.
    async fn begin_in(&self, tx: &mut Tx, command: &SplitTicket, original: &Edit, number: String) -> Result<Edit> {
        let rules: Arc<dyn KindRules> = original.rules.clone();
        if rules.kind() == TicketKind::Task {
            return self.begin_task_in(tx, command, original, number).await;
        }
        let Some(opening) = rules.opening_from(&original.before) else {
            return Err(Error::internal(format!("nobody says how {} begins", rules.kind().as_str())));
        };
        self.open_as_in(tx, &rules, &command.draft_like(&original.before), number, opening).await
    }

    /// A task that comes of a task belongs to the same ticket, or to none.
    async fn begin_task_in(&self, tx: &mut Tx, command: &SplitTicket, original: &Edit, number: String) -> Result<Edit> {
        let draft = command.task_draft();
        let Some(parent) = original.before.get("parent").as_id() else {
            let row = self.insert_task_like_in(tx, &draft, &original.before, number).await?;
            let workflow = self.workflow_of(tx, &tx.ctx().clone(), original.rules.as_ref(), &row).await?;
            return Ok(Edit::new(original.rules.clone(), workflow, row));
        };
        let kind = self.kind_of_in(tx, parent).await?;
        let reference = TicketRef::Id(Id::new(kind.id_prefix(), parent));
        let parent = self.task_parent_in(tx, &reference, "id", 1).await?;
        let mut task = self.insert_task_in(tx, &parent, &draft, number, &[]).await?;
        task.proceed();
        Ok(task)
    }

    async fn kind_of_in(&self, tx: &mut Tx, ticket: Uuid) -> Result<TicketKind> {
        let row = self
            .access()
            .find_unmasked(&*tx, &tx.ctx().clone(), &crate::fields::TICKET, Some(Predicate::eq("id", ticket)))
            .await?;
        let kind = row.and_then(|row| TicketKind::parse(&row.text("kind")));
        kind.ok_or_else(|| UserError::not_found(["id"], "the ticket that it is a task of").into())
    }

    async fn split_outcome(&self, ctx: &Ctx, written: Written<(Row, Row)>) -> Result<SplitOutcome> {
        let events = self.events_of(ctx, &written).await?;
        match written {
            Written::Fresh { value: (new, original), along, .. } => {
                let ticket = self.masked(ctx, told_along(new, along.clone()));
                Ok(SplitOutcome { ticket, original: self.masked(ctx, told_along(original, along)), events })
            }
            Written::Replayed { record, .. } => {
                let told = events.iter().find(|event| event.kind == events::SPLIT).map(|event| event.subject);
                let ticket = self.ticket_with_id(ctx, record.id.uuid).await?;
                let original = match told {
                    Some(original) => self.ticket_with_id(ctx, original).await?,
                    None => None,
                };
                // Whoever may no longer see what they did is told nothing of it.
                let events = if ticket.is_some() { events } else { Vec::new() };
                Ok(SplitOutcome { ticket, original, events })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{CATEGORY, TICKET};

    fn command() -> SplitTicket {
        SplitTicket {
            ticket: TicketRef::Number("INC-1042".into()),
            comments: vec![Id::new(id::prefix::COMMENT, Uuid::from_u128(1))],
            title: "Printer".into(),
            description: None,
            requester: None,
            impact: None,
            urgency: Some(Urgency::High),
            category: None,
            service: None,
            team: None,
            assignee: None,
            tags: Vec::new(),
            custom_fields: Vec::new(),
            expected_version: None,
        }
    }

    #[test]
    fn what_is_not_said_is_as_on_the_original() {
        let requester = Uuid::from_u128(2);
        for (retired, category) in [(false, Some("vpn".to_owned())), (true, None)] {
            let mut original = Row::new(
                &TICKET,
                vec![("impact", "HIGH".into()), ("urgency", "LOW".into()), ("requester", requester.into())],
            );
            let row = Row::new(&CATEGORY, vec![("key", "vpn".into()), ("retired", retired.into())]);
            original.set_relation("category", Some(row));
            let draft = command().draft_like(&original);
            assert_eq!((draft.impact, draft.urgency), (Impact::High, Urgency::High));
            assert_eq!(draft.requester, Some(UserRef::Id(Id::new(id::prefix::USER, requester))));
            assert_eq!((draft.category, draft.team), (category, None));
            let own = SplitTicket { category: Some("mail".into()), ..command() };
            assert_eq!(own.draft_like(&original).category.as_deref(), Some("mail"));
        }
    }
}
