//! One condition language as data, and the field registry that gives it meaning.
//!
//! A [`Predicate`] is a tree of comparisons, `and`, `or` and `not`. The filter that a client writes, a row rule of
//! the access layer and the mask of a field are all the same tree. Each record type declares its fields once as a
//! [`RecordType`]: name, type, column, and one policy per use. A predicate is type-checked against that registry
//! ([`check`]), viewer-relative and time-relative values are replaced by concrete ones ([`resolve`]), and the result has two
//! readings that agree: SQL (in `store`) and memory ([`evaluate`]).
//!
//! **Logic is two-valued.** A comparison with an absent value is false, and `not` makes that true. Both readings
//! push `not` down to the comparisons, so that SQL's third truth value never appears.

mod catalogue;
mod check;
mod implied;
pub mod keyed;
mod memory;
mod model;
mod value;
mod visibilities;

pub use catalogue::{Catalogue, CatalogueError, Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};
pub use check::{MAX_DEPTH, MAX_LIST, MAX_TERMS, MAX_TEXT, Use, check};
pub use memory::{Facts, evaluate, masked_value};
pub use model::{Operand, Path, Predicate, Test, ViewerValues, resolve};
pub use value::Value;
pub use visibilities::Visibilities;

/// What a viewer may see of one record type: a row rule, and a mask for each field that is not always readable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visibility {
    /// True for the rows that the viewer may see.
    pub row: Predicate,
    /// For each field that this viewer may not always read: true for the rows where it may.
    pub masks: std::collections::BTreeMap<&'static str, Predicate>,
}

impl Visibility {
    /// The mask of a field; `None` when it may be read wherever the row may be.
    pub fn mask(&self, field: &str) -> Option<&Predicate> {
        self.masks.get(field)
    }
}
