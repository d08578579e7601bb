//! The people that the scenarios are played by.

use access::{ApiTokenCreate, Membership, RoleInput, TeamCreate, TeamRef, TenantCreate, UserCreate, UserRef};
use gateway::platform::Platform;
use kernel::Ctx;
use ticket::CreateCategory;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";

/// A person with a token that carries all of their rights.
#[derive(Clone, Debug)]
pub struct Person {
    /// The public id.
    pub id: String,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// An API token without scopes.
    pub token: String,
}

/// A tenant with two teams (`network`, `workplace`), three categories (`network` over `vpn`, `printer`), and people.
#[derive(Clone, Debug)]
pub struct Company {
    /// The tenant's slug.
    pub slug: String,
    /// Its id.
    pub tenant: kernel::Uuid,
    /// The team `network`'s public id.
    pub network: String,
    /// The team `workplace`'s public id.
    pub workplace: String,
    /// The category `vpn`'s public id.
    pub vpn: String,
    /// May do everything.
    pub admin: Person,
    /// Leads the team `network`.
    pub lead: Person,
    /// Works in the team `network`.
    pub agent: Person,
    /// Works in the team `workplace`.
    pub walt: Person,
    /// Asks for help.
    pub requester: Person,
    /// Asks for help too.
    pub sam: Person,
    /// Sees everything, changes nothing.
    pub auditor: Person,
}

/// Makes a tenant with everybody in it.
///
/// # Panics
/// When that does not work.
pub async fn found(platform: &Platform, slug: &str) -> Company {
    let access = &platform.access;
    let command = TenantCreate { slug: slug.to_owned(), name: format!("The {slug} company") };
    let tenant = access.tenant_create(command).await.expect("the tenant is new").id;
    let ctx = access.command_line_ctx(tenant, "tests");
    let (network, workplace) = (team(platform, &ctx, "network").await, team(platform, &ctx, "workplace").await);
    let mut vpn = String::new();
    for (key, parent) in [("network", None), ("vpn", Some("network")), ("printer", None)] {
        let command = CreateCategory { key: key.into(), name: key.to_uppercase(), parent: parent.map(str::to_owned) };
        let created = platform.tickets.create_category(&ctx, command).await.expect("the category is new");
        let row = created.row.expect("categories are seen by all");
        if key == "vpn" {
            vpn = kernel::Id::new(kernel::id::prefix::CATEGORY, row.id()).to_string();
        }
    }
    Company {
        slug: slug.to_owned(),
        tenant,
        network,
        workplace,
        vpn,
        admin: person(platform, &ctx, slug, "admin", "administrator", &[]).await,
        lead: person(platform, &ctx, slug, "lead", "team_lead", &["network"]).await,
        agent: person(platform, &ctx, slug, "agent", "agent", &["network"]).await,
        walt: person(platform, &ctx, slug, "walt", "agent", &["workplace"]).await,
        requester: person(platform, &ctx, slug, "requester", "requester", &[]).await,
        sam: person(platform, &ctx, slug, "sam", "requester", &[]).await,
        auditor: person(platform, &ctx, slug, "auditor", "auditor", &[]).await,
    }
}

async fn team(platform: &Platform, ctx: &Ctx, slug: &str) -> String {
    let command = TeamCreate {
        slug: slug.into(),
        name: format!("Team {slug}"),
        description: Some("Helps.".into()),
        ..TeamCreate::default()
    };
    let team = platform.access.team_create(ctx, command).await.expect("the team is new").record;
    team.public_id().to_string()
}

async fn person(platform: &Platform, ctx: &Ctx, tenant: &str, name: &str, role: &str, teams: &[&str]) -> Person {
    let access = &platform.access;
    let email = format!("{name}@{tenant}.example");
    let full_name = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let command = UserCreate {
        email: email.clone(),
        name: full_name.clone(),
        password: Some(PASSWORD.into()),
        time_zone: Some("Europe/Vienna".into()),
        roles: vec![RoleInput { role: role.into(), team: None }],
        ..UserCreate::default()
    };
    let user = access.user_create(ctx, command).await.expect("the user is new").record;
    for team in teams {
        let command = Membership { team: TeamRef::Slug((*team).into()), user: UserRef::Email(email.clone()) };
        access.team_member_add(ctx, command).await.expect("the team is there");
    }
    let command = ApiTokenCreate { name: "tests".into(), owner: Some(user.public_id()), ..ApiTokenCreate::default() };
    let issued = access.api_token_create(ctx, command).await.expect("a token can be made").record;
    let token = issued.secret.reveal().to_owned();
    Person { id: user.public_id().to_string(), email, name: full_name, token }
}
