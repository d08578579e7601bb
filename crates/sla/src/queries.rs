//! Reading calendars, policies and clocks, as far as the viewer may see them.

use access::{of_key, of_type, visibility};
use calendar::CalendarDocument;
use kernel::id::prefix;
use kernel::{Ctx, Error, PageDirection, Result, UserError, Uuid};
use predicate::{Predicate, RecordType};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};

use crate::clock::MAX_CLOCKS;
use crate::commands::{CalendarRef, PolicyRef};
use crate::fields::{CALENDAR, CALENDAR_VERSION, SLA_CLOCK, SLA_POLICY, SLA_POLICY_VERSION};
use crate::policy::PolicyDocument;
use crate::service::ServiceLevels;
use crate::stored::{StoredClock, document};
use crate::tables;

impl CalendarRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            CalendarRef::Id(id) => of_type(id, prefix::CALENDAR),
            CalendarRef::Key(key) => of_key(key),
        }
    }

    pub(crate) const fn path(&self) -> &'static str {
        match self {
            CalendarRef::Id(_) => "id",
            CalendarRef::Key(_) => "key",
        }
    }
}

impl PolicyRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            PolicyRef::Id(id) => of_type(id, prefix::SLA_POLICY),
            PolicyRef::Key(key) => of_key(key),
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            PolicyRef::Id(_) => "id",
            PolicyRef::Key(_) => "key",
        }
    }
}

impl ServiceLevels {
    /// The calendar that a reference points at.
    ///
    /// # Errors
    /// Database errors.
    pub async fn calendar(&self, ctx: &Ctx, reference: &CalendarRef) -> Result<Option<Row>> {
        let reader = self.store().read("calendar.find");
        self.access().find_unmasked(&reader, ctx, &CALENDAR, reference.condition()).await
    }

    /// The policy that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn policy(&self, ctx: &Ctx, reference: &PolicyRef) -> Result<Option<Row>> {
        let reader = self.store().read("slaPolicy.find");
        self.access().find_unmasked(&reader, ctx, &SLA_POLICY, reference.condition()).await
    }

    /// The same for a write.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `key`.
    pub async fn calendar_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        reference: &CalendarRef,
    ) -> Result<Row> {
        let found = self.access().find_unmasked(connection, ctx, &CALENDAR, reference.condition()).await?;
        found.ok_or_else(|| UserError::not_found([reference.path()], "the calendar").into())
    }

    /// The same for a write.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `key`.
    pub async fn policy_in(&self, connection: &impl ConnectionTrait, ctx: &Ctx, reference: &PolicyRef) -> Result<Row> {
        let found = self.access().find_unmasked(connection, ctx, &SLA_POLICY, reference.condition()).await?;
        found.ok_or_else(|| UserError::not_found([reference.path()], "the policy").into())
    }

    /// What a calendar says at its newest version.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn calendar_document_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        calendar: &Row,
    ) -> Result<CalendarDocument> {
        let version = self.version_in(connection, ctx, &CALENDAR_VERSION, "calendar", calendar).await?;
        document(&version, "document")
    }

    /// What a policy says at its newest version.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn policy_document_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        policy: &Row,
    ) -> Result<PolicyDocument> {
        let version = self.version_in(connection, ctx, &SLA_POLICY_VERSION, "policy", policy).await?;
        document(&version, "document")
    }

    async fn version_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        record: &'static RecordType,
        parent: &'static str,
        row: &Row,
    ) -> Result<Row> {
        let newest = Predicate::eq(parent, row.id()).and(Predicate::eq("number", row.get("number").clone()));
        let found = self.access().find_unmasked(connection, ctx, record, Some(newest)).await?;
        found.ok_or_else(|| Error::internal(format!("the newest version of {} is missing", row.id())))
    }

    /// What calendars and policies say, by the ids of the records: at their newest versions, or at all of them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn versions_of(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        parent: &'static str,
        ids: &[Uuid],
        limit: u32,
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("sla.versions");
        let (all, newest) = (Predicate::always(), PageDirection::Backward);
        query::by_parents(&reader, &scoped, record, parent, ids, &all, newest, limit, &[]).await
    }

    /// The clocks of these tickets that the viewer may see, in the order in which they started, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn clocks_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("sla.clocks");
        let (all, forward) = (Predicate::always(), PageDirection::Forward);
        let limit = MAX_CLOCKS as u32;
        query::by_parents(&reader, &scoped, &SLA_CLOCK, "ticket", tickets, &all, forward, limit, &["policy"]).await
    }

    /// All clocks of these tickets, whoever asks, for computing.
    pub(crate) async fn all_clocks_of(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        tickets: &[Uuid],
    ) -> Result<Vec<Row>> {
        let system = self.system(ctx);
        let visible = visibility::unmasked(&self.access().visible(&system));
        let scoped = self.access().scoped(&system, &visible);
        let (all, forward) = (Predicate::always(), PageDirection::Forward);
        let limit = MAX_CLOCKS as u32;
        query::by_parents(connection, &scoped, &SLA_CLOCK, "ticket", tickets, &all, forward, limit, &[]).await
    }

    /// The same as they are computed with, for a write: of one ticket, as nearly always, without the general way.
    pub(crate) async fn stored_clocks_in(&self, tx: &Tx, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<StoredClock>> {
        match tickets {
            [ticket] => tables::clocks_of(tx, ctx.tenant, *ticket).await,
            tickets => self.all_clocks_of(tx, ctx, tickets).await?.iter().map(StoredClock::from_row).collect(),
        }
    }
}
