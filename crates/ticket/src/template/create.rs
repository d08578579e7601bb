//! Creating a ticket from a template, by the path of its kind.

use access::permission::TICKET_UPDATE;
use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{ActorKind, Ctx, Error, Id, Patch, Result, UserError};
use store::Tx;
use store::query::Row;

use super::compose::{Composed, composed};
use super::manage::kind_of;
use super::{TemplateDocument, TemplateRef, TemplateTask};
use crate::custom_field::SetCustomField;
use crate::edit::Edit;
use crate::model::{Impact, TicketKind, Urgency};
use crate::queries::TicketRef;
use crate::service::{Outcome, Tickets};
use crate::task::{TaskDraft, made_by_nobody, refuse_on_task, require_for_draft};

/// Create a ticket from a template. What is given goes before what the template says.
#[derive(Clone, Debug)]
pub struct CreateFromTemplate {
    /// The template.
    pub template: TemplateRef,
    /// The ticket that a task belongs to; it stands alone when absent.
    pub parent: Option<TicketRef>,
    /// What it is about, in a line.
    pub title: Option<String>,
    /// What it is about, in Markdown.
    pub description: Patch<String>,
    /// Who is affected.
    pub requester: Option<UserRef>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// The key of a category.
    pub category: Patch<String>,
    /// The service.
    pub service: Patch<ServiceRef>,
    /// The team that works on it.
    pub team: Patch<TeamRef>,
    /// The member of the team who does.
    pub assignee: Patch<UserRef>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Custom fields; those that are not named are as the template says.
    pub custom_fields: Vec<SetCustomField>,
}

impl CreateFromTemplate {
    /// As the template says.
    pub fn of(template: TemplateRef) -> Self {
        Self {
            template,
            parent: None,
            title: None,
            description: Patch::Keep,
            requester: None,
            impact: None,
            urgency: None,
            category: Patch::Keep,
            service: Patch::Keep,
            team: Patch::Keep,
            assignee: Patch::Keep,
            tags: None,
            custom_fields: Vec::new(),
        }
    }

    /// What a ticket of this kind cannot be given.
    fn check_kind(&self, kind: TicketKind) -> Result<()> {
        let mut problems = Problems::default();
        if kind == TicketKind::Task {
            let others = [
                (self.requester.is_some(), "requester"),
                (!self.category.is_keep(), "category"),
                (!self.service.is_keep(), "service"),
            ];
            refuse_on_task(&mut problems, others);
        } else if self.parent.is_some() {
            let message = "only a task belongs to another ticket";
            problems.add(UserError::constraint(["parent"], message, "kind", None));
        }
        problems.check()
    }
}

/// A ticket that is ready to be opened.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    kind: TicketKind,
    said: Composed,
    tasks: Vec<TemplateTask>,
    parent: Option<TicketRef>,
    number: String,
    /// Whether nobody asks for it at this moment.
    by_itself: bool,
}

impl Prepared {
    /// What nobody asks for at this moment is asked for by somebody who is still there, whoever names them.
    fn check_requester(&self, ticket: &Row) -> Result<()> {
        let named = ticket.relation("requester").filter(|_| self.by_itself && self.said.draft.requester.is_some());
        match named {
            Some(requester) if !requester.bool("active") => {
                let message = "the requester is no longer active";
                Err(UserError::constraint(["requester"], message, "active", None).into())
            }
            _ => Ok(()),
        }
    }
}

impl Tickets {
    /// Creates a ticket from a template: opened as one that is created without, with the template's tasks.
    ///
    /// # Errors
    /// `NOT_FOUND` at `template`, and what opening a ticket of its kind answers; what lies with the template has the path `template`.
    pub async fn create_from_template(&self, ctx: &Ctx, command: CreateFromTemplate) -> Result<Outcome> {
        // A replay is answered whatever became of the template since.
        let prepared = self.prepare_from_template(ctx, &command, false).await;
        let tickets = self.clone();
        self.write(ctx, "ticketCreateFromTemplate", move |tx| {
            let (tickets, prepared) = (tickets.clone(), prepared.clone());
            Box::pin(async move { Ok(tickets.open_prepared_in(tx, &prepared?).await?.after) })
        })
        .await
    }

