//! Adding and changing the rules that find problems.

use access::commands::{checked_description, checked_name, checked_slug};
use access::permission::SETTINGS_MANAGE;
use access::{Changed, Managed, of_key, of_type};
use kernel::error::Problems as Complaints;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError, Uuid};
use predicate::{Predicate, Value};
use serde_json::json;
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};
use ticket::TicketKind;

use super::Problems;
use crate::commands::{CreateDetectionRule, DetectionDraft, DetectionRuleRef, UpdateDetectionRule};
use crate::detection::{
    DetectionDocument, MAX_DETECTION_RULES, MAX_THRESHOLD, MAX_WINDOW_SECONDS, MIN_THRESHOLD, MIN_WINDOW_SECONDS,
};
use crate::events::{DETECTION_RULE_CREATED, DETECTION_RULE_UPDATED, SUBJECT_DETECTION_RULE};
use crate::fields::DETECTION_RULE;

const KIND: Managed =
    Managed { record: &DETECTION_RULE, subject: SUBJECT_DETECTION_RULE, prefix: prefix::PROBLEM_DETECTION_RULE };

/// A rule, read.
#[derive(Clone, Debug)]
pub struct DetectionRule {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it says.
    pub document: DetectionDocument,
}

impl DetectionRuleRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            DetectionRuleRef::Id(id) => of_type(id, prefix::PROBLEM_DETECTION_RULE),
            DetectionRuleRef::Key(key) => of_key(key),
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            DetectionRuleRef::Id(_) => "id",
            DetectionRuleRef::Key(_) => "key",
        }
    }
}

impl Problems {
    /// What a rule says.
    ///
    /// # Errors
    /// `INTERNAL` for a row that this program did not write.
    pub fn rule_says(row: &Row) -> Result<DetectionDocument> {
        serde_json::from_value(row.get("document").to_json()).map_err(Error::internal)
    }

