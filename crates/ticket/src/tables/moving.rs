//! What moves from one ticket to another: comments with their revisions and mentions, attachments, and words in the index. Each
//! step is one statement, however many rows it moves.

use kernel::{Result, Uuid};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, UpdateStatement};
use sea_orm::{Statement, Value};
use store::{ConnectionTrait, DbResult, Tx};

/// Rows that a merge moves along, from a table that has `moved_from_id`: the ticket on which they stood first, where that is another.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// The table.
    pub table: &'static str,
    /// The column that says on which ticket a row stands.
    pub ticket: &'static str,
    /// What the notes of a merge call its rows.
    pub record: &'static str,
    /// A column and what it says of the rows that move; all of the ticket's when absent.
    pub only: Option<(&'static str, &'static str)>,
}

/// What moves with a ticket of any kind.
const MOVED: [Moved; 2] = [
    Moved { table: "comment", ticket: "ticket_id", record: COMMENT, only: None },
    Moved { table: "attachment", ticket: "ticket_id", record: "ATTACHMENT", only: None },
];
/// What belongs to a comment, and goes where it goes.
const OF_COMMENTS: [&str; 2] = ["comment_revision", "comment_mention"];

const COMMENT: &str = "COMMENT";
const WATCHER: &str = "WATCHER";

impl Moved {
    /// Moves rows of a ticket to another, and notes for the merge which they were and where they had come from. Answers how many.
    pub(crate) async fn move_in(&self, tx: &Tx, merge: Uuid, from: Uuid, to: Uuid) -> Result<u64> {
        let (Self { table, ticket, record, .. }, only) = (self, self.condition());
        let tenant = tx.ctx().tenant;
        let note = format!(
            "INSERT INTO ticket_merge_item (tenant_id, merge_id, record, record_id, moved_from_id) \
             SELECT tenant_id, $1, '{record}', id, moved_from_id FROM {table} WHERE tenant_id = $2 AND {ticket} = $3{only}"
        );
        if run_in(tx, &note, vec![merge.into(), tenant.into(), from.into()]).await? == 0 {
            return Ok(0);
        }
        let go = format!(
            "UPDATE {table} SET {ticket} = $1, moved_from_id = NULLIF(COALESCE(moved_from_id, {ticket}), $1) \
             WHERE tenant_id = $2 AND {ticket} = $3{only}"
        );
        run_in(tx, &go, vec![to.into(), tenant.into(), from.into()]).await
    }

    /// Moves those back that a merge has moved and that still stand on the ticket that they were moved to. Answers how many.
    pub(crate) async fn move_back_in(&self, tx: &Tx, merge: Uuid, from: Uuid, to: Uuid) -> Result<u64> {
        let (Self { table, ticket, record, .. }, only) = (self, self.condition());
        let go = format!(
            "UPDATE {table} SET {ticket} = $1, moved_from_id = (SELECT i.moved_from_id FROM ticket_merge_item AS i \
             WHERE i.tenant_id = {table}.tenant_id AND i.merge_id = $2 AND i.record = '{record}' AND i.record_id = {table}.id) \
             WHERE tenant_id = $3 AND {ticket} = $4{only} AND id IN (SELECT record_id FROM ticket_merge_item \
             WHERE tenant_id = $3 AND merge_id = $2 AND record = '{record}')"
        );
        run_in(tx, &go, vec![to.into(), merge.into(), tx.ctx().tenant.into(), from.into()]).await
    }

    fn condition(&self) -> String {
        self.only.map(|(column, value)| format!(" AND {column} = '{value}'")).unwrap_or_default()
    }
}

/// Moves all comments and attachments of a ticket to another, and notes for the merge which they were.
pub(crate) async fn move_all_in(tx: &Tx, merge: Uuid, from: Uuid, to: Uuid) -> Result<()> {
    for moved in MOVED {
        moved.move_in(tx, merge, from, to).await?;
    }
    follow_in(tx, merge, from, to).await
}

/// Moves back what a merge has moved, as far as it still stands on the ticket that it was moved to.
pub(crate) async fn move_back_in(tx: &Tx, merge: Uuid, from: Uuid, to: Uuid) -> Result<()> {
    for moved in MOVED {
        moved.move_back_in(tx, merge, from, to).await?;
    }
    follow_in(tx, merge, from, to).await
}

/// Has what belongs to the comments of a merge stand where they stand.
async fn follow_in(tx: &Tx, merge: Uuid, from: Uuid, to: Uuid) -> Result<()> {
    let tenant = tx.ctx().tenant;
    for table in OF_COMMENTS {
        let go = format!(
            "UPDATE {table} SET ticket_id = $1 WHERE tenant_id = $2 AND ticket_id = $3 AND comment_id IN ( \
             SELECT record_id FROM ticket_merge_item WHERE tenant_id = $2 AND merge_id = $4 AND record = '{COMMENT}')"
        );
        run_in(tx, &go, vec![to.into(), tenant.into(), from.into(), merge.into()]).await?;
    }
    Ok(())
}

/// Moves these comments of a ticket to another, with what belongs to them. Answers how many attachments went along.
pub(crate) async fn move_comments_in(tx: &Tx, comments: &[Uuid], from: Uuid, to: Uuid) -> Result<u64> {
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let moved = |table: &'static str, key: &'static str| -> UpdateStatement {
        let mut update = Query::update();
        update
            .table(Alias::new(table))
            .value(Alias::new("ticket_id"), to)
            .and_where(column("tenant_id").eq(tx.ctx().tenant))
            .and_where(column("ticket_id").eq(from))
            .and_where(column(key).is_in(comments.iter().copied()));
        update
    };
    let mut attachments = 0;
    for (table, key) in [("comment", "id"), ("attachment", "comment_id")] {
        let mut update = moved(table, key);
        // Where it was said first is kept, whatever way it went.
        let first = Func::coalesce([column("moved_from_id"), column("ticket_id")]);
        let elsewhere = Func::cust(Alias::new("NULLIF")).args([first.into(), Expr::val(to)]);
        update.value(Alias::new("moved_from_id"), elsewhere);
        attachments = tx.execute(&update).await.db()?.rows_affected();
    }
    for table in OF_COMMENTS {
        tx.execute(&moved(table, "comment_id")).await.db()?;
    }
    Ok(attachments)
}

