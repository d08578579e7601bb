//! Canned responses: what is often answered, written once, with places for what differs from ticket to ticket.

use access::permission::CANNED_RESPONSE_MANAGE;
use access::{Managed, TeamRef, reference};
use kernel::error::Problems;
use kernel::{Ctx, Patch, Result, UserError, Uuid, id, words};
use predicate::{Predicate, Value};
use store::query::{self, Row};
use store::{Tx, Written};

use crate::commands::{check_body, check_key, check_text};
use crate::fields::{CANNED_RESPONSE, TICKET};
use crate::model::MAX_TITLE;
use crate::queries::{RELATIONS, TicketRef};
use crate::service::{Outcome, Tickets};

/// How many canned responses a tenant has, retired ones not counted.
pub const MAX_CANNED_RESPONSES: usize = 1_000;
/// The event that a new canned response leaves behind.
pub const CREATED: &str = "CannedResponseCreated";
/// The event that a changed canned response leaves behind.
pub const UPDATED: &str = "CannedResponseUpdated";

const KIND: Managed =
    Managed { record: &CANNED_RESPONSE, subject: "cannedResponse", prefix: id::prefix::CANNED_RESPONSE };

words! {
    /// What stands between `{{` and `}}`.
    Placeholder {
        /// The ticket's number.
        TicketNumber = "ticket.number",
        /// The ticket's title.
        TicketTitle = "ticket.title",
        /// The name of the ticket's requester.
        RequesterName = "requester.name",
        /// The name of the ticket's assignee.
        AssigneeName = "assignee.name",
        /// The name of the ticket's team.
        TeamName = "team.name",
        /// The name of the ticket's service.
        ServiceName = "service.name",
        /// The name of whoever answers.
        ViewerName = "viewer.name",
    }
}

/// Write a canned response.
#[derive(Clone, Debug)]
pub struct CreateCannedResponse {
    /// Unique in the tenant.
    pub key: String,
    /// For people.
    pub title: String,
    /// Markdown with placeholders, at most [`MAX_TEXT`](crate::MAX_TEXT) bytes.
    pub body: String,
    /// Whose it is; `None` for everybody's.
    pub team: Option<TeamRef>,
}

/// Change a canned response.
#[derive(Clone, Debug)]
pub struct UpdateCannedResponse {
    /// Which, by its key.
    pub key: String,
    /// Another title.
    pub title: Option<String>,
    /// Another text.
    pub body: Option<String>,
    /// Whose it is from now on.
    pub team: Patch<TeamRef>,
    /// Whether it is offered no more.
    pub retired: Option<bool>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Place(Placeholder),
}

/// The parts of a text.
///
/// # Errors
/// The placeholder that nobody knows, or `None` for one that does not end.
fn parts(body: &str) -> std::result::Result<Vec<Part<'_>>, Option<&str>> {
    let (mut parts, mut rest) = (Vec::new(), body);
    while let Some((text, behind)) = rest.split_once("{{") {
        let (name, behind) = behind.split_once("}}").ok_or(None)?;
        let place = Placeholder::parse(name.trim()).ok_or(Some(name.trim()))?;
        parts.extend([Part::Text(text), Part::Place(place)]);
        rest = behind;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

fn check_places(problems: &mut Problems, body: &str) {
    if let Err(unknown) = parts(body) {
        let message = match unknown {
            Some(name) => {
                let name: String = name.chars().take(40).collect();
                format!("`{{{{{name}}}}}` is no placeholder; there are {}", Placeholder::NAMES.join(", "))
            }
            None => "a placeholder does not end: `{{` without `}}`".to_owned(),
        };
        problems.add(UserError::constraint(["body"], message, "placeholder", None));
    }
}

/// The text with what stands for the placeholders. What does not fit any more stays as it is written.
fn filled(body: &str, value: impl Fn(Placeholder) -> String) -> String {
    let Ok(parts) = parts(body) else { return body.to_owned() };
    let text = parts.into_iter().map(|part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Place(place) => escaped(&value(place)),
    });
    text.collect()
}

