//! Saved filters and queues: a filter of tickets that somebody wrote, kept for themselves, for a team, or for everybody.
//!
//! What is kept is the document as it was written ([`crate::document`]); relative values (`isViewer`, `hasViewer`, `-P14D`)
//! mean whoever reads. A saved filter with a position is a queue.

use access::TeamRef;
use access::permission::FILTER_SHARE;
use kernel::error::Problems;
use kernel::words;
use kernel::{ActorKind, Ctx, Id, Patch, Result, UserError, Uuid, id};
use predicate::{Path, Policy, Predicate, Rule, Test, Use, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Count, Row};
use store::{Audience, Change, NewEvent, RecordRef, Tx, Written};

use crate::commands::{check_body, check_text};
use crate::fields::{SAVED_FILTER, TICKET};
use crate::model::{MAX_KEY, MAX_TITLE};
use crate::service::{Outcome, Tickets};

/// How many saved filters one owner may have.
pub const MAX_FILTERS: usize = 200;
/// How many columns a saved filter may hint at.
pub const MAX_COLUMNS: usize = 50;
/// How many counts are made by one statement.
pub const MAX_COUNTS: usize = 50;
/// How many queues a sidebar shows.
pub const MAX_QUEUES: u64 = 100;
/// The event that a new saved filter leaves behind.
pub const CREATED: &str = "SavedFilterCreated";
/// The event that a changed saved filter leaves behind.
pub const UPDATED: &str = "SavedFilterUpdated";
/// The event that a deleted saved filter leaves behind.
pub const DELETED: &str = "SavedFilterDeleted";

words! {
    /// Who sees a saved filter.
    Sharing {
        /// Its owner.
        Personal = "PERSONAL",
        /// The members of its team.
        Team = "TEAM",
        /// Everybody in the tenant.
        Tenant = "TENANT",
    }
}

/// Save a filter.
#[derive(Clone, Debug)]
pub struct CreateSavedFilter {
    /// For people.
    pub name: String,
    /// For people, in full.
    pub description: Option<String>,
    /// The document as the client wrote it.
    pub filter: Json,
    /// The order as the client wrote it.
    pub order: Json,
    /// Hints for a client's columns.
    pub columns: Vec<String>,
    /// Who sees it.
    pub sharing: Sharing,
    /// Whose it is, with [`Sharing::Team`].
    pub team: Option<TeamRef>,
    /// Its place among the queues; `None` for none.
    pub position: Option<i32>,
}

/// Change a saved filter.
#[derive(Clone, Debug)]
pub struct UpdateSavedFilter {
    /// Which.
    pub id: Id,
    /// A new name.
    pub name: Option<String>,
    /// Another description.
    pub description: Patch<String>,
    /// Another document.
    pub filter: Option<Json>,
    /// Another order.
    pub order: Option<Json>,
    /// Other columns.
    pub columns: Option<Vec<String>>,
    /// Another place among the queues.
    pub position: Patch<i32>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

/// Delete a saved filter.
#[derive(Clone, Debug)]
pub struct DeleteSavedFilter {
    /// Which.
    pub id: Id,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

impl Tickets {
    /// Saves a filter.
    ///
    /// # Errors
    /// `FORBIDDEN` for sharing without `filter.share`; `VALIDATION`, `LIMIT`, `NOT_FOUND`.
    pub async fn create_saved_filter(&self, ctx: &Ctx, command: CreateSavedFilter) -> Result<Outcome> {
        check_texts(Some(&command.name), command.description.as_deref(), Some(&command.columns))?;
        self.check_filter(ctx, &command.filter).await?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "savedFilterCreate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.create_saved_filter_in(tx, &command).await })
        });
        self.saved_filter_outcome(ctx, written.await?).await
    }

