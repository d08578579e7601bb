//! API tokens: made, narrowed, expired, revoked.

use access::commands::MAX_TOKENS;
use access::{ApiTokenCreate, Membership, TeamRef, UserRef};
use chrono::Duration;
use kernel::{ActorKind, Channel, ErrorCode, Id, Scope, id::prefix};

use crate::setup::{in_each_world, refusal, refused_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_carries_its_owners_rights_and_is_shown_once() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["agent"]).await;
        let ctx = world.ctx("ada").await;
        let issued = world.token(&ctx, &[]).await;
        assert!(issued.secret.reveal().starts_with("dw_pat_"));
        assert!(issued.secret.reveal().starts_with(&issued.token.prefix));
        let session = world.access.authenticate(issued.secret.reveal(), "test").await.unwrap();
        assert_eq!(session.ctx.actor.id, ada.id);
        assert_eq!(session.ctx.grants, ctx.grants);
        assert_eq!(session.ctx.channel, Channel::Token(issued.token.id));
        assert_eq!(session.expires_at, None);
        let listed = world.access.api_tokens(&ctx, ada.id).await.unwrap();
        assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [issued.token.id]);
        assert!(!format!("{listed:?}").contains(&issued.secret.reveal()[issued.token.prefix.len()..]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_holds_the_secret() {
    in_each_world(|world| async move {
        world.user("ada", &["agent"]).await;
        let ctx = world.ctx("ada").await;
        let command = ApiTokenCreate { name: "bot".into(), ..ApiTokenCreate::default() };
        let changed = world.access.api_token_create(&ctx, command).await.unwrap();
        let event = &changed.events[0];
        assert_eq!(event.kind, "ApiTokenCreated");
        let secret = changed.record.secret.reveal();
        assert!(!format!("{event:?}").contains(&secret[changed.record.token.prefix.len()..]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_narrow_and_never_widen() {
    in_each_world(|world| async move {
        world.user("ada", &["team_lead"]).await;
        let ctx = world.ctx("ada").await;
        let issued = world.token(&ctx, &["ticket.read:TEAM", "ticket.comment", "settings.manage"]).await;
        let grants = world.access.authenticate(issued.secret.reveal(), "test").await.unwrap().ctx.grants;
        assert!(!grants.holds_tenant("ticket.read"), "the lead reads all tickets, the token those of the team");
        assert!(grants.grants.iter().any(|grant| grant.permission == "ticket.read" && grant.scope == Scope::Team));
        assert!(grants.holds("ticket.comment"));
        assert!(!grants.holds("ticket.update"), "not among the scopes");
        assert!(!grants.holds("settings.manage"), "not among the owner's rights");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_token_cannot_make_a_wider_one() {
    in_each_world(|world| async move {
        world.user("ada", &["agent"]).await;
        let ctx = world.ctx("ada").await;
        let narrow = world.token(&ctx, &["ticket.read", "token.manage"]).await;
        let narrow = world.access.authenticate(narrow.secret.reveal(), "test").await.unwrap().ctx;
        let command = |scopes: &[&str]| ApiTokenCreate {
            name: "child".into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..ApiTokenCreate::default()
        };
        let refused = refused_at(world.access.api_token_create(&narrow, command(&[])).await);
        assert_eq!(refused, (ErrorCode::Forbidden, "scopes".into()));
        assert!(world.access.api_token_create(&narrow, command(&["ticket.read"])).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_checksum_asks_the_database_nothing() {
    in_each_world(|world| async move {
        let body = "dw_pat_".to_owned() + &"0".repeat(43);
        world.store.store.clone().close().await;
        // With every connection closed, only what asks nothing can answer.
        assert!(!world.holds(&(body + "000000")).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires() {
    in_each_world(|world| async move {
        world.user("ada", &["requester"]).await;
        let ctx = world.ctx("ada").await;
        let expires_at = Some(ctx.now() + Duration::seconds(2));
        let command = ApiTokenCreate { name: "short".into(), expires_at, ..ApiTokenCreate::default() };
        let issued = world.access.api_token_create(&ctx, command).await.unwrap().record;
        let session = world.access.authenticate(issued.secret.reveal(), "test").await.unwrap();
        assert_eq!(session.expires_at, expires_at);
        world.store.clock.advance(Duration::seconds(2));
        assert!(!world.holds(issued.secret.reveal()).await, "although it was resolved two seconds ago");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_at_once() {
    in_each_world(|world| async move {
        world.user("ada", &["requester"]).await;
        world.user("bob", &["requester"]).await;
        let ada = world.ctx("ada").await;
        let bob = world.ctx("bob").await;
        let issued = world.token(&ada, &[]).await;
        assert!(world.holds(issued.secret.reveal()).await);
        let unknown = Id::new(prefix::API_TOKEN, kernel::Uuid::from_u128(9));
        let hidden = refusal(world.access.api_token_revoke(&bob, issued.token.public_id()).await);
        assert_eq!(hidden, refusal(world.access.api_token_revoke(&bob, unknown).await));
        assert_eq!(hidden.code, ErrorCode::NotFound);
        let revoked = world.access.api_token_revoke(&ada, issued.token.public_id()).await.unwrap();
        assert_eq!(revoked.record.revoked_at, Some(ada.now()));
        assert_eq!(revoked.events[0].kind, "ApiTokenRevoked");
        assert!(!world.holds(issued.secret.reveal()).await);
        let again = world.access.api_token_revoke(&ada, issued.token.public_id()).await.unwrap();
        assert!(again.events.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_service_accounts_are_for_administrators_to_make() {
    in_each_world(|world| async move {
        world.user("ada", &["agent"]).await;
        world.user("root", &["administrator"]).await;
        let bot = world.bot("chatbot", &["agent"]).await;
        let command = ApiTokenCreate { name: "bot".into(), owner: Some(bot.public_id()), ..ApiTokenCreate::default() };
        let ada = world.ctx("ada").await;
        let refused = refused_at(world.access.api_token_create(&ada, command.clone()).await);
        assert_eq!(refused, (ErrorCode::Forbidden, String::new()));
        let root = world.ctx("root").await;
        let issued = world.access.api_token_create(&root, command).await.unwrap().record;
        assert!(issued.secret.reveal().starts_with("dw_svc_"));
        let ctx = world.access.authenticate(issued.secret.reveal(), "test").await.unwrap().ctx;
        assert_eq!((ctx.actor.id, ctx.actor.kind), (bot.id, ActorKind::ServiceAccount));
        assert!(!ctx.grants.holds("user.manage"));
        // Nobody makes a token for another user, but for the command line.
        let user = world.user("eve", &["requester"]).await;
        let command = ApiTokenCreate { name: "x".into(), owner: Some(user.public_id()), ..ApiTokenCreate::default() };
        let refused = refused_at(world.access.api_token_create(&root, command.clone()).await);
        assert_eq!(refused, (ErrorCode::Validation, "for".into()));
        assert!(world.access.api_token_create(&world.root, command).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_at_most_fifty_tokens() {
    in_each_world(|world| async move {
        world.user("ada", &["requester"]).await;
        let ctx = world.ctx("ada").await;
        for _ in 1..MAX_TOKENS {
            world.token(&ctx, &[]).await;
        }
        let last = world.token(&ctx, &[]).await;
        let command = ApiTokenCreate { name: "one more".into(), ..ApiTokenCreate::default() };
        assert_eq!(refused_at(world.access.api_token_create(&ctx, command.clone()).await).0, ErrorCode::Limit);
        world.access.api_token_revoke(&ctx, last.token.public_id()).await.unwrap();
        assert!(world.access.api_token_create(&ctx, command).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_written_down_once_a_minute() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["requester"]).await;
        let ctx = world.ctx("ada").await;
        let issued = world.token(&ctx, &[]).await;
        let used_at = |expected| {
            let (world, ctx, id) = (&world, &ctx, ada.id);
            async move {
                // Written in the background: ask until it is there.
                for _ in 0..10_000 {
                    if world.access.api_tokens(ctx, id).await.unwrap()[0].last_used_at == Some(expected) {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                panic!("the last use was never written down");
            }
        };
        let first = ctx.now();
        assert!(world.holds(issued.secret.reveal()).await);
        used_at(first).await;
        world.store.clock.advance(Duration::seconds(59));
        assert!(world.holds(issued.secret.reveal()).await);
        assert_eq!(world.access.api_tokens(&ctx, ada.id).await.unwrap()[0].last_used_at, Some(first));
        world.store.clock.advance(Duration::seconds(6));
        assert!(world.holds(issued.secret.reveal()).await);
        used_at(ctx.now()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_reaches_a_token_at_once() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["agent"]).await;
        let network = world.team("network").await;
        let ctx = world.ctx("ada").await;
        let issued = world.token(&ctx, &["ticket.read"]).await;
        let teams = || async {
            let ctx = world.access.authenticate(issued.secret.reveal(), "test").await.unwrap().ctx;
            ctx.grants.teams_with("ticket.read")
        };
        assert!(teams().await.is_empty());
        let member = Membership { team: TeamRef::Slug("network".into()), user: UserRef::from(&ada) };
        world.access.team_member_add(&world.root, member.clone()).await.unwrap();
        assert_eq!(teams().await, [network.id]);
        world.access.team_member_remove(&world.root, member).await.unwrap();
        assert!(teams().await.is_empty());
    })
    .await;
}
