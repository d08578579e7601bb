//! Batches: what many resolvers of one answer ask for, read by one statement, as far as the viewer may see it.
//!
//! Keys are collected until no resolver can go on without an answer ([`Turns`]), then read together: what is in a batch depends on
//! the document alone, never on the clock. Nothing is kept beyond that, so an answer shows what was committed when its parts
//! were read.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use access::{ACTOR, Account, HeldRole, TEAM};
use agreement::{AGREEMENT, REVIEW};
use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::runtime::Timer;
use configuration::{ITEM, SERVICE};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::task::{FutureObj, Spawn, SpawnError};
use futures_util::{FutureExt, Stream, StreamExt};
use incident::fields::{ACTION, ALERT, ALERT_RULE, STATUS_UPDATE, TIMELINE_NOTE};
use kernel::{Ctx, Error, PageDirection, Result, Uuid};
use predicate::RecordType;
use problem::DETECTION_RULE;
use serde_json::Value as Json;
use sla::fields::{CALENDAR, SLA_POLICY};
use store::query::{Count, Row};
use ticket::approval::fields::APPROVAL;
use ticket::fields::{ATTACHMENT, CATEGORY, COMMENT, TICKET};
use ticket::recurring::fields::RECURRING_TICKET;
use ticket::statistics::Work;
use ticket::template::fields::TICKET_TEMPLATE;
use ticket::time::fields::{LABOUR_RATE, TIME_ENTRY};

use crate::context::current;
use crate::door::Viewer;
use crate::platform::Platform;

/// The batches of one request; in the data of every request that has credentials.
pub struct Loaders(DataLoader<Batch>);

impl Loaders {
    /// For this viewer, in a request that is run in these turns.
    pub fn new(platform: Platform, viewer: Viewer, turns: Turns) -> Self {
        Self(DataLoader::new(Batch { platform, viewer }, turns, AtOnce))
    }

    async fn one<K>(ctx: &Context<'_>, key: K) -> async_graphql::Result<Option<<Batch as Loader<K>>::Value>>
    where
        K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
        Batch: Loader<K, Error = Error>,
    {
        Ok(Self::of(ctx)?.0.load_one(key).await?)
    }

    fn of<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Self> {
        match ctx.data_opt::<Self>() {
            Some(loaders) => Ok(loaders),
            // Without credentials there are none, and that is the error to tell.
            None => Err(crate::context::viewer(ctx).map_or_else(
                |unauthenticated| unauthenticated,
                |_| Error::internal("a request with credentials has no loaders").into(),
            )),
        }
    }
}

/// The turns of a request: all resolvers that can go on do so, then the batches that they asked for, and so again.
///
/// Both run in the request's own task, one after the other. So a batch never starts while a resolver could still add to it,
/// and ends with the request when nobody waits for that any more.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<Vec<FutureObj<'static, ()>>>>);

impl Turns {
    /// Runs a request's future, and the batches that it asks for.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut batches = FuturesUnordered::new();
        poll_fn(|cx| self.turn(&mut batches, cx, |cx| future.as_mut().poll(cx))).await
    }

    /// Runs a subscription's stream, and the batches that it asks for.
    pub fn run_stream<S: Stream + Unpin>(self, mut stream: S) -> impl Stream<Item = S::Item> {
        let mut batches = FuturesUnordered::new();
        stream::poll_fn(move |cx| self.turn(&mut batches, cx, |cx| stream.poll_next_unpin(cx)))
    }

    fn turn<T>(
        &self,
        batches: &mut FuturesUnordered<FutureObj<'static, ()>>,
        cx: &mut Poller<'_>,
        mut resolvers: impl FnMut(&mut Poller<'_>) -> Poll<T>,
    ) -> Poll<T> {
        loop {
            if let Poll::Ready(answer) = resolvers(cx) {
                return Poll::Ready(answer);
            }
            batches.extend(std::mem::take(&mut *self.asked_for()));
            let mut ended = false;
            while let Poll::Ready(Some(())) = batches.poll_next_unpin(cx) {
                ended = true;
            }
            if !ended {
                return Poll::Pending;
            }
        }
    }

    fn asked_for(&self) -> MutexGuard<'_, Vec<FutureObj<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawn for Turns {
    fn spawn_obj(&self, batch: FutureObj<'static, ()>) -> std::result::Result<(), SpawnError> {
        self.asked_for().push(batch);
        Ok(())
    }
}

/// No delay: a batch is not begun before its turn anyway.
struct AtOnce;

impl Timer for AtOnce {
    fn delay(&self, _duration: Duration) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

/// A user, a service account or the system, by its id.
///
/// # Errors
/// `UNAUTHENTICATED`; database errors.
pub async fn actor(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ActorKey(id)).await
}

/// A team by its id.
///
/// # Errors
/// As [`actor`].
pub async fn team(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TeamKey(id)).await
}

