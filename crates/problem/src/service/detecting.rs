//! Finding problems: a rule against what is going on, and a draft of one against the past.

use access::permission::SETTINGS_MANAGE;
use access::visibility::unmasked;
use access::{TeamRef, UserRef};
use chrono::Duration;
use configuration::{ITEM, ItemRef, SERVICE, ServiceRef};
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Result, Timestamp, UserError, Uuid};
use predicate::{Operand, Path, Predicate, Test, Value, ViewerValues, resolve};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};
use ticket::fields::{CATEGORY, TICKET_ITEM};
use ticket::{AffectedItems, ItemLink, StateCategory, TicketDraft, TicketKind, TicketRef};

use super::Problems;
use super::detection_rules::DetectionRule;
use crate::commands::{CreateProblem, DetectionDraft, MAX_LINKED_AT_ONCE};
use crate::detection::{
    Candidate, Common, DetectionDocument, DetectionKey, MAX_CANDIDATES, MAX_SIMULATED, MAX_SIMULATED_DAYS, candidates,
};
use crate::fields::PROBLEM;
use crate::model::ProblemOrigin;

/// What a draft of a rule would have done.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// How many incidents were looked at.
    pub incidents: usize,
    /// How many candidates it would have opened.
    pub total: usize,
    /// Those with the most incidents, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
}

/// Between two instants, both counting.
fn between(since: Timestamp, until: Timestamp) -> Predicate {
    let created = |test| Predicate::Is(Path::field("createdAt"), test);
    created(Test::Gte(Operand::Value(since.into()))).and(created(Test::Lte(Operand::Value(until.into()))))
}

/// Incidents that were some: a canceled one never was.
fn counts() -> Predicate {
    !Predicate::eq("stateCategory", StateCategory::Canceled.as_str())
}

/// Items that an incident is about, and does not merely name.
fn affected() -> Predicate {
    !Predicate::eq("link", ItemLink::NotImpacted.as_str())
}

/// A service that can be chosen.
fn in_use(service: &Row) -> Option<ServiceRef> {
    (!service.bool("retired")).then(|| ServiceRef::Id(Id::new(prefix::SERVICE, service.id())))
}

