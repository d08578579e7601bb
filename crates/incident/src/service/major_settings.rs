//! What a tenant sets for its major incidents.

use access::permission::SETTINGS_MANAGE;
use access::{Changed, Managed};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Patch, Result};
use predicate::{Predicate, Value};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};

use super::Incidents;
use crate::commands::SetMajorSettings;
use crate::events::{MAJOR_SETTINGS_UPDATED, SUBJECT_MAJOR_SETTINGS};
use crate::fields::SETTINGS;
use crate::major::{USUAL_CADENCE, check_cadence};

const KIND: Managed =
    Managed { record: &SETTINGS, subject: SUBJECT_MAJOR_SETTINGS, prefix: prefix::MAJOR_INCIDENT_SETTINGS };

impl Incidents {
    /// What holds for the tenant's major incidents: the usual, until somebody sets it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn major_settings(&self, ctx: &Ctx) -> Result<Row> {
        let found = self.major_settings_with(&self.tickets().store().read("majorIncidentSettings"), ctx).await?;
        Ok(found.unwrap_or_else(usual))
    }

    pub(super) async fn major_settings_in(&self, tx: &Tx) -> Result<Row> {
        Ok(self.major_settings_with(tx, tx.ctx()).await?.unwrap_or_else(usual))
    }

    async fn major_settings_with(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<Option<Row>> {
        self.tickets().access().find_unmasked(connection, ctx, &SETTINGS, Some(Predicate::always())).await
    }

    /// Sets it. It holds for incidents that become major ones from now on.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `LIMIT` at `updateCadence`; `CONFLICT` with the current version.
    pub async fn set_major_settings(&self, ctx: &Ctx, command: SetMajorSettings) -> Result<Changed<Row>> {
        self.tickets().access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let mut problems = Problems::default();
        if let Patch::Set(cadence) = command.update_cadence {
            check_cadence(&mut problems, cadence);
        }
        problems.check()?;
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "majorIncidentSettingsSet", move |tx| {
            let (incidents, command) = (incidents.clone(), command.clone());
            Box::pin(async move { incidents.set_major_settings_in(tx, &command).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &SETTINGS, "the settings").await
    }

    async fn set_major_settings_in(&self, tx: &mut Tx, command: &SetMajorSettings) -> Result<Row> {
        let there = self.major_settings_with(&*tx, tx.ctx()).await?;
        let before = there.clone().unwrap_or_else(usual);
        Managed::expect_version(&before, command.expected_version)?;
        let mut row = before.clone();
        if let Some(required) = command.review_required {
            row.set("reviewRequired", required.into());
        }
        match command.update_cadence {
            Patch::Keep => {}
            Patch::Clear => row.set("updateCadence", Value::Null),
            Patch::Set(cadence) => row.set("updateCadence", Value::Int(cadence)),
        }
        match there {
            Some(before) => KIND.update_in(tx, MAJOR_SETTINGS_UPDATED, &before, row).await,
            None => {
                let values = ["reviewRequired", "updateCadence"].map(|field| (field, row.get(field).clone()));
                KIND.insert_in(tx, MAJOR_SETTINGS_UPDATED, values.to_vec()).await
            }
        }
    }
}

/// What holds where nothing is set. Its version is none that anybody has written.
fn usual() -> Row {
    let values =
        vec![("reviewRequired", true.into()), ("updateCadence", Value::Int(USUAL_CADENCE)), ("version", 0.into())];
    query::Row::new(&SETTINGS, values)
}