/// The teams among these ids, in the order of the ids.
///
/// # Errors
/// As [`actor`].
pub async fn teams(ctx: &Context<'_>, ids: &[Uuid]) -> async_graphql::Result<Vec<Row>> {
    let mut found = Loaders::of(ctx)?.0.load_many(ids.iter().copied().map(TeamKey)).await?;
    Ok(ids.iter().filter_map(|id| found.remove(&TeamKey(*id))).collect())
}

/// A ticket of any kind by its id, with its to-one relations.
///
/// # Errors
/// As [`actor`].
pub async fn ticket(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TicketKey(id)).await
}

/// A category by its id, with its parent.
///
/// # Errors
/// As [`actor`].
pub async fn category(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, CategoryKey(id)).await
}

/// A service by its id.
///
/// # Errors
/// As [`actor`].
pub async fn service(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ServiceKey(id)).await
}

/// A configuration item by its id.
///
/// # Errors
/// As [`actor`].
pub async fn configuration_item(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ItemKey(id)).await
}

/// The configuration items that a ticket is about, with the items.
///
/// # Errors
/// As [`actor`].
pub async fn ticket_items(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, TicketItemsKey(ticket)).await?.unwrap_or_default())
}

/// What a task depends on.
///
/// # Errors
/// As [`actor`].
pub async fn dependencies(ctx: &Context<'_>, task: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, DependenciesKey(task)).await?.unwrap_or_default())
}

/// The first or last `limit` tasks of a ticket, oldest first.
///
/// # Errors
/// As [`actor`].
pub async fn tasks(
    ctx: &Context<'_>,
    ticket: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    let key = TasksKey { ticket, newest: direction == PageDirection::Backward, limit };
    Ok(Loaders::one(ctx, key).await?.unwrap_or_default())
}

/// The links of a ticket, those that leave from it first, each with the ticket at the other end.
///
/// # Errors
/// As [`actor`].
pub async fn links(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, LinksKey(ticket)).await?.unwrap_or_default())
}

/// The merges into a ticket, in the order in which they were made.
///
/// # Errors
/// As [`actor`].
pub async fn merges(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, MergesKey(ticket)).await?.unwrap_or_default())
}

/// The links with the first or last `limit` incidents of a problem, in the order in which they were linked.
///
/// # Errors
/// As [`actor`].
pub async fn incidents_of(
    ctx: &Context<'_>,
    problem: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    let key = EffectsKey { problem, newest: direction == PageDirection::Backward, limit };
    Ok(Loaders::one(ctx, key).await?.unwrap_or_default())
}

/// The links with the problems of an incident.
///
/// # Errors
/// As [`actor`].
pub async fn problems_of(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, CausesKey(incident)).await?.unwrap_or_default())
}

/// A rule that finds problems by its id.
///
/// # Errors
/// As [`actor`].
pub async fn detection_rule(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, DetectionRuleKey(id)).await
}

/// How many people requested the incidents of a problem.
///
/// # Errors
/// As [`actor`].
pub async fn affected_users(ctx: &Context<'_>, problem: Uuid) -> async_graphql::Result<usize> {
    Ok(Loaders::one(ctx, AffectedKey(problem)).await?.unwrap_or_default())
}

/// The relations of a configuration item, those that leave from it first, each with the item at the other end.
///
/// # Errors
/// As [`actor`].
pub async fn relations(ctx: &Context<'_>, item: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, RelationsKey(item)).await?.unwrap_or_default())
}

/// The first `limit` members of a team.
///
/// # Errors
/// As [`actor`].
pub async fn members(ctx: &Context<'_>, team: Uuid, limit: u32) -> async_graphql::Result<Vec<Account>> {
    Ok(Loaders::one(ctx, MembersKey { team, limit }).await?.unwrap_or_default())
}

/// The teams of an actor.
///
/// # Errors
/// As [`actor`].
pub async fn teams_of(ctx: &Context<'_>, actor: Uuid) -> async_graphql::Result<Vec<access::Team>> {
    Ok(Loaders::one(ctx, TeamsOfKey(actor)).await?.unwrap_or_default())
}

