//! What a new task says, and what a task does not take.

use access::permission::{TICKET_ASSIGN, TICKET_CREATE};
use access::{TeamRef, UserRef};
use kernel::error::Problems;
use kernel::{Ctx, Result, UserError};

use crate::commands::{check_long_text, check_title, normalise_tags};
use crate::custom_field::SetCustomField;
use crate::draft::TicketDraft;
use crate::model::{Impact, Urgency};

/// What a new task says.
#[derive(Clone, Debug, Default)]
pub struct TaskDraft {
    /// What to do, in a line.
    pub title: String,
    /// What to do, in Markdown.
    pub description: Option<String>,
    /// The team that does it; that of the ticket when absent.
    pub team: Option<TeamRef>,
    /// The member of the team who does.
    pub assignee: Option<UserRef>,
    /// How many are affected; as on the ticket when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; as on the ticket when absent.
    pub urgency: Option<Urgency>,
    /// Free words.
    pub tags: Vec<String>,
    /// Custom fields.
    pub custom_fields: Vec<SetCustomField>,
}

impl TaskDraft {
    /// What the draft of a ticket says, with impact and urgency as far as they are said: what is left out is as on the task's ticket.
    pub(crate) fn of(draft: TicketDraft, impact: Option<Impact>, urgency: Option<Urgency>) -> Self {
        Self {
            title: draft.title,
            description: draft.description,
            team: draft.team,
            assignee: draft.assignee,
            impact,
            urgency,
            tags: draft.tags,
            custom_fields: draft.custom_fields,
        }
    }
}

/// Refuses those of these fields that are given, each at its name: other kinds of ticket have them, and a task does not.
pub(crate) fn refuse_on_task<'a>(problems: &mut Problems, fields: impl IntoIterator<Item = (bool, &'a str)>) {
    for (_, name) in fields.into_iter().filter(|(given, _)| *given) {
        problems.add(UserError::constraint([name], format!("a task takes no `{name}`"), "kind", None));
    }
}

/// Refuses whoever has not the permissions that a new task needs whatever the ticket.
///
/// # Errors
/// `FORBIDDEN`.
pub(crate) fn require_for_draft(ctx: &Ctx, draft: &TaskDraft) -> Result<()> {
    for (given, permission) in
        [(true, TICKET_CREATE), (draft.team.is_some() || draft.assignee.is_some(), TICKET_ASSIGN)]
    {
        if given && !ctx.grants.holds(permission) {
            return Err(UserError::forbidden(permission).into());
        }
    }
    Ok(())
}

/// Checks what a new task says.
pub(crate) fn checked_draft(draft: TaskDraft, problems: &mut Problems) -> TaskDraft {
    check_title(problems, &draft.title);
    if let Some(description) = &draft.description {
        check_long_text(problems, "description", description);
    }
    let tags = normalise_tags(problems, draft.tags);
    TaskDraft { tags, ..draft }
}

#[cfg(test)]
mod tests {
    use kernel::Error;

    use super::*;

    #[test]
    fn what_a_task_does_not_take_is_refused_at_its_place() {
        let mut problems = Problems::default();
        refuse_on_task(&mut problems, [(true, "requester"), (false, "category"), (true, "service")]);
        let Err(Error::Refused(errors)) = problems.check() else { panic!("two fields are given") };
        let told: Vec<_> = errors.iter().map(|error| (error.path.join("."), error.message.as_str())).collect();
        let expected = [("requester", "a task takes no `requester`"), ("service", "a task takes no `service`")];
        assert_eq!(told, expected.map(|(path, message)| (path.to_owned(), message)));
    }
}
