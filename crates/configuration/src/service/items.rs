//! Adding and changing configuration items.

use access::commands::checked_name;
use access::{Changed, Managed, reference};
use kernel::id::prefix;
use kernel::{Ctx, Patch, Result};
use store::Tx;
use store::query::Row;

use super::Configuration;
use crate::commands::{CreateItem, ServiceRef, UpdateItem};
use crate::events::{ITEM_CREATED, ITEM_UPDATED, SUBJECT_ITEM};
use crate::fields::ITEM;

pub(super) const KIND: Managed = Managed { record: &ITEM, subject: SUBJECT_ITEM, prefix: prefix::CONFIGURATION_ITEM };

impl Configuration {
    /// Adds a configuration item.
    ///
    /// # Errors
    /// `FORBIDDEN` without `configuration.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for the service.
    pub async fn create_item(&self, ctx: &Ctx, command: CreateItem) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let command = CreateItem { name: checked_name("name", &command.name)?, ..command };
        let configuration = self.clone();
        let written = self.store().write(ctx, "configurationItemCreate", move |tx| {
            let (configuration, command) = (configuration.clone(), command.clone());
            Box::pin(async move { configuration.create_item_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &ITEM, "the configuration item").await
    }

    async fn create_item_in(&self, tx: &mut Tx, command: &CreateItem) -> Result<Row> {
        let service = match &command.service {
            Some(service) => Some(self.of_service_in(tx, service).await?),
            None => None,
        };
        let values = vec![
            ("name", command.name.as_str().into()),
            ("class", command.class.as_str().into()),
            ("service", reference(service.as_ref())),
        ];
        KIND.insert_in(tx, ITEM_CREATED, values).await
    }

    /// Changes a configuration item.
    ///
    /// # Errors
    /// As [`Configuration::create_item`]; `NOT_FOUND` at `item`; `CONFLICT` with the current version.
    pub async fn update_item(&self, ctx: &Ctx, command: UpdateItem) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let name = command.name.as_deref().map(|name| checked_name("name", name)).transpose()?;
        let command = UpdateItem { name, ..command };
        let configuration = self.clone();
        let written = self.store().write(ctx, "configurationItemUpdate", move |tx| {
            let (configuration, command) = (configuration.clone(), command.clone());
            Box::pin(async move { configuration.update_item_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &ITEM, "the configuration item").await
    }

    async fn update_item_in(&self, tx: &mut Tx, command: &UpdateItem) -> Result<Row> {
        let before = self.item_in(tx, &command.item).await.map_err(|error| error.within("item"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut row = before.clone();
        if let Some(name) = &command.name {
            row.set("name", name.as_str().into());
        }
        if let Some(class) = command.class {
            row.set("class", class.as_str().into());
        }
        if let Some(retired) = command.retired {
            row.set("retired", retired.into());
        }
        match &command.service {
            Patch::Keep => {}
            Patch::Clear => row.set("service", reference(None)),
            Patch::Set(service) => row.set("service", reference(Some(&self.of_service_in(tx, service).await?))),
        }
        KIND.update_in(tx, ITEM_UPDATED, &before, row).await
    }

    async fn of_service_in(&self, tx: &mut Tx, service: &ServiceRef) -> Result<Row> {
        self.usable_service_in(tx, service).await.map_err(|error| error.within("service"))
    }
}
