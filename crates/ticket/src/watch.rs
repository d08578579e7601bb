//! Watchers: who wants to know what happens to a ticket.

use access::UserRef;
use access::permission::TICKET_UPDATE;
use kernel::{ActorKind, Ctx, Result, UserError, Uuid};
use predicate::Predicate;
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use crate::commands::WatchTicket;
use crate::edit::Edit;
use crate::events;
use crate::fields::WATCHER;
use crate::model::MAX_WATCHERS;
use crate::service::{Outcome, Tickets};
use crate::tables::moving;

impl Tickets {
    /// Makes the viewer, or with `ticket.update` another user, a watcher. Doing it twice changes nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`; `LIMIT` beyond [`MAX_WATCHERS`].
    pub async fn watch(&self, ctx: &Ctx, command: WatchTicket) -> Result<Outcome> {
        self.change_watcher(ctx, "ticketWatch", command, true).await
    }

    /// Ends that. Doing it twice changes nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`.
    pub async fn unwatch(&self, ctx: &Ctx, command: WatchTicket) -> Result<Outcome> {
        self.change_watcher(ctx, "ticketUnwatch", command, false).await
    }

    async fn change_watcher(
        &self,
        ctx: &Ctx,
        name: &'static str,
        command: WatchTicket,
        watch: bool,
    ) -> Result<Outcome> {
        let tickets = self.clone();
        self.write(ctx, name, move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let edit = match watch {
                    true => tickets.edit_in(tx, &command.ticket, "id").await?,
                    // Nobody is held to what was merged.
                    false => tickets.edit_merged_in(tx, &command.ticket, "id").await?,
                };
                edit.hold_in(tx).await?;
                let actor = tickets.watcher_in(tx, &edit, &command).await?;
                match watch {
                    true => tickets.add_watcher_in(tx, &edit, actor, "user").await?,
                    false => tickets.remove_watcher_in(tx, &edit, actor).await?,
                }
                tx.answers_with(edit.reference());
                Ok(edit.after)
            })
        })
        .await
    }

    /// Makes somebody a watcher of a ticket that is held; whoever is one stays one, without an event.
    ///
    /// # Errors
    /// `LIMIT` at `path` beyond [`MAX_WATCHERS`].
    pub async fn add_watcher_in(&self, tx: &mut Tx, edit: &Edit, actor: Uuid, path: &'static str) -> Result<()> {
        let found = self.watchers_in(tx, edit.after.id()).await?;
        if found.iter().any(|row| row.get("actor").as_id() == Some(actor)) {
            return Ok(());
        }
        if found.len() >= MAX_WATCHERS {
            let message = format!("the ticket has {MAX_WATCHERS} watchers; that is the limit");
            return Err(UserError::limit([path], message, MAX_WATCHERS as u64).into());
        }
        self.insert_watcher_in(tx, edit, actor).await?;
        self.tell_of_watcher(tx, edit, events::WATCHED, actor);
        Ok(())
    }

    /// Makes these people watchers of a ticket that is held, as far as it has room for them, by one statement. Answers the rows of
    /// those who were none.
    pub(crate) async fn add_watchers_in(&self, tx: &mut Tx, edit: &Edit, people: &[Uuid]) -> Result<Vec<Uuid>> {
        let there = self.watchers_in(tx, edit.after.id()).await?;
        let mut known: Vec<Uuid> = there.iter().filter_map(|row| row.get("actor").as_id()).collect();
        let mut rows = Vec::new();
        for actor in people {
            if known.len() < MAX_WATCHERS && !known.contains(actor) {
                rows.push(watcher_row(tx, edit, *actor));
                known.push(*actor);
            }
        }
        query::insert_all_in(tx, tx.ctx().tenant, &WATCHER, &rows).await?;
        for actor in rows.iter().filter_map(|row| row.get("actor").as_id()) {
            self.tell_of_watcher(tx, edit, events::WATCHED, actor);
        }
        Ok(rows.iter().map(Row::id).collect())
    }

    /// Ends that those of these rows watch a ticket that is held who still do.
    pub(crate) async fn remove_watchers_in(&self, tx: &mut Tx, edit: &Edit, rows: &[Uuid]) -> Result<()> {
        let there = self.watchers_in(tx, edit.after.id()).await?;
        let gone: Vec<&Row> = there.iter().filter(|row| rows.contains(&row.id())).collect();
        let ids: Vec<Uuid> = gone.iter().map(|row| row.id()).collect();
        moving::delete_watchers_in(tx, &ids).await?;
        for actor in gone.iter().filter_map(|row| row.get("actor").as_id()) {
            self.tell_of_watcher(tx, edit, events::UNWATCHED, actor);
        }
        Ok(())
    }

    async fn remove_watcher_in(&self, tx: &mut Tx, edit: &Edit, actor: Uuid) -> Result<()> {
        let found = self.watchers_in(tx, edit.after.id()).await?;
        if found.iter().any(|row| row.get("actor").as_id() == Some(actor)) {
            let tenant = tx.ctx().tenant;
            query::delete_in(tx, tenant, &WATCHER, &[("ticket", edit.after.id()), ("actor", actor)]).await?;
            self.tell_of_watcher(tx, edit, events::UNWATCHED, actor);
        }
        Ok(())
    }

    fn tell_of_watcher(&self, tx: &mut Tx, edit: &Edit, kind: &'static str, actor: Uuid) {
        let mut event = edit.event(self.access(), kind, json!({ "user": actor.to_string() }));
        event.changes.clear();
        tx.emit(event);
    }

    async fn watcher_in(&self, tx: &mut Tx, edit: &Edit, command: &WatchTicket) -> Result<Uuid> {
        let viewer = tx.ctx().actor.id;
        let actor = match &command.user {
            Some(user) => self.user_in(tx, user, "user").await?.id(),
            None if tx.ctx().actor.kind == ActorKind::User => viewer,
            None => {
                let message = "only people follow tickets: name a `user`";
                return Err(UserError::constraint(["user"], message, "required", None).into());
            }
        };
        if actor != viewer {
            self.require_on(tx.ctx(), edit, TICKET_UPDATE)?;
        }
        Ok(actor)
    }

    pub(crate) async fn watchers_in(&self, tx: &mut Tx, ticket: Uuid) -> Result<Vec<Row>> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let condition = Predicate::eq("ticket", ticket);
        let limit = MAX_WATCHERS as u64 + 1;
        query::all(tx, &self.access().scoped(&ctx, &visible), &WATCHER, &condition, &[], limit).await
    }

    pub(crate) async fn insert_watcher_in(&self, tx: &mut Tx, edit: &Edit, actor: Uuid) -> Result<()> {
        query::insert_unique_in(tx, tx.ctx().tenant, &WATCHER, &watcher_row(tx, edit, actor)).await
    }

    /// The user that a reference points at; requesters, assignees and watchers are people.
    ///
    /// # Errors
    /// `NOT_FOUND` at `path`, for a service account too.
    pub async fn user_in(&self, tx: &mut Tx, reference: &UserRef, path: &str) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let row = self.access().user_in(tx, &ctx, reference).await.map_err(|error| error.within(path))?;
        if row.text("kind") != ActorKind::User.as_str() {
            return Err(UserError::not_found([path], "the user").into());
        }
        Ok(row)
    }
}

fn watcher_row(tx: &Tx, edit: &Edit, actor: Uuid) -> Row {
    Row::new(
        &WATCHER,
        vec![
            // In the order in which they are made, also within one instant.
            ("id", tx.ctx().new_id().into()),
            ("ticket", edit.after.id().into()),
            ("actor", actor.into()),
            ("createdAt", tx.now().into()),
        ],
    )
}
