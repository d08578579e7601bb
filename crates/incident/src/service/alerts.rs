//! Alerts coming in: each is led to its incident, and so many of a call are written together.

use std::collections::BTreeMap;

use access::permission::ALERT_INGEST;
use access::{TeamRef, UserRef};
use chrono::Duration;
use configuration::ServiceRef;
use kernel::id::prefix;
use kernel::{Ctx, Error, ErrorCode, Id, Result, Timestamp, UserError, Uuid};
use predicate::{Operand, Path, Predicate, Test, Value};
use serde_json::{Map, Value as Json, json};
use store::query::{self, Row};
use store::{Audience, Event, RecordRef, Tx, Written};
use ticket::{AffectedItems, Edit, StateCategory, TicketKind, TicketRef};

use super::Incidents;
use super::alert_rules::Rule;
use crate::alert::{AlertOutcome, AlertReport, AlertStatus, Known, MAX_ALERTS, MAX_ALERTS_IN_A_WRITE, Step, decide};
use crate::commands::CreateIncident;
use crate::events::ALERTS_RECEIVED;
use crate::fields::{ALERT, INCIDENT};
use crate::model::IncidentOrigin;

/// What became of one alert of a call.
#[derive(Clone, Debug)]
pub struct AlertResult {
    /// What was done.
    pub outcome: AlertOutcome,
    /// The incident that it belongs to.
    pub incident: Option<Uuid>,
    /// The alert.
    pub alert: Option<Uuid>,
    /// Why it was refused.
    pub errors: Vec<UserError>,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Ingested {
    /// Of each alert, in their order.
    pub results: Vec<AlertResult>,
    /// What was recorded.
    pub events: Vec<Event>,
}

/// An alert that is led somewhere, with its place in the call.
type Accepted = (usize, AlertReport, Rule);

/// What a call does on one incident.
struct Touched {
    edit: Edit,
    rule: Rule,
    /// How often alerts were told.
    told: i32,
    reopen: bool,
    ended: bool,
    entries: Vec<Json>,
}

impl Incidents {
    /// Leads alerts to incidents. An alert that is wrong is refused alone; the others are taken, [`MAX_ALERTS_IN_A_WRITE`] in one
    /// transaction.
    ///
    /// # Errors
    /// `FORBIDDEN` without `alert.ingest`; `LIMIT` beyond [`MAX_ALERTS`].
    pub async fn ingest(&self, ctx: &Ctx, reports: Vec<AlertReport>) -> Result<Ingested> {
        self.tickets().access().require_tenant(ctx, ALERT_INGEST)?;
        check_count(reports.len(), ctx.mutation.dry_run)?;
        let rules = self.active_rules(ctx).await?;
        let mut all = Ingested { results: Vec::with_capacity(reports.len()), events: Vec::new() };
        for (part, reports) in reports.chunks(MAX_ALERTS_IN_A_WRITE).enumerate() {
            let done = self.ingest_part(&ctx.for_part(part), &rules, reports).await?;
            all.results.extend(done.results);
            all.events.extend(done.events);
        }
        Ok(all)
    }

    async fn ingest_part(&self, ctx: &Ctx, rules: &[Rule], reports: &[AlertReport]) -> Result<Ingested> {
        let mut results = Vec::with_capacity(reports.len());
        let mut accepted: Vec<Accepted> = Vec::new();
        for (place, report) in reports.iter().enumerate() {
            match led(rules, report) {
                Ok(rule) => {
                    results.push(AlertResult::not_firing());
                    accepted.push((place, report.clone(), rule));
                }
                Err(Error::Refused(errors)) => results.push(AlertResult::refused(errors)),
                Err(other) => return Err(other),
            }
        }
        // Incidents are held in the order of their keys: two calls that tell of the same ones in another order would each wait for the
        // other. Alerts of one key stay in theirs.
        accepted.sort_by_cached_key(|(_, report, rule)| rule.document.deduplication_key(&rule.key, report));
        // Who may tell of alerts may do with incidents what the rules say.
        let grants = self.tickets().access().system_ctx(ctx.tenant, &ctx.request_id).grants;
        let acting = Ctx { grants, ..ctx.clone() };
        let incidents = self.clone();
        let written = self.tickets().write_stocked(&acting, "alertIngest", TicketKind::Incident, move |tx| {
            let (incidents, accepted) = (incidents.clone(), accepted.clone());
            Box::pin(async move { incidents.ingest_in(tx, &accepted).await })
        });
        let written = written.await?;
        let events = self.tickets().events_of(ctx, &written).await?;
        let entries = match written {
            Written::Fresh { value, .. } => value,
            // The events tell what the earlier call did.
            Written::Replayed { .. } => events.iter().flat_map(entries_of).collect(),
        };
        for entry in &entries {
            entry.fill(&mut results);
        }
        Ok(Ingested { results, events })
    }

