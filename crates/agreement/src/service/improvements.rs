//! Adding and changing improvements.

use access::{Changed, Managed};
use kernel::id::prefix;
use kernel::{Ctx, Result};
use store::Tx;
use store::query::Row;

use super::Agreements;
use super::writing::Writing;
use crate::commands::{ImprovementDraft, UpdateImprovement};
use crate::events::{IMPROVEMENT_CREATED, IMPROVEMENT_UPDATED, SUBJECT_IMPROVEMENT};
use crate::fields::IMPROVEMENT;
use crate::model::ImprovementState;

const KIND: Managed =
    Managed { record: &IMPROVEMENT, subject: SUBJECT_IMPROVEMENT, prefix: prefix::SERVICE_IMPROVEMENT };

impl Agreements {
    /// Adds an improvement. `title` is needed.
    ///
    /// # Errors
    /// `FORBIDDEN` without `agreement.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what it points at.
    pub async fn create_improvement(&self, ctx: &Ctx, draft: ImprovementDraft) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceImprovementCreate", &IMPROVEMENT, "the improvement", move |tx| {
            let (agreements, draft) = (agreements.clone(), draft.clone());
            Box::pin(async move {
                let empty = Row::new(&IMPROVEMENT, vec![("state", ImprovementState::Proposed.as_str().into())]);
                let row = agreements.improvement_written_in(tx, empty, &draft).await?;
                KIND.insert_in(tx, IMPROVEMENT_CREATED, row.fields().to_vec()).await
            })
        })
        .await
    }

    /// Changes an improvement.
    ///
    /// # Errors
    /// As [`Agreements::create_improvement`]; `NOT_FOUND` at `id`; `CONFLICT` with the current version.
    pub async fn update_improvement(&self, ctx: &Ctx, command: UpdateImprovement) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceImprovementUpdate", &IMPROVEMENT, "the improvement", move |tx| {
            let (agreements, command) = (agreements.clone(), command.clone());
            Box::pin(async move {
                let before = agreements.improvement_in(tx, &command.improvement).await;
                let before = before.map_err(|error| error.within("id"))?;
                Managed::expect_version(&before, command.expected_version)?;
                let row = agreements.improvement_written_in(tx, before.clone(), &command.draft).await?;
                KIND.update_in(tx, IMPROVEMENT_UPDATED, &before, row).await
            })
        })
        .await
    }

    async fn improvement_written_in(&self, tx: &mut Tx, row: Row, draft: &ImprovementDraft) -> Result<Row> {
        let mut writing = Writing::new(self, tx, row);
        writing.line("title", draft.title.as_deref())?;
        writing.text("description", &draft.description)?;
        writing.service("service", &draft.service).await?;
        writing.agreement("agreement", &draft.agreement).await?;
        writing.review("review", &draft.review).await?;
        writing.user("owner", &draft.owner).await?;
        writing.word("state", draft.state.map(ImprovementState::as_str));
        writing.time("dueAt", &draft.due_at);
        writing.text("benefit", &draft.benefit)?;
        writing.text("outcome", &draft.outcome)?;
        writing.done()
    }
}