    /// The rule that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn detection_rule(&self, ctx: &Ctx, reference: &DetectionRuleRef) -> Result<Option<Row>> {
        let reader = self.tickets.store().read("problemDetectionRule.find");
        self.tickets.access().find_unmasked(&reader, ctx, &DETECTION_RULE, reference.condition()).await
    }

    /// The rules that are not retired, in the order in which they were made; for the system.
    ///
    /// # Errors
    /// Database errors.
    pub async fn active_detection_rules(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
    ) -> Result<Vec<DetectionRule>> {
        let access = self.tickets.access();
        let visible = access.visible(ctx);
        let active = Predicate::eq("retired", false);
        let scoped = access.scoped(ctx, &visible);
        let rows = query::all(connection, &scoped, &DETECTION_RULE, &active, &[], MAX_DETECTION_RULES as u64).await?;
        let rule =
            |row: &Row| Ok(DetectionRule { id: row.id(), name: row.text("name"), document: Self::rule_says(row)? });
        rows.iter().map(rule).collect()
    }

    /// Adds a rule. It holds for incidents that are opened from now on, which it counts together with those before.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what it points at; `CONFLICT` at
    /// `key` when it is taken.
    pub async fn create_detection_rule(&self, ctx: &Ctx, command: CreateDetectionRule) -> Result<Changed<Row>> {
        self.tickets.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let problems = self.clone();
        let written = self.tickets.store().write(ctx, "problemDetectionRuleCreate", move |tx| {
            let (problems, command) = (problems.clone(), command.clone());
            Box::pin(async move { problems.create_detection_rule_in(tx, &command).await })
        });
        self.tickets.access().answer_row(ctx, written.await?, &DETECTION_RULE, "the rule").await
    }

    async fn create_detection_rule_in(&self, tx: &mut Tx, command: &CreateDetectionRule) -> Result<Row> {
        let mut complaints = Complaints::default();
        let key = complaints.take(checked_slug("key", &command.key))?;
        let name = complaints.take(checked_name("name", &command.name))?;
        let description = command.description.as_deref().map(|text| checked_description("description", text));
        let description = complaints.take(description.transpose())?;
        let (tenant, taken) = (tx.ctx().tenant, Predicate::eq("key", command.key.as_str()));
        let catalogue = self.tickets.access().catalogue();
        if key.is_some() && query::exists(&*tx, tenant, &DETECTION_RULE, &taken, catalogue).await? {
            complaints.add(UserError::taken(["key"], format!("there is a rule `{}` already", command.key)));
        }
        let ctx = tx.ctx().clone();
        complaints.take(self.check_room_for_rule_in(tx, &[]).await)?;
        let document = self.detection_document(&*tx, &ctx, &command.draft).await;
        let document = complaints.take(document.map_err(|error| error.within("says")))?;
        complaints.check()?;
        let (Some(key), Some(name), Some(description), Some(document)) = (key, name, description, document) else {
            return Err(Error::internal("the values were checked"));
        };
        let values = vec![
            ("key", key.into()),
            ("name", name.into()),
            ("description", description.into()),
            ("document", Value::Json(json!(document))),
        ];
        KIND.insert_in(tx, DETECTION_RULE_CREATED, values).await
    }

    /// Refuses one more rule that is not retired than a tenant may have.
    async fn check_room_for_rule_in(&self, tx: &Tx, path: &[&str]) -> Result<()> {
        if self.active_detection_rules(tx, tx.ctx()).await?.len() >= MAX_DETECTION_RULES {
            let message = format!("there are {MAX_DETECTION_RULES} rules; no more are allowed");
            return Err(UserError::limit(path.iter().copied(), message, MAX_DETECTION_RULES as u64).into());
        }
        Ok(())
    }

    /// Changes a rule. Candidates that are open stay as they are.
    ///
    /// # Errors
    /// As [`Problems::create_detection_rule`]; `NOT_FOUND` at `rule`; `CONFLICT` with the current version.
    pub async fn update_detection_rule(&self, ctx: &Ctx, command: UpdateDetectionRule) -> Result<Changed<Row>> {
        self.tickets.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let problems = self.clone();
        let written = self.tickets.store().write(ctx, "problemDetectionRuleUpdate", move |tx| {
            let (problems, command) = (problems.clone(), command.clone());
            Box::pin(async move { problems.update_detection_rule_in(tx, &command).await })
        });
        self.tickets.access().answer_row(ctx, written.await?, &DETECTION_RULE, "the rule").await
    }

    async fn update_detection_rule_in(&self, tx: &mut Tx, command: &UpdateDetectionRule) -> Result<Row> {
        let access = self.tickets.access();
        let found = access.find_unmasked(&*tx, tx.ctx(), &DETECTION_RULE, command.rule.condition()).await?;
        let before = found.ok_or_else(|| UserError::not_found(["rule", command.rule.path()], "the rule"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut complaints = Complaints::default();
        let mut row = before.clone();
        if let Some(name) = &command.name
            && let Some(name) = complaints.take(checked_name("name", name))?
        {
            row.set("name", name.into());
        }
        match &command.description {
            Patch::Keep => {}
            Patch::Clear => row.set("description", Value::Null),
            Patch::Set(text) => {
                if let Some(text) = complaints.take(checked_description("description", text))? {
                    row.set("description", text.into());
                }
            }
        }
        if let Some(retired) = command.retired {
            if before.bool("retired") && !retired {
                complaints.take(self.check_room_for_rule_in(tx, &["retired"]).await)?;
            }
            row.set("retired", retired.into());
        }
        if let Some(draft) = &command.draft {
            let ctx = tx.ctx().clone();
            let document = self.detection_document(&*tx, &ctx, draft).await;
            if let Some(document) = complaints.take(document.map_err(|error| error.within("says")))? {
                row.set("document", Value::Json(json!(document)));
            }
        }
        complaints.check()?;
        KIND.update_in(tx, DETECTION_RULE_UPDATED, &before, row).await
    }

    /// The document that is stored, checked.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what the draft points at.
    pub(crate) async fn detection_document(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        draft: &DetectionDraft,
    ) -> Result<DetectionDocument> {
        let mut complaints = Complaints::default();
        if !(MIN_THRESHOLD..=MAX_THRESHOLD).contains(&draft.threshold) {
            let message = format!("from {MIN_THRESHOLD} to {MAX_THRESHOLD} incidents");
            complaints.add(UserError::limit(["threshold"], message, MAX_THRESHOLD as u64));
        }
        if !(MIN_WINDOW_SECONDS..=MAX_WINDOW_SECONDS).contains(&draft.window) {
            let message = format!("from a minute to {} days", MAX_WINDOW_SECONDS / 86_400);
            complaints.add(UserError::limit(["window"], message, MAX_WINDOW_SECONDS as u64));
        }
        if let Some(condition) = &draft.condition {
            let read = self.tickets.kept_filter(connection, ctx, TicketKind::Incident, condition).await;
            complaints.take(read.map_err(|error| error.within("condition")))?;
        }
        let access = self.tickets.access();
        let requester = access.user_with(connection, ctx, &draft.requester).await;
        let requester = complaints.take(requester.map_err(|error| error.within("requester")))?;
        let team = match &draft.team {
            Some(team) => {
                let team = access.team_with(connection, ctx, team).await;
                complaints.take(team.map_err(|error| error.within("team")))?
            }
            None => None,
        };
        complaints.check()?;
        Ok(DetectionDocument {
            same: draft.same.as_str().to_owned(),
            threshold: draft.threshold,
            window: draft.window,
            condition: draft.condition.clone(),
            impact: draft.impact,
            urgency: draft.urgency,
            requester: requester.map(|row| row.id()).unwrap_or_default(),
            team: team.map(|row| row.id()),
        })
    }
}
