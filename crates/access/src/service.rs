//! The handle of this crate: what every use case needs, and what one viewer may see.

mod authentication;
mod import;
mod people;
mod references;
mod roles;
mod sessions;
mod teams;
mod tenants;
mod tokens;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kernel::{Channel, Ctx, Grants, Result, UserError, Uuid};
use moka::{future, sync};
use predicate::{Catalogue, Facts, Policy, Predicate, RecordType, Rule, Visibilities, masked_value};
use store::query::{Row, Scoped};
use store::{Event, Store, Written};

use crate::attempts::Attempts;
use crate::jwt::Signer;
use crate::model::Changed;
use crate::password::{MIN_PASSWORD_BYTES, PASSWORD_QUEUE, PASSWORD_WORKERS, PasswordCost, PasswordPool};
use crate::{permission, visibility};

pub use authentication::Session;
pub(crate) use authentication::under_scopes;
pub use import::Named;
pub use sessions::SWEEP_SESSIONS;

/// How long a resolved credential is believed: the time in which a revocation in another process takes effect.
pub const IDENTITY_LIFETIME: Duration = Duration::from_secs(3);
/// How many resolved credentials are kept.
pub const CACHED_IDENTITIES: u64 = 20_000;
/// For how many viewers what they may see is kept.
pub const CACHED_VISIBILITIES: u64 = 2_000;
/// How long an access token of a session lives.
pub const ACCESS_TOKEN_LIFETIME: chrono::Duration = chrono::Duration::minutes(15);
/// How long a session lives after it was refreshed last.
pub const SESSION_LIFETIME: chrono::Duration = chrono::Duration::days(30);

/// What an installation may set of this crate.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long an access token of a session lives: 15 minutes.
    pub access_token_lifetime: chrono::Duration,
    /// How long a session lives after it was refreshed last: 30 days.
    pub session_lifetime: chrono::Duration,
    /// What one password hash costs.
    pub password_cost: PasswordCost,
    /// The shortest password that a user may get, in bytes: 8.
    pub shortest_password: usize,
    /// How many passwords are hashed at once: 2.
    pub password_workers: usize,
    /// How many more may wait: 64.
    pub password_queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            session_lifetime: SESSION_LIFETIME,
            password_cost: PasswordCost::default(),
            shortest_password: MIN_PASSWORD_BYTES,
            password_workers: PASSWORD_WORKERS,
            password_queue: PASSWORD_QUEUE,
        }
    }
}

/// Who you are and what you may see and do. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    catalogue: Arc<Catalogue>,
    settings: Settings,
    signer: Signer,
    refresh_secret: [u8; 32],
    passwords: PasswordPool,
    attempts: Attempts,
    identities: future::Cache<[u8; 32], Arc<authentication::Identity>>,
    visible: sync::Cache<(Uuid, Uuid, Arc<Grants>), Arc<Visibilities>>,
    /// Raised by each committed change of rights in this process: what was resolved before is not believed any more.
    generation: AtomicU64,
}

impl Access {
    /// The service over this store. `catalogue` holds all record types of the product.
    ///
    /// # Errors
    /// When the password cost is out of range.
    pub fn new(store: Store, catalogue: Arc<Catalogue>, settings: Settings) -> Result<Self> {
        let passwords = PasswordPool::new(settings.password_cost, settings.password_workers, settings.password_queue)?;
        let inner = Inner {
            signer: Signer::new(&store.secret("jwt")),
            refresh_secret: store.secret("refresh token"),
            passwords,
            attempts: Attempts::new(),
            identities: future::Cache::builder()
                .max_capacity(CACHED_IDENTITIES)
                .time_to_live(IDENTITY_LIFETIME)
                .build(),
            visible: sync::Cache::builder().max_capacity(CACHED_VISIBILITIES).build(),
            generation: AtomicU64::new(0),
            store,
            catalogue,
            settings,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// All record types.
    pub fn catalogue(&self) -> &Catalogue {
        &self.inner.catalogue
    }

    /// What the viewer may see of each record type.
    pub fn visible(&self, ctx: &Ctx) -> Arc<Visibilities> {
        let key = (ctx.tenant, ctx.actor.id, Arc::clone(&ctx.grants));
        self.inner.visible.get_with(key, || Arc::new(visibility::visibilities(ctx, &self.inner.catalogue)))
    }

    /// What the viewer's statements read: their tenant, as far as `visible` says.
    pub fn scoped<'a>(&'a self, ctx: &Ctx, visible: &'a Visibilities) -> Scoped<'a> {
        Scoped { tenant: ctx.tenant, catalogue: &self.inner.catalogue, visible }
    }

    /// Whether the policy lets the viewer on the record with these facts.
    pub fn allows(&self, ctx: &Ctx, record: &'static RecordType, policy: &Policy, facts: &impl Facts) -> bool {
        visibility::allows(ctx, &self.inner.catalogue, record, policy, facts)
    }

    /// The rows on which the rule holds for the viewer.
    pub fn rule(&self, ctx: &Ctx, record: &'static RecordType, rule: &Rule) -> Predicate {
        visibility::rule_predicate(ctx, &self.inner.catalogue, record, rule)
    }

    /// The row as the viewer may read it: fields that they may not read on it are absent. Relations are left out.
    pub fn masked(&self, ctx: &Ctx, record: &'static RecordType, row: &Row) -> Row {
        let visible = self.visible(ctx);
        let Some(visibility) = visible.get(record.name) else { return Row::new(record, Vec::new()) };
        let fields = record.all_fields().map(|field| (field.name, masked_value(visibility, row, field.name)));
        Row::new(record, fields.collect())
    }

    /// The context of what Deskwire itself does in a tenant: timers, reactions, imports. It may do everything.
    ///
    /// The system actor of a tenant has the tenant's own id.
    pub fn system_ctx(&self, tenant: Uuid, request_id: &str) -> Ctx {
        Ctx { grants: Arc::new(permission::everything()), ..self.store().system_ctx(tenant, request_id) }
    }

    /// The context of a command on the server itself: the system, through the command line.
    pub fn command_line_ctx(&self, tenant: Uuid, request_id: &str) -> Ctx {
        Ctx { channel: Channel::CommandLine, ..self.system_ctx(tenant, request_id) }
    }

    /// Refuses unless the permission is held for the whole tenant.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission.
    pub fn require_tenant(&self, ctx: &Ctx, permission: &str) -> Result<()> {
        if ctx.grants.holds_tenant(permission) {
            return Ok(());
        }
        Err(UserError::forbidden(permission).into())
    }

    fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Nothing that was resolved before now is believed any more. Call it after the commit of a change of rights.
    fn rights_changed(&self) {
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// What a mutation answers: its own work, or that of the earlier call with the same key, read as it is now.
    pub(crate) async fn answer<T, R>(
        &self,
        ctx: &Ctx,
        written: Written<T>,
        again: impl FnOnce(Uuid) -> R,
    ) -> Result<Changed<T>>
    where
        R: Future<Output = Result<T>>,
    {
        match written {
            Written::Fresh { value, events, .. } => Ok(Changed { record: value, events }),
            Written::Replayed { record, events } => {
                Ok(Changed { record: again(record.id.uuid).await?, events: self.replayed_events(ctx, &events).await? })
            }
        }
    }

    async fn replayed_events(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Event>> {
        self.inner.store.log().by_ids(ctx.tenant, ids).await
    }
}