/// The roles of an actor; none when the viewer may not read them.
///
/// # Errors
/// As [`actor`].
pub async fn roles_of(ctx: &Context<'_>, actor: Uuid) -> async_graphql::Result<Vec<HeldRole>> {
    Ok(Loaders::one(ctx, RolesOfKey(actor)).await?.unwrap_or_default())
}

/// The first or last `limit` comments of a ticket, oldest first, with their authors.
///
/// # Errors
/// As [`actor`].
pub async fn comments(
    ctx: &Context<'_>,
    ticket: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    let key = CommentsKey { ticket, newest: direction == PageDirection::Backward, limit };
    Ok(Loaders::one(ctx, key).await?.unwrap_or_default())
}

/// A comment by its id.
///
/// # Errors
/// As [`actor`].
pub async fn comment(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, CommentKey(id)).await
}

/// An attachment by its id.
///
/// # Errors
/// As [`actor`].
pub async fn attachment(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AttachmentKey(id)).await
}

/// The attachments of a ticket, in the order in which they came, with who attached them.
///
/// # Errors
/// As [`actor`].
pub async fn attachments(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, AttachmentsKey(ticket)).await?.unwrap_or_default())
}

/// The attachments that came with a comment, with who attached them.
///
/// # Errors
/// As [`actor`].
pub async fn comment_attachments(ctx: &Context<'_>, comment: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, CommentAttachmentsKey(comment)).await?.unwrap_or_default())
}

/// What a comment said before it was edited.
///
/// # Errors
/// As [`actor`].
pub async fn comment_revisions(ctx: &Context<'_>, comment: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, RevisionsKey(comment)).await?.unwrap_or_default())
}

/// The mentions in a comment, with the users.
///
/// # Errors
/// As [`actor`].
pub async fn mentions(ctx: &Context<'_>, comment: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, MentionsKey(comment)).await?.unwrap_or_default())
}

/// A time entry by its id.
///
/// # Errors
/// As [`actor`].
pub async fn time_entry(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TimeEntryKey(id)).await
}

/// A labour rate by its id.
///
/// # Errors
/// As [`actor`].
pub async fn labour_rate(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, LabourRateKey(id)).await
}

/// A ticket template by its id.
///
/// # Errors
/// As [`actor`].
pub async fn ticket_template(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TemplateKey(id)).await
}

/// A recurring ticket by its id.
///
/// # Errors
/// As [`actor`].
pub async fn recurring_ticket(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, RecurringKey(id)).await
}

/// The first or last `limit` runs of a recurring ticket, in the order of the times at which they were due.
///
/// # Errors
/// As [`actor`].
pub async fn recurring_runs(
    ctx: &Context<'_>,
    recurring: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    let key = RunsKey { recurring, newest: direction == PageDirection::Backward, limit };
    Ok(Loaders::one(ctx, key).await?.unwrap_or_default())
}

/// The first or last `limit` time entries of a ticket, in the order in which they were written down, with their users.
///
/// # Errors
/// As [`actor`].
pub async fn time_entries(
    ctx: &Context<'_>,
    ticket: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    let key = TimeEntriesKey { ticket, newest: direction == PageDirection::Backward, limit };
    Ok(Loaders::one(ctx, key).await?.unwrap_or_default())
}

/// What the time that was worked on the incidents of a problem adds up to.
///
/// # Errors
/// As [`actor`].
pub async fn incident_work(ctx: &Context<'_>, problem: Uuid) -> async_graphql::Result<Work> {
    Ok(Loaders::one(ctx, IncidentWorkKey(problem)).await?.unwrap_or_default())
}

/// The currency that all amounts of the tenant are in; `None` as long as there is none.
///
/// # Errors
/// As [`actor`].
pub async fn currency(ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
    Loaders::one(ctx, CurrencyKey).await
}

/// The watchers of a ticket, with the users.
///
/// # Errors
/// As [`actor`].
pub async fn watchers(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, WatchersKey(ticket)).await?.unwrap_or_default())
}

/// What a ticket is called in other systems.
///
/// # Errors
/// As [`actor`].
pub async fn external_refs(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, ExternalRefsKey(ticket)).await?.unwrap_or_default())
}

/// An approval by its id.
///
/// # Errors
/// As [`actor`].
pub async fn approval(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ApprovalKey(id)).await
}

