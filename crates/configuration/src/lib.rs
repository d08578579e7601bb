//! What other records lean on: the services that an organisation offers, and the configuration items that they are made of.
//!
//! **Vocabulary.** A *service* is what people use and miss when it is gone; it has an owner who answers for it and a team that
//! looks after it. A *configuration item* is a thing that has to be managed so that a service can be delivered: a server, an
//! application, a printer. A *relation* leads from one item to another and has a type: the web shop `DEPENDS_ON` its database.
//!
//! **Invariants.** A key names one service of a tenant. An item has no relation with itself, and none twice. What is retired stays
//! where it is referred to, and cannot be chosen any more. Nothing here is deleted but relations. Every change is an event in the
//! same transaction.
//!
//! Life cycle, identification and impact analysis are the practice `asset`'s, which builds on this.
//!
//! **Events**: [`events`]. **Permissions**: `configuration.read` (items and relations; services are seen by the whole tenant),
//! `configuration.manage`.

pub mod commands;
pub mod events;
pub mod fields;
pub mod model;
pub mod queries;
pub mod service;

pub use commands::{
    CreateItem, CreateService, ItemRef, MAX_RELATIONS, RelateItems, ServiceRef, UpdateItem, UpdateService,
};
pub use fields::{ITEM, RECORDS, RELATION, SERVICE};
pub use model::{ItemClass, RelationType};
pub use service::Configuration;
