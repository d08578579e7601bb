//! Mutations of calendars and policies.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use sla::service::ImportedHolidays;

use super::inputs::{
    CalendarRef, HolidayInput, PolicyParts, SlaPolicyMetricInput, SlaPolicyRef, WorkingIntervalInput, holidays, week,
};
use super::types::{Calendar, SlaPolicy, SlaPolicyKind};
use crate::context::{mutation, platform, written};
use crate::payload::{outcome, payload};
use crate::people::scalars::TimeZone;
use crate::scalars::{Markdown, patch};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::filters::TicketFilter;
use crate::user_error::{UserError, part};

/// Adds a calendar.
#[derive(Clone, Debug, InputObject)]
pub struct CalendarCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `office-vienna`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// The time zone whose clocks the hours mean.
    pub time_zone: TimeZone,
    /// The hours of an ordinary week; at most 168 intervals.
    pub week: Vec<WorkingIntervalInput>,
    /// The days that differ from their weekday; at most 1,000.
    pub holidays: Option<Vec<HolidayInput>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a calendar. Absent fields stay, null clears. New hours or holidays make a new version, which holds for new tickets, and
/// for those that it is applied to.
#[derive(Clone, Debug, InputObject)]
pub struct CalendarUpdateInput {
    /// Which.
    pub calendar: CalendarRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// The time zone whose clocks the hours mean.
    pub time_zone: Option<TimeZone>,
    /// The hours of an ordinary week, as a whole.
    pub week: Option<Vec<WorkingIntervalInput>>,
    /// The days that differ from their weekday, as a whole.
    pub holidays: Option<Vec<HolidayInput>>,
    /// A retired calendar stays with the policies that use it and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the calendar has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Adds the holidays of an iCalendar file to a calendar.
#[derive(Clone, Debug, InputObject)]
pub struct CalendarImportHolidaysInput {
    /// Which calendar.
    pub calendar: CalendarRef,
    /// The file's text (RFC 5545), at most 1 MiB: its events of whole days become holidays.
    pub icalendar: String,
    /// Whether they replace the holidays that are there; they are added when absent.
    pub replace: Option<bool>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Adds a policy. It holds for tickets that are recorded from now on.
#[derive(Clone, Debug, InputObject)]
pub struct SlaPolicyCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `standard`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// Between whom it stands; `SLA` when absent.
    pub kind: Option<SlaPolicyKind>,
    /// For which tickets; for all, when absent. It may name what everybody who sees a ticket may read; there is no viewer and no
    /// present in it.
    pub condition: Option<TicketFilter>,
    /// The calendar whose time counts.
    pub calendar: CalendarRef,
    /// What is promised: at least one metric, each once.
    pub metrics: Vec<SlaPolicyMetricInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a policy. Absent fields stay. What it says is given as a whole: with one of `calendar` and `metrics` goes the other, and a
/// condition that is left out is none. It makes a new version, which holds for new tickets, and for those that it is applied to.
#[derive(Clone, Debug, InputObject)]
pub struct SlaPolicyUpdateInput {
    /// Which.
    pub policy: SlaPolicyRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// For which tickets; for all, when absent.
    pub condition: Option<TicketFilter>,
    /// The calendar whose time counts.
    pub calendar: Option<CalendarRef>,
    /// What is promised.
    pub metrics: Option<Vec<SlaPolicyMetricInput>>,
    /// A retired policy goes on for the tickets that have it, and holds for no new ones.
    pub retired: Option<bool>,
    /// Refuse when the policy has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The calendar that was added.
    CalendarCreatePayload {
        /// The calendar; null when it was not done.
        calendar: Calendar
    }
}
payload! {
    /// The calendar after it was changed.
    CalendarUpdatePayload {
        /// The calendar; null when it was not done.
        calendar: Calendar
    }
}
/// An event of an iCalendar file that became no holiday.
#[derive(SimpleObject)]
pub struct SkippedHoliday {
    /// What the event is called.
    pub summary: String,
    /// Why it was left out.
    pub reason: String,
}

/// The calendar with the holidays of a file.
#[derive(SimpleObject)]
pub struct CalendarImportHolidaysPayload {
    /// The calendar; null when it was not done.
    pub calendar: Option<Calendar>,
    /// How many holidays are new. 0 when an earlier call with the same key has added them.
    pub imported: i32,
    /// What of the file is no holiday, and why.
    pub skipped: Vec<SkippedHoliday>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

payload! {
    /// The policy that was added.
    SlaPolicyCreatePayload {
        /// The policy; null when it was not done.
        sla_policy: SlaPolicy
    }
}
payload! {
    /// The policy after it was changed.
    SlaPolicyUpdatePayload {
        /// The policy; null when it was not done.
        sla_policy: SlaPolicy
    }
}

impl CalendarUpdateInput {
    fn command(self) -> kernel::Result<sla::UpdateCalendar> {
        Ok(sla::UpdateCalendar {
            calendar: self.calendar.into_ref().map_err(|error| error.within("calendar"))?,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            time_zone: self.time_zone.map(|zone| zone.0),
            week: self.week.map(week),
            holidays: self.holidays.map(holidays),
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}

impl SlaPolicyUpdateInput {
    fn command(self, written: &serde_json::Value) -> kernel::Result<sla::UpdatePolicy> {
        let draft = match (self.calendar, self.metrics) {
            (Some(calendar), Some(metrics)) => {
                Some(PolicyParts { condition: self.condition, calendar, metrics }.draft(written)?)
            }
            (None, None) if self.condition.is_none() => None,
            (calendar, _) => {
                let missing = if calendar.is_none() { "calendar" } else { "metrics" };
                let message = "what a policy says is given as a whole: `calendar`, `metrics` and the condition";
                return Err(kernel::UserError::constraint([missing], message, "required", None).into());
            }
        };
        Ok(sla::UpdatePolicy {
            policy: self.policy.into_ref().map_err(|error| error.within("policy"))?,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            draft,
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}

impl SlaPolicyCreateInput {
    fn command(self, written: &serde_json::Value) -> kernel::Result<sla::CreatePolicy> {
        let parts = PolicyParts { condition: self.condition, calendar: self.calendar, metrics: self.metrics };
        Ok(sla::CreatePolicy {
            key: self.key,
            name: self.name,
            description: self.description.map(|text| text.0),
            kind: self.kind.map_or(sla::PolicyKind::Sla, Into::into),
            draft: parts.draft(written)?,
        })
    }
}

/// Mutations of service levels.
#[derive(Default)]
pub struct ServiceLevelMutations;

#[Object]
impl ServiceLevelMutations {
    /// Adds a calendar. Needs `settings.manage`.
    async fn calendar_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The calendar.")] input: CalendarCreateInput,
    ) -> Result<CalendarCreatePayload> {
        let viewer = mutation(ctx)?;
        let document = calendar::CalendarDocument {
            time_zone: input.time_zone.0,
            week: week(input.week),
            holidays: holidays(input.holidays.unwrap_or_default()),
        };
        let description = input.description.map(|text| text.0);
        let command = sla::CreateCalendar { key: input.key, name: input.name, description, document };
        let result = platform(ctx).levels.create_calendar(&viewer, command).await;
        CalendarCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a calendar. Needs `settings.manage`.
    async fn calendar_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which calendar, and what changes.")] input: CalendarUpdateInput,
    ) -> Result<CalendarUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).levels.update_calendar(&viewer, command).await,
            Err(error) => Err(error),
        };
        CalendarUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Adds the holidays of an iCalendar file to a calendar, as a new version. Needs `settings.manage`.
    async fn calendar_import_holidays(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The calendar and the file.")] input: CalendarImportHolidaysInput,
    ) -> Result<CalendarImportHolidaysPayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = match input.calendar.into_ref().map_err(|error| error.within("calendar")) {
            Ok(calendar) => {
                let replace = input.replace.unwrap_or_default();
                platform.levels.import_holidays(&viewer, calendar, &input.icalendar, replace).await
            }
            Err(error) => Err(error),
        };
        let (done, user_errors) = part(result)?;
        let (changed, imported) = done.map_or((None, ImportedHolidays::default()), |(row, done)| (Some(row), done));
        let (calendar, events) = changed.map_or((None, Vec::new()), |changed| (Some(changed.record), changed.events));
        let skipped = imported.skipped.into_iter();
        Ok(CalendarImportHolidaysPayload {
            calendar: calendar.map(Calendar::from_row),
            imported: i32::try_from(imported.added).unwrap_or(i32::MAX),
            skipped: skipped.map(|one| SkippedHoliday { summary: one.summary, reason: one.reason }).collect(),
            events: from_store(&viewer, platform, events),
            user_errors,
        })
    }

    /// Adds a policy of service levels. It holds for tickets that are recorded from now on. Needs `settings.manage`.
    async fn sla_policy_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The policy.")] input: SlaPolicyCreateInput,
    ) -> Result<SlaPolicyCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).levels.create_policy(&viewer, command).await,
            Err(error) => Err(error),
        };
        SlaPolicyCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a policy of service levels. Needs `settings.manage`.
    async fn sla_policy_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which policy, and what changes.")] input: SlaPolicyUpdateInput,
    ) -> Result<SlaPolicyUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).levels.update_policy(&viewer, command).await,
            Err(error) => Err(error),
        };
        SlaPolicyUpdatePayload::of(ctx, &viewer, outcome(result))
    }
}
