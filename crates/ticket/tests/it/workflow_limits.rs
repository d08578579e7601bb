//! How many workflows a tenant may have, and how many versions a workflow.

use kernel::{ErrorCode, UserError, Uuid};
use predicate::Value;
use store::query::{self, Row};
use ticket::TicketKind;
use ticket::fields::{WORKFLOW, WORKFLOW_VERSION};
use ticket::workflow::{CreateWorkflow, MAX_VERSIONS, PublishWorkflow, UpdateWorkflow, Workflow};

use crate::setup::*;

const MAX_WORKFLOWS: usize = 100;

fn document(world: &World, key: &str) -> Workflow {
    let mut document = world.tickets.kinds().get(TicketKind::Incident).unwrap().default_workflow().as_ref().clone();
    (document.key, document.name) = (key.to_owned(), key.to_uppercase());
    document
}

async fn create(world: &World, key: &str) -> kernel::Result<()> {
    let command = CreateWorkflow { filter: None, rank: 1, document: document(world, key) };
    world.tickets.create_workflow(&world.root, command).await.map(|_| ())
}

async fn insert(world: &World, record: &'static predicate::RecordType, rows: Vec<Row>) {
    let tenant = world.root.tenant;
    let written = world.store.write(&world.root, "test.insert", move |tx| {
        let rows = rows.clone();
        Box::pin(async move { query::insert_all_in(tx, tenant, record, &rows).await })
    });
    written.await.unwrap();
}

fn limit(error: &UserError) -> (ErrorCode, String) {
    (error.code, error.path.join("."))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_so_many_workflows() {
    in_each_world(|world| async move {
        let workflow = |number: usize| {
            let now = world.now();
            let values = vec![
                ("id", world.root.new_id().into()),
                ("key", format!("w{number}").into()),
                ("name", "Another".into()),
                ("kind", "INCIDENT".into()),
                ("filter", Value::Null),
                ("rank", 1.into()),
                ("published", Value::Null),
                ("version", 1.into()),
                ("createdAt", now.into()),
                ("updatedAt", now.into()),
            ];
            Row::new(&WORKFLOW, values)
        };
        insert(&world, &WORKFLOW, (1..MAX_WORKFLOWS).map(workflow).collect()).await;
        create(&world, "last").await.unwrap();
        let error = refusal(create(&world, "one-more").await);
        assert_eq!(limit(&error), (ErrorCode::Limit, String::new()));
        assert!(error.message.contains("100 workflows"), "{}", error.message);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_has_so_many_versions() {
    in_each_world(|world| async move {
        create(&world, "ours").await.unwrap();
        let publish = async || {
            let command = PublishWorkflow { key: "ours".into(), migrate: None, expected_version: None };
            world.tickets.publish_workflow(&world.root, command).await.unwrap();
        };
        publish().await;
        let id: Uuid = world.all(&WORKFLOW).await[0].id();
        let stored = serde_json::to_value(document(&world, "ours")).unwrap();
        let version = |number: usize| {
            let values = vec![
                ("id", world.root.new_id().into()),
                ("workflow", id.into()),
                ("number", i32::try_from(number).unwrap().into()),
                ("document", Value::Json(stored.clone())),
                ("status", "PUBLISHED".into()),
                ("publishedAt", world.now().into()),
                ("createdAt", world.now().into()),
            ];
            Row::new(&WORKFLOW_VERSION, values)
        };
        insert(&world, &WORKFLOW_VERSION, (2..MAX_VERSIONS).map(version).collect()).await;
        let update = async || {
            let document = Some(document(&world, "ours"));
            let command = UpdateWorkflow {
                key: "ours".into(),
                name: None,
                filter: kernel::Patch::Keep,
                rank: None,
                document,
                expected_version: None,
            };
            world.tickets.update_workflow(&world.root, command).await.map(|_| ())
        };
        update().await.unwrap();
        update().await.unwrap();
        publish().await;
        let error = refusal(update().await);
        assert_eq!(limit(&error), (ErrorCode::Limit, "document".into()));
        assert!(error.message.contains("500 versions"), "{}", error.message);
    })
    .await;
}
