//! An incident was opened, or configuration items came onto one: the tenant's rules of detection are tried on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kernel::{Result, Uuid};
use problem::Problems;
use problem::detection::DetectionKey;
use store::{Event, Tx};
use ticket::TicketKind;

use crate::follow::{AfterCommit, Progress};

/// See the module.
pub struct ProblemDetection {
    problems: Problems,
}

impl ProblemDetection {
    /// Opening these problems.
    pub fn new(problems: Problems) -> Self {
        Self { problems }
    }

    /// Those that a rule is for. One that is made behind this look counts them with the next.
    async fn sifted(&self, events: Vec<Arc<Event>>) -> Result<Vec<Arc<Event>>> {
        let tickets = self.problems.tickets();
        let reader = tickets.store().read(self.name());
        let mut of_tenants: BTreeMap<Uuid, Vec<DetectionKey>> = BTreeMap::new();
        for event in &events {
            if let std::collections::btree_map::Entry::Vacant(place) = of_tenants.entry(event.tenant) {
                let ctx = tickets.access().system_ctx(event.tenant, self.name());
                let rules = self.problems.active_detection_rules(&reader, &ctx).await?;
                place.insert(rules.iter().map(|rule| rule.document.same()).collect());
            }
        }
        let is_for = |event: &Arc<Event>| {
            of_tenants.get(&event.tenant).is_some_and(|rules| tried(event).is_some_and(|same| rules.contains(&same)))
        };
        Ok(events.into_iter().filter(is_for).collect())
    }

    async fn react_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        if let Some(same) = tried(event) {
            self.problems.detect_in(tx, event.subject, same).await?;
        }
        Ok(Progress::Done)
    }
}

/// What an event gives an incident in common with others.
fn tried(event: &Event) -> Option<DetectionKey> {
    let has = |fact: &str| event.facts.get(fact).is_some_and(|value| !value.is_null());
    if event.kind == incident::events::CREATED {
        return (has("service") && has("category")).then_some(DetectionKey::ServiceAndCategory);
    }
    // Items that an incident is opened with come by an event of their own.
    (event.facts.get("kind")?.as_str()? == TicketKind::Incident.as_str()).then_some(DetectionKey::ConfigurationItem)
}

impl AfterCommit for ProblemDetection {
    fn name(&self) -> &'static str {
        "problemDetection"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[incident::events::CREATED, ticket::events::ITEMS_CHANGED]
    }

    fn concerns(&self, event: &Event) -> bool {
        tried(event).is_some()
    }

    fn sift<'a>(&'a self, events: Vec<Arc<Event>>) -> BoxFuture<'a, Result<Vec<Arc<Event>>>> {
        Box::pin(self.sifted(events))
    }

    fn opens(&self) -> TicketKind {
        TicketKind::Problem
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
