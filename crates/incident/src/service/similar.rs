//! Incidents that are like one: what was done there may help here.

use kernel::{Ctx, Result};
use predicate::Predicate;
use ticket::StateCategory;
use ticket::likeness::{Likeness, Suggestion};

use super::Incidents;
use crate::fields::INCIDENT;

impl Incidents {
    /// The visible incidents that are most like this, best first; canceled ones told of nothing.
    ///
    /// # Errors
    /// Database errors.
    pub async fn similar(&self, ctx: &Ctx, like: &Likeness, limit: usize) -> Result<Vec<Suggestion>> {
        let among = !Predicate::eq("stateCategory", StateCategory::Canceled.as_str());
        self.tickets.alike(ctx, &INCIDENT, among, &["description"], like, limit).await
    }
}
