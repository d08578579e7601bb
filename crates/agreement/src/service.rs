//! The handle of this crate, and what all of its use cases have in common.

mod agreements;
mod checks;
mod improvements;
mod requirements;
mod reviews;
mod writing;

use access::permission::AGREEMENT_MANAGE;
use access::{Access, Changed};
use configuration::Configuration;
use futures_util::future::BoxFuture;
use kernel::{Ctx, Result};
use predicate::RecordType;
use sla::ServiceLevels;
use store::query::Row;
use store::{Store, Tx};

/// Agreements, requirements, reviews and improvements. Cheap to clone.
#[derive(Clone)]
pub struct Agreements {
    levels: ServiceLevels,
}

impl Agreements {
    /// Over these service levels.
    pub fn new(levels: ServiceLevels) -> Self {
        Self { levels }
    }

    /// Policies, calendars and clocks.
    pub fn levels(&self) -> &ServiceLevels {
        &self.levels
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        self.levels.access()
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.levels.store()
    }

    fn configuration(&self) -> &Configuration {
        self.levels.tickets().configuration()
    }

    /// Runs a write of those who keep agreements, and answers its record.
    async fn write<F>(
        &self,
        ctx: &Ctx,
        name: &'static str,
        record: &'static RecordType,
        what: &str,
        work: F,
    ) -> Result<Changed<Row>>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<Row>> + Send + 'static,
    {
        self.access().require_tenant(ctx, AGREEMENT_MANAGE)?;
        let written = self.store().write(ctx, name, work).await?;
        self.access().answer_row(ctx, written, record, what).await
    }
}
