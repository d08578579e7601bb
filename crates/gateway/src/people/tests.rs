//! People through the schema: documents in, answers out, on both engines.

use std::future::Future;

use access::{Account, PasswordCost, RoleInput, TenantCreate, UserCreate};
use async_graphql::{Executor, Request};
use kernel::{Clock, Ctx};
use migrations::testing::{TestStore, each_engine};
use serde_json::{Value as Json, json};

use crate::door::{Backend, Limits, Viewer};
use crate::error::finish;
use crate::files::Files;
use crate::platform::{Executing, Platform};

const PASSWORD: &str = "correct horse";

/// A tenant with an administrator, `ada@acme.example`.
struct World {
    store: TestStore,
    platform: Platform,
    executor: Executing,
    root: Ctx,
    ada: Ctx,
}

async fn in_each_world<R: Future<Output = ()>>(test: impl Fn(World) -> R) {
    each_engine(|store| async {
        // Passwords at the least cost: what they cost is tested elsewhere.
        let password_cost = PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 };
        let settings = access::Settings { password_cost, ..access::Settings::default() };
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path()).unwrap();
        let platform = Platform::start(store.store.clone(), settings, Limits::default(), files).await.unwrap();
        let tenant = TenantCreate { slug: "acme".into(), name: "Acme".into() };
        let tenant = platform.access.tenant_create(tenant).await.unwrap();
        let root = platform.access.command_line_ctx(tenant.id, "test");
        let executor = Executing::new(crate::schema::build(platform.clone()), platform.clone());
        let mut world = World { store, platform, executor, ada: root.clone(), root };
        world.user("ada", "administrator").await;
        world.ada = world.ctx("ada").await;
        test(world).await;
    })
    .await;
}

impl World {
    async fn user(&self, name: &str, role: &str) -> Account {
        let command = UserCreate {
            email: format!("{name}@acme.example"),
            name: name.into(),
            password: Some(PASSWORD.into()),
            roles: vec![RoleInput { role: role.into(), team: None }],
            ..UserCreate::default()
        };
        self.platform.access.user_create(&self.root, command).await.unwrap().record
    }

    async fn ctx(&self, name: &str) -> Ctx {
        let command = access::SignIn { tenant: None, email: format!("{name}@acme.example"), password: PASSWORD.into() };
        let signed_in = self.platform.access.sign_in(command, "test").await.unwrap();
        self.authenticate(signed_in.access_token.reveal()).await.unwrap()
    }

    async fn authenticate(&self, token: &str) -> kernel::Result<Ctx> {
        self.platform.authenticate(token, "test").await.map(|principal| principal.ctx)
    }

    /// The whole answer, its errors as clients see them.
    async fn ask(&self, ctx: Option<&Ctx>, document: &str) -> Json {
        let viewer = Viewer {
            place: None,
            ctx: ctx.cloned(),
            live: None,
            request_id: "test".into(),
            clock: Clock::Manual(self.store.clock.clone()),
            address: None,
        };
        let mut answer = self.executor.execute(Request::new(document).data(viewer)).await;
        finish(&mut answer.errors, "test");
        serde_json::to_value(answer).unwrap()
    }

    /// The data of an answer without errors.
    async fn data(&self, ctx: &Ctx, document: &str) -> Json {
        let mut answer = self.ask(Some(ctx), document).await;
        assert!(answer.get("errors").is_none(), "{document}: {answer}");
        answer["data"].take()
    }
}

