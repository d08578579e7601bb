//! How many calendars and policies a tenant may have, and how many versions one of them.

use calendar::{CalendarDocument, Weekday, WorkingInterval};
use kernel::{ErrorCode, Patch};
use predicate::{RecordType, Value};
use serde_json::json;
use sla::commands::{MAX_CALENDARS, MAX_POLICIES, MAX_VERSIONS};
use sla::fields::{CALENDAR, CALENDAR_VERSION, SLA_POLICY, SLA_POLICY_VERSION};
use sla::policy::{MetricDocument, Pauses, PolicyDocument, TargetDocument};
use sla::{
    CalendarRef, CreateCalendar, CreatePolicy, Metric, MetricDraft, PolicyDraft, PolicyKind, PolicyRef, ServiceLevels,
    TargetDraft, UpdateCalendar, UpdatePolicy,
};
use store::query::{self, Row};

use crate::setup::*;

/// Mondays until an hour.
fn mondays(until: usize) -> CalendarDocument {
    let day = WorkingInterval { day: Weekday::ALL[0], from: "00:00".into(), to: format!("{until:02}:00") };
    CalendarDocument { time_zone: "UTC".into(), week: vec![day], holidays: Vec::new() }
}

async fn create_calendar(levels: &ServiceLevels, world: &World, key: &str) -> kernel::Result<Row> {
    let command = CreateCalendar { key: key.into(), name: key.into(), description: None, document: mondays(8) };
    Ok(levels.create_calendar(&world.root, command).await?.record)
}

async fn change_calendar(levels: &ServiceLevels, world: &World, until: usize) -> kernel::Result<Row> {
    let command =
        UpdateCalendar { week: Some(mondays(until).week), ..UpdateCalendar::of(CalendarRef::Key("ours".into())) };
    Ok(levels.update_calendar(&world.root, command).await?.record)
}

/// A resolution within so many seconds.
fn within(target: i64) -> PolicyDraft {
    let target = TargetDraft { priorities: Vec::new(), condition: None, target, calendar: None };
    let metric = MetricDraft {
        metric: Metric::Resolution,
        targets: vec![target],
        pauses: Pauses::default(),
        escalations: Vec::new(),
    };
    PolicyDraft { condition: None, calendar: CalendarRef::Key("ours".into()), metrics: vec![metric] }
}

async fn create_policy(levels: &ServiceLevels, world: &World, key: &str) -> kernel::Result<Row> {
    let command = CreatePolicy {
        key: key.into(),
        name: key.into(),
        description: None,
        kind: PolicyKind::Sla,
        draft: within(3_600),
    };
    Ok(levels.create_policy(&world.root, command).await?.record)
}

async fn change_policy(
    levels: &ServiceLevels,
    world: &World,
    draft: Option<PolicyDraft>,
    retired: Option<bool>,
) -> kernel::Result<Row> {
    let command = UpdatePolicy {
        policy: PolicyRef::Key("ours".into()),
        name: None,
        description: Patch::Keep,
        draft,
        retired,
        expected_version: None,
    };
    Ok(levels.update_policy(&world.root, command).await?.record)
}

/// Puts a record there that has come to its last version but one, with all of them.
async fn insert_with_versions(
    world: &World,
    (head, further): (&'static RecordType, Vec<(&'static str, Value)>),
    (version, further_of_version): (&'static RecordType, Vec<(&'static str, Value)>),
) {
    let (id, now, numbers) = (world.root.new_id(), world.now(), 1..i32::try_from(MAX_VERSIONS).unwrap());
    let mut values = vec![
        ("id", id.into()),
        ("key", "ours".into()),
        ("name", "Ours".into()),
        ("description", Value::Null),
        ("number", (numbers.end - 1).into()),
        ("retired", false.into()),
        ("version", 1.into()),
        ("createdAt", now.into()),
        ("updatedAt", now.into()),
    ];
    values.extend(further);
    let head_row = Row::new(head, values);
    let version_row = |number: i32| {
        let mut values = vec![
            ("id", world.root.new_id().into()),
            (version.relations[0].name, id.into()),
            ("number", number.into()),
            // Before all that the services publish.
            ("revision", 0.into()),
            ("createdAt", now.into()),
        ];
        values.extend(further_of_version.clone());
        Row::new(version, values)
    };
    let (heads, versions) = (vec![head_row], numbers.map(version_row).collect::<Vec<_>>());
    let tenant = world.root.tenant;
    let written = world.store.write(&world.root, "test.insert", move |tx| {
        let (heads, versions) = (heads.clone(), versions.clone());
        Box::pin(async move {
            query::insert_all_in(tx, tenant, head, &heads).await?;
            query::insert_all_in(tx, tenant, version, &versions).await
        })
    });
    written.await.unwrap();
}

