//! Links between tickets: typed, directed, seen from both ends.
//!
//! **Rules.** No ticket is linked with itself, none twice in the same way, a ticket has one parent, and no chain of `PARENT_OF`,
//! `BLOCKS` or `DUPLICATES` leads back to where it began.
//!
//! **Against two links at once.** A write holds the rows of both ends, so links of one ticket come one after the other. A circle can
//! be closed by two links that share no end: so the write also holds all tickets from which a chain leads to the source, and walks
//! once more. Whoever adds a link to one of them waits, and what was added before is seen by the second walk, which has a
//! fresh snapshot; when it finds more than was held, the write is run again.

use access::permission::TICKET_UPDATE;
use kernel::error::Problems;
use kernel::{Ctx, Error, ErrorCode, Id, Result, Timestamp, UserError, Uuid};
use predicate::Predicate;
use serde_json::{Map, Value as Json, json};
use store::query::{self, Row};
use store::{Audience, Tx};

use crate::commands::LinkTickets;
use crate::edit::Edit;
use crate::events;
use crate::fields::LINK;
use crate::model::{LinkType, MAX_CAUSED, MAX_LINKS, StateCategory, TicketKind};
use crate::queries::TicketRef;
use crate::service::{Outcome, Tickets};
use crate::tables;
use crate::workflow::{Transition, Workflow};

/// How many tickets may stand on all chains that lead to one.
pub const MAX_CHAIN: usize = 1_000;
/// The resolution code of a ticket that duplicates another.
pub const DUPLICATE: &str = "DUPLICATE";

impl Tickets {
    /// Links a ticket with another. Doing it twice changes nothing.
    ///
    /// `DUPLICATES` closes the ticket onto the original, as its workflow allows, and makes its requester and its watchers watchers
    /// of the original, as far as that has room for them.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`; `VALIDATION` for a ticket and itself and for a circle; `CONFLICT` when the ticket has another
    /// parent; `LIMIT` beyond [`MAX_LINKS`]; `TRANSITION_REFUSED` for a duplicate that cannot be closed.
    pub async fn link(&self, ctx: &Ctx, command: LinkTickets) -> Result<Outcome> {
        self.change_link(ctx, "ticketLink", command, true).await
    }