/// The approvals of a ticket, oldest first.
///
/// # Errors
/// As [`actor`].
pub async fn approvals(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, ApprovalsKey(ticket)).await?.unwrap_or_default())
}

/// The steps of an approval, in order.
///
/// # Errors
/// As [`actor`].
pub async fn approval_steps(ctx: &Context<'_>, approval: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, ApprovalStepsKey(approval)).await?.unwrap_or_default())
}

/// The votes on all steps of an approval.
///
/// # Errors
/// As [`actor`].
pub async fn approval_votes(ctx: &Context<'_>, approval: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, ApprovalVotesKey(approval)).await?.unwrap_or_default())
}

/// A calendar by its id.
///
/// # Errors
/// As [`actor`].
pub async fn calendar(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, CalendarKey(id)).await
}

/// A policy of service levels by its id.
///
/// # Errors
/// As [`actor`].
pub async fn sla_policy(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, PolicyKey(id)).await
}

/// An agreement by its id.
///
/// # Errors
/// As [`actor`].
pub async fn agreement(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AgreementKey(id)).await
}

/// An alert by its id.
///
/// # Errors
/// As [`actor`].
pub async fn alert(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AlertKey(id)).await
}

/// A rule of alerts by its id.
///
/// # Errors
/// As [`actor`].
pub async fn alert_rule(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AlertRuleKey(id)).await
}

/// A status update by its id.
///
/// # Errors
/// As [`actor`].
pub async fn status_update(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, StatusUpdateKey(id)).await
}

/// A note on a timeline by its id.
///
/// # Errors
/// As [`actor`].
pub async fn timeline_note(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TimelineNoteKey(id)).await
}

/// An action after a major incident by its id.
///
/// # Errors
/// As [`actor`].
pub async fn major_action(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, MajorActionKey(id)).await
}

/// The last status updates of an incident.
///
/// # Errors
/// As [`actor`].
pub async fn status_updates(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, StatusUpdatesKey(incident)).await?.unwrap_or_default())
}

/// What the log tells of an incident, as far as a timeline shows it.
///
/// # Errors
/// As [`actor`].
pub async fn timeline_events(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, TimelineEventsKey(incident)).await?.unwrap_or_default())
}

/// What is noted on the timeline of an incident.
///
/// # Errors
/// As [`actor`].
pub async fn timeline_notes(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, TimelineNotesKey(incident)).await?.unwrap_or_default())
}

/// The review of a major incident.
///
/// # Errors
/// As [`actor`].
pub async fn major_review(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Option<Row>> {
    Ok(Loaders::one(ctx, MajorReviewKey(incident)).await?.and_then(|mut rows| rows.pop()))
}

/// What is to be done after a major incident.
///
/// # Errors
/// As [`actor`].
pub async fn major_actions(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, MajorActionsKey(incident)).await?.unwrap_or_default())
}

/// A service review by its id.
///
/// # Errors
/// As [`actor`].
pub async fn review(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ReviewKey(id)).await
}

/// Which tasks came out of a review.
///
/// # Errors
/// As [`actor`].
pub async fn review_actions(ctx: &Context<'_>, review: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, ReviewActionsKey(review)).await?.unwrap_or_default())
}

/// The clocks of a ticket that the viewer may see, with their policies, in the order in which they started.
///
/// # Errors
/// As [`actor`].
pub async fn sla_clocks(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Ok(Loaders::one(ctx, ClocksKey(ticket)).await?.unwrap_or_default())
}

/// How many tickets a filter document finds for the viewer; `None` for one that they cannot use.
///
/// # Errors
/// As [`actor`].
pub async fn filter_count(ctx: &Context<'_>, document: &Json) -> async_graphql::Result<Option<Count>> {
    Loaders::one(ctx, FilterCountKey(document.to_string())).await
}

/// Who reads, and from what.
struct Batch {
    platform: Platform,
    viewer: Viewer,
}

impl Batch {
    /// The viewer with the rights of now: a subscription's loaders live as long as it does.
    fn ctx(&self) -> Result<Ctx> {
        current(&self.viewer).ok_or_else(|| Error::internal("loaders are made for viewers with credentials"))
    }

