//! From a resolver's context to the platform's: who asks, and how a mutation is to be carried out.

use async_graphql::{Context, Name, Result, Value};
use kernel::{Ctx, Error, ErrorCode, Mutation};
use sha2::{Digest, Sha256};

use crate::door::Viewer;
use crate::platform::Platform;

/// The platform behind the schema.
pub fn platform<'a>(ctx: &Context<'a>) -> &'a Platform {
    ctx.data_unchecked::<Platform>()
}

/// Who asks.
///
/// # Errors
/// `UNAUTHENTICATED` without credentials.
pub fn viewer(ctx: &Context<'_>) -> Result<Ctx> {
    Ok(current(ctx.data::<Viewer>()?).ok_or_else(|| {
        Error::request(
            ErrorCode::Unauthenticated,
            "sign in first: send `Authorization: Bearer <token>` (over WebSocket in `connection_init`), or call `sessionCreate`",
        )
    })?)
}

/// Who asks, with the rights of now: those of a long-lived connection change while a subscription runs.
pub fn current(viewer: &Viewer) -> Option<Ctx> {
    match &viewer.live {
        Some(live) => Some(Ctx { request_id: viewer.request_id.clone(), ..live.borrow().clone() }),
        None => viewer.ctx.clone(),
    }
}

/// Who asks, and how this mutation is to be carried out: its key, the hash of its input, whether it is dry.
///
/// # Errors
/// `UNAUTHENTICATED` without credentials.
pub fn mutation(ctx: &Context<'_>) -> Result<Ctx> {
    let arguments = ctx.field().arguments()?;
    let input = arguments.into_iter().find(|(name, _)| name == "input").map(|(_, value)| value).unwrap_or_default();
    let key = platform(ctx).tickets.store().secret("idempotency input");
    Ok(viewer(ctx)?.for_mutation(options(input, &key)))
}

/// The `input` of the mutation as the client wrote it.
///
/// # Errors
/// Those of reading arguments.
pub fn written(ctx: &Context<'_>) -> Result<serde_json::Value> {
    let arguments = ctx.field().arguments()?;
    let input = arguments.into_iter().find(|(name, _)| name == "input").map(|(_, value)| value);
    Ok(input.map(|input| input.into_json().map_err(Error::internal)).transpose()?.unwrap_or_default())
}

/// The hash is keyed: an input can hold a password, which nobody shall guess from what is stored.
fn options(input: Value, key: &[u8; 32]) -> Mutation {
    let Value::Object(mut fields) = input else { return Mutation::default() };
    let dry_run = fields.shift_remove(&Name::new("dryRun")) == Some(Value::Boolean(true));
    let idempotency_key = match fields.shift_remove(&Name::new("idempotencyKey")) {
        Some(Value::String(key)) => Some(key),
        _ => None,
    };
    let mut hash = Sha256::new();
    hash.update(key);
    feed(&mut hash, &Value::Object(fields));
    Mutation { idempotency_key, input_hash: hash.finalize().into(), dry_run }
}

/// Feeds a value in one form, whatever the order of its keys.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort();
            hash.update(b"{");
            for name in names {
                hash.update(serde_json::to_vec(name.as_str()).unwrap_or_default());
                hash.update(b":");
                feed(hash, &fields[name]);
                hash.update(b",");
            }
            hash.update(b"}");
        }
        Value::List(items) => {
            hash.update(b"[");
            for item in items {
                feed(hash, item);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        Value::Enum(name) => feed(hash, &Value::String(name.to_string())),
        other => hash.update(serde_json::to_vec(other).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(json: serde_json::Value) -> Mutation {
        options(Value::from_json(json).unwrap(), &[7; 32])
    }

    #[test]
    fn the_hash_covers_the_input_without_key_and_dry_run() {
        let plain = of(json!({"title": "VPN", "team": {"slug": "network"}}));
        let keyed = of(json!({"team": {"slug": "network"}, "idempotencyKey": "k", "title": "VPN", "dryRun": true}));
        assert_eq!(plain.input_hash, keyed.input_hash);
        assert_eq!(keyed.idempotency_key.as_deref(), Some("k"));
        assert!(keyed.dry_run);
        let other = of(json!({"title": "VPN!", "team": {"slug": "network"}}));
        assert_ne!(plain.input_hash, other.input_hash);
    }

    #[test]
    fn structure_is_part_of_the_hash() {
        assert_ne!(of(json!({"a": ["b", "c"]})).input_hash, of(json!({"a": [["b"], "c"]})).input_hash);
        assert_ne!(of(json!({"a": "1"})).input_hash, of(json!({"a": 1})).input_hash);
    }
}