    async fn create_saved_filter_in(&self, tx: &mut Tx, command: &CreateSavedFilter) -> Result<Row> {
        let ctx = tx.ctx().clone();
        if ctx.actor.kind != ActorKind::User {
            let message = "saved filters belong to people";
            return Err(UserError::validation([] as [&str; 0], message).into());
        }
        let team = match (&command.sharing, &command.team) {
            (Sharing::Team, Some(team)) => Some(self.team_in(tx, team, "team").await?.id()),
            (Sharing::Team, None) => {
                let message = "say with which team, in `team`";
                return Err(UserError::constraint(["team"], message, "required", None).into());
            }
            (_, Some(_)) => {
                let message = "`team` goes with `sharing: TEAM`";
                return Err(UserError::constraint(["team"], message, "unexpected", None).into());
            }
            (_, None) => None,
        };
        let row = Row::new(
            &SAVED_FILTER,
            vec![
                ("id", tx.new_id().into()),
                ("owner", ctx.actor.id.into()),
                ("sharing", command.sharing.as_str().into()),
                ("team", team.into()),
                ("name", command.name.trim().into()),
                ("description", command.description.clone().into()),
                ("filter", Value::Json(command.filter.clone())),
                ("orderBy", Value::Json(command.order.clone())),
                ("columns", Value::TextList(command.columns.clone())),
                ("position", command.position.map_or(Value::Null, Value::from)),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
                ("updatedAt", tx.now().into()),
            ],
        );
        self.authorise_filter(&ctx, &row)?;
        let visible = self.access().visible(&ctx);
        let own = Predicate::eq("owner", ctx.actor.id);
        let limit = MAX_FILTERS as u64;
        let held = query::all(tx, &self.access().scoped(&ctx, &visible), &SAVED_FILTER, &own, &[], limit).await?;
        if held.len() >= MAX_FILTERS {
            let message = format!("you have {MAX_FILTERS} saved filters; that is the limit");
            return Err(UserError::limit([] as [&str; 0], message, limit).into());
        }
        query::insert_in(tx, ctx.tenant, &SAVED_FILTER, &row).await?;
        tell(tx, CREATED, &row, None);
        Ok(row)
    }

