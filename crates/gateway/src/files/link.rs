//! Links to files: whoever has one may use it until it expires, without credentials. They are short-lived, name one file and one way, and are
//! signed with a secret of this installation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Timestamp, Uuid};
use sha2::Sha256;

const MAC_BYTES: usize = 16;
const BODY_BYTES: usize = 1 + 16 + 16 + 8;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To send the bytes of an upload.
    Upload,
    /// To fetch an attachment.
    Fetch,
    /// To fetch an attachment that nobody has looked at yet.
    Scan,
    /// To fetch the file of an export.
    Export,
}

impl Purpose {
    const ALL: [Purpose; 4] = [Purpose::Upload, Purpose::Fetch, Purpose::Scan, Purpose::Export];

    const fn byte(self) -> u8 {
        match self {
            Purpose::Upload => b'u',
            Purpose::Fetch => b'f',
            Purpose::Scan => b's',
            Purpose::Export => b'e',
        }
    }
}

/// What a link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What for.
    pub purpose: Purpose,
    /// Whose file.
    pub tenant: Uuid,
    /// Which upload or attachment, or the operation of which export.
    pub file: Uuid,
    /// Until when; whole seconds.
    pub expires_at: Timestamp,
}

impl Link {
    /// The link as text of letters, digits, `-` and `_`.
    pub fn seal(&self, secret: &[u8; 32]) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES + MAC_BYTES);
        bytes.push(self.purpose.byte());
        bytes.extend_from_slice(self.tenant.as_bytes());
        bytes.extend_from_slice(self.file.as_bytes());
        bytes.extend_from_slice(&self.expires_at.timestamp().to_be_bytes());
        if let Some(mac) = mac(secret, &bytes) {
            bytes.extend_from_slice(&mac.finalize().into_bytes()[..MAC_BYTES]);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a text allows; `None` for what is no link of ours. Whether it has expired is for the caller to see.
    pub fn open(secret: &[u8; 32], text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != BODY_BYTES + MAC_BYTES {
            return None;
        }
        let (body, tag) = bytes.split_at(BODY_BYTES);
        mac(secret, body)?.verify_truncated_left(tag).ok()?;
        Some(Self {
            purpose: Purpose::ALL.into_iter().find(|purpose| purpose.byte() == body[0])?,
            tenant: Uuid::from_slice(&body[1..17]).ok()?,
            file: Uuid::from_slice(&body[17..33]).ok()?,
            expires_at: DateTime::from_timestamp(i64::from_be_bytes(body[33..41].try_into().ok()?), 0)?,
        })
    }
}

fn mac(secret: &[u8; 32], body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn link(purpose: Purpose) -> Link {
        Link {
            purpose,
            tenant: Uuid::from_u128(1),
            file: Uuid::from_u128(2),
            expires_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn a_link_says_what_it_allows() {
        for purpose in Purpose::ALL {
            assert_eq!(Link::open(&SECRET, &link(purpose).seal(&SECRET)), Some(link(purpose)));
        }
    }

    #[test]
    fn a_link_cannot_be_forged_or_bent() {
        let text = link(Purpose::Fetch).seal(&SECRET);
        assert_eq!(Link::open(&[8; 32], &text), None);
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for place in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[place] ^= 1;
            assert_eq!(Link::open(&SECRET, &URL_SAFE_NO_PAD.encode(bent)), None, "byte {place}");
        }
        for none in ["", "x", "%2e%2e", &text[1..], &format!("{text}A")] {
            assert_eq!(Link::open(&SECRET, none), None, "{none}");
        }
    }
}