    async fn ingest_in(&self, tx: &mut Tx, accepted: &[Accepted]) -> Result<Vec<Entry>> {
        let mut touched: BTreeMap<Uuid, Touched> = BTreeMap::new();
        for (done, (place, report, rule)) in accepted.iter().enumerate() {
            let left = accepted.len() - done;
            self.take_in(tx, &mut touched, (*place, left), report, rule).await?;
        }
        let mut entries = Vec::new();
        let mut answers = None;
        for (incident, mut touched) in touched {
            self.save_touched_in(tx, &mut touched).await?;
            entries.extend(touched.entries.iter().filter_map(|entry| Entry::of(incident, entry)));
            answers = Some(touched.edit.reference());
        }
        // A call that came to nothing is remembered as well. A replay reads the events, and not the record.
        let nothing = RecordRef { id: Id::new(prefix::TENANT, tx.ctx().tenant), version: 0 };
        tx.answers_with(answers.unwrap_or(nothing));
        Ok(entries)
    }

    async fn take_in(
        &self,
        tx: &mut Tx,
        touched: &mut BTreeMap<Uuid, Touched>,
        (place, left): (usize, usize),
        report: &AlertReport,
        rule: &Rule,
    ) -> Result<()> {
        let key = rule.document.deduplication_key(&rule.key, report);
        let firing = self.firing_in(tx, &report.key).await?;
        let (known, holder) = self.known_in(tx, touched, report, rule, &key, firing.as_ref()).await?;
        let now = tx.now();
        let step = decide(report.status, known, &rule.document, now);
        let firing = self.held_in(tx, touched, step, report, rule, firing).await?;
        let (incident, alert, outcome) = match step {
            Step::Nothing => return Ok(()),
            Step::Repeat(incident) => {
                let Some(alert) = firing else { return Err(Error::internal("an alert that fires is there")) };
                let told = alert.int("occurrences").saturating_add(1);
                let changes = [("occurrences", Value::Int(told)), ("lastSeenAt", now.into())];
                query::update_in(&*tx, tx.ctx().tenant, &ALERT, alert.id(), None, &changes).await?;
                (incident, alert.id(), AlertOutcome::Repeated)
            }
            Step::End(incident) => {
                let Some(alert) = firing else { return Err(Error::internal("an alert that fires is there")) };
                self.end_alert_in(tx, alert.id(), now).await?;
                (incident, alert.id(), AlertOutcome::Ended)
            }
            Step::Join(incident) => {
                (incident, self.insert_alert_in(tx, incident, report, rule, firing).await?, AlertOutcome::Joined)
            }
            Step::Reopen(incident) => {
                (incident, self.insert_alert_in(tx, incident, report, rule, firing).await?, AlertOutcome::Reopened)
            }
            Step::Create { release } => {
                // Of a merged incident, the one that has the key is another than the one that was joined.
                if let Some(older) = holder.or(release) {
                    self.release_in(tx, touched, older).await?;
                }
                let incident = self.open_in(tx, report, rule, key, left).await?;
                (incident, self.insert_alert_in(tx, incident, report, rule, firing).await?, AlertOutcome::Created)
            }
        };
        let touched = self.touch_in(tx, touched, incident, rule).await?;
        touched.told += i32::from(outcome != AlertOutcome::Ended);
        touched.reopen |= outcome == AlertOutcome::Reopened;
        touched.ended |= outcome == AlertOutcome::Ended;
        let id = Id::new(prefix::ALERT, alert).to_string();
        touched.entries.push(json!({ "place": place, "alert": id, "key": report.key, "outcome": outcome.as_str() }));
        Ok(())
    }

