//! Tasks: their rules, what they wait for, plans, and two writes at once.

use kernel::{ErrorCode, Id, Patch};
use serde_json::json;
use store::query::Row;
use ticket::{
    ApplyPlan, CreateTask, MAX_PLAN, MAX_TASKS, Outcome, PlannedTask, TaskDraft, TicketRef, TransitionTicket,
    UpdateTask,
};

use crate::setup::{World, by_id, dry, in_each_world, keyed, kinds, refusal, refusals, team, transition_refusal};

fn task_ref(task: &Row) -> TicketRef {
    TicketRef::Id(Id::new(kernel::id::prefix::TASK, task.id()))
}

fn draft(title: &str) -> TaskDraft {
    TaskDraft { title: title.into(), ..TaskDraft::default() }
}

fn create(parent: &Row, title: &str, depends_on: &[&Row]) -> CreateTask {
    CreateTask {
        parent: by_id(parent),
        draft: draft(title),
        depends_on: depends_on.iter().map(|task| task_ref(task)).collect(),
    }
}

fn update(task: &Row, depends_on: &[&Row]) -> UpdateTask {
    UpdateTask {
        task: task_ref(task),
        title: None,
        description: Patch::Keep,
        impact: None,
        urgency: None,
        tags: None,
        custom_fields: Vec::new(),
        depends_on: Some(depends_on.iter().map(|task| task_ref(task)).collect()),
        expected_version: None,
    }
}

fn planned(key: &str, depends_on: &[&str]) -> PlannedTask {
    let depends_on = depends_on.iter().map(|key| (*key).to_owned()).collect();
    PlannedTask { key: key.into(), draft: draft(key), depends_on }
}

impl World {
    async fn task(&self, parent: &Row, title: &str, depends_on: &[&Row]) -> Row {
        self.tickets.create_task(&self.ctx("ada"), create(parent, title, depends_on)).await.unwrap().row.unwrap()
    }

    async fn move_task(&self, who: &str, task: &Row, transition: &str) -> kernel::Result<Outcome> {
        let command = TransitionTicket {
            ticket: task_ref(task),
            transition: transition.into(),
            inputs: Default::default(),
            comment: None,
            resolve_children: false,
            expected_version: None,
        };
        self.tickets.transition(&self.ctx(who), command).await
    }

    async fn see_task(&self, task: &Row) -> Row {
        let relations = ticket::queries::RELATIONS;
        let record = &ticket::fields::TASK;
        self.tickets.find(&self.root, record, &task_ref(task), relations).await.unwrap().unwrap()
    }
}

