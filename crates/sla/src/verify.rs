//! The proof that what is stored of clocks is what the log says: all of them are computed anew and compared.

use std::collections::HashMap;

use kernel::{Ctx, Result, Timestamp, Uuid};
use predicate::{Path, Predicate, Test};
use serde::Serialize;
use ticket::fields::SLA_BASIS;

use crate::clock::Clock;
use crate::moment::fold_all;
use crate::regime::basis_of;
use crate::replay::History;
use crate::service::ServiceLevels;
use crate::stored::StoredClock;

/// How many differences are told one by one; the rest is counted.
pub const MAX_TOLD: usize = 1_000;
/// How often a ticket that differs is looked at again: it may have been written between the reading of its events and of its
/// clocks.
const LOOKS: usize = 3;

/// What a verification has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// How many tickets were looked at.
    pub tickets: u64,
    /// How many clocks were computed.
    pub clocks: u64,
    /// How many of them differ from what is stored, or are stored and should not be.
    pub differing: u64,
    /// The first of those.
    pub differences: Vec<Difference>,
}

/// A clock that is not what the log says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The number of the ticket.
    pub ticket: String,
    /// Which clock: metric, policy and ordinal.
    pub clock: String,
    /// What is stored; absent when it is missing.
    pub stored: Option<String>,
    /// What the log says; absent when it says nothing of such a clock.
    pub computed: Option<String>,
}

impl ServiceLevels {
    /// How many tickets of the tenant a verification looks at: those that policies held for.
    ///
    /// # Errors
    /// Database errors.
    pub async fn count_clocked(&self, ctx: &Ctx) -> Result<u64> {
        Ok(self.count_tickets(ctx, &clocked()).await?.unsigned_abs())
    }

    /// Computes all clocks of the tenant anew and compares them with what is stored. `told` hears how many tickets were looked at,
    /// after each batch.
    ///
    /// # Errors
    /// Database errors.
    pub async fn verify(&self, ctx: &Ctx, mut told: impl FnMut(u64)) -> Result<Verified> {
        let clocked = clocked();
        let mut verified = Verified::default();
        let mut behind = None;
        loop {
            let batch = self.histories(ctx, &clocked, behind).await?;
            let Some(last) = batch.last() else { return Ok(verified) };
            behind = Some(last.ticket.id());
            self.verify_batch(ctx, batch, &mut verified).await?;
            told(verified.tickets);
        }
    }

    async fn verify_batch(&self, ctx: &Ctx, batch: Vec<History>, verified: &mut Verified) -> Result<()> {
        let reader = self.store().read("sla.verify");
        let ids: Vec<Uuid> = batch.iter().map(|history| history.ticket.id()).collect();
        let mut stored: HashMap<Uuid, Vec<Clock>> = HashMap::with_capacity(ids.len());
        for row in self.all_clocks_of(&reader, ctx, &ids).await? {
            let read = StoredClock::from_row(&row)?;
            stored.entry(read.ticket).or_default().push(read.clock);
        }
        for history in batch {
            verified.tickets += 1;
            let id = history.ticket.id();
            let own = stored.remove(&id).unwrap_or_default();
            let (count, mut differences) = self.compare(ctx, &history, own).await?;
            let condition = Predicate::eq("id", id);
            for _ in 0..LOOKS {
                if differences.is_empty() {
                    break;
                }
                let Some(again) = self.histories(ctx, &condition, None).await?.pop() else { break };
                let rows = self.all_clocks_of(&reader, ctx, &[id]).await?;
                let own = rows.iter().map(|row| Ok(StoredClock::from_row(row)?.clock)).collect::<Result<Vec<_>>>()?;
                differences = self.compare(ctx, &again, own).await?.1;
            }
            verified.clocks += count;
            verified.differing += differences.len() as u64;
            let room = MAX_TOLD.saturating_sub(verified.differences.len());
            verified.differences.extend(differences.into_iter().take(room));
        }
        Ok(())
    }

    /// How many clocks the log tells of a ticket, and what differs.
    async fn compare(&self, ctx: &Ctx, history: &History, mut stored: Vec<Clock>) -> Result<(u64, Vec<Difference>)> {
        let Some(basis) = basis_of(&history.ticket) else { return Ok((0, Vec::new())) };
        let reader = self.store().read("sla.books");
        let policies = self.policies(&reader, ctx, &basis).await?;
        let computed = fold_all(self.tickets(), &policies, &history.events)?;
        let count = computed.len() as u64;
        Ok((count, differences(&history.ticket.text("number"), computed, &mut stored, ctx.now())))
    }
}

fn clocked() -> Predicate {
    Predicate::Is(Path::field(SLA_BASIS), Test::IsNull(false))
}

/// What differs between the clocks that the log tells of and those that are stored, at an instant.
fn differences(ticket: &str, computed: Vec<Clock>, stored: &mut Vec<Clock>, now: Timestamp) -> Vec<Difference> {
    let name =
        |clock: &Clock| format!("{} of policy {}, number {}", clock.metric.as_str(), clock.policy, clock.ordinal);
    let mut differences = Vec::new();
    for mut clock in computed {
        let same =
            |other: &Clock| (other.policy, other.metric, other.ordinal) == (clock.policy, clock.metric, clock.ordinal);
        let found = stored.iter().position(same).map(|place| stored.swap_remove(place));
        clock.tick(now);
        let known = found.map(|mut found| {
            found.tick(now);
            found
        });
        if known.as_ref() != Some(&clock) {
            differences.push(Difference {
                ticket: ticket.to_owned(),
                clock: name(&clock),
                stored: known.map(|known| format!("{known:?}")),
                computed: Some(format!("{clock:?}")),
            });
        }
    }
    differences.extend(stored.drain(..).map(|extra| Difference {
        ticket: ticket.to_owned(),
        clock: name(&extra),
        stored: Some(format!("{extra:?}")),
        computed: None,
    }));
    differences
}