impl Problems {
    /// Tries the rules on an incident that was opened, or that configuration items came onto: where one is met, a candidate is opened with
    /// the incidents that met it, or the incident joins the candidate that is open already.
    ///
    /// # Errors
    /// Database errors; a lost race is run again.
    pub async fn detect_in(&self, tx: &mut Tx, incident: Uuid, same: DetectionKey) -> Result<()> {
        let ctx = tx.ctx().clone();
        let rules = self.active_detection_rules(&*tx, &ctx).await?;
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.document.same() == same).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let record = self.tickets.kinds().get(TicketKind::Incident)?.record();
        let itself = Predicate::eq("id", incident);
        let Some(row) = self.tickets.access().find_unmasked(&*tx, &ctx, record, Some(itself)).await? else {
            return Ok(());
        };
        let commons = self.commons_in(tx, &ctx, &row, same).await?;
        for rule in &rules {
            for common in &commons {
                self.try_rule_in(tx, rule, *common, &row).await?;
            }
        }
        Ok(())
    }

    /// What an incident may have in common with others.
    async fn commons_in(&self, tx: &mut Tx, ctx: &Ctx, incident: &Row, same: DetectionKey) -> Result<Vec<Common>> {
        if same == DetectionKey::ServiceAndCategory {
            let both = incident.get("service").as_id().zip(incident.get("category").as_id());
            return Ok(both
                .map(|(service, category)| Common::ServiceAndCategory(service, category))
                .into_iter()
                .collect());
        }
        let access = self.tickets.access();
        let visible = unmasked(&access.visible(ctx));
        let of_incident = Predicate::eq("ticket", incident.id()).and(affected());
        let most = ticket::MAX_ITEMS as u64;
        let rows = query::all(tx, &access.scoped(ctx, &visible), &TICKET_ITEM, &of_incident, &[], most).await?;
        Ok(rows.iter().filter_map(|row| row.get("configurationItem").as_id()).map(Common::Item).collect())
    }

    async fn try_rule_in(&self, tx: &mut Tx, rule: &DetectionRule, common: Common, incident: &Row) -> Result<()> {
        let ctx = tx.ctx().clone();
        let at = incident.time("createdAt");
        let window = between(at - rule.document.window(), at);
        let found = self.with_common(&*tx, &ctx, &rule.document, common, window).await?;
        if !found.contains(&incident.id()) {
            return Ok(());
        }
        let key = common.key(rule.id);
        let open = Predicate::eq("openDetectionKey", key.as_str());
        let open = match self.tickets.access().find_unmasked(&*tx, &ctx, &PROBLEM, Some(open)).await? {
            Some(open) => self.standing_in(tx, open).await?,
            None => None,
        };
        let (problem, wanted) = match open {
            Some(open) => {
                let reference = TicketRef::Id(Id::new(prefix::PROBLEM, open.id()));
                (self.edit_in(tx, &reference, "problem").await?, vec![incident.id()])
            }
            None if found.len() < usize::try_from(rule.document.threshold).unwrap_or(usize::MAX) => return Ok(()),
            None => (self.open_candidate_in(tx, rule, common, found.len()).await?, found),
        };
        let wanted: Vec<Option<Uuid>> = wanted.into_iter().map(Some).collect();
        self.link_wanted_in(tx, &problem, &wanted).await.map(drop)
    }

    /// The problem that stands for what a rule found: the one that has its key, or the one that this was merged into, while that is
    /// open. When it is not, the key is free again.
    async fn standing_in(&self, tx: &mut Tx, holder: Row) -> Result<Option<Row>> {
        if holder.get("mergedInto").is_null() {
            return Ok(Some(holder));
        }
        let ctx = tx.ctx().clone();
        let survivor = Predicate::eq("id", self.tickets.survivor_in(tx, &holder).await?);
        let survivor = self.tickets.access().find_unmasked(&*tx, &ctx, &PROBLEM, Some(survivor)).await?;
        let is_open =
            |row: &Row| StateCategory::parse(&row.text("stateCategory")).is_some_and(|category| !category.is_done());
        if let Some(survivor) = survivor.filter(is_open) {
            return Ok(Some(survivor));
        }
        let free = [("openDetectionKey", Value::Null)];
        query::update_in(&*tx, ctx.tenant, &PROBLEM, holder.id(), None, &free).await?;
        Ok(None)
    }

    /// The incidents of a window that a rule counts together, at most as many as are linked at once.
    async fn with_common(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        document: &DetectionDocument,
        common: Common,
        window: Predicate,
    ) -> Result<Vec<Uuid>> {
        let access = self.tickets.access();
        let visible = unmasked(&access.visible(ctx));
        let scoped = access.scoped(ctx, &visible);
        let record = self.tickets.kinds().get(TicketKind::Incident)?.record();
        let condition = self.condition(connection, ctx, document).await?.and(counts());
        let most = MAX_LINKED_AT_ONCE as u64;
        let wanted = match common {
            Common::ServiceAndCategory(service, category) => {
                let same = Predicate::eq("service", service).and(Predicate::eq("category", category));
                same.and(window)
            }
            Common::Item(item) => {
                let of_window = window.and(Predicate::eq("kind", TicketKind::Incident.as_str())).through("ticket");
                let on = Predicate::eq("configurationItem", item).and(affected()).and(of_window);
                let rows = query::all(connection, &scoped, &TICKET_ITEM, &on, &[], MAX_SIMULATED as u64).await?;
                let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.get("ticket").as_id()).collect();
                Predicate::one_of("id", &ids)
            }
        };
        let rows = query::all(connection, &scoped, record, &wanted.and(condition), &[], most).await?;
        Ok(rows.iter().map(Row::id).collect())
    }

    /// The condition of a rule as it is now.
    async fn condition(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        document: &DetectionDocument,
    ) -> Result<Predicate> {
        let Some(condition) = &document.condition else { return Ok(Predicate::always()) };
        let read = self.tickets.kept_filter(connection, ctx, TicketKind::Incident, condition).await?;
        Ok(resolve(read, &ViewerValues { viewer: ctx.actor.id, teams: &[], now: ctx.now() }))
    }

    async fn open_candidate_in(
        &self,
        tx: &mut Tx,
        rule: &DetectionRule,
        common: Common,
        incidents: usize,
    ) -> Result<ticket::Edit> {
        let ctx = tx.ctx().clone();
        let number = self.tickets.numbers().supply(&ctx, TicketKind::Problem, 1)?.pop();
        let number = number.ok_or_else(|| Error::internal("one number was asked for"))?;
        let document = &rule.document;
        let (what, mut draft) = self.about_in(tx, &ctx, common, document).await?;
        let window = kernel::clock::format_duration(document.window());
        draft.title = format!("{incidents} incidents on {what}").chars().take(ticket::MAX_TITLE).collect();
        draft.description = Some(format!("Found by the rule `{}`: {incidents} incidents within {window}.", rule.name));
        draft.requester = Some(UserRef::Id(Id::new(prefix::USER, document.requester)));
        draft.team = document.team.map(|team| TeamRef::Id(Id::new(prefix::TEAM, team)));
        let key = common.key(rule.id);
        let detection = vec![
            ("detectionRule", rule.id.into()),
            ("detectionKey", key.as_str().into()),
            ("openDetectionKey", key.as_str().into()),
        ];
        let command = CreateProblem {
            draft,
            origin: ProblemOrigin::Proactive,
            symptom: None,
            root_cause: None,
            workaround: None,
            known_error: false,
        };
        self.create_in(tx, &command, number, detection).await
    }

    /// A service for a new problem; `None` when it is no longer in use, or not there.
    ///
    /// # Errors
    /// Database errors.
    pub async fn service_in_use(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        service: Uuid,
    ) -> Result<Option<ServiceRef>> {
        let condition = Predicate::eq("id", service);
        let row = self.tickets.access().find_unmasked(connection, ctx, &SERVICE, Some(condition)).await?;
        Ok(row.as_ref().and_then(in_use))
    }

    /// What a candidate is about: in words, and in its fields.
    async fn about_in(
        &self,
        tx: &mut Tx,
        ctx: &Ctx,
        common: Common,
        document: &DetectionDocument,
    ) -> Result<(String, TicketDraft)> {
        let mut draft = TicketDraft::titled(String::new(), document.impact, document.urgency);
        let access = self.tickets.access();
        match common {
            Common::Item(item) => {
                let row = access.find_unmasked(&*tx, ctx, &ITEM, Some(Predicate::eq("id", item))).await?;
                let name = row.as_ref().map(|row| row.text("name")).unwrap_or_default();
                // What is no longer in use can be named, and not be chosen.
                if row.is_some_and(|row| !row.bool("retired")) {
                    let item = ItemRef::Id(Id::new(prefix::CONFIGURATION_ITEM, item));
                    draft.items = AffectedItems { affected: Some(vec![item]), not_impacted: None };
                }
                Ok((name, draft))
            }
            Common::ServiceAndCategory(service, category) => {
                let row = access.find_unmasked(&*tx, ctx, &SERVICE, Some(Predicate::eq("id", service))).await?;
                draft.service = row.as_ref().and_then(in_use);
                let of = access.find_unmasked(&*tx, ctx, &CATEGORY, Some(Predicate::eq("id", category))).await?;
                let name = |row: &Option<Row>| row.as_ref().map(|row| row.text("name")).unwrap_or_default();
                let what = format!("{} ({})", name(&row), name(&of));
                draft.category = of.filter(|row| !row.bool("retired")).map(|row| row.text("key"));
                Ok((what, draft))
            }
        }
    }

    /// What a draft of a rule would have done to the incidents of a range that the viewer may see.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` and `LIMIT` with paths: also for a range with too many incidents.
    pub async fn simulate_detection(
        &self,
        ctx: &Ctx,
        draft: &DetectionDraft,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Simulated> {
        let access = self.tickets.access();
        access.require_tenant(ctx, SETTINGS_MANAGE)?;
        if since >= until {
            return Err(UserError::validation(["since"], "`since` lies before `until`").into());
        }
        if until - since > Duration::days(MAX_SIMULATED_DAYS) {
            let message = format!("at most {MAX_SIMULATED_DAYS} days are looked at");
            return Err(UserError::limit(["since"], message, MAX_SIMULATED_DAYS.unsigned_abs()).into());
        }
        let reader = self.tickets.store().read("problem.simulateDetection");
        let document = self.detection_document(&reader, ctx, draft).await.map_err(|error| error.within("says"))?;
        let visible = access.visible(ctx);
        let scoped = access.scoped(ctx, &visible);
        let record = self.tickets.kinds().get(TicketKind::Incident)?.record();
        let condition = self.condition(&reader, ctx, &document).await?.and(counts());
        // What came within a window before counts towards the first candidates.
        let range = between(since - document.window(), until);
        let most = MAX_SIMULATED as u64 + 1;
        let rows = query::all(&reader, &scoped, record, &range.clone().and(condition), &[], most).await?;
        bounded(rows.len())?;
        let mut sightings: Vec<(Timestamp, Common)> = Vec::with_capacity(rows.len());
        match document.same() {
            DetectionKey::ServiceAndCategory => sightings.extend(rows.iter().filter_map(|row| {
                let (service, category) = row.get("service").as_id().zip(row.get("category").as_id())?;
                Some((row.time("createdAt"), Common::ServiceAndCategory(service, category)))
            })),
            DetectionKey::ConfigurationItem => {
                let of_range = range.and(Predicate::eq("kind", TicketKind::Incident.as_str())).through("ticket");
                let on = affected().and(of_range);
                let items = query::all(&reader, &scoped, &TICKET_ITEM, &on, &[], most).await?;
                bounded(items.len())?;
                let opened: std::collections::HashMap<Uuid, Timestamp> =
                    rows.iter().map(|row| (row.id(), row.time("createdAt"))).collect();
                sightings.extend(items.iter().filter_map(|row| {
                    let at = opened.get(&row.get("ticket").as_id()?)?;
                    Some((*at, Common::Item(row.get("configurationItem").as_id()?)))
                }));
            }
        }
        sightings.sort_by_key(|(at, _)| *at);
        let threshold = usize::try_from(document.threshold).unwrap_or(usize::MAX);
        let mut found = candidates(&sightings, threshold, document.window());
        found.retain(|candidate| candidate.opened_at >= since);
        found.sort_by_key(|candidate| (std::cmp::Reverse(candidate.incidents), candidate.opened_at));
        let total = found.len();
        found.truncate(MAX_CANDIDATES);
        let incidents = rows.iter().filter(|row| row.time("createdAt") >= since).count();
        Ok(Simulated { incidents, total, candidates: found })
    }
}

fn bounded(count: usize) -> Result<()> {
    if count <= MAX_SIMULATED {
        return Ok(());
    }
    let message = format!("there are more than {MAX_SIMULATED} incidents to look at; choose a shorter range");
    Err(UserError::limit(["since"], message, MAX_SIMULATED as u64).into())
}
