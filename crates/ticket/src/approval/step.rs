//! How an approval goes on: steps open, decide, and end it. Works on the records in memory; [`Progress::save_in`] writes.

use kernel::{Error, Result, Uuid};
use predicate::Value;
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{NewEvent, Tx};

use super::fields::{APPROVAL, APPROVAL_STEP, APPROVAL_VOTE};
use super::rules::{Decision, Seat, StepRule, Vote, decide, stand_in};
use super::{ApprovalRecord, ApprovalState, MAX_APPROVERS, StepPolicy, StepState, VoteState};
use crate::edit::Edit;
use crate::events;
use crate::service::Tickets;
use crate::tables;

/// An approval in the making or in progress, inside a write.
pub(super) struct Progress {
    /// As it is now.
    pub record: ApprovalRecord,
    /// Its version when it was loaded; `None` for a new one.
    before: Option<i32>,
    /// Votes that were not there before.
    fresh: Vec<Uuid>,
    /// Votes and steps that were there and changed.
    touched: Vec<Uuid>,
    /// What happened, in order.
    told: Vec<(&'static str, Json)>,
}

impl Progress {
    /// Of a new approval.
    pub fn new(record: ApprovalRecord) -> Self {
        Self { record, before: None, fresh: Vec::new(), touched: Vec::new(), told: Vec::new() }
    }

    /// Of one that was loaded.
    pub fn of(record: ApprovalRecord) -> Self {
        let before = i32::try_from(record.row.int("version")).ok();
        Self { before, ..Self::new(record) }
    }

    /// The id, as events carry it.
    pub fn id(&self) -> String {
        self.record.row.id().to_string()
    }

    /// Whether it waits for votes.
    pub fn is_pending(&self) -> bool {
        self.record.row.text("state") == ApprovalState::Pending.as_str()
    }

    /// Notes what happened.
    pub fn tell(&mut self, kind: &'static str, payload: Json) {
        self.told.push((kind, payload));
    }

    /// Those who may not decide.
    pub fn barred(&self) -> Vec<Uuid> {
        self.record.row.texts("barred").iter().filter_map(|id| id.parse().ok()).collect()
    }

    /// The step that asks now.
    pub fn open_step(&self) -> Option<&Row> {
        self.record.steps.iter().find(|step| step.text("state") == StepState::Open.as_str())
    }

