//! The handle of this crate, and what all of its use cases have in common.

mod calendars;
mod draft;
mod policies;

use std::sync::Arc;

use access::permission::SETTINGS_MANAGE;
use access::{Access, Changed};
use calendar::CalendarDocument;
use kernel::{Ctx, Error, Result};
use predicate::RecordType;
use store::query::Row;
use store::{Store, Written};
use ticket::Tickets;

use crate::policy::PolicyDocument;
use crate::regime::{Books, Library};
use crate::stored::document;

pub use calendars::ImportedHolidays;

/// What a row that a write answers says, beside the fields of its record.
const SAYS: &str = "says";

/// Calendars, policies and clocks. Cheap to clone.
#[derive(Clone)]
pub struct ServiceLevels(Arc<Inner>);

struct Inner {
    tickets: Tickets,
    library: Library,
}

impl ServiceLevels {
    /// Over these tickets.
    pub fn new(tickets: Tickets) -> Self {
        Self(Arc::new(Inner { tickets, library: Library::default() }))
    }

    /// The tickets that clocks stand on.
    pub fn tickets(&self) -> &Tickets {
        &self.0.tickets
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        self.0.tickets.access()
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.0.tickets.store()
    }

    /// The policies and calendars that this process knows.
    pub(crate) fn library(&self) -> &Library {
        &self.0.library
    }

    /// What a calendar says, at the version of its row.
    ///
    /// # Errors
    /// `INTERNAL` when it is not there; database errors.
    pub async fn calendar_says(&self, ctx: &Ctx, row: &Row) -> Result<Arc<CalendarDocument>> {
        if !row.get(SAYS).is_null() {
            return Ok(Arc::new(document(row, SAYS)?));
        }
        let number = i32::try_from(row.int("number")).unwrap_or(i32::MAX);
        let found = |books: &Books| books.calendar_document(row.id(), number).cloned();
        self.find_in_books(ctx, found).await?.ok_or_else(|| Error::internal("what a calendar says is missing"))
    }

    /// What a policy says, at the version of its row.
    ///
    /// # Errors
    /// `INTERNAL` when it is not there; database errors.
    pub async fn policy_says(&self, ctx: &Ctx, row: &Row) -> Result<Arc<PolicyDocument>> {
        if !row.get(SAYS).is_null() {
            return Ok(Arc::new(document(row, SAYS)?));
        }
        let number = i32::try_from(row.int("number")).unwrap_or(i32::MAX);
        let found = |books: &Books| books.policy_document(row.id(), number).cloned();
        self.find_in_books(ctx, found).await?.ok_or_else(|| Error::internal("what a policy says is missing"))
    }

    /// Something of a version; when it is not among what this process knows, another one may have just published it.
    pub(crate) async fn find_in_books<T>(&self, ctx: &Ctx, find: impl Fn(&Books) -> Option<T>) -> Result<Option<T>> {
        let reader = self.store().read("sla.books");
        let revision = self.revision(&reader, ctx).await?;
        match find(&*self.books(&reader, ctx, revision).await?) {
            Some(found) => Ok(Some(found)),
            None => Ok(find(&*self.books(&reader, ctx, i64::MAX).await?)),
        }
    }

    pub(crate) fn authorise(&self, ctx: &Ctx) -> Result<()> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)
    }

    /// What a mutation answers, once what was published is known here.
    async fn answer(
        &self,
        ctx: &Ctx,
        written: Written<Row>,
        record: &'static RecordType,
        what: &str,
    ) -> Result<Changed<Row>> {
        self.library().published(ctx.tenant);
        self.access().answer_row(ctx, written, record, what).await
    }
}
