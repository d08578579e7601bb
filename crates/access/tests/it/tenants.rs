//! Tenants in one database know nothing of each other.

use access::{
    Access, Membership, SignIn, TeamCreate, TeamRef, TeamUpdate, TenantCreate, UserCreate, UserRef, UserUpdate,
};
use kernel::{ErrorCode, Id, Patch, Uuid, id::prefix};

use crate::setup::{PASSWORD, in_each_world, refusal, refused_at};

async fn other_tenant(access: &Access) -> kernel::Ctx {
    let tenant = access.tenant_create(TenantCreate { slug: "other".into(), name: "Other".into() }).await.unwrap();
    access.command_line_ctx(tenant.id, "test")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_comes_with_its_roles_and_its_system_actor() {
    in_each_world(|world| async move {
        for role in ["requester", "agent", "team_lead", "administrator", "auditor"] {
            world.user(role, &[role]).await;
        }
        let system = world.access.account(&world.root, world.root.actor.id).await.unwrap();
        assert_eq!((system.kind, system.name.as_str()), (kernel::ActorKind::System, "Deskwire"));
        let twin = TenantCreate { slug: "acme".into(), name: "Acme 2".into() };
        assert_eq!(refused_at(world.access.tenant_create(twin).await), (ErrorCode::Conflict, "slug".into()));
        assert_eq!(world.access.only_tenant().await.unwrap().map(|tenant| tenant.id), Some(world.tenant.id));
        assert_eq!(world.access.tenant_by_slug("acme").await.unwrap(), Some(world.tenant.clone()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_names_live_side_by_side() {
    in_each_world(|world| async move {
        let other = other_tenant(&world.access).await;
        let mine = world.user("ada", &[]).await;
        world.team("network").await;
        let twin = UserCreate {
            email: "ada@acme.example".into(),
            name: "Other Ada".into(),
            password: Some(PASSWORD.into()),
            ..UserCreate::default()
        };
        let theirs = world.access.user_create(&other, twin).await.unwrap().record;
        let team = TeamCreate { slug: "network".into(), name: "Network".into(), ..Default::default() };
        world.access.team_create(&other, team).await.unwrap();
        let sign_in = |tenant: &str| {
            let command =
                SignIn { tenant: Some(tenant.into()), email: "ada@acme.example".into(), password: PASSWORD.into() };
            world.access.sign_in(command, "test")
        };
        assert_eq!(sign_in("acme").await.unwrap().account.id, mine.id);
        assert_eq!(sign_in("other").await.unwrap().account.id, theirs.id);
        let found = world.access.user(&other, &UserRef::Email("ada@acme.example".into())).await.unwrap();
        assert_eq!(found.id, theirs.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_are_answered_like_random_ones() {
    in_each_world(|world| async move {
        let other = other_tenant(&world.access).await;
        let ada = world.user("ada", &["requester"]).await;
        let network = world.team("network").await;
        let signed_in = world.sign_in("ada").await;
        let ada_ctx = world.access.authenticate(signed_in.access_token.reveal(), "test").await.unwrap().ctx;
        let token = world.token(&ada_ctx, &[]).await.token;
        let random = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
        let access = &world.access;
        let users = [ada.public_id(), Id::new(prefix::USER, random)];
        let teams = [network.public_id(), Id::new(prefix::TEAM, random)];

        let mut answers = Vec::new();
        for index in 0..2 {
            let (user, team) = (UserRef::Id(users[index]), TeamRef::Id(teams[index]));
            let mut rename = UserUpdate::of(user.clone());
            rename.name = Patch::Set("Mine".into());
            let mut move_team = TeamUpdate::of(team.clone());
            move_team.name = Patch::Set("Mine".into());
            let member = Membership { team: team.clone(), user: user.clone() };
            let session = [signed_in.public_id(), Id::new(prefix::SESSION, random)][index];
            let api_token = [token.public_id(), Id::new(prefix::API_TOKEN, random)][index];
            answers.push((
                refusal(access.user(&other, &user).await),
                refusal(access.team(&other, &team).await),
                refusal(access.user_update(&other, rename).await),
                refusal(access.team_update(&other, move_team).await),
                format!("{:?}", access.team_member_add(&other, member).await),
                refusal(access.session_revoke(&other, Some(session)).await),
                refusal(access.api_token_revoke(&other, api_token).await),
                access.accounts_by_ids(&other, &[users[index].uuid]).await.unwrap(),
                access.teams_by_ids(&other, &[teams[index].uuid]).await.unwrap(),
                access.members(&other, &[teams[index].uuid], 10).await.unwrap(),
                access.api_tokens(&other, users[index].uuid).await.unwrap(),
            ));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].0.code, ErrorCode::NotFound);
        assert!(world.holds(signed_in.access_token.reveal()).await, "nothing was ended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_prefix_names_nothing() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &[]).await;
        let bot = world.bot("chatbot", &[]).await;
        for id in [
            Id::new(prefix::SERVICE_ACCOUNT, ada.id),
            Id::new(prefix::USER, bot.id),
            Id::new(prefix::TEAM, ada.id),
            Id::new(prefix::SYSTEM, world.root.actor.id),
            Id::new(prefix::USER, world.root.actor.id),
        ] {
            let refused = refused_at(world.access.user(&world.root, &UserRef::Id(id)).await);
            assert_eq!(refused, (ErrorCode::NotFound, "id".into()), "{id}");
        }
    })
    .await;
}
