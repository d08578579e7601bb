//! A record in the making: what a draft says goes into its row, and all that is wrong is told together.

use access::commands::{checked_description, checked_name};
use access::{TeamRef, UserRef, reference};
use configuration::ServiceRef;
use kernel::error::Problems;
use kernel::{Ctx, Id, Patch, Result, Timestamp, UserError};
use predicate::Value;
use sla::CalendarRef;
use store::Tx;
use store::query::Row;

use super::Agreements;
use crate::commands::AgreementRef;

pub(super) struct Writing<'a> {
    pub(super) agreements: &'a Agreements,
    pub(super) tx: &'a mut Tx,
    pub(super) ctx: Ctx,
    pub(super) row: Row,
    pub(super) problems: Problems,
}

impl<'a> Writing<'a> {
    /// On a row as it is.
    pub(super) fn new(agreements: &'a Agreements, tx: &'a mut Tx, row: Row) -> Self {
        let ctx = tx.ctx().clone();
        Self { agreements, tx, ctx, row, problems: Problems::default() }
    }

    /// The row as it will be.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn done(self) -> Result<Row> {
        self.problems.check()?;
        Ok(self.row)
    }

    pub(super) fn word(&mut self, field: &'static str, word: Option<&'static str>) {
        if let Some(word) = word {
            self.row.set(field, word.into());
        }
    }

    /// A line that is always there.
    pub(super) fn line(&mut self, field: &'static str, text: Option<&str>) -> Result<()> {
        if let Some(text) = text
            && let Some(text) = self.problems.take(checked_name(field, text))?
        {
            self.row.set(field, text.into());
        }
        Ok(())
    }

    /// A line that may be absent.
    pub(super) fn optional_line(&mut self, field: &'static str, text: &Patch<String>) -> Result<()> {
        self.optional(field, text, checked_name)
    }

    /// A text of several lines.
    pub(super) fn text(&mut self, field: &'static str, text: &Patch<String>) -> Result<()> {
        self.optional(field, text, checked_description)
    }

    fn optional(
        &mut self,
        field: &'static str,
        text: &Patch<String>,
        checked: fn(&str, &str) -> Result<String>,
    ) -> Result<()> {
        match text {
            Patch::Keep => {}
            Patch::Clear => self.row.set(field, Value::Null),
            Patch::Set(text) => {
                if let Some(text) = self.problems.take(checked(field, text))? {
                    self.row.set(field, text.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn time(&mut self, field: &'static str, time: &Patch<Timestamp>) {
        match time {
            Patch::Keep => {}
            Patch::Clear => self.row.set(field, Value::Null),
            Patch::Set(time) => self.row.set(field, (*time).into()),
        }
    }

    pub(super) async fn user(&mut self, field: &'static str, user: &Patch<UserRef>) -> Result<()> {
        let found = match user {
            Patch::Keep => return Ok(()),
            Patch::Clear => None,
            Patch::Set(user) => Some(self.agreements.access().user_in(self.tx, &self.ctx, user).await),
        };
        self.point(field, found)
    }

    pub(super) async fn team(&mut self, field: &'static str, team: &Patch<TeamRef>) -> Result<()> {
        let found = match team {
            Patch::Keep => return Ok(()),
            Patch::Clear => None,
            Patch::Set(team) => Some(self.agreements.access().team_in(self.tx, &self.ctx, team).await),
        };
        self.point(field, found)
    }

    pub(super) async fn service(&mut self, field: &'static str, service: &Patch<ServiceRef>) -> Result<()> {
        let found = match service {
            Patch::Keep => return Ok(()),
            Patch::Clear => None,
            Patch::Set(service) => Some(self.agreements.configuration().usable_service_in(self.tx, service).await),
        };
        self.point(field, found)
    }

    pub(super) async fn calendar(&mut self, field: &'static str, calendar: &Patch<CalendarRef>) -> Result<()> {
        let found = match calendar {
            Patch::Keep => return Ok(()),
            Patch::Clear => None,
            Patch::Set(calendar) => Some(self.agreements.levels.calendar_in(&*self.tx, &self.ctx, calendar).await),
        };
        self.point(field, found)
    }

    pub(super) async fn agreement(&mut self, field: &'static str, agreement: &Patch<AgreementRef>) -> Result<()> {
        let found = match agreement {
            Patch::Keep => return Ok(()),
            Patch::Clear => None,
            Patch::Set(agreement) => Some(self.agreements.agreement_in(&*self.tx, &self.ctx, agreement).await),
        };
        self.point(field, found)
    }

    pub(super) async fn review(&mut self, field: &'static str, review: &Patch<Id>) -> Result<()> {
        let found = match review {
            Patch::Keep => return Ok(()),
            Patch::Clear => None,
            Patch::Set(review) => Some(self.agreements.review_in(self.tx, review).await),
        };
        self.point(field, found)
    }

    /// A list of ids as clients know them, each once, or what is wrong with its entries.
    pub(super) fn list(
        &mut self,
        field: &'static str,
        prefix: &'static str,
        most: usize,
        found: Vec<Result<Row>>,
    ) -> Result<()> {
        if found.len() > most {
            let message = format!("{} are given; at most {most} are allowed", found.len());
            self.problems.add(UserError::limit([field], message, most as u64));
            return Ok(());
        }
        let mut ids: Vec<String> = Vec::with_capacity(found.len());
        for (place, row) in found.into_iter().enumerate() {
            let row = row.map_err(|error| error.within(&place.to_string()).within(field));
            let Some(row) = self.problems.take(row)? else { continue };
            let id = Id::new(prefix, row.id()).to_string();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        self.row.set(field, Value::TextList(ids));
        Ok(())
    }

    fn point(&mut self, field: &'static str, found: Option<Result<Row>>) -> Result<()> {
        let Some(found) = found else {
            self.row.set(field, Value::Null);
            return Ok(());
        };
        if let Some(found) = self.problems.take(found.map_err(|error| error.within(field)))? {
            self.row.set(field, reference(Some(&found)));
        }
        Ok(())
    }
}
