//! Page cursors: the order values of a row as the viewer may read them, tied to the list they were made for.

use kernel::{Error, ErrorCode, Result, Uuid};
use predicate::{Predicate, RecordType, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{OrderTerm, Row};
use crate::CursorSealer;

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The values of the order's terms.
    pub(super) values: Vec<Value>,
    /// The tie-break.
    pub(super) id: Uuid,
}

/// Names a list: who reads which records by which filter (before relative values are made concrete) in which order.
pub fn fingerprint(viewer: Uuid, record: &RecordType, filter: &Predicate, order: &[OrderTerm]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(viewer.as_bytes());
    hash.update(record.name.as_bytes());
    hash.update([0]);
    hash.update(serde_json::to_vec(filter).unwrap_or_default());
    for term in order {
        hash.update([0, u8::from(term.descending), u8::from(term.nulls_first)]);
        hash.update(term.field.as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

pub(super) fn seal(
    sealer: &CursorSealer,
    tenant: Uuid,
    fingerprint: &[u8],
    row: &Row,
    order: &[OrderTerm],
) -> Result<String> {
    let position = Position { values: order.iter().map(|term| row.get(&term.field).clone()).collect(), id: row.id() };
    let mut bytes = fingerprint.to_vec();
    bytes.extend(serde_json::to_vec(&position).map_err(Error::internal)?);
    Ok(sealer.seal_page(tenant, &bytes))
}

pub(super) fn open(
    sealer: &CursorSealer,
    tenant: Uuid,
    fingerprint: &[u8],
    text: &str,
    terms: usize,
) -> Result<Position> {
    let bytes = sealer.open_page(tenant, text)?;
    let position = bytes
        .strip_prefix(fingerprint)
        .and_then(|rest| serde_json::from_slice::<Position>(rest).ok())
        .filter(|position| position.values.len() == terms);
    position.ok_or_else(|| {
        Error::request(
            ErrorCode::BadCursor,
            "this cursor was made for another list: keep filter, order and viewer the same while paging",
        )
    })
}
