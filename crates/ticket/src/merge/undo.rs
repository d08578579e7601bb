//! Undoing a merge: what it moved goes back, as far as it is still there; what was said since stays where it was said.

use kernel::{Ctx, Id, Result, UserError, Uuid, id};
use predicate::{Predicate, Value};
use store::Tx;
use store::query::{self, Row};

use super::fields::TICKET_MERGE;
use super::{Made, MergeOutcome, payload, reference, rules};
use crate::edit::Edit;
use crate::events;
use crate::model::TicketKind;
use crate::queries::TicketRef;
use crate::service::Tickets;
use crate::tables::moving;
use crate::timer;

/// How people and programs point at a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRef {
    /// By its id.
    Id(Id),
    /// By its duplicate: the merge that stands.
    Duplicate(TicketRef),
}

impl MergeRef {
    /// Reads the id of a merge, or the id or number of a duplicate.
    ///
    /// # Errors
    /// A `VALIDATION` error at `id` when it is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        match Id::parse_as(text, &[id::prefix::TICKET_MERGE]) {
            Ok(id) => Ok(MergeRef::Id(id)),
            Err(_) => Ok(MergeRef::Duplicate(TicketRef::parse(text, "id")?)),
        }
    }
}

/// Undo a merge.
#[derive(Clone, Debug)]
pub struct UndoMerge {
    /// Which merge.
    pub merge: MergeRef,
    /// Refuse when the duplicate has another version.
    pub expected_version: Option<i32>,
}

impl Tickets {
    /// Undoes a merge: comments and attachments that it moved and that are still there go back, watchers and the link that it made
    /// are taken away, and the duplicate stands where it stood. Approvals that it ended stay ended.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` as for the merge; `CONFLICT`; `VALIDATION` after [`MERGE_UNDO_WINDOW`](super::MERGE_UNDO_WINDOW),
    /// for the second time, and when the other ticket was merged on.
    pub async fn undo_merge(&self, ctx: &Ctx, command: UndoMerge) -> Result<MergeOutcome> {
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketMergeUndo", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.undo_merge_in(tx, &command).await })
        });
        self.merge_outcome(ctx, written.await?).await
    }

    async fn undo_merge_in(&self, tx: &mut Tx, command: &UndoMerge) -> Result<Made> {
        let found = self.merge_row_in(tx, &command.merge).await?;
        let mut duplicate = self.end_of_in(tx, &found, "duplicate").await?;
        let into = self.end_of_in(tx, &found, "ticket").await?;
        duplicate.expect_version(command.expected_version)?;
        Edit::hold_both_in(tx, &duplicate, &into).await?;
        // Nobody undoes it now that both are held: what is read here stays.
        let mut merge = self.merge_with_in(tx, Predicate::eq("id", found.id())).await?.ok_or_else(missing)?;
        for end in [&duplicate, &into] {
            self.require_to_merge(tx.ctx(), end)?;
        }
        let now = tx.now();
        rules::check_undo(&merge, &into.before, now)?;
        let (from, to) = (into.before.id(), duplicate.before.id());
        moving::move_back_in(tx, merge.id(), from, to).await?;
        self.index_comments_of_in(tx, &[from, to]).await?;
        let watchers = moving::noted_watchers_in(tx, merge.id()).await?;
        self.remove_watchers_in(tx, &into, &watchers).await?;
        if let Some(link) = merge.get("link").as_id() {
            self.unlink_duplicate_in(tx, link, &duplicate, &into).await?;
        }
        self.bring_back_in(tx, &mut duplicate, &merge, &into).await?;
        let changes = [("undoneAt", Value::from(now)), ("undoneBy", tx.ctx().actor.id.into())];
        query::update_in(&*tx, tx.ctx().tenant, &TICKET_MERGE, merge.id(), None, &changes).await?;
        for (field, value) in changes {
            merge.set(field, value);
        }
        self.tell_of_merge(tx, events::MERGE_UNDONE, merge.id(), &into, &duplicate);
        tx.answers_with(reference(merge.id()));
        merge.set_relation("ticket", Some(into.after.clone()));
        merge.set_relation("duplicate", Some(duplicate.after.clone()));
        Ok((merge, duplicate.after, into.after))
    }

    /// Has the duplicate stand where it stood, with what follows from that.
    async fn bring_back_in(&self, tx: &mut Tx, duplicate: &mut Edit, merge: &Row, into: &Edit) -> Result<()> {
        let Value::Json(kept) = merge.get("before") else {
            return Err(kernel::Error::internal("a merge does not know what was before"));
        };
        let workflow = duplicate.workflow.clone();
        rules::restore(duplicate.rules.record(), &workflow, &mut duplicate.after, kept)?;
        duplicate.set("mergedInto", Value::Null);
        duplicate.save_in(tx, self.access(), events::MERGE_UNDONE, payload(merge.id(), into)).await?;
        self.recount_dependents_in(tx, duplicate).await?;
        timer::schedule_in(tx, duplicate)
    }

    /// The merge that is pointed at, as it was before anything was held.
    async fn merge_row_in(&self, tx: &mut Tx, reference: &MergeRef) -> Result<Row> {
        match reference {
            MergeRef::Id(id) => self.merge_with_in(tx, Predicate::eq("id", id.uuid)).await?.ok_or_else(missing),
            MergeRef::Duplicate(ticket) => {
                let duplicate = self.edit_merged_in(tx, ticket, "id").await?.before;
                if duplicate.get("mergedInto").is_null() {
                    let message = "the ticket is not merged into another";
                    return Err(UserError::constraint(["id"], message, "merged", None).into());
                }
                let standing = Predicate::Is(predicate::Path::field("undoneAt"), predicate::Test::IsNull(true));
                let found = self.merge_with_in(tx, Predicate::eq("duplicate", duplicate.id()).and(standing)).await?;
                found.ok_or_else(missing)
            }
        }
    }

    /// The merge that a condition finds, if the viewer sees both tickets, with all that it keeps.
    async fn merge_with_in(&self, tx: &mut Tx, condition: Predicate) -> Result<Option<Row>> {
        let ctx = tx.ctx().clone();
        let visible = access::visibility::unmasked(&self.access().visible(&ctx));
        let scoped = self.access().scoped(&ctx, &visible);
        query::find(&*tx, &scoped, &TICKET_MERGE, &condition, &["ticket", "duplicate"]).await
    }

    async fn end_of_in(&self, tx: &mut Tx, merge: &Row, name: &str) -> Result<Edit> {
        let end = merge.relation(name).and_then(|row| Some((TicketKind::parse(&row.text("kind"))?, row.id())));
        let (kind, id): (TicketKind, Uuid) = end.ok_or_else(missing)?;
        self.edit_merged_in(tx, &TicketRef::Id(Id::new(kind.id_prefix(), id)), "id").await
    }
}

fn missing() -> kernel::Error {
    UserError::not_found(["id"], "the merge").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_is_named_by_itself_or_by_its_duplicate() {
        let id = Id::new(id::prefix::TICKET_MERGE, Uuid::from_u128(7));
        assert_eq!(MergeRef::parse(&id.to_string()).unwrap(), MergeRef::Id(id));
        let number = MergeRef::Duplicate(TicketRef::Number("INC-1042".into()));
        assert_eq!(MergeRef::parse("INC-1042").unwrap(), number);
        assert!(MergeRef::parse("nonsense").is_err());
    }
}
