//! Adding and changing services.

use access::commands::{checked_description, checked_name, checked_slug};
use access::{Changed, Managed, TeamRef, UserRef, reference};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError};
use predicate::Predicate;
use store::Tx;
use store::query::{self, Row};

use super::Configuration;
use crate::commands::{CreateService, UpdateService};
use crate::events::{SERVICE_CREATED, SERVICE_UPDATED, SUBJECT_SERVICE};
use crate::fields::SERVICE;

const KIND: Managed = Managed { record: &SERVICE, subject: SUBJECT_SERVICE, prefix: prefix::SERVICE };

impl Configuration {
    /// Adds a service.
    ///
    /// # Errors
    /// `FORBIDDEN` without `configuration.manage`; `VALIDATION` and `LIMIT` with paths; `CONFLICT` at `key` when it is taken;
    /// `NOT_FOUND` for owner and team.
    pub async fn create_service(&self, ctx: &Ctx, command: CreateService) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let command = checked(command)?;
        let configuration = self.clone();
        let written = self.store().write(ctx, "serviceCreate", move |tx| {
            let (configuration, command) = (configuration.clone(), command.clone());
            Box::pin(async move { configuration.create_service_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &SERVICE, "the service").await
    }

    async fn create_service_in(&self, tx: &mut Tx, command: &CreateService) -> Result<Row> {
        let mut problems = Problems::default();
        let owner = problems.take(self.owner_in(tx, command.owner.as_ref()).await)?.flatten();
        let team = problems.take(self.keepers_in(tx, command.team.as_ref()).await)?.flatten();
        let taken = Predicate::eq("key", command.key.as_str());
        if query::exists(tx, tx.ctx().tenant, &SERVICE, &taken, self.access().catalogue()).await? {
            let message = format!("there is a service `{}` already", command.key);
            problems.add(UserError::taken(["key"], message));
        }
        problems.check()?;
        let values = vec![
            ("key", command.key.as_str().into()),
            ("name", command.name.as_str().into()),
            ("description", command.description.clone().into()),
            ("owner", reference(owner.as_ref())),
            ("team", reference(team.as_ref())),
        ];
        KIND.insert_in(tx, SERVICE_CREATED, values).await
    }

    /// Changes a service.
    ///
    /// # Errors
    /// As [`Configuration::create_service`]; `NOT_FOUND` at `service`; `CONFLICT` with the current version.
    pub async fn update_service(&self, ctx: &Ctx, command: UpdateService) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let mut problems = Problems::default();
        let name = problems.take(command.name.as_deref().map(|name| checked_name("name", name)).transpose())?;
        if let Patch::Set(text) = &command.description {
            problems.take(checked_description("description", text))?;
        }
        problems.check()?;
        let command = UpdateService { name: name.flatten(), ..command };
        let configuration = self.clone();
        let written = self.store().write(ctx, "serviceUpdate", move |tx| {
            let (configuration, command) = (configuration.clone(), command.clone());
            Box::pin(async move { configuration.update_service_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &SERVICE, "the service").await
    }

    async fn update_service_in(&self, tx: &mut Tx, command: &UpdateService) -> Result<Row> {
        let before = self.service_in(tx, &command.service).await.map_err(|error| error.within("service"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut row = before.clone();
        if let Some(name) = &command.name {
            row.set("name", name.as_str().into());
        }
        if !command.description.is_keep() {
            row.set("description", command.description.clone().apply(None).into());
        }
        if let Some(retired) = command.retired {
            row.set("retired", retired.into());
        }
        match &command.owner {
            Patch::Keep => {}
            Patch::Clear => row.set("owner", reference(None)),
            Patch::Set(owner) => row.set("owner", reference(self.owner_in(tx, Some(owner)).await?.as_ref())),
        }
        match &command.team {
            Patch::Keep => {}
            Patch::Clear => row.set("team", reference(None)),
            Patch::Set(team) => row.set("team", reference(self.keepers_in(tx, Some(team)).await?.as_ref())),
        }
        KIND.update_in(tx, SERVICE_UPDATED, &before, row).await
    }

    async fn owner_in(&self, tx: &mut Tx, owner: Option<&UserRef>) -> Result<Option<Row>> {
        let Some(owner) = owner else { return Ok(None) };
        let ctx = tx.ctx().clone();
        Ok(Some(self.access().user_in(tx, &ctx, owner).await.map_err(|error| error.within("owner"))?))
    }

    async fn keepers_in(&self, tx: &mut Tx, team: Option<&TeamRef>) -> Result<Option<Row>> {
        let Some(team) = team else { return Ok(None) };
        let ctx = tx.ctx().clone();
        Ok(Some(self.access().team_in(tx, &ctx, team).await.map_err(|error| error.within("team"))?))
    }
}

fn checked(command: CreateService) -> Result<CreateService> {
    let mut problems = Problems::default();
    let key = problems.take(checked_slug("key", &command.key))?;
    let name = problems.take(checked_name("name", &command.name))?;
    let description = command.description.as_deref().map(|text| checked_description("description", text)).transpose();
    let description = problems.take(description)?;
    problems.check()?;
    let (Some(key), Some(name), Some(description)) = (key, name, description) else {
        return Err(Error::internal("the values were checked"));
    };
    Ok(CreateService { key, name, description, ..command })
}
