//! Merging a ticket into another that tells of the same, undoing that, and splitting comments off into a ticket of their own.
//!
//! **What a merge does.** The comments and attachments of the duplicate move to the ticket that goes on, as they are: ids, authors,
//! times and visibility stay, and each says where it comes from. The duplicate's requester and watchers become watchers of the other.
//! The duplicate ends, as an effect of the merge and by no transition, and is linked as `DUPLICATES`. Until the merge is undone nothing
//! of it can be changed ([`Tickets::edit_in`] refuses it), only taken away.
//!
//! **What was moved is not said anew.** No `CommentAdded` is told of it, and it answers for no clock: the ticket that goes on was
//! answered when somebody answered there.

pub mod fields;
mod rules;
mod split;
mod undo;

pub use rules::MERGE_UNDO_WINDOW;
pub use split::{SPLIT_MAX_COMMENTS, SplitOutcome, SplitTicket};
pub use undo::{MergeRef, UndoMerge};

pub use crate::tables::moving::Moved;

use access::permission::{TICKET_INTERNAL, TICKET_UPDATE};
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Error, Id, Result, UserError, Uuid, id};
use predicate::{Predicate, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Event, RecordRef, Tx, Written};

use self::fields::TICKET_MERGE;
use self::rules::Weight;
use crate::commands::check_body;
use crate::edit::Edit;
use crate::events;
use crate::fields::{ATTACHMENT, COMMENT, DEPENDENCY, LINK, TASK, TICKET};
use crate::model::{CommentVisibility, LinkType, StateCategory, WaitingReason};
use crate::queries::TicketRef;
use crate::service::{Tickets, told_along};
use crate::tables::moving;

/// How many comments a merge moves at most.
pub const MERGE_MAX_COMMENTS: usize = 1_000;
/// How many tickets may be merged into one, those whose merge was undone among them.
pub const MAX_MERGES: usize = 100;

/// Merge a ticket into another.
#[derive(Clone, Debug)]
pub struct MergeTickets {
    /// The one that ends.
    pub duplicate: TicketRef,
    /// The one that goes on.
    pub into: TicketRef,
    /// What to say in public on the one that ends.
    pub comment: Option<String>,
    /// Refuse when the one that ends has another version.
    pub expected_version: Option<i32>,
}

/// A merge, and what became of the two tickets.
#[derive(Clone, Debug)]
pub struct MergeOutcome {
    /// The ticket that goes on; all are `None` for whoever may no longer see them.
    pub ticket: Option<Row>,
    /// The duplicate.
    pub duplicate: Option<Row>,
    /// The merge.
    pub merge: Option<Row>,
    /// What was recorded.
    pub events: Vec<Event>,
}

/// A merge as it is in the making: itself, the duplicate, and the ticket that goes on.
type Made = (Row, Row, Row);

