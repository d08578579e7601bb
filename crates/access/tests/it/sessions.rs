//! Signing in, refreshing, ending; and tokens that someone made up.

use access::{IDENTITY_LIFETIME, MAX_ATTEMPTS, SESSION_LIFETIME, SignIn, TenantCreate, UserRef, UserUpdate};
use chrono::Duration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kernel::{ErrorCode, Id, Patch, id::prefix};
use serde_json::{Value, json};

use crate::setup::{PASSWORD, World, in_each_world, refused_at, service};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_a_session() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["agent"]).await;
        let signed_in = world.access.sign_in(
            SignIn { tenant: Some("acme".into()), email: " ADA@acme.example".into(), password: PASSWORD.into() },
            "test",
        );
        let signed_in = signed_in.await.unwrap();
        assert_eq!(signed_in.account.id, ada.id);
        assert_eq!(signed_in.account.email.as_deref(), Some("ada@acme.example"));
        let session = world.access.authenticate(signed_in.access_token.reveal(), "request 7").await.unwrap();
        assert_eq!(session.ctx.actor.id, ada.id);
        assert_eq!(session.ctx.tenant, world.tenant.id);
        assert_eq!(&*session.ctx.request_id, "request 7");
        assert_eq!(session.expires_at, Some(signed_in.access_expires_at));
        assert_eq!(signed_in.access_expires_at - world.store.clock.now(), Duration::minutes(15));
        assert!(session.ctx.grants.holds_tenant("ticket.createOnBehalf"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_combination_is_refused_alike() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let without_password = access::UserCreate {
            email: "bob@acme.example".into(),
            name: "bob".into(),
            ..access::UserCreate::default()
        };
        world.access.user_create(&world.root, without_password).await.unwrap();
        let mut texts = Vec::new();
        for (tenant, email, password) in [
            (Some("acme"), "ada@acme.example", "wrong horse"),
            (Some("acme"), "nobody@acme.example", PASSWORD),
            (Some("acme"), "bob@acme.example", PASSWORD),
            (Some("other"), "ada@acme.example", PASSWORD),
            (Some("acme"), "ada@acme.example", ""),
            (Some("acme"), &"a".repeat(10_000), PASSWORD),
            (Some("acme"), "ada@acme.example", &"a".repeat(10_000)),
        ] {
            let command = SignIn { tenant: tenant.map(Into::into), email: email.into(), password: password.into() };
            texts.push(world.access.sign_in(command, "test").await.unwrap_err().to_string());
        }
        texts.dedup();
        assert_eq!(texts, [access::unauthenticated().to_string()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tenant_may_be_left_out_while_there_is_one() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let sign_in = || {
            let command = SignIn { tenant: None, email: "ada@acme.example".into(), password: PASSWORD.into() };
            world.access.sign_in(command, "test")
        };
        assert_eq!(sign_in().await.unwrap().tenant, world.tenant.id);
        world.access.tenant_create(TenantCreate { slug: "other".into(), name: "Other".into() }).await.unwrap();
        assert_eq!(refused_at(sign_in().await), (ErrorCode::Validation, "tenant".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        world.user("bob", &[]).await;
        for _ in 0..MAX_ATTEMPTS {
            assert_eq!(world.try_sign_in("ada", "wrong").await.unwrap_err().code(), ErrorCode::Unauthenticated);
        }
        assert_eq!(world.try_sign_in("ada", PASSWORD).await.unwrap_err().code(), ErrorCode::RateLimited);
        assert!(world.try_sign_in("bob", PASSWORD).await.is_ok(), "others are not concerned");
        world.store.clock.advance(Duration::minutes(5));
        assert!(world.try_sign_in("ada", PASSWORD).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_expires_and_a_refresh_token_gives_the_next() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let first = world.sign_in("ada").await;
        world.store.clock.advance(Duration::minutes(15) + Duration::seconds(5));
        assert!(!world.holds(first.access_token.reveal()).await);
        let second = world.access.refresh(first.refresh_token.reveal(), "test").await.unwrap();
        assert_eq!(second.session, first.session);
        assert!(world.holds(second.access_token.reveal()).await);
        assert_eq!(second.refresh_expires_at - world.store.clock.now(), SESSION_LIFETIME);
        world.store.clock.advance(SESSION_LIFETIME);
        let late = world.access.refresh(second.refresh_token.reveal(), "test").await;
        assert_eq!(late.unwrap_err().code(), ErrorCode::Unauthenticated);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_refresh_token_ends_the_whole_session() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let first = world.sign_in("ada").await;
        let other = world.sign_in("ada").await;
        let second = world.access.refresh(first.refresh_token.reveal(), "test").await.unwrap();
        let third = world.access.refresh(second.refresh_token.reveal(), "test").await.unwrap();
        assert!(world.holds(third.access_token.reveal()).await);
        // The oldest token comes back, two refreshes later: someone has a copy.
        let reused = world.access.refresh(first.refresh_token.reveal(), "test").await;
        assert_eq!(reused.unwrap_err().to_string(), access::unauthenticated().to_string());
        assert!(!world.holds(third.access_token.reveal()).await, "the session is over at once");
        assert!(world.access.refresh(third.refresh_token.reveal(), "test").await.is_err());
        assert!(world.holds(other.access_token.reveal()).await, "another session is not concerned");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_once_one_wins_and_the_session_ends() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let first = world.sign_in("ada").await;
        let refresh = || world.access.refresh(first.refresh_token.reveal(), "test");
        let (a, b) = tokio::join!(refresh(), refresh());
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
        assert!(!world.holds(first.access_token.reveal()).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_by_its_owner_or_a_manager_of_users() {
    in_each_world(|world| async move {
        world.user("ada", &["agent"]).await;
        world.user("bob", &["agent"]).await;
        let signed_in = world.sign_in("ada").await;
        let id = signed_in.public_id();
        let bob = world.ctx("bob").await;
        let unknown = Id::new(prefix::SESSION, kernel::Uuid::from_u128(7));
        let refused = refused_at(world.access.session_revoke(&bob, Some(id)).await);
        assert_eq!(refused, refused_at(world.access.session_revoke(&bob, Some(unknown)).await));
        assert_eq!(refused, (ErrorCode::NotFound, "id".into()));
        assert!(world.holds(signed_in.access_token.reveal()).await);
        let ada = world.access.authenticate(signed_in.access_token.reveal(), "test").await.unwrap().ctx;
        let revoked = world.access.session_revoke(&ada, None).await.unwrap();
        assert_eq!(revoked.events[0].kind, "SessionRevoked");
        assert!(!world.holds(signed_in.access_token.reveal()).await);
        let again = world.sign_in("ada").await;
        world.access.session_revoke(&world.root, Some(again.public_id())).await.unwrap();
        assert!(!world.holds(again.access_token.reveal()).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_heeds_a_revocation_within_five_seconds() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let signed_in = world.sign_in("ada").await;
        let elsewhere = service(world.store.beside().await);
        let token = signed_in.access_token.reveal();
        assert!(elsewhere.authenticate(token, "test").await.is_ok());
        world.access.session_revoke(&world.root, Some(signed_in.public_id())).await.unwrap();
        world.store.clock.advance(Duration::from_std(IDENTITY_LIFETIME).unwrap());
        assert!(elsewhere.authenticate(token, "test").await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_user_is_out_at_once_and_cannot_come_back() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &[]).await;
        let signed_in = world.sign_in("ada").await;
        assert!(world.holds(signed_in.access_token.reveal()).await);
        let mut command = UserUpdate::of(UserRef::from(&ada));
        command.active = Patch::Set(false);
        world.access.user_update(&world.root, command.clone()).await.unwrap();
        assert!(!world.holds(signed_in.access_token.reveal()).await);
        assert!(world.access.refresh(signed_in.refresh_token.reveal(), "test").await.is_err());
        assert_eq!(world.try_sign_in("ada", PASSWORD).await.unwrap_err().code(), ErrorCode::Unauthenticated);
        command.active = Patch::Set(true);
        world.access.user_update(&world.root, command).await.unwrap();
        assert!(!world.holds(signed_in.access_token.reveal()).await, "an ended session stays ended");
        assert!(world.try_sign_in("ada", PASSWORD).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_credential_is_known_for_a_while_without_the_database() {
    in_each_world(|world| async move {
        world.user("ada", &["requester"]).await;
        let ctx = world.ctx("ada").await;
        let token = world.token(&ctx, &[]).await;
        let other = world.token(&ctx, &[]).await;
        assert!(world.holds(token.secret.reveal()).await);
        world.store.store.clone().close().await;
        assert!(world.holds(token.secret.reveal()).await);
        let unknown = world.access.authenticate(other.secret.reveal(), "test").await.unwrap_err();
        assert_ne!(unknown.code(), ErrorCode::Unauthenticated, "a database that is gone is no wrong credential");
        world.store.clock.advance(Duration::from_std(IDENTITY_LIFETIME).unwrap());
        assert!(world.access.authenticate(token.secret.reveal(), "test").await.is_err());
    })
    .await;
}

/// Our own claims for a live session, to be changed by the attacks.
async fn claims(world: &World) -> Value {
    let ada = world.user("ada", &[]).await;
    let session = world.sign_in("ada").await.session;
    let now = world.store.clock.now().timestamp();
    json!({
        "iss": "deskwire", "aud": "deskwire", "sub": ada.id, "tenant": world.tenant.id, "sid": session,
        "exp": now + 600, "nbf": now, "iat": now,
    })
}

fn signed(algorithm: Algorithm, claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_access_tokens_are_refused() {
    use base64::Engine as _;
    in_each_world(|world| async move {
        let whole = claims(&world).await;
        let secret = world.store.secret("jwt");
        let sign = |claims: &Value| signed(Algorithm::HS256, claims, &secret);
        assert!(world.holds(&sign(&whole)).await, "the attacks below begin with a token that holds");

        let part = |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT" })), part(whole.clone()));
        assert!(!world.holds(&unsigned).await, "alg none");
        assert!(!world.holds(&signed(Algorithm::HS256, &whole, b"another key")).await);
        assert!(!world.holds(&signed(Algorithm::HS512, &whole, &secret)).await, "another algorithm");
        let public = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
        assert!(!world.holds(&signed(Algorithm::HS256, &whole, public)).await, "a public key as the secret");
        for name in ["aud", "iss", "sub", "exp", "nbf", "sid", "tenant"] {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(name);
            assert!(!world.holds(&sign(&without)).await, "without {name}");
        }
        let now = world.store.clock.now().timestamp();
        for (name, value) in [
            ("nbf", json!(now + 6)),
            ("exp", json!(now - 5)),
            ("aud", json!("elsewhere")),
            ("iss", json!("elsewhere")),
            ("sub", json!(kernel::Uuid::from_u128(1))),
            ("sid", json!(kernel::Uuid::from_u128(1))),
            ("tenant", json!(kernel::Uuid::from_u128(1))),
        ] {
            let mut other = whole.clone();
            other[name] = value;
            assert!(!world.holds(&sign(&other)).await, "another {name}");
        }
        for nonsense in ["", "a.b.c", "Bearer x", &"a".repeat(100_000)] {
            assert!(!world.holds(nonsense).await);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_no_access_token_and_the_other_way_round() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        let signed_in = world.sign_in("ada").await;
        assert!(!world.holds(signed_in.refresh_token.reveal()).await);
        assert!(world.access.refresh(signed_in.access_token.reveal(), "test").await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_sessions_are_swept() {
    in_each_world(|world| async move {
        world.user("ada", &[]).await;
        world.sign_in("ada").await;
        assert_eq!(world.access.sweep_sessions(world.tenant.id).await.unwrap(), 0);
        world.store.clock.advance(SESSION_LIFETIME + Duration::seconds(1));
        let alive = world.sign_in("ada").await;
        let more = world.access.sweep_all_sessions().await.unwrap();
        assert!(!more, "that was all");
        assert_eq!(world.access.sweep_sessions(world.tenant.id).await.unwrap(), 0);
        assert!(world.holds(alive.access_token.reveal()).await);
    })
    .await;
}
