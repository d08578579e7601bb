//! Relating configuration items with each other.

use access::{Changed, Managed};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Result, UserError, Uuid};
use predicate::Predicate;
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use super::Configuration;
use super::items::KIND;
use crate::commands::{MAX_RELATIONS, RelateItems};
use crate::events::{ITEM_RELATED, ITEM_UNRELATED};
use crate::fields::{ITEM, RELATION};

impl Configuration {
    /// Adds a relation. Doing it twice changes nothing.
    ///
    /// # Errors
    /// `FORBIDDEN` without `configuration.manage`; `NOT_FOUND` at `source` or `target`; `VALIDATION` for an item and itself, and
    /// for a retired one; `LIMIT` beyond [`MAX_RELATIONS`].
    pub async fn relate_items(&self, ctx: &Ctx, command: RelateItems) -> Result<Changed<Row>> {
        self.change_relation(ctx, "configurationItemRelate", command, true).await
    }

    /// Takes a relation away. Doing it twice changes nothing.
    ///
    /// # Errors
    /// `FORBIDDEN` without `configuration.manage`; `NOT_FOUND` at `source` or `target`.
    pub async fn unrelate_items(&self, ctx: &Ctx, command: RelateItems) -> Result<Changed<Row>> {
        self.change_relation(ctx, "configurationItemUnrelate", command, false).await
    }

    async fn change_relation(
        &self,
        ctx: &Ctx,
        name: &'static str,
        command: RelateItems,
        add: bool,
    ) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let configuration = self.clone();
        let written = self.store().write(ctx, name, move |tx| {
            let (configuration, command) = (configuration.clone(), command.clone());
            Box::pin(async move { configuration.change_relation_in(tx, &command, add).await })
        });
        self.access().answer_row(ctx, written.await?, &ITEM, "the configuration item").await
    }

    async fn change_relation_in(&self, tx: &mut Tx, command: &RelateItems, add: bool) -> Result<Row> {
        let mut problems = Problems::default();
        let source = self.item_in(tx, &command.source).await.map_err(|error| error.within("source"));
        let source = problems.take(source)?;
        let target = self.item_in(tx, &command.target).await.map_err(|error| error.within("target"));
        let target = problems.take(target)?;
        problems.check()?;
        let (Some(source), Some(target)) = (source, target) else {
            return Err(Error::internal("references were checked"));
        };
        let tenant = tx.ctx().tenant;
        // The ends are held: relations of one item are counted and compared one after the other. In the order of their ids, so
        // that two writes cannot wait for each other.
        let mut ends = [&source, &target];
        ends.sort_by_key(|row| row.id());
        for end in ends {
            if !query::hold_in(tx, tenant, &ITEM, end.id(), Managed::version(end)).await? {
                return Err(tx.retry());
            }
        }
        let there = self.relation_in(tx, &source, &target, command).await?;
        let changes = match (&there, add) {
            (None, true) => {
                self.check_new_in(tx, &source, &target).await?;
                self.insert_relation_in(tx, &source, &target, command).await?;
                true
            }
            (Some(there), false) => {
                query::delete_in(tx, tenant, &RELATION, &[("id", there.id())]).await?;
                true
            }
            _ => false,
        };
        if changes {
            let kind = if add { ITEM_RELATED } else { ITEM_UNRELATED };
            let other = Id::new(prefix::CONFIGURATION_ITEM, target.id()).to_string();
            let payload = json!({ "type": command.kind.as_str(), "target": other });
            tx.emit(KIND.event(kind, &source, Vec::new(), payload));
        }
        KIND.answers(tx, &source);
        Ok(source)
    }

    async fn relation_in(&self, tx: &mut Tx, source: &Row, target: &Row, command: &RelateItems) -> Result<Option<Row>> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let condition = Predicate::eq("source", source.id())
            .and(Predicate::eq("target", target.id()))
            .and(Predicate::eq("type", command.kind.as_str()));
        query::find(tx, &self.access().scoped(&ctx, &visible), &RELATION, &condition, &[]).await
    }

    async fn check_new_in(&self, tx: &mut Tx, source: &Row, target: &Row) -> Result<()> {
        if source.id() == target.id() {
            let message = "a configuration item has no relation with itself";
            return Err(UserError::constraint(["target"], message, "self", None).into());
        }
        for (path, row) in [("source", source), ("target", target)] {
            if row.bool("retired") {
                let message = format!("the configuration item `{}` is retired", row.text("name"));
                return Err(UserError::constraint([path], message, "retired", None).into());
            }
        }
        for (path, end) in [("source", source.id()), ("target", target.id())] {
            if self.relations_at_in(tx, path, end).await? >= MAX_RELATIONS {
                let message =
                    format!("the configuration item has {MAX_RELATIONS} relations this way; that is the limit");
                return Err(UserError::limit([path], message, MAX_RELATIONS as u64).into());
            }
        }
        Ok(())
    }

    async fn relations_at_in(&self, tx: &mut Tx, end: &'static str, item: Uuid) -> Result<usize> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let condition = Predicate::eq(end, item);
        let scoped = self.access().scoped(&ctx, &visible);
        Ok(query::all(tx, &scoped, &RELATION, &condition, &[], MAX_RELATIONS as u64).await?.len())
    }

    async fn insert_relation_in(&self, tx: &mut Tx, source: &Row, target: &Row, command: &RelateItems) -> Result<()> {
        let ctx = tx.ctx().clone();
        let row = Row::new(
            &RELATION,
            vec![
                ("id", ctx.new_id().into()),
                ("source", source.id().into()),
                ("target", target.id().into()),
                ("type", command.kind.as_str().into()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, ctx.tenant, &RELATION, &row).await
    }
}
