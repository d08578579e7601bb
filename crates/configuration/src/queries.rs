//! Reading services, configuration items and their relations, as far as the viewer may see them.

use access::{of_key, of_type, visibility};
use kernel::id::prefix;
use kernel::{Ctx, PageDirection, Result, UserError, Uuid};
use predicate::Predicate;
use store::Tx;
use store::query::{self, Row};

use crate::commands::{ItemRef, MAX_RELATIONS, ServiceRef};
use crate::fields::{ITEM, RELATION, SERVICE};
use crate::service::Configuration;

impl ServiceRef {
    /// The condition that it points with; `None` when it can point at nothing.
    fn condition(&self) -> Option<Predicate> {
        match self {
            ServiceRef::Id(id) => of_type(id, prefix::SERVICE),
            ServiceRef::Key(key) => of_key(key),
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            ServiceRef::Id(_) => "id",
            ServiceRef::Key(_) => "key",
        }
    }
}

impl ItemRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            ItemRef::Id(id) => of_type(id, prefix::CONFIGURATION_ITEM),
        }
    }
}

impl Configuration {
    /// The service that a reference points at.
    ///
    /// # Errors
    /// Database errors.
    pub async fn service(&self, ctx: &Ctx, reference: &ServiceRef) -> Result<Option<Row>> {
        let reader = self.store().read("service.find");
        self.access().find_unmasked(&reader, ctx, &SERVICE, reference.condition()).await
    }

    /// The configuration item that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn item(&self, ctx: &Ctx, reference: &ItemRef) -> Result<Option<Row>> {
        let reader = self.store().read("configurationItem.find");
        self.access().find_unmasked(&reader, ctx, &ITEM, reference.condition()).await
    }

    /// The service that a reference points at, for a write.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `key`.
    pub async fn service_in(&self, tx: &mut Tx, reference: &ServiceRef) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let found = self.access().find_unmasked(&*tx, &ctx, &SERVICE, reference.condition()).await?;
        found.ok_or_else(|| UserError::not_found([reference.path()], "the service").into())
    }

    /// A service that may be chosen, for a write.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `key`; `VALIDATION` for a retired one.
    pub async fn usable_service_in(&self, tx: &mut Tx, reference: &ServiceRef) -> Result<Row> {
        let row = self.service_in(tx, reference).await?;
        if row.bool("retired") {
            let message = format!("the service `{}` is retired", row.text("key"));
            return Err(UserError::constraint([reference.path()], message, "retired", None).into());
        }
        Ok(row)
    }

    /// The configuration item that a reference points at, for a write.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`.
    pub async fn item_in(&self, tx: &mut Tx, reference: &ItemRef) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let found = self.access().find_unmasked(&*tx, &ctx, &ITEM, reference.condition()).await?;
        found.ok_or_else(|| UserError::not_found(["id"], "the configuration item").into())
    }

    /// The configuration items that the references point at, in their order, by one statement, for a write.
    ///
    /// # Errors
    /// Database errors.
    pub async fn items_in(&self, tx: &mut Tx, references: &[ItemRef]) -> Result<Vec<Option<Row>>> {
        let ctx = tx.ctx().clone();
        let of_items = references.iter().map(|reference| match reference {
            ItemRef::Id(id) => (id.prefix == prefix::CONFIGURATION_ITEM).then_some(id.uuid),
        });
        let ids: Vec<Option<Uuid>> = of_items.collect();
        let mut wanted: Vec<Uuid> = ids.iter().copied().flatten().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let visible = visibility::unmasked(&self.access().visible(&ctx));
        let rows = query::by_ids(&*tx, &self.access().scoped(&ctx, &visible), &ITEM, &wanted, &[]).await?;
        Ok(ids.into_iter().map(|id| rows.iter().find(|row| Some(row.id()) == id).cloned()).collect())
    }

    /// The relations that leave from each of these items, and those that lead to them, each with the item at the other end.
    /// At most [`MAX_RELATIONS`] of each.
    ///
    /// # Errors
    /// Database errors.
    pub async fn relations_of(&self, ctx: &Ctx, items: &[Uuid]) -> Result<(Vec<Row>, Vec<Row>)> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("configurationItem.relations");
        let (all, limit) = (Predicate::always(), MAX_RELATIONS as u32);
        let forward = PageDirection::Forward;
        let leaving =
            query::by_parents(&reader, &scoped, &RELATION, "source", items, &all, forward, limit, &["target"]).await?;
        let arriving =
            query::by_parents(&reader, &scoped, &RELATION, "target", items, &all, forward, limit, &["source"]).await?;
        Ok((leaving, arriving))
    }
}
