//! Lists of users and teams: paging, filters, and what a requester does not see.

use access::{ListQuery, UserRef, UserUpdate};
use kernel::{ErrorCode, Page, Patch};
use predicate::{Operand, Path, Predicate, Test, Value};
use store::query::OrderTerm;

use crate::setup::{World, in_each_world, refused_at};

fn by(field: &str) -> Vec<OrderTerm> {
    vec![OrderTerm { field: field.into(), descending: false, nulls_first: false }]
}

fn all_by(field: &str, limit: u32) -> ListQuery {
    ListQuery { filter: Predicate::always(), order: by(field), page: Page::first(limit) }
}

async fn company(world: &World) {
    for (name, role) in [("dan", "requester"), ("ada", "agent"), ("cem", "requester"), ("bob", "administrator")] {
        world.user(name, &[role]).await;
    }
    world.bot("chatbot", &[]).await;
}

fn names(slice: &store::query::Slice) -> Vec<String> {
    slice.rows.iter().map(|row| row.text("name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_in_pages_without_bots_and_system() {
    in_each_world(|world| async move {
        company(&world).await;
        let first = world.access.users(&world.root, all_by("name", 3)).await.unwrap();
        assert_eq!(names(&first), ["ada", "bob", "cem"]);
        assert!(first.has_next);
        let mut next = all_by("name", 3);
        next.page.after = first.cursors.last();
        let second = world.access.users(&world.root, next.clone()).await.unwrap();
        assert_eq!(names(&second), ["dan"]);
        next.order = by("createdAt");
        let other_list = world.access.users(&world.root, next).await;
        assert_eq!(other_list.unwrap_err().code(), ErrorCode::BadCursor);
        let count = world.access.count_users(&world.root, Predicate::always()).await.unwrap();
        assert_eq!((count.total, count.exact), (4, true));
        let filtered = ListQuery { filter: Predicate::eq("name", "cem"), ..all_by("name", 10) };
        assert_eq!(names(&world.access.users(&world.root, filtered).await.unwrap()), ["cem"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_sees_names_and_their_own_address_only() {
    in_each_world(|world| async move {
        company(&world).await;
        let dan = world.ctx("dan").await;
        let list = world.access.users(&dan, all_by("name", 10)).await.unwrap();
        assert_eq!(names(&list), ["ada", "bob", "cem", "dan"]);
        let addresses = list.rows.iter().filter_map(|row| row.optional_text("email")).collect::<Vec<_>>();
        assert_eq!(addresses, ["dan@acme.example"]);
        let others = UserRef::Email("ada@acme.example".into());
        let nobody = UserRef::Email("nobody@acme.example".into());
        let hidden = world.access.user(&dan, &others).await.unwrap_err().to_string();
        assert_eq!(hidden, world.access.user(&dan, &nobody).await.unwrap_err().to_string());
        assert!(world.access.user(&dan, &UserRef::Email("dan@acme.example".into())).await.is_ok());
        let ids = list.rows.iter().map(|row| row.id()).collect::<Vec<_>>();
        let roles = world.access.roles_of(&dan, &ids).await.unwrap();
        assert_eq!(roles.keys().copied().collect::<Vec<_>>(), [dan.actor.id]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_filter_order_or_count_tells_a_hidden_address() {
    in_each_world(|world| async move {
        company(&world).await;
        let dan = world.ctx("dan").await;
        let ada = world.access.user(&world.root, &UserRef::Email("ada@acme.example".into())).await.unwrap();
        let email = |test| Predicate::Is(Path::field("email"), test);
        let filters = || {
            [
                email(Test::Eq(Operand::Value(Value::from("ada@acme.example")))),
                !email(Test::Eq(Operand::Value(Value::from("ada@acme.example")))),
                email(Test::StartsWith("ada".into())),
                email(Test::Gt(Operand::Value(Value::from("b")))),
                email(Test::IsNull(false)),
                email(Test::IsNull(true)),
            ]
        };
        let mut worlds = Vec::new();
        for address in ["ada@acme.example", "zoe@acme.example"] {
            let mut update = UserUpdate::of(UserRef::from(&ada));
            update.email = Patch::Set(address.into());
            world.access.user_update(&world.root, update).await.unwrap();
            let mut answers = Vec::new();
            for filter in filters() {
                let request = ListQuery { filter: filter.clone(), order: by("email"), page: Page::first(10) };
                let slice = world.access.users(&dan, request).await.unwrap();
                let count = world.access.count_users(&dan, filter).await.unwrap();
                answers.push((names(&slice), count.total));
            }
            worlds.push(answers);
        }
        assert_eq!(worlds[0], worlds[1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_told_with_its_path() {
    in_each_world(|world| async move {
        let unknown = ListQuery { filter: Predicate::eq("shoeSize", 7), ..all_by("name", 10) };
        let refused = refused_at(world.access.users(&world.root, unknown).await);
        assert_eq!(refused, (ErrorCode::Validation, "filter.shoeSize".into()));
        let refused = refused_at(world.access.teams(&world.root, all_by("description", 10)).await);
        assert_eq!(refused, (ErrorCode::Validation, "orderBy".into()));
    })
    .await;
}
