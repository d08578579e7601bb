//! From the events of the log to the moments that clocks are folded from.

use kernel::{Actor, Ctx, Error, Result, Timestamp, Uuid};
use predicate::{Catalogue, FieldType, Predicate, RecordType, Value, evaluate};
use serde_json::{Map, Value as Json};
use store::{Change, Event, NewEvent};
use ticket::Tickets;
use ticket::comment::CommentRole;
use ticket::events as told;
use ticket::fields::PAUSABLE;
use ticket::model::{CommentVisibility, Priority, StateCategory, TicketKind, WaitingReason};

use crate::clock::{Clock, Moment, What, advance};
use crate::policy::Policy;

/// An event, whether it is in the log or about to be.
#[derive(Clone, Copy)]
pub(crate) struct Happened<'a> {
    pub(crate) kind: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) actor: Option<Actor>,
    pub(crate) changes: &'a [Change],
    pub(crate) facts: &'a Map<String, Json>,
    pub(crate) payload: &'a Json,
}

impl<'a> Happened<'a> {
    pub(crate) fn of(event: &'a Event) -> Self {
        Self {
            kind: &event.kind,
            at: event.occurred_at,
            actor: Some(event.actor),
            changes: &event.changes,
            facts: &event.facts,
            payload: &event.payload,
        }
    }

    /// Of an event that a write declares at `now`.
    pub(crate) fn new(event: &'a NewEvent, ctx: &Ctx, now: Timestamp) -> Self {
        Self {
            kind: event.kind,
            at: event.occurred_at.unwrap_or(now),
            actor: Some(event.actor.unwrap_or(ctx.actor)),
            changes: &event.changes,
            facts: &event.facts,
            payload: &event.payload,
        }
    }

    /// Whether the ticket came into being with it.
    pub(crate) fn is_creation(&self) -> bool {
        self.changes.iter().any(|change| change.field == "number" && change.before.is_null())
    }

    /// Whether it was taken over from another system.
    pub(crate) fn is_imported(&self) -> bool {
        self.kind == told::IMPORTED
    }

    pub(crate) fn text(&self, fact: &str) -> Option<&'a str> {
        self.facts.get(fact).and_then(Json::as_str)
    }

    fn id(&self, fact: &str) -> Option<Uuid> {
        self.text(fact)?.parse().ok()
    }

    /// When the ticket was opened: before its first event, where the history of another system begins later.
    fn opened_at(&self) -> Timestamp {
        let fact = self.facts.get("createdAt").unwrap_or(&Json::Null);
        let told = Value::from_json(&FieldType::Time, fact).and_then(|value| value.as_time());
        told.map_or(self.at, |told| told.min(self.at))
    }

    fn what(&self) -> What {
        let named = |field: &str| self.payload.get(field).and_then(Json::as_str);
        let approval = || named("approval").and_then(|id| id.parse().ok()).unwrap_or_default();
        match self.kind {
            told::COMMENT_ADDED if named("visibility") == Some(CommentVisibility::Public.as_str()) => self.comment(),
            told::APPROVAL_STEP_OPENED => What::StepOpened(approval()),
            told::APPROVAL_COMPLETED if named("outcome") == Some("CANCELED") => What::ApprovalWithdrawn(approval()),
            told::APPROVAL_COMPLETED => What::ApprovalDecided(approval()),
            told::MERGED => What::Merged,
            told::MERGE_UNDONE => What::MergeUndone,
            told::APPROVAL_VOIDED => What::ApprovalWithdrawn(approval()),
            _ if self.is_creation() => What::Created,
            _ => What::Changed,
        }
    }

    /// Comments from before their events told the author's part: whoever is neither the requester nor the opener is an agent.
    fn comment(&self) -> What {
        let role = self.payload.get("role").and_then(Json::as_str).and_then(CommentRole::parse);
        let author = self.actor.map(|actor| actor.id);
        let role = role.unwrap_or_else(|| match author {
            author if author == self.id("requester") => CommentRole::Requester,
            author if author == self.id("openedBy") => CommentRole::Other,
            _ => CommentRole::Agent,
        });
        match role {
            CommentRole::Agent => What::AgentReplied,
            CommentRole::Requester => What::RequesterAsked,
            CommentRole::Other => What::Changed,
        }
    }
}

/// Folds one event into a ticket's clocks.
///
/// # Errors
/// `INTERNAL` for an event without the facts of a ticket.
pub(crate) fn fold(
    tickets: &Tickets,
    policies: &[impl AsRef<Policy>],
    clocks: &mut Vec<Clock>,
    event: Happened<'_>,
) -> Result<()> {
    let record = record_of(tickets, &event)?;
    fold_as(record, tickets.access().catalogue(), policies, clocks, event)
}

/// The record type of the kind of ticket that an event tells of.
pub(crate) fn record_of(tickets: &Tickets, event: &Happened<'_>) -> Result<&'static RecordType> {
    let kind = event.text("kind").and_then(TicketKind::parse);
    let kind = kind.ok_or_else(|| Error::internal(format!("an event `{}` tells no kind of ticket", event.kind)))?;
    Ok(tickets.kinds().get(kind)?.record())
}

fn fold_as(
    record: &'static RecordType,
    catalogue: &Catalogue,
    policies: &[impl AsRef<Policy>],
    clocks: &mut Vec<Clock>,
    event: Happened<'_>,
) -> Result<()> {
    let facts = told::EventFacts::of(record, catalogue, event.facts);
    let holds = |condition: &Predicate| evaluate(condition, &facts);
    let broken = |fact: &str| Error::internal(format!("an event `{}` has an unreadable {fact}", event.kind));
    let what = event.what();
    let moment = Moment {
        at: if what == What::Created { event.opened_at() } else { event.at },
        what,
        category: event.text("stateCategory").and_then(StateCategory::parse).ok_or_else(|| broken("stateCategory"))?,
        reason: event.text("waitingReason").and_then(WaitingReason::parse),
        pausable: event.facts.get(PAUSABLE).and_then(Json::as_bool).unwrap_or(true),
        priority: event.text("priority").and_then(Priority::parse).ok_or_else(|| broken("priority"))?,
        team: event.id("team"),
        answered: event.text("firstRespondedAt").is_some(),
        holds: &holds,
    };
    advance(policies, clocks, &moment);
    Ok(())
}

/// Folds all events of one ticket, from its first to its last.
///
/// # Errors
/// As [`fold`].
pub(crate) fn fold_all<'e>(
    tickets: &Tickets,
    policies: &[impl AsRef<Policy>],
    events: impl IntoIterator<Item = &'e Event>,
) -> Result<Vec<Clock>> {
    let mut clocks = Vec::new();
    for event in events.into_iter().filter(|event| event.subject_kind == told::SUBJECT) {
        fold(tickets, policies, &mut clocks, Happened::of(event))?;
    }
    Ok(clocks)
}
