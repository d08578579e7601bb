//! Mutations of services, configuration items and their relations.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result};

use super::inputs::{CiRef, ServiceRef};
use super::types::{ConfigurationItem, ConfigurationItemClass, ConfigurationItemRelationType, Service};
use crate::context::{mutation, platform};
use crate::payload::{outcome, payload};
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{Markdown, patch, reference, within};

/// Adds a service.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `e-mail`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// Who answers for it.
    pub owner: Option<UserRefInput>,
    /// The team that looks after it.
    pub team: Option<TeamRefInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a service. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceUpdateInput {
    /// Which.
    pub service: ServiceRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// Who answers for it.
    pub owner: MaybeUndefined<UserRefInput>,
    /// The team that looks after it.
    pub team: MaybeUndefined<TeamRefInput>,
    /// A retired service stays on its tickets and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the service has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Adds a configuration item.
#[derive(Clone, Debug, InputObject)]
pub struct ConfigurationItemCreateInput {
    /// For people: 1 to 200 characters; need not be unique.
    pub name: String,
    /// What kind of thing it is.
    pub class: ConfigurationItemClass,
    /// The service that it belongs to.
    pub service: Option<ServiceRef>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a configuration item. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct ConfigurationItemUpdateInput {
    /// Which.
    pub item: CiRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What kind of thing it is.
    pub class: Option<ConfigurationItemClass>,
    /// The service that it belongs to.
    pub service: MaybeUndefined<ServiceRef>,
    /// A retired item stays where it is and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the item has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Declares an input that names a relation of two items.
macro_rules! relation_input {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, InputObject)]
        pub struct $name {
            /// The item that the relation leaves from.
            pub source: CiRef,
            /// How the one stands to the other.
            #[graphql(name = "type")]
            pub kind: ConfigurationItemRelationType,
            /// The item that it leads to.
            pub target: CiRef,
            /// The same key and input give the stored answer.
            pub idempotency_key: Option<String>,
            /// Do everything, answer, and roll back.
            pub dry_run: Option<bool>,
        }

        impl $name {
            fn command(self) -> kernel::Result<configuration::RelateItems> {
                Ok(configuration::RelateItems {
                    source: self.source.into_ref().map_err(|error| error.within("source"))?,
                    kind: self.kind.into(),
                    target: self.target.into_ref().map_err(|error| error.within("target"))?,
                })
            }
        }
    };
}

relation_input! {
    /// Says how one configuration item stands to another: `source` `DEPENDS_ON` `target`, and so on.
    ConfigurationItemRelateInput
}

relation_input! {
    /// Takes back how one configuration item stands to another.
    ConfigurationItemUnrelateInput
}

payload! {
    /// The service that was added.
    ServiceCreatePayload {
        /// The service; null when it was not done.
        service: Service
    }
}
payload! {
    /// The service after it was changed.
    ServiceUpdatePayload {
        /// The service; null when it was not done.
        service: Service
    }
}
payload! {
    /// The configuration item that was added.
    ConfigurationItemCreatePayload {
        /// The item; null when it was not done.
        configuration_item: ConfigurationItem
    }
}
payload! {
    /// The configuration item after it was changed.
    ConfigurationItemUpdatePayload {
        /// The item; null when it was not done.
        configuration_item: ConfigurationItem
    }
}
payload! {
    /// The configuration item that the relation leaves from.
    ConfigurationItemRelatePayload {
        /// The item; null when it was not done.
        configuration_item: ConfigurationItem
    }
}
payload! {
    /// The configuration item that the relation left from.
    ConfigurationItemUnrelatePayload {
        /// The item; null when it was not done.
        configuration_item: ConfigurationItem
    }
}

impl ServiceCreateInput {
    fn command(self) -> kernel::Result<configuration::CreateService> {
        Ok(configuration::CreateService {
            key: self.key,
            name: self.name,
            description: self.description.map(|text| text.0),
            owner: within("owner", self.owner.map(UserRefInput::into_ref))?,
            team: within("team", self.team.map(TeamRefInput::into_ref))?,
        })
    }
}

impl ServiceUpdateInput {
    fn command(self) -> kernel::Result<configuration::UpdateService> {
        Ok(configuration::UpdateService {
            service: self.service.into_ref().map_err(|error| error.within("service"))?,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            owner: reference("owner", self.owner, UserRefInput::into_ref)?,
            team: reference("team", self.team, TeamRefInput::into_ref)?,
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}

impl ConfigurationItemCreateInput {
    fn command(self) -> kernel::Result<configuration::CreateItem> {
        Ok(configuration::CreateItem {
            name: self.name,
            class: self.class.into(),
            service: within("service", self.service.map(ServiceRef::into_ref))?,
        })
    }
}

impl ConfigurationItemUpdateInput {
    fn command(self) -> kernel::Result<configuration::UpdateItem> {
        Ok(configuration::UpdateItem {
            item: self.item.into_ref().map_err(|error| error.within("item"))?,
            name: self.name,
            class: self.class.map(Into::into),
            service: reference("service", self.service, ServiceRef::into_ref)?,
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}

/// Mutations of services and configuration items.
#[derive(Default)]
pub struct ConfigurationMutations;

#[Object]
impl ConfigurationMutations {
    /// Adds a service. Needs `configuration.manage`.
    async fn service_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service.")] input: ServiceCreateInput,
    ) -> Result<ServiceCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.configuration().create_service(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a service. Needs `configuration.manage`.
    async fn service_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which service, and what changes.")] input: ServiceUpdateInput,
    ) -> Result<ServiceUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.configuration().update_service(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Adds a configuration item. Needs `configuration.manage`.
    async fn configuration_item_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The configuration item.")] input: ConfigurationItemCreateInput,
    ) -> Result<ConfigurationItemCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.configuration().create_item(&viewer, command).await,
            Err(error) => Err(error),
        };
        ConfigurationItemCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a configuration item. Needs `configuration.manage`.
    async fn configuration_item_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which item, and what changes.")] input: ConfigurationItemUpdateInput,
    ) -> Result<ConfigurationItemUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.configuration().update_item(&viewer, command).await,
            Err(error) => Err(error),
        };
        ConfigurationItemUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Says how one configuration item stands to another. Doing it twice changes nothing. Needs `configuration.manage`.
    async fn configuration_item_relate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which items, and how the one stands to the other.")] input: ConfigurationItemRelateInput,
    ) -> Result<ConfigurationItemRelatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.configuration().relate_items(&viewer, command).await,
            Err(error) => Err(error),
        };
        ConfigurationItemRelatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Takes back how one configuration item stands to another. Doing it twice changes nothing. Needs `configuration.manage`.
    async fn configuration_item_unrelate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which items, and how the one stood to the other.")] input: ConfigurationItemUnrelateInput,
    ) -> Result<ConfigurationItemUnrelatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.configuration().unrelate_items(&viewer, command).await,
            Err(error) => Err(error),
        };
        ConfigurationItemUnrelatePayload::of(ctx, &viewer, outcome(result))
    }
}
