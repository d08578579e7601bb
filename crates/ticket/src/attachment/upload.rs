//! Uploads: a file is announced, with its size, type and checksum; its bytes come by a link of its own and must keep to that; then it is
//! there to be attached. What nobody attaches, and what was taken away, is deleted.

use chrono::Duration;
use kernel::error::Problems;
use kernel::{Ctx, Id, Result, UserError, Uuid, id, words};
use objects::{Key, Objects, Promise, Sha256Hex};
use predicate::{Operand, Path, Predicate, RecordType, Test};
use store::query::{self, Row};
use store::{RecordRef, Tx, Written};

use super::{MAX_FILES, ScanState, media_type};
use crate::commands::check_text;
use crate::fields::UPLOAD;
use crate::model::MAX_TITLE;
use crate::service::Tickets;
use crate::transfer::part::EXPORT_PART;

/// How many uploads somebody has at once that are not attached to anything.
pub const MAX_OPEN_UPLOADS: u64 = 50;
/// How long an upload waits to be attached.
pub const KEPT: Duration = Duration::hours(24);
/// How long its link takes the bytes.
pub const LINK_HOLDS: Duration = Duration::hours(1);
/// How long after the end of an upload its object is deleted: nobody may still be fetching it.
pub const GRACE: Duration = Duration::hours(1);
/// The kind of the job that deletes expired uploads with their objects.
pub const SWEEP: &str = "upload.sweep";
/// How many uploads one sweep of a tenant deletes at most.
pub const SWEEP_BATCH: u64 = 500;

words! {
    /// How far an upload is.
    UploadState {
        /// Its bytes have yet to come.
        Expected = "EXPECTED",
        /// It is there and can be attached.
        Complete = "COMPLETE",
        /// It was taken away; its bytes will be deleted.
        Discarded = "DISCARDED",
    }
}

/// What an installation takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRules {
    /// How many bytes a file has at most.
    pub max_bytes: u64,
    /// Media types that are taken, such as `image/*`; empty: all but programs.
    pub media_types: Vec<String>,
    /// Whether files are looked at by a scanner before anybody fetches them.
    pub scan: bool,
}

impl FileRules {
    /// What is known of a file that has just been attached.
    pub fn first_state(&self) -> ScanState {
        if self.scan { ScanState::Pending } else { ScanState::Clean }
    }
}

/// Announce a file.
#[derive(Clone, Debug)]
pub struct CreateUpload {
    /// What it is called; at most [`MAX_TITLE`] characters, without folders.
    pub file_name: String,
    /// Its media type.
    pub media_type: String,
    /// How many bytes it has.
    pub bytes: i64,
    /// Their SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
}

impl CreateUpload {
    /// Checks what is announced against the rules; answers it as it is kept.
    fn check(mut self, rules: &FileRules) -> Result<Self> {
        let mut problems = Problems::default();
        check_file_name(&mut problems, &self.file_name);
        match media_type::normalised(&self.media_type) {
            None => {
                let message = "`mediaType` is no media type such as `image/png`";
                problems.add(UserError::constraint(["mediaType"], message, "mediaType", None));
            }
            Some(media_type) if !media_type::is_taken(&media_type, &rules.media_types) => {
                let message = match rules.media_types.as_slice() {
                    [] => format!("files of type {media_type} are not taken"),
                    types => format!("files of type {media_type} are not taken; those are: {}", types.join(", ")),
                };
                problems.add(UserError::constraint(["mediaType"], message, "mediaType", None));
            }
            Some(media_type) => self.media_type = media_type,
        }
        if self.bytes < 1 {
            problems.add(UserError::constraint(["bytes"], "a file has at least one byte", "minimum", Some(1)));
        } else if self.bytes as u64 > rules.max_bytes {
            let limit = rules.max_bytes;
            let message = format!("the file has {} bytes; at most {limit} are taken", self.bytes);
            problems.add(UserError::limit(["bytes"], message, limit));
        }
        match Sha256Hex::parse(&self.sha256) {
            Some(sha256) => self.sha256 = sha256.to_string(),
            None => {
                let message = "`sha256` is 64 hexadecimal digits: the SHA-256 of the file's bytes";
                problems.add(UserError::constraint(["sha256"], message, "pattern", Some(64)));
            }
        }
        problems.check()?;
        Ok(self)
    }
}

