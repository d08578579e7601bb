//! Services, configuration items and their relations, as clients see them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use kernel::id::prefix;
use store::query::Row;

use crate::connection::connection;
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::scalars::{DateTime, Markdown, id_of};
use crate::tickets::words::word;

word! {
    /// What kind of thing a configuration item is.
    ConfigurationItemClass = configuration::ItemClass {
        /// A service, where it is itself a part of others.
        Service = "SERVICE",
        /// A program that people or other programs use.
        Application = "APPLICATION",
        /// A computer that serves others.
        Server = "SERVER",
        /// A computer that runs on another.
        VirtualMachine = "VIRTUAL_MACHINE",
        /// A database.
        Database = "DATABASE",
        /// A switch, a router, an access point.
        NetworkDevice = "NETWORK_DEVICE",
        /// A computer that somebody works at.
        Workstation = "WORKSTATION",
        /// A telephone or a tablet.
        MobileDevice = "MOBILE_DEVICE",
        /// A printer.
        Printer = "PRINTER",
        /// A program as it is installed or licensed.
        Software = "SOFTWARE",
        /// Something rented from a cloud.
        CloudResource = "CLOUD_RESOURCE",
        /// A room, a building, a site.
        Location = "LOCATION",
    }
}

word! {
    /// How one configuration item stands to another: the first `DEPENDS_ON` the second, and so on.
    ConfigurationItemRelationType = configuration::RelationType {
        /// It does not work without the other.
        DependsOn = "DEPENDS_ON",
        /// It runs on the other.
        RunsOn = "RUNS_ON",
        /// The other houses it.
        HostedOn = "HOSTED_ON",
        /// It is connected to the other.
        ConnectsTo = "CONNECTS_TO",
        /// It is a part of the other.
        PartOf = "PART_OF",
        /// It makes use of the other, and works without.
        Uses = "USES",
    }
}

/// Which way something that joins two records leads, seen from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum LinkDirection {
    /// From this record to the other.
    Outward,
    /// From the other record to this one.
    Inward,
}

/// What people use, and miss when it is gone.
#[derive(Clone)]
pub struct Service(Arc<Row>);

impl Service {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What people use, and miss when it is gone. Readable by everybody in the tenant.
#[Object]
impl Service {
    /// The service's id, such as `service_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SERVICE, self.0.id())
    }

    /// The service's key, unique in the tenant, such as `e-mail`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The service's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// Who answers for it.
    pub async fn owner(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.get("owner").as_id() {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// The team that looks after it.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// A retired service stays on its tickets and cannot be chosen any more.
    pub fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version(&self.0)
    }

    /// When it was added.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

/// A thing that has to be managed so that services can be delivered.
#[derive(Clone)]
pub struct ConfigurationItem(Arc<Row>);

impl ConfigurationItem {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// A thing that has to be managed so that services can be delivered: a server, an application, a printer. Readable with
/// `configuration.read`.
#[Object]
impl ConfigurationItem {
    /// The item's id, such as `ci_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::CONFIGURATION_ITEM, self.0.id())
    }

    /// The item's name for people; need not be unique.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What kind of thing it is.
    pub fn class(&self) -> ConfigurationItemClass {
        ConfigurationItemClass::parse(&self.0.text("class")).unwrap_or(ConfigurationItemClass::Application)
    }

    /// The service that it belongs to.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        match self.0.get("service").as_id() {
            Some(id) => Ok(loaders::service(ctx, id).await?.map(Service::from_row)),
            None => Ok(None),
        }
    }

    /// How it stands to other items, seen from both sides: at most 100 relations each way, the oldest first.
    pub async fn relations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this type; all when absent.", name = "type")] kind: Option<
            ConfigurationItemRelationType,
        >,
    ) -> Result<Vec<ConfigurationItemRelation>> {
        let relations = loaders::relations(ctx, self.0.id()).await?;
        let seen = relations.iter().filter_map(|row| {
            let outward = row.get("source").as_id() == Some(self.0.id());
            let (direction, other) =
                if outward { (LinkDirection::Outward, "target") } else { (LinkDirection::Inward, "source") };
            let configuration_item = ConfigurationItem::from_row(row.relation(other)?.clone());
            let kind = ConfigurationItemRelationType::parse(&row.text("type"))?;
            Some(ConfigurationItemRelation { kind, direction, configuration_item })
        });
        Ok(seen.filter(|relation| kind.is_none_or(|kind| relation.kind == kind)).collect())
    }

    /// A retired item stays where it is and cannot be chosen any more.
    pub fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change of the item's own fields, not with its relations. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version(&self.0)
    }

    /// When it was added.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

/// How a configuration item stands to another, seen from one of the two.
#[derive(SimpleObject)]
pub struct ConfigurationItemRelation {
    /// How the one stands to the other.
    #[graphql(name = "type")]
    pub kind: ConfigurationItemRelationType,
    /// `OUTWARD`: this item `DEPENDS_ON` the other (and so on); `INWARD`: the other on this one.
    pub direction: LinkDirection,
    /// The other item.
    pub configuration_item: ConfigurationItem,
}

fn version(row: &Row) -> i32 {
    i32::try_from(row.int("version")).unwrap_or(i32::MAX)
}

connection! {
    /// A page of services.
    ServiceConnection, ServiceEdge, Service
}

connection! {
    /// A page of configuration items.
    ConfigurationItemConnection, ConfigurationItemEdge, ConfigurationItem
}