impl Tickets {
    /// Merges a ticket into another.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` without `ticket.update` and `ticket.internal` on both; `CONFLICT`; `VALIDATION` for tickets that do not
    /// go together, and for a duplicate with children or tasks that are not done or that others wait for; `LIMIT` beyond [`MERGE_MAX_COMMENTS`], [`MAX_MERGES`] and what the other ticket may have of attachments and links.
    pub async fn merge(&self, ctx: &Ctx, command: MergeTickets) -> Result<MergeOutcome> {
        let mut problems = Problems::default();
        if let Some(body) = &command.comment {
            check_body(&mut problems, "comment", body);
        }
        problems.check()?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketMerge", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.merge_in(tx, &command).await })
        });
        self.merge_outcome(ctx, written.await?).await
    }

    async fn merge_in(&self, tx: &mut Tx, command: &MergeTickets) -> Result<Made> {
        let mut problems = Problems::default();
        let duplicate = problems.take(self.edit_in(tx, &command.duplicate, "id").await)?;
        let into = problems.take(self.edit_in(tx, &command.into, "into").await)?;
        problems.check()?;
        let (Some(mut duplicate), Some(into)) = (duplicate, into) else {
            return Err(Error::internal("references were checked"));
        };
        duplicate.expect_version(command.expected_version)?;
        self.require_to_merge(tx.ctx(), &duplicate)?;
        self.require_to_merge(tx.ctx(), &into).map_err(|error| error.within("into"))?;
        rules::check_pair(duplicate.rules.as_ref(), &duplicate.before, &into.before)?;
        Edit::hold_both_in(tx, &duplicate, &into).await?;
        let weight = self.weigh_in(tx, &duplicate, &into).await?;
        weight.check()?;
        let merge = tx.new_id();
        let (from, to) = (duplicate.before.id(), into.before.id());
        let link = self.link_duplicate_in(tx, &duplicate, &into).await?;
        let watchers = self.follow_original_in(tx, &duplicate, &into).await?;
        moving::note_watchers_in(tx, merge, &watchers).await?;
        moving::move_all_in(tx, merge, from, to).await?;
        self.index_moved_in(tx, from, to).await?;
        if let Some(body) = &command.comment {
            // It is said to those who asked for help here, so it stays.
            self.comment_in(tx, &mut duplicate, body, CommentVisibility::Public).await?;
            duplicate.proceed();
        }
        let now = tx.now();
        let before = rules::kept(&duplicate.before);
        let workflow = duplicate.workflow.clone();
        rules::end(&workflow, &mut duplicate.after, now)?;
        duplicate.set("mergedInto", to);
        let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let mut row = Row::new(
            &TICKET_MERGE,
            vec![
                ("id", merge.into()),
                ("ticket", to.into()),
                ("duplicate", from.into()),
                ("mergedBy", tx.ctx().actor.id.into()),
                ("mergedAt", now.into()),
                ("undoableUntil", (now + MERGE_UNDO_WINDOW).into()),
                ("comments", count(weight.comments)),
                ("attachments", count(weight.attachments)),
                ("watchers", count(watchers.len() as u64)),
                ("before", Value::Json(before)),
                ("link", link.map_or(Value::Null, Value::from)),
            ],
        );
        query::insert_unique_in(tx, tx.ctx().tenant, &TICKET_MERGE, &row).await?;
        let payload = payload(merge, &into);
        duplicate.save_in(tx, self.access(), events::MERGED, payload).await?;
        self.recount_dependents_in(tx, &duplicate).await?;
        self.tell_of_merge(tx, events::MERGE_RECEIVED, merge, &into, &duplicate);
        tx.answers_with(reference(merge));
        row.set_relation("ticket", Some(into.after.clone()));
        row.set_relation("duplicate", Some(duplicate.after.clone()));
        Ok((row, duplicate.after, into.after))
    }

    /// Says on the ticket that goes on what became of a merge, for those who work on it.
    fn tell_of_merge(&self, tx: &mut Tx, kind: &'static str, merge: Uuid, subject: &Edit, other: &Edit) {
        self.tell(tx, subject, kind, payload(merge, other));
    }

    async fn merge_outcome(&self, ctx: &Ctx, written: Written<Made>) -> Result<MergeOutcome> {
        let events = self.events_of(ctx, &written).await?;
        match written {
            Written::Fresh { value: (merge, duplicate, into), along, .. } => {
                let ticket = self.masked(ctx, told_along(into, along.clone()));
                let duplicate = self.masked(ctx, told_along(duplicate, along));
                Ok(MergeOutcome { ticket, duplicate, merge: self.masked(ctx, merge), events })
            }
            Written::Replayed { record, .. } => {
                let merge = self.by_ids(ctx, &TICKET_MERGE, &[record.id.uuid], &[]).await?.pop();
                let Some(merge) = merge else {
                    // Whoever may no longer see what they did is told nothing of it.
                    return Ok(MergeOutcome { ticket: None, duplicate: None, merge: None, events: Vec::new() });
                };
                let end = |name: &str| merge.get(name).as_id().unwrap_or_default();
                let ticket = self.ticket_with_id(ctx, end("ticket")).await?;
                let duplicate = self.ticket_with_id(ctx, end("duplicate")).await?;
                Ok(MergeOutcome { ticket, duplicate, merge: Some(merge), events })
            }
        }
    }

    /// What hangs on the two, whoever may see it.
    async fn weigh_in(&self, tx: &mut Tx, duplicate: &Edit, into: &Edit) -> Result<Weight> {
        let (from, to) = (duplicate.before.id(), into.before.id());
        let (here, there) = (Predicate::eq("ticket", from), Predicate::eq("ticket", to));
        let comments = self.count_all_in(tx, &COMMENT, std::slice::from_ref(&here)).await?;
        let attachments = self.count_all_in(tx, &ATTACHMENT, &[here, there.clone()]).await?;
        let merges = self.count_all_in(tx, &TICKET_MERGE, &[there]).await?;
        let open = || {
            let open = [StateCategory::New, StateCategory::Active, StateCategory::Waiting];
            Predicate::one_of("stateCategory", &open.map(StateCategory::as_str))
        };
        let linked = |end, kind: LinkType| Predicate::eq(end, from).and(Predicate::eq("type", kind.as_str()));
        let children = linked("source", LinkType::ParentOf).and(open().through("target"));
        let for_its_fix = Predicate::eq("stateCategory", StateCategory::Waiting.as_str())
            .and(Predicate::eq("waitingReason", WaitingReason::Problem.as_str()));
        let effects = linked("target", LinkType::CausedBy).and(for_its_fix.through("source"));
        let resolved = linked("target", LinkType::ResolvedBy).and(open().through("source"));
        let links = self.count_all_in(tx, &LINK, &[children, effects, resolved]).await?;
        let tasks = self.count_all_in(tx, &TASK, &[Predicate::eq("parent", from).and(open())]).await?;
        let needing = Predicate::eq("needs", from).and(open().through("task"));
        let needing = self.count_all_in(tx, &DEPENDENCY, &[needing]).await?;
        let at = |counts: &[u64], place: usize| counts.get(place).copied().unwrap_or_default();
        Ok(Weight {
            comments: at(&comments, 0),
            attachments: at(&attachments, 0),
            attachments_there: at(&attachments, 1),
            merges_there: at(&merges, 0),
            open_children: at(&links, 0),
            open_tasks: at(&tasks, 0),
            dependents: at(&links, 1) + at(&links, 2) + at(&needing, 0),
        })
    }

    /// Refuses whoever does not work on a ticket that is to be merged. What is internal to it is asked for whether there is anything or
    /// not, and before anything is counted: else a refusal would tell of it.
    fn require_to_merge(&self, ctx: &Ctx, edit: &Edit) -> Result<()> {
        self.require_on(ctx, edit, TICKET_UPDATE)?;
        self.require_on(ctx, edit, TICKET_INTERNAL)
    }

    /// Refuses what is to be done with a ticket that was merged, to anybody but the system: its timers and reactions look at where a
    /// ticket stands, and a merged one has ended.
    ///
    /// # Errors
    /// `VALIDATION` at `path`, which names the ticket that goes on to those who see it.
    pub(crate) async fn check_not_merged_in(&self, tx: &Tx, row: &Row, path: &str) -> Result<()> {
        let Some(into) = row.get("mergedInto").as_id().filter(|_| tx.ctx().actor.kind != ActorKind::System) else {
            return Ok(());
        };
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let seen = query::find(tx, &scoped, &TICKET, &Predicate::eq("id", into), &[]).await?;
        let message = merged(seen.map(|row| row.text("number")).as_deref());
        Err(UserError::constraint([path], message, "merged", None).into())
    }

    /// The ticket that goes on for one that was merged, through however many merges; itself when it was not.
    ///
    /// # Errors
    /// Database errors.
    pub async fn survivor_in(&self, tx: &Tx, ticket: &Row) -> Result<Uuid> {
        match ticket.get("mergedInto").is_null() {
            true => Ok(ticket.id()),
            false => moving::survivor_in(tx, ticket.id()).await,
        }
    }

    /// The tickets that were merged into one, through however many merges that stand: what is linked with them is its business.
    ///
    /// # Errors
    /// Database errors.
    pub async fn merged_into_in(&self, tx: &Tx, ticket: Uuid) -> Result<Vec<Uuid>> {
        moving::merged_into_in(tx, ticket).await
    }

    /// Moves rows of a practice's own along with a ticket that is merged, and notes for the merge which they were; or `back`, those
    /// that are noted and still stand where they were moved to. Answers how many.
    ///
    /// # Errors
    /// Database errors.
    pub async fn move_along_in(
        &self,
        tx: &Tx,
        moved: &Moved,
        merge: Uuid,
        (from, to): (Uuid, Uuid),
        back: bool,
    ) -> Result<u64> {
        match back {
            true => moved.move_back_in(tx, merge, from, to).await,
            false => moved.move_in(tx, merge, from, to).await,
        }
    }

    /// The merges into each of these tickets, by one statement, in the order in which they were made.
    ///
    /// # Errors
    /// Database errors.
    pub async fn merges_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.merges");
        let (all, forward, limit) = (Predicate::always(), kernel::PageDirection::Forward, MAX_MERGES as u32);
        query::by_parents(&reader, &scoped, &TICKET_MERGE, "ticket", tickets, &all, forward, limit, &[]).await
    }
}

/// Why nothing is done with a merged ticket: the number of the one that goes on is for those who see that.
pub fn merged(into: Option<&str>) -> String {
    match into {
        Some(number) => format!("the ticket was merged into {number}: go on there"),
        None => "the ticket was merged into another one".to_owned(),
    }
}

/// What events of a merge say of it, on one of the two tickets.
fn payload(merge: Uuid, other: &Edit) -> Json {
    json!({ "merge": merge.to_string(), "ticket": other.reference().id.to_string() })
}

fn reference(merge: Uuid) -> RecordRef {
    RecordRef { id: Id::new(id::prefix::TICKET_MERGE, merge), version: 1 }
}