    async fn by_ids(
        &self,
        record: &'static RecordType,
        ids: Vec<Uuid>,
        relations: &[&'static str],
    ) -> Result<impl Iterator<Item = (Uuid, Row)>> {
        let rows = self.platform.tickets.by_ids(&self.ctx()?, record, &ids, relations).await?;
        Ok(rows.into_iter().map(|row| (row.id(), row)))
    }
}

/// What a ticket of any kind is read with: its edges, and the fields of its kind, without which they would read as absent.
const TICKET_RELATIONS: &[&str] =
    &["category", "requester", "openedBy", "service", "team", "assignee", "incident", "task", "problem"];

/// Declares a key that is an id, and the record that it is the id of.
macro_rules! by_id {
    ($key:ident, $record:expr, $relations:expr) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(Uuid);

        impl Loader<$key> for Batch {
            type Value = Row;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Row>> {
                let ids = keys.iter().map(|key| key.0).collect();
                let rows = self.by_ids($record, ids, $relations).await?;
                Ok(rows.map(|(id, row)| ($key(id), row)).collect())
            }
        }
    };
}

by_id!(ActorKey, &ACTOR, &[]);
by_id!(TeamKey, &TEAM, &[]);
by_id!(TicketKey, &TICKET, TICKET_RELATIONS);
by_id!(CategoryKey, &CATEGORY, &["parent"]);
by_id!(ServiceKey, &SERVICE, &[]);
by_id!(ItemKey, &ITEM, &[]);
by_id!(ApprovalKey, &APPROVAL, &[]);
by_id!(CalendarKey, &CALENDAR, &[]);
by_id!(PolicyKey, &SLA_POLICY, &[]);
by_id!(AgreementKey, &AGREEMENT, &[]);
by_id!(ReviewKey, &REVIEW, &[]);
by_id!(AlertKey, &ALERT, &[]);
by_id!(AlertRuleKey, &ALERT_RULE, &[]);
by_id!(StatusUpdateKey, &STATUS_UPDATE, &[]);
by_id!(TimelineNoteKey, &TIMELINE_NOTE, &[]);
by_id!(MajorActionKey, &ACTION, &[]);
by_id!(DetectionRuleKey, &DETECTION_RULE, &[]);
by_id!(CommentKey, &COMMENT, &["author"]);
by_id!(AttachmentKey, &ATTACHMENT, &["attachedBy"]);
by_id!(TimeEntryKey, &TIME_ENTRY, &["user"]);
by_id!(LabourRateKey, &LABOUR_RATE, &[]);
by_id!(TemplateKey, &TICKET_TEMPLATE, &[]);
by_id!(RecurringKey, &RECURRING_TICKET, &[]);

/// Declares a key that is the id of what the values belong to, and how those of many are read.
macro_rules! belonging {
    ($key:ident, $value:ty, |$batch:ident, $ids:ident| $read:expr) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(Uuid);

        impl Loader<$key> for Batch {
            type Value = Vec<$value>;
            type Error = Error;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Vec<$value>>> {
                let $batch = self;
                let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let $ids = ids.as_slice();
                let groups: HashMap<Uuid, Vec<$value>> = $read;
                Ok(groups.into_iter().map(|(id, values)| ($key(id), values)).collect())
            }
        }
    };
}

