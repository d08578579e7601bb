//! Office hours and the whole week, and what is promised for every ticket.

use anyhow::Result;
use calendar::{CalendarDocument, Holiday, Weekday, WorkingInterval};
use gateway::platform::Platform;
use kernel::Ctx;
use sla::policy::{EscalationTime, Pauses};
use sla::{
    CalendarRef, CreateCalendar, CreatePolicy, EscalationDraft, Metric, MetricDraft, PolicyDraft, PolicyKind,
    TargetDraft,
};
use ticket::{Priority, WaitingReason};

/// Office hours and the whole week, and what is promised for every ticket.
pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let interval =
        |day: &Weekday, from: &str, to: &str| WorkingInterval { day: *day, from: from.into(), to: to.into() };
    let whole = Weekday::ALL.iter().map(|day| interval(day, "00:00", "24:00")).collect();
    let office = Weekday::ALL[..5].iter().map(|day| interval(day, "08:00", "18:00")).collect();
    let new_year = Holiday {
        name: "New Year".into(),
        date: "2026-01-01".into(),
        rule: Some("FREQ=YEARLY".into()),
        ..Holiday::default()
    };
    for (key, name, week, holidays) in
        [("always", "Always", whole, Vec::new()), ("office", "Office hours", office, vec![new_year])]
    {
        let document = CalendarDocument { time_zone: "Europe/Vienna".to_owned(), week, holidays };
        let command = CreateCalendar { key: key.to_owned(), name: name.to_owned(), description: None, document };
        platform.levels.create_calendar(ctx, command).await?;
    }
    let always = || Some(CalendarRef::Key("always".to_owned()));
    let escalation = |percent| EscalationDraft { at: EscalationTime::Percent(percent), actions: Vec::new() };
    let response = MetricDraft {
        metric: Metric::FirstResponse,
        targets: vec![target(&[Priority::P1], hours(1), always()), target(&[], hours(4), None)],
        pauses: Pauses::default(),
        escalations: vec![escalation(75)],
    };
    let resolution = MetricDraft {
        metric: Metric::Resolution,
        targets: vec![
            target(&[Priority::P1], hours(4), always()),
            target(&[Priority::P2], hours(10), None),
            target(&[], hours(50), None),
        ],
        pauses: Pauses { waiting_reasons: vec![WaitingReason::Requester], state_categories: Vec::new() },
        escalations: vec![escalation(50), escalation(75)],
    };
    publish(platform, ctx, "standard", "Standard", PolicyKind::Sla, vec![response, resolution]).await
}

/// How many seconds so many hours have.
pub(super) const fn hours(hours: i64) -> i64 {
    hours * 3_600
}

pub(super) fn target(priorities: &[Priority], target: i64, calendar: Option<CalendarRef>) -> TargetDraft {
    TargetDraft { priorities: priorities.to_vec(), condition: None, target, calendar }
}

/// Publishes a policy for every ticket, in office hours.
pub(super) async fn publish(
    platform: &Platform,
    ctx: &Ctx,
    key: &str,
    name: &str,
    kind: PolicyKind,
    metrics: Vec<MetricDraft>,
) -> Result<()> {
    let draft = PolicyDraft { condition: None, calendar: CalendarRef::Key("office".to_owned()), metrics };
    let command = CreatePolicy { key: key.to_owned(), name: name.to_owned(), description: None, kind, draft };
    platform.levels.create_policy(ctx, command).await?;
    Ok(())
}
