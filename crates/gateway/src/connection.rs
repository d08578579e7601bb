//! Relay connections: pages of lists, with their cursors, and a count that is made only when asked for.

use async_graphql::{Enum, InputObject, SimpleObject};
use kernel::page::PageArguments;
use kernel::{Page, Result};
use store::query::{OrderTerm, Slice};

use crate::scalars::Cursor;

/// Where a page lies in its list.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether there are more behind this page.
    pub has_next_page: bool,
    /// Whether there are more before this page.
    pub has_previous_page: bool,
    /// The cursor of the first edge.
    pub start_cursor: Option<Cursor>,
    /// The cursor of the last edge.
    pub end_cursor: Option<Cursor>,
}

impl PageInfo {
    /// Of a slice.
    pub fn of(slice: &Slice) -> Self {
        Self {
            has_next_page: slice.has_next,
            has_previous_page: slice.has_previous,
            start_cursor: slice.cursors.first().map(Cursor),
            end_cursor: slice.cursors.last().map(Cursor),
        }
    }
}

/// Which way a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// Smallest, earliest or first in the alphabet first.
    Asc,
    /// Largest, latest or last in the alphabet first.
    Desc,
}

/// Where records without a value stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum NullsOrder {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// The term of an order by a field of the record.
pub fn term(field: &str, direction: Option<OrderDirection>, nulls: Option<NullsOrder>) -> OrderTerm {
    OrderTerm {
        field: field.to_owned(),
        descending: direction == Some(OrderDirection::Desc),
        nulls_first: nulls == Some(NullsOrder::First),
    }
}

/// How many terms an order may have.
pub const MAX_ORDER_TERMS: usize = 5;

/// Checks how many terms an order has.
///
/// # Errors
/// A `LIMIT` user error.
pub fn check_order<T>(terms: &[T]) -> Result<()> {
    if terms.len() > MAX_ORDER_TERMS {
        let message = format!("an order has at most {MAX_ORDER_TERMS} terms; this one has {}", terms.len());
        return Err(kernel::UserError::limit(["orderBy"], message, MAX_ORDER_TERMS as u64).into());
    }
    Ok(())
}

/// The page that Relay's four arguments ask for.
///
/// # Errors
/// User errors that name the argument.
pub fn page(first: Option<i32>, after: Option<Cursor>, last: Option<i32>, before: Option<Cursor>) -> Result<Page> {
    Page::new(PageArguments { first, after: after.map(|cursor| cursor.0), last, before: before.map(|cursor| cursor.0) })
}

/// Points at a record in another system.
#[derive(Clone, Debug, InputObject)]
pub struct ExternalRefInput {
    /// The other system, such as `jira`.
    pub source: String,
    /// The record's key there, such as `OPS-7`.
    pub key: String,
}

/// Declares a connection, its edge, and how both are made from a slice.
macro_rules! connection {
    ($(#[$doc:meta])* $connection:ident, $edge:ident, $node:ty) => {
        $(#[$doc])*
        pub struct $connection {
            slice: store::query::Slice,
            counted: Option<(&'static predicate::RecordType, predicate::Predicate)>,
            log_cursor: Option<String>,
            count: tokio::sync::OnceCell<store::query::Count>,
        }

        impl $connection {
            /// Of a page of a list that can be counted.
            pub fn new(
                slice: store::query::Slice,
                counted: Option<(&'static predicate::RecordType, predicate::Predicate)>,
                log_cursor: Option<String>,
            ) -> Self {
                Self { slice, counted, log_cursor, count: tokio::sync::OnceCell::new() }
            }

            /// Counts once, however many fields ask.
            async fn count(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<store::query::Count> {
                self.count.get_or_try_init(|| self.count_now(ctx)).await.copied()
            }

            async fn count_now(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<store::query::Count> {
                match &self.counted {
                    Some((record, filter)) => {
                        let viewer = $crate::context::viewer(ctx)?;
                        Ok($crate::context::platform(ctx).tickets.count(&viewer, record, filter.clone()).await?)
                    }
                    None => {
                        let total = self.slice.rows.len() as u64;
                        Ok(store::query::Count { total, exact: true })
                    }
                }
            }
        }

        $(#[$doc])*
        #[async_graphql::Object]
        impl $connection {
            /// The records of this page, each with its cursor.
            fn edges(&self) -> Vec<$edge> {
                let pairs = self.slice.rows.iter().zip(self.slice.cursors.iter());
                pairs
                    .map(|(row, cursor)| $edge {
                        cursor: $crate::scalars::Cursor(cursor),
                        node: <$node>::from_row(row.clone()),
                    })
                    .collect()
            }

            /// The records of this page.
            fn nodes(&self) -> Vec<$node> {
                self.slice.rows.iter().map(|row| <$node>::from_row(row.clone())).collect()
            }

            /// Where this page lies in the list.
            fn page_info(&self) -> $crate::connection::PageInfo {
                $crate::connection::PageInfo::of(&self.slice)
            }

            /// How many records the whole list has. Counted only when asked for, and no further than 10,000.
            async fn total_count(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<i32> {
                Ok(i32::try_from(self.count(ctx).await?.total).unwrap_or(i32::MAX))
            }

            /// Whether `totalCount` is the whole truth; false when there are more than 10,000.
            async fn total_count_is_exact(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<bool> {
                Ok(self.count(ctx).await?.exact)
            }

            /// The event log's position when this list was read. Subscribe with `after: logCursor` and nothing falls between.
            fn log_cursor(&self) -> Option<$crate::scalars::Cursor> {
                self.log_cursor.clone().map($crate::scalars::Cursor)
            }
        }

        /// One record of a page and its cursor.
        #[derive(async_graphql::SimpleObject)]
        pub struct $edge {
            /// The record's place in the list: for `after` and `before`.
            pub cursor: $crate::scalars::Cursor,
            /// The record.
            pub node: $node,
        }
    };
}
pub(crate) use connection;

/// Declares by what records are ordered, by the first of it when nothing is asked for, and a term of such an order.
macro_rules! orders {
    (
        $(#[$field_doc:meta])* $field:ident {
            $(#[$first_doc:meta])* $first:ident = $first_name:literal,
            $($(#[$value_doc:meta])* $value:ident = $name:literal,)*
        }
        $(#[$doc:meta])* $order:ident
    ) => {
        $(#[$field_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum $field { $(#[$first_doc])* $first, $($(#[$value_doc])* $value,)* }

        $(#[$doc])*
        #[derive(Clone, Copy, Debug, InputObject)]
        pub struct $order {
            /// By what.
            pub field: $field,
            /// Which way; `ASC` when absent.
            pub direction: Option<OrderDirection>,
            /// Where records without a value stand; `LAST` when absent.
            pub nulls: Option<NullsOrder>,
        }

        impl $order {
            /// As terms of an order; by the first of the fields when there are none.
            ///
            /// # Errors
            /// A user error for too many terms.
            pub fn terms(list: Option<Vec<Self>>) -> Result<Vec<OrderTerm>> {
                let list = list.unwrap_or_default();
                check_order(&list)?;
                let name = |field| match field { $field::$first => $first_name, $($field::$value => $name,)* };
                let mut terms: Vec<_> =
                    list.into_iter().map(|order| term(name(order.field), order.direction, order.nulls)).collect();
                if terms.is_empty() {
                    terms.push(term($first_name, None, None));
                }
                Ok(terms)
            }
        }
    };
}
pub(crate) use orders;
