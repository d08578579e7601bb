//! The handle of this crate, and what all of its use cases have in common.

mod items;
mod relations;
mod services;

use access::Access;
use access::permission::CONFIGURATION_MANAGE;
use kernel::{Ctx, Result};
use store::Store;

/// Services and configuration items. Cheap to clone.
#[derive(Clone)]
pub struct Configuration {
    access: Access,
}

impl Configuration {
    /// Over this store and these rights.
    pub fn new(access: Access) -> Self {
        Self { access }
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.access.store()
    }

    fn authorise(&self, ctx: &Ctx) -> Result<()> {
        self.access.require_tenant(ctx, CONFIGURATION_MANAGE)
    }
}
