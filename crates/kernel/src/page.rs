//! Pages: Relay's four arguments, checked once and turned into a limit, a direction and a cursor.

use crate::{Error, UserError};

/// The page size when neither `first` nor `last` is given, in records.
pub const DEFAULT_PAGE_SIZE: u32 = 20;
/// The largest page, in records.
pub const MAX_PAGE_SIZE: u32 = 100;
/// How far `totalCount` counts before it says that it is not exact.
pub const MAX_TOTAL_COUNT: u64 = 10_000;

/// Relay's paging arguments as a client gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageArguments {
    /// How many from the front.
    pub first: Option<i32>,
    /// Only those behind this cursor.
    pub after: Option<String>,
    /// How many from the back.
    pub last: Option<i32>,
    /// Only those before this cursor.
    pub before: Option<String>,
}

/// Which end of the list a page is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageDirection {
    /// From the front (`first`, `after`).
    Forward,
    /// From the back (`last`, `before`); the answer keeps the list's order.
    Backward,
}

/// A page to read: at most `limit` records from one end, between the two cursors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many records at most, 0 to [`MAX_PAGE_SIZE`].
    pub limit: u32,
    /// From which end.
    pub direction: PageDirection,
    /// Lower bound, exclusive.
    pub after: Option<String>,
    /// Upper bound, exclusive.
    pub before: Option<String>,
}

impl Page {
    /// The first `limit` records.
    pub fn first(limit: u32) -> Self {
        Self { limit, direction: PageDirection::Forward, after: None, before: None }
    }

    /// Checks the arguments.
    ///
    /// # Errors
    /// A `VALIDATION` user error when `first` and `last` come together, are negative, or exceed [`MAX_PAGE_SIZE`].
    pub fn new(arguments: PageArguments) -> Result<Self, Error> {
        let PageArguments { first, after, last, before } = arguments;
        let (count, direction, name) = match (first, last) {
            (Some(_), Some(_)) => {
                return Err(UserError::validation(["first"], "give `first` or `last`, not both").into());
            }
            (None, Some(last)) => (last, PageDirection::Backward, "last"),
            (first, None) => (first.unwrap_or(DEFAULT_PAGE_SIZE as i32), PageDirection::Forward, "first"),
        };
        match u32::try_from(count) {
            Ok(limit) if limit <= MAX_PAGE_SIZE => Ok(Self { limit, direction, after, before }),
            _ => Err(UserError::limit(
                [name],
                format!("`{name}` is {count}; it must be between 0 and {MAX_PAGE_SIZE}"),
                u64::from(MAX_PAGE_SIZE),
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first: Option<i32>, last: Option<i32>) -> Result<Page, Error> {
        Page::new(PageArguments { first, last, ..Default::default() })
    }

    #[test]
    fn twenty_from_the_front_by_default() {
        assert_eq!(page(None, None).unwrap(), Page::first(20));
    }

    #[test]
    fn the_limit_is_a_hundred() {
        assert_eq!(page(Some(100), None).unwrap().limit, 100);
        for (first, last) in [(Some(101), None), (None, Some(i32::MAX)), (Some(-1), None)] {
            assert!(page(first, last).is_err());
        }
    }

    #[test]
    fn first_and_last_exclude_each_other() {
        assert!(page(Some(1), Some(1)).is_err());
    }
}
