//! Settings of a tenant that are rows with a version: how a change of one is written.

use kernel::{Result, UserError};
use predicate::RecordType;
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use crate::events::setting_event;

/// The version of a row.
pub(crate) fn version_of(row: &Row) -> i32 {
    i32::try_from(row.int("version")).unwrap_or(i32::MAX)
}

/// Refuses when somebody was faster.
///
/// # Errors
/// `CONFLICT` with the current version.
pub(crate) fn check_version(row: &Row, expected: Option<i32>) -> Result<()> {
    match expected {
        Some(expected) if expected != version_of(row) => Err(UserError::stale(version_of(row)).into()),
        _ => Ok(()),
    }
}

/// Writes what has changed of a setting that has a `key`, raises its version, and tells of it by the event `kind` of a subject that is called
/// `subject`. Without a change nothing happens.
///
/// # Errors
/// Database errors.
pub(crate) async fn save_in(
    tx: &mut Tx,
    record: &'static RecordType,
    (kind, subject): (&'static str, &'static str),
    before: &Row,
    row: &mut Row,
) -> Result<()> {
    let changed: Vec<_> = before.fields().iter().filter(|(name, value)| row.get(name) != value).cloned().collect();
    if changed.is_empty() {
        return Ok(());
    }
    let version = version_of(before);
    row.set("version", (version + 1).into());
    row.set("updatedAt", tx.now().into());
    let names = changed.iter().map(|(name, _)| *name).chain(["version", "updatedAt"]);
    let values: Vec<_> = names.map(|name| (name, row.get(name).clone())).collect();
    let tenant = tx.ctx().tenant;
    if !query::update_in(tx, tenant, record, row.id(), Some(version), &values).await? {
        return Err(tx.retry());
    }
    tx.emit(setting_event(kind, subject, row, &changed, json!({ "key": row.text("key") })));
    Ok(())
}
