//! The incident: the shared fields of tickets, and its own.

use kernel::id::prefix;
use store::query::Row;

use crate::incidents::major::MajorIncident;
use crate::incidents::suggestions::{self, SimilarIncident, SuggestedKnownError};
use crate::scalars::{DateTime, Markdown};
use crate::tickets::object::ticket_object;
use crate::tickets::types::TicketRow;
use crate::tickets::words::{IncidentOrigin, TicketKind};

/// An unplanned interruption or reduction in the quality of a service.
#[derive(Clone)]
pub struct Incident(pub TicketRow);

impl Incident {
    const PREFIX: &'static str = prefix::INCIDENT;
    const KIND: TicketKind = TicketKind::Incident;

    /// Of a row of the shared table, its extension joined or not, or of an incident's.
    pub fn from_row(row: Row) -> Self {
        Self(TicketRow::new(row, incident::INCIDENT.name))
    }
}

ticket_object! {
    /// An unplanned interruption or reduction in the quality of a service.
    Incident {
        /// How it came in.
        pub async fn origin(&self) -> IncidentOrigin {
            IncidentOrigin::parse(&self.0.0.text("origin")).unwrap_or(IncidentOrigin::Api)
        }

        /// How it was resolved: a key of the tenant's resolution codes, such as `SOLVED`.
        pub async fn resolution_code(&self) -> Option<String> {
            self.0.0.optional_text("resolutionCode")
        }

        /// How it was resolved, in words.
        pub async fn resolution_notes(&self) -> Option<Markdown> {
            self.0.0.optional_text("resolutionNotes").map(Markdown)
        }

        /// How often it was handed to another level of support by `incidentEscalate`. Null without `ticket.internal`.
        pub async fn functional_escalation_level(&self) -> Option<i32> {
            self.0.0.get("functionalEscalationLevel").as_int().map(|level| i32::try_from(level).unwrap_or(i32::MAX))
        }

        /// How often it was brought up the line of managers by `incidentEscalate`. Null without `ticket.internal`.
        pub async fn hierarchical_escalation_level(&self) -> Option<i32> {
            self.0.0.get("hierarchicalEscalationLevel").as_int().map(|level| i32::try_from(level).unwrap_or(i32::MAX))
        }

        /// The manager whom it has reached on its way up. Null before, and without `ticket.internal`.
        pub async fn escalated_to(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<crate::people::User>> {
            crate::incidents::major::user_of(ctx, &self.0.0, "escalatedTo").await
        }

        /// What the alerts of it have in common: at most one open incident has it. Null without alerts, and without `ticket.internal`.
        pub async fn deduplication_key(&self) -> Option<String> {
            self.0.0.optional_text("deduplicationKey")
        }

        /// How often alerts of it were told. Null without alerts, and without `ticket.internal`.
        pub async fn occurrences(&self) -> Option<i32> {
            self.0.0.get("occurrences").as_int().map(|count| i32::try_from(count).unwrap_or(i32::MAX))
        }

        /// How many of its alerts are going on. Null without alerts, and without `ticket.internal`.
        pub async fn firing_alerts(&self) -> Option<i32> {
            self.0.0.get("firingAlerts").as_int().map(|count| i32::try_from(count).unwrap_or(i32::MAX))
        }

        /// When an alert of it was told first. Null without alerts, and without `ticket.internal`.
        pub async fn first_seen_at(&self) -> Option<DateTime> {
            self.0.0.get("firstSeenAt").as_time().map(DateTime)
        }

        /// When an alert of it was told last. Null without alerts, and without `ticket.internal`.
        pub async fn last_seen_at(&self) -> Option<DateTime> {
            self.0.0.get("lastSeenAt").as_time().map(DateTime)
        }

        /// What makes it a major incident; null for one that nobody ever proposed as such.
        pub async fn major_incident(&self) -> Option<MajorIncident> {
            MajorIncident::of(&self.0.0)
        }

        /// The problems that it is caused by, as far as the viewer may see them; at most 100.
        pub async fn problems(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Vec<crate::problems::Problem>> {
            crate::problems::queries::problems_of(ctx, self.0.0.id()).await
        }

        /// Known errors that may explain it, best first, as far as the viewer may see them: they share its configuration items, its
        /// service, its category or words of its title.
        pub async fn suggested_known_errors(
            &self,
            ctx: &async_graphql::Context<'_>,
            #[graphql(desc = "How many, at most 20.", default = 5)] first: i32,
        ) -> async_graphql::Result<Vec<SuggestedKnownError>> {
            suggestions::known_errors(ctx, &self.0, first).await
        }

        /// Other incidents that are like it, best first, as far as the viewer may see them: they share its configuration items, its
        /// service, its category or words of its title.
        pub async fn similar_incidents(
            &self,
            ctx: &async_graphql::Context<'_>,
            #[graphql(desc = "How many, at most 20.", default = 5)] first: i32,
        ) -> async_graphql::Result<Vec<SimilarIncident>> {
            suggestions::incidents(ctx, &self.0, first).await
        }
    }
}
