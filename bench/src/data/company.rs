//! The company: people, teams, categories and tokens, made by the product's own services.

use access::{
    ACTOR, ApiTokenCreate, Membership, RoleInput, TEAM, TeamCreate, TeamRef, TenantCreate, UserCreate, UserRef,
};
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use gateway::platform::Platform;
use kernel::{Ctx, Id, Uuid, id};
use predicate::RecordType;
use store::query::Row;
use ticket::CreateCategory;
use ticket::fields::CATEGORY;

use super::{AGENTS, Agent, CATEGORIES, TEAMS, TENANT, USERS};

/// How many writes run at once: on SQLite they share commits.
const AT_ONCE: usize = 50;
/// How many records are read back at once.
const READ: usize = 100;

const GIVEN: [&str; 20] = [
    "Ada", "Ben", "Chloe", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kofi", "Lena", "Mira", "Nils",
    "Olga", "Pia", "Quinn", "Rosa", "Sven", "Tara",
];
const FAMILY: [&str; 10] =
    ["Arnold", "Bauer", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Hansen", "Ivanova", "Jensen"];

/// Everybody and everything that tickets point at.
pub struct Company {
    /// The tenant.
    pub tenant: Uuid,
    /// The people, agents first.
    pub people: Vec<Row>,
    /// The teams, the largest first.
    pub teams: Vec<Row>,
    /// The categories.
    pub categories: Vec<Row>,
    /// The administrator's token.
    pub administrator: String,
    /// The agents with their tokens.
    pub agents: Vec<Agent>,
}

/// Makes the company in an empty database.
///
/// # Errors
/// When the database refuses.
pub async fn make(platform: &Platform) -> Result<Company> {
    let access = &platform.access;
    let command = TenantCreate { slug: TENANT.to_owned(), name: "Bench".to_owned() };
    let tenant = access.tenant_create(command).await?.id;
    let ctx = access.command_line_ctx(tenant, "bench");

    let teams = in_order(0..TEAMS, |team| {
        let (slug, name) = (team_slug(team), format!("Team {team}"));
        async { Ok(access.team_create(&ctx, TeamCreate { slug, name, ..Default::default() }).await?.record.id) }
    });
    let teams = teams.await?;
    let administrator = access.user_create(&ctx, user("admin@bench.example", "Anna Admin", "administrator")).await?;
    let people = in_order(0..USERS, |person| {
        let role = match person {
            AGENTS.. => "requester",
            _ if is_lead(person) => "team_lead",
            _ => "agent",
        };
        let (email, name) = (email(person), name(person));
        let ctx = &ctx;
        async move { Ok(access.user_create(ctx, user(&email, &name, role)).await?.record.id) }
    });
    let people = people.await?;
    let agents = in_order(0..AGENTS, |person| {
        let membership =
            Membership { team: TeamRef::Slug(team_slug(person % TEAMS)), user: UserRef::Email(email(person)) };
        let owner = Id::new(id::prefix::USER, people[person]);
        let ctx = &ctx;
        async move {
            access.team_member_add(ctx, membership).await?;
            let token = token(platform, ctx, owner).await?;
            Ok(Agent { token, team: person % TEAMS, lead: is_lead(person) })
        }
    });
    let agents = agents.await?;
    let administrator = token(platform, &ctx, Id::new(id::prefix::USER, administrator.record.id)).await?;
    let categories = in_order(0..CATEGORIES, |category| {
        let key = category_key(category);
        let command = CreateCategory { key: key.clone(), name: format!("Category {category}"), parent: None };
        let ctx = &ctx;
        async move {
            platform.tickets.create_category(ctx, command).await?;
            Ok(platform.tickets.category(ctx, &key).await?.context("a category is missing")?.id())
        }
    });
    let categories = categories.await?;
    Ok(Company {
        tenant,
        people: rows(platform, &ctx, &ACTOR, &people).await?,
        teams: rows(platform, &ctx, &TEAM, &teams).await?,
        categories: rows(platform, &ctx, &CATEGORY, &categories).await?,
        administrator,
        agents,
    })
}

/// A category's key.
pub fn category_key(category: usize) -> String {
    format!("category-{category}")
}

const fn is_lead(person: usize) -> bool {
    person % 10 == 9
}

/// A team's slug.
pub fn team_slug(team: usize) -> String {
    format!("team-{team}")
}

/// The address of a person.
pub fn email(person: usize) -> String {
    format!("user{person}@bench.example")
}

fn name(person: usize) -> String {
    format!("{} {}", GIVEN[person % GIVEN.len()], FAMILY[person / GIVEN.len() % FAMILY.len()])
}

fn user(email: &str, name: &str, role: &str) -> UserCreate {
    UserCreate {
        email: email.to_owned(),
        name: name.to_owned(),
        roles: vec![RoleInput { role: role.to_owned(), team: None }],
        ..UserCreate::default()
    }
}

async fn token(platform: &Platform, ctx: &Ctx, owner: Id) -> Result<String> {
    let command = ApiTokenCreate { name: "bench".to_owned(), scopes: Vec::new(), expires_at: None, owner: Some(owner) };
    let issued = platform.access.api_token_create(ctx, command).await?.record;
    Ok(issued.secret.reveal().to_owned())
}

/// Does it for all, several at once, and answers in their order.
async fn in_order<T, F>(all: std::ops::Range<usize>, make: impl Fn(usize) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>>,
{
    stream::iter(all.map(make)).buffered(AT_ONCE).try_collect().await
}

/// The records with these ids, in their order.
async fn rows(platform: &Platform, ctx: &Ctx, record: &'static RecordType, ids: &[Uuid]) -> Result<Vec<Row>> {
    let mut found = std::collections::HashMap::new();
    for some in ids.chunks(READ) {
        let rows = platform.tickets.by_ids(ctx, record, some, &[]).await?;
        found.extend(rows.into_iter().map(|row| (row.id(), row)));
    }
    ids.iter().map(|id| found.remove(id).context("a record that was just made is missing")).collect()
}
