//! Reading what the arithmetic needs: what an agreement promises, what stands under it, and the calendars of both.

use std::collections::HashMap;
use std::sync::Arc;

use access::visibility;
use calendar::Calendar;
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Result, UserError, Uuid};
use predicate::{Operand, Path, Predicate, Test};
use sla::fields::SLA_POLICY;
use sla::policy::{MetricDocument, PolicyDocument, TargetDocument};
use sla::{CalendarRef, Metric, PolicyKind};
use store::query::{self, Row};
use ticket::model::Priority;

use super::Agreements;
use crate::arithmetic::{Check, Part, PartPromise, Promise, Time};
use crate::commands::{AgreementRef, MAX_UNDERPINNING};
use crate::fields::AGREEMENT;
use crate::model::AgreementState;
use crate::queries::uuids;
use crate::rules::{MEASURED_WHOLE, kind_of, length, longest, metric_of, pauses_for_vendor, tightest};

/// An agreement with what its policies say.
struct Agreed {
    row: Row,
    policies: Vec<(Row, Arc<PolicyDocument>)>,
}

/// Calendars ready to compute with, each read once.
#[derive(Default)]
struct Times(HashMap<Uuid, Time>);

impl Agreements {
    /// The agreements that stand under one with a customer: those that it names or, when it names none, those with teams and suppliers
    /// that are in force for one of its services; those with teams first, each kind in the order in which they were made.
    ///
    /// # Errors
    /// `LIMIT` beyond [`MAX_UNDERPINNING`]; database errors.
    pub async fn underpinning(&self, ctx: &Ctx, agreement: &Row) -> Result<Vec<Row>> {
        if kind_of(agreement) != PolicyKind::Sla {
            return Ok(Vec::new());
        }
        let named = uuids(agreement, "underpinnedBy", prefix::SERVICE_AGREEMENT);
        let wanted = if named.is_empty() { in_force_for(agreement, ctx) } else { Predicate::one_of("id", &named) };
        let visible = visibility::unmasked(&self.access().visible(ctx));
        let reader = self.store().read("serviceAgreement.underpinning");
        let scoped = self.access().scoped(ctx, &visible);
        let mut rows = query::all(&reader, &scoped, &AGREEMENT, &wanted, &[], MAX_UNDERPINNING as u64 + 1).await?;
        if rows.len() > MAX_UNDERPINNING {
            let message = format!(
                "more than {MAX_UNDERPINNING} agreements are in force for its services: name in `underpinnedBy` those that it rests on"
            );
            return Err(UserError::limit(["underpinnedBy"], message, MAX_UNDERPINNING as u64).into());
        }
        rows.sort_by_key(|row| (kind_of(row), row.id()));
        Ok(rows)
    }

    /// What an agreement with a customer promises, beside what stands under it: for each policy, each metric that measures a ticket as
    /// a whole, and each priority. Empty for other agreements.
    ///
    /// # Errors
    /// As [`Agreements::underpinning`].
    pub async fn checks(&self, ctx: &Ctx, agreement: &Row) -> Result<Vec<Check>> {
        if kind_of(agreement) != PolicyKind::Sla {
            return Ok(Vec::new());
        }
        // What is compared is the whole, whoever looks: that is what the permission to read agreements is for.
        let system = self.access().system_ctx(ctx.tenant, &ctx.request_id);
        let under = self.underpinning(ctx, agreement).await?;
        let (promising, under) = self.agreed(&system, agreement, under).await?;
        let mut times = Times::default();
        let mut pairs = Vec::new();
        for (policy, document) in &promising.policies {
            for metric in MEASURED_WHOLE.iter().filter_map(|metric| metric_of(document, *metric)) {
                for priority in Priority::ALL {
                    let Some(row) = tightest(metric, *priority) else { continue };
                    let time = self.time(&system, &mut times, row.calendar.unwrap_or(document.calendar)).await?;
                    let promise = promise(Some(policy.id()), metric.metric, *priority, row, time);
                    let mut parts = Vec::with_capacity(under.len());
                    for agreed in &under {
                        parts.push(self.part(&system, &mut times, agreed, metric, *priority).await?);
                    }
                    pairs.push((promise, parts));
                }
            }
        }
        compare(ctx, pairs).await
    }

