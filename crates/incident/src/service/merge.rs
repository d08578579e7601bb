//! What fires on an incident that is merged into another goes with it: else it would open a third one when it is told again.

use std::ops::Range;

use futures_util::future::BoxFuture;
use kernel::{Id, Result, Uuid, id};
use serde_json::Value as Json;
use store::query;
use store::{Reaction, Tx};
use ticket::TicketKind;
use ticket::events::{MERGE_UNDONE, MERGED};
use ticket::merge::Moved;

use super::Incidents;
use crate::alert::AlertStatus;
use crate::fields::INCIDENT;

/// The alerts that fire. Those that had ended are history of where they fired.
const ALERTS: Moved = Moved {
    table: "alert",
    ticket: "incident_id",
    record: "ALERT",
    only: Some(("status", AlertStatus::Firing.as_str())),
};

/// A merge of an incident into another, or that it was undone.
struct Moving {
    merge: Uuid,
    from: Uuid,
    to: Uuid,
    back: bool,
}

impl Reaction for Incidents {
    fn react<'t>(&'t self, tx: &'t mut Tx, events: Range<usize>) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let told = tx.emitted().get(events).unwrap_or_default();
            let moving: Vec<Moving> = told.iter().filter_map(Moving::of).collect();
            for moving in moving {
                self.move_alerts_in(tx, &moving).await?;
            }
            Ok(())
        })
    }
}

impl Moving {
    /// Of an event on the duplicate. The one on the other ticket changes nothing of it.
    fn of(event: &store::NewEvent) -> Option<Self> {
        let of_incident = event.facts.get("kind") == Some(&Json::from(TicketKind::Incident.as_str()));
        let back = event.kind == MERGE_UNDONE;
        if !of_incident || !(event.kind == MERGED || back && event.audience == store::Audience::Public) {
            return None;
        }
        let other = Id::parse_as(event.payload["ticket"].as_str()?, &[id::prefix::INCIDENT]).ok()?.uuid;
        let duplicate = event.subject;
        let (from, to) = if back { (other, duplicate) } else { (duplicate, other) };
        let merge = event.payload["merge"].as_str()?.parse().ok()?;
        Some(Self { merge, from, to, back })
    }
}

impl Incidents {
    /// Moves the alerts, and counts anew what fires where.
    async fn move_alerts_in(&self, tx: &mut Tx, moving: &Moving) -> Result<()> {
        let ways = (moving.from, moving.to);
        if self.tickets().move_along_in(&*tx, &ALERTS, moving.merge, ways, moving.back).await? == 0 {
            return Ok(());
        }
        for incident in [moving.from, moving.to] {
            let firing = self.count_firing_in(tx, incident).await?;
            let counted = [("firingAlerts", firing.into())];
            query::update_in(&*tx, tx.ctx().tenant, &INCIDENT, incident, None, &counted).await?;
        }
        Ok(())
    }
}
