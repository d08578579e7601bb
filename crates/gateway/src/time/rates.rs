//! Labour rates in the API.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result};
use kernel::id::prefix;
use predicate::Predicate;
use store::query::{OrderTerm, Row};
use ticket::time::fields::LABOUR_RATE;
use ticket::time::{CreateRate, RateRef, UpdateRate};

use super::Money;
use super::cost::MoneyInput;
use crate::connection::{NullsOrder, OrderDirection, check_order, connection, orders, page, term};
use crate::context::{mutation, platform, viewer};
use crate::filters::{BooleanFilter, IdFilter, StringFilter, combine};
use crate::loaders;
use crate::payload::{outcome, payload};
use crate::people::filters::argument;
use crate::people::inputs::parse_id;
use crate::people::queries::list;
use crate::people::{Actor, Team, TeamRefInput, User, UserRefInput};
use crate::scalars::{Cursor, Date, DateTime, Markdown, id_of, patch, within};

/// What an hour of work costs.
#[derive(Clone)]
pub struct LabourRate(Arc<Row>);

impl LabourRate {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What an hour of work costs, for a user, a team or everybody, from a day on. For those with `rate.read`.
#[Object]
impl LabourRate {
    /// The rate's id, such as `lbr_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::LABOUR_RATE, self.0.id())
    }

    /// The rate's key, unique in the tenant, such as `everybody-2026`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The rate's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// What an hour costs.
    pub fn hourly(&self) -> Money {
        Money::of(self.0.int("hourly"), self.0.text("currency"))
    }

    /// The first day, in UTC, on which it holds: until another one for the same begins.
    pub fn valid_from(&self) -> Date {
        Date(self.0.text("validFrom"))
    }

