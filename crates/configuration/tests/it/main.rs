//! Services, configuration items and their relations, on both engines.

use std::future::Future;
use std::sync::Arc;

use access::{Access, RoleInput, Settings, SignIn, TeamCreate, TeamRef, TenantCreate, UserCreate, UserRef};
use configuration::{
    Configuration, CreateItem, CreateService, ItemClass, ItemRef, MAX_RELATIONS, RelateItems, RelationType, ServiceRef,
    UpdateItem, UpdateService,
};
use kernel::id::prefix;
use kernel::{Ctx, Error, ErrorCode, Id, Mutation, Patch, Uuid};
use migrations::testing::{TestStore, each_engine};
use predicate::Catalogue;
use serde_json::json;
use store::Event;
use store::query::Row;

const PASSWORD: &str = "correct horse";

struct World {
    _store: TestStore,
    access: Access,
    configuration: Configuration,
    root: Ctx,
}

async fn in_each_world<R: Future<Output = ()>>(test: impl Fn(World) -> R) {
    each_engine(|store| async {
        let catalogue = Catalogue::new(access::RECORDS.into_iter().chain(configuration::RECORDS)).unwrap();
        let password_cost = access::PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 };
        let settings = Settings { password_cost, ..Settings::default() };
        let access = Access::new(store.store.clone(), Arc::new(catalogue), settings).unwrap();
        let tenant = access.tenant_create(TenantCreate { slug: "acme".into(), name: "Acme".into() }).await.unwrap();
        let root = access.command_line_ctx(tenant.id, "test");
        let configuration = Configuration::new(access.clone());
        let team = TeamCreate { slug: "network".into(), name: "Network".into(), ..Default::default() };
        access.team_create(&root, team).await.unwrap();
        test(World { _store: store, access, configuration, root }).await;
    })
    .await;
}

impl World {
    async fn person(&self, name: &str, role: &str) -> Ctx {
        let email = format!("{name}@acme.example");
        let command = UserCreate {
            email: email.clone(),
            name: name.into(),
            password: Some(PASSWORD.into()),
            roles: vec![RoleInput { role: role.into(), team: None }],
            ..UserCreate::default()
        };
        self.access.user_create(&self.root, command).await.unwrap();
        let command = SignIn { tenant: Some("acme".into()), email, password: PASSWORD.into() };
        let signed_in = self.access.sign_in(command, "test").await.unwrap();
        self.access.authenticate(signed_in.access_token.reveal(), "test").await.unwrap().ctx
    }

    async fn service(&self, key: &str) -> Row {
        self.configuration.create_service(&self.root, service(key)).await.unwrap().record
    }

    async fn item(&self, name: &str) -> Row {
        self.configuration.create_item(&self.root, item(name)).await.unwrap().record
    }

    async fn relate(&self, source: &Row, kind: RelationType, target: &Row) -> kernel::Result<access::Changed<Row>> {
        self.configuration.relate_items(&self.root, relation(source, kind, target)).await
    }
}

fn service(key: &str) -> CreateService {
    CreateService { key: key.into(), name: key.to_uppercase(), description: None, owner: None, team: None }
}

fn item(name: &str) -> CreateItem {
    CreateItem { name: name.into(), class: ItemClass::Server, service: None }
}

fn relation(source: &Row, kind: RelationType, target: &Row) -> RelateItems {
    RelateItems { source: item_ref(source), kind, target: item_ref(target) }
}

fn item_ref(row: &Row) -> ItemRef {
    ItemRef::Id(Id::new(prefix::CONFIGURATION_ITEM, row.id()))
}

fn update_service(key: &str) -> UpdateService {
    UpdateService {
        service: ServiceRef::Key(key.into()),
        name: None,
        description: Patch::Keep,
        owner: Patch::Keep,
        team: Patch::Keep,
        retired: None,
        expected_version: None,
    }
}

fn update_item(row: &Row) -> UpdateItem {
    UpdateItem {
        item: item_ref(row),
        name: None,
        class: None,
        service: Patch::Keep,
        retired: None,
        expected_version: None,
    }
}

