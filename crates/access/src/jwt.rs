//! Access tokens of sessions: short-lived JWTs, signed with a secret of this installation.
//!
//! The library checks signature, algorithm, issuer, audience and the presence of every claim. Times are checked
//! here, against the [`kernel::Clock`] that the rest of the process uses, with at most [`LEEWAY`].

use chrono::Duration;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{Error, Result, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

/// Issuer and audience of our own tokens.
const NAME: &str = "deskwire";
/// How far clocks of two replicas may be apart.
pub(crate) const LEEWAY: Duration = Duration::seconds(5);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The actor.
    pub sub: Uuid,
    /// The actor's tenant.
    pub tenant: Uuid,
    /// The session that it belongs to: dead when that is.
    pub sid: Uuid,
    /// End of validity, seconds since 1970.
    pub exp: i64,
    /// Start of validity, seconds since 1970.
    nbf: i64,
    /// Time of issue, seconds since 1970.
    iat: i64,
}

impl Claims {
    /// Claims for a token that is valid from now on.
    pub fn new(tenant: Uuid, actor: Uuid, session: Uuid, now: Timestamp, lifetime: Duration) -> Self {
        Self {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: actor,
            tenant,
            sid: session,
            exp: (now + lifetime).timestamp(),
            nbf: now.timestamp(),
            iat: now.timestamp(),
        }
    }

    /// When the token stops being valid.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_timestamp(self.exp, 0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn holds_at(&self, now: Timestamp) -> bool {
        let leeway = LEEWAY.num_seconds();
        let now = now.timestamp();
        now < self.exp.saturating_add(leeway) && self.nbf <= now.saturating_add(leeway)
    }
}

/// Signs and verifies access tokens.
pub(crate) struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Signer {
    /// A signer with this secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[NAME]);
        validation.set_audience(&[NAME]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library would read the system's clock: `holds_at` checks both times instead.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret), validation }
    }

    /// The token for these claims.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding).map_err(Error::internal)
    }

    /// The claims of a token that is ours and valid now; `None` for everything else.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok()?.claims;
        claims.holds_at(now).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    const SECRET: [u8; 32] = [7; 32];
    const LIFETIME: Duration = Duration::minutes(15);

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn claims() -> Claims {
        Claims::new(Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3), now(), LIFETIME)
    }

    fn signed(header: &Header, claims: &Value, secret: &[u8]) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    fn ours(claims: &Value) -> String {
        signed(&Header::new(Algorithm::HS256), claims, &SECRET)
    }

    fn verify(token: &str) -> Option<Claims> {
        Signer::new(&SECRET).verify(token, now())
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let token = Signer::new(&SECRET).sign(&claims()).unwrap();
        assert_eq!(verify(&token), Some(claims()));
    }

    #[test]
    fn a_token_without_signature_is_refused() {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let body = part(serde_json::to_value(claims()).unwrap());
        for algorithm in ["none", "None", "NONE"] {
            let header = part(json!({ "alg": algorithm, "typ": "JWT" }));
            assert_eq!(verify(&format!("{header}.{body}.")), None);
        }
        let header = part(json!({ "alg": "HS256", "typ": "JWT" }));
        assert_eq!(verify(&format!("{header}.{body}.")), None);
    }

    #[test]
    fn another_secret_or_algorithm_is_refused() {
        let body = serde_json::to_value(claims()).unwrap();
        assert_eq!(verify(&signed(&Header::new(Algorithm::HS256), &body, &[8; 32])), None);
        // The right secret under another algorithm: the algorithm is pinned.
        assert_eq!(verify(&signed(&Header::new(Algorithm::HS512), &body, &SECRET)), None);
        // A public key, which everybody knows, taken for the secret.
        let public = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
        assert_eq!(verify(&signed(&Header::new(Algorithm::HS256), &body, public)), None);
    }

    #[test]
    fn every_claim_is_required() {
        let whole = serde_json::to_value(claims()).unwrap();
        assert!(verify(&ours(&whole)).is_some());
        for name in ["iss", "aud", "sub", "exp", "nbf", "tenant", "sid"] {
            let mut claims = whole.clone();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(verify(&ours(&claims)), None, "without {name}");
        }
    }

    #[test]
    fn claims_of_others_are_refused() {
        for (name, value) in [
            ("iss", json!("someone")),
            ("aud", json!("something")),
            ("aud", json!(7)),
            ("exp", json!("tomorrow")),
            ("exp", json!(null)),
            ("nbf", json!("yesterday")),
        ] {
            let mut claims = serde_json::to_value(claims()).unwrap();
            claims[name] = value.clone();
            assert_eq!(verify(&ours(&claims)), None, "{name} = {value}");
        }
    }

    #[test]
    fn times_hold_with_five_seconds_of_leeway() {
        let signer = Signer::new(&SECRET);
        let token = signer.sign(&claims()).unwrap();
        let at = |moved: Duration| signer.verify(&token, now() + moved).is_some();
        assert!(at(Duration::zero()));
        assert!(at(-LEEWAY));
        assert!(!at(-LEEWAY - Duration::seconds(1)), "not yet valid");
        assert!(at(LIFETIME + LEEWAY - Duration::seconds(1)));
        assert!(!at(LIFETIME + LEEWAY), "expired");
    }

    #[test]
    fn a_time_at_the_end_of_the_range_overflows_nothing() {
        let mut claims = serde_json::to_value(claims()).unwrap();
        claims["exp"] = json!(i64::MAX);
        claims["nbf"] = json!(i64::MAX);
        assert_eq!(verify(&ours(&claims)), None);
    }
}