    /// What is required, beside what the agreement that answers it promises, for each priority. Empty without an agreement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn requirement_checks(&self, ctx: &Ctx, requirement: &Row) -> Result<Vec<Check>> {
        let Some(agreement) = requirement.get("agreement").as_id() else { return Ok(Vec::new()) };
        let system = self.access().system_ctx(ctx.tenant, &ctx.request_id);
        let reference = AgreementRef::Id(Id::new(prefix::SERVICE_AGREEMENT, agreement));
        let Some(agreement) = self.agreement(ctx, &reference).await? else { return Ok(Vec::new()) };
        let (agreed, _) = self.agreed(&system, &agreement, Vec::new()).await?;
        let metric = Metric::parse(&requirement.text("metric")).unwrap_or(Metric::Resolution);
        let named: Vec<Priority> =
            requirement.texts("priorities").iter().filter_map(|priority| Priority::parse(priority)).collect();
        let priorities = if named.is_empty() { Priority::ALL } else { &named };
        let mut times = Times::default();
        let mut pairs = Vec::new();
        for priority in priorities {
            let promised = self.best(&system, &mut times, &agreed, metric, *priority).await?;
            let own = requirement.get("calendar").as_id();
            // Without a calendar of its own the requirement counts as whatever promises it does.
            let Some(calendar) = own.or_else(|| promised.as_ref().map(|promised| promised.time.id)) else { continue };
            let promise = Promise {
                policy: None,
                metric,
                priority: *priority,
                length: chrono::Duration::seconds(requirement.int("target")),
                time: self.time(&system, &mut times, calendar).await?,
            };
            let part = Part { agreement: Some(agreement.id()), name: agreement.text("name"), promised, counts: true };
            pairs.push((promise, vec![part]));
        }
        compare(ctx, pairs).await
    }

    /// The best that an agreement promises: of several policies the one with the shortest of its longest targets.
    async fn best(
        &self,
        ctx: &Ctx,
        times: &mut Times,
        agreed: &Agreed,
        metric: Metric,
        priority: Priority,
    ) -> Result<Option<PartPromise>> {
        let promises = agreed.policies.iter().filter_map(|(policy, document)| {
            longest(metric_of(document, metric)?, priority).map(|row| (policy, document, row))
        });
        self.part_promise(ctx, times, promises.min_by_key(|(_, _, row)| row.target)).await
    }

    /// What an agreement that stands under another may take at worst.
    async fn part(
        &self,
        ctx: &Ctx,
        times: &mut Times,
        agreed: &Agreed,
        metric: &MetricDocument,
        priority: Priority,
    ) -> Result<Part> {
        let promises = agreed.policies.iter().filter_map(|(policy, document)| {
            longest(metric_of(document, Metric::Resolution)?, priority).map(|row| (policy, document, row))
        });
        let promised = self.part_promise(ctx, times, promises.max_by_key(|(_, _, row)| row.target)).await?;
        let counts = kind_of(&agreed.row) != PolicyKind::UnderpinningContract || !pauses_for_vendor(metric);
        Ok(Part { agreement: Some(agreed.row.id()), name: agreed.row.text("name"), promised, counts })
    }

    async fn part_promise(
        &self,
        ctx: &Ctx,
        times: &mut Times,
        found: Option<(&Row, &Arc<PolicyDocument>, &TargetDocument)>,
    ) -> Result<Option<PartPromise>> {
        let Some((policy, document, row)) = found else { return Ok(None) };
        let time = self.time(ctx, times, row.calendar.unwrap_or(document.calendar)).await?;
        Ok(Some(PartPromise { policy: policy.id(), length: length(row), time }))
    }

    /// Agreements with what their policies say, by one statement for all policies.
    async fn agreed(&self, ctx: &Ctx, agreement: &Row, under: Vec<Row>) -> Result<(Agreed, Vec<Agreed>)> {
        let named = |row: &Row| uuids(row, "policies", prefix::SLA_POLICY);
        let mut ids: Vec<Uuid> = under.iter().chain([agreement]).flat_map(named).collect();
        ids.sort_unstable();
        ids.dedup();
        let visible = self.access().visible(ctx);
        let reader = self.store().read("serviceAgreement.policies");
        let rows = query::by_ids(&reader, &self.access().scoped(ctx, &visible), &SLA_POLICY, &ids, &[]).await?;
        let mut documents = HashMap::new();
        for row in rows {
            let says = self.levels().policy_says(ctx, &row).await?;
            documents.insert(row.id(), (row, says));
        }
        let with = |row: Row| {
            let policies = named(&row).iter().filter_map(|id| documents.get(id).cloned()).collect();
            Agreed { row, policies }
        };
        Ok((with(agreement.clone()), under.into_iter().map(with).collect()))
    }

    async fn time(&self, ctx: &Ctx, times: &mut Times, id: Uuid) -> Result<Time> {
        if let Some(time) = times.0.get(&id) {
            return Ok(time.clone());
        }
        let reference = CalendarRef::Id(Id::new(prefix::CALENDAR, id));
        let row = self.levels().calendar(ctx, &reference).await?;
        let row = row.ok_or_else(|| Error::internal("a calendar is missing"))?;
        let says = self.levels().calendar_says(ctx, &row).await?;
        let calendar = Calendar::compile(&says).map_err(|_| Error::internal("a calendar no longer holds"))?;
        let time = Time { id, calendar: Arc::new(calendar) };
        times.0.insert(id, time.clone());
        Ok(time)
    }
}

fn promise(policy: Option<Uuid>, metric: Metric, priority: Priority, row: &TargetDocument, time: Time) -> Promise {
    Promise { policy, metric, priority, length: length(row), time }
}

/// Agreements with teams and suppliers that are in force for one of these services.
fn in_force_for(agreement: &Row, ctx: &Ctx) -> Predicate {
    let is = |field: &str, test: fn(Operand) -> Test| {
        Predicate::Is(Path::field(field), test(Operand::Value(ctx.now().into())))
    };
    let about = |service: String| Predicate::Is(Path::field("services"), Test::Has(service));
    Predicate::all([
        Predicate::one_of("kind", &[PolicyKind::Ola.as_str(), PolicyKind::UnderpinningContract.as_str()]),
        Predicate::eq("state", AgreementState::Agreed.as_str()),
        is("validFrom", Test::Lte),
        Predicate::any([Predicate::Is(Path::field("validUntil"), Test::IsNull(true)), is("validUntil", Test::Gt)]),
        Predicate::any(agreement.texts("services").into_iter().map(about)),
    ])
}

/// Trying a year's beginnings is work for a thread that nobody waits on.
async fn compare(ctx: &Ctx, pairs: Vec<(Promise, Vec<Part>)>) -> Result<Vec<Check>> {
    let now = ctx.now();
    let work = move || pairs.into_iter().map(|(promise, parts)| Check::of(promise, parts, now)).collect();
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
