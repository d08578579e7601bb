//! Uploads in the API, and the links of files.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Timestamp, Uuid};
use store::query::Row;
use ticket::attachment::upload::LINK_HOLDS;

use super::link::{Link, Purpose};
use crate::context::{platform, viewer};
use crate::platform::Platform;
use crate::scalars::{DateTime, id_of};
use crate::user_error::UserError;

/// Where bytes are sent.
pub const UPLOADS: &str = "/uploads";
/// Where bytes are fetched.
pub const FILES: &str = "/files";

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UploadState {
    /// Its bytes have yet to come.
    Expected,
    /// It is there, and can be attached.
    Complete,
}

/// A file that was announced.
#[derive(Clone)]
pub struct Upload(Arc<Row>);

impl Upload {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn link_expires_at(&self) -> Timestamp {
        self.0.time("createdAt") + LINK_HOLDS
    }
}

/// A file that was announced. There for whoever announced it, until it is attached or expires.
#[Object]
impl Upload {
    /// The upload's id, such as `upl_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::UPLOAD, self.0.id())
    }

    /// What the file is called.
    pub fn file_name(&self) -> String {
        self.0.text("fileName")
    }

    /// Its media type, in lower case and without parameters.
    pub fn media_type(&self) -> String {
        self.0.text("mediaType")
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> i32 {
        i32::try_from(self.0.int("bytes")).unwrap_or(i32::MAX)
    }

    /// The SHA-256 of its bytes, as 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        self.0.text("sha256")
    }

    /// How far it is.
    pub fn state(&self) -> UploadState {
        match ticket::attachment::UploadState::parse(&self.0.text("state")) {
            Some(ticket::attachment::UploadState::Complete) => UploadState::Complete,
            _ => UploadState::Expected,
        }
    }

    /// Where to send the bytes, by `PUT`, as they are and without credentials; relative to where the API is, unless the installation has a public
    /// address. Whoever has it may use it.
    pub async fn url(&self, ctx: &Context<'_>) -> Result<String> {
        let tenant = viewer(ctx)?.tenant;
        let expires_at = self.link_expires_at();
        Ok(url_of(platform(ctx), Link { purpose: Purpose::Upload, tenant, file: self.0.id(), expires_at }))
    }

    /// Until when `url` takes them: an hour after it was announced.
    pub fn url_expires_at(&self) -> DateTime {
        DateTime(self.link_expires_at())
    }

    /// When it is deleted unless it is attached: a day after it was announced.
    pub fn expires_at(&self) -> DateTime {
        DateTime(self.0.time("expiresAt"))
    }

    /// When it was announced.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

/// The address of a link.
pub fn url_of(platform: &Platform, link: Link) -> String {
    let path = match link.purpose {
        Purpose::Upload => UPLOADS,
        Purpose::Fetch | Purpose::Scan | Purpose::Export => FILES,
    };
    let public = platform.files.public_url.trim_end_matches('/');
    format!("{public}{path}/{}", link.seal(&platform.link_secret()))
}

/// An upload of the viewer's.
///
/// # Errors
/// `UNAUTHENTICATED`; database errors.
pub async fn find(ctx: &Context<'_>, upload: Uuid) -> Result<Option<Upload>> {
    Ok(platform(ctx).tickets.upload(&viewer(ctx)?, upload).await?.map(Upload::from_row))
}

/// Announces a file.
#[derive(Clone, Debug, InputObject)]
pub struct UploadCreateInput {
    /// What it is called: at most 255 characters, without folders.
    pub file_name: String,
    /// Its media type, such as `image/png`; `application/octet-stream` when nobody knows. Its bytes must agree.
    pub media_type: String,
    /// How many bytes it has; at most what the installation takes (50 MiB unless it says otherwise).
    pub bytes: i32,
    /// The SHA-256 of its bytes, as 64 hexadecimal digits.
    pub sha256: String,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// The upload that was announced. No event is recorded of it: nothing holds it yet.
#[derive(SimpleObject)]
pub struct UploadCreatePayload {
    /// The upload; null when it was not done.
    pub upload: Option<Upload>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}
