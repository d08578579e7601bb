//! API tokens: their text, their checksum, their hash, and the scopes that narrow them.
//!
//! A token is `PREFIX` + 43 characters of base 62 (32 random bytes) + 6 characters of base 62 (CRC-32 of what comes
//! before). The checksum lets secret scanners, and us, tell a mistyped token from a real one without asking the
//! database. Only the SHA-256 of the text is stored: 256 random bits need no salt and no slow hash.

use kernel::{ActorKind, Grant, Scope, random};
use sha2::{Digest, Sha256};

use crate::permission;

/// The prefix of users' API tokens.
pub const PERSONAL_PREFIX: &str = "dw_pat_";
/// The prefix of service accounts' API tokens.
pub const SERVICE_PREFIX: &str = "dw_svc_";

/// How many characters of the random part are stored and shown, so that people can tell their tokens apart.
const SHOWN_CHARACTERS: usize = 4;
const SECRET_BYTES: usize = 32;
const SECRET_CHARACTERS: usize = 43;
const CHECKSUM_CHARACTERS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A secret in clear: told to its owner once, never stored, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) String);

impl Secret {
    /// The text that its owner must keep.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first characters, which may be shown to tell tokens apart.
    pub(crate) fn shown(&self) -> &str {
        let prefix = self.0.rfind('_').map_or(0, |position| position + 1);
        self.0.get(..prefix + SHOWN_CHARACTERS).unwrap_or_default()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A new secret with this prefix.
pub(crate) fn generate(prefix: &str) -> Secret {
    let mut text = String::with_capacity(prefix.len() + SECRET_CHARACTERS + CHECKSUM_CHARACTERS);
    text.push_str(prefix);
    push_base62(&mut text, &random::bytes::<SECRET_BYTES>(), SECRET_CHARACTERS);
    let checksum = crc32fast::hash(text.as_bytes());
    push_base62(&mut text, &checksum.to_be_bytes(), CHECKSUM_CHARACTERS);
    Secret(text)
}

/// The prefix of the API tokens of such an actor; `None` for actors that have none.
pub(crate) fn prefix_for(kind: ActorKind) -> Option<&'static str> {
    match kind {
        ActorKind::User => Some(PERSONAL_PREFIX),
        ActorKind::ServiceAccount => Some(SERVICE_PREFIX),
        ActorKind::System => None,
    }
}

/// The kind of actor that an API token with this text belongs to; `None` when it is no API token.
pub(crate) fn kind_of(text: &str) -> Option<ActorKind> {
    [ActorKind::User, ActorKind::ServiceAccount]
        .into_iter()
        .find(|kind| prefix_for(*kind).is_some_and(|prefix| text.starts_with(prefix)))
}

/// Whether the text has the form of a token with this prefix, its checksum included.
pub(crate) fn is_well_formed(text: &str, prefix: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    if rest.len() != SECRET_CHARACTERS + CHECKSUM_CHARACTERS || !rest.bytes().all(|byte| ALPHABET.contains(&byte)) {
        return false;
    }
    let (body, checksum) = text.split_at(text.len() - CHECKSUM_CHARACTERS);
    let mut expected = String::with_capacity(CHECKSUM_CHARACTERS);
    push_base62(&mut expected, &crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECKSUM_CHARACTERS);
    checksum == expected
}

/// What is stored of a token: the SHA-256 of its text.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Writes big-endian bytes in base 62 with exactly `width` digits.
fn push_base62(text: &mut String, bytes: &[u8], width: usize) {
    let mut number = bytes.to_vec();
    let mut digits = vec![ALPHABET[0]; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            // The quotient of a value below 62 × 256 fits a byte.
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    text.extend(digits.into_iter().map(char::from));
}

/// One scope of a token: a permission, and how far it may reach at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenScope {
    permission: &'static str,
    reach: Option<Scope>,
}

impl TokenScope {
    /// Reads `ticket.read` or `ticket.read:TEAM`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, reach) = match text.split_once(':') {
            None => (text, None),
            Some((name, reach)) => {
                let scope = Scope::parse(reach).ok_or_else(|| {
                    format!("`{reach}` is no reach; use OWN, TEAM or TENANT, as in `ticket.read:OWN`")
                })?;
                (name, Some(scope))
            }
        };
        let permission = permission::find(name)
            .ok_or_else(|| format!("`{name}` is no permission; the permissions are {}", names().join(", ")))?;
        Ok(Self { permission: permission.name, reach })
    }
}

fn names() -> Vec<&'static str> {
    permission::ALL.iter().map(|permission| permission.name).collect()
}

