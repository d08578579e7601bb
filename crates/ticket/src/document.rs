//! Filter documents: a client's filter, kept as the JSON that it wrote, and read as a condition when it is used.
//!
//! What a filter looks like is the API's business, so the crate that knows the API reads it: `gateway` registers its
//! [`FilterDocuments`] when the binary starts. Saved filters are such documents, and so is whatever else needs a condition
//! that somebody wrote.

use std::sync::Arc;

use kernel::error::Problems;
use kernel::{Ctx, Error, Result, UserError};
use predicate::{Field, Operand, Policy, Predicate, RecordType, Test, Use};
use serde_json::Value as Json;
use store::ConnectionTrait;

use crate::custom_field::bind;
use crate::fields::TICKET;
use crate::model::TicketKind;
use crate::service::Tickets;

/// The longest filter document, in bytes of its JSON.
pub const MAX_DOCUMENT: usize = 16 * 1024;

/// Reads filter documents.
///
/// The condition is typed as the API's filter is. It is neither resolved nor masked: its relative values (`isViewer`,
/// `hasViewer`, `-P14D`) are those of whoever uses it, and what they may not read is masked then
/// ([`access::visibility::filter`]).
pub trait FilterDocuments: Send + Sync + 'static {
    /// Reads a filter of tickets of any kind (`TicketFilter`).
    ///
    /// # Errors
    /// User errors that say what is wrong with the document.
    fn of_tickets(&self, document: &Json) -> Result<Predicate>;

    /// Reads a filter of tickets of one kind (`IncidentFilter`), which may name the fields of that kind.
    ///
    /// # Errors
    /// As [`FilterDocuments::of_tickets`].
    fn of_kind(&self, kind: TicketKind, document: &Json) -> Result<Predicate>;
}

impl Tickets {
    /// Registers who reads filter documents. The first registration stands.
    pub fn register_documents(&self, documents: Arc<dyn FilterDocuments>) {
        // A second registration would be the same reader again.
        let _ = self.documents_cell().set(documents);
    }

    /// A condition on tickets of any kind that is kept as a document and looked at in memory, on what everybody who sees a ticket
    /// may read: what it says of a ticket tells nobody anything new. There is no viewer and no present in it.
    ///
    /// # Errors
    /// `LIMIT` for a document that is too long; `VALIDATION` with paths inside the document.
    pub async fn kept_condition(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        document: &Json,
    ) -> Result<Predicate> {
        check_length(document)?;
        let definitions = self.custom_fields(connection, ctx).await?;
        let predicate = bind(&definitions, self.documents()?.of_tickets(document)?)?;
        let hidden = |_: &'static RecordType, field: &'static Field| field.read != Policy::Always;
        predicate::check(&predicate, &TICKET, self.access().catalogue(), Use::Event, &hidden)?;
        refuse_viewers(&predicate)?;
        Ok(predicate)
    }

    /// A condition on tickets of a kind that is kept as a document and asked of the database for the system, which may read
    /// everything. There is no viewer in it; its relative times are those of whenever it is used.
    ///
    /// # Errors
    /// `LIMIT` for a document that is too long; `VALIDATION` with paths inside the document.
    pub async fn kept_filter(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        kind: TicketKind,
        document: &Json,
    ) -> Result<Predicate> {
        check_length(document)?;
        let definitions = self.custom_fields(connection, ctx).await?;
        let predicate = bind(&definitions, self.documents()?.of_kind(kind, document)?)?;
        let record = self.kinds().get(kind)?.record();
        predicate::check(&predicate, record, self.access().catalogue(), Use::Query, &|_, _| false)?;
        refuse_viewers(&predicate)?;
        Ok(predicate)
    }

    /// Who reads filter documents.
    ///
    /// # Errors
    /// `INTERNAL` when nobody was registered.
    pub fn documents(&self) -> Result<&Arc<dyn FilterDocuments>> {
        self.documents_cell().get().ok_or_else(|| Error::internal("no reader of filter documents is registered"))
    }
}

/// Whoever keeps a condition is not who will be looking.
fn refuse_viewers(predicate: &Predicate) -> Result<()> {
    let mut problems = Problems::default();
    predicate.for_each_test(&mut |path, test| {
        let relative = match test {
            Test::InViewerTeams => true,
            Test::Eq(operand) => *operand == Operand::Viewer,
            Test::In(operands) => operands.contains(&Operand::Viewer),
            _ => false,
        };
        if relative {
            let segments = path.relations.iter().chain([&path.field]).cloned();
            problems.add(UserError::validation(segments, "there is no viewer here: name the user or the team"));
        }
    });
    problems.check()
}

/// Checks how long a document is.
///
/// # Errors
/// `LIMIT`.
pub fn check_length(document: &Json) -> Result<()> {
    let length = document.to_string().len();
    if length > MAX_DOCUMENT {
        let message = format!("the filter has {length} bytes; at most {MAX_DOCUMENT} are allowed");
        return Err(UserError::limit([] as [&str; 0], message, MAX_DOCUMENT as u64).into());
    }
    Ok(())
}