    /// Takes a link away. Doing it twice changes nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn unlink(&self, ctx: &Ctx, command: LinkTickets) -> Result<Outcome> {
        self.change_link(ctx, "ticketUnlink", command, false).await
    }

    async fn change_link(&self, ctx: &Ctx, name: &'static str, command: LinkTickets, add: bool) -> Result<Outcome> {
        let tickets = self.clone();
        self.write(ctx, name, move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.change_link_in(tx, &command, add).await })
        })
        .await
    }

    async fn change_link_in(&self, tx: &mut Tx, command: &LinkTickets, add: bool) -> Result<Row> {
        let mut problems = Problems::default();
        let source = problems.take(self.edit_in(tx, &command.source, "id").await)?;
        let target = problems.take(self.edit_in(tx, &command.target, "target").await)?;
        problems.check()?;
        let (Some(mut source), Some(target)) = (source, target) else {
            return Err(Error::internal("references were checked"));
        };
        let kind = command.kind;
        self.require_on(tx.ctx(), &source, TICKET_UPDATE)?;
        if matches!(kind, LinkType::ParentOf | LinkType::Blocks) {
            self.require_on(tx.ctx(), &target, TICKET_UPDATE).map_err(|error| error.within("target"))?;
        }
        if source.before.id() == target.before.id() {
            return Err(UserError::constraint(["target"], "a ticket is not linked with itself", "self", None).into());
        }
        Edit::hold_both_in(tx, &source, &target).await?;
        let there = self.link_in(tx, kind, source.before.id(), target.before.id()).await?;
        match (&there, add) {
            (None, true) => _ = self.insert_link_in(tx, kind, &source, &target).await?,
            (Some(there), false) => {
                query::delete_in(tx, tx.ctx().tenant, &LINK, &[("id", there.id())]).await?;
            }
            _ => {
                tx.answers_with(source.reference());
                return Ok(source.after);
            }
        }
        let event = if add { events::LINKED } else { events::UNLINKED };
        self.tell_of_link(tx, event, kind, &source, &target);
        if add && kind == LinkType::Duplicates {
            self.follow_original_in(tx, &source, &target).await?;
            self.close_duplicate_in(tx, &mut source, &target).await?;
        }
        tx.answers_with(source.reference());
        Ok(source.after)
    }

    /// Says of many tickets that this one is their cause, with a handful of statements for all of them. Whoever calls this has made
    /// sure that the viewer may, and holds the tickets since before they were loaded ([`Tickets::hold_in`]). Answers for each what
    /// was done, in their order.
    ///
    /// # Errors
    /// Database errors; a lost race is run again.
    pub async fn link_effects_in(&self, tx: &mut Tx, effects: &[Edit], cause: &Edit) -> Result<Vec<EffectLinked>> {
        let (kind, to) = (LinkType::CausedBy, cause.before.id());
        let ids: Vec<Uuid> = effects.iter().map(|effect| effect.before.id()).collect();
        let arriving = Predicate::eq("target", to).and(Predicate::eq("type", kind.as_str()));
        let among = arriving.clone().and(Predicate::one_of("source", &ids));
        let there = self.links_in(tx, among, ids.len()).await?;
        let there: Vec<Uuid> = there.iter().filter_map(|link| link.get("source").as_id()).collect();
        let mut counted: Vec<Predicate> = ids.iter().map(|id| bounded_together(*id)).collect();
        counted.push(arriving);
        let counts = self.count_all_in(tx, &LINK, &counted).await?;
        let (mut caused, now) = (counts.last().copied().unwrap_or_default(), tx.now());
        let (mut done, mut rows) = (Vec::with_capacity(ids.len()), Vec::new());
        for (place, id) in ids.iter().enumerate() {
            let outcome = if *id == to {
                EffectLinked::Itself
            } else if effects.get(place).is_some_and(|effect| !effect.before.get("mergedInto").is_null()) {
                EffectLinked::Merged
            } else if there.contains(id) {
                EffectLinked::Already
            } else if counts.get(place).copied().unwrap_or_default() >= MAX_LINKS as u64 {
                EffectLinked::Full { limit: MAX_LINKS, of_cause: false }
            } else if caused >= MAX_CAUSED as u64 {
                EffectLinked::Full { limit: MAX_CAUSED, of_cause: true }
            } else {
                caused += 1;
                rows.push(link_row(tx, kind, *id, to, now));
                EffectLinked::Linked
            };
            done.push(outcome);
        }
        query::insert_all_in(tx, tx.ctx().tenant, &LINK, &rows).await?;
        for effect in effects.iter().zip(&done).filter_map(|(effect, done)| done.is_new().then_some(effect)) {
            self.tell_of_link(tx, events::LINKED, kind, effect, cause);
        }
        Ok(done)
    }

    /// The link of this type between the two. What only says that they have to do with each other is the same both ways.
    async fn link_in(&self, tx: &mut Tx, kind: LinkType, source: Uuid, target: Uuid) -> Result<Option<Row>> {
        let way = |source: Uuid, target: Uuid| Predicate::eq("source", source).and(Predicate::eq("target", target));
        let either = match kind {
            LinkType::RelatesTo => way(source, target).or(way(target, source)),
            _ => way(source, target),
        };
        Ok(self.links_in(tx, either.and(Predicate::eq("type", kind.as_str())), 1).await?.pop())
    }

    async fn links_in(&self, tx: &mut Tx, condition: Predicate, limit: usize) -> Result<Vec<Row>> {
        let ctx = tx.ctx().clone();
        // Whoever may see both ends sees the link; for counting, what is hidden counts as well.
        let visible = access::visibility::everything(self.access().catalogue());
        query::all(tx, &self.access().scoped(&ctx, &visible), &LINK, &condition, &[], limit as u64).await
    }

    async fn insert_link_in(&self, tx: &mut Tx, kind: LinkType, source: &Edit, target: &Edit) -> Result<Uuid> {
        let (from, to) = (source.before.id(), target.before.id());
        let of_target = match kind {
            LinkType::CausedBy => (Predicate::eq("target", to).and(Predicate::eq("type", kind.as_str())), MAX_CAUSED),
            _ => (bounded_together(to), MAX_LINKS),
        };
        for (path, (condition, limit)) in [("id", (bounded_together(from), MAX_LINKS)), ("target", of_target)] {
            let counted = self.count_all_in(tx, &LINK, &[condition]).await?;
            if counted.iter().any(|count| *count >= limit as u64) {
                let message = format!("the ticket has {limit} links; that is the limit");
                return Err(UserError::limit([path], message, limit as u64).into());
            }
        }
        if kind == LinkType::ParentOf {
            let parent = Predicate::eq("target", to).and(Predicate::eq("type", kind.as_str()));
            if !self.links_in(tx, parent, 1).await?.is_empty() {
                return Err(UserError::taken(["target"], "the ticket has a parent already").into());
            }
        }
        if kind.is_acyclic() && self.chain_to_in(tx, kind, from).await?.contains(&to) {
            let message =
                format!("a chain of `{}` leads from `{}` to here", kind.as_str(), target.before.text("number"));
            return Err(UserError::constraint(["target"], message, "circle", None).into());
        }
        let row = link_row(tx, kind, from, to, tx.now());
        query::insert_unique_in(tx, tx.ctx().tenant, &LINK, &row).await?;
        Ok(row.id())
    }

    /// The tickets from which a chain of links leads to this one. None of them gets another link of its own before this write
    /// is over.
    async fn chain_to_in(&self, tx: &mut Tx, kind: LinkType, ticket: Uuid) -> Result<Vec<Uuid>> {
        let limit = MAX_CHAIN + 1;
        let chain = tables::chain_to_in(tx, kind.as_str(), ticket, limit).await?;
        if chain.len() > MAX_CHAIN {
            let message =
                format!("more than {MAX_CHAIN} tickets stand on the chains of `{}` that lead here", kind.as_str());
            return Err(UserError::limit(["id"], message, MAX_CHAIN as u64).into());
        }
        if tables::hold_tickets_in(tx, &chain).await? {
            let again = tables::chain_to_in(tx, kind.as_str(), ticket, limit).await?;
            if again.iter().any(|found| !chain.contains(found)) {
                return Err(tx.retry());
            }
        }
        Ok(chain)
    }

    /// One event on each end, each naming the other.
    fn tell_of_link(&self, tx: &mut Tx, kind: &'static str, of: LinkType, source: &Edit, target: &Edit) {
        for (subject, other, direction) in [(source, target, "OUTWARD"), (target, source, "INWARD")] {
            let other = other.reference().id.to_string();
            let payload = json!({ "type": of.as_str(), "direction": direction, "ticket": other });
            self.tell(tx, subject, kind, payload);
        }
    }

    /// An event without a change, for those who work on the ticket.
    pub(crate) fn tell(&self, tx: &mut Tx, subject: &Edit, kind: &'static str, payload: Json) {
        let mut event = subject.event(self.access(), kind, payload);
        event.changes.clear();
        event.audience = Audience::Internal;
        tx.emit(event);
    }

    /// Those who want to know what becomes of the duplicate are told of the original from now on. Answers the rows of those who
    /// were not told before.
    pub(crate) async fn follow_original_in(&self, tx: &mut Tx, duplicate: &Edit, original: &Edit) -> Result<Vec<Uuid>> {
        let mut followers = vec![duplicate.before.get("requester").as_id().unwrap_or_default()];
        let watchers = self.watchers_in(tx, duplicate.before.id()).await?;
        followers.extend(watchers.iter().filter_map(|row| row.get("actor").as_id()));
        self.add_watchers_in(tx, original, &followers).await
    }

    /// Links a duplicate with the ticket that it is merged into. Answers the link, unless it was there.
    pub(crate) async fn link_duplicate_in(&self, tx: &mut Tx, duplicate: &Edit, into: &Edit) -> Result<Option<Uuid>> {
        let (kind, from, to) = (LinkType::Duplicates, duplicate.before.id(), into.before.id());
        if self.link_in(tx, kind, from, to).await?.is_some() {
            return Ok(None);
        }
        let link = self.insert_link_in(tx, kind, duplicate, into).await.map_err(at_into)?;
        self.tell_of_link(tx, events::LINKED, kind, duplicate, into);
        Ok(Some(link))
    }

    /// Says of two tickets that they have to do with each other, of which one was made by this write.
    pub(crate) async fn relate_in(&self, tx: &mut Tx, one: &Edit, other: &Edit) -> Result<()> {
        self.insert_link_in(tx, LinkType::RelatesTo, one, other).await?;
        self.tell_of_link(tx, events::LINKED, LinkType::RelatesTo, one, other);
        Ok(())
    }

    /// Takes the link away that a merge has made, if it is still there.
    pub(crate) async fn unlink_duplicate_in(
        &self,
        tx: &mut Tx,
        link: Uuid,
        duplicate: &Edit,
        into: &Edit,
    ) -> Result<()> {
        if query::delete_in(&*tx, tx.ctx().tenant, &LINK, &[("id", link)]).await? > 0 {
            self.tell_of_link(tx, events::UNLINKED, LinkType::Duplicates, duplicate, into);
        }
        Ok(())
    }

    async fn close_duplicate_in(&self, tx: &mut Tx, duplicate: &mut Edit, original: &Edit) -> Result<()> {
        let category = StateCategory::parse(&duplicate.before.text("stateCategory"));
        if category.is_some_and(StateCategory::is_done) {
            return Ok(());
        }
        let notes = format!("Duplicate of {}.", original.before.text("number"));
        let workflow = duplicate.workflow.clone();
        let Some((key, inputs)) = closing_of_duplicate(&workflow, &duplicate.before.text("state"), &notes) else {
            let message = "its workflow has no way to close it as a duplicate from where it stands";
            return Err(UserError::constraint(["id"], message, "state", None).into());
        };
        self.transition_in(tx, duplicate, &key, inputs).await
    }

    /// Resolves the open children of a ticket that was just resolved, as far as the viewer may: those that they see and whose
    /// workflow lets them. What became of each is told by an event on the parent.
    pub(crate) async fn resolve_children_in(
        &self,
        tx: &mut Tx,
        parent: &Edit,
        transition: &str,
        inputs: &Map<String, Json>,
    ) -> Result<()> {
        if parent.after.text("stateCategory") != StateCategory::Resolved.as_str() {
            let message = "children are resolved along with a transition that resolves";
            return Err(UserError::constraint(["resolveChildren"], message, "state", None).into());
        }
        let mut told = Vec::new();
        for child in self.open_children_in(tx, parent.after.id()).await? {
            let mut child = self.edit_in(tx, &child, "id").await?;
            let outcome = self.resolve_child_in(tx, &mut child, transition, inputs).await;
            let reasons = match outcome {
                Ok(()) => Vec::new(),
                Err(Error::Refused(errors)) => errors.into_iter().flat_map(reasons_of).collect(),
                Err(other) => return Err(other),
            };
            told.push(json!({ "ticket": child.reference().id.to_string(), "reasons": reasons }));
        }
        if !told.is_empty() {
            self.tell(tx, parent, events::CHILDREN_RESOLVED, json!({ "children": told }));
        }
        Ok(())
    }

    /// The visible children that are not done.
    async fn open_children_in(&self, tx: &mut Tx, parent: Uuid) -> Result<Vec<TicketRef>> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let of_parent = Predicate::eq("source", parent).and(Predicate::eq("type", LinkType::ParentOf.as_str()));
        let scoped = self.access().scoped(&ctx, &visible);
        let links = query::all(tx, &scoped, &LINK, &of_parent, &["target"], MAX_LINKS as u64).await?;
        let open = links.iter().filter_map(|link| link.relation("target")).filter(|child| {
            StateCategory::parse(&child.text("stateCategory")).is_some_and(|category| !category.is_done())
        });
        Ok(open
            .filter_map(|child| {
                let kind = TicketKind::parse(&child.text("kind"))?;
                Some(TicketRef::Id(Id::new(kind.id_prefix(), child.id())))
            })
            .collect())
    }

    async fn resolve_child_in(
        &self,
        tx: &mut Tx,
        child: &mut Edit,
        transition: &str,
        inputs: &Map<String, Json>,
    ) -> Result<()> {
        let workflow = child.workflow.clone();
        let Some((key, inputs)) = resolving(&workflow, &child.before.text("state"), transition, inputs) else {
            let message = "its workflow has no way to resolve it from where it stands";
            return Err(UserError::constraint(["id"], message, "state", None).into());
        };
        self.transition_in(tx, child, &key, inputs).await
    }
}