    /// Holds the incident that a step is about, and looks again: until it was held, others may have changed what was decided on. Answers
    /// the alert where it fires.
    async fn held_in(
        &self,
        tx: &mut Tx,
        touched: &mut BTreeMap<Uuid, Touched>,
        step: Step,
        report: &AlertReport,
        rule: &Rule,
        firing: Option<Row>,
    ) -> Result<Option<Row>> {
        let (Step::Repeat(incident) | Step::Join(incident) | Step::Reopen(incident) | Step::End(incident)) = step
        else {
            return Ok(firing);
        };
        if touched.contains_key(&incident) {
            return Ok(firing);
        }
        let open = is_open(&self.touch_in(tx, touched, incident, rule).await?.edit.before);
        let now_firing = self.firing_in(tx, &report.key).await?;
        // One that has begun to fire meanwhile is counted, not put beside itself; one that is over is not counted.
        let same = now_firing.as_ref().map(Row::id) == firing.as_ref().map(Row::id);
        let holds = match step {
            Step::Repeat(_) | Step::Join(_) => open,
            Step::Reopen(_) => !open,
            _ => true,
        };
        if same && holds { Ok(now_firing) } else { Err(tx.retry()) }
    }

    /// What is known of an alert's key and of its incident's, as this call has left it so far; and the incident that has the key, where
    /// it was merged into another one.
    async fn known_in(
        &self,
        tx: &mut Tx,
        touched: &BTreeMap<Uuid, Touched>,
        report: &AlertReport,
        rule: &Rule,
        key: &str,
        firing: Option<&Row>,
    ) -> Result<(Known, Option<Uuid>)> {
        let on = firing.and_then(|alert| alert.get("incident").as_id());
        let firing_on = match on {
            Some(incident) if touched.contains_key(&incident) => Some(incident),
            Some(incident) => {
                self.incident_in(tx, Predicate::eq("id", incident)).await?.filter(is_open).map(|row| row.id())
            }
            None => None,
        };
        let mut known = Known { firing_on, ..Known::default() };
        if firing_on.is_some() || report.status == AlertStatus::Resolved {
            // What a person has resolved meanwhile is over when monitoring says so, too.
            known.firing_on = known.firing_on.or(on);
            return Ok((known, None));
        }
        if let Some(open) = self.incident_in(tx, Predicate::eq("openKey", key)).await? {
            let first = open.get("firstSeenAt").as_time().unwrap_or_else(|| open.time("createdAt"));
            if open.get("mergedInto").is_null() {
                known.open = Some((open.id(), first));
                return Ok((known, None));
            }
            // What would have joined a merged incident joins the one that goes on.
            let holder = Some(open.id());
            let survivor = Predicate::eq("id", self.tickets().survivor_in(tx, &open).await?);
            if let Some(survivor) = self.incident_in(tx, survivor).await? {
                known.open = is_open(&survivor).then(|| (survivor.id(), first));
                let resolved = survivor.text("stateCategory") == StateCategory::Resolved.as_str();
                known.resolved =
                    survivor.get("resolvedAt").as_time().filter(|_| resolved).map(|at| (survivor.id(), at));
            }
            return Ok((known, holder));
        }
        let a_moment_ago = tx.now() - Duration::seconds(rule.document.flap_window);
        let resolved = Predicate::all([
            Predicate::eq("deduplicationKey", key),
            Predicate::eq("stateCategory", StateCategory::Resolved.as_str()),
            Predicate::Is(Path::field("resolvedAt"), Test::Gte(Operand::Value(a_moment_ago.into()))),
        ]);
        let last = self.incident_in(tx, resolved).await?;
        known.resolved = last.and_then(|row| Some((row.id(), row.get("resolvedAt").as_time()?)));
        Ok((known, None))
    }

