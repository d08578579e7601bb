//! Refresh tokens: each may be used once; using one again ends its session.
//!
//! The text is `dw_ref_` and 64 characters of base 64: the session's id, 16 random bytes, and a MAC of both under a
//! secret of this installation. Because the token names its session and cannot be forged, *any* earlier token of a
//! session is recognised when it comes back, however often the session was refreshed since: then either the owner or
//! a thief holds a copy, and the whole session ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Error, Result, Uuid, random};
use sha2::Sha256;

use crate::token::Secret;

/// The prefix of refresh tokens.
pub const REFRESH_PREFIX: &str = "dw_ref_";

const SESSION_BYTES: usize = 16;
const RANDOM_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
const TOKEN_BYTES: usize = SESSION_BYTES + RANDOM_BYTES + MAC_BYTES;

/// A new refresh token for the session.
pub(crate) fn generate(secret: &[u8; 32], session: Uuid) -> Result<Secret> {
    let mut bytes = Vec::with_capacity(TOKEN_BYTES);
    bytes.extend_from_slice(session.as_bytes());
    bytes.extend_from_slice(&random::bytes::<RANDOM_BYTES>());
    let tag = mac(secret, &bytes)?.finalize().into_bytes();
    bytes.extend_from_slice(&tag[..MAC_BYTES]);
    Ok(Secret(format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// The session that a refresh token of ours belongs to; `None` for everything else.
pub(crate) fn session_of(secret: &[u8; 32], text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(REFRESH_PREFIX)?).ok()?;
    if bytes.len() != TOKEN_BYTES {
        return None;
    }
    let (body, tag) = bytes.split_at(SESSION_BYTES + RANDOM_BYTES);
    mac(secret, body).ok()?.verify_truncated_left(tag).ok()?;
    Uuid::from_slice(&body[..SESSION_BYTES]).ok()
}

fn mac(secret: &[u8; 32], body: &[u8]) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(Error::internal)?;
    mac.update(body);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_session_and_cannot_be_forged() {
        let (secret, session) = ([1; 32], Uuid::from_u128(42));
        let token = generate(&secret, session).unwrap();
        assert_eq!(token.reveal().len(), REFRESH_PREFIX.len() + 64);
        assert_eq!(session_of(&secret, token.reveal()), Some(session));
        assert_ne!(generate(&secret, session).unwrap(), token);
        assert_eq!(session_of(&[2; 32], token.reveal()), None);
        for position in REFRESH_PREFIX.len()..token.reveal().len() {
            let mut bytes = token.reveal().as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(session_of(&secret, std::str::from_utf8(&bytes).unwrap()), None);
        }
        assert_eq!(session_of(&secret, "dw_ref_"), None);
    }
}
