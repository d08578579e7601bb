//! What a document is checked against beside itself: the kind of tickets that it is for, the tenant's records, its earlier
//! versions.

use access::permission::SETTINGS_MANAGE;
use kernel::error::Problems;
use kernel::{Ctx, Result, UserError};
use predicate::Predicate;
use serde_json::Value as Json;
use store::query;
use store::{ConnectionTrait, Tx};

use super::migrate::StateMapping;
use super::{Transition, Workflow, check};
use crate::kind::KindRules;
use crate::model::{StateCategory, TicketKind};
use crate::service::Tickets;
use crate::transition::shared_schema;

impl Tickets {
    /// Checks a document for a kind of tickets, without keeping anything.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` with paths into the document.
    pub async fn validate_workflow(&self, ctx: &Ctx, document: Workflow) -> Result<()> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        self.check_document_in(&self.store().read("workflow.validate"), ctx, &document)
            .await
            .map_err(|error| error.within("document"))?;
        Ok(())
    }

    /// All that can be wrong with a document, paths relative to it.
    pub(super) async fn check_document_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        document: &Workflow,
    ) -> Result<()> {
        let mut problems = Problems::default();
        check::structure(document, &mut problems);
        let definitions = self.custom_fields(connection, ctx).await?;
        problems.take(self.compile(&mut document.clone(), &definitions))?;
        let rules = self.kinds().get(document.kind)?;
        for (place, transition) in document.transitions.iter().enumerate() {
            check_inputs(rules.as_ref(), document, place, transition, &mut problems);
        }
        for (place, transition) in document.transitions.iter().enumerate() {
            for (number, effect) in transition.effects.iter().enumerate() {
                let known = self.check_names(connection, ctx, rules.record(), effect).await;
                let path = ["transitions", &place.to_string(), "effects", &number.to_string()].map(str::to_owned);
                problems
                    .take(known.map_err(|error| path.iter().rev().fold(error, |error, part| error.within(part))))?;
            }
        }
        problems.check()
    }

    /// Each state in use is in the new document or mapped to a state of it.
    pub(super) async fn check_mapping_in(
        &self,
        tx: &mut Tx,
        earlier: &[Workflow],
        document: &Workflow,
        mapping: &[StateMapping],
    ) -> Result<()> {
        let mut problems = Problems::default();
        let category =
            |key: &str| earlier.iter().rev().find_map(|workflow| workflow.state(key)).map(|state| state.category);
        for (place, one) in mapping.iter().enumerate() {
            let at = |field: &str| ["migrate".to_owned(), place.to_string(), field.to_owned()];
            let Some(to) = document.state(&one.to) else {
                let message = format!("the new version has no state `{}`", one.to);
                problems.add(UserError::constraint(at("to"), message, "unknownState", None));
                continue;
            };
            match category(&one.from) {
                None => {
                    let message = format!("no earlier version has a state `{}`", one.from);
                    problems.add(UserError::constraint(at("from"), message, "unknownState", None));
                }
                Some(from) if to.category == StateCategory::Waiting && from != StateCategory::Waiting => {
                    let message =
                        format!("`{}` waits and `{}` does not: what would the tickets wait for?", one.to, one.from);
                    problems.add(UserError::constraint(at("to"), message, "category", None));
                }
                Some(_) => {}
            }
        }
        let gone = earlier.iter().flat_map(|workflow| &workflow.states).map(|state| state.key.as_str());
        let gone: std::collections::BTreeSet<&str> =
            gone.filter(|key| document.state(key).is_none() && mapping.iter().all(|one| one.from != *key)).collect();
        let rules = self.kinds().get(document.kind)?.clone();
        for state in gone {
            let in_use = self.following(rules.as_ref(), document).and(Predicate::eq("state", state));
            let tenant = tx.ctx().tenant;
            if query::exists(tx, tenant, rules.record(), &in_use, self.access().catalogue()).await? {
                let message = format!(
                    "open tickets are in the state `{state}`, which is gone: map it to a state of the new version"
                );
                problems.add(UserError::constraint(["migrate"], message, "stateInUse", None));
            }
        }
        problems.check()
    }

    pub(super) async fn check_binding(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        (kind, filter): (TicketKind, Option<&Json>),
        problems: &mut Problems,
    ) -> Result<()> {
        if let Some(filter) = filter {
            let definitions = self.custom_fields(connection, ctx).await?;
            let read = self.readable_condition(kind, filter, &definitions).map_err(|error| error.within("filter"));
            problems.take(read)?;
        }
        Ok(())
    }
}

/// Inputs are those that tickets of the kind know; what the effects set needs a kind of its own no more.
fn check_inputs(
    rules: &dyn KindRules,
    workflow: &Workflow,
    place: usize,
    transition: &Transition,
    problems: &mut Problems,
) {
    for (list, names) in [("required", &transition.required), ("optional", &transition.optional)] {
        for (number, name) in names.iter().enumerate() {
            if shared_schema(name).is_none() && rules.input_schema(workflow, name).is_none() {
                let path = ["transitions".into(), place.to_string(), list.to_owned(), number.to_string()];
                let message = format!("transitions of {} take no input `{name}`", rules.kind().as_str());
                problems.add(UserError::constraint(path, message, "unknownInput", None));
            }
        }
    }
    let resolves = workflow.category(&transition.to) == StateCategory::Resolved;
    for name in rules.inputs_to_resolve().iter().filter(|_| resolves) {
        if !transition.required.iter().any(|required| required == name) {
            let path = ["transitions".into(), place.to_string(), "required".to_owned()];
            let message = format!("a transition to a resolved state requires `{name}`");
            problems.add(UserError::constraint(path, message, "required", None));
        }
    }
}

/// A state's category is what queues, clocks and reports go by: it is the same in all versions.
pub(super) fn check_categories(earlier: &[Workflow], document: &Workflow) -> Result<()> {
    let mut problems = Problems::default();
    for state in &document.states {
        let was = earlier.iter().rev().find_map(|workflow| workflow.state(&state.key));
        if let Some(was) = was.filter(|was| was.category != state.category) {
            let message = format!(
                "state `{}` was {} in an earlier version and stays so; give the new meaning a state of its own",
                state.key,
                was.category.as_str()
            );
            problems.add(UserError::constraint(["document", "states"], message, "immutableCategory", None));
        }
    }
    problems.check()
}
