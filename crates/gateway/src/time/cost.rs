//! Amounts of money, and what tickets cost.

use async_graphql::{Context, InputObject, Result, SimpleObject};
use kernel::money;
use store::query::Row;
use ticket::statistics::Work;

use crate::loaders;
use crate::scalars::Decimal;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct Money {
    /// How much, exactly: with at least two and at most four digits behind the point.
    pub amount: Decimal,
    /// In which currency: a code of ISO 4217, such as `EUR`.
    pub currency: String,
}

impl Money {
    /// Of an amount in ten-thousandths of the currency's unit.
    pub fn of(amount: i64, currency: String) -> Self {
        Self { amount: Decimal(amount), currency }
    }

    /// What a row says in two of its fields, as far as the viewer may read them.
    pub fn from_row(row: &Row, amount: &str) -> Option<Self> {
        Some(Self::of(row.get(amount).as_int()?, row.optional_text("currency")?))
    }
}

/// An amount of money.
#[derive(Clone, Debug, InputObject)]
pub struct MoneyInput {
    /// How much, with at most four digits behind the point.
    pub amount: Decimal,
    /// In which currency: a code of ISO 4217, such as `EUR`.
    pub currency: String,
}

impl From<MoneyInput> for money::Money {
    fn from(input: MoneyInput) -> Self {
        Self { amount: input.amount.0, currency: input.currency }
    }
}

/// What the time that was worked on tickets costs.
#[derive(Clone, Debug, SimpleObject)]
pub struct TicketCost {
    /// What all time entries with an amount cost together; null when there is none.
    pub total: Option<Money>,
    /// What those of them cost that are billed; null when `total` is.
    pub billable: Option<Money>,
    /// How many entries have no amount, because no rate held for them.
    pub entries_without_rate: i32,
}

impl TicketCost {
    /// Of sums, in the tenant's currency; `None`: there is no amount in any.
    pub fn of(work: Work, currency: Option<&String>) -> Self {
        let money = |amount: Option<i64>| Some(Money::of(amount?, currency?.clone()));
        Self {
            total: money(work.cost),
            billable: money(work.billable),
            entries_without_rate: i32::try_from(work.without_rate.unwrap_or_default()).unwrap_or(i32::MAX),
        }
    }

    /// Of sums that were read before.
    ///
    /// # Errors
    /// Database errors.
    pub async fn of_sums(ctx: &Context<'_>, work: Work) -> Result<Self> {
        // Where nothing has an amount, nobody needs to know in what.
        let currency = if work.cost.is_some() { loaders::currency(ctx).await? } else { None };
        Ok(Self::of(work, currency.as_ref()))
    }

    /// Of the sums on a ticket; `None` when the viewer may not know them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn of_ticket(ctx: &Context<'_>, ticket: &Row) -> Result<Option<Self>> {
        match readable(ticket) {
            true => Self::of_sums(ctx, Work::of_ticket(ticket)).await.map(Some),
            false => Ok(None),
        }
    }

    /// Of the incidents of a problem, and of the problem itself if that is asked for; `None` when the viewer may not know what the
    /// problem costs.
    ///
    /// # Errors
    /// Database errors.
    pub async fn of_problem(ctx: &Context<'_>, problem: &Row, own: bool) -> Result<Option<Self>> {
        if !readable(problem) {
            return Ok(None);
        }
        // At once, so that each is one statement for all problems of the answer.
        let (incidents, currency) =
            futures_util::try_join!(loaders::incident_work(ctx, problem.id()), loaders::currency(ctx))?;
        let work = if own { Work::of_ticket(problem).and(incidents) } else { incidents };
        Ok(Some(Self::of(work, currency.as_ref())))
    }
}

/// Whether the viewer whom the ticket was read for may know what it costs: this field is there whenever it may be read.
pub fn readable(ticket: &Row) -> bool {
    !ticket.get("entriesWithoutRate").is_null()
}
