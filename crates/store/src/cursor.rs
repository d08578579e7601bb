//! Cursors: texts that only this installation can make and read.
//!
//! A *log cursor* is a place in a tenant's event log; a *page cursor* a place in one list. Both are sealed
//! (XChaCha20-Poly1305) to kind and tenant. The nonce is derived from what is sealed, so that equal cursors are
//! equal texts and no two different ones share a nonce.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use kernel::{Error, ErrorCode, Result};
use uuid::Uuid;

use crate::secret::{ServerSecret, hmac};

const NONCE: usize = 24;
/// The longest text that is looked at, in bytes.
const MAX_CURSOR: usize = 8_192;

/// What a cursor points into. The first byte of its text's content, so that a mix-up can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Log = 1,
    Page = 2,
}

/// Makes and reads cursors. Cheap to clone.
#[derive(Clone)]
pub struct CursorSealer {
    cipher: XChaCha20Poly1305,
    nonce_key: [u8; 32],
    epoch: Uuid,
    oldest: Arc<AtomicI64>,
}

impl CursorSealer {
    pub(crate) fn new(secret: &ServerSecret, epoch: Uuid, oldest: Arc<AtomicI64>) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&secret.derive("cursor").into()),
            nonce_key: secret.derive("cursor nonce"),
            epoch,
            oldest,
        }
    }

    /// A cursor behind this position of the tenant's log.
    pub fn seal_log(&self, tenant: Uuid, position: i64) -> String {
        let mut content = [0u8; 24];
        content[..16].copy_from_slice(self.epoch.as_bytes());
        content[16..].copy_from_slice(&position.to_be_bytes());
        self.seal(Kind::Log, tenant, &content)
    }

    /// The position that a log cursor stands behind.
    ///
    /// # Errors
    /// `BAD_CURSOR` when it is forged, another tenant's or a page cursor; `LOG_RESET` when it is from before the log
    /// was restored; `CURSOR_EXPIRED` when events behind it are gone.
    pub fn open_log(&self, tenant: Uuid, text: &str) -> Result<i64> {
        let content: [u8; 24] = self.open(Kind::Log, tenant, text)?.try_into().map_err(|_| forged())?;
        let (epoch, position) = content.split_at(16);
        if epoch != self.epoch.as_bytes() {
            return Err(Error::request(
                ErrorCode::LogReset,
                "the log was restored since this cursor was made; list again and go on from the new `logCursor`",
            ));
        }
        let position = i64::from_be_bytes(position.try_into().map_err(|_| forged())?);
        check_retention(position, self.oldest.load(Ordering::Relaxed))?;
        Ok(position)
    }

    /// A cursor with this content for one of the tenant's lists.
    pub fn seal_page(&self, tenant: Uuid, content: &[u8]) -> String {
        self.seal(Kind::Page, tenant, content)
    }

    /// The content of a page cursor.
    ///
    /// # Errors
    /// `BAD_CURSOR` when it is forged, another tenant's or a log cursor.
    pub fn open_page(&self, tenant: Uuid, text: &str) -> Result<Vec<u8>> {
        self.open(Kind::Page, tenant, text)
    }

    fn seal(&self, kind: Kind, tenant: Uuid, content: &[u8]) -> String {
        let context = context(kind, tenant);
        let derived = hmac(&self.nonce_key, &[&context, content]);
        let mut nonce = [0u8; NONCE];
        nonce.copy_from_slice(&derived[..NONCE]);
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: content, aad: &context })
            .expect("the content is far below the cipher's limit of 256 GiB");
        let mut bytes = Vec::with_capacity(1 + NONCE + sealed.len());
        bytes.push(kind as u8);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(&self, kind: Kind, tenant: Uuid, text: &str) -> Result<Vec<u8>> {
        if text.len() > MAX_CURSOR {
            return Err(forged());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| forged())?;
        let (&first, rest) = bytes.split_first().ok_or_else(forged)?;
        let found = [Kind::Log, Kind::Page].into_iter().find(|kind| *kind as u8 == first).ok_or_else(forged)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(forged)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| forged())?;
        let context = context(found, tenant);
        let content =
            self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: &context }).map_err(|_| forged())?;
        if found == kind { Ok(content) } else { Err(mixed_up(kind)) }
    }
}