fn refused_at<T: std::fmt::Debug>(result: Result<T, Error>) -> (ErrorCode, String) {
    match result {
        Err(Error::Refused(errors)) if errors.len() == 1 => (errors[0].code, errors[0].path.join(".")),
        other => panic!("expected one user error, got {other:?}"),
    }
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn fields(event: &Event) -> Vec<&str> {
    event.changes.iter().map(|change| change.field.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_from_its_beginning_to_its_end() {
    in_each_world(|world| async move {
        let owner = world.person("ada", "agent").await;
        let command = CreateService {
            name: " E-mail ".into(),
            owner: Some(UserRef::Email("ada@acme.example".into())),
            team: Some(TeamRef::Slug("network".into())),
            ..service("e-mail")
        };
        let created = world.configuration.create_service(&world.root, command).await.unwrap();
        assert_eq!((created.record.text("name"), created.record.int("version")), ("E-mail".into(), 1));
        assert_eq!(kinds(&created.events), ["ServiceCreated"]);
        assert_eq!(fields(&created.events[0]), ["key", "name", "owner", "team"]);
        let owner_id = Id::new(prefix::USER, owner.actor.id).to_string();
        assert_eq!(created.events[0].changes[2].after, json!(owner_id), "told with the id that clients know");

        let command = UpdateService { owner: Patch::Clear, retired: Some(true), ..update_service("e-mail") };
        let updated = world.configuration.update_service(&world.root, command.clone()).await.unwrap();
        assert_eq!((updated.record.int("version"), updated.record.bool("retired")), (2, true));
        assert_eq!(
            (kinds(&updated.events), fields(&updated.events[0])),
            (vec!["ServiceUpdated"], vec!["owner", "retired"])
        );
        let again = world.configuration.update_service(&world.root, command).await.unwrap();
        assert_eq!((again.record.int("version"), again.events.len()), (2, 0), "nothing changes twice");
        let rita = world.person("rita", "requester").await;
        let seen = world.configuration.service(&rita, &ServiceRef::Key("e-mail".into())).await.unwrap();
        assert_eq!(seen.map(|row| row.id()), Some(created.record.id()), "services are seen by the whole tenant");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told() {
    in_each_world(|world| async move {
        let create = |command| world.configuration.create_service(&world.root, command);
        world.service("e-mail").await;
        assert_eq!(refused_at(create(service("e-mail")).await), (ErrorCode::Conflict, "key".into()));
        assert_eq!(refused_at(create(service("E Mail")).await), (ErrorCode::Validation, "key".into()));
        assert_eq!(refused_at(create(service(&"x".repeat(64))).await), (ErrorCode::Limit, "key".into()));
        let nameless = CreateService { name: " ".into(), ..service("web") };
        assert_eq!(refused_at(create(nameless).await), (ErrorCode::Validation, "name".into()));
        let long = CreateService { description: Some("x".repeat(10_001)), ..service("web") };
        assert_eq!(refused_at(create(long).await), (ErrorCode::Limit, "description".into()));
        let nobody = CreateService { owner: Some(UserRef::Email("no@acme.example".into())), ..service("web") };
        assert_eq!(refused_at(create(nobody).await), (ErrorCode::NotFound, "owner.email".into()));
        let nowhere = CreateService { team: Some(TeamRef::Slug("nowhere".into())), ..service("web") };
        assert_eq!(refused_at(create(nowhere).await), (ErrorCode::NotFound, "team.slug".into()));
        for key in ["web", "a\0b", ""] {
            let refused = refused_at(world.configuration.update_service(&world.root, update_service(key)).await);
            assert_eq!(refused, (ErrorCode::NotFound, "service.key".into()));
        }
        let stale = UpdateService { expected_version: Some(7), ..update_service("e-mail") };
        let refused = refused_at(world.configuration.update_service(&world.root, stale).await);
        assert_eq!(refused, (ErrorCode::Conflict, "expectedVersion".into()));
        let retire = UpdateService { retired: Some(true), ..update_service("e-mail") };
        world.configuration.update_service(&world.root, retire).await.unwrap();
        let of_retired = CreateItem { service: Some(ServiceRef::Key("e-mail".into())), ..item("mail-1") };
        let refused = refused_at(world.configuration.create_item(&world.root, of_retired).await);
        assert_eq!(refused, (ErrorCode::Validation, "service.key".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_keep_the_configuration_change_it() {
    in_each_world(|world| async move {
        let row = world.item("db-1").await;
        for (name, role) in [("ada", "agent"), ("rita", "requester"), ("ivy", "auditor"), ("lee", "team_lead")] {
            let ctx = world.person(name, role).await;
            let attempts = [
                world.configuration.create_service(&ctx, service("web")).await,
                world.configuration.create_item(&ctx, item("x")).await,
                world.configuration.update_item(&ctx, update_item(&row)).await,
                world.configuration.relate_items(&ctx, relation(&row, RelationType::Uses, &row)).await,
            ];
            for attempt in attempts {
                assert_eq!(attempt.unwrap_err().code(), ErrorCode::Forbidden, "{role}");
            }
            let seen = world.configuration.item(&ctx, &item_ref(&row)).await.unwrap().is_some();
            assert_eq!(seen, role != "requester", "{role}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_are_typed_directed_and_stand_once() {
    in_each_world(|world| async move {
        let (shop, database) = (world.item("shop").await, world.item("db-1").await);
        let first = world.relate(&shop, RelationType::DependsOn, &database).await.unwrap();
        assert_eq!(kinds(&first.events), ["ConfigurationItemRelated"]);
        assert_eq!(first.events[0].payload["type"], "DEPENDS_ON");
        assert_eq!(first.record.int("version"), 1, "relations leave the version alone");
        let twice = world.relate(&shop, RelationType::DependsOn, &database).await.unwrap();
        assert!(twice.events.is_empty());
        world.relate(&shop, RelationType::Uses, &database).await.unwrap();
        world.relate(&database, RelationType::DependsOn, &shop).await.unwrap();
        let (leaving, arriving) =
            world.configuration.relations_of(&world.root, &[shop.id(), database.id()]).await.unwrap();
        let of = |rows: &[Row], end: &str, row: &Row| {
            rows.iter().filter(|found| found.get(end).as_id() == Some(row.id())).count()
        };
        assert_eq!((of(&leaving, "source", &shop), of(&arriving, "target", &shop)), (2, 1));
        assert_eq!((of(&leaving, "source", &database), of(&arriving, "target", &database)), (1, 2));
        assert_eq!(leaving[0].relation("target").unwrap().text("name"), "db-1");

        let rita = world.person("rita", "requester").await;
        let (leaving, arriving) = world.configuration.relations_of(&rita, &[shop.id()]).await.unwrap();
        assert!(leaving.is_empty() && arriving.is_empty());

        let gone = relation(&shop, RelationType::DependsOn, &database);
        let gone =
            world.configuration.unrelate_items(&world.root, gone.clone()).await.map(|done| (done, gone)).unwrap();
        assert_eq!(kinds(&gone.0.events), ["ConfigurationItemUnrelated"]);
        assert!(world.configuration.unrelate_items(&world.root, gone.1).await.unwrap().events.is_empty());
        let itself = world.relate(&shop, RelationType::PartOf, &shop).await;
        assert_eq!(refused_at(itself), (ErrorCode::Validation, "target".into()));
        let retire = UpdateItem { retired: Some(true), ..update_item(&database) };
        world.configuration.update_item(&world.root, retire).await.unwrap();
        let refused = refused_at(world.relate(&shop, RelationType::PartOf, &database).await);
        assert_eq!(refused, (ErrorCode::Validation, "target".into()));
        let nothing = Row::new(configuration::fields::RECORDS[1], vec![("id", Uuid::from_u128(7).into())]);
        let refused = refused_at(world.relate(&shop, RelationType::PartOf, &nothing).await);
        assert_eq!(refused, (ErrorCode::NotFound, "target.id".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_has_so_many_relations() {
    in_each_world(|world| async move {
        let hub = world.item("hub").await;
        for number in 0..MAX_RELATIONS {
            let other = world.item(&format!("port-{number}")).await;
            world.relate(&hub, RelationType::ConnectsTo, &other).await.unwrap();
        }
        let other = world.item("one-too-many").await;
        let refused = refused_at(world.relate(&hub, RelationType::ConnectsTo, &other).await);
        assert_eq!(refused, (ErrorCode::Limit, "source".into()));
        world.relate(&other, RelationType::ConnectsTo, &hub).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_again_and_a_call_that_is_only_tried() {
    in_each_world(|world| async move {
        let keyed = world.root.for_mutation(Mutation {
            idempotency_key: Some("k".into()),
            input_hash: [1; 32],
            dry_run: false,
        });
        let first = world.configuration.create_item(&keyed, item("db-1")).await.unwrap();
        let again = world.configuration.create_item(&keyed, item("db-1")).await.unwrap();
        assert_eq!(again.record.id(), first.record.id());
        assert_eq!(again.events.len(), 1);
        let dry = world.root.for_mutation(Mutation { dry_run: true, ..Mutation::default() });
        let tried = world.configuration.create_service(&dry, service("web")).await.unwrap();
        assert_eq!(kinds(&tried.events), ["ServiceCreated"]);
        let found = world.configuration.service(&world.root, &ServiceRef::Key("web".into())).await.unwrap();
        assert!(found.is_none());
        world.service("web").await;
    })
    .await;
}