    /// Changes a saved filter.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`, `VALIDATION`.
    pub async fn update_saved_filter(&self, ctx: &Ctx, command: UpdateSavedFilter) -> Result<Outcome> {
        let description = match &command.description {
            Patch::Set(text) => Some(text.as_str()),
            _ => None,
        };
        check_texts(command.name.as_deref(), description, command.columns.as_deref())?;
        if let Some(filter) = &command.filter {
            self.check_filter(ctx, filter).await?;
        }
        let tickets = self.clone();
        let written = self.store().write(ctx, "savedFilterUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.update_saved_filter_in(tx, &command).await })
        });
        self.saved_filter_outcome(ctx, written.await?).await
    }

    async fn update_saved_filter_in(&self, tx: &mut Tx, command: &UpdateSavedFilter) -> Result<Row> {
        let before = self.saved_filter_in(tx, &command.id, command.expected_version).await?;
        let mut row = before.clone();
        let mut set = |field: &'static str, value: Option<Value>| {
            if let Some(value) = value {
                row.set(field, value);
            }
        };
        set("name", command.name.as_deref().map(|name| name.trim().into()));
        set("description", patched(&command.description));
        set("filter", command.filter.clone().map(Value::Json));
        set("orderBy", command.order.clone().map(Value::Json));
        set("columns", command.columns.clone().map(Value::TextList));
        set("position", patched(&command.position));
        if row == before {
            tx.answers_with(reference(&row));
            return Ok(row);
        }
        let version = version_of(&before);
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let names = ["name", "description", "filter", "orderBy", "columns", "position", "version", "updatedAt"];
        let values: Vec<_> = names.iter().map(|name| (*name, row.get(name).clone())).collect();
        let tenant = tx.ctx().tenant;
        if !query::update_in(tx, tenant, &SAVED_FILTER, row.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        tell(tx, UPDATED, &row, Some(&before));
        Ok(row)
    }

    /// Deletes a saved filter; answers what it was.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`.
    pub async fn delete_saved_filter(&self, ctx: &Ctx, command: DeleteSavedFilter) -> Result<Outcome> {
        let tickets = self.clone();
        let written = self.store().write(ctx, "savedFilterDelete", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let row = tickets.saved_filter_in(tx, &command.id, command.expected_version).await?;
                let tenant = tx.ctx().tenant;
                query::delete_in(tx, tenant, &SAVED_FILTER, &[("id", row.id())]).await?;
                tell(tx, DELETED, &row, None);
                Ok(row)
            })
        });
        let written = written.await?;
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => Some(value),
            // It is nowhere but in the event that tells of its end.
            Written::Replayed { .. } => {
                let told = events.iter().find(|event| event.kind == DELETED);
                told.map(|event| deleted(&event.payload)).and_then(|row| self.masked(ctx, row))
            }
        };
        Ok(Outcome { row, events })
    }

    /// The saved filter that a write is about: visible, and the viewer's to change.
    async fn saved_filter_in(&self, tx: &mut Tx, id: &Id, expected: Option<i32>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let found = query::by_ids(tx, &scoped, &SAVED_FILTER, &[id.uuid], &[]).await?.pop();
        let row = found.ok_or_else(|| UserError::not_found(["id"], "the saved filter"))?;
        if row.get("owner").as_id() != Some(ctx.actor.id) {
            self.authorise_filter(&ctx, &row)?;
        }
        match expected {
            Some(expected) if expected != version_of(&row) => Err(UserError::stale(version_of(&row)).into()),
            _ => Ok(row),
        }
    }

    /// Sharing with a team needs `filter.share` for it, with everybody for the tenant.
    fn authorise_filter(&self, ctx: &Ctx, row: &Row) -> Result<()> {
        let may = match Sharing::parse(&row.text("sharing")) {
            Some(Sharing::Personal) => row.get("owner").as_id() == Some(ctx.actor.id),
            Some(Sharing::Team) => {
                let policy = Policy::When(Rule::Permission(FILTER_SHARE));
                self.access().allows(ctx, &SAVED_FILTER, &policy, row)
            }
            _ => ctx.grants.holds_tenant(FILTER_SHARE),
        };
        if may { Ok(()) } else { Err(UserError::forbidden(FILTER_SHARE).into()) }
    }

    /// Whoever saves a filter can use it themselves.
    async fn check_filter(&self, ctx: &Ctx, document: &Json) -> Result<()> {
        self.condition_of(ctx, document).await.map(|_| ()).map_err(|error| error.within("filter"))
    }

    /// A document as the condition that it is for this viewer: resolved and masked.
    async fn condition_of(&self, ctx: &Ctx, document: &Json) -> Result<Predicate> {
        let asked = self.documents()?.of_tickets(document)?;
        let asked = self.bound(&self.store().read("customField.list"), ctx, asked).await?;
        let visible = self.access().visible(ctx);
        access::visibility::filter(ctx, self.access().catalogue(), &visible, &TICKET, asked, Use::Query)
    }

    async fn saved_filter_outcome(&self, ctx: &Ctx, written: Written<Row>) -> Result<Outcome> {
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => self.saved_filter(ctx, record.id.uuid).await?,
        };
        Ok(Outcome { row, events })
    }

    /// A visible saved filter.
    ///
    /// # Errors
    /// Database errors.
    pub async fn saved_filter(&self, ctx: &Ctx, filter: Uuid) -> Result<Option<Row>> {
        Ok(self.by_ids(ctx, &SAVED_FILTER, &[filter], &[]).await?.pop())
    }

    /// The visible saved filters that are queues, by position and name.
    ///
    /// # Errors
    /// Database errors.
    pub async fn queues(&self, ctx: &Ctx) -> Result<Vec<Row>> {
        let pinned = Predicate::Is(Path::field("position"), Test::IsNull(false));
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.queues");
        let mut rows = query::all(&reader, &scoped, &SAVED_FILTER, &pinned, &[], MAX_QUEUES).await?;
        rows.sort_by_key(|row| (row.int("position"), row.text("name")));
        Ok(rows)
    }

    /// How many tickets each of these documents finds for the viewer, in their order, by one statement for up to
    /// [`MAX_COUNTS`]. `None` for one that this viewer cannot use: it no longer fits, or names what their role never reads.
    ///
    /// # Errors
    /// Database errors.
    pub async fn count_documents(&self, ctx: &Ctx, documents: &[Json]) -> Result<Vec<Option<Count>>> {
        let mut conditions: Vec<Option<Predicate>> = Vec::with_capacity(documents.len());
        for document in documents {
            conditions.push(self.condition_of(ctx, document).await.ok());
        }
        let usable: Vec<Predicate> = conditions.iter().flatten().cloned().collect();
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.queueCounts");
        let mut counts = Vec::with_capacity(usable.len());
        for part in usable.chunks(MAX_COUNTS) {
            counts.extend(query::count_many(&reader, &scoped, &TICKET, part).await?);
        }
        let mut counts = counts.into_iter();
        Ok(conditions.into_iter().map(|condition| condition.and_then(|_| counts.next())).collect())
    }
}