    /// Changes a vote.
    pub fn set_vote(&mut self, vote: Uuid, values: Vec<(&'static str, Value)>) {
        if let Some(row) = self.record.votes.iter_mut().find(|row| row.id() == vote) {
            values.into_iter().for_each(|(field, value)| row.set(field, value));
            self.touch(vote);
        }
    }

    fn set_step(&mut self, step: Uuid, values: Vec<(&'static str, Value)>) {
        if let Some(row) = self.record.steps.iter_mut().find(|row| row.id() == step) {
            values.into_iter().for_each(|(field, value)| row.set(field, value));
            self.touch(step);
        }
    }

    fn touch(&mut self, id: Uuid) {
        if self.before.is_some() && !self.touched.contains(&id) && !self.fresh.contains(&id) {
            self.touched.push(id);
        }
    }

    /// What the votes on a step come to.
    fn decision(&self, step: &Row) -> Result<Decision> {
        // Administrators who stand in are asked by a rule of their own.
        let rule = match step.bool("toAdministrators") {
            true => StepRule::Any,
            false => rule_of(step)?,
        };
        let seats: Vec<_> = self.record.votes.iter().filter(|vote| is_of(vote, step.id())).map(seat).collect();
        Ok(decide(rule, &seats))
    }

    /// Opens and decides steps until one has to wait for votes, or nothing is left to decide.
    pub async fn advance_in(&mut self, tickets: &Tickets, tx: &mut Tx, ticket: &Row) -> Result<()> {
        while self.is_pending() {
            let Some(step) = self.open_step().cloned() else {
                let waiting = self.record.steps.iter().find(|step| step.text("state") == StepState::Waiting.as_str());
                match waiting.map(Row::id) {
                    Some(next) => self.open_in(tickets, tx, ticket, next).await?,
                    None => self.end(tx, ApprovalState::Approved, None),
                }
                continue;
            };
            let decided = match self.decision(&step)? {
                Decision::Open => break,
                Decision::Approved => StepState::Approved,
                Decision::Refused => StepState::Refused,
            };
            self.set_step(step.id(), vec![("state", decided.as_str().into()), ("decidedAt", tx.now().into())]);
            self.release(step.id());
            if decided == StepState::Refused {
                self.end(tx, ApprovalState::Refused, None);
            }
        }
        self.record_who();
        Ok(())
    }

    /// Has the ticket's requester of this moment decide as little as the one who was it when the approval was asked for.
    fn bar_requester(&mut self, ticket: &Row) {
        let mut barred = self.record.row.texts("barred");
        if let (Some(requester), false) = (ticket.get("requester").as_id(), self.record.row.bool("selfApproval")) {
            barred.push(requester.to_string());
            barred.sort_unstable();
            barred.dedup();
            self.record.row.set("barred", Value::TextList(barred));
        }
    }

    /// Asks the persons of a step.
    async fn open_in(&mut self, tickets: &Tickets, tx: &mut Tx, ticket: &Row, step: Uuid) -> Result<()> {
        let place = self.record.steps.iter().position(|row| row.id() == step).unwrap_or_default();
        let policy = self.policy()?;
        let policy = policy.get(place).ok_or_else(|| Error::internal("an approval has more steps than its policy"))?;
        self.bar_requester(ticket);
        let barred = self.barred();
        let mut resolved = tickets.persons_in(tx, ticket, policy, &barred).await?;
        // A team that grew since: the oldest accounts are asked. A policy that asks too many at once is refused at the start.
        resolved.asked.truncate(MAX_APPROVERS);
        let persons: Vec<_> = resolved.asked.iter().map(|asked| asked.person).collect();
        let delegates = tickets.delegates_of_in(tx, &persons).await?;
        for asked in &resolved.asked {
            let delegate = delegates.iter().find(|(delegator, _)| *delegator == asked.person);
            let delegate = stand_in(asked.person, delegate.map(|(_, delegate)| *delegate), &barred);
            let id = tx.new_id();
            self.fresh.push(id);
            self.record.votes.push(Row::new(
                &APPROVAL_VOTE,
                vec![
                    ("id", id.into()),
                    ("approval", self.record.row.id().into()),
                    ("step", step.into()),
                    ("approver", asked.person.into()),
                    ("delegate", delegate.into()),
                    ("counts", asked.counts.into()),
                    ("veto", asked.veto.into()),
                    ("vote", VoteState::Pending.as_str().into()),
                    ("comment", Value::Null),
                    ("decidedBy", Value::Null),
                    ("decidedAt", Value::Null),
                ],
            ));
        }
        let opened = vec![
            ("state", StepState::Open.as_str().into()),
            ("openedAt", tx.now().into()),
            ("toAdministrators", resolved.to_administrators.into()),
        ];
        self.set_step(step, opened);
        let payload = json!({
            "approval": self.id(), "step": step.to_string(), "toAdministrators": resolved.to_administrators,
        });
        self.tell(events::APPROVAL_STEP_OPENED, payload);
        Ok(())
    }

    fn policy(&self) -> Result<Vec<StepPolicy>> {
        match self.record.row.get("policy") {
            Value::Json(json) => serde_json::from_value(json.clone()).map_err(Error::internal),
            _ => Err(Error::internal("an approval has no policy")),
        }
    }

    /// Votes that nobody needs any more.
    fn release(&mut self, step: Uuid) {
        let pending: Vec<_> =
            self.record.votes.iter().filter(|vote| is_of(vote, step) && is_pending(vote)).map(Row::id).collect();
        for vote in pending {
            self.set_vote(vote, vec![("vote", VoteState::NotRequired.as_str().into())]);
        }
    }

    /// Ends it, with all that still waited.
    pub fn end(&mut self, tx: &Tx, state: ApprovalState, reason: Option<&str>) {
        let waiting =
            |row: &&Row| [StepState::Waiting, StepState::Open].iter().any(|state| row.text("state") == state.as_str());
        let steps: Vec<_> = self.record.steps.iter().filter(waiting).map(Row::id).collect();
        for step in steps {
            self.release(step);
            self.set_step(step, vec![("state", StepState::NotRequired.as_str().into())]);
        }
        let row = &mut self.record.row;
        row.set("state", state.as_str().into());
        row.set("reason", reason.into());
        row.set("decidedAt", tx.now().into());
        let payload = json!({ "approval": row.id().to_string(), "outcome": state.as_str() });
        let kind = match state {
            ApprovalState::Voided => events::APPROVAL_VOIDED,
            _ => events::APPROVAL_COMPLETED,
        };
        self.tell(kind, payload);
        self.record_who();
    }

    /// Who was asked ever, and who is awaited now: themselves and those who may vote for them.
    pub fn record_who(&mut self) {
        let ids = |wanted: &dyn Fn(&Row) -> bool| {
            let votes = self.record.votes.iter().filter(|vote| wanted(vote));
            let both = votes.flat_map(|vote| [vote.get("approver").as_id(), vote.get("delegate").as_id()]);
            let mut ids: Vec<String> = both.flatten().map(|id| id.to_string()).collect();
            ids.sort_unstable();
            ids.dedup();
            Value::TextList(ids)
        };
        let (asked, awaited) = (ids(&|_| true), ids(&|vote| is_pending(vote)));
        self.record.row.set("asked", asked);
        self.record.row.set("awaited", awaited);
    }

    /// Writes it, tells what happened, and says which transitions of the ticket wait from now on.
    ///
    /// # Errors
    /// A lost race is run again.
    pub async fn save_in(&mut self, tx: &mut Tx, access: &access::Access, edit: &Edit) -> Result<()> {
        let tenant = tx.ctx().tenant;
        self.record.row.set("updatedAt", tx.now().into());
        match self.before {
            None => {
                query::insert_in(tx, tenant, &APPROVAL, &self.record.row).await?;
                query::insert_all_in(tx, tenant, &APPROVAL_STEP, &self.record.steps).await?;
                query::insert_all_in(tx, tenant, &APPROVAL_VOTE, &self.record.votes).await?;
            }
            Some(version) => self.update_in(tx, version).await?,
        }
        for (kind, payload) in std::mem::take(&mut self.told) {
            tx.emit(event(access, edit, kind, payload));
        }
        self.before = i32::try_from(self.record.row.int("version")).ok();
        self.fresh.clear();
        self.touched.clear();
        Ok(())
    }

    async fn update_in(&mut self, tx: &mut Tx, version: i32) -> Result<()> {
        let tenant = tx.ctx().tenant;
        self.record.row.set("version", (version + 1).into());
        let changing = ["state", "reason", "barred", "asked", "awaited", "decidedAt", "version", "updatedAt"];
        let values: Vec<_> = changing.iter().map(|field| (*field, self.record.row.get(field).clone())).collect();
        if !query::update_in(tx, tenant, &APPROVAL, self.record.row.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        let touched = |row: &&Row| self.touched.contains(&row.id());
        for step in self.record.steps.iter().filter(touched) {
            let changing = ["state", "toAdministrators", "openedAt", "decidedAt"];
            let values: Vec<_> = changing.iter().map(|field| (*field, step.get(field).clone())).collect();
            query::update_in(tx, tenant, &APPROVAL_STEP, step.id(), None, &values).await?;
        }
        // One statement for all that are not required any more, however many were asked.
        let released: Vec<_> = self
            .record
            .votes
            .iter()
            .filter(touched)
            .filter(|vote| vote.text("vote") == VoteState::NotRequired.as_str())
            .map(Row::id)
            .collect();
        tables::release_votes_in(tx, tenant, &released).await?;
        for vote in self.record.votes.iter().filter(touched).filter(|vote| !released.contains(&vote.id())) {
            let changing = ["delegate", "vote", "comment", "decidedBy", "decidedAt"];
            let values: Vec<_> = changing.iter().map(|field| (*field, vote.get(field).clone())).collect();
            query::update_in(tx, tenant, &APPROVAL_VOTE, vote.id(), None, &values).await?;
        }
        let fresh: Vec<_> = self.record.votes.iter().filter(|vote| self.fresh.contains(&vote.id())).cloned().collect();
        query::insert_all_in(tx, tenant, &APPROVAL_VOTE, &fresh).await
    }
}

/// An event of an approval: of its ticket, with nothing of the ticket changed.
pub(super) fn event(access: &access::Access, edit: &Edit, kind: &'static str, payload: Json) -> NewEvent {
    let mut event = edit.event(access, kind, payload);
    event.changes.clear();
    event
}

fn is_of(vote: &Row, step: Uuid) -> bool {
    vote.get("step").as_id() == Some(step)
}

/// Whether it was not given yet.
pub(super) fn is_pending(vote: &Row) -> bool {
    vote.text("vote") == VoteState::Pending.as_str()
}

fn seat(vote: &Row) -> Seat {
    let given = match VoteState::parse(&vote.text("vote")) {
        Some(VoteState::Approved) => Vote::Approved,
        Some(VoteState::Refused) => Vote::Refused,
        _ => Vote::Pending,
    };
    Seat { counts: vote.bool("counts"), veto: vote.bool("veto"), vote: given }
}

fn rule_of(step: &Row) -> Result<StepRule> {
    let value = step.get("ruleValue").as_int().and_then(|value| u32::try_from(value).ok());
    StepRule::of(&step.text("rule"), value).ok_or_else(|| Error::internal("a step has no rule"))
}
