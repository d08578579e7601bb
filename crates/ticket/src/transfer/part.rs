//! The parts of an exported file. Each is an object of its own, so that an export goes on behind the last one that is there, and the file is
//! all of them, one after the other. A part is a row with an end before it is an object: nothing is left that nobody finds.

use bytes::Bytes;
use chrono::Duration;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use kernel::{Ctx, Error, Result, Timestamp, Uuid};
use objects::{Key, Objects, Promise, RollingSha256, Sha256Hex};
use predicate::{FieldType, Path, Predicate, RecordType, Rule, Test, Value};
use store::query::{self, Row};

use crate::fields::{fact, nullable, shown_only, silent, unordered};
use crate::service::Tickets;

/// How many parts a file has at most: each is what one run of the job has read, some thousand tickets, or has
/// [`super::export::PART_BYTES`].
const MAX_PARTS: u64 = 2_000;

/// A part of an exported file. It has a place once its object is there; `tickets`, `bytes` and `digest` are of all parts up to it. Nobody is
/// shown any.
pub static EXPORT_PART: RecordType = RecordType {
    name: "ticketExportPart",
    table: "ticket_export_part",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("operation", "operation_id", FieldType::Id))),
        silent(nullable(fact("place", "place", FieldType::Int))),
        shown_only(nullable(fact("tickets", "tickets", FieldType::Int))),
        shown_only(nullable(fact("bytes", "bytes", FieldType::Int))),
        shown_only(nullable(fact("lastId", "last_id", FieldType::Id))),
        shown_only(nullable(fact("digest", "digest", FieldType::Text))),
        silent(fact("expiresAt", "expires_at", FieldType::Time)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[],
    row: Rule::Any(&[]),
    own: &[],
    team: &[],
};

/// How far a file is.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// How many parts are there.
    pub parts: i64,
    /// How many tickets stand in them.
    pub tickets: i64,
    /// How many bytes they have.
    pub bytes: i64,
    /// The last of the tickets.
    pub last: Option<Uuid>,
    /// Their checksum.
    pub digest: RollingSha256,
}

impl Progress {
    fn of(row: &Row) -> Result<Self> {
        let digest = RollingSha256::take_up(&row.text("digest"));
        Ok(Self {
            parts: row.int("place") + 1,
            tickets: row.int("tickets"),
            bytes: row.int("bytes"),
            last: row.get("lastId").as_id(),
            digest: digest.ok_or_else(|| Error::internal("the checksum of a part cannot be taken up"))?,
        })
    }

    /// With one part more.
    pub(super) fn with(&self, part: &[u8], tickets: i64, last: Option<Uuid>) -> Self {
        let mut digest = self.digest.clone();
        digest.take(part);
        Self {
            parts: self.parts + 1,
            tickets: self.tickets + tickets,
            bytes: self.bytes + i64::try_from(part.len()).unwrap_or(i64::MAX),
            last: last.or(self.last),
            digest,
        }
    }
}

impl Tickets {
    /// How far the file of an operation is.
    pub(super) async fn exported_so_far(&self, system: &Ctx, operation: Uuid) -> Result<Progress> {
        let parts = self.parts_of(system, operation).await?;
        parts.last().map_or_else(|| Ok(Progress::default()), Progress::of)
    }

    async fn parts_of(&self, system: &Ctx, operation: Uuid) -> Result<Vec<Row>> {
        let there = Predicate::eq("operation", operation).and(Predicate::Is(Path::field("place"), Test::IsNull(false)));
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(system, &everything);
        let reader = self.store().read("ticket.exportParts");
        let mut parts = query::all(&reader, &scoped, &EXPORT_PART, &there, &[], MAX_PARTS).await?;
        parts.sort_by_key(|part| part.int("place"));
        Ok(parts)
    }

    /// Keeps a part behind those that are there.
    pub(super) async fn keep_part(
        &self,
        (objects, system): (&Objects, &Ctx),
        operation: Uuid,
        progress: &Progress,
        part: Vec<u8>,
        kept_for: Duration,
    ) -> Result<()> {
        let (tenant, id, now): (Uuid, Uuid, Timestamp) = (system.tenant, system.new_id(), system.now());
        let row = Row::new(
            &EXPORT_PART,
            vec![
                ("id", id.into()),
                ("operation", operation.into()),
                ("expiresAt", (now + kept_for).into()),
                ("createdAt", now.into()),
            ],
        );
        let announced = self.store().write(system, "ticket.exportPart", move |tx| {
            let row = row.clone();
            Box::pin(async move { query::insert_in(&*tx, tenant, &EXPORT_PART, &row).await })
        });
        announced.await?;
        let promise = Promise { bytes: part.len() as u64, sha256: Sha256Hex::of(&part) };
        let body = stream::iter([Ok(Bytes::from(part))]);
        objects.put(&Key::new(tenant, id), &promise, |_| Ok(()), body).await?;
        let values = vec![
            ("place", Value::Int(progress.parts - 1)),
            ("tickets", Value::Int(progress.tickets)),
            ("bytes", Value::Int(progress.bytes)),
            ("lastId", progress.last.map_or(Value::Null, Value::Id)),
            ("digest", progress.digest.put_down().into()),
        ];
        let written = self.store().write(system, "ticket.exportPart", move |tx| {
            let values = values.clone();
            // Where another worker has kept a part in this place meanwhile, this one has none, and is swept.
            Box::pin(async move { query::update_in(&*tx, tenant, &EXPORT_PART, id, None, &values).await })
        });
        written.await.map(drop)
    }

    /// The bytes of a file, part by part.
    pub(super) async fn read_parts(
        &self,
        objects: &Objects,
        system: &Ctx,
        operation: Uuid,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let (objects, tenant) = (objects.clone(), system.tenant);
        let keys = self.parts_of(system, operation).await?.into_iter().map(move |part| Key::new(tenant, part.id()));
        let bodies = stream::iter(keys).then(move |key| {
            let objects = objects.clone();
            async move { objects.read(&key).await.map(|reading| reading.body) }
        });
        Ok(bodies.try_flatten().boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_file_add_up() {
        let first = Progress::default().with(b"one\n", 1, Some(Uuid::from_u128(1)));
        let all = first.with(b"two\nthree\n", 2, Some(Uuid::from_u128(3)));
        assert_eq!((all.parts, all.tickets, all.bytes, all.last), (2, 3, 14, Some(Uuid::from_u128(3))));
        assert_eq!(all.digest.end(), Sha256Hex::of(b"one\ntwo\nthree\n"));
    }
}