/// Checks the name of a file: it names no folder, and shows as it is.
fn check_file_name(problems: &mut Problems, name: &str) {
    check_text(problems, "fileName", name, MAX_TITLE);
    let is_folder = name.contains(['/', '\\']) || name == "." || name == "..";
    // Signs that turn what follows around make `exe.fdp` read as `pdf.exe`.
    let turns =
        |sign: char| matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if is_folder || name.chars().any(|sign| sign.is_control() || turns(sign)) {
        let message = "`fileName` is a name without folders and without signs that nobody sees";
        problems.add(UserError::constraint(["fileName"], message, "pattern", None));
    }
}

impl Tickets {
    /// Announces a file.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` for what is not taken; `LIMIT` beyond [`MAX_OPEN_UPLOADS`].
    pub async fn create_upload(&self, ctx: &Ctx, rules: &FileRules, command: CreateUpload) -> Result<Row> {
        let command = command.check(rules)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "uploadCreate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let row = tickets.create_upload_in(tx, &command).await?;
                tx.answers_with(RecordRef { id: Id::new(id::prefix::UPLOAD, row.id()), version: 1 });
                Ok(row)
            })
        });
        match written.await? {
            Written::Fresh { value, .. } => Ok(value),
            Written::Replayed { record, .. } => {
                let found = self.by_ids(ctx, &UPLOAD, &[record.id.uuid], &[]).await?.pop();
                found.ok_or_else(|| {
                    let message = "the upload with this key is attached or expired; announce the file with another key";
                    UserError::new(kernel::ErrorCode::NotFound, ["idempotencyKey"], message).into()
                })
            }
        }
    }

    async fn create_upload_in(&self, tx: &mut Tx, command: &CreateUpload) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let open = self.access().visible(&ctx);
        let own = Predicate::eq("createdBy", ctx.actor.id);
        let count = query::count(&*tx, &self.access().scoped(&ctx, &open), &UPLOAD, &own).await?;
        if count.total >= MAX_OPEN_UPLOADS {
            let message = format!("there are {} uploads that are attached to nothing; attach them first", count.total);
            return Err(UserError::limit(Vec::<String>::new(), message, MAX_OPEN_UPLOADS).into());
        }
        let row = Row::new(
            &UPLOAD,
            vec![
                ("id", ctx.new_id().into()),
                ("createdBy", ctx.actor.id.into()),
                ("fileName", command.file_name.trim().into()),
                ("mediaType", command.media_type.as_str().into()),
                ("bytes", predicate::Value::Int(command.bytes)),
                ("sha256", command.sha256.as_str().into()),
                ("state", UploadState::Expected.as_str().into()),
                ("expiresAt", (tx.now() + KEPT).into()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_in(&*tx, ctx.tenant, &UPLOAD, &row).await?;
        Ok(row)
    }

    /// An upload of the viewer's that has not expired.
    ///
    /// # Errors
    /// Database errors.
    pub async fn upload(&self, ctx: &Ctx, upload: Uuid) -> Result<Option<Row>> {
        Ok(self.by_ids(ctx, &UPLOAD, &[upload], &[]).await?.pop())
    }

    /// Takes the bytes of a file that was announced. The same bytes again are no error.
    ///
    /// # Errors
    /// `NOT_FOUND` for an upload that is attached or expired; `VALIDATION` at what the bytes do not keep to; those of the body and of the store
    /// of objects. What is refused may be sent again.
    pub async fn receive_upload<S>(
        &self,
        objects: &Objects,
        tenant: Uuid,
        upload: Uuid,
        media_type: Option<&str>,
        body: S,
    ) -> Result<()>
    where
        S: futures_util::Stream<Item = Result<bytes::Bytes>> + Send + Unpin,
    {
        let row = self.expected_upload(tenant, upload).await?;
        let announced = row.text("mediaType");
        let sent = media_type.and_then(media_type::normalised);
        if sent.as_deref().is_some_and(|sent| sent != announced && sent != media_type::UNKNOWN) {
            let message =
                format!("the file was announced as {announced}; send it with this `Content-Type` or without any");
            return Err(UserError::constraint(["mediaType"], message, "mediaType", None).into());
        }
        let inspect = |head: &[u8]| Ok(media_type::check_bytes(&announced, head)?);
        let promise = promise_of(&row)?;
        objects.put(&Key::new(tenant, upload), &promise, inspect, body).await?;
        self.complete_upload(tenant, upload).await
    }

    async fn expected_upload(&self, tenant: Uuid, upload: Uuid) -> Result<Row> {
        let ctx = self.access().system_ctx(tenant, "upload");
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(&ctx, &everything);
        let reader = self.store().read("ticket.upload");
        let row = query::by_ids(&reader, &scoped, &UPLOAD, &[upload], &[]).await?.pop();
        let is_open =
            |row: &Row| row.text("state") != UploadState::Discarded.as_str() && row.time("expiresAt") > ctx.now();
        row.filter(is_open).ok_or_else(missing)
    }

    async fn complete_upload(&self, tenant: Uuid, upload: Uuid) -> Result<()> {
        let ctx = self.access().system_ctx(tenant, "upload");
        let written = self.store().write(&ctx, "upload.complete", move |tx| {
            Box::pin(async move {
                let changes = [("state", UploadState::Complete.as_str().into())];
                query::update_in(&*tx, tenant, &UPLOAD, upload, None, &changes).await
            })
        });
        match written.await?.fresh() {
            Some(true) => Ok(()),
            _ => Err(missing()),
        }
    }

    /// The viewer's uploads with these ids, which have arrived; in their order.
    pub(crate) async fn uploads_in(&self, tx: &mut Tx, uploads: &[Id], path: &'static str) -> Result<Vec<Row>> {
        debug_assert!(uploads.len() <= MAX_FILES);
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let ids: Vec<Uuid> = uploads.iter().filter(|id| id.prefix == id::prefix::UPLOAD).map(|id| id.uuid).collect();
        let found = query::by_ids(&*tx, &self.access().scoped(&ctx, &visible), &UPLOAD, &ids, &[]).await?;
        let (mut problems, mut taken) = (Problems::default(), Vec::<Row>::new());
        for (place, id) in uploads.iter().enumerate() {
            let at = || [path.to_owned(), place.to_string()];
            let row = found.iter().find(|row| row.id() == id.uuid && row.time("expiresAt") > tx.now());
            match row {
                _ if taken.iter().any(|taken| taken.id() == id.uuid) => {
                    problems.add(UserError::constraint(at(), "the upload is named twice", "uniqueItems", None));
                }
                None => problems.add(UserError::not_found(at(), "the upload")),
                Some(row) if row.text("state") != UploadState::Complete.as_str() => {
                    let message = "the file has not arrived: send its bytes by PUT to the upload's `url` first";
                    problems.add(UserError::constraint(at(), message, "uploaded", None));
                }
                Some(row) => taken.push(row.clone()),
            }
        }
        problems.check()?;
        Ok(taken)
    }

    /// Gives up the object of an attachment: it is deleted by the sweep.
    pub(super) async fn expire_object_in(&self, tx: &mut Tx, attachment: &Row) -> Result<()> {
        let tenant = tx.ctx().tenant;
        let kept = ["id", "fileName", "mediaType", "bytes", "sha256"];
        let mut fields: Vec<_> = kept.into_iter().map(|name| (name, attachment.get(name).clone())).collect();
        fields.extend([
            ("createdBy", attachment.get("attachedBy").clone()),
            ("state", UploadState::Discarded.as_str().into()),
            ("expiresAt", tx.now().into()),
            ("createdAt", attachment.get("createdAt").clone()),
        ]);
        query::insert_in(&*tx, tenant, &UPLOAD, &Row::new(&UPLOAD, fields)).await
    }

    /// Deletes expired uploads and exported files of all tenants, with their objects; answers whether there are more.
    ///
    /// # Errors
    /// Database errors, and those of the store of objects: what is left is deleted by the next sweep.
    pub async fn sweep_uploads(&self, objects: &Objects) -> Result<bool> {
        let mut more = false;
        for tenant in self.access().tenants().await? {
            for record in [&UPLOAD, &EXPORT_PART] {
                more |= self.sweep_objects_of(objects, tenant.id, record).await? == SWEEP_BATCH;
            }
        }
        Ok(more)
    }

    async fn sweep_objects_of(&self, objects: &Objects, tenant: Uuid, record: &'static RecordType) -> Result<u64> {
        let ctx = self.access().system_ctx(tenant, SWEEP);
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(&ctx, &everything);
        let reader = self.store().read("ticket.upload");
        let long_over = Test::Lt(Operand::Value((ctx.now() - GRACE).into()));
        let condition = Predicate::Is(Path::field("expiresAt"), long_over);
        let expired = query::all(&reader, &scoped, record, &condition, &[], SWEEP_BATCH).await?;
        // The object goes first: of what is interrupted in between, the row is found again.
        for row in &expired {
            objects.delete(&Key::new(tenant, row.id())).await?;
        }
        let ids: Vec<Uuid> = expired.iter().map(Row::id).collect();
        let gone = ids.len() as u64;
        if gone > 0 {
            let written = self.store().write(&ctx, SWEEP, move |tx| {
                let ids = ids.clone();
                Box::pin(async move {
                    for id in ids {
                        query::delete_in(&*tx, tenant, record, &[("id", id)]).await?;
                    }
                    Ok(())
                })
            });
            written.await?;
        }
        Ok(gone)
    }
}

fn missing() -> kernel::Error {
    UserError::not_found(["id"], "the upload").into()
}

fn promise_of(row: &Row) -> Result<Promise> {
    let sha256 = Sha256Hex::parse(&row.text("sha256"));
    let sha256 = sha256.ok_or_else(|| kernel::Error::internal("an upload's checksum is none"))?;
    Ok(Promise { bytes: row.int("bytes").unsigned_abs(), sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> FileRules {
        FileRules { max_bytes: 1_000, media_types: Vec::new(), scan: false }
    }

    fn upload() -> CreateUpload {
        CreateUpload {
            file_name: "Screenshot 2026-03-01.png".into(),
            media_type: "Image/PNG".into(),
            bytes: 1_000,
            sha256: "AB".repeat(32),
        }
    }

    fn paths(command: CreateUpload, rules: &FileRules) -> Vec<String> {
        match command.check(rules) {
            Ok(_) => Vec::new(),
            Err(kernel::Error::Refused(errors)) => errors.into_iter().flat_map(|error| error.path).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_announced_is_kept_in_one_form() {
        let kept = upload().check(&rules()).unwrap();
        assert_eq!((kept.media_type.as_str(), kept.sha256), ("image/png", "ab".repeat(32)));
    }

    #[test]
    fn every_fault_is_named_at_its_place() {
        let command =
            CreateUpload { file_name: "../x".into(), media_type: "png".into(), bytes: 0, sha256: "xy".into() };
        assert_eq!(paths(command, &rules()), ["fileName", "mediaType", "bytes", "sha256"]);
        assert_eq!(paths(CreateUpload { bytes: 1_001, ..upload() }, &rules()), ["bytes"]);
        let images = FileRules { media_types: vec!["application/pdf".into()], ..rules() };
        assert_eq!(paths(upload(), &images), ["mediaType"]);
    }

    #[test]
    fn names_are_what_they_look_like() {
        let refused = |name: &str| paths(CreateUpload { file_name: name.into(), ..upload() }, &rules()) == ["fileName"];
        for name in ["a/b", "a\\b", ".", "..", "a\nb", "invoice\u{202e}fdp.exe", &"x".repeat(MAX_TITLE + 1)] {
            assert!(refused(name), "{name:?}");
        }
        assert!(!refused("Größe – 100 %.pdf") && !refused(".bashrc"));
    }

    #[test]
    fn a_link_ends_before_the_upload_and_a_sweep_waits_longer() {
        assert!(LINK_HOLDS < KEPT && GRACE >= Duration::hours(1));
    }
}