/// Refuses a position behind which events are gone.
pub(crate) fn check_retention(position: i64, oldest: i64) -> Result<()> {
    if position >= oldest {
        return Ok(());
    }
    Err(Error::request(
        ErrorCode::CursorExpired,
        "the log no longer reaches back to this cursor; list again and go on from the new `logCursor`",
    ))
}

fn context(kind: Kind, tenant: Uuid) -> [u8; 17] {
    let mut context = [kind as u8; 17];
    context[1..].copy_from_slice(tenant.as_bytes());
    context
}

fn forged() -> Error {
    Error::request(
        ErrorCode::BadCursor,
        "this is not a cursor of this server; use one from an earlier answer, unchanged",
    )
}

fn mixed_up(wanted: Kind) -> Error {
    Error::request(
        ErrorCode::BadCursor,
        match wanted {
            Kind::Log => {
                "this is a page cursor (of `edges` or `pageInfo`); here a log cursor is needed: a connection's `logCursor` or an event's `cursor`"
            }
            Kind::Page => {
                "this is a log cursor; here a page cursor is needed: `edges.cursor` or `pageInfo.endCursor` of the same list"
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn sealer(epoch: u128, oldest: i64) -> CursorSealer {
        CursorSealer::new(&ServerSecret::new([9; 32]), Uuid::from_u128(epoch), Arc::new(AtomicI64::new(oldest)))
    }

    #[test]
    fn cursors_survive_the_way_there_and_back() {
        let sealer = sealer(1, 0);
        assert_eq!(sealer.open_log(TENANT, &sealer.seal_log(TENANT, 42)).unwrap(), 42);
        assert_eq!(sealer.open_page(TENANT, &sealer.seal_page(TENANT, b"x")).unwrap(), b"x");
        assert_eq!(sealer.open_page(TENANT, &sealer.seal_page(TENANT, b"")).unwrap(), b"");
    }

    #[test]
    fn equal_cursors_are_equal_texts() {
        let sealer = sealer(1, 0);
        assert_eq!(sealer.seal_log(TENANT, 42), sealer.seal_log(TENANT, 42));
        assert_ne!(sealer.seal_log(TENANT, 42), sealer.seal_log(TENANT, 43));
        assert_ne!(sealer.seal_log(TENANT, 42), sealer.seal_log(OTHER, 42));
    }

    #[test]
    fn each_refusal_has_its_code() {
        let sealer_now = sealer(1, 10);
        let code = |result: Result<i64>| result.unwrap_err().code();
        assert_eq!(code(sealer_now.open_log(OTHER, &sealer_now.seal_log(TENANT, 42))), ErrorCode::BadCursor);
        assert_eq!(code(sealer_now.open_log(TENANT, &sealer(2, 0).seal_log(TENANT, 42))), ErrorCode::LogReset);
        assert_eq!(code(sealer_now.open_log(TENANT, &sealer_now.seal_log(TENANT, 9))), ErrorCode::CursorExpired);
        assert!(sealer_now.open_log(TENANT, &sealer_now.seal_log(TENANT, 10)).is_ok());
        for text in ["", "AA", "not a cursor", "AQ", &"A".repeat(MAX_CURSOR + 1)] {
            assert_eq!(code(sealer_now.open_log(TENANT, text)), ErrorCode::BadCursor, "{text}");
        }
    }

    #[test]
    fn a_mix_up_says_which_to_use() {
        let sealer = sealer(1, 0);
        let error = sealer.open_log(TENANT, &sealer.seal_page(TENANT, b"x")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadCursor);
        assert!(error.to_string().contains("`logCursor`"), "{error}");
        let error = sealer.open_page(TENANT, &sealer.seal_log(TENANT, 1)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadCursor);
        assert!(error.to_string().contains("`edges.cursor`"), "{error}");
    }

    #[test]
    fn no_bit_can_be_changed() {
        let sealer = sealer(1, 0);
        let bytes = URL_SAFE_NO_PAD.decode(sealer.seal_log(TENANT, 42)).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let error = sealer.open_log(TENANT, &URL_SAFE_NO_PAD.encode(forged)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadCursor, "bit {bit}");
        }
    }
}