    /// What a ticket from a template says, checked as far as it can be before the write.
    ///
    /// # Errors
    /// As [`Tickets::create_from_template`].
    pub(crate) async fn prepare_from_template(
        &self,
        ctx: &Ctx,
        command: &CreateFromTemplate,
        by_itself: bool,
    ) -> Result<Prepared> {
        let found = self.ticket_template(ctx, &command.template).await?;
        let template = found.ok_or_else(|| UserError::not_found(["template"], "the ticket template"))?;
        let (kind, document) = (kind_of(&template)?, TemplateDocument::of(&template)?);
        command.check_kind(kind)?;
        let definitions = self.custom_fields(&self.store().read("customField.list"), ctx).await?;
        let mut said = composed(&document.values, &definitions, command);
        if said.draft.title.is_empty() && command.title.is_none() {
            let message = "the template says no title: give one";
            return Err(UserError::constraint(["title"], message, "required", None).into());
        }
        said.draft.check(ctx).map_err(|error| said.inherited.attributed(error))?;
        let number = self.numbers().next(ctx, kind).await?;
        Ok(Prepared { kind, said, tasks: document.tasks, parent: command.parent.clone(), number, by_itself })
    }

    /// Opens a ticket that is ready, with its tasks.
    ///
    /// # Errors
    /// As [`Tickets::create_from_template`].
    pub(crate) async fn open_prepared_in(&self, tx: &mut Tx, prepared: &Prepared) -> Result<Edit> {
        let opened = self.open_alone_in(tx, prepared).await;
        let edit = opened.map_err(|error| prepared.said.inherited.attributed(error))?;
        if !prepared.tasks.is_empty() {
            self.require_on(tx.ctx(), &edit, TICKET_UPDATE)?;
        }
        let numbers = self.numbers().supply(tx.ctx(), TicketKind::Task, prepared.tasks.len())?;
        for (index, (task, number)) in prepared.tasks.iter().zip(numbers).enumerate() {
            let draft = draft_of(task);
            require_for_draft(tx.ctx(), &draft)?;
            let made = self.insert_task_in(tx, &edit, &draft, number, &[]).await;
            made.map_err(|error| of_task(index, error))?;
        }
        Ok(edit)
    }

    async fn open_alone_in(&self, tx: &mut Tx, prepared: &Prepared) -> Result<Edit> {
        let (rules, number) = (self.kinds().get(prepared.kind)?.clone(), prepared.number.clone());
        let Some(opening) = rules.opening(prepared.by_itself) else {
            return self.open_task_in(tx, prepared, number).await;
        };
        let edit = self.open_as_in(tx, &rules, &prepared.said.draft, number, opening).await?;
        prepared.check_requester(&edit.after)?;
        Ok(edit)
    }

    async fn open_task_in(&self, tx: &mut Tx, prepared: &Prepared, number: String) -> Result<Edit> {
        let draft = self.checked_task(&tx.ctx().clone(), prepared.said.task())?;
        let rules = self.kinds().get(TicketKind::Task)?.clone();
        let row: Row = match &prepared.parent {
            Some(parent) => {
                let parent = self.task_parent_in(tx, parent, "parent", 1).await?;
                let task = self.insert_task_in(tx, &parent, &draft, number, &[]).await?;
                tx.answers_with(task.reference());
                task.after
            }
            None if tx.ctx().actor.kind != ActorKind::User => return Err(made_by_nobody(&["parent"])),
            None => self.insert_task_alone_in(tx, &draft, None, None, number).await?,
        };
        Ok(Edit::new(rules.clone(), rules.default_workflow().clone(), row))
    }
}

fn draft_of(task: &TemplateTask) -> TaskDraft {
    TaskDraft {
        title: task.title.clone(),
        description: task.description.clone(),
        team: task.team.map(|team| TeamRef::Id(Id::new(prefix::TEAM, team))),
        ..TaskDraft::default()
    }
}

/// An error of one of the template's tasks.
fn of_task(index: usize, error: Error) -> Error {
    let Error::Refused(errors) = error else { return error };
    let attributed = |error: UserError| UserError {
        message: format!("the template's task {}: {}", index + 1, error.message),
        path: vec!["template".to_owned()],
        ..error
    };
    Error::Refused(errors.into_iter().map(attributed).collect())
}