/// What is left of an actor's grants under a token's scopes.
///
/// A grant of the whole tenant is cut down to the reach that its scope allows. A grant that reaches less far stays as
/// it is, but `TEAM` under a scope of `OWN` is lost: what is the actor's own need not be their team's, so that `OWN`
/// would be more than they hold.
pub(crate) fn narrowed(grants: Vec<Grant>, scopes: &[TokenScope]) -> Vec<Grant> {
    let under = |grant: &Grant, scope: &TokenScope| match (grant.scope, scope.reach) {
        (Scope::Tenant, Some(reach)) => Some(Grant { scope: reach, ..grant.clone() }),
        (Scope::Team, Some(Scope::Own)) => None,
        _ => Some(grant.clone()),
    };
    grants
        .iter()
        .flat_map(|grant| {
            scopes.iter().filter(|scope| scope.permission == grant.permission).filter_map(|scope| under(grant, scope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::{TICKET_READ, TICKET_UPDATE, grant};
    use kernel::Uuid;

    #[test]
    fn a_token_is_well_formed_and_shows_its_beginning_only() {
        let secret = generate(PERSONAL_PREFIX);
        assert_eq!(secret.reveal().len(), PERSONAL_PREFIX.len() + 49);
        assert!(is_well_formed(secret.reveal(), PERSONAL_PREFIX));
        assert_eq!(secret.shown().len(), PERSONAL_PREFIX.len() + SHOWN_CHARACTERS);
        assert!(secret.reveal().starts_with(secret.shown()));
        assert!(!format!("{secret:?}").contains(secret.shown()));
        assert_eq!(kind_of(secret.reveal()), Some(ActorKind::User));
        assert_eq!(kind_of(generate(SERVICE_PREFIX).reveal()), Some(ActorKind::ServiceAccount));
        assert_eq!(kind_of("dw_ref_x"), None);
    }

    #[test]
    fn every_changed_character_breaks_the_checksum() {
        let secret = generate(SERVICE_PREFIX);
        for position in SERVICE_PREFIX.len()..secret.reveal().len() {
            let mut bytes = secret.reveal().as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'a' { b'b' } else { b'a' };
            assert!(!is_well_formed(std::str::from_utf8(&bytes).unwrap(), SERVICE_PREFIX));
        }
        assert!(!is_well_formed(secret.reveal(), PERSONAL_PREFIX));
        assert!(!is_well_formed(&format!("{}0", secret.reveal()), SERVICE_PREFIX));
        assert!(!is_well_formed("dw_svc_ä", SERVICE_PREFIX));
    }

    #[test]
    fn base_62_is_the_number_in_base_62() {
        let mut text = String::new();
        push_base62(&mut text, &[0, 61], 2);
        push_base62(&mut text, &[0, 62], 2);
        push_base62(&mut text, &u32::MAX.to_be_bytes(), 6);
        // 4,294,967,295 = 4·62⁵ + 42·62⁴ + 41·62³ + 15·62² + 12·62 + 3
        assert_eq!(text, "0z104gfFC3");
    }

    fn scopes(texts: &[&str]) -> Vec<TokenScope> {
        texts.iter().map(|text| TokenScope::parse(text).unwrap()).collect()
    }

    #[test]
    fn scopes_narrow_and_never_widen() {
        let held = vec![grant(TICKET_READ, Scope::Tenant), grant(TICKET_UPDATE, Scope::Own)];
        assert!(narrowed(held.clone(), &[]).is_empty());
        assert_eq!(narrowed(held.clone(), &scopes(&["ticket.read"])), [grant(TICKET_READ, Scope::Tenant)]);
        assert_eq!(narrowed(held.clone(), &scopes(&["ticket.read:TEAM"])), [grant(TICKET_READ, Scope::Team)]);
        assert_eq!(narrowed(held.clone(), &scopes(&["ticket.update:TENANT"])), [grant(TICKET_UPDATE, Scope::Own)]);
        assert!(narrowed(held, &scopes(&["user.manage"])).is_empty());
    }

    #[test]
    fn a_grant_for_one_team_stays_within_it() {
        let held = vec![Grant { team: Some(Uuid::from_u128(1)), ..grant(TICKET_READ, Scope::Team) }];
        assert_eq!(narrowed(held.clone(), &scopes(&["ticket.read:TENANT"])), held);
        assert!(narrowed(held, &scopes(&["ticket.read:OWN"])).is_empty());
    }

    #[test]
    fn a_scope_that_means_nothing_is_told() {
        assert!(TokenScope::parse("ticket.fly").unwrap_err().contains("ticket.read"));
        assert!(TokenScope::parse("ticket.read:WORLD").unwrap_err().contains("TENANT"));
    }
}