fn code(answer: &Json) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_opens_the_door() {
    in_each_world(|world| async move {
        let sign_in = |password: &str| {
            format!(
                r#"mutation {{ sessionCreate(input: {{ tenant: "acme", email: "Ada@acme.example", password: "{password}" }}) {{
                    accessToken refreshToken expiresAt refreshExpiresAt sessionId userId userErrors {{ message }} }} }}"#
            )
        };
        assert_eq!(code(&world.ask(None, &sign_in("wrong horse")).await), "UNAUTHENTICATED");
        assert_eq!(code(&world.ask(None, "{ viewer { tenant { slug } } }").await), "UNAUTHENTICATED");
        assert_eq!(code(&world.ask(None, "{ users { nodes { name } } }").await), "UNAUTHENTICATED");

        let answer = world.ask(None, &sign_in(PASSWORD)).await;
        let session = &answer["data"]["sessionCreate"];
        let token = session["accessToken"].as_str().unwrap();
        let ctx = world.authenticate(token).await.unwrap();
        let viewer = world
            .data(&ctx, "{ viewer { tenant { slug } actor { __typename id name ... on User { email active roles { role { key } team { slug } } } }
                permissions { permission scope team { slug } } teams { slug } apiTokens { name } } }")
            .await;
        let viewer = &viewer["viewer"];
        assert_eq!(viewer["tenant"]["slug"], "acme");
        assert_eq!(viewer["actor"]["__typename"], "User");
        assert_eq!(viewer["actor"]["id"], session["userId"]);
        assert_eq!(viewer["actor"]["email"], "ada@acme.example");
        assert_eq!(viewer["actor"]["roles"], json!([{ "role": { "key": "administrator" }, "team": null }]));
        let manage = json!({ "permission": "user.manage", "scope": "TENANT", "team": null });
        assert!(viewer["permissions"].as_array().unwrap().contains(&manage));

        let refresh = format!(
            r#"mutation {{ sessionRefresh(input: {{ refreshToken: {} }}) {{ accessToken sessionId }} }}"#,
            session["refreshToken"]
        );
        let refreshed = world.ask(None, &refresh).await;
        assert_eq!(refreshed["data"]["sessionRefresh"]["sessionId"], session["sessionId"]);
        let revoke = "mutation { sessionRevoke(input: {}) { sessionId events { __typename } userErrors { message } } }";
        let revoked = world.data(&ctx, revoke).await;
        assert_eq!(revoked["sessionRevoke"]["sessionId"], session["sessionId"]);
        assert_eq!(revoked["sessionRevoke"]["events"], json!([{ "__typename": "SessionRevoked" }]));
        assert!(world.authenticate(token).await.is_err());
        assert_eq!(code(&world.ask(None, &refresh).await), "UNAUTHENTICATED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_and_changed() {
    in_each_world(|world| async move {
        let made = world
            .data(
                &world.ada,
                r#"mutation {
                    teamCreate(input: { slug: "network", name: "Network", description: "Cables" }) { team { id slug description version } userErrors { message } }
                    userCreate(input: { email: "bob@acme.example", name: "Bob", timeZone: "Europe/Vienna",
                        roles: [{ role: "agent", team: { slug: "network" } }] }) {
                        user { id name email timeZone version roles { role { key name } team { slug } } }
                        events { __typename cursor actor { id } changes { field } }
                        userErrors { path } }
                    teamMemberAdd(input: { team: { slug: "network" }, user: { email: "BOB@acme.example" } }) {
                        team { members(first: 5) { __typename name } } events { __typename } userErrors { path } }
                }"#,
            )
            .await;
        let user = &made["userCreate"]["user"];
        assert_eq!(made["teamCreate"]["team"]["description"], "Cables");
        assert_eq!((&user["email"], &user["timeZone"]), (&json!("bob@acme.example"), &json!("Europe/Vienna")));
        assert_eq!(user["roles"][0]["team"]["slug"], "network");
        assert_eq!(made["userCreate"]["events"][0]["__typename"], "UserCreated");
        assert_eq!(made["userCreate"]["events"][0]["cursor"], Json::Null);
        assert_eq!(made["teamMemberAdd"]["team"]["members"], json!([{ "__typename": "User", "name": "Bob" }]));

        let update = |input: &str| {
            format!("mutation {{ userUpdate(input: {{ user: {{ id: {} }}, {input} }}) {{
                user {{ name timeZone version }} serviceAccount {{ id }} events {{ __typename }}
                userErrors {{ __typename code path ... on ConflictError {{ currentVersion }} }} }} }}", user["id"])
        };
        let changed = world.data(&world.ada, &update(r#"name: "Robert", timeZone: null, expectedVersion: 1"#)).await;
        assert_eq!(changed["userUpdate"]["user"], json!({ "name": "Robert", "timeZone": null, "version": 2 }));
        assert_eq!(changed["userUpdate"]["serviceAccount"], Json::Null);
        let stale = world.data(&world.ada, &update(r#"name: "Rob", expectedVersion: 1"#)).await;
        assert_eq!(
            stale["userUpdate"],
            json!({ "user": null, "serviceAccount": null, "events": [], "userErrors": [{
                "__typename": "ConflictError", "code": "CONFLICT", "path": ["expectedVersion"], "currentVersion": 2 }] })
        );
        let wrong = world.data(&world.ada, &update(r#"roles: [{ role: "agent" }, { role: "agent", team: { id: "nonsense" } }]"#)).await;
        assert_eq!(wrong["userUpdate"]["userErrors"][0]["path"], json!(["roles", "1", "team", "id"]));
        let taken = world.data(&world.ada, &update(r#"email: "ada@acme.example""#)).await;
        assert_eq!(taken["userUpdate"]["userErrors"][0]["path"], json!(["email"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_nothing_and_a_key_does_it_once() {
    in_each_world(|world| async move {
        let create = |more: &str| {
            format!(r#"mutation {{ teamCreate(input: {{ slug: "ops", name: "Ops", {more} }}) {{ team {{ id }} events {{ __typename }} userErrors {{ code path }} }} }}"#)
        };
        let dry = world.data(&world.ada, &create("dryRun: true")).await;
        assert_eq!(dry["teamCreate"]["events"], json!([{ "__typename": "TeamCreated" }]));
        let none = world.data(&world.ada, r#"{ team(by: { slug: "ops" }) { id } }"#).await;
        assert_eq!(none["team"], Json::Null);
        let first = world.data(&world.ada, &create(r#"idempotencyKey: "k""#)).await;
        let again = world.data(&world.ada, &create(r#"idempotencyKey: "k""#)).await;
        assert_eq!(first, again);
        assert_eq!(first["teamCreate"]["userErrors"], json!([]));
        let other = world.data(&world.ada, &create(r#"idempotencyKey: "k", description: "x""#)).await;
        assert_eq!(other["teamCreate"]["userErrors"][0]["code"], "IDEMPOTENCY_MISMATCH");
        let taken = world.data(&world.ada, &create("")).await;
        assert_eq!(taken["teamCreate"]["userErrors"], json!([{ "code": "CONFLICT", "path": ["slug"] }]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_sees_names_and_their_own_details() {
    in_each_world(|world| async move {
        world.user("rita", "requester").await;
        let rita = world.ctx("rita").await;
        let users = world
            .data(&rita, "{ users { totalCount totalCountIsExact logCursor pageInfo { hasNextPage } nodes { name email roles { role { key } } } } }")
            .await;
        assert_eq!(
            users["users"]["nodes"],
            json!([{ "name": "ada", "email": null, "roles": null },
                { "name": "rita", "email": "rita@acme.example", "roles": [{ "role": { "key": "requester" } }] }])
        );
        assert_eq!(users["users"]["totalCount"], 2);
        assert!(users["users"]["logCursor"].is_string());
        // What one may not read is no use in a filter either, nor by reference.
        let probe = r#"{ users(filter: { email: { startsWith: "ada" } }) { nodes { name } } user(by: { email: "ada@acme.example" }) { id } }"#;
        assert_eq!(world.data(&rita, probe).await, json!({ "users": { "nodes": [] }, "user": null }));
        let refused = world.data(&rita, r#"mutation { userCreate(input: { email: "x@y.z", name: "X" }) { user { id } userErrors { code } } }"#).await;
        assert_eq!(refused["userCreate"], json!({ "user": null, "userErrors": [{ "code": "FORBIDDEN" }] }));
        let mine = world.data(&rita, "{ users(filter: { isViewer: true }) { nodes { name } } }").await;
        assert_eq!(mine["users"]["nodes"], json!([{ "name": "rita" }]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_walked_and_wrong_arguments_are_told() {
    in_each_world(|world| async move {
        for name in ["bea", "cid", "dan"] {
            world.user(name, "requester").await;
        }
        let order = r#"orderBy: [{ field: NAME, direction: DESC }]"#;
        let first = world
            .data(
                &world.ada,
                &format!("{{ users(first: 2, {order}) {{ nodes {{ name }} pageInfo {{ endCursor hasNextPage }} }} }}"),
            )
            .await;
        assert_eq!(first["users"]["nodes"], json!([{ "name": "dan" }, { "name": "cid" }]));
        let after = &first["users"]["pageInfo"]["endCursor"];
        let second = world
            .data(
                &world.ada,
                &format!("{{ users(first: 2, after: {after}, {order}) {{ edges {{ node {{ name }} }} }} }}"),
            )
            .await;
        assert_eq!(second["users"]["edges"], json!([{ "node": { "name": "bea" } }, { "node": { "name": "ada" } }]));
        let wrong =
            world.ask(Some(&world.ada), r#"{ users(filter: { or: [{ id: { eq: "x" } }] }) { nodes { id } } }"#).await;
        assert_eq!(code(&wrong), "VALIDATION");
        assert_eq!(wrong["errors"][0]["extensions"]["inputPath"], json!(["filter", "or", "id"]));
        let wrong =
            world.ask(Some(&world.ada), r#"{ user(by: { id: "team_01h455vb4pex5vsknk084sn02q" }) { id } }"#).await;
        assert_eq!(wrong["errors"][0]["extensions"]["inputPath"], json!(["by", "id"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_carries_no_more_than_its_scopes() {
    in_each_world(|world| async move {
        let made = world
            .data(&world.ada, r#"mutation {
                apiTokenCreate(input: { name: "ci", scopes: ["ticket.read"], expiresAt: "2027-01-01T00:00:00Z" }) {
                    token apiToken { id name prefix scopes expiresAt revokedAt } userErrors { message } } }"#)
            .await;
        let (token, api_token) = (made["apiTokenCreate"]["token"].as_str().unwrap(), &made["apiTokenCreate"]["apiToken"]);
        assert!(token.starts_with(api_token["prefix"].as_str().unwrap()));
        let ctx = world.authenticate(token).await.unwrap();
        let seen = world.data(&ctx, "{ viewer { permissions { permission } apiTokens { id scopes } } }").await;
        assert_eq!(seen["viewer"]["permissions"], json!([{ "permission": "ticket.read" }]));
        assert_eq!(seen["viewer"]["apiTokens"], json!([{ "id": api_token["id"], "scopes": ["ticket.read"] }]));
        let revoke = format!("mutation {{ apiTokenRevoke(input: {{ id: {} }}) {{ apiToken {{ revokedAt }} userErrors {{ message }} }} }}", api_token["id"]);
        assert!(world.data(&world.ada, &revoke).await["apiTokenRevoke"]["apiToken"]["revokedAt"].is_string());
        assert!(world.authenticate(token).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_acts_with_its_own_rights() {
    in_each_world(|world| async move {
        let made = world
            .data(&world.ada, r#"mutation { serviceAccountCreate(input: { name: "bot", roles: [{ role: "agent" }] }) {
                serviceAccount { id name active roles { role { key } } } events { __typename } userErrors { message } } }"#)
            .await;
        let id = &made["serviceAccountCreate"]["serviceAccount"]["id"];
        let token = world
            .data(&world.ada, &format!(r#"mutation {{ apiTokenCreate(input: {{ name: "bot", for: {id} }}) {{ token userErrors {{ message path }} }} }}"#))
            .await;
        let bot = world.authenticate(token["apiTokenCreate"]["token"].as_str().unwrap()).await.unwrap();
        let viewer = world.data(&bot, "{ viewer { actor { __typename name } } }").await;
        assert_eq!(viewer["viewer"]["actor"], json!({ "__typename": "ServiceAccount", "name": "bot" }));
        let users = world.data(&bot, "{ users { nodes { name } } }").await;
        assert_eq!(users["users"]["nodes"], json!([{ "name": "ada" }]), "service accounts are not among the users");
        let off = world
            .data(&world.ada, &format!(r#"mutation {{ userUpdate(input: {{ user: {{ id: {id} }}, active: false }}) {{
                user {{ id }} serviceAccount {{ active }} userErrors {{ message }} }} }}"#))
            .await;
        assert_eq!(off["userUpdate"], json!({ "user": null, "serviceAccount": { "active": false }, "userErrors": [] }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_are_read_in_batches() {
    in_each_world(|world| async move {
        for index in 0..12 {
            world.user(&format!("user{index}"), "agent").await;
            let document = format!(
                r#"mutation {{ teamCreate(input: {{ slug: "t{index}", name: "T{index}" }}) {{ userErrors {{ message }} }}
                    teamMemberAdd(input: {{ team: {{ slug: "t{index}" }}, user: {{ email: "user{index}@acme.example" }} }}) {{ userErrors {{ message }} }} }}"#
            );
            let made = world.data(&world.ada, &document).await;
            assert_eq!(made["teamMemberAdd"]["userErrors"], json!([]));
        }
        let statements = async |first: u32| {
            let before = world.store.statement_count();
            let document = format!("{{ teams(first: {first}) {{ nodes {{ name members {{ name }} }} }} users(first: {first}, filter: {{ name: {{ startsWith: \"user\" }} }}) {{ nodes {{ teams {{ slug }} roles {{ role {{ key }} }} }} }} }}");
            let answer = world.data(&world.ada, &document).await;
            assert_eq!(answer["teams"]["nodes"].as_array().unwrap().len(), first as usize);
            assert_eq!(answer["teams"]["nodes"][0]["members"].as_array().unwrap().len(), 1);
            assert_eq!(answer["users"]["nodes"][0]["teams"].as_array().unwrap().len(), 1);
            world.store.statement_count() - before
        };
        let (few, many) = (statements(1).await, statements(12).await);
        assert_eq!(few, many, "the number of statements does not depend on the number of records");
        // Two lists; visible teams, memberships and accounts; memberships and teams; roles.
        assert_eq!(many, 8);
    })
    .await;
}