/// Notes which watchers a merge has made.
pub(crate) async fn note_watchers_in(tx: &Tx, merge: Uuid, watchers: &[Uuid]) -> Result<()> {
    if watchers.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert();
    insert
        .into_table(Alias::new("ticket_merge_item"))
        .columns(["tenant_id", "merge_id", "record", "record_id"].map(Alias::new));
    for watcher in watchers {
        let values = [Expr::val(tx.ctx().tenant), Expr::val(merge), Expr::val(WATCHER), Expr::val(*watcher)];
        insert.values(values).map_err(kernel::Error::internal)?;
    }
    tx.execute(&insert).await.db()?;
    Ok(())
}

/// The watchers that a merge has made, by the ids of their rows.
pub(crate) async fn noted_watchers_in(tx: &Tx, merge: Uuid) -> Result<Vec<Uuid>> {
    let sql = "SELECT record_id FROM ticket_merge_item WHERE tenant_id = $1 AND merge_id = $2 AND record = $3";
    let values = [tx.ctx().tenant.into(), merge.into(), WATCHER.into()];
    let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
    let rows = tx.query_all_raw(statement).await.db()?;
    rows.iter().map(|row| row.try_get_by_index(0).db()).collect()
}

/// Ends that these watch.
pub(crate) async fn delete_watchers_in(tx: &Tx, watchers: &[Uuid]) -> Result<()> {
    if watchers.is_empty() {
        return Ok(());
    }
    let mut delete = Query::delete();
    delete
        .from_table(Alias::new("ticket_watcher"))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(Alias::new("id")).is_in(watchers.iter().copied()));
    tx.execute(&delete).await.db()?;
    Ok(())
}

/// Adds the words of the comments of one ticket to those of another, each kind unless it holds `most` characters already, and
/// leaves none behind. Answers whether both were in the index.
pub(crate) async fn move_texts_in(tx: &Tx, from: Uuid, to: Uuid, most: usize) -> Result<bool> {
    let appended = |name: &str| {
        format!(
            "{name} = CASE WHEN length({name}) < {most} THEN {name} || (SELECT s.{name} FROM ticket_search AS s \
             WHERE s.tenant_id = ticket_search.tenant_id AND s.id = $1) ELSE {name} END"
        )
    };
    let sql = format!(
        "UPDATE ticket_search SET {}, {} WHERE tenant_id = $2 AND id = $3 AND EXISTS ( \
         SELECT 1 FROM ticket_search AS s WHERE s.tenant_id = $2 AND s.id = $1)",
        appended("comments"),
        appended("internal_comments"),
    );
    let tenant = tx.ctx().tenant;
    let moved = run_in(tx, &sql, vec![from.into(), tenant.into(), to.into()]).await?;
    update_comment_texts_in(tx, from, "", "").await?;
    Ok(moved == 1)
}

/// Puts these folded words in place of those of a ticket's comments: of the public ones, and of the internal ones.
pub(crate) async fn update_comment_texts_in(tx: &Tx, ticket: Uuid, public: &str, internal: &str) -> Result<()> {
    let column = Alias::new;
    let mut update = Query::update();
    update
        .table(column("ticket_search"))
        .value(column("comments"), public)
        .value(column("internal_comments"), internal)
        .and_where(Expr::col(column("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(column("id")).eq(ticket));
    tx.execute(&update).await.db()?;
    Ok(())
}

/// The ticket at the end of the chain of merges that begins with this one; itself when it was not merged.
pub(crate) async fn survivor_in(tx: &Tx, ticket: Uuid) -> Result<Uuid> {
    let sql = "WITH RECURSIVE way (id, next) AS ( \
               SELECT id, merged_into_id FROM ticket WHERE tenant_id = $1 AND id = $2 \
               UNION \
               SELECT t.id, t.merged_into_id FROM ticket AS t JOIN way ON t.id = way.next WHERE t.tenant_id = $1 \
               ) SELECT id FROM way WHERE next IS NULL";
    let values = [tx.ctx().tenant.into(), ticket.into()];
    let row = tx.query_one_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    row.map_or(Ok(ticket), |row| row.try_get_by_index(0).db())
}

/// The tickets that were merged into this one, through however many merges that stand.
pub(crate) async fn merged_into_in(tx: &Tx, ticket: Uuid) -> Result<Vec<Uuid>> {
    let sql = "WITH RECURSIVE way (id) AS ( \
               SELECT duplicate_id FROM ticket_merge WHERE tenant_id = $1 AND ticket_id = $2 AND undone_at IS NULL \
               UNION \
               SELECT m.duplicate_id FROM ticket_merge AS m JOIN way ON m.ticket_id = way.id \
               WHERE m.tenant_id = $1 AND m.undone_at IS NULL \
               ) SELECT id FROM way";
    let values = [tx.ctx().tenant.into(), ticket.into()];
    let rows = tx.query_all_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    rows.iter().map(|row| row.try_get_by_index(0).db()).collect()
}

async fn run_in(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<u64> {
    let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
    Ok(tx.execute_raw(statement).await.db()?.rows_affected())
}
