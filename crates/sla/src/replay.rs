//! Tickets with all that happened to them, a batch at a time: what is computed anew from the log goes through here.

use std::collections::HashMap;

use access::visibility;
use kernel::{Ctx, Result, Uuid};
use predicate::Predicate;
use store::Event;
use store::query::{self, Row};
use ticket::fields::TICKET;
use ticket::queries::above;

use crate::service::ServiceLevels;

/// How many tickets are looked at at once: their events are in memory together.
pub const BATCH: u64 = 200;

/// A ticket and its events, from its first to its last.
pub(crate) struct History {
    pub(crate) ticket: Row,
    pub(crate) events: Vec<Event>,
}

impl ServiceLevels {
    /// The next tickets behind this id that meet a condition, with their histories. None are left when it is empty.
    pub(crate) async fn histories(
        &self,
        ctx: &Ctx,
        condition: &Predicate,
        behind: Option<Uuid>,
    ) -> Result<Vec<History>> {
        let reader = self.store().read("sla.replay");
        let visible = visibility::unmasked(&self.access().visible(&self.system(ctx)));
        let scoped = self.access().scoped(ctx, &visible);
        let wanted = condition.clone().and(above(behind));
        let tickets = query::all(&reader, &scoped, &TICKET, &wanted, &[], BATCH).await?;
        let ids: Vec<Uuid> = tickets.iter().map(Row::id).collect();
        let mut events: HashMap<Uuid, Vec<Event>> = HashMap::with_capacity(ids.len());
        for event in self.store().log().of_subjects(&reader, ctx.tenant, &ids).await? {
            events.entry(event.subject).or_default().push(event);
        }
        let histories = tickets.into_iter().map(|ticket| {
            let own = events.remove(&ticket.id()).unwrap_or_default();
            History { ticket, events: own }
        });
        Ok(histories.collect())
    }

    /// How many tickets meet a condition.
    pub(crate) async fn count_tickets(&self, ctx: &Ctx, condition: &Predicate) -> Result<i64> {
        let reader = self.store().read("sla.replay");
        let visible = visibility::unmasked(&self.access().visible(&self.system(ctx)));
        let scoped = self.access().scoped(ctx, &visible);
        let wanted = query::Statistics {
            record: &TICKET,
            filter: condition.clone(),
            group_by: Vec::new(),
            between: Vec::new(),
            matching: Vec::new(),
            sums: Vec::new(),
            limit: 1,
        };
        let groups = query::statistics(&reader, &scoped, &wanted).await?;
        Ok(groups.first().map_or(0, |group| group.count))
    }
}