belonging!(TeamsOfKey, access::Team, |batch, actors| batch.platform.access.teams_of(&batch.ctx()?, actors).await?);
belonging!(RolesOfKey, HeldRole, |batch, actors| batch.platform.access.roles_of(&batch.ctx()?, actors).await?);
belonging!(RevisionsKey, Row, |batch, comments| {
    by_field("comment", batch.platform.tickets.revisions_of(&batch.ctx()?, comments).await?)
});
belonging!(AttachmentsKey, Row, |batch, tickets| {
    by_ticket(batch.platform.tickets.attachments_of(&batch.ctx()?, "ticket", tickets).await?)
});
belonging!(CommentAttachmentsKey, Row, |batch, comments| {
    by_field("comment", batch.platform.tickets.attachments_of(&batch.ctx()?, "comment", comments).await?)
});
belonging!(MentionsKey, Row, |batch, comments| {
    by_field("comment", batch.platform.tickets.mentions_of(&batch.ctx()?, comments).await?)
});
belonging!(WatchersKey, Row, |batch, tickets| {
    by_ticket(batch.platform.tickets.watchers_of(&batch.ctx()?, tickets).await?)
});
belonging!(TicketItemsKey, Row, |batch, tickets| {
    by_ticket(batch.platform.tickets.items_of(&batch.ctx()?, tickets).await?)
});
belonging!(DependenciesKey, Row, |batch, tasks| {
    let rows = batch.platform.tickets.dependencies_of(&batch.ctx()?, tasks).await?;
    grouped(rows.into_iter().filter_map(|row| Some((row.get("task").as_id()?, row))))
});
belonging!(MergesKey, Row, |batch, tickets| {
    by_ticket(batch.platform.tickets.merges_of(&batch.ctx()?, tickets).await?)
});
belonging!(LinksKey, Row, |batch, tickets| {
    let (leaving, arriving) = batch.platform.tickets.links_of(&batch.ctx()?, tickets).await?;
    let ends = leaving.into_iter().map(|row| ("source", row)).chain(arriving.into_iter().map(|row| ("target", row)));
    grouped(ends.filter_map(|(end, row)| Some((row.get(end).as_id()?, row))))
});
belonging!(RelationsKey, Row, |batch, items| {
    let (leaving, arriving) = batch.platform.tickets.configuration().relations_of(&batch.ctx()?, items).await?;
    let ends = leaving.into_iter().map(|row| ("source", row)).chain(arriving.into_iter().map(|row| ("target", row)));
    grouped(ends.filter_map(|(end, row)| Some((row.get(end).as_id()?, row))))
});
belonging!(ExternalRefsKey, Row, |batch, tickets| {
    by_ticket(batch.platform.tickets.external_refs_of(&batch.ctx()?, tickets).await?)
});
belonging!(ClocksKey, Row, |batch, tickets| {
    by_ticket(batch.platform.levels.clocks_of(&batch.ctx()?, tickets).await?)
});
belonging!(ReviewActionsKey, Row, |batch, reviews| {
    by_field("review", batch.platform.agreements.actions_of(&batch.ctx()?, reviews).await?)
});
belonging!(StatusUpdatesKey, Row, |batch, incidents| {
    by_field("incident", batch.platform.incidents.status_updates_of(&batch.ctx()?, incidents).await?)
});
belonging!(TimelineEventsKey, Row, |batch, incidents| {
    by_field("subject", batch.platform.incidents.timeline_events_of(&batch.ctx()?, incidents).await?)
});
belonging!(TimelineNotesKey, Row, |batch, incidents| {
    by_field("incident", batch.platform.incidents.timeline_notes_of(&batch.ctx()?, incidents).await?)
});
belonging!(MajorReviewKey, Row, |batch, incidents| {
    by_field("incident", batch.platform.incidents.major_reviews_of(&batch.ctx()?, incidents).await?)
});
belonging!(MajorActionsKey, Row, |batch, incidents| {
    by_field("incident", batch.platform.incidents.major_actions_of(&batch.ctx()?, incidents).await?)
});
belonging!(CausesKey, Row, |batch, incidents| {
    by_field("source", batch.platform.problems.problems_of(&batch.ctx()?, incidents).await?)
});
belonging!(ApprovalsKey, Row, |batch, tickets| {
    by_ticket(batch.platform.tickets.approvals_of(&batch.ctx()?, tickets).await?)
});
belonging!(ApprovalStepsKey, Row, |batch, approvals| {
    by_field("approval", batch.platform.tickets.approval_steps_of(&batch.ctx()?, approvals).await?)
});
belonging!(ApprovalVotesKey, Row, |batch, approvals| {
    by_field("approval", batch.platform.tickets.approval_votes_of(&batch.ctx()?, approvals).await?)
});

/// A filter document, as the text of its JSON.
#[derive(Clone, PartialEq, Eq, Hash)]
struct FilterCountKey(String);

impl Loader<FilterCountKey> for Batch {
    type Value = Count;
    type Error = Error;

