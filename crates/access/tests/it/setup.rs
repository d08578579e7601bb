//! A tenant with an administrator, and short words for what the tests do again and again.

use std::future::Future;
use std::sync::Arc;

use access::{
    Access, Account, ApiTokenCreate, IssuedToken, RECORDS, RoleInput, ServiceAccountCreate, Settings, SignIn, SignedIn,
    Team, TeamCreate, TeamRef, Tenant, TenantCreate, UserCreate,
};
use kernel::{Ctx, Error, ErrorCode, UserError};
use migrations::testing::{TestStore, each_engine};
use predicate::Catalogue;

/// The password of every user that the tests make.
pub const PASSWORD: &str = "correct horse";

/// A store with one tenant, `acme`.
pub struct World {
    pub store: TestStore,
    pub access: Access,
    pub tenant: Tenant,
    /// The command line in the tenant.
    pub root: Ctx,
}

/// Passwords at the least cost: what they cost is tested in the crate itself.
pub fn settings() -> Settings {
    let password_cost = access::PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 };
    Settings { password_cost, ..Settings::default() }
}

/// The service over a store.
pub fn service(store: store::Store) -> Access {
    let catalogue = Catalogue::new(RECORDS).expect("the declarations fit together");
    Access::new(store, Arc::new(catalogue), settings()).expect("the cost is in range")
}

/// Runs the test on each engine in a world of its own.
pub async fn in_each_world<R: Future<Output = ()>>(test: impl Fn(World) -> R) {
    each_engine(|store| async {
        let access = service(store.store.clone());
        let tenant = access.tenant_create(TenantCreate { slug: "acme".into(), name: "Acme".into() }).await.unwrap();
        let root = access.command_line_ctx(tenant.id, "test");
        test(World { store, access, tenant, root }).await;
    })
    .await;
}

impl World {
    /// A user with these roles, given for all teams.
    pub async fn user(&self, name: &str, roles: &[&str]) -> Account {
        let roles = roles.iter().map(|role| RoleInput { role: (*role).into(), team: None }).collect();
        self.user_with(name, roles).await
    }

    /// A user with these roles.
    pub async fn user_with(&self, name: &str, roles: Vec<RoleInput>) -> Account {
        let command = UserCreate {
            email: format!("{name}@acme.example"),
            name: name.into(),
            password: Some(PASSWORD.into()),
            roles,
            ..UserCreate::default()
        };
        self.access.user_create(&self.root, command).await.unwrap().record
    }

    /// A service account with these roles.
    pub async fn bot(&self, name: &str, roles: &[&str]) -> Account {
        let roles = roles.iter().map(|role| RoleInput { role: (*role).into(), team: None }).collect();
        let command = ServiceAccountCreate { name: name.into(), roles };
        self.access.service_account_create(&self.root, command).await.unwrap().record
    }

    pub async fn team(&self, slug: &str) -> Team {
        let command = TeamCreate { slug: slug.into(), name: slug.to_uppercase(), ..Default::default() };
        self.access.team_create(&self.root, command).await.unwrap().record
    }

    pub async fn sign_in(&self, name: &str) -> SignedIn {
        self.try_sign_in(name, PASSWORD).await.unwrap()
    }

    pub async fn try_sign_in(&self, name: &str, password: &str) -> Result<SignedIn, Error> {
        let email = format!("{name}@acme.example");
        self.access.sign_in(SignIn { tenant: Some("acme".into()), email, password: password.into() }, "test").await
    }

    /// The context of a user who just signed in.
    pub async fn ctx(&self, name: &str) -> Ctx {
        let signed_in = self.sign_in(name).await;
        self.access.authenticate(signed_in.access_token.reveal(), "test").await.unwrap().ctx
    }

    /// A token that `ctx` makes for itself.
    pub async fn token(&self, ctx: &Ctx, scopes: &[&str]) -> IssuedToken {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let command = ApiTokenCreate { name: "test".into(), scopes, ..ApiTokenCreate::default() };
        self.access.api_token_create(ctx, command).await.unwrap().record
    }

    /// Whether a credential holds now.
    pub async fn holds(&self, credential: &str) -> bool {
        match self.access.authenticate(credential, "test").await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.to_string(), access::unauthenticated().to_string());
                assert_eq!(error.code(), ErrorCode::Unauthenticated);
                false
            }
        }
    }
}

/// A role, given for one team.
pub fn role_for(role: &str, team: &Team) -> RoleInput {
    RoleInput { role: role.into(), team: Some(TeamRef::Slug(team.slug.clone())) }
}

/// The one user error of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> UserError {
    match result {
        Err(Error::Refused(mut errors)) if errors.len() == 1 => errors.remove(0),
        other => panic!("expected one user error, got {other:?}"),
    }
}

/// Code and path of the one user error of a refusal.
pub fn refused_at<T: std::fmt::Debug>(result: Result<T, Error>) -> (ErrorCode, String) {
    let error = refusal(result);
    (error.code, error.path.join("."))
}