fn check_texts(name: Option<&str>, description: Option<&str>, columns: Option<&[String]>) -> Result<()> {
    let mut problems = Problems::default();
    if let Some(name) = name {
        check_text(&mut problems, "name", name, MAX_TITLE);
    }
    if let Some(description) = description {
        check_body(&mut problems, "description", description);
    }
    for column in columns.unwrap_or_default() {
        check_text(&mut problems, "columns", column, MAX_KEY);
    }
    if columns.is_some_and(|columns| columns.len() > MAX_COLUMNS) {
        let message = format!("at most {MAX_COLUMNS} columns are allowed");
        problems.add(UserError::limit(["columns"], message, MAX_COLUMNS as u64));
    }
    problems.check()
}

fn patched<T: Clone + Into<Value>>(patch: &Patch<T>) -> Option<Value> {
    match patch {
        Patch::Keep => None,
        Patch::Clear => Some(Value::Null),
        Patch::Set(value) => Some(value.clone().into()),
    }
}

fn version_of(row: &Row) -> i32 {
    i32::try_from(row.int("version")).unwrap_or(i32::MAX)
}

fn reference(row: &Row) -> RecordRef {
    RecordRef { id: Id::new(id::prefix::SAVED_FILTER, row.id()), version: version_of(row) }
}

/// The saved filter that such an event tells of.
fn deleted(payload: &Json) -> Row {
    access::read_back(&SAVED_FILTER, payload.get("was").unwrap_or(&Json::Null))
}

fn tell(tx: &mut Tx, kind: &'static str, row: &Row, before: Option<&Row>) {
    let fields = ["name", "sharing", "team", "filter", "orderBy", "columns", "position"];
    let changes = fields.iter().map(|field| Change {
        field: (*field).to_owned(),
        before: before.map_or(Json::Null, |before| before.get(field).to_json()),
        after: row.get(field).to_json(),
    });
    let changes: Vec<_> = changes.filter(|change| change.before != change.after).collect();
    let mut payload = json!({ "name": row.text("name") });
    if kind == DELETED {
        payload["was"] = access::written_down(row);
    }
    tx.answers_with(reference(row));
    tx.emit(NewEvent {
        kind,
        subject_kind: "savedFilter",
        subject: row.id(),
        version: version_of(row),
        audience: Audience::Internal,
        changes: if kind == DELETED { Vec::new() } else { changes },
        facts: Default::default(),
        payload,
        occurred_at: None,
        actor: None,
    });
}
