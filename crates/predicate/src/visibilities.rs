//! What one viewer may see of every record type.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::Visibility;

/// What a viewer may see, for every record type of the catalogue, by its name.
///
/// Whoever reads by it may keep with it what follows from it alone, see [`Visibilities::derived`].
#[derive(Clone, Default)]
pub struct Visibilities {
    by_record: BTreeMap<&'static str, Visibility>,
    derived: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Visibilities {
    /// What was derived from this before, or is now; `None` when something of another type was.
    pub fn derived<T: Any + Send + Sync>(&self, derive: impl FnOnce() -> T) -> Option<Arc<T>> {
        let derived = self.derived.get_or_init(|| Arc::new(derive()));
        Arc::clone(derived).downcast().ok()
    }
}

impl Deref for Visibilities {
    type Target = BTreeMap<&'static str, Visibility>;

    fn deref(&self) -> &Self::Target {
        &self.by_record
    }
}

impl FromIterator<(&'static str, Visibility)> for Visibilities {
    fn from_iter<I: IntoIterator<Item = (&'static str, Visibility)>>(visibilities: I) -> Self {
        Self { by_record: visibilities.into_iter().collect(), derived: OnceLock::new() }
    }
}

impl PartialEq for Visibilities {
    fn eq(&self, other: &Self) -> bool {
        self.by_record == other.by_record
    }
}

impl fmt::Debug for Visibilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_record.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_derived_once() {
        let visible: Visibilities = [("ticket", Visibility::default())].into_iter().collect();
        assert_eq!(visible.derived(|| 7_u32).as_deref(), Some(&7));
        assert_eq!(visible.derived(|| 8_u32).as_deref(), Some(&7));
        assert!(visible.derived(String::new).is_none());
        assert!(visible.contains_key("ticket"));
    }
}
