//! The handle of this crate, and what all of its use cases have in common.

mod items;
mod relations;
mod services;

use access::permission::CONFIGURATION_MANAGE;
use access::{Access, Changed};
use kernel::{Ctx, Result, UserError, Uuid};
use predicate::{RecordType, Value};
use store::query::{self, Row};
use store::{Store, Written};

/// Services and configuration items. Cheap to clone.
#[derive(Clone)]
pub struct Configuration {
    access: Access,
}

impl Configuration {
    /// Over this store and these rights.
    pub fn new(access: Access) -> Self {
        Self { access }
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.access.store()
    }

    fn authorise(&self, ctx: &Ctx) -> Result<()> {
        self.access.require_tenant(ctx, CONFIGURATION_MANAGE)
    }

    /// What a mutation answers: its own work, or that of the earlier call with the same key, read as it is now.
    async fn answer(
        &self,
        ctx: &Ctx,
        written: Written<Row>,
        record: &'static RecordType,
        what: &str,
    ) -> Result<Changed<Row>> {
        match written {
            Written::Fresh { value, events, .. } => Ok(Changed { record: value, events }),
            Written::Replayed { record: replayed, events } => {
                let visible = self.access.visible(ctx);
                let scoped = self.access.scoped(ctx, &visible);
                let reader = self.store().read("configuration.replay");
                let found = query::by_ids(&reader, &scoped, record, &[replayed.id.uuid], &[]).await?.pop();
                let row = found.ok_or_else(|| UserError::not_found(["id"], what))?;
                Ok(Changed { record: row, events: self.store().log().by_ids(ctx.tenant, &events).await? })
            }
        }
    }
}

/// The id of an optional reference as a field's value.
fn reference(row: Option<&Row>) -> Value {
    row.map(Row::id).map_or(Value::Null, |id: Uuid| id.into())
}
