//! What batches are made of: who reads, the kinds of keys, and how rows are put to the keys that they belong to.

use std::collections::HashMap;
use std::hash::Hash;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use kernel::{Ctx, Error, Result, Uuid};
use predicate::RecordType;
use store::query::Row;

use super::turns::{AtOnce, Turns};
use crate::context::current;
use crate::door::Viewer;
use crate::platform::Platform;

/// The batches of one request; in the data of every request that has credentials.
pub struct Loaders(DataLoader<Batch>);

impl Loaders {
    /// For this viewer, in a request that is run in these turns.
    pub fn new(platform: Platform, viewer: Viewer, turns: Turns) -> Self {
        Self(DataLoader::new(Batch { platform, viewer }, turns, AtOnce))
    }

    /// What a key stands for, as far as the viewer may see it.
    pub(super) async fn one<K>(ctx: &Context<'_>, key: K) -> async_graphql::Result<Option<<Batch as Loader<K>>::Value>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Batch: Loader<K, Error = Error>,
    {
        Ok(Self::of(ctx)?.0.load_one(key).await?)
    }

    /// What belongs to a key, as far as the viewer may see it: nothing, when there is none.
    pub(super) async fn or_default<K>(ctx: &Context<'_>, key: K) -> async_graphql::Result<<Batch as Loader<K>>::Value>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Batch: Loader<K, Error = Error>,
        <Batch as Loader<K>>::Value: Default,
    {
        Ok(Self::one(ctx, key).await?.unwrap_or_default())
    }

    /// What these keys stand for, as far as the viewer may see it.
    pub(super) async fn many<K>(
        ctx: &Context<'_>,
        keys: impl Iterator<Item = K>,
    ) -> async_graphql::Result<HashMap<K, <Batch as Loader<K>>::Value>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Batch: Loader<K, Error = Error>,
    {
        Ok(Self::of(ctx)?.0.load_many(keys).await?)
    }

    fn of<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Self> {
        match ctx.data_opt::<Self>() {
            Some(loaders) => Ok(loaders),
            // Without credentials there are none, and that is the error to tell.
            None => Err(crate::context::viewer(ctx).map_or_else(
                |unauthenticated| unauthenticated,
                |_| Error::internal("a request with credentials has no loaders").into(),
            )),
        }
    }
}

/// Who reads, and from what.
pub(super) struct Batch {
    pub(super) platform: Platform,
    viewer: Viewer,
}

impl Batch {
    /// The viewer with the rights of now: a subscription's loaders live as long as it does.
    pub(super) fn ctx(&self) -> Result<Ctx> {
        current(&self.viewer).ok_or_else(|| Error::internal("loaders are made for viewers with credentials"))
    }

    /// Records by their ids.
    pub(super) async fn by_ids(
        &self,
        record: &'static RecordType,
        ids: &[Uuid],
        relations: &[&'static str],
    ) -> Result<impl Iterator<Item = (Uuid, Row)>> {
        let rows = self.platform.tickets.by_ids(&self.ctx()?, record, ids, relations).await?;
        Ok(rows.into_iter().map(|row| (row.id(), row)))
    }
}

/// Declares a key that is an id, and the record that it is the id of.
macro_rules! by_id {
    ($key:ident, $record:expr, $relations:expr) => {
        $crate::loaders::batch::belonging!($key, store::query::Row, |batch, ids| {
            batch.by_ids($record, ids, $relations).await?
        });
    };
}
pub(super) use by_id;

/// Declares a key that is the id of what a value belongs to, and how the values of many are read.
macro_rules! belonging {
    ($key:ident, $value:ty, |$batch:ident, $ids:ident| $read:expr) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(kernel::Uuid);

        impl async_graphql::dataloader::Loader<$key> for $crate::loaders::batch::Batch {
            type Value = $value;
            type Error = kernel::Error;

            async fn load(&self, keys: &[$key]) -> kernel::Result<std::collections::HashMap<$key, $value>> {
                let $batch = self;
                let ids: Vec<kernel::Uuid> = keys.iter().map(|key| key.0).collect();
                let $ids = ids.as_slice();
                let values = $read;
                Ok(values.into_iter().map(|(id, value)| ($key(id), value)).collect())
            }
        }
    };
}
pub(super) use belonging;

/// Declares a key for the first or last rows that belong to a record, the field in which they name it, and how those of many
/// records are read.
macro_rules! ends {
    ($key:ident, $field:literal, |$batch:ident, $ids:ident, $direction:ident, $limit:ident| $read:expr) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        struct $key {
            parent: kernel::Uuid,
            newest: bool,
            limit: u32,
        }

        impl $key {
            fn of(parent: kernel::Uuid, direction: kernel::PageDirection, limit: u32) -> Self {
                Self { parent, newest: direction == kernel::PageDirection::Backward, limit }
            }
        }

        impl async_graphql::dataloader::Loader<$key> for $crate::loaders::batch::Batch {
            type Value = Vec<store::query::Row>;
            type Error = kernel::Error;

            async fn load(
                &self,
                keys: &[$key],
            ) -> kernel::Result<std::collections::HashMap<$key, Vec<store::query::Row>>> {
                let $batch = self;
                let mut answer = std::collections::HashMap::new();
                // One statement for each end and number asked for: all parents of one field of a document have the same.
                let asked = keys.iter().map(|key| ((key.newest, key.limit), key.parent));
                for ((newest, limit), parents) in $crate::loaders::batch::grouped(asked) {
                    let $direction =
                        if newest { kernel::PageDirection::Backward } else { kernel::PageDirection::Forward };
                    let ($ids, $limit) = (parents.as_slice(), limit);
                    let groups = $crate::loaders::batch::by_field($field, $read);
                    answer.extend(groups.into_iter().map(|(parent, rows)| ($key { parent, newest, limit }, rows)));
                }
                Ok(answer)
            }
        }
    };
}
pub(super) use ends;

/// Rows by the ticket that they belong to, in their order.
pub(super) fn by_ticket(rows: Vec<Row>) -> HashMap<Uuid, Vec<Row>> {
    by_field("ticket", rows)
}

/// Rows by the record that this field names, in their order.
pub(super) fn by_field(field: &str, rows: Vec<Row>) -> HashMap<Uuid, Vec<Row>> {
    grouped(rows.into_iter().filter_map(|row| Some((row.get(field).as_id()?, row))))
}

/// Rows that leave from records and that arrive at them, by the record at that end, those that leave first.
pub(super) fn by_ends((leaving, arriving): (Vec<Row>, Vec<Row>)) -> HashMap<Uuid, Vec<Row>> {
    let ends = leaving.into_iter().map(|row| ("source", row)).chain(arriving.into_iter().map(|row| ("target", row)));
    grouped(ends.filter_map(|(end, row)| Some((row.get(end).as_id()?, row))))
}

/// Values by their keys, in their order.
pub(super) fn grouped<K: Eq + Hash, V>(pairs: impl Iterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_the_order_of_what_they_group() {
        let groups = grouped([(1, 'b'), (2, 'x'), (1, 'a'), (1, 'c')].into_iter());
        assert_eq!(groups[&1], ['b', 'a', 'c']);
        assert_eq!(groups[&2], ['x']);
    }

    #[test]
    fn a_row_without_a_ticket_belongs_to_none() {
        let ticket = Uuid::from_u128(1);
        let row = |ticket: predicate::Value| Row::new(&ticket::fields::COMMENT, vec![("ticket", ticket)]);
        let groups = by_ticket(vec![row(ticket.into()), row(predicate::Value::Null)]);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[&ticket].len(), 1);
    }
}
