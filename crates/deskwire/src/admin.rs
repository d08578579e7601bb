//! Administration on the server itself: migrations, users, tokens. Works beside a running server.

use std::io::BufRead;
use std::sync::Arc;

use access::{Access, ApiTokenCreate, RoleInput, Settings, Tenant, TenantCreate, UserRef};
use anyhow::{Context, Result, anyhow, bail};
use kernel::{Clock, Error, Timestamp};
use store::{Location, Store};

use crate::cli::{TokenCreate, UserCreate};
use crate::config::Config;

/// Names these commands in the log.
pub(crate) const REQUEST: &str = "command line";

/// The command `migrate`.
///
/// # Errors
/// When a server holds the database, or a migration fails.
pub async fn migrate(config: &Config) -> Result<()> {
    config.make_data_folder()?;
    let applied = migrations::migrate(&config.store()?, &Clock::System).await?;
    match applied.as_slice() {
        [] => println!("the database is up to date"),
        names => println!("applied: {}", names.join(", ")),
    }
    Ok(())
}

/// Opens the database beside a server. An embedded one that nobody serves is migrated first.
pub(crate) async fn open(config: &Config) -> Result<(Store, Access)> {
    let store_config = config.store()?;
    let status = migrations::status(&store_config).await?;
    status.check_not_newer()?;
    if !status.pending.is_empty() && matches!(store_config.location, Location::Sqlite { .. }) {
        config.make_data_folder()?;
        migrations::migrate(&store_config, &Clock::System).await?;
    }
    let store = migrations::open_beside(store_config, Clock::System).await?;
    let catalogue = Arc::new(gateway::platform::catalogue()?);
    let access = Access::new(store.clone(), catalogue, Settings::default())?;
    Ok((store, access))
}

/// The command `user create`.
///
/// # Errors
/// What is wrong with which flag.
pub async fn create_user(arguments: UserCreate) -> Result<()> {
    let config = Config::load(&arguments.common)?;
    let password = match arguments.password_stdin {
        true => Some(first_line()?),
        false => None,
    };
    let (store, access) = open(&config).await?;
    let tenant = tenant_for_user(&access, &arguments).await?;
    let ctx = access.command_line_ctx(tenant.id, REQUEST);
    let command = access::UserCreate {
        email: arguments.email.clone(),
        name: arguments.name.clone(),
        password,
        roles: arguments.role.iter().map(|role| RoleInput { role: role.clone(), team: None }).collect(),
        ..Default::default()
    };
    let user = access.user_create(&ctx, command).await.map_err(tell)?;
    println!("{} ({}) is a user of `{}` now", arguments.name, arguments.email, tenant.slug);
    if !arguments.password_stdin {
        println!("without a password: sign in with a token (`deskwire token create --user {}`)", arguments.email);
    }
    drop(user);
    store.close().await;
    Ok(())
}

async fn tenant_for_user(access: &Access, arguments: &UserCreate) -> Result<Tenant> {
    if let Some(tenant) = access.tenant_by_slug(&arguments.tenant).await? {
        return Ok(tenant);
    }
    let others = access.tenants().await?;
    if !others.is_empty() && !arguments.create_tenant {
        let slugs = others.iter().map(|tenant| format!("`{}`", tenant.slug)).collect::<Vec<_>>().join(", ");
        bail!("there is no tenant `{}`, only {slugs}; to make another tenant, add --create-tenant", arguments.tenant);
    }
    let command = TenantCreate { slug: arguments.tenant.clone(), name: arguments.tenant.clone() };
    let tenant = access.tenant_create(command).await.map_err(tell)?;
    println!("made the tenant `{}`", tenant.slug);
    Ok(tenant)
}

/// The command `token create`.
///
/// # Errors
/// What is wrong with which flag.
pub async fn create_token(arguments: TokenCreate) -> Result<()> {
    let config = Config::load(&arguments.common)?;
    let expires_at = arguments.expires.as_deref().map(expiry).transpose()?;
    let (store, access) = open(&config).await?;
    let tenant = match &arguments.tenant {
        Some(slug) => access.tenant_by_slug(slug).await?.ok_or_else(|| anyhow!("there is no tenant `{slug}`"))?,
        None => access
            .only_tenant()
            .await?
            .ok_or_else(|| anyhow!("there is no tenant, or more than one: name it with --tenant"))?,
    };
    let ctx = access.command_line_ctx(tenant.id, REQUEST);
    let user = access
        .user(&ctx, &UserRef::Email(arguments.user.clone()))
        .await
        .map_err(|_| anyhow!("there is no user {} in `{}`", arguments.user, tenant.slug))?;
    let command = ApiTokenCreate {
        name: arguments.name.clone(),
        scopes: arguments.scope.clone(),
        expires_at,
        owner: Some(user.public_id()),
    };
    let issued = access.api_token_create(&ctx, command).await.map_err(tell)?.record;
    let secret = issued.secret.reveal();
    if arguments.json {
        let expires_at = issued.token.expires_at.map(|at| at.to_rfc3339());
        let id = issued.token.public_id().to_string();
        println!("{}", serde_json::json!({ "token": secret, "id": id, "expiresAt": expires_at }));
    } else {
        println!("{secret}");
        eprintln!("Use it as `Authorization: Bearer …`. It cannot be shown again.");
    }
    store.close().await;
    Ok(())
}

fn expiry(text: &str) -> Result<Timestamp> {
    let length = kernel::parse_duration(text).filter(|length| *length > chrono::Duration::zero());
    let until = length.and_then(|length| Clock::System.now().checked_add_signed(length));
    until.ok_or_else(|| anyhow!("`{text}` is no ISO 8601 duration ahead; try P30D or PT12H"))
}

fn first_line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password cannot be read from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        bail!("--password-stdin: the first line of standard input is empty");
    }
    Ok(password)
}

/// A refusal in the words of the command line: where, and what.
pub(crate) fn tell(error: Error) -> anyhow::Error {
    match error {
        Error::Refused(errors) => {
            let told = errors.iter().map(|error| match error.path.join(".") {
                path if path.is_empty() => error.message.clone(),
                path => format!("{path}: {}", error.message),
            });
            anyhow!("{}", told.collect::<Vec<_>>().join("\n"))
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_duration_ahead() {
        assert!(expiry("P30D").unwrap() > Clock::System.now());
        for wrong in ["30 days", "-P1D", "P0D", "P1M", ""] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }
}
