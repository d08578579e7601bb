//! What somebody says of a file before it arrives, and what is found while it does.

use std::fmt;

use kernel::{Result, UserError};
use sha2::{Digest, Sha256};

/// How much of a file is looked at to tell of which type it is, in bytes.
pub const HEAD_BYTES: usize = 8 << 10;

/// A SHA-256 checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Hex([u8; 32]);

impl Sha256Hex {
    /// From 64 hexadecimal digits, in upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Hex({self})")
    }
}

/// What a file will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// How many bytes it has.
    pub bytes: u64,
    /// Their checksum.
    pub sha256: Sha256Hex,
}

/// A file that arrives: what of the promise was kept so far.
pub(crate) struct Arriving {
    promise: Promise,
    bytes: u64,
    digest: Sha256,
    head: Vec<u8>,
    inspected: bool,
}

impl Arriving {
    pub(crate) fn of(promise: &Promise) -> Self {
        Self { promise: *promise, bytes: 0, digest: Sha256::new(), head: Vec::new(), inspected: false }
    }

    /// One more chunk. What is too much is refused before it is kept.
    pub(crate) fn take(&mut self, chunk: &[u8], inspect: &impl Fn(&[u8]) -> Result<()>) -> Result<()> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.promise.bytes {
            let message = format!("the file has more bytes than the {} that were announced", self.promise.bytes);
            return Err(lie("bytes", message));
        }
        self.digest.update(chunk);
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if self.head.len() == HEAD_BYTES { self.inspect(inspect) } else { Ok(()) }
    }

    /// That was all.
    pub(crate) fn end(mut self, inspect: &impl Fn(&[u8]) -> Result<()>) -> Result<()> {
        if self.bytes < self.promise.bytes {
            let message = format!("the file has {} bytes; {} were announced", self.bytes, self.promise.bytes);
            return Err(lie("bytes", message));
        }
        self.inspect(inspect)?;
        let found = Sha256Hex(self.digest.finalize().into());
        if found != self.promise.sha256 {
            let message = format!("the file's SHA-256 is {found}; {} was announced", self.promise.sha256);
            return Err(lie("sha256", message));
        }
        Ok(())
    }

    fn inspect(&mut self, inspect: &impl Fn(&[u8]) -> Result<()>) -> Result<()> {
        if std::mem::replace(&mut self.inspected, true) {
            return Ok(());
        }
        inspect(&self.head)
    }
}

/// What was announced and did not come, at the field of the announcement.
fn lie(field: &'static str, message: String) -> kernel::Error {
    UserError::constraint([field], message, field, None).into()
}
