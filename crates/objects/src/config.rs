//! Where objects are kept, as an installation says it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kernel::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

/// How long one request to a bucket may take: a part goes over in it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a bucket that fails is asked again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
/// How often.
const RETRIES: usize = 3;

/// Where objects are.
#[derive(Clone, Debug)]
pub enum ObjectsConfig {
    /// In a folder, which is made. Several servers over one database need one that all of them see.
    Folder(PathBuf),
    /// In a bucket of a store that speaks S3.
    S3(S3Config),
}

/// A bucket.
#[derive(Clone)]
pub struct S3Config {
    /// Its name.
    pub bucket: String,
    /// The store's address, such as `http://127.0.0.1:9000`; empty: Amazon's, by the region.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Who asks; empty: as the environment (`AWS_ACCESS_KEY_ID`, …) or the machine's role says.
    pub access_key_id: String,
    /// The secret that goes with it.
    pub secret_access_key: String,
    /// Whether the bucket is named in the path, as most stores but Amazon's want it, and not in the host's name.
    pub path_style: bool,
}

impl std::fmt::Debug for S3Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the secret.
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Has every HTTP client of this process encrypt as the rest of the product does: rustls over ring. Clients are built without a choice of
/// their own, and fail until this was called; calling it again changes nothing.
pub fn install_tls() {
    // An error says that it was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl ObjectsConfig {
    pub(crate) fn build(&self) -> Result<Arc<dyn ObjectStore>> {
        install_tls();
        match self {
            ObjectsConfig::Folder(folder) => folder_store(folder),
            ObjectsConfig::S3(config) => config.build(),
        }
    }
}

fn folder_store(folder: &PathBuf) -> Result<Arc<dyn ObjectStore>> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::internal(format!("the folder {} cannot be used for files: {error}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
    // What the database says is there must be there after a loss of power too.
    Ok(Arc::new(store.with_fsync(true)))
}

impl S3Config {
    fn build(&self) -> Result<Arc<dyn ObjectStore>> {
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_client_options(ClientOptions::new().with_timeout(REQUEST_TIMEOUT))
            .with_retry(retry);
        if !self.endpoint.is_empty() {
            builder = builder.with_endpoint(&self.endpoint);
        }
        // Whoever writes `http://` means it: a store on the same machine or in the same network.
        builder = builder.with_allow_http(self.endpoint.starts_with("http://"));
        if !self.access_key_id.is_empty() {
            builder = builder.with_access_key_id(&self.access_key_id).with_secret_access_key(&self.secret_access_key);
        }
        let store = builder
            .build()
            .map_err(|error| Error::internal(format!("the bucket cannot be used for files: {error}")))?;
        Ok(Arc::new(store))
    }
}
