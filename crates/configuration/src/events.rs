//! The events of services and configuration items: the audit trail of what others lean on.

/// A service was added.
pub const SERVICE_CREATED: &str = "ServiceCreated";
/// A service changed.
pub const SERVICE_UPDATED: &str = "ServiceUpdated";
/// A configuration item was added.
pub const ITEM_CREATED: &str = "ConfigurationItemCreated";
/// A configuration item changed.
pub const ITEM_UPDATED: &str = "ConfigurationItemUpdated";
/// A relation to another item was added; its type and the other item are in the payload. The subject is where it leaves from.
pub const ITEM_RELATED: &str = "ConfigurationItemRelated";
/// A relation to another item was taken away; its type and the other item are in the payload.
pub const ITEM_UNRELATED: &str = "ConfigurationItemUnrelated";

/// What the log calls services.
pub const SUBJECT_SERVICE: &str = "service";
/// What the log calls configuration items.
pub const SUBJECT_ITEM: &str = "configurationItem";