    /// The team whose entries it holds for; null when it holds for a user or for everybody.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// The user whose entries it holds for; null when it holds for a team or for everybody.
    pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.get("user").as_id() {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// A retired rate is given to no further entry; those that have it keep it.
    pub fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was added.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of labour rates.
    LabourRateConnection, LabourRateEdge, LabourRate
}

/// Points at a labour rate.
#[derive(Clone, Debug, OneofObject)]
pub enum LabourRateRef {
    /// By id, such as `lbr_01jcz8…`.
    Id(ID),
    /// By key, such as `everybody-2026`.
    Key(String),
}

impl LabourRateRef {
    fn into_ref(self) -> kernel::Result<RateRef> {
        Ok(match self {
            LabourRateRef::Id(id) => RateRef::Id(parse_id(&id, &[prefix::LABOUR_RATE], "id")?),
            LabourRateRef::Key(key) => RateRef::Key(key),
        })
    }
}

/// Adds a labour rate: for a user, for a team, or with neither for everybody.
#[derive(Clone, Debug, InputObject)]
pub struct LabourRateCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `everybody-2026`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// What an hour costs: nothing to 1,000,000, in the currency of the tenant's other rates.
    pub hourly: MoneyInput,
    /// The first day, in UTC, on which it holds; today when absent.
    pub valid_from: Option<Date>,
    /// The team: it holds for entries on tickets of this team.
    pub team: Option<TeamRefInput>,
    /// The user: it holds for this user's entries.
    pub user: Option<UserRefInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a labour rate. Absent fields stay, null clears. Once an entry has it, what an hour costs and from when on stay: a raise is
/// another rate.
#[derive(Clone, Debug, InputObject)]
pub struct LabourRateUpdateInput {
    /// Which.
    pub rate: LabourRateRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// What an hour costs: nothing to 1,000,000.
    pub hourly: Option<MoneyInput>,
    /// The first day, in UTC, on which it holds.
    pub valid_from: Option<Date>,
    /// A retired rate is given to no further entry.
    pub retired: Option<bool>,
    /// Refuse when the rate has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

fn create_command(input: LabourRateCreateInput) -> kernel::Result<CreateRate> {
    Ok(CreateRate {
        key: input.key,
        name: input.name,
        description: input.description.map(|text| text.0),
        hourly: input.hourly.into(),
        valid_from: input.valid_from.map(|day| day.0),
        team: within("team", input.team.map(TeamRefInput::into_ref))?,
        user: within("user", input.user.map(UserRefInput::into_ref))?,
    })
}

fn update_command(input: LabourRateUpdateInput) -> kernel::Result<UpdateRate> {
    Ok(UpdateRate {
        rate: input.rate.into_ref().map_err(|error| error.within("rate"))?,
        name: input.name,
        description: patch(input.description).map(|text| text.0),
        hourly: input.hourly.map(Into::into),
        valid_from: input.valid_from.map(|day| day.0),
        retired: input.retired,
        expected_version: input.expected_version,
    })
}

payload! {
    /// The rate that was added.
    LabourRateCreatePayload {
        /// The rate; null when it was not done.
        rate: LabourRate
    }
}
payload! {
    /// The rate after it was changed.
    LabourRateUpdatePayload {
        /// The rate; null when it was not done.
        rate: LabourRate
    }
}

/// Which labour rates. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct LabourRateFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By the id of the team that they hold for.
    pub team: Option<IdFilter>,
    /// By the id of the user whom they hold for.
    pub user: Option<IdFilter>,
    /// By whether they are retired.
    pub retired: Option<BooleanFilter>,
    /// All of these must hold.
    pub and: Option<Vec<LabourRateFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<LabourRateFilter>>,
    /// This must not hold.
    pub not: Option<Box<LabourRateFilter>>,
}

impl LabourRateFilter {
    fn predicate(self) -> kernel::Result<Predicate> {
        let id = |filter: Option<IdFilter>, field: &'static str, prefix: &'static str| {
            filter.map(|filter| filter.on(field, &[prefix])).transpose().map(Option::unwrap_or_default)
        };
        let own = Predicate::all([
            id(self.id, "id", prefix::LABOUR_RATE)?,
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            id(self.team, "team", prefix::TEAM)?,
            id(self.user, "user", prefix::USER)?,
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what labour rates are ordered.
    LabourRateOrderField {
        /// The key.
        Key = "key",
        /// The name.
        Name = "name",
        /// The first day on which they hold.
        ValidFrom = "validFrom",
        /// What an hour costs.
        Hourly = "hourly",
    }
    /// One term of an order of labour rates.
    LabourRateOrder
}

/// Queries of labour rates.
#[derive(Default)]
pub struct LabourRateQueries;

#[Object]
impl LabourRateQueries {
    /// A labour rate. Null when there is none that the viewer may see.
    async fn labour_rate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"everybody-2026\" }` or `{ id: \"lbr_01jcz8…\" }`.")] by: LabourRateRef,
    ) -> Option<Result<LabourRate>> {
        find_rate(ctx, by).await.transpose()
    }

    /// The labour rates that the viewer may see, by key unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn labour_rates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rates; all when left out.")] filter: Option<LabourRateFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by key when left out.")] order_by: Option<
            Vec<LabourRateOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<LabourRateConnection> {
        viewer(ctx)?;
        let filter = argument(filter, LabourRateFilter::predicate)?;
        let (order, page) = (LabourRateOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &LABOUR_RATE, filter.clone(), order, page).await?;
        Ok(LabourRateConnection::new(slice, Some((&LABOUR_RATE, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_rate(ctx: &Context<'_>, by: LabourRateRef) -> Result<Option<LabourRate>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).tickets.labour_rate(&viewer, &reference).await?.map(LabourRate::from_row))
}

/// Mutations of labour rates.
#[derive(Default)]
pub struct LabourRateMutations;

#[Object]
impl LabourRateMutations {
    /// Adds a labour rate, which is given to time entries that are written down from now on. All rates of a tenant are in one
    /// currency. Needs `rate.manage`.
    async fn labour_rate_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rate.")] input: LabourRateCreateInput,
    ) -> Result<LabourRateCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match create_command(input) {
            Ok(command) => platform(ctx).tickets.create_labour_rate(&viewer, command).await,
            Err(error) => Err(error),
        };
        LabourRateCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a labour rate, or retires it. Time entries keep what they cost. Needs `rate.manage`.
    async fn labour_rate_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rate, and what changes.")] input: LabourRateUpdateInput,
    ) -> Result<LabourRateUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).tickets.update_labour_rate(&viewer, command).await,
            Err(error) => Err(error),
        };
        LabourRateUpdatePayload::of(ctx, &viewer, outcome(result))
    }
}
