//! The problem: the shared fields of tickets, and its own.

use kernel::id::prefix;
use store::query::Row;

use crate::incidents::queries::IncidentConnection;
use crate::loaders;
use crate::problems::queries::incidents_of;
use crate::scalars::{Cursor, DateTime, Duration, Markdown};
use crate::tickets::object::ticket_object;
use crate::tickets::types::TicketRow;
use crate::tickets::words::{ProblemOrigin, TicketKind};
use crate::time::TicketCost;

/// A cause, or a possible cause, of incidents.
#[derive(Clone)]
pub struct Problem(pub TicketRow);

impl Problem {
    const PREFIX: &'static str = prefix::PROBLEM;
    const KIND: TicketKind = TicketKind::Problem;

    /// Of a row of the shared table, its extension joined or not, or of a problem's.
    pub fn from_row(row: Row) -> Self {
        Self(TicketRow::new(row, problem::PROBLEM.name))
    }
}

ticket_object! {
    /// A cause, or a possible cause, of incidents.
    Problem {
        /// How it was found.
        pub fn origin(&self) -> ProblemOrigin {
            ProblemOrigin::parse(&self.0.0.text("origin")).unwrap_or(ProblemOrigin::Reactive)
        }

        /// Whether it is a known error: understood well enough to be recognised by `symptom`, with `rootCause` or `workaround`.
        pub fn known_error(&self) -> bool {
            self.0.0.bool("knownError")
        }

        /// By what it is recognised. Null without `ticket.internal`.
        pub fn symptom(&self) -> Option<Markdown> {
            self.0.0.optional_text("symptom").map(Markdown)
        }

        /// Why it happens. Null without `ticket.internal`.
        pub fn root_cause(&self) -> Option<Markdown> {
            self.0.0.optional_text("rootCause").map(Markdown)
        }

        /// What helps meanwhile, as it stands now. Null without `ticket.internal`.
        pub fn workaround(&self) -> Option<Markdown> {
            self.0.0.optional_text("workaround").map(Markdown)
        }

        /// What was published last of it, and is said on incidents. Null without `ticket.internal`.
        pub fn published_workaround(&self) -> Option<Markdown> {
            self.0.0.optional_text("publishedWorkaround").map(Markdown)
        }

        /// When a workaround was published last. Null without `ticket.internal`.
        pub fn workaround_published_at(&self) -> Option<DateTime> {
            self.0.time("workaroundPublishedAt")
        }

        /// How it ended: a key of the tenant's resolution codes, such as `FIXED` or `RISK_ACCEPTED`.
        pub fn resolution_code(&self) -> Option<String> {
            self.0.0.optional_text("resolutionCode")
        }

        /// How it ended, in words.
        pub fn resolution_notes(&self) -> Option<Markdown> {
            self.0.0.optional_text("resolutionNotes").map(Markdown)
        }

        /// When the risk that was accepted is looked at again; `ProblemRiskReviewDue` tells of it.
        pub fn risk_review_at(&self) -> Option<DateTime> {
            self.0.time("riskReviewAt")
        }

        /// The rule that found it; null when nobody's did, without `ticket.internal`, and without `configuration.read`.
        pub async fn detection_rule(
            &self,
            ctx: &async_graphql::Context<'_>,
        ) -> async_graphql::Result<Option<crate::problems::ProblemDetectionRule>> {
            match self.0.0.get("detectionRule").as_id() {
                Some(id) => {
                    Ok(loaders::detection_rule(ctx, id).await?.map(crate::problems::ProblemDetectionRule::from_row))
                }
                None => Ok(None),
            }
        }

        /// The incidents that it causes, as far as the viewer may see them, in the order in which they were linked.
        pub async fn incidents(
            &self,
            ctx: &async_graphql::Context<'_>,
            #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")] first: Option<i32>,
            #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
            #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
            #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
        ) -> async_graphql::Result<IncidentConnection> {
            let page = crate::connection::page(first, after, last, before)?;
            incidents_of(ctx, self.0.0.id(), page).await
        }

        /// How much time was worked on the incidents that it causes, as far as the viewer may read it of them. Null without
        /// `ticket.internal` on the problem.
        pub async fn incident_time_spent(
            &self,
            ctx: &async_graphql::Context<'_>,
        ) -> async_graphql::Result<Option<Duration>> {
            if self.0.0.get("timeSpent").is_null() {
                return Ok(None);
            }
            let work = loaders::incident_work(ctx, self.0.0.id()).await?;
            Ok(Some(Duration::of_seconds(work.seconds.unwrap_or_default())))
        }

        /// What the time on the incidents that it causes costs, as far as the viewer may read it of them. Null without
        /// `ticket.internal` and `cost.read` on the problem.
        pub async fn incident_cost(
            &self,
            ctx: &async_graphql::Context<'_>,
        ) -> async_graphql::Result<Option<TicketCost>> {
            TicketCost::of_problem(ctx, &self.0.0, false).await
        }

        /// What the problem costs: `cost` and `incidentCost` together. Null without `ticket.internal` and `cost.read` on the problem.
        pub async fn total_cost(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<TicketCost>> {
            TicketCost::of_problem(ctx, &self.0.0, true).await
        }

        /// How many people requested the incidents that it causes, as far as the viewer may see these.
        pub async fn affected_user_count(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<i32> {
            let count = loaders::affected_users(ctx, self.0.0.id()).await?;
            Ok(i32::try_from(count).unwrap_or(i32::MAX))
        }
    }
}
