//! What can be asked of services and configuration items, with limits on everything.

use access::{TeamRef, UserRef};
use kernel::{Id, Patch};
use serde::{Deserialize, Serialize};

use crate::model::{ItemClass, RelationType};

/// How many relations may leave from one configuration item, and how many may lead to it.
pub const MAX_RELATIONS: usize = 100;

/// Points at a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServiceRef {
    /// By id.
    Id(Id),
    /// By key.
    Key(String),
}

/// Points at a configuration item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ItemRef {
    /// By id.
    Id(Id),
}

/// Add a service.
#[derive(Clone, Debug)]
pub struct CreateService {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<UserRef>,
    /// The team that looks after it.
    pub team: Option<TeamRef>,
}

/// Change a service.
#[derive(Clone, Debug)]
pub struct UpdateService {
    /// Which.
    pub service: ServiceRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// Who answers for it.
    pub owner: Patch<UserRef>,
    /// The team that looks after it.
    pub team: Patch<TeamRef>,
    /// A retired service stays on its tickets and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the service has another version.
    pub expected_version: Option<i32>,
}

/// Add a configuration item.
#[derive(Clone, Debug)]
pub struct CreateItem {
    /// For people; need not be unique.
    pub name: String,
    /// What kind of thing it is.
    pub class: ItemClass,
    /// The service that it belongs to.
    pub service: Option<ServiceRef>,
}

/// Change a configuration item.
#[derive(Clone, Debug)]
pub struct UpdateItem {
    /// Which.
    pub item: ItemRef,
    /// A new name.
    pub name: Option<String>,
    /// What kind of thing it is.
    pub class: Option<ItemClass>,
    /// The service that it belongs to.
    pub service: Patch<ServiceRef>,
    /// A retired item stays where it is and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the item has another version.
    pub expected_version: Option<i32>,
}

/// Add a relation between two configuration items, or take it away.
#[derive(Clone, Debug)]
pub struct RelateItems {
    /// Where it leaves from.
    pub source: ItemRef,
    /// How the one stands to the other.
    pub kind: RelationType,
    /// Where it leads to.
    pub target: ItemRef,
}