/// What became of one ticket that was to be linked with its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectLinked {
    /// It was linked.
    Linked,
    /// It was linked already.
    Already,
    /// It is the cause itself.
    Itself,
    /// It was merged into another ticket, which is the one to link.
    Merged,
    /// It, or the cause, has as many links as it may have.
    Full {
        /// How many those are.
        limit: usize,
        /// Whether it is the cause that has them.
        of_cause: bool,
    },
}

impl EffectLinked {
    /// Whether a link was made.
    pub const fn is_new(self) -> bool {
        matches!(self, EffectLinked::Linked)
    }
}

/// The links of a ticket that [`MAX_LINKS`] bounds: all but those that make it the cause of others.
fn bounded_together(ticket: Uuid) -> Predicate {
    let effect = Predicate::eq("target", ticket).and(!Predicate::eq("type", LinkType::CausedBy.as_str()));
    Predicate::eq("source", ticket).or(effect)
}

fn link_row(tx: &Tx, kind: LinkType, source: Uuid, target: Uuid, now: Timestamp) -> Row {
    Row::new(
        &LINK,
        vec![
            // In the order in which they are made, also within one instant.
            ("id", tx.ctx().new_id().into()),
            ("source", source.into()),
            ("target", target.into()),
            ("type", kind.as_str().into()),
            ("createdAt", now.into()),
        ],
    )
}