fn over(world: &World) -> ServiceLevels {
    ServiceLevels::new(world.tickets.clone())
}

/// Refused for the whole of it, in words that name the limit.
fn assert_limit(result: kernel::Result<Row>, words: &str) {
    let error = refusal(result);
    assert_eq!((error.code, error.path.join(".")), (ErrorCode::Limit, String::new()));
    assert!(error.message.contains(words), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_so_many_calendars_and_policies() {
    in_each_world_with(sla::fields::ALL, |world| async move {
        let levels = over(&world);
        create_calendar(&levels, &world, "ours").await.unwrap();
        for number in 1..MAX_CALENDARS {
            create_calendar(&levels, &world, &format!("calendar-{number}")).await.unwrap();
        }
        assert_limit(create_calendar(&levels, &world, "one-more").await, "100 calendars");
        for number in 0..MAX_POLICIES {
            create_policy(&levels, &world, &format!("policy-{number}")).await.unwrap();
        }
        assert_limit(create_policy(&levels, &world, "one-more").await, "100 policies");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_has_so_many_versions() {
    in_each_world_with(sla::fields::ALL, |world| async move {
        let levels = over(&world);
        let versions = (&CALENDAR_VERSION, vec![("document", Value::Json(json!(mondays(8))))]);
        insert_with_versions(&world, (&CALENDAR, Vec::new()), versions).await;
        let last = change_calendar(&levels, &world, 9).await.unwrap();
        assert_eq!(last.int("number"), MAX_VERSIONS as i64);
        assert_limit(change_calendar(&levels, &world, 10).await, "1000 versions");
        // What is no new version still goes, and all versions are read.
        let named = UpdateCalendar { name: Some("Last".into()), ..UpdateCalendar::of(CalendarRef::Key("ours".into())) };
        levels.update_calendar(&world.root, named).await.unwrap();
        let row = &world.all(&CALENDAR).await[0];
        assert_eq!(*levels.calendar_says(&world.root, row).await.unwrap(), mondays(9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_has_so_many_versions() {
    in_each_world_with(sla::fields::ALL, |world| async move {
        let levels = over(&world);
        let calendar = create_calendar(&levels, &world, "ours").await.unwrap().id();
        let target = TargetDocument { priorities: Vec::new(), condition: None, target: 3_600, calendar: None };
        let metric = MetricDocument {
            metric: Metric::Resolution,
            targets: vec![target],
            pauses: Pauses::default(),
            escalations: Vec::new(),
        };
        let document = PolicyDocument { condition: None, calendar, metrics: vec![metric] };
        let versions = (&SLA_POLICY_VERSION, vec![("active", true.into()), ("document", Value::Json(json!(document)))]);
        insert_with_versions(&world, (&SLA_POLICY, vec![("kind", PolicyKind::Sla.as_str().into())]), versions).await;
        let last = change_policy(&levels, &world, Some(within(7_200)), None).await.unwrap();
        assert_eq!(last.int("number"), MAX_VERSIONS as i64);
        assert_limit(change_policy(&levels, &world, Some(within(1_800)), None).await, "1000 versions");
        assert_limit(change_policy(&levels, &world, None, Some(true)).await, "1000 versions");
        let row = &world.all(&SLA_POLICY).await[0];
        assert_eq!(levels.policy_says(&world.root, row).await.unwrap().metrics[0].targets[0].target, 7_200);
    })
    .await;
}