    async fn load(&self, keys: &[FilterCountKey]) -> Result<HashMap<FilterCountKey, Count>> {
        let documents = keys.iter().map(|key| serde_json::from_str(&key.0).map_err(Error::internal));
        let documents = documents.collect::<Result<Vec<Json>>>()?;
        let counts = self.platform.tickets.count_documents(&self.ctx()?, &documents).await?;
        Ok(keys.iter().cloned().zip(counts).filter_map(|(key, count)| Some((key, count?))).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct MembersKey {
    team: Uuid,
    limit: u32,
}

impl Loader<MembersKey> for Batch {
    type Value = Vec<Account>;
    type Error = Error;

    async fn load(&self, keys: &[MembersKey]) -> Result<HashMap<MembersKey, Vec<Account>>> {
        let mut answer = HashMap::new();
        // One statement for each number asked for: all teams of one field of a document have the same.
        for (limit, teams) in grouped(keys.iter().map(|key| (key.limit, key.team))) {
            let members = self.platform.access.members(&self.ctx()?, &teams, limit).await?;
            answer.extend(members.into_iter().map(|(team, members)| (MembersKey { team, limit }, members)));
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CommentsKey {
    ticket: Uuid,
    newest: bool,
    limit: u32,
}

impl Loader<CommentsKey> for Batch {
    type Value = Vec<Row>;
    type Error = Error;

    async fn load(&self, keys: &[CommentsKey]) -> Result<HashMap<CommentsKey, Vec<Row>>> {
        let mut answer = HashMap::new();
        for ((newest, limit), tickets) in grouped(keys.iter().map(|key| ((key.newest, key.limit), key.ticket))) {
            let direction = if newest { PageDirection::Backward } else { PageDirection::Forward };
            let rows = self.platform.tickets.comments_of(&self.ctx()?, &tickets, direction, limit).await?;
            let groups = by_ticket(rows).into_iter();
            answer.extend(groups.map(|(ticket, rows)| (CommentsKey { ticket, newest, limit }, rows)));
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TimeEntriesKey {
    ticket: Uuid,
    newest: bool,
    limit: u32,
}

impl Loader<TimeEntriesKey> for Batch {
    type Value = Vec<Row>;
    type Error = Error;

    async fn load(&self, keys: &[TimeEntriesKey]) -> Result<HashMap<TimeEntriesKey, Vec<Row>>> {
        let mut answer = HashMap::new();
        for ((newest, limit), tickets) in grouped(keys.iter().map(|key| ((key.newest, key.limit), key.ticket))) {
            let direction = if newest { PageDirection::Backward } else { PageDirection::Forward };
            let rows = self.platform.tickets.time_entries_of(&self.ctx()?, &tickets, direction, limit).await?;
            let groups = by_ticket(rows).into_iter();
            answer.extend(groups.map(|(ticket, rows)| (TimeEntriesKey { ticket, newest, limit }, rows)));
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct RunsKey {
    recurring: Uuid,
    newest: bool,
    limit: u32,
}

impl Loader<RunsKey> for Batch {
    type Value = Vec<Row>;
    type Error = Error;

    async fn load(&self, keys: &[RunsKey]) -> Result<HashMap<RunsKey, Vec<Row>>> {
        let mut answer = HashMap::new();
        for ((newest, limit), parents) in grouped(keys.iter().map(|key| ((key.newest, key.limit), key.recurring))) {
            let direction = if newest { PageDirection::Backward } else { PageDirection::Forward };
            let rows = self.platform.tickets.recurring_runs_of(&self.ctx()?, &parents, direction, limit).await?;
            let groups = by_field("recurringTicket", rows).into_iter();
            answer.extend(groups.map(|(recurring, rows)| (RunsKey { recurring, newest, limit }, rows)));
        }
        Ok(answer)
    }
}

/// There is one for all of a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CurrencyKey;

impl Loader<CurrencyKey> for Batch {
    type Value = String;
    type Error = Error;

    async fn load(&self, _: &[CurrencyKey]) -> Result<HashMap<CurrencyKey, String>> {
        let currency = self.platform.tickets.currency(&self.ctx()?).await?;
        Ok(currency.into_iter().map(|currency| (CurrencyKey, currency)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct IncidentWorkKey(Uuid);

impl Loader<IncidentWorkKey> for Batch {
    type Value = Work;
    type Error = Error;

    async fn load(&self, keys: &[IncidentWorkKey]) -> Result<HashMap<IncidentWorkKey, Work>> {
        let problems: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let sums = self.platform.problems.incident_work(&self.ctx()?, &problems).await?;
        Ok(sums.into_iter().map(|(problem, work)| (IncidentWorkKey(problem), work)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TasksKey {
    ticket: Uuid,
    newest: bool,
    limit: u32,
}

impl Loader<TasksKey> for Batch {
    type Value = Vec<Row>;
    type Error = Error;

    async fn load(&self, keys: &[TasksKey]) -> Result<HashMap<TasksKey, Vec<Row>>> {
        let mut answer = HashMap::new();
        for ((newest, limit), tickets) in grouped(keys.iter().map(|key| ((key.newest, key.limit), key.ticket))) {
            let direction = if newest { PageDirection::Backward } else { PageDirection::Forward };
            let rows = self.platform.tickets.tasks_of(&self.ctx()?, &tickets, direction, limit).await?;
            let groups = grouped(rows.into_iter().filter_map(|row| Some((row.get("parent").as_id()?, row))));
            answer.extend(groups.into_iter().map(|(ticket, rows)| (TasksKey { ticket, newest, limit }, rows)));
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct EffectsKey {
    problem: Uuid,
    newest: bool,
    limit: u32,
}

impl Loader<EffectsKey> for Batch {
    type Value = Vec<Row>;
    type Error = Error;

    async fn load(&self, keys: &[EffectsKey]) -> Result<HashMap<EffectsKey, Vec<Row>>> {
        let mut answer = HashMap::new();
        for ((newest, limit), problems) in grouped(keys.iter().map(|key| ((key.newest, key.limit), key.problem))) {
            let direction = if newest { PageDirection::Backward } else { PageDirection::Forward };
            let rows = self.platform.problems.incidents_of(&self.ctx()?, &problems, direction, limit).await?;
            let groups = by_field("target", rows).into_iter();
            answer.extend(groups.map(|(problem, rows)| (EffectsKey { problem, newest, limit }, rows)));
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct AffectedKey(Uuid);

impl Loader<AffectedKey> for Batch {
    type Value = usize;
    type Error = Error;

    async fn load(&self, keys: &[AffectedKey]) -> Result<HashMap<AffectedKey, usize>> {
        let problems: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let counts = self.platform.problems.affected_users(&self.ctx()?, &problems).await?;
        Ok(counts.into_iter().map(|(problem, count)| (AffectedKey(problem), count)).collect())
    }
}

/// Rows by the ticket that they belong to, in their order.
fn by_ticket(rows: Vec<Row>) -> HashMap<Uuid, Vec<Row>> {
    by_field("ticket", rows)
}

/// Rows by the record that this field names, in their order.
fn by_field(field: &str, rows: Vec<Row>) -> HashMap<Uuid, Vec<Row>> {
    grouped(rows.into_iter().filter_map(|row| Some((row.get(field).as_id()?, row))))
}

fn grouped<K: Eq + std::hash::Hash, V>(pairs: impl Iterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Counts its batches.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Loader<u32> for Counter {
        type Value = u32;
        type Error = ();

        async fn load(&self, keys: &[u32]) -> Result<HashMap<u32, u32>, ()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(keys.iter().map(|key| (*key, key * 2)).collect())
        }
    }

    async fn two_levels(loader: &DataLoader<Counter>, key: u32) -> u32 {
        let double = loader.load_one(key).await.unwrap().unwrap();
        // Asked for as soon as the first level has come.
        loader.load_one(double + 1_000).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn each_level_is_one_batch() {
        let turns = Turns::default();
        let loader = DataLoader::new(Counter::default(), turns.clone(), AtOnce);
        let answers = turns.run(join_all((0..200).map(|key| two_levels(&loader, key)))).await;
        assert_eq!(answers[3], 2 * (2 * 3 + 1_000));
        assert_eq!(loader.loader().0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn each_message_of_a_stream_has_batches_of_its_own() {
        let turns = Turns::default();
        let loader = DataLoader::new(Counter::default(), turns.clone(), AtOnce);
        let messages =
            stream::iter(0..3).then(|key| join_all([two_levels(&loader, key), two_levels(&loader, key + 100)]));
        let answers = turns.run_stream(messages.boxed()).collect::<Vec<_>>().await;
        assert_eq!(answers[1], [2 * (2 + 1_000), 2 * (202 + 1_000)]);
        assert_eq!(loader.loader().0.load(Ordering::SeqCst), 6);
    }

    #[test]
    fn groups_keep_the_order_of_what_they_group() {
        let groups = grouped([(1, 'b'), (2, 'x'), (1, 'a'), (1, 'c')].into_iter());
        assert_eq!(groups[&1], ['b', 'a', 'c']);
        assert_eq!(groups[&2], ['x']);
    }

    #[test]
    fn a_row_without_a_ticket_belongs_to_none() {
        let ticket = Uuid::from_u128(1);
        let row = |ticket: predicate::Value| Row::new(&ticket::fields::COMMENT, vec![("ticket", ticket)]);
        let groups = by_ticket(vec![row(ticket.into()), row(predicate::Value::Null)]);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[&ticket].len(), 1);
    }
}