/// What is refused of the `target` of a link is refused of what a ticket is merged `into`.
fn at_into(error: Error) -> Error {
    let Error::Refused(mut errors) = error else { return error };
    for segment in errors.iter_mut().filter_map(|error| error.path.first_mut()).filter(|segment| *segment == "target") {
        *segment = "into".to_owned();
    }
    Error::Refused(errors)
}

/// Why something was refused, for people.
fn reasons_of(error: UserError) -> Vec<String> {
    match error.detail {
        kernel::Detail::Transition(refused) if error.code == ErrorCode::TransitionRefused => refused.reasons,
        _ => vec![error.message],
    }
}

/// The transition that closes a ticket as a duplicate, with its inputs: into a closed state if the workflow has one that can be
/// reached at once, else into a resolved, else into a canceled one. One that can tell the resolution code goes first.
fn closing_of_duplicate(workflow: &Workflow, state: &str, notes: &str) -> Option<(String, Map<String, Json>)> {
    let known = |name: &str| match name {
        "resolutionCode" => {
            workflow.resolution_codes.iter().any(|code| code.key == DUPLICATE).then(|| Json::from(DUPLICATE))
        }
        "resolutionNotes" => Some(Json::from(notes)),
        _ => None,
    };
    let mut best: Option<(usize, String, Map<String, Json>)> = None;
    for transition in workflow.leaving(state) {
        let rank = match workflow.category(&transition.to) {
            StateCategory::Closed => 0,
            StateCategory::Resolved => 1,
            StateCategory::Canceled => 2,
            _ => continue,
        };
        let Some(inputs) = filled(transition, known) else { continue };
        let rank = if inputs.contains_key("resolutionCode") { rank } else { rank + 3 };
        if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
            best = Some((rank, transition.key.clone(), inputs));
        }
    }
    best.map(|(_, key, inputs)| (key, inputs))
}

