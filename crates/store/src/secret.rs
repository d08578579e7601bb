//! What belongs to the whole server: the secret from which keys are derived, and the log's epoch.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Clock, Error, ErrorCode, Result, random};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use sha2::Sha256;
use uuid::Uuid;

use crate::error::DbResult;
use crate::{Engine, time};

/// The secret of this installation. Everything derived from it holds on all replicas and over restarts.
#[derive(Clone)]
pub(crate) struct ServerSecret([u8; 32]);

impl ServerSecret {
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose; other purposes tell nothing of it.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        hmac(&self.0, &[purpose.as_bytes()])
    }
}

/// HMAC-SHA-256 over the parts, one behind the other.
pub(crate) fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// What is read once, when a store is opened.
pub(crate) struct Platform {
    pub(crate) secret: ServerSecret,
    pub(crate) epoch: Uuid,
    pub(crate) position: i64,
    pub(crate) oldest: i64,
}

/// Reads the platform's own rows, and makes them the first time.
///
/// # Errors
/// `CONFLICT` when the database was never migrated.
pub(crate) async fn load(connection: &DatabaseConnection, engine: Engine, clock: &Clock) -> Result<Platform> {
    if !is_migrated(connection, engine).await? {
        return Err(Error::request(ErrorCode::Conflict, "the database is empty: run `deskwire migrate`"));
    }
    let (epoch, position, oldest) = match read_head(connection, engine).await? {
        Some(head) => head,
        None => {
            let epoch = Uuid::from_bytes(random::bytes());
            let sql = "INSERT INTO log_head (id, epoch, position, oldest) VALUES (1, $1, 0, 0) ON CONFLICT DO NOTHING";
            execute(connection, engine, sql, vec![epoch.into()]).await?;
            read_head(connection, engine).await?.ok_or_else(|| Error::internal("the log has no head"))?
        }
    };
    let secret = match read_secret(connection, engine).await? {
        Some(secret) => secret,
        None => {
            let now: DateTime<Utc> = clock.now();
            let sql = "INSERT INTO server_secret (id, secret, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
            execute(connection, engine, sql, vec![random::bytes::<32>().to_vec().into(), now.into()]).await?;
            read_secret(connection, engine).await?.ok_or_else(|| Error::internal("the server has no secret"))?
        }
    };
    let secret = secret.try_into().map_err(|_| Error::internal("the server's secret has not 32 bytes"))?;
    Ok(Platform { secret: ServerSecret::new(secret), epoch, position, oldest })
}

async fn is_migrated(connection: &DatabaseConnection, engine: Engine) -> Result<bool> {
    let sql = match engine {
        Engine::Sqlite => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'log_head'",
        Engine::Postgres => "SELECT 1 WHERE to_regclass('log_head') IS NOT NULL",
    };
    Ok(connection.query_one_raw(Statement::from_string(engine.backend(), sql)).await.db()?.is_some())
}

async fn read_head(connection: &DatabaseConnection, engine: Engine) -> Result<Option<(Uuid, i64, i64)>> {
    let sql = "SELECT epoch, position, oldest FROM log_head";
    let row = connection.query_one_raw(Statement::from_string(engine.backend(), sql)).await.db()?;
    row.map(|row| {
        Ok((row.try_get("", "epoch").db()?, row.try_get("", "position").db()?, row.try_get("", "oldest").db()?))
    })
    .transpose()
}

async fn read_secret(connection: &DatabaseConnection, engine: Engine) -> Result<Option<Vec<u8>>> {
    let statement = Statement::from_string(engine.backend(), "SELECT secret FROM server_secret");
    let row = connection.query_one_raw(statement).await.db()?;
    row.map(|row| row.try_get("", "secret").db()).transpose()
}

async fn execute(
    connection: &DatabaseConnection,
    engine: Engine,
    sql: &str,
    values: Vec<sea_orm::Value>,
) -> Result<()> {
    let statement = time::bind(engine, Statement::from_sql_and_values(engine.backend(), sql, values));
    connection.execute_raw(statement).await.db()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_key() {
        let secret = ServerSecret::new([7; 32]);
        assert_eq!(secret.derive("a"), secret.derive("a"));
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert_ne!(secret.derive("a"), ServerSecret::new([8; 32]).derive("a"));
    }
}
