//! The incident: the shared fields of tickets, and its own.

use kernel::id::prefix;
use store::query::Row;

use crate::scalars::Markdown;
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
    }
}
