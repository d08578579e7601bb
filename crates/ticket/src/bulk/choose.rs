//! Which tickets a bulk change is about.

use access::operation::NewItem;
use kernel::{Ctx, Id, Result, UserError};
use predicate::{Predicate, Use};
use serde_json::Value as Json;
use store::query::{self, Row};

use super::{Choice, Chosen, MAX_AT_ONCE, MAX_CHOSEN, MAX_NAMED, MAX_TOGETHER, OnError, Place};
use crate::document::check_length;
use crate::fields::TICKET;
use crate::model::TicketKind;
use crate::queries::{TicketRef, above};
use crate::service::Tickets;

/// How many tickets are chosen at once in the background.
pub(super) const CHOICE: u64 = 500;

/// Refuses a call that names no tickets, or too many.
pub(super) fn check_named(count: usize) -> Result<()> {
    if (1..=MAX_NAMED).contains(&count) {
        return Ok(());
    }
    let message = format!("{count} tickets are named; a call names 1 to {MAX_NAMED}, or gives a `filter`");
    Err(UserError::limit(["ids"], message, MAX_NAMED as u64).into())
}

/// Refuses more tickets than one transaction may change, where all are to be changed or none.
pub(super) fn check_together(on_error: OnError, count: Option<usize>) -> Result<()> {
    if on_error == OnError::SkipItem || count.is_some_and(|count| count <= MAX_TOGETHER) {
        return Ok(());
    }
    let count = count.map_or_else(|| format!("more than {MAX_AT_ONCE}"), |count| count.to_string());
    let message = format!(
        "{count} tickets are chosen; `REJECT_ALL` changes at most {MAX_TOGETHER}, in one transaction: choose fewer, or \
         `SKIP_ITEM`"
    );
    Err(UserError::limit(["onError"], message, MAX_TOGETHER as u64).into())
}

/// Refuses a filter that finds more tickets than a bulk may change.
pub(super) fn check_chosen(count: usize) -> Result<()> {
    if count <= MAX_CHOSEN {
        return Ok(());
    }
    let message = format!("the filter finds more than {MAX_CHOSEN} tickets; that is the limit: narrow it");
    Err(UserError::limit(["filter"], message, MAX_CHOSEN as u64).into())
}

/// The id of a ticket with its kind's prefix.
fn id_of(row: &Row) -> Option<Id> {
    Some(Id::new(TicketKind::parse(&row.text("kind"))?.id_prefix(), row.id()))
}

/// Each ticket that was named, at its place: with an error where there is none, and where it stands a second time.
fn items_of(list: &[(TicketRef, Option<i32>)], rows: &[Row]) -> Vec<NewItem> {
    let mut seen: Vec<Id> = Vec::new();
    let mut items = Vec::with_capacity(list.len());
    for (index, (reference, expected_version)) in (0..).zip(list) {
        let place = Place { index, named: true };
        let is = |row: &&Row| match reference {
            TicketRef::Id(id) => id_of(row) == Some(*id),
            TicketRef::Number(number) => row.text("number") == *number,
            TicketRef::External { .. } => false,
        };
        let subject = rows.iter().find(is).and_then(id_of);
        let errors = match subject {
            None => vec![place.missing()],
            Some(id) if seen.contains(&id) => {
                let message = "the ticket is named before already";
                vec![place.of(None, UserError::constraint(["id"], message, "unique", None))]
            }
            Some(_) => Vec::new(),
        };
        seen.extend(subject);
        items.push(NewItem { subject, expected_version: *expected_version, errors });
    }
    items
}

impl Tickets {
    /// The tickets of a call, as far as they are chosen within it.
    ///
    /// # Errors
    /// User errors below `filter`; `LIMIT` at `ids` and `onError`.
    pub(super) async fn choose(&self, ctx: &Ctx, choice: &Choice, on_error: OnError) -> Result<Chosen> {
        let items = match choice {
            Choice::These(list) => {
                check_named(list.len())?;
                self.named(ctx, list).await?
            }
            Choice::Matching(document) => {
                let condition = self.bulk_condition(ctx, document).await?;
                let enough = MAX_AT_ONCE as u64 + 1;
                let items = self.matching(ctx, &condition, enough).await?;
                if items.len() > MAX_AT_ONCE {
                    check_together(on_error, None)?;
                    return Ok(Chosen::Later(document.clone()));
                }
                items
            }
        };
        check_together(on_error, Some(items.len()))?;
        Ok(Chosen::All(items))
    }

