//! Adding and changing calendars: each change of what one says is a new version.

use std::sync::{Arc, Mutex, PoisonError};

use access::commands::{checked_description, checked_name, checked_slug};
use access::{Changed, Managed};
use calendar::{Calendar, CalendarDocument};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError};
use predicate::{Predicate, Value};
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use super::{SAYS, ServiceLevels};
use crate::commands::{CalendarRef, CreateCalendar, MAX_CALENDARS, MAX_VERSIONS, UpdateCalendar};
use crate::events::{CALENDAR_CREATED, CALENDAR_UPDATED, SUBJECT_CALENDAR};
use crate::fields::{CALENDAR, CALENDAR_VERSION};
use crate::tables;

const KIND: Managed = Managed { record: &CALENDAR, subject: SUBJECT_CALENDAR, prefix: prefix::CALENDAR };

impl ServiceLevels {
    /// Adds a calendar.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` and `LIMIT` with paths; `CONFLICT` at `key` when it is taken.
    pub async fn create_calendar(&self, ctx: &Ctx, command: CreateCalendar) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let mut problems = Problems::default();
        let key = problems.take(checked_slug("key", &command.key))?;
        let name = problems.take(checked_name("name", &command.name))?;
        let description = command.description.as_deref().map(|text| checked_description("description", text));
        let description = problems.take(description.transpose())?;
        problems.take(check_document(&command.document))?;
        problems.check()?;
        let (Some(key), Some(name), Some(description)) = (key, name, description) else {
            return Err(Error::internal("the values were checked"));
        };
        let command = CreateCalendar { key, name, description, ..command };
        let levels = self.clone();
        let written = self.store().write(ctx, "calendarCreate", move |tx| {
            let (levels, command) = (levels.clone(), command.clone());
            Box::pin(async move { levels.create_calendar_in(tx, &command).await })
        });
        self.answer(ctx, written.await?, &CALENDAR, "the calendar").await
    }

    async fn create_calendar_in(&self, tx: &mut Tx, command: &CreateCalendar) -> Result<Row> {
        let (tenant, catalogue) = (tx.ctx().tenant, self.access().catalogue());
        let taken = Predicate::eq("key", command.key.as_str());
        if query::exists(tx, tenant, &CALENDAR, &taken, catalogue).await? {
            let message = format!("there is a calendar `{}` already", command.key);
            return Err(UserError::taken(["key"], message).into());
        }
        if tables::count_in(tx, &CALENDAR).await? >= MAX_CALENDARS as i64 {
            let message = format!("there are {MAX_CALENDARS} calendars; no more are allowed");
            return Err(UserError::limit([] as [&str; 0], message, MAX_CALENDARS as u64).into());
        }
        let values = vec![
            ("key", command.key.as_str().into()),
            ("name", command.name.as_str().into()),
            ("description", command.description.clone().into()),
            ("number", 1.into()),
        ];
        let row = KIND.insert_in(tx, CALENDAR_CREATED, values).await?;
        self.insert_calendar_version_in(tx, &row, &command.document).await?;
        Ok(saying(row, &command.document))
    }

    /// Changes a calendar. A change of what it says is a new version: it holds for new tickets, and for those that it is applied
    /// to.
    ///
    /// # Errors
    /// As [`ServiceLevels::create_calendar`]; `NOT_FOUND` at `calendar`; `CONFLICT` with the current version.
    pub async fn update_calendar(&self, ctx: &Ctx, command: UpdateCalendar) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let mut problems = Problems::default();
        let name = problems.take(command.name.as_deref().map(|name| checked_name("name", name)).transpose())?;
        if let Patch::Set(text) = &command.description {
            problems.take(checked_description("description", text))?;
        }
        problems.check()?;
        let command = UpdateCalendar { name: name.flatten(), ..command };
        let levels = self.clone();
        let written = self.store().write(ctx, "calendarUpdate", move |tx| {
            let (levels, command) = (levels.clone(), command.clone());
            Box::pin(async move { levels.update_calendar_in(tx, &command).await })
        });
        self.answer(ctx, written.await?, &CALENDAR, "the calendar").await
    }

    /// Adds the holidays of an iCalendar file to a calendar, or has them replace those that it has. What is there already is not
    /// added again. Answers how many were added, and what of the file is no holiday.
    ///
    /// # Errors
    /// As [`ServiceLevels::update_calendar`]; `VALIDATION` at `icalendar`.
    pub async fn import_holidays(
        &self,
        ctx: &Ctx,
        calendar: CalendarRef,
        icalendar: &str,
        replace: bool,
    ) -> Result<(Changed<Row>, ImportedHolidays)> {
        self.authorise(ctx)?;
        let found = calendar::holidays_from_ical(icalendar).map_err(|found| {
            let mut problems = Problems::default();
            for problem in found {
                problems.add(UserError::validation(["icalendar"], problem.message));
            }
            problems.check().err().unwrap_or_else(|| Error::internal("an iCalendar file has no fault"))
        })?;
        let (levels, holidays) = (self.clone(), found.holidays);
        let added = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&added);
        let written = self.store().write(ctx, "calendarImportHolidays", move |tx| {
            let (levels, calendar, holidays) = (levels.clone(), calendar.clone(), holidays.clone());
            let counted = Arc::clone(&counted);
            Box::pin(async move {
                let ctx = tx.ctx().clone();
                let row = levels.calendar_in(&*tx, &ctx, &calendar).await.map_err(|error| error.within("calendar"))?;
                let known = levels.calendar_document_in(&*tx, &ctx, &row).await?.holidays;
                let new: Vec<_> = holidays.iter().filter(|holiday| !known.contains(holiday)).cloned().collect();
                *counted.lock().unwrap_or_else(PoisonError::into_inner) = new.len();
                let all = if replace { holidays } else { known.into_iter().chain(new).collect() };
                let command = UpdateCalendar { holidays: Some(all), ..UpdateCalendar::of(calendar) };
                levels.update_calendar_in(tx, &command).await
            })
        });
        let changed = self.answer(ctx, written.await?, &CALENDAR, "the calendar").await?;
        let added = *added.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((changed, ImportedHolidays { added, skipped: found.skipped }))
    }

    async fn update_calendar_in(&self, tx: &mut Tx, command: &UpdateCalendar) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let before = self.calendar_in(&*tx, &ctx, &command.calendar).await.map_err(|error| error.within("calendar"))?;
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
        let known = self.calendar_document_in(&*tx, &ctx, &before).await?;
        let document = CalendarDocument {
            time_zone: command.time_zone.clone().unwrap_or_else(|| known.time_zone.clone()),
            week: command.week.clone().unwrap_or_else(|| known.week.clone()),
            holidays: command.holidays.clone().unwrap_or_else(|| known.holidays.clone()),
        };
        if document != known {
            check_document(&document)?;
            let number = before.int("number") + 1;
            if number > MAX_VERSIONS as i64 {
                let message = format!("there are {MAX_VERSIONS} versions; no more are allowed");
                return Err(UserError::limit([] as [&str; 0], message, MAX_VERSIONS as u64).into());
            }
            row.set("number", Value::Int(number));
            self.insert_calendar_version_in(tx, &row, &document).await?;
        }
        let row = KIND.update_in(tx, CALENDAR_UPDATED, &before, row).await?;
        Ok(saying(row, &document))
    }

    async fn insert_calendar_version_in(&self, tx: &mut Tx, row: &Row, document: &CalendarDocument) -> Result<()> {
        let revision = tables::next_revision_in(tx).await?;
        let version = Row::new(
            &CALENDAR_VERSION,
            vec![
                ("id", tx.new_id().into()),
                ("calendar", row.id().into()),
                ("number", row.get("number").clone()),
                ("revision", Value::Int(revision)),
                ("document", Value::Json(json!(document))),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, tx.ctx().tenant, &CALENDAR_VERSION, &version).await
    }
}

/// What came of an iCalendar file.
#[derive(Clone, Debug, Default)]
pub struct ImportedHolidays {
    /// How many holidays are new.
    pub added: usize,
    /// What of the file is no holiday, and why.
    pub skipped: Vec<calendar::Skipped>,
}

/// A record with what it says beside its own fields: a dry run leaves no version to read it from.
pub(super) fn saying(mut row: Row, document: &impl serde::Serialize) -> Row {
    row.set(SAYS, Value::Json(json!(document)));
    row
}

/// Checks what a calendar says.
///
/// # Errors
/// `VALIDATION`, all that is wrong, with paths into the document.
pub(crate) fn check_document(document: &CalendarDocument) -> Result<()> {
    let Err(found) = Calendar::compile(document) else { return Ok(()) };
    let mut problems = Problems::default();
    for problem in found {
        problems.add(UserError::validation(problem.path, problem.message));
    }
    problems.check()
}