fn told<T: std::fmt::Debug>(result: kernel::Result<T>) -> (ErrorCode, String) {
    let error = refusal(result);
    (error.code, error.path.join("."))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_a_ticket_of_its_own() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("move the office").await;
        let done = world.tickets.create_task(&world.ctx("ada"), create(&parent, " cables ", &[])).await.unwrap();
        assert_eq!(kinds(&done.events), ["TaskCreated"]);
        let task = done.row.unwrap();
        assert_eq!(
            (task.text("title"), task.text("kind"), task.text("state")),
            ("cables".into(), "TASK".into(), "open".into())
        );
        assert!(task.text("number").starts_with("TSK-"));
        assert_eq!(task.get("parent").as_id(), Some(parent.id()));
        for field in ["team", "impact", "urgency", "priority", "service"] {
            assert_eq!(task.get(field), parent.get(field), "{field} is the ticket's");
        }
        assert_eq!(task.get("requester").as_id(), Some(world.id("ada")), "whoever adds it");
        // Rita, who asked for help, does not find the work on it among what she asked for.
        assert!(
            world
                .tickets
                .find(&world.ctx("rita"), &ticket::fields::TICKET, &task_ref(&task), &[])
                .await
                .unwrap()
                .is_none()
        );
        world.comment("abe", &parent, "On it.").await;
        let started = world.move_task("abe", &task, "start").await.unwrap();
        assert_eq!(kinds(&started.events), ["TicketTransitioned"]);
        let completed = world.move_task("abe", &task, "complete").await.unwrap().row.unwrap();
        assert_eq!((completed.text("stateCategory"), completed.get("closedAt").is_null()), ("CLOSED".into(), false));
        assert_eq!(world.see(&parent).await.text("state"), "assigned", "the ticket goes its own way");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_task_is_told() {
    in_each_world(|world| async move {
        let (parent, other) = (world.open_for_network("one").await, world.open_for_network("other").await);
        let task = world.task(&parent, "task", &[]).await;
        let (ada, rita) = (world.ctx("ada"), world.ctx("rita"));
        let attempt = |command| world.tickets.create_task(&ada, command);
        assert_eq!(told(attempt(create(&parent, " ", &[])).await), (ErrorCode::Validation, "title".into()));
        let below = CreateTask { parent: task_ref(&task), ..create(&parent, "x", &[]) };
        assert_eq!(told(attempt(below).await), (ErrorCode::Validation, "parent".into()));
        assert_eq!(told(attempt(create(&other, "x", &[&task])).await), (ErrorCode::Validation, "dependsOn.0".into()));
        let nowhere = Row::new(&ticket::fields::TASK, vec![("id", kernel::Uuid::from_u128(7).into())]);
        assert_eq!(told(attempt(create(&parent, "x", &[&nowhere])).await), (ErrorCode::NotFound, "dependsOn.0".into()));
        world.bring_to(&other, "resolved").await;
        assert_eq!(told(attempt(create(&other, "x", &[])).await), (ErrorCode::Validation, "parent".into()));
        let theirs = world.open("rita's").await;
        let refused = refusal(world.tickets.create_task(&rita, create(&theirs, "x", &[])).await);
        assert_eq!(refused.code, ErrorCode::Forbidden);
        let of_team =
            CreateTask { draft: TaskDraft { team: Some(team("nowhere")), ..draft("x") }, ..create(&parent, "x", &[]) };
        assert_eq!(told(attempt(of_team).await), (ErrorCode::NotFound, "team.slug".into()));
        let as_task = UpdateTask { task: by_id(&parent), ..update(&task, &[]) };
        assert_eq!(told(world.tickets.update_task(&ada, as_task).await), (ErrorCode::NotFound, "id".into()));
        let stale = UpdateTask { expected_version: Some(7), ..update(&task, &[]) };
        assert_eq!(told(world.tickets.update_task(&ada, stale).await), (ErrorCode::Conflict, "expectedVersion".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_waits_for_those_it_depends_on() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("move").await;
        let (one, two) = (world.task(&parent, "one", &[]).await, world.task(&parent, "two", &[]).await);
        let last = world.task(&parent, "last", &[&one, &two, &one]).await;
        assert_eq!(last.int("openDependencies"), 2);
        for key in ["start", "complete"] {
            let refused = transition_refusal(world.move_task("ada", &last, key).await);
            assert_eq!(refused.reasons, ["2 of the tasks that it depends on are not done"]);
            assert_eq!(refused.available, ["skip", "cancel"]);
        }
        let done = world.move_task("ada", &one, "complete").await.unwrap();
        assert_eq!(kinds(&done.events), ["TicketTransitioned", "TicketUpdated"]);
        assert_eq!((done.events[1].subject, done.events[1].facts["openDependencies"].clone()), (last.id(), json!(1)));
        assert_eq!(world.see_task(&last).await.int("version"), 2);
        // Given up counts as done: nobody waits for it any more.
        world.move_task("ada", &two, "cancel").await.unwrap();
        assert_eq!(world.see_task(&last).await.int("openDependencies"), 0);
        world.move_task("ada", &last, "start").await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_change_and_go_in_no_circle() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("move").await;
        let ada = world.ctx("ada");
        let one = world.task(&parent, "one", &[]).await;
        let two = world.task(&parent, "two", &[&one]).await;
        let three = world.task(&parent, "three", &[&two]).await;
        for task in [&one, &two, &three] {
            let error = refusal(world.tickets.update_task(&ada, update(&one, &[task])).await);
            assert!(error.message.contains("depend on itself"), "{}", error.message);
        }
        let changed = world.tickets.update_task(&ada, update(&three, &[&one])).await.unwrap();
        assert_eq!(
            kinds(&changed.events),
            ["TaskDependenciesChanged"],
            "as many as before: no field of its own changed"
        );
        let freed = world.tickets.update_task(&ada, update(&three, &[])).await.unwrap();
        assert_eq!(kinds(&freed.events), ["TicketUpdated", "TaskDependenciesChanged"]);
        assert_eq!(freed.row.unwrap().int("openDependencies"), 0);
        assert!(world.tickets.update_task(&ada, update(&three, &[])).await.unwrap().events.is_empty());
        world.tickets.update_task(&ada, update(&one, &[&three])).await.unwrap();
        let rows = world.tickets.dependencies_of(&ada, &[one.id(), two.id(), three.id()]).await.unwrap();
        assert_eq!(rows.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_are_counted_and_close_no_circle() {
    in_each_world(|world| async move {
        let ada = world.ctx("ada");
        let abe = world.ctx("abe");
        for round in 0..6 {
            let parent = world.open_for_network(&format!("move {round}")).await;
            let (one, two) = (world.task(&parent, "one", &[]).await, world.task(&parent, "two", &[]).await);
            let (left, right) = tokio::join!(
                world.tickets.update_task(&ada, update(&one, &[&two])),
                world.tickets.update_task(&abe, update(&two, &[&one])),
            );
            assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
            let (three, four) = (world.task(&parent, "three", &[]).await, world.task(&parent, "four", &[]).await);
            let last = world.task(&parent, "last", &[&three, &four]).await;
            let (left, right) =
                tokio::join!(world.move_task("ada", &three, "complete"), world.move_task("abe", &four, "complete"));
            left.unwrap();
            right.unwrap();
            assert_eq!(world.see_task(&last).await.int("openDependencies"), 0, "both are counted");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_put_on_a_ticket_as_a_whole() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("new colleague").await;
        let ada = world.ctx("ada");
        let plan = |tasks: Vec<PlannedTask>| ApplyPlan { ticket: by_id(&parent), tasks };
        let whole = plan(vec![
            planned("laptop", &["account"]),
            planned("account", &[]),
            planned("hand over", &["laptop", "account"]),
        ]);
        let tried = world.tickets.apply_plan(&dry(&ada), whole.clone()).await.unwrap();
        assert_eq!((tried.tasks.len(), tried.events.len()), (3, 3));
        assert!(
            world.tickets.tasks_of(&ada, &[parent.id()], kernel::PageDirection::Forward, 100).await.unwrap().is_empty()
        );
        let first = world.tickets.apply_plan(&keyed(&ada, "k", 1), whole.clone()).await.unwrap();
        let again = world.tickets.apply_plan(&keyed(&ada, "k", 1), whole).await.unwrap();
        let titles = |tasks: &[Row]| {
            tasks.iter().map(|row| (row.text("title"), row.int("openDependencies"))).collect::<Vec<_>>()
        };
        let expected = [("laptop".to_owned(), 1), ("account".to_owned(), 0), ("hand over".to_owned(), 2)];
        assert_eq!(titles(&first.tasks), expected);
        assert_eq!(titles(&again.tasks), expected, "the same call answers the same");

        for (tasks, path) in [
            (vec![planned("a", &["b"]), planned("b", &["a"])], "tasks.0.dependsOn"),
            (vec![planned("a", &["a"])], "tasks.0.dependsOn"),
            (vec![planned("a", &[]), planned("a", &[])], "tasks.1.key"),
            (vec![planned("a", &["z"])], "tasks.0.dependsOn.0"),
            (vec![], "tasks"),
            ((0..=MAX_PLAN).map(|n| planned(&n.to_string(), &[])).collect(), "tasks"),
            (
                vec![PlannedTask {
                    draft: TaskDraft { team: Some(team("nowhere")), ..draft("x") },
                    ..planned("b", &[])
                }],
                "tasks.0.team.slug",
            ),
        ] {
            let errors = refusals(world.tickets.apply_plan(&ada, plan(tasks)).await);
            assert_eq!(errors[0].path.join("."), path);
        }
        let mut half = vec![planned("a", &[]), planned("b", &[])];
        half[1].draft.team = Some(team("nowhere"));
        refusal(world.tickets.apply_plan(&ada, plan(half)).await);
        let there = world.tickets.tasks_of(&ada, &[parent.id()], kernel::PageDirection::Forward, 100).await.unwrap();
        assert_eq!(there.len(), 3, "all or nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_has_so_many_tasks() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("move").await;
        let ada = world.ctx("ada");
        for _ in 0..MAX_TASKS / MAX_PLAN {
            let tasks = (0..MAX_PLAN).map(|number| planned(&number.to_string(), &[])).collect();
            world.tickets.apply_plan(&ada, ApplyPlan { ticket: by_id(&parent), tasks }).await.unwrap();
        }
        let one_more = world.tickets.create_task(&ada, create(&parent, "x", &[])).await;
        assert_eq!(told(one_more), (ErrorCode::Limit, "parent".into()));
        let tasks = vec![planned("x", &[])];
        let plan = world.tickets.apply_plan(&ada, ApplyPlan { ticket: by_id(&parent), tasks }).await;
        assert_eq!(told(plan), (ErrorCode::Limit, "id".into()));
    })
    .await;
}
