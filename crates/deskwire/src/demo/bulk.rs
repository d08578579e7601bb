//! What was done with many of the demo's tickets at once.

use anyhow::{Result, ensure};
use gateway::platform::Platform;
use kernel::Ctx;
use serde_json::json;
use ticket::bulk::{BulkChange, BulkCommand, BulkPatch, Choice, OnError};

/// The open incidents about the VPN have a certificate in common that ran out.
pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let open = json!({ "category": { "in": ["NEW", "ACTIVE", "WAITING"] } });
    let patch = BulkPatch { add_tags: vec!["certificate".to_owned()], ..BulkPatch::default() };
    let command = BulkCommand {
        choice: Choice::Matching(
            json!({ "kind": { "eq": "INCIDENT" }, "category": { "key": { "eq": "vpn" } }, "state": open }),
        ),
        change: BulkChange::Update(Box::new(patch)),
        on_error: OnError::SkipItem,
    };
    let done = platform.tickets.bulk(ctx, command).await?;
    ensure!(done.results.is_some(), "the demo has fewer open incidents about the VPN than a call changes");
    Ok(())
}
