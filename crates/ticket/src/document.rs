//! Filter documents: a client's filter, kept as the JSON that it wrote, and read as a condition when it is used.
//!
//! What a filter looks like is the API's business, so the crate that knows the API reads it: `gateway` registers its
//! [`FilterDocuments`] when the binary starts. Saved filters are such documents, and so is whatever else needs a condition
//! that somebody wrote.

use std::sync::Arc;

use kernel::{Error, Result, UserError};
use predicate::Predicate;
use serde_json::Value as Json;

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

    /// Who reads filter documents.
    ///
    /// # Errors
    /// `INTERNAL` when nobody was registered.
    pub fn documents(&self) -> Result<&Arc<dyn FilterDocuments>> {
        self.documents_cell().get().ok_or_else(|| Error::internal("no reader of filter documents is registered"))
    }
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
