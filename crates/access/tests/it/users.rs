//! Users, service accounts, their roles, and who may change what of whom.

use access::commands::{MAX_MANAGERS, MAX_ROLES, RoleInput};
use access::{Account, TeamRef, UserCreate, UserRef, UserUpdate};
use kernel::{ErrorCode, Mutation, Patch};
use serde_json::json;

use crate::setup::{PASSWORD, in_each_world, refusal, refused_at, role_for};

fn roles(keys: &[&str]) -> Vec<RoleInput> {
    keys.iter().map(|key| RoleInput { role: (*key).into(), team: None }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_is_told_with_roles_and_without_secrets() {
    in_each_world(|world| async move {
        world.team("network").await;
        let command = UserCreate {
            email: "Ada@Acme.example".into(),
            name: " Ada Lovelace ".into(),
            password: Some(PASSWORD.into()),
            time_zone: Some("Europe/London".into()),
            avatar_url: Some("https://acme.example/ada.png".into()),
            roles: vec![RoleInput { role: "agent".into(), team: Some(TeamRef::Slug("network".into())) }],
            ..UserCreate::default()
        };
        let changed = world.access.user_create(&world.root, command).await.unwrap();
        assert_eq!(changed.record.name, "Ada Lovelace");
        assert_eq!(changed.record.email.as_deref(), Some("Ada@Acme.example"));
        assert_eq!((changed.record.version, changed.record.active), (1, true));
        let [event] = changed.events.as_slice() else { panic!("{:?}", changed.events) };
        assert_eq!((event.kind.as_str(), event.subject_kind.as_str(), event.version), ("UserCreated", "actor", 1));
        let fields = event.changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>();
        assert_eq!(fields, ["kind", "name", "email", "timeZone", "active", "roles"]);
        assert_eq!(event.facts["email"], "Ada@Acme.example");
        let text = format!("{event:?}");
        assert!(!text.contains(PASSWORD) && !text.contains("argon2"));
        let held = world.access.roles_of(&world.root, &[changed.record.id]).await.unwrap();
        assert_eq!(held[&changed.record.id][0].role, "agent");
        assert!(held[&changed.record.id][0].team.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_taken_without_regard_to_case() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let bob = world.user("bob", &[]).await;
        let twin = UserCreate { email: "ADA@acme.example".into(), name: "Twin".into(), ..UserCreate::default() };
        let refused = refused_at(world.access.user_create(&world.root, twin).await);
        assert_eq!(refused, (ErrorCode::Conflict, "email".into()));
        let mut rename = UserUpdate::of(UserRef::from(&bob));
        rename.email = Patch::Set("Ada@Acme.Example".into());
        let refused = refused_at(world.access.user_update(&world.root, rename).await);
        assert_eq!(refused, (ErrorCode::Conflict, "email".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_roles_is_told_with_its_path() {
    in_each_world(|world| async move {
        let create =
            |roles| UserCreate { email: "x@acme.example".into(), name: "x".into(), roles, ..UserCreate::default() };
        let nowhere = RoleInput { role: "agent".into(), team: Some(TeamRef::Slug("nowhere".into())) };
        let wrong = vec![RoleInput { role: "king".into(), team: None }, nowhere];
        let result = world.access.user_create(&world.root, create(wrong)).await;
        let kernel::Error::Refused(errors) = result.unwrap_err() else { panic!() };
        let paths = errors.iter().map(|error| error.path.join(".")).collect::<Vec<_>>();
        assert_eq!(paths, ["roles.0.role", "roles.1.team.slug"]);
        let many = create(roles(&["agent"; MAX_ROLES + 1]));
        assert_eq!(refused_at(world.access.user_create(&world.root, many).await).0, ErrorCode::Limit);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_managers_of_users_make_users() {
    in_each_world(|world| async move {
        world.user("lead", &["team_lead"]).await;
        let lead = world.ctx("lead").await;
        let command = UserCreate { email: "x@acme.example".into(), name: "x".into(), ..UserCreate::default() };
        let error = refusal(world.access.user_create(&lead, command).await);
        assert_eq!(error.code, ErrorCode::Forbidden);
        assert_eq!(error.detail, kernel::Detail::Forbidden { permission: "user.manage".into() });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_managing_users_cannot_make_an_administrator() {
    in_each_world(|world| async move {
        world.user("root", &["administrator"]).await;
        let ada = world.user("ada", &["agent"]).await;
        let root = world.ctx("root").await;
        let token = world.token(&root, &["user.manage", "user.read"]).await;
        let narrow = world.access.authenticate(token.secret.reveal(), "test").await.unwrap().ctx;
        let evil = UserCreate {
            email: "evil@acme.example".into(),
            name: "Evil".into(),
            password: Some(PASSWORD.into()),
            roles: roles(&["administrator"]),
            ..UserCreate::default()
        };
        assert_eq!(refused_at(world.access.user_create(&narrow, evil).await), (ErrorCode::Forbidden, "roles".into()));
        let mut take_over = UserUpdate::of(UserRef::from(&ada));
        take_over.password = Patch::Set("my own password".into());
        let refused = refused_at(world.access.user_update(&narrow, take_over).await);
        assert_eq!(refused, (ErrorCode::Forbidden, "user".into()), "the agent holds more than this token");
        let mut rename = UserUpdate::of(UserRef::from(&ada));
        rename.name = Patch::Set("Ada L.".into());
        assert!(world.access.user_update(&narrow, rename).await.is_ok(), "a name is within its scopes");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_changes_their_own_name_and_nothing_beyond() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["agent"]).await;
        let bob = world.user("bob", &["agent"]).await;
        let ctx = world.ctx("ada").await;
        let mut own = UserUpdate::of(UserRef::Email("ada@acme.example".into()));
        own.name = Patch::Set("Ada L.".into());
        own.time_zone = Patch::Set("Europe/London".into());
        let changed = world.access.user_update(&ctx, own).await.unwrap();
        assert_eq!((changed.record.name.as_str(), changed.record.version), ("Ada L.", 2));
        let changes = &changed.events[0].changes;
        assert_eq!(
            (changes[0].field.as_str(), &changes[0].before, &changes[0].after),
            ("name", &json!("ada"), &json!("Ada L."))
        );
        type Change = fn(&mut UserUpdate);
        let beyond: [(Change, &str); 3] = [
            (|update| update.email = Patch::Set("boss@acme.example".into()), "email"),
            (|update| update.active = Patch::Set(false), "active"),
            (|update| update.roles = Patch::Set(vec![]), "roles"),
        ];
        for (change, path) in beyond {
            let mut update = UserUpdate::of(UserRef::from(&ada));
            change(&mut update);
            assert_eq!(refused_at(world.access.user_update(&ctx, update).await), (ErrorCode::Forbidden, path.into()));
        }
        let mut others = UserUpdate::of(UserRef::from(&bob));
        others.name = Patch::Set("Bobby".into());
        assert_eq!(refused_at(world.access.user_update(&ctx, others).await), (ErrorCode::Forbidden, "name".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_ones_password_needs_the_old_one_and_ends_other_sessions() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &[]).await;
        let elsewhere = world.sign_in("ada").await;
        let ctx = world.ctx("ada").await;
        let mut update = UserUpdate::of(UserRef::from(&ada));
        update.password = Patch::Set("a better horse".into());
        for wrong in [None, Some("wrong horse")] {
            update.current_password = wrong.map(Into::into);
            let refused = refused_at(world.access.user_update(&ctx, update.clone()).await);
            assert_eq!(refused, (ErrorCode::Validation, "currentPassword".into()));
        }
        update.current_password = Some(PASSWORD.into());
        let changed = world.access.user_update(&ctx, update.clone()).await.unwrap();
        assert_eq!(changed.events[0].payload, json!({ "passwordChanged": true, "sessionsEnded": 1 }));
        assert!(!world.holds(elsewhere.access_token.reveal()).await);
        assert!(world.try_sign_in("ada", PASSWORD).await.is_err());
        assert!(world.try_sign_in("ada", "a better horse").await.is_ok());
        update.password = Patch::Set("short".into());
        assert_eq!(refused_at(world.access.user_update(&ctx, update).await).1, "password");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays() {
    in_each_world(|world| async move {
        let root = world.user("root", &["administrator"]).await;
        let ctx = world.ctx("root").await;
        let mut demote = UserUpdate::of(UserRef::from(&root));
        demote.roles = Patch::Set(roles(&["agent"]));
        let mut deactivate = UserUpdate::of(UserRef::from(&root));
        deactivate.active = Patch::Set(false);
        for (update, path) in [(&demote, "roles"), (&deactivate, "active")] {
            let refused = refused_at(world.access.user_update(&ctx, update.clone()).await);
            assert_eq!(refused, (ErrorCode::Validation, path.into()));
        }
        world.bot("robot", &["administrator"]).await;
        let refused = refused_at(world.access.user_update(&ctx, demote.clone()).await);
        assert_eq!(refused.1, "roles", "a service account cannot sign in and does not count");
        world.user("second", &["administrator"]).await;
        world.access.user_update(&ctx, demote).await.unwrap();
        let held = world.access.roles_of(&world.root, &[root.id]).await.unwrap();
        assert_eq!(held[&root.id].iter().map(|held| held.role.as_str()).collect::<Vec<_>>(), ["agent"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_remove_each_other_one_stays() {
    in_each_world(|world| async move {
        let demote = |target: &Account| {
            let mut update = UserUpdate::of(UserRef::from(target));
            update.roles = Patch::Set(vec![]);
            let access = world.access.clone();
            let root = world.root.clone();
            tokio::spawn(async move { access.user_update(&root, update).await })
        };
        let mut first = world.user("first", &["administrator"]).await;
        for round in 0..20 {
            let second = world.user(&format!("second{round}"), &["administrator"]).await;
            let (a, b) = tokio::join!(demote(&first), demote(&second));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
            if a.is_ok() {
                first = second;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_roles_take_effect_at_once() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["requester"]).await;
        let signed_in = world.sign_in("ada").await;
        let grants =
            || async { world.access.authenticate(signed_in.access_token.reveal(), "t").await.unwrap().ctx.grants };
        assert!(!grants().await.holds("user.read"));
        let mut promote = UserUpdate::of(UserRef::from(&ada));
        promote.roles = Patch::Set(roles(&["agent"]));
        let changed = world.access.user_update(&world.root, promote.clone()).await.unwrap();
        let change = &changed.events[0].changes[0];
        assert_eq!(change.field, "roles");
        assert_eq!(change.before, json!([{ "role": "requester", "team": null }]));
        assert!(grants().await.holds("user.read"));
        let again = world.access.user_update(&world.root, promote).await.unwrap();
        assert!(again.events.is_empty(), "the same roles are no change");
        assert_eq!(again.record.version, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_for_one_team_reaches_that_team() {
    in_each_world(|world| async move {
        let network = world.team("network").await;
        world.team("desktop").await;
        let ada = world.user_with("ada", vec![role_for("agent", &network)]).await;
        for team in ["network", "desktop"] {
            let member = access::Membership { team: TeamRef::Slug(team.into()), user: UserRef::from(&ada) };
            world.access.team_member_add(&world.root, member).await.unwrap();
        }
        let grants = world.ctx("ada").await.grants;
        assert_eq!(grants.teams.len(), 2);
        assert_eq!(grants.teams_with("ticket.update"), [network.id]);
        assert!(grants.holds_tenant("ticket.createOnBehalf"), "the one team bounds the scope TEAM only");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_version_refuses_the_slower() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &[]).await;
        let mut update = UserUpdate::of(UserRef::from(&ada));
        update.name = Patch::Set("Ada L.".into());
        update.expected_version = Some(1);
        world.access.user_update(&world.root, update.clone()).await.unwrap();
        update.name = Patch::Set("Ada M.".into());
        let error = refusal(world.access.user_update(&world.root, update).await);
        assert_eq!((error.code, error.path), (ErrorCode::Conflict, vec!["expectedVersion".to_owned()]));
        assert_eq!(error.detail, kernel::Detail::Conflict { current_version: Some(2) });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_without_a_version_both_hold() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &[]).await;
        let mut name = UserUpdate::of(UserRef::from(&ada));
        name.name = Patch::Set("Ada L.".into());
        let mut zone = UserUpdate::of(UserRef::from(&ada));
        zone.time_zone = Patch::Set("Europe/London".into());
        let (a, b) =
            tokio::join!(world.access.user_update(&world.root, name), world.access.user_update(&world.root, zone));
        a.unwrap();
        b.unwrap();
        let after = world.access.account(&world.root, ada.id).await.unwrap();
        assert_eq!(
            (after.name.as_str(), after.time_zone.as_deref(), after.version),
            ("Ada L.", Some("Europe/London"), 3)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_user_once_and_a_dry_run_none() {
    in_each_world(|world| async move {
        let command = UserCreate { email: "ada@acme.example".into(), name: "Ada".into(), ..UserCreate::default() };
        let dry = world.root.for_mutation(Mutation { dry_run: true, ..Mutation::default() });
        let tried = world.access.user_create(&dry, command.clone()).await.unwrap();
        assert_eq!((tried.record.name.as_str(), tried.events.len()), ("Ada", 1));
        assert!(world.access.user(&world.root, &UserRef::Email("ada@acme.example".into())).await.is_err());
        let keyed = world.root.for_mutation(Mutation { idempotency_key: Some("k1".into()), ..Mutation::default() });
        let first = world.access.user_create(&keyed, command.clone()).await.unwrap();
        let second = world.access.user_create(&keyed, command).await.unwrap();
        assert_eq!(first.record, second.record);
        assert_eq!(first.events[0].id, second.events[0].id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_accounts_have_neither_address_nor_password() {
    in_each_world(|world| async move {
        let bot = world.bot("chatbot", &["agent"]).await;
        assert!(bot.public_id().to_string().starts_with("svc_"));
        let mut update = UserUpdate::of(UserRef::from(&bot));
        update.email = Patch::Set("bot@acme.example".into());
        assert_eq!(refused_at(world.access.user_update(&world.root, update).await).1, "email");
        let mut update = UserUpdate::of(UserRef::from(&bot));
        update.password = Patch::Set(PASSWORD.into());
        assert_eq!(refused_at(world.access.user_update(&world.root, update).await).1, "password");
        let mut update = UserUpdate::of(UserRef::from(&bot));
        update.name = Patch::Set("Chatbot 2".into());
        assert_eq!(world.access.user_update(&world.root, update).await.unwrap().record.name, "Chatbot 2");
    })
    .await;
}

fn managed_by(user: &Account, manager: Patch<&Account>) -> UserUpdate {
    UserUpdate { manager: manager.map(UserRef::from), ..UserUpdate::of(UserRef::from(user)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_told_and_hidden_like_an_address() {
    in_each_world(|world| async move {
        let boss = world.user("boss", &[]).await;
        let command = UserCreate {
            email: "ada@acme.example".into(),
            name: "Ada".into(),
            manager: Some(UserRef::from(&boss)),
            ..UserCreate::default()
        };
        let created = world.access.user_create(&world.root, command).await.unwrap();
        assert_eq!(created.record.manager, Some(boss.id));
        let told = |event: &store::Event| event.changes.iter().find(|change| change.field == "manager").cloned();
        assert_eq!(told(&created.events[0]).unwrap().after, json!(boss.public_id().to_string()));
        assert!(!created.events[0].facts.contains_key("manager"));

        let ada = created.record;
        let gone = world.access.user_update(&world.root, managed_by(&ada, Patch::Clear)).await.unwrap();
        assert_eq!((gone.record.manager, gone.record.version), (None, 2));
        let change = told(&gone.events[0]).unwrap();
        assert_eq!((change.before, change.after), (json!(boss.public_id().to_string()), json!(null)));
        let again = world.access.user_update(&world.root, managed_by(&ada, Patch::Clear)).await.unwrap();
        assert_eq!((again.record.version, again.events.len()), (2, 0), "nothing changes twice");

        world.access.user_update(&world.root, managed_by(&ada, Patch::Set(&boss))).await.unwrap();
        world.user("rita", &["requester"]).await;
        let rita = world.ctx("rita").await;
        assert_eq!(world.access.account(&rita, ada.id).await.unwrap().manager, None);
        let refused = refused_at(world.access.user_update(&rita, managed_by(&ada, Patch::Clear)).await);
        assert_eq!(refused, (ErrorCode::Forbidden, "manager".into()));
        let bot = world.bot("bot", &[]).await;
        let refused = refused_at(world.access.user_update(&world.root, managed_by(&bot, Patch::Set(&boss))).await);
        assert_eq!(refused, (ErrorCode::Validation, "manager".into()));
        let refused = refused_at(world.access.user_update(&world.root, managed_by(&ada, Patch::Set(&bot))).await);
        assert_eq!(refused, (ErrorCode::NotFound, "manager.id".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_manages_themselves() {
    in_each_world(|world| async move {
        let (ada, bob, cyd) =
            (world.user("ada", &[]).await, world.user("bob", &[]).await, world.user("cyd", &[]).await);
        let set = async |user: &Account, manager: &Account| {
            world.access.user_update(&world.root, managed_by(user, Patch::Set(manager))).await
        };
        assert_eq!(refused_at(set(&ada, &ada).await), (ErrorCode::Validation, "manager".into()));
        set(&ada, &bob).await.unwrap();
        set(&bob, &cyd).await.unwrap();
        for user in [&ada, &bob] {
            let error = refusal(set(&cyd, user).await);
            assert!(error.message.contains("nobody manages themselves"), "{}", error.message);
        }
        assert_eq!(world.access.account(&world.root, cyd.id).await.unwrap().manager, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_at_once_close_no_circle() {
    in_each_world(|world| async move {
        for round in 0..8 {
            let name = |who: &str| format!("{who}{round}");
            let (one, two) = (world.user(&name("one"), &[]).await, world.user(&name("two"), &[]).await);
            let (three, four) = (world.user(&name("three"), &[]).await, world.user(&name("four"), &[]).await);
            // one is managed by two, three by four: the two changes would close the circle together.
            for (user, manager) in [(&one, &two), (&three, &four)] {
                world.access.user_update(&world.root, managed_by(user, Patch::Set(manager))).await.unwrap();
            }
            let (left, right) = tokio::join!(
                world.access.user_update(&world.root, managed_by(&two, Patch::Set(&three))),
                world.access.user_update(&world.root, managed_by(&four, Patch::Set(&one))),
            );
            assert!(left.is_ok() != right.is_ok(), "one is done, the other refused: {left:?} {right:?}");
            let refused = refusal(if left.is_err() { left } else { right });
            assert_eq!((refused.code, refused.path.join(".")), (ErrorCode::Validation, "manager".into()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_managers_stand_above_a_user() {
    in_each_world(|world| async move {
        let mut top = world.user("u0", &[]).await;
        for number in 1..=MAX_MANAGERS {
            let user = world.user(&format!("u{number}"), &[]).await;
            world.access.user_update(&world.root, managed_by(&user, Patch::Set(&top))).await.unwrap();
            top = user;
        }
        let user = world.user("one-too-many", &[]).await;
        let refused = refused_at(world.access.user_update(&world.root, managed_by(&user, Patch::Set(&top))).await);
        assert_eq!(refused, (ErrorCode::Limit, "manager".into()));
    })
    .await;
}
