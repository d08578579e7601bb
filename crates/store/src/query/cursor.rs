//! Page cursors: the order values of a row as the viewer may read them, tied to the list they were made for.

use kernel::{Error, ErrorCode, Result, Uuid};
use predicate::{Facts as _, Predicate, RecordType, Value};
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

/// The cursors of a slice's rows, sealed when they are asked for: most clients ask for the last alone.
#[derive(Clone, Default)]
pub struct Cursors(Made);

#[derive(Clone, Default)]
enum Made {
    /// Rows that are no list of their own have none.
    #[default]
    None,
    Texts(Vec<String>),
    Pages {
        sealer: CursorSealer,
        tenant: Uuid,
        fingerprint: Vec<u8>,
        positions: Vec<Position>,
    },
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<Vec<String>> for Cursors {
    fn from(texts: Vec<String>) -> Self {
        Self(Made::Texts(texts))
    }
}

impl Cursors {
    pub(super) fn of_page(
        sealer: &CursorSealer,
        tenant: Uuid,
        fingerprint: &[u8],
        rows: &[Row],
        order: &[OrderTerm],
    ) -> Self {
        let position =
            |row: &Row| Position { values: order.iter().map(|term| row.value(&term.path())).collect(), id: row.id() };
        Self(Made::Pages {
            sealer: sealer.clone(),
            tenant,
            fingerprint: fingerprint.to_vec(),
            positions: rows.iter().map(position).collect(),
        })
    }

    /// Of places that are no rows' order values.
    pub(super) fn at(sealer: &CursorSealer, tenant: Uuid, fingerprint: &[u8], positions: Vec<Position>) -> Self {
        Self(Made::Pages { sealer: sealer.clone(), tenant, fingerprint: fingerprint.to_vec(), positions })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Made::None => 0,
            Made::Texts(texts) => texts.len(),
            Made::Pages { positions, .. } => positions.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cursor of the row at this place.
    pub fn get(&self, place: usize) -> Option<String> {
        match &self.0 {
            Made::None => None,
            Made::Texts(texts) => texts.get(place).cloned(),
            Made::Pages { sealer, tenant, fingerprint, positions } => {
                let mut bytes = fingerprint.clone();
                // Values of fields are plain data, which JSON can always hold.
                bytes.extend(serde_json::to_vec(positions.get(place)?).unwrap_or_default());
                Some(sealer.seal_page(*tenant, &bytes))
            }
        }
    }

    /// The cursor of the first row.
    pub fn first(&self) -> Option<String> {
        self.get(0)
    }

    /// The cursor of the last row.
    pub fn last(&self) -> Option<String> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The cursors of all rows.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        (0..self.len()).filter_map(|place| self.get(place))
    }
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
