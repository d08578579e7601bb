//! Reading agreements, requirements, reviews and improvements, as far as the viewer may see them.

use access::{of_key, of_type};
use kernel::id::prefix;
use kernel::{Ctx, Id, PageDirection, Result, UserError, Uuid};
use predicate::{Predicate, RecordType};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};

use crate::commands::{AgreementRef, MAX_REVIEW_ACTIONS};
use crate::fields::{AGREEMENT, IMPROVEMENT, REQUIREMENT, REVIEW, REVIEW_ACTION};
use crate::service::Agreements;

impl AgreementRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            AgreementRef::Id(id) => of_type(id, prefix::SERVICE_AGREEMENT),
            AgreementRef::Key(key) => of_key(key),
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            AgreementRef::Id(_) => "id",
            AgreementRef::Key(_) => "key",
        }
    }
}

impl Agreements {
    /// The agreement that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn agreement(&self, ctx: &Ctx, reference: &AgreementRef) -> Result<Option<Row>> {
        let reader = self.store().read("serviceAgreement.find");
        self.access().find_unmasked(&reader, ctx, &AGREEMENT, reference.condition()).await
    }

    /// The same for a write.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `key`.
    pub async fn agreement_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        reference: &AgreementRef,
    ) -> Result<Row> {
        let found = self.access().find_unmasked(connection, ctx, &AGREEMENT, reference.condition()).await?;
        found.ok_or_else(|| UserError::not_found([reference.path()], "the agreement").into())
    }

    /// A requirement by its id, for a write.
    ///
    /// # Errors
    /// `NOT_FOUND`, without a path.
    pub(crate) async fn requirement_in(&self, tx: &Tx, id: &Id) -> Result<Row> {
        self.by_id_in(tx, &REQUIREMENT, id, prefix::SERVICE_LEVEL_REQUIREMENT, "the requirement").await
    }

    /// A review by its id, for a write.
    ///
    /// # Errors
    /// `NOT_FOUND`, without a path.
    pub(crate) async fn review_in(&self, tx: &Tx, id: &Id) -> Result<Row> {
        self.by_id_in(tx, &REVIEW, id, prefix::SERVICE_REVIEW, "the review").await
    }

    /// An improvement by its id, for a write.
    ///
    /// # Errors
    /// `NOT_FOUND`, without a path.
    pub(crate) async fn improvement_in(&self, tx: &Tx, id: &Id) -> Result<Row> {
        self.by_id_in(tx, &IMPROVEMENT, id, prefix::SERVICE_IMPROVEMENT, "the improvement").await
    }

    async fn by_id_in(&self, tx: &Tx, record: &'static RecordType, id: &Id, prefix: &str, what: &str) -> Result<Row> {
        let found = self.access().find_unmasked(tx, tx.ctx(), record, of_type(id, prefix)).await?;
        found.ok_or_else(|| UserError::not_found([] as [&str; 0], what).into())
    }

    /// The tasks that came out of these reviews, as far as the viewer may see them: at most [`MAX_REVIEW_ACTIONS`] each, the oldest
    /// first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn actions_of(&self, ctx: &Ctx, reviews: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("serviceReview.actions");
        let (all, forward, limit) = (Predicate::always(), PageDirection::Forward, MAX_REVIEW_ACTIONS as u32);
        query::by_parents(&reader, &scoped, &REVIEW_ACTION, "review", reviews, &all, forward, limit, &[]).await
    }
}

/// The ids of a list of a row, without their prefix.
pub fn uuids(row: &Row, field: &str, prefix: &'static str) -> Vec<Uuid> {
    let texts = row.texts(field);
    texts.iter().filter_map(|text| Id::parse_as(text, &[prefix]).ok()).map(|id| id.uuid).collect()
}