    /// An incident that a condition finds, whoever may see it.
    async fn incident_in(&self, tx: &Tx, condition: Predicate) -> Result<Option<Row>> {
        self.tickets().access().find_unmasked(tx, tx.ctx(), &INCIDENT, Some(condition)).await
    }

    async fn firing_in(&self, tx: &Tx, key: &str) -> Result<Option<Row>> {
        let condition = Predicate::eq("key", key).and(Predicate::eq("status", AlertStatus::Firing.as_str()));
        self.tickets().access().find_unmasked(tx, tx.ctx(), &ALERT, Some(condition)).await
    }

    /// Adds an alert to an incident. Where it still fired on one that is done, it is over there.
    async fn insert_alert_in(
        &self,
        tx: &mut Tx,
        incident: Uuid,
        report: &AlertReport,
        rule: &Rule,
        firing: Option<Row>,
    ) -> Result<Uuid> {
        let now = tx.now();
        if let Some(older) = firing {
            self.end_alert_in(tx, older.id(), now).await?;
        }
        let row = Row::new(
            &ALERT,
            vec![
                ("id", tx.new_id().into()),
                ("incident", incident.into()),
                ("rule", rule.id.into()),
                ("key", report.key.as_str().into()),
                ("status", AlertStatus::Firing.as_str().into()),
                ("title", report.title.trim().into()),
                ("severity", report.severity.clone().into()),
                ("source", report.source.clone().into()),
                ("labels", Value::Json(json!(report.labels))),
                ("url", report.url.clone().into()),
                ("occurrences", 1.into()),
                ("startsAt", report.starts_at.into()),
                ("firstSeenAt", now.into()),
                ("lastSeenAt", now.into()),
            ],
        );
        query::insert_unique_in(tx, tx.ctx().tenant, &ALERT, &row).await?;
        Ok(row.id())
    }

    async fn end_alert_in(&self, tx: &Tx, alert: Uuid, now: Timestamp) -> Result<()> {
        let changes = [("status", AlertStatus::Resolved.as_str().into()), ("endedAt", now.into())];
        query::update_in(tx, tx.ctx().tenant, &ALERT, alert, None, &changes).await.map(drop)
    }

    /// Has an open incident take no further alerts.
    async fn release_in(&self, tx: &Tx, touched: &mut BTreeMap<Uuid, Touched>, incident: Uuid) -> Result<()> {
        query::update_in(tx, tx.ctx().tenant, &INCIDENT, incident, None, &[("openKey", Value::Null)]).await?;
        if let Some(touched) = touched.get_mut(&incident) {
            touched.edit.before.set("openKey", Value::Null);
            touched.edit.after.set("openKey", Value::Null);
        }
        Ok(())
    }

    /// Opens an incident for an alert, as its rule says. So many alerts are `left` of the call, which may all need a number.
    async fn open_in(&self, tx: &mut Tx, report: &AlertReport, rule: &Rule, key: String, left: usize) -> Result<Uuid> {
        let document = &rule.document;
        let (impact, urgency) = document.weight(report);
        let supply = |count| self.tickets().numbers().supply(tx.ctx(), TicketKind::Incident, count);
        // Where there is none left, the next attempt has enough for all.
        let number = supply(1).or_else(|_| supply(left))?;
        let of = |prefix, id: Uuid| Id::new(prefix, id);
        let link = report.url.as_ref().map(|url| format!("<{url}>"));
        let description: Vec<String> = report.description.iter().cloned().chain(link).collect();
        let command = CreateIncident {
            title: report.title.clone(),
            description: (!description.is_empty()).then(|| description.join("\n\n")),
            requester: Some(UserRef::Id(of(prefix::USER, document.requester))),
            impact,
            urgency,
            priority_override: None,
            category: document.category.clone(),
            service: document.service.map(|id| ServiceRef::Id(of(prefix::SERVICE, id))),
            items: AffectedItems::default(),
            team: document.team.map(|id| TeamRef::Id(of(prefix::TEAM, id))),
            assignee: None,
            tags: Vec::new(),
            custom_fields: Vec::new(),
            external_refs: Vec::new(),
            origin: IncidentOrigin::Monitoring,
            deduplication_key: Some(key),
        };
        let number = number.into_iter().next().ok_or_else(|| Error::internal("one number was asked for"))?;
        Ok(self.create_in(tx, command, number).await?.id())
    }

