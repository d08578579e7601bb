//! Adding, changing and finding labour rates.

use access::commands::{checked_description, checked_name, checked_slug};
use access::permission::RATE_MANAGE;
use access::{Changed, Managed, of_key, of_type, reference};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError, Uuid};
use predicate::{Path, Predicate, Test, Value};
use store::Tx;
use store::query::{self, Row};

use super::fields::{LABOUR_RATE, TIME_ENTRY};
use super::rules::{self, RateTerms};
use super::{CreateRate, MAX_RATES, RateRef, UpdateRate};
use crate::events::{LABOUR_RATE_CREATED, LABOUR_RATE_UPDATED, SUBJECT_LABOUR_RATE};
use crate::service::Tickets;
use crate::tables;

const KIND: Managed = Managed { record: &LABOUR_RATE, subject: SUBJECT_LABOUR_RATE, prefix: prefix::LABOUR_RATE };

impl RateRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            RateRef::Id(id) => of_type(id, prefix::LABOUR_RATE),
            RateRef::Key(key) => of_key(key),
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            RateRef::Id(_) => "id",
            RateRef::Key(_) => "key",
        }
    }
}

impl Tickets {
    /// The rate that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn labour_rate(&self, ctx: &Ctx, rate: &RateRef) -> Result<Option<Row>> {
        let reader = self.store().read("labourRate.find");
        self.access().find_unmasked(&reader, ctx, &LABOUR_RATE, rate.condition()).await
    }

    /// The one currency that all amounts of the tenant are in; `None` as long as there is no rate.
    ///
    /// # Errors
    /// Database errors.
    pub async fn currency(&self, ctx: &Ctx) -> Result<Option<String>> {
        tables::currency_of(&self.store().read("labourRate.currency"), ctx.tenant).await
    }

    /// Adds a rate. It is given to entries that are written down from now on, for its first day and later ones.
    ///
    /// # Errors
    /// `FORBIDDEN` without `rate.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for whom it points at; `CONFLICT` at `key`
    /// and at `validFrom` when they are taken.
    pub async fn create_labour_rate(&self, ctx: &Ctx, command: CreateRate) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, RATE_MANAGE)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "labourRateCreate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.create_rate_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &LABOUR_RATE, "the rate").await
    }

    async fn create_rate_in(&self, tx: &mut Tx, command: &CreateRate) -> Result<Row> {
        tables::hold_tenant_in(tx).await?;
        let ctx = tx.ctx().clone();
        let mut problems = Problems::default();
        let key = problems.take(checked_slug("key", &command.key))?;
        let name = problems.take(checked_name("name", &command.name))?;
        let description = command.description.as_deref().map(|text| checked_description("description", text));
        let description = problems.take(description.transpose())?;
        rules::check_hourly(&mut problems, &command.hourly);
        let day = command.valid_from.clone().unwrap_or_else(|| rules::day_of(tx.now()));
        rules::check_day(&mut problems, &day);
        if command.team.is_some() && command.user.is_some() {
            let message = "a rate holds for a user, for a team or for everybody: name one of them at most";
            problems.add(UserError::constraint(["user"], message, "one", None));
        }
        let team = match &command.team {
            Some(team) => problems.take(self.team_in(tx, team, "team").await)?,
            None => None,
        };
        let user = match &command.user {
            Some(user) => {
                let user = self.access().user_in(tx, &ctx, user).await;
                problems.take(user.map_err(|error| error.within("user")))?
            }
            None => None,
        };
        if key.is_some() && self.rate_exists_in(tx, Predicate::eq("key", command.key.as_str())).await? {
            problems.add(UserError::taken(["key"], format!("there is a rate `{}` already", command.key)));
        }
        problems.check()?;
        let (Some(key), Some(name), Some(description)) = (key, name, description) else {
            return Err(Error::internal("the values were checked"));
        };
        let values = vec![
            ("key", key.into()),
            ("name", name.into()),
            ("description", description.into()),
            ("hourly", Value::Int(command.hourly.amount)),
            ("currency", command.hourly.currency.as_str().into()),
            ("validFrom", day.into()),
            ("team", reference(team.as_ref())),
            ("user", reference(user.as_ref())),
        ];
        self.check_rate_in(tx, &Row::new(&LABOUR_RATE, values.clone()), None).await?;
        KIND.insert_in(tx, LABOUR_RATE_CREATED, values).await
    }

    /// Changes a rate. Entries that were written down keep what they cost.
    ///
    /// # Errors
    /// As [`Tickets::create_labour_rate`]; `NOT_FOUND` at `rate`; `CONFLICT` with the current version; `VALIDATION` for what a rate
    /// costs or from when, once an entry has it.
    pub async fn update_labour_rate(&self, ctx: &Ctx, command: UpdateRate) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, RATE_MANAGE)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "labourRateUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.update_rate_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &LABOUR_RATE, "the rate").await
    }

    async fn update_rate_in(&self, tx: &mut Tx, command: &UpdateRate) -> Result<Row> {
        tables::hold_tenant_in(tx).await?;
        let found = self.access().find_unmasked(&*tx, tx.ctx(), &LABOUR_RATE, command.rate.condition()).await?;
        let before = found.ok_or_else(|| UserError::not_found(["rate", command.rate.path()], "the rate"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut problems = Problems::default();
        let mut row = before.clone();
        if let Some(name) = &command.name
            && let Some(name) = problems.take(checked_name("name", name))?
        {
            row.set("name", name.into());
        }
        match &command.description {
            Patch::Keep => {}
            Patch::Clear => row.set("description", Value::Null),
            Patch::Set(text) => {
                if let Some(text) = problems.take(checked_description("description", text))? {
                    row.set("description", text.into());
                }
            }
        }
        if let Some(hourly) = &command.hourly {
            rules::check_hourly(&mut problems, hourly);
            row.set("hourly", Value::Int(hourly.amount));
            row.set("currency", hourly.currency.as_str().into());
        }
        if let Some(day) = &command.valid_from {
            rules::check_day(&mut problems, day);
            row.set("validFrom", day.as_str().into());
        }
        if let Some(retired) = command.retired {
            row.set("retired", retired.into());
        }
        problems.check()?;
        let differs = |field: &str| before.get(field) != row.get(field);
        let terms = [("hourly", "hourly"), ("currency", "hourly"), ("validFrom", "validFrom")];
        if let Some((_, path)) = terms.into_iter().find(|(field, _)| differs(field)) {
            self.check_unused_in(tx, &before, path).await?;
        }
        if !row.bool("retired") {
            self.check_rate_in(tx, &row, Some(&before)).await?;
        }
        KIND.update_in(tx, LABOUR_RATE_UPDATED, &before, row).await
    }

    /// Refuses to change the terms of a rate that entries were written down with.
    async fn check_unused_in(&self, tx: &mut Tx, rate: &Row, path: &'static str) -> Result<()> {
        // Whoever writes an entry holds its rate: what is not there now does not come before this is over.
        let tenant = tx.ctx().tenant;
        if !query::hold_in(tx, tenant, &LABOUR_RATE, rate.id(), Managed::version(rate)).await? {
            return Err(tx.retry());
        }
        let used = Predicate::eq("rate", rate.id());
        if query::exists(&*tx, tenant, &TIME_ENTRY, &used, self.access().catalogue()).await? {
            let message = "time entries have this rate: add another one that begins later, or retire it";
            return Err(UserError::constraint([path], message, "inUse", None).into());
        }
        Ok(())
    }

    /// What a rate that is in use must not be at odds with: the currency of the others, the number of rates, and another rate for the
    /// same from the same day on.
    async fn check_rate_in(&self, tx: &mut Tx, rate: &Row, before: Option<&Row>) -> Result<()> {
        let mut problems = Problems::default();
        let others = match before {
            Some(before) => !Predicate::eq("id", before.id()),
            None => Predicate::always(),
        };
        let others = Predicate::eq("retired", false).and(others);
        if before.is_none_or(|before| before.bool("retired")) {
            let ctx = tx.ctx().clone();
            let visible = access::visibility::everything(self.access().catalogue());
            let count = query::count(&*tx, &self.access().scoped(&ctx, &visible), &LABOUR_RATE, &others).await?;
            if count.total >= MAX_RATES as u64 {
                let path: &[&str] = if before.is_some() { &["retired"] } else { &[] };
                let message = format!("there are {MAX_RATES} rates; no more are allowed");
                problems.add(UserError::limit(path.iter().copied(), message, MAX_RATES as u64));
            }
        }
        if let Some(other) = self.other_currency_in(tx, &rate.text("currency"), &others).await? {
            let message = format!("rates are in `{other}` here: all of a tenant are in one currency");
            problems.add(UserError::constraint(["hourly", "currency"], message, "oneCurrency", None));
        }
        let is = |field: &'static str| match rate.get(field) {
            Value::Null => Predicate::Is(Path::field(field), Test::IsNull(true)),
            value => Predicate::eq(field, value.clone()),
        };
        let same = Predicate::all([others, is("team"), is("user"), is("validFrom")]);
        if self.rate_exists_in(tx, same).await? {
            let message = format!("there is a rate for the same from {} on already", rate.text("validFrom"));
            problems.add(UserError::taken(["validFrom"], message));
        }
        problems.check()
    }

    /// A currency beside this one that a rate or an entry is in.
    async fn other_currency_in(&self, tx: &mut Tx, currency: &str, rates: &Predicate) -> Result<Option<String>> {
        let ctx = tx.ctx().clone();
        let visible = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(&ctx, &visible);
        let other = !Predicate::eq("currency", currency);
        let in_use = other.clone().and(rates.clone());
        if let Some(rate) = query::find(&*tx, &scoped, &LABOUR_RATE, &in_use, &[]).await? {
            return Ok(Some(rate.text("currency")));
        }
        // A rate that entries have keeps its currency, also when it is retired: the currencies of entries are those of rates.
        let retired = other.and(Predicate::eq("retired", true));
        let retired = query::all(&*tx, &scoped, &LABOUR_RATE, &retired, &[], MAX_RATES as u64).await?;
        let ids: Vec<Uuid> = retired.iter().map(Row::id).collect();
        let entry = query::find(&*tx, &scoped, &TIME_ENTRY, &Predicate::one_of("rate", &ids), &[]).await?;
        Ok(entry.map(|entry| entry.text("currency")))
    }

    async fn rate_exists_in(&self, tx: &Tx, condition: Predicate) -> Result<bool> {
        query::exists(tx, tx.ctx().tenant, &LABOUR_RATE, &condition, self.access().catalogue()).await
    }

    /// The rate that holds for a user's work for a team on a day; nobody changes its terms until this write is over.
    pub(super) async fn rate_for_in(
        &self,
        tx: &mut Tx,
        user: Uuid,
        team: Option<Uuid>,
        day: &str,
    ) -> Result<Option<RateTerms>> {
        let ctx = tx.ctx().clone();
        let visible = access::visibility::everything(self.access().catalogue());
        let none = |field: &'static str| Predicate::Is(Path::field(field), Test::IsNull(true));
        let for_whom = Predicate::any([
            Predicate::eq("user", user),
            team.map_or_else(Predicate::never, |team| Predicate::eq("team", team)),
            none("user").and(none("team")),
        ]);
        let active = Predicate::eq("retired", false).and(for_whom);
        let scoped = self.access().scoped(&ctx, &visible);
        let rows = query::all(&*tx, &scoped, &LABOUR_RATE, &active, &[], MAX_RATES as u64).await?;
        let rates: Vec<RateTerms> = rows.iter().map(RateTerms::of).collect();
        let Some(rate) = rules::choose(&rates, user, team, day) else { return Ok(None) };
        if !tables::share_rate_in(tx, rate.id, rate.version).await? {
            return Err(tx.retry());
        }
        Ok(Some(rate.clone()))
    }
}