    async fn named(&self, ctx: &Ctx, list: &[(TicketRef, Option<i32>)]) -> Result<Vec<NewItem>> {
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        for (reference, _) in list {
            match reference {
                TicketRef::Id(id) => ids.push(id.uuid),
                TicketRef::Number(number) => numbers.push(number.as_str()),
                TicketRef::External { .. } => {}
            }
        }
        let named = Predicate::one_of("id", &ids).or(Predicate::one_of("number", &numbers));
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.bulkChoose");
        // One may be named by its id and by its number; each is read once.
        let rows = query::all(&reader, &scoped, &TICKET, &named, &[], list.len() as u64).await?;
        Ok(items_of(list, &rows))
    }

    /// What a filter document means for this viewer, now.
    pub(crate) async fn bulk_condition(&self, ctx: &Ctx, document: &Json) -> Result<Predicate> {
        let within = |error: kernel::Error| error.within("filter");
        check_length(document).map_err(within)?;
        let read = self.documents()?.of_tickets(document).map_err(within)?;
        let bound = self.bound(&self.store().read("customField.list"), ctx, read).await.map_err(within)?;
        let access = self.access();
        let visible = access.visible(ctx);
        access::visibility::filter(ctx, access.catalogue(), &visible, &TICKET, bound, Use::Query).map_err(within)
    }

    /// The first tickets that meet a condition, in the order of their ids.
    async fn matching(&self, ctx: &Ctx, condition: &Predicate, limit: u64) -> Result<Vec<NewItem>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.bulkChoose");
        let rows = query::all(&reader, &scoped, &TICKET, condition, &[], limit).await?;
        let item = |row: &Row| NewItem { subject: id_of(row), expected_version: None, errors: Vec::new() };
        Ok(rows.iter().map(item).collect())
    }

    /// The next tickets that meet a condition, behind this one.
    pub(super) async fn matching_behind(
        &self,
        ctx: &Ctx,
        condition: &Predicate,
        behind: Option<Id>,
    ) -> Result<Vec<NewItem>> {
        let next = condition.clone().and(above(behind.map(|id| id.uuid)));
        self.matching(ctx, &next, CHOICE).await
    }
}

#[cfg(test)]
mod tests {
    use kernel::{ErrorCode, Uuid};

    use super::*;

    #[test]
    fn limits_hold_and_are_named() {
        for (count, fine) in [(0, false), (1, true), (MAX_NAMED, true), (MAX_NAMED + 1, false)] {
            assert_eq!(check_named(count).is_ok(), fine, "{count}");
        }
        for (count, fine) in [(Some(MAX_TOGETHER), true), (Some(MAX_TOGETHER + 1), false), (None, false)] {
            assert_eq!(check_together(OnError::RejectAll, count).is_ok(), fine, "{count:?}");
            assert!(check_together(OnError::SkipItem, count).is_ok());
        }
        assert!(check_chosen(MAX_CHOSEN).is_ok());
        assert_eq!(check_chosen(MAX_CHOSEN + 1).unwrap_err().code(), ErrorCode::Limit);
    }

    #[test]
    fn tickets_stand_at_their_places_and_once() {
        let id = |number: u128| Id::new(TicketKind::Incident.id_prefix(), Uuid::from_u128(number));
        let row = |number: u128| {
            let values = vec![
                ("id", Uuid::from_u128(number).into()),
                ("kind", TicketKind::Incident.as_str().into()),
                ("number", format!("INC-{number}").into()),
            ];
            Row::new(&TICKET, values)
        };
        let of_another_kind = Id::new(TicketKind::Task.id_prefix(), Uuid::from_u128(1));
        let list = [
            (TicketRef::Number("INC-2".into()), Some(4)),
            (TicketRef::Id(id(1)), None),
            (TicketRef::Id(id(2)), None),
            (TicketRef::Id(id(3)), None),
            (TicketRef::Id(of_another_kind), None),
        ];
        let items = items_of(&list, &[row(1), row(2)]);
        let subjects: Vec<_> = items.iter().map(|item| item.subject).collect();
        assert_eq!(subjects, [Some(id(2)), Some(id(1)), Some(id(2)), None, None]);
        assert_eq!(items[0].expected_version, Some(4));
        let codes: Vec<_> = items.iter().map(|item| item.errors.first().map(|error| error.code)).collect();
        let missing = Some(ErrorCode::NotFound);
        assert_eq!(codes, [None, None, Some(ErrorCode::Validation), missing, missing]);
        assert_eq!(items[3].errors[0].path, ["ids", "3"]);
    }
}
