//! What a ticket is about: a service, and configuration items, each with how it came to stand there.
//!
//! The service is a field of the ticket. Items are rows of their own, so a change of them leaves the ticket's version alone and is
//! an event of its own, for those who work on the ticket.

use configuration::{ItemRef, ServiceRef};
use kernel::error::Problems;
use kernel::{Ctx, Result, UserError, Uuid};
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Audience, Tx};

use crate::edit::Edit;
use crate::events;
use crate::fields::TICKET_ITEM;
use crate::model::{ItemLink, MAX_ITEMS};
use crate::service::Tickets;

/// The configuration items that a ticket is about. A list that is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AffectedItems {
    /// Those that somebody says are affected.
    pub affected: Option<Vec<ItemRef>>,
    /// Those that somebody says are not.
    pub not_impacted: Option<Vec<ItemRef>>,
}

impl AffectedItems {
    /// Whether neither list is given.
    pub fn is_keep(&self) -> bool {
        self.affected.is_none() && self.not_impacted.is_none()
    }

    fn lists(&self) -> impl Iterator<Item = (&'static str, ItemLink, &Vec<ItemRef>)> {
        let affected = self.affected.iter().map(|list| (AFFECTED, ItemLink::Manual, list));
        affected.chain(self.not_impacted.iter().map(|list| (NOT_IMPACTED, ItemLink::NotImpacted, list)))
    }

    /// Checks how many there are.
    pub fn check(&self, problems: &mut Problems) {
        for (path, _, list) in self.lists().filter(|(_, _, list)| list.len() > MAX_ITEMS) {
            let message = format!("{} configuration items are given; at most {MAX_ITEMS} are allowed", list.len());
            problems.add(UserError::limit([path], message, MAX_ITEMS as u64));
        }
    }
}

const AFFECTED: &str = "configurationItems";
const NOT_IMPACTED: &str = "notImpactedItems";

impl Tickets {
    /// The service that a ticket may be about.
    ///
    /// # Errors
    /// `NOT_FOUND` or, for a retired one, `VALIDATION` below `service`.
    pub async fn usable_service_in(&self, tx: &mut Tx, reference: &ServiceRef) -> Result<Row> {
        let found = self.configuration().usable_service_in(tx, reference).await;
        found.map_err(|error| error.within("service"))
    }

    /// Refuses unless the viewer may change what the ticket is about.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission that is missing.
    pub fn authorise_items(&self, ctx: &Ctx, edit: &Edit) -> Result<()> {
        self.require_on(ctx, edit, access::permission::TICKET_UPDATE)
    }

    /// Brings the ticket's configuration items to what is wanted, with an event that tells what changed. The ticket is held by
    /// whoever calls this.
    ///
    /// # Errors
    /// `NOT_FOUND` or `VALIDATION` at the item, with its place in the list; `LIMIT` beyond [`MAX_ITEMS`].
    pub async fn set_items_in(&self, tx: &mut Tx, edit: &Edit, wanted: &AffectedItems) -> Result<()> {
        if wanted.is_keep() {
            return Ok(());
        }
        let ticket = edit.after.id();
        let there = self.items_in(tx, ticket).await?;
        let plan = self.planned_in(tx, wanted, &there).await?;
        let given = |link: ItemLink| wanted.lists().any(|(_, of, _)| of == link);
        let mut changes = Vec::new();
        let tenant = tx.ctx().tenant;
        for row in &there {
            let item = item_of(row);
            let link = ItemLink::parse(&row.text("link")).unwrap_or(ItemLink::Manual);
            match plan.iter().find(|(planned, _)| *planned == item) {
                Some((_, planned)) if *planned != link => {
                    let values = [("link", planned.as_str().into())];
                    query::update_in(tx, tenant, &TICKET_ITEM, row.id(), None, &values).await?;
                    changes.push(change(item, Some(link), Some(*planned)));
                }
                None if given(link) => {
                    query::delete_in(tx, tenant, &TICKET_ITEM, &[("id", row.id())]).await?;
                    changes.push(change(item, Some(link), None));
                }
                _ => {}
            }
        }
        for (item, link) in plan.iter().filter(|(item, _)| !there.iter().any(|row| item_of(row) == *item)) {
            insert_in(tx, ticket, *item, *link).await?;
            changes.push(change(*item, None, Some(*link)));
        }
        let gone = changes.iter().filter(|change| change["after"].is_null()).count();
        let come = changes.iter().filter(|change| change["before"].is_null()).count();
        if there.len() + come - gone > MAX_ITEMS {
            let message = format!("a ticket is about {MAX_ITEMS} configuration items at most");
            return Err(UserError::limit([AFFECTED], message, MAX_ITEMS as u64).into());
        }
        if !changes.is_empty() {
            let mut event = edit.event(self.access(), events::ITEMS_CHANGED, json!({ "items": changes }));
            event.changes.clear();
            event.audience = Audience::Internal;
            tx.emit(event);
        }
        Ok(())
    }

    /// The items that the lists name, each once.
    async fn planned_in(&self, tx: &mut Tx, wanted: &AffectedItems, there: &[Row]) -> Result<Vec<(Uuid, ItemLink)>> {
        let mut problems = Problems::default();
        let mut plan: Vec<(Uuid, ItemLink)> = Vec::new();
        for (path, link, references) in wanted.lists() {
            let found = self.configuration().items_in(tx, references).await?;
            for (index, item) in found.into_iter().enumerate() {
                let at = [path.to_owned(), index.to_string(), "id".to_owned()];
                let Some(item) = item else {
                    problems.add(UserError::not_found(at, "the configuration item"));
                    continue;
                };
                let chosen_before = there.iter().any(|row| item_of(row) == item.id());
                match plan.iter().find(|(planned, _)| *planned == item.id()) {
                    Some((_, planned)) if *planned != link => {
                        let message = format!("`{}` is in both lists", item.text("name"));
                        problems.add(UserError::constraint(at, message, "unique", None));
                    }
                    Some(_) => {}
                    None if item.bool("retired") && !chosen_before => {
                        let message = format!("the configuration item `{}` is retired", item.text("name"));
                        problems.add(UserError::constraint(at, message, "retired", None));
                    }
                    None => plan.push((item.id(), link)),
                }
            }
        }
        problems.check()?;
        Ok(plan)
    }

    async fn items_in(&self, tx: &mut Tx, ticket: Uuid) -> Result<Vec<Row>> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let condition = Predicate::eq("ticket", ticket);
        let limit = MAX_ITEMS as u64;
        query::all(tx, &self.access().scoped(&ctx, &visible), &TICKET_ITEM, &condition, &[], limit).await
    }
}

fn item_of(row: &Row) -> Uuid {
    row.get("configurationItem").as_id().unwrap_or_default()
}

fn change(item: Uuid, before: Option<ItemLink>, after: Option<ItemLink>) -> Json {
    let name = |link: Option<ItemLink>| link.map(ItemLink::as_str);
    json!({ "item": item.to_string(), "before": name(before), "after": name(after) })
}

async fn insert_in(tx: &mut Tx, ticket: Uuid, item: Uuid, link: ItemLink) -> Result<()> {
    let ctx = tx.ctx().clone();
    let row = Row::new(
        &TICKET_ITEM,
        vec![
            ("id", ctx.new_id().into()),
            ("ticket", ticket.into()),
            ("configurationItem", item.into()),
            ("link", link.as_str().into()),
            ("createdAt", tx.now().into()),
        ],
    );
    query::insert_unique_in(tx, ctx.tenant, &TICKET_ITEM, &row).await
}