/// A text as Markdown that shows it and does nothing else: no link, no mark-up, no mention.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\n' | '\r' => escaped.push(' '),
            sign => {
                if sign.is_ascii_punctuation()
                    && !matches!(sign, '-' | '.' | ',' | ':' | ';' | '/' | '?' | '\'' | '"' | '%')
                {
                    escaped.push('\\');
                }
                escaped.push(sign);
            }
        }
    }
    escaped
}

impl Tickets {
    /// Writes a canned response.
    ///
    /// # Errors
    /// `FORBIDDEN` without `cannedResponse.manage`; `VALIDATION`; `CONFLICT` when the key is taken; `NOT_FOUND` for the team; `LIMIT` beyond
    /// [`MAX_CANNED_RESPONSES`].
    pub async fn create_canned_response(&self, ctx: &Ctx, command: CreateCannedResponse) -> Result<Outcome> {
        self.access().require_tenant(ctx, CANNED_RESPONSE_MANAGE)?;
        let mut problems = Problems::default();
        check_key(&mut problems, &command.key);
        check_text(&mut problems, "title", &command.title, MAX_TITLE);
        check_body(&mut problems, "body", &command.body);
        check_places(&mut problems, &command.body);
        problems.check()?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "cannedResponseCreate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.create_canned_response_in(tx, &command).await })
        });
        self.canned_response_outcome(ctx, written.await?).await
    }

    async fn create_canned_response_in(&self, tx: &mut Tx, command: &CreateCannedResponse) -> Result<Row> {
        if self.canned_response_in(tx, &command.key).await?.is_some() {
            let message = format!("there is a canned response `{}` already", command.key);
            return Err(UserError::taken(["key"], message).into());
        }
        self.check_canned_limit_in(tx).await?;
        let team = match &command.team {
            Some(team) => Some(self.team_in(tx, team, "team").await?),
            None => None,
        };
        let values = vec![
            ("key", command.key.as_str().into()),
            ("title", command.title.trim().into()),
            ("body", command.body.as_str().into()),
            ("team", reference(team.as_ref())),
        ];
        KIND.insert_in(tx, CREATED, values).await
    }

    /// Changes a canned response.
    ///
    /// # Errors
    /// As [`Tickets::create_canned_response`]; `NOT_FOUND`; `CONFLICT` with the current version.
    pub async fn update_canned_response(&self, ctx: &Ctx, command: UpdateCannedResponse) -> Result<Outcome> {
        self.access().require_tenant(ctx, CANNED_RESPONSE_MANAGE)?;
        let mut problems = Problems::default();
        if let Some(title) = &command.title {
            check_text(&mut problems, "title", title, MAX_TITLE);
        }
        if let Some(body) = &command.body {
            check_body(&mut problems, "body", body);
            check_places(&mut problems, body);
        }
        problems.check()?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "cannedResponseUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.update_canned_response_in(tx, &command).await })
        });
        self.canned_response_outcome(ctx, written.await?).await
    }

    async fn update_canned_response_in(&self, tx: &mut Tx, command: &UpdateCannedResponse) -> Result<Row> {
        let found = self.canned_response_in(tx, &command.key).await?;
        let before = found.ok_or_else(|| UserError::not_found(["key"], "the canned response"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut row = before.clone();
        if let Some(title) = &command.title {
            row.set("title", title.trim().into());
        }
        if let Some(body) = &command.body {
            row.set("body", body.as_str().into());
        }
        match &command.team {
            Patch::Keep => {}
            Patch::Clear => row.set("team", Value::Null),
            Patch::Set(team) => row.set("team", self.team_in(tx, team, "team").await?.id().into()),
        }
        if let Some(retired) = command.retired {
            if before.bool("retired") && !retired {
                self.check_canned_limit_in(tx).await?;
            }
            row.set("retired", retired.into());
        }
        KIND.update_in(tx, UPDATED, &before, row).await
    }

    async fn check_canned_limit_in(&self, tx: &mut Tx) -> Result<()> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let offered = Predicate::eq("retired", false);
        if query::count(&*tx, &scoped, &CANNED_RESPONSE, &offered).await?.total >= MAX_CANNED_RESPONSES as u64 {
            let message = format!("there are {MAX_CANNED_RESPONSES} canned responses; that is the limit: retire some");
            return Err(UserError::limit([] as [&str; 0], message, MAX_CANNED_RESPONSES as u64).into());
        }
        Ok(())
    }

    async fn canned_response_in(&self, tx: &mut Tx, key: &str) -> Result<Option<Row>> {
        let ctx = tx.ctx().clone();
        self.canned_response_with(&*tx, &ctx, key).await
    }

    async fn canned_response_with(
        &self,
        connection: &impl store::ConnectionTrait,
        ctx: &Ctx,
        key: &str,
    ) -> Result<Option<Row>> {
        let visible = self.access().visible(ctx);
        let condition = Predicate::eq("key", key);
        query::find(connection, &self.access().scoped(ctx, &visible), &CANNED_RESPONSE, &condition, &[]).await
    }

    /// The canned response with this key, retired or not, that the viewer may see.
    ///
    /// # Errors
    /// Database errors.
    pub async fn canned_response(&self, ctx: &Ctx, key: &str) -> Result<Option<Row>> {
        self.canned_response_with(&self.store().read("ticket.cannedResponse"), ctx, key).await
    }

    /// What a canned response says of this ticket, as far as the viewer may read it; what it does not have is left empty.
    ///
    /// # Errors
    /// `NOT_FOUND` at `ticket`.
    pub async fn filled_response(&self, ctx: &Ctx, response: &Row, ticket: &TicketRef) -> Result<String> {
        let found = self.find(ctx, &TICKET, ticket, RELATIONS).await?;
        let ticket = found.ok_or_else(|| UserError::not_found(["ticket"], "the ticket"))?;
        let viewer = self.by_ids(ctx, &access::fields::ACTOR, &[ctx.actor.id], &[]).await?.pop();
        let name = |row: Option<&Row>| row.map(|row| row.text("name")).unwrap_or_default();
        Ok(filled(&response.text("body"), |place| match place {
            Placeholder::TicketNumber => ticket.text("number"),
            Placeholder::TicketTitle => ticket.text("title"),
            Placeholder::RequesterName => name(ticket.relation("requester")),
            Placeholder::AssigneeName => name(ticket.relation("assignee")),
            Placeholder::TeamName => name(ticket.relation("team")),
            Placeholder::ServiceName => name(ticket.relation("service")),
            Placeholder::ViewerName => name(viewer.as_ref()),
        }))
    }

    async fn canned_response_outcome(&self, ctx: &Ctx, written: Written<Row>) -> Result<Outcome> {
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => self.canned_response_by_id(ctx, record.id.uuid).await?,
        };
        Ok(Outcome { row, events })
    }

    /// The canned response with this id that the viewer may see.
    ///
    /// # Errors
    /// Database errors.
    pub async fn canned_response_by_id(&self, ctx: &Ctx, response: Uuid) -> Result<Option<Row>> {
        Ok(self.by_ids(ctx, &CANNED_RESPONSE, &[response], &[]).await?.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let text = "Dear {{ requester.name }}, {{ticket.number}} is {{ticket.title}}.";
        let value = |place: Placeholder| match place {
            Placeholder::RequesterName => "Rita".to_owned(),
            Placeholder::TicketNumber => "INC-1001".to_owned(),
            _ => "[no](https://evil.example) *mail* @lee@acme.example <b>\nat all".to_owned(),
        };
        let said = r"\[no\]\(https://evil.example\) \*mail\* \@lee\@acme.example \<b\> at all";
        assert_eq!(filled(text, value), format!("Dear Rita, INC-1001 is {said}."));
        assert_eq!(crate::comment::mention::named(&filled(text, value)), Default::default());
        assert_eq!(filled("no place", |_| String::new()), "no place");
        assert_eq!(filled("{{ticket.number", |_| String::new()), "{{ticket.number");
    }

    #[test]
    fn unknown_placeholders_are_told() {
        let said = |body: &str| {
            let mut problems = Problems::default();
            check_places(&mut problems, body);
            problems.check().err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(said("{{ticket.number}} {x} }}"), "");
        assert!(said("{{ticket.secret}}").contains("`{{ticket.secret}}` is no placeholder; there are ticket.number,"));
        assert!(said("{{ticket.number").contains("does not end"));
        assert!(said("{{}}").contains("`{{}}` is no placeholder"));
    }
}
