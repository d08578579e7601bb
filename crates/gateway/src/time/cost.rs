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
    /// Of sums.
    ///
    /// # Errors
    /// Database errors.
    pub async fn of(ctx: &Context<'_>, work: Work) -> Result<Self> {
        let money = async |amount: Option<i64>| match amount {
            Some(amount) => {
                Ok::<_, async_graphql::Error>(loaders::currency(ctx).await?.map(|of| Money::of(amount, of)))
            }
            None => Ok(None),
        };
        Ok(Self {
            total: money(work.cost).await?,
            billable: money(work.billable).await?,
            entries_without_rate: i32::try_from(work.without_rate.unwrap_or_default()).unwrap_or(i32::MAX),
        })
    }

    /// Of the sums on a ticket; `None` when the viewer may not know them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn of_ticket(ctx: &Context<'_>, ticket: &Row) -> Result<Option<Self>> {
        match readable(ticket) {
            true => Self::of(ctx, Work::of_ticket(ticket)).await.map(Some),
            false => Ok(None),
        }
    }
}

/// Whether the viewer, as who may read it a ticket was read, may know what it costs. This field is there whenever it may be read.
pub fn readable(ticket: &Row) -> bool {
    !ticket.get("entriesWithoutRate").is_null()
}
