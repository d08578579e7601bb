//! What somebody says of a file before it arrives, and what is found while it does.

use std::fmt;

use kernel::{Result, UserError};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

/// How much of a file is looked at to tell of which type it is, in bytes.
pub const HEAD_BYTES: usize = 8 << 10;

/// A SHA-256 checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Hex([u8; 32]);

impl Sha256Hex {
    /// From 64 hexadecimal digits, in upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(from_hex(text)?.try_into().ok()?))
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
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Hex({self})")
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks_exact(2).map(byte).collect()
}

/// The checksum of a file that is made a part at a time, whoever makes the next one: it can be put down as text and taken up again.
#[derive(Clone, Default)]
pub struct RollingSha256(Sha256);

impl RollingSha256 {
    /// Takes up what [`RollingSha256::put_down`] gave; `None` for any other text.
    pub fn take_up(text: &str) -> Option<Self> {
        let state = SerializedState::<Sha256>::try_from(from_hex(text)?.as_slice()).ok()?;
        Sha256::deserialize(&state).ok().map(Self)
    }

    /// How far it is, as text.
    pub fn put_down(&self) -> String {
        to_hex(&self.0.serialize())
    }

    /// Takes these bytes behind those before.
    pub fn take(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes.
    pub fn end(self) -> Sha256Hex {
        Sha256Hex(self.0.finalize().into())
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