/// The inputs of a transition of which the value is known; `None` when it needs one that is not.
fn filled(transition: &Transition, known: impl Fn(&str) -> Option<Json>) -> Option<Map<String, Json>> {
    let mut inputs = Map::new();
    for name in transition.required.iter().chain(&transition.optional) {
        match known(name) {
            Some(value) => _ = inputs.insert(name.clone(), value),
            None if transition.required.contains(name) => return None,
            None => {}
        }
    }
    Some(inputs)
}

/// The transition that resolves a child, with those of the parent's inputs that it takes: the one with the parent's key first.
fn resolving(
    workflow: &Workflow,
    state: &str,
    key: &str,
    inputs: &Map<String, Json>,
) -> Option<(String, Map<String, Json>)> {
    let resolves = |found: &&Transition| workflow.category(&found.to) == StateCategory::Resolved;
    let of_key = workflow.leaving(state).filter(resolves).find(|found| found.key == key);
    let transition = of_key.or_else(|| workflow.leaving(state).find(resolves))?;
    let taken = |name: &String| transition.required.contains(name) || transition.optional.contains(name);
    let inputs = inputs.iter().filter(|(name, _)| taken(name)).map(|(name, value)| (name.clone(), value.clone()));
    Some((transition.key.clone(), inputs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(transitions: &str, codes: &str) -> Workflow {
        let document = format!(
            r#"{{"key":"t","version":1,"kind":"INCIDENT","initial":"new",
            "states":[{{"key":"new","name":"New","category":"NEW"}},{{"key":"done","name":"Done","category":"RESOLVED"}},
            {{"key":"closed","name":"Closed","category":"CLOSED"}},{{"key":"gone","name":"Gone","category":"CANCELED"}}],
            "transitions":[{transitions}],"resolutionCodes":[{codes}]}}"#
        );
        Workflow::parse(&document).unwrap()
    }

    fn way(key: &str, from: &str, to: &str, required: &str) -> String {
        format!(
            r#"{{"key":"{key}","name":"x","from":["{from}"],"to":"{to}","permission":"ticket.transition","required":[{required}]}}"#
        )
    }

    const CODE: &str = r#"{"key":"DUPLICATE","name":"Duplicate"}"#;

    fn ways(resolve: &str) -> String {
        let rest = [
            way("cancel", "new", "gone", ""),
            way("close", "done", "closed", ""),
            way("drop", "new", "closed", r#""team""#),
        ];
        format!("{},{}", way("resolve", "new", "done", resolve), rest.join(","))
    }

    #[test]
    fn a_duplicate_is_closed_with_what_tells_most() {
        let both = r#""resolutionCode","resolutionNotes""#;
        let found = closing_of_duplicate(&workflow(&ways(both), CODE), "new", "Duplicate of X.").unwrap();
        assert_eq!(found.0, "resolve");
        assert_eq!(found.1["resolutionCode"], "DUPLICATE");
        assert_eq!(found.1["resolutionNotes"], "Duplicate of X.");
        // A code that the workflow does not know cannot be told, so what needs one is no way.
        let found = closing_of_duplicate(&workflow(&ways(both), ""), "new", "x").unwrap();
        assert_eq!((found.0.as_str(), found.1.len()), ("cancel", 0));
        let found = closing_of_duplicate(&workflow(&ways(""), ""), "new", "x").unwrap();
        assert_eq!(found.0, "resolve", "resolved goes before canceled");
        assert_eq!(closing_of_duplicate(&workflow(&ways(both), CODE), "closed", "x"), None);
    }

    #[test]
    fn a_child_is_resolved_with_what_it_takes() {
        let workflow = workflow(&ways(r#""resolutionNotes""#), "");
        let inputs = json!({ "resolutionCode": "SOLVED", "resolutionNotes": "x" }).as_object().cloned().unwrap();
        let (key, taken) = resolving(&workflow, "new", "fix", &inputs).unwrap();
        assert_eq!((key.as_str(), taken.len(), taken.contains_key("resolutionNotes")), ("resolve", 1, true));
        assert_eq!(resolving(&workflow, "done", "resolve", &inputs), None);
    }
}
