//! Making and finding tenants: for the command line and for start-up, never for clients.

use kernel::{ActorKind, Result, Uuid, random};
use store::RecordRef;

use super::Access;
use crate::commands::{TenantCreate, checked_name, checked_slug};
use crate::model::Tenant;
use crate::permission::BUILT_IN_ROLES;
use crate::tables::{self, NewActor};

/// The name of a tenant's system actor.
const SYSTEM_NAME: &str = "Deskwire";

impl Access {
    /// Makes a tenant with its system actor and the built-in roles.
    ///
    /// # Errors
    /// `VALIDATION` for name and slug; `CONFLICT` at `slug` when it is taken.
    pub async fn tenant_create(&self, command: TenantCreate) -> Result<Tenant> {
        let now = self.store().clock().now();
        let tenant = Tenant {
            id: random::new_id(now),
            slug: checked_slug("slug", &command.slug)?,
            name: checked_name("name", &command.name)?,
            created_at: now,
        };
        let ctx = self.command_line_ctx(tenant.id, "tenant create");
        let written = self
            .store()
            .write(&ctx, "tenantCreate", move |tx| {
                let tenant = tenant.clone();
                Box::pin(async move {
                    tables::insert_tenant_in(tx, &tenant).await?;
                    let system = NewActor {
                        id: tenant.id,
                        kind: ActorKind::System,
                        name: SYSTEM_NAME.to_owned(),
                        email: None,
                        avatar_url: None,
                        time_zone: None,
                        manager: None,
                    };
                    tables::insert_actor_in(tx, &system).await?;
                    for role in BUILT_IN_ROLES {
                        tables::insert_role_in(tx, tx.new_id(), role, &role.grants()).await?;
                    }
                    tx.answers_with(RecordRef { id: tenant.public_id(), version: 1 });
                    Ok(tenant)
                })
            })
            .await?;
        written.fresh().ok_or_else(|| kernel::Error::internal("making a tenant is never replayed"))
    }

    /// The tenant with this slug.
    ///
    /// # Errors
    /// Database errors.
    pub async fn tenant_by_slug(&self, slug: &str) -> Result<Option<Tenant>> {
        tables::tenant_by_slug(&self.store().read("tenant.find"), slug).await
    }

    /// The tenant with this id.
    ///
    /// # Errors
    /// Database errors.
    pub async fn tenant(&self, id: Uuid) -> Result<Option<Tenant>> {
        tables::tenant_by_id(&self.store().read("tenant.find"), id).await
    }

    /// The tenant, while there is exactly one.
    ///
    /// # Errors
    /// Database errors.
    pub async fn only_tenant(&self) -> Result<Option<Tenant>> {
        tables::only_tenant(&self.store().read("tenant.find")).await
    }

    /// All tenants, by slug.
    ///
    /// # Errors
    /// Database errors.
    pub async fn tenants(&self) -> Result<Vec<Tenant>> {
        tables::tenants(&self.store().read("tenant.list")).await
    }
}
