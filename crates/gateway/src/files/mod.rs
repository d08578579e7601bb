//! Files: uploads, attachments, and the links by which their bytes come and go.

pub mod attachments;
pub mod link;
mod mutations;
mod queries;
pub mod uploads;

use objects::{Objects, ObjectsConfig};
use ticket::attachment::FileRules;

pub use attachments::Attachment;
pub use mutations::FileMutations;
pub use queries::FileQueries;
pub use uploads::Upload;

/// How many bytes a file has at most, unless the installation says otherwise.
pub const MAX_FILE_BYTES: u64 = 50 << 20;
/// The most that an installation may allow, in bytes: sizes are `Int` in the API.
pub const LARGEST_FILE_BYTES: u64 = i32::MAX as u64;

/// Where files are, and which are taken.
#[derive(Clone, Debug)]
pub struct Files {
    /// Their bytes.
    pub objects: Objects,
    /// Which are taken.
    pub rules: FileRules,
    /// What links begin with, such as `https://desk.acme.example`; empty: they are relative to where the API is.
    pub public_url: String,
}

impl Files {
    /// In a folder, by the rules that hold when nobody says otherwise.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn in_folder(folder: impl Into<std::path::PathBuf>) -> kernel::Result<Self> {
        let objects = Objects::open(&ObjectsConfig::Folder(folder.into()))?;
        let rules = FileRules { max_bytes: MAX_FILE_BYTES, media_types: Vec::new(), scan: false };
        Ok(Self { objects, rules, public_url: String::new() })
    }
}