    async fn touch_in<'t>(
        &self,
        tx: &mut Tx,
        touched: &'t mut BTreeMap<Uuid, Touched>,
        incident: Uuid,
        rule: &Rule,
    ) -> Result<&'t mut Touched> {
        if let std::collections::btree_map::Entry::Vacant(place) = touched.entry(incident) {
            // Its counters are read once nobody else can change them.
            self.tickets().hold_in(tx, &[incident]).await?;
            // One that was merged meanwhile is no longer open, which is looked at next.
            let edit = self.tickets().edit_merged_in(tx, &reference(incident), "incident").await?;
            place.insert(Touched {
                edit,
                rule: rule.clone(),
                told: 0,
                reopen: false,
                ended: false,
                entries: Vec::new(),
            });
        }
        touched.get_mut(&incident).ok_or_else(|| Error::internal("the incident was touched"))
    }

    /// Writes what alerts did on an incident: its counters, the transition that follows, and one event of them all.
    async fn save_touched_in(&self, tx: &mut Tx, touched: &mut Touched) -> Result<()> {
        let firing = self.count_firing_in(tx, touched.edit.before.id()).await?;
        count(touched, firing, tx.now());
        let open = is_open(&touched.edit.before);
        let over = touched.ended && firing == 0 && open;
        let code = touched.rule.document.resolution_code.clone().filter(|_| over);
        let moved = match (touched.reopen && !open, code) {
            (true, _) => self.move_in(tx, touched, firing, |category| !category.is_done(), Map::new()).await?,
            (false, Some(code)) => {
                let mut inputs = Map::new();
                inputs.insert("resolutionCode".into(), code.into());
                inputs.insert("resolutionNotes".into(), "All alerts are over.".into());
                self.move_in(tx, touched, firing, |category| category == StateCategory::Resolved, inputs).await?
            }
            (false, None) => false,
        };
        if moved && over {
            let ended = AlertOutcome::Ended.as_str();
            for entry in touched.entries.iter_mut().filter(|entry| entry["outcome"] == ended) {
                entry["outcome"] = AlertOutcome::Resolved.as_str().into();
            }
        }
        if !moved {
            let changes = touched.edit.changed();
            query::update_in(&*tx, tx.ctx().tenant, &INCIDENT, touched.edit.after.id(), None, &changes).await?;
        }
        touched.edit.proceed();
        let payload = json!({ "alerts": touched.entries, "occurrences": touched.edit.after.int("occurrences") });
        let mut event = touched.edit.event(self.tickets().access(), ALERTS_RECEIVED, payload);
        event.audience = Audience::Internal;
        tx.emit(event);
        Ok(())
    }

    /// Takes the first transition that leads to such a state. Where the workflow refuses it, the incident stays where it is and waits
    /// for a person: no alert is lost for that.
    async fn move_in(
        &self,
        tx: &mut Tx,
        touched: &mut Touched,
        firing: i32,
        leads: fn(StateCategory) -> bool,
        inputs: Map<String, Json>,
    ) -> Result<bool> {
        let workflow = touched.edit.workflow.clone();
        let state = touched.edit.before.text("state");
        let found = workflow.leaving(&state).find(|transition| leads(workflow.category(&transition.to)));
        let Some(transition) = found else { return Ok(false) };
        match self.tickets().transition_in(tx, &mut touched.edit, &transition.key, inputs).await {
            Ok(()) => Ok(true),
            // Another call was faster with the same key.
            Err(error) if error.code() == ErrorCode::Conflict => Err(tx.retry()),
            Err(Error::Refused(_)) => {
                let incident = touched.edit.before.id();
                touched.edit = self.tickets().edit_in(tx, &reference(incident), "incident").await?;
                count(touched, firing, tx.now());
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }

    pub(super) async fn count_firing_in(&self, tx: &Tx, incident: Uuid) -> Result<i32> {
        let access = self.tickets().access();
        let visible = access::visibility::unmasked(&access.visible(tx.ctx()));
        let firing = Predicate::eq("incident", incident).and(Predicate::eq("status", AlertStatus::Firing.as_str()));
        let found = query::count(tx, &access.scoped(tx.ctx(), &visible), &ALERT, &firing).await?;
        Ok(i32::try_from(found.total).unwrap_or(i32::MAX))
    }
}

/// Refuses more alerts than a call may carry.
fn check_count(count: usize, dry_run: bool) -> Result<()> {
    let (most, call) = if dry_run { (MAX_ALERTS_IN_A_WRITE, "a dry run") } else { (MAX_ALERTS, "a call") };
    if (1..=most).contains(&count) {
        return Ok(());
    }
    let message = format!("{count} alerts are given; {call} carries 1 to {most}");
    Err(UserError::limit(["alerts"], message, most as u64).into())
}

/// The rule that an alert follows.
fn led(rules: &[Rule], report: &AlertReport) -> Result<Rule> {
    report.check()?;
    let found = rules.iter().find(|rule| rule.document.fits(report)).cloned();
    found.ok_or_else(|| {
        let message = "no rule of alerts is for this one; add one with `alertRuleCreate`";
        UserError::constraint([] as [&str; 0], message, "rule", None).into()
    })
}

fn reference(incident: Uuid) -> TicketRef {
    TicketRef::Id(Id::new(prefix::INCIDENT, incident))
}

pub(super) fn is_open(row: &Row) -> bool {
    StateCategory::parse(&row.text("stateCategory")).is_some_and(|category| !category.is_done())
}

fn count(touched: &mut Touched, firing: i32, now: Timestamp) {
    let told = touched.edit.before.int("occurrences").saturating_add(i64::from(touched.told));
    touched.edit.set("occurrences", Value::Int(told));
    touched.edit.set("firingAlerts", firing);
    if touched.told > 0 {
        touched.edit.set("lastSeenAt", now);
        if touched.edit.before.get("firstSeenAt").is_null() {
            touched.edit.set("firstSeenAt", now);
        }
    }
}

/// What an event tells of one alert of a call.
struct Entry {
    place: usize,
    outcome: AlertOutcome,
    incident: Uuid,
    alert: Option<Uuid>,
}

impl Entry {
    fn of(incident: Uuid, json: &Json) -> Option<Self> {
        let alert = json["alert"].as_str().and_then(|text| Id::parse_as(text, &[prefix::ALERT]).ok());
        Some(Self {
            place: usize::try_from(json["place"].as_u64()?).ok()?,
            outcome: AlertOutcome::parse(json["outcome"].as_str()?)?,
            incident,
            alert: alert.map(|id| id.uuid),
        })
    }

    fn fill(&self, results: &mut [AlertResult]) {
        if let Some(result) = results.get_mut(self.place) {
            (result.outcome, result.incident, result.alert) = (self.outcome, Some(self.incident), self.alert);
        }
    }
}

fn entries_of(event: &Event) -> Vec<Entry> {
    let entries = event.payload["alerts"].as_array().filter(|_| event.kind == ALERTS_RECEIVED);
    entries.into_iter().flatten().filter_map(|entry| Entry::of(event.subject, entry)).collect()
}

impl AlertResult {
    fn not_firing() -> Self {
        Self { outcome: AlertOutcome::NotFiring, incident: None, alert: None, errors: Vec::new() }
    }

    fn refused(errors: Vec<UserError>) -> Self {
        Self { outcome: AlertOutcome::Refused, errors, ..Self::not_firing() }
    }
}
