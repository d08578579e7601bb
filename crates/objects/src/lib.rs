//! Where the bytes of files are: in a folder, or in a bucket of a store that speaks S3.
//!
//! An object is written once, as a whole, under a key that nobody guesses and everybody may forget: what it is, whose, and until when
//! is in the database. It is there only when what arrived is what was promised ([`Promise`]): a reader never meets half of one.

mod config;
mod promise;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use kernel::{Error, ErrorCode, Result, Uuid};
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};

pub use config::{ObjectsConfig, S3Config, install_tls};
use promise::Arriving;
pub use promise::{HEAD_BYTES, Promise, RollingSha256, Sha256Hex};

/// The size of the parts in which an object is sent to a bucket, in bytes; S3 takes no smaller ones. With [`PARTS_AT_ONCE`], what an object
/// that arrives takes of the memory.
pub const PART_BYTES: usize = 5 << 20;
/// How many parts of an object are under way at once.
pub const PARTS_AT_ONCE: usize = 2;

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Path);

impl Key {
    /// The object with this id, of this tenant.
    pub fn new(tenant: Uuid, object: Uuid) -> Self {
        // No folder with a million files: the last two digits of an id are as good as random.
        let object = object.to_string();
        let shelf = &object[object.len() - 2..];
        Self(Path::from_iter([tenant.to_string().as_str(), shelf, object.as_str()]))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An object that is being read.
pub struct Reading {
    /// How many bytes it has.
    pub bytes: u64,
    /// The bytes; an error breaks it off.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// The objects of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.store)
    }
}

impl Objects {
    /// Opens the store; of a bucket, nothing is asked before it is needed.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the folder.
    pub fn open(config: &ObjectsConfig) -> Result<Self> {
        Ok(Self { store: config.build()? })
    }

    /// Writes an object from a body that arrives, if it is what was promised. `inspect` is shown the first [`HEAD_BYTES`] of it (or all, if it
    /// has fewer) and may refuse it. An object that was there under the key is replaced.
    ///
    /// # Errors
    /// `VALIDATION` for what does not keep the promise; those of `inspect` and of the body; `UNAVAILABLE` when the store does not take it.
    /// Nothing is there then under the key that was not there before.
    pub async fn put<S>(
        &self,
        key: &Key,
        promise: &Promise,
        inspect: impl Fn(&[u8]) -> Result<()> + Send + Sync,
        body: S,
    ) -> Result<()>
    where
        S: Stream<Item = Result<Bytes>> + Send + Unpin,
    {
        let upload = self.store.put_multipart(&key.0).await.map_err(|error| failed(key, error))?;
        let mut writing = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        match receive(key, &mut writing, promise, inspect, body).await {
            Ok(()) => writing.finish().await.map(|_| ()).map_err(|error| failed(key, error)),
            Err(error) => {
                if let Err(error) = writing.abort().await {
                    tracing::warn!(%key, %error, "parts of an object that was refused may be left in the store");
                }
                Err(error)
            }
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// `NOT_FOUND`; `UNAVAILABLE` when the store does not answer.
    pub async fn read(&self, key: &Key) -> Result<Reading> {
        let found = self.store.get(&key.0).await.map_err(|error| failed(key, error))?;
        let (bytes, named) = (found.meta.size, key.clone());
        let body = found.into_stream().map(move |chunk| chunk.map_err(|error| failed(&named, error)));
        Ok(Reading { bytes, body: body.boxed() })
    }

    /// Reads an object from this byte on; of one that ends there, nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`; `UNAVAILABLE` when the store does not answer.
    pub async fn read_from(&self, key: &Key, offset: u64) -> Result<Reading> {
        if offset == 0 {
            return self.read(key).await;
        }
        let size = self.store.head(&key.0).await.map_err(|error| failed(key, error))?.size;
        if size <= offset {
            return Ok(Reading { bytes: 0, body: futures_util::stream::empty().boxed() });
        }
        let rest = GetOptions::default().with_range(Some(GetRange::Offset(offset)));
        let found = self.store.get_opts(&key.0, rest).await.map_err(|error| failed(key, error))?;
        let named = key.clone();
        let body = found.into_stream().map(move |chunk| chunk.map_err(|error| failed(&named, error)));
        Ok(Reading { bytes: size - offset, body: body.boxed() })
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the store does not do it.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        match self.store.delete(&key.0).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(key, error)),
        }
    }
}

/// Hands a body on to the store, and checks it on its way.
async fn receive<S>(
    key: &Key,
    writing: &mut WriteMultipart,
    promise: &Promise,
    inspect: impl Fn(&[u8]) -> Result<()>,
    mut body: S,
) -> Result<()>
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin,
{
    let mut arriving = Arriving::of(promise);
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        arriving.take(&chunk, &inspect)?;
        writing.wait_for_capacity(PARTS_AT_ONCE).await.map_err(|error| failed(key, error))?;
        writing.put(chunk);
    }
    arriving.end(&inspect)
}

/// What the store could not do. Its words may hold addresses and names: they are for the log.
fn failed(key: &Key, error: StoreError) -> Error {
    if matches!(error, StoreError::NotFound { .. }) {
        return Error::request(ErrorCode::NotFound, "the file is not in the store");
    }
    tracing::error!(%key, %error, "the object store failed");
    Error::request(ErrorCode::Unavailable, "the store of files does not answer; try again")
}

#[cfg(test)]
mod tests;
