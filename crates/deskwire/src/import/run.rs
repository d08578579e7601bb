//! An import from its command line to its summary.
//!
//! Rows are written in batches of whole steps, each batch in one transaction with the people, teams and categories that it
//! names. A run that was stopped is taken up by running it again: what is there already is recognised.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use access::{Access, RoleInput, Settings, Tenant, TenantCreate};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Actor, ActorKind, Clock, Ctx, Mutation};
use serde_json::json;
use store::query::Row;
use store::{Tx, Written};
use ticket::import::{ImportedStep, ImportedTicket, MAX_STEPS, StepOutcome};
use ticket::{CreateCategory, TicketKind, Tickets};

use super::convert::{Rejection, Step};
use super::mapping::Mapping;
use super::names::Named;
use super::plan::Plan;
use super::report::Report;
use super::source::{self, SourceRow};
use crate::admin::tell;
use crate::cli::ImportCsv;
use crate::config::Config;

/// Names the import in the log.
const REQUEST: &str = "import";
/// How many records one batch may make beside its steps: each is an event, and a write takes a thousand.
const MAX_NAMES: usize = 400;
/// How long one batch may take.
const BATCH_DEADLINE: Duration = Duration::from_secs(60);
/// How often a batch is tried when the database is away or busy, and the pause before the second time, doubled each time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// Between two lines of progress where there is no terminal.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// The command `import csv`.
///
/// # Errors
/// What is in the way, with what to do about it.
pub async fn csv(arguments: ImportCsv) -> Result<()> {
    let begun = Instant::now();
    let config = Config::load(&arguments.common)?;
    let mapping = Mapping::load(&arguments.mapping)?;
    config.make_data_folder()?;
    // As a server does: an embedded database that somebody serves is refused.
    let mut store = config.store()?;
    // Nobody waits for one batch; it may take its time.
    (store.limits.closure_deadline, store.limits.statement_timeout) = (BATCH_DEADLINE, BATCH_DEADLINE);
    let store = migrations::open(store, Clock::System).await?;
    let access = Access::new(store.clone(), Arc::new(gateway::platform::catalogue()?), Settings::default())?;
    // Clocks of service levels follow history that is taken over as they follow what happens now.
    let levels = gateway::platform::levels(access.clone(), &gateway::platform::contract()?)?;
    let tickets = levels.tickets().clone();
    let bar = progress(&arguments)?;
    let source = source::read(&arguments.file, mapping.delimiter as u8, |bytes| bar.set_position(bytes))?;
    let roles = mapping.users.roles.clone();
    let plan = Plan::new(mapping, source.columns, tickets.kinds())
        .with_context(|| format!("the mapping {}", arguments.mapping))?;
    let mut report = Report::new(arguments.report.as_deref())?;
    report.write(&json!({ "kind": "columns", "unmapped": plan.unmapped() }))?;
    for (line, reason) in source.broken {
        report.quarantine(line, None, &Rejection { column: String::new(), value: String::new(), reason })?;
    }
    let tenant = tenant(&access, arguments.tenant.as_deref(), arguments.dry_run).await?;
    let mut ctx = access.command_line_ctx(tenant.id, REQUEST);
    ctx.mutation = Mutation { dry_run: arguments.dry_run, ..Mutation::default() };
    if !plan.matrix.is_empty() {
        tickets.set_priority_matrix(&ctx, plan.matrix.clone()).await.map_err(tell)?;
    }
    let rows = source.rows.len() + usize::try_from(report.quarantined()).unwrap_or_default();
    let mut import = Import {
        plan,
        tickets,
        ctx,
        roles: roles.into_iter().map(|role| RoleInput { role, team: None }).collect(),
        found: Found::default(),
        made: HashSet::new(),
        counts: Counts::default(),
        report,
        bar,
        told: Instant::now(),
    };
    import.run(source.rows).await?;
    import.finish(&arguments, rows, begun)?;
    drop(access);
    store.close().await;
    Ok(())
}

/// The tenant that is imported into.
async fn tenant(access: &Access, slug: Option<&str>, dry_run: bool) -> Result<Tenant> {
    let tenants = access.tenants().await?;
    match (slug, tenants.as_slice()) {
        (None, [tenant]) => Ok(tenant.clone()),
        (None, []) => bail!("the database has no tenant yet; name the one to make with --tenant SLUG"),
        (None, _) => bail!("the database has several tenants; name the one to import into with --tenant SLUG"),
        (Some(slug), tenants) => match tenants.iter().find(|tenant| tenant.slug == slug) {
            Some(tenant) => Ok(tenant.clone()),
            None if tenants.is_empty() && dry_run => {
                bail!(
                    "a dry run stores nothing, not even the tenant that it needs; make it with `deskwire user create`"
                )
            }
            None if tenants.is_empty() => {
                let command = TenantCreate { slug: slug.to_owned(), name: slug.to_owned() };
                access.tenant_create(command).await.map_err(tell)
            }
            None => bail!("there is no tenant `{slug}`"),
        },
    }
}

/// A bar over the bytes of the file, and then over its rows.
fn progress(arguments: &ImportCsv) -> Result<ProgressBar> {
    let bytes = std::fs::metadata(&arguments.file)
        .with_context(|| format!("{} cannot be opened", arguments.file.display()))?
        .len();
    let bar = ProgressBar::new(bytes);
    bar.set_style(ProgressStyle::with_template("reading {wide_bar} {bytes}/{total_bytes}")?);
    Ok(bar)
}

/// What was done.
#[derive(Default)]
struct Counts {
    added: u64,
    present: u64,
    tickets: u64,
    continued: u64,
    users: u64,
    teams: u64,
    categories: u64,
    shortened: u64,
}

/// An import under way.
struct Import {
    plan: Plan,
    tickets: Tickets,
    ctx: Ctx,
    roles: Vec<RoleInput>,
    /// The records of names that are known to be stored.
    found: Found,
    /// The names whose records were made: once each, dry runs included.
    made: HashSet<Named>,
    counts: Counts,
    report: Report,
    bar: ProgressBar,
    told: Instant,
}

/// The stored records that names stand for. Clones share them: a write reads while the import waits for it.
#[derive(Clone, Default)]
struct Found(Arc<RwLock<HashMap<Named, Row>>>);

impl Found {
    fn holds(&self, name: &Named) -> bool {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).contains_key(name)
    }

    fn get(&self, name: &Named) -> Option<Row> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(name).cloned()
    }

    fn extend(&self, found: HashMap<Named, Row>) {
        self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(found);
    }
}

/// A ticket's steps with the names they hold.
#[derive(Clone)]
struct Case {
    key: String,
    number: Option<String>,
    steps: Vec<Step>,
}

/// What one write does.
#[derive(Default)]
struct Batch {
    cases: Vec<Case>,
    /// Names that are not known to be stored, parents before children.
    names: Vec<Named>,
    steps: usize,
}

/// What one write answers.
struct Done {
    outcomes: Vec<Vec<StepOutcome>>,
    found: HashMap<Named, Row>,
    made: Vec<Named>,
}

impl Import {
    async fn run(&mut self, rows: Vec<SourceRow>) -> Result<()> {
        self.bar
            .set_style(ProgressStyle::with_template("importing {wide_bar} {pos}/{len} rows, {per_sec}, {eta} left")?);
        self.bar.reset();
        self.bar.set_length(rows.len() as u64);
        let mut batch = Batch::default();
        for case in cases(&self.plan, rows) {
            let Some(case) = self.convert(case)? else { continue };
            for part in parts(case) {
                if !batch.cases.is_empty() && !self.fits(&batch, &part) {
                    self.write(std::mem::take(&mut batch)).await?;
                }
                self.add(&mut batch, part);
            }
        }
        self.write(batch).await
    }

    /// The steps of a ticket's rows; rows without one go into the report.
    fn convert(&mut self, rows: Vec<SourceRow>) -> Result<Option<Case>> {
        let mut steps: Vec<Step> = Vec::with_capacity(rows.len());
        let mut places = HashMap::new();
        let mut case_key = None;
        for row in &rows {
            let key = self.plan.key_of(&row.record).map(str::to_owned);
            match self.plan.step(row) {
                Ok(mut step) => {
                    // Rows that the order cannot tell apart are told apart by how many there were.
                    let same: &mut u32 = places.entry(step.place.clone()).or_default();
                    *same += 1;
                    if *same > 1 {
                        step.place = format!("{}#{same}", step.place);
                    }
                    for (field, whole) in std::mem::take(&mut step.shortened) {
                        self.counts.shortened += 1;
                        let line = json!({ "kind": "shortened", "line": row.line, "key": key, "field": field, "whole": whole });
                        self.report.write(&line)?;
                    }
                    case_key = key;
                    steps.push(step);
                }
                Err(rejection) => {
                    self.report.quarantine(row.line, key.as_deref(), &rejection)?;
                    self.bar.inc(1);
                }
            }
        }
        let number = steps.first().and_then(|step| step.number.clone());
        Ok(case_key.map(|key| Case { key, number, steps }))
    }

    fn fits(&self, batch: &Batch, case: &Case) -> bool {
        let new = case.names().filter(|name| !self.found.holds(name)).count();
        // A ticket comes once in a write: the second part of a long one goes on from the first.
        let apart = batch.cases.last().is_none_or(|last| last.key != case.key);
        apart && batch.steps + case.steps.len() <= MAX_STEPS && batch.names.len() + new <= MAX_NAMES
    }

    fn add(&self, batch: &mut Batch, case: Case) {
        let known: HashSet<&Named> = batch.names.iter().collect();
        let mut new: Vec<Named> = Vec::new();
        for name in case.names().filter(|name| !self.found.holds(name) && !known.contains(name)) {
            if !new.contains(name) {
                new.push(name.clone());
            }
        }
        batch.steps += case.steps.len();
        batch.names.extend(new);
        batch.cases.push(case);
    }

    async fn write(&mut self, batch: Batch) -> Result<()> {
        if batch.cases.is_empty() {
            return Ok(());
        }
        let numbers = self.numbers(&batch).await?;
        let work = Arc::new(Work {
            tickets: self.tickets.clone(),
            roles: self.roles.clone(),
            source: self.plan.source.clone(),
            kind: self.plan.kind,
            numbers,
            found: self.found.clone(),
            batch,
        });
        let done = self.attempt(&work).await?;
        self.account(&work.batch, &done)?;
        if !self.ctx.mutation.dry_run {
            self.found.extend(done.found);
        }
        Ok(())
    }

    /// Writes a batch; when the database does not answer, again after a while. What was stored after all is recognised.
    async fn attempt(&self, work: &Arc<Work>) -> Result<Done> {
        let mut attempt = 1;
        loop {
            let running = Arc::clone(work);
            let written = self.tickets.store().write(&self.ctx, "import", move |tx| {
                let work = Arc::clone(&running);
                Box::pin(async move { work.run_in(tx).await })
            });
            match written.await {
                Ok(Written::Fresh { value, .. }) => return Ok(value),
                Ok(Written::Replayed { .. }) => bail!("an import was taken for a replay"),
                Err(error) if error.code().retryable() && attempt < ATTEMPTS => {
                    self.bar.suspend(|| eprintln!("{error}; trying again"));
                    tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
                Err(error) => return Err(tell(error)).context("run the same import again to take it up from here"),
            }
        }
    }

    /// Our own numbers for tickets that are new and bring none.
    async fn numbers(&self, batch: &Batch) -> Result<HashMap<String, String>> {
        let keys: Vec<String> =
            batch.cases.iter().filter(|case| case.number.is_none()).map(|case| case.key.clone()).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let known = self.tickets.known_keys(&self.ctx, &self.plan.source, &keys).await?;
        let mut numbers = HashMap::new();
        for key in keys.into_iter().filter(|key| !known.contains(key)) {
            let number = self.tickets.numbers().next(&self.ctx, self.plan.kind).await?;
            numbers.insert(key, number);
        }
        Ok(numbers)
    }

    fn account(&mut self, batch: &Batch, done: &Done) -> Result<()> {
        for (case, outcomes) in batch.cases.iter().zip(&done.outcomes) {
            let added = outcomes.iter().filter(|outcome| **outcome == StepOutcome::Added).count() as u64;
            let begins = outcomes.iter().all(|outcome| *outcome == StepOutcome::Added);
            match added {
                0 => {}
                _ if begins => self.counts.tickets += 1,
                _ => self.counts.continued += 1,
            }
            self.counts.added += added;
            for (step, outcome) in case.steps.iter().zip(outcomes) {
                match outcome {
                    StepOutcome::Added => {}
                    StepOutcome::Present => self.counts.present += 1,
                    StepOutcome::Refused(reason) => {
                        let rejection = Rejection {
                            column: self.plan.columns[self.plan.key].clone(),
                            value: case.key.clone(),
                            reason: (*reason).to_owned(),
                        };
                        self.report.quarantine(step.line, Some(&case.key), &rejection)?;
                    }
                }
            }
        }
        for name in &done.made {
            if self.made.insert(name.clone()) {
                match name {
                    Named::User { .. } => self.counts.users += 1,
                    Named::Team { .. } => self.counts.teams += 1,
                    Named::Category { .. } => self.counts.categories += 1,
                }
            }
        }
        self.bar.inc(batch.steps as u64);
        if !std::io::stderr().is_terminal() && self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            eprintln!("{} of {} rows", self.bar.position(), self.bar.length().unwrap_or_default());
        }
        Ok(())
    }

    fn finish(self, arguments: &ImportCsv, rows: usize, begun: Instant) -> Result<()> {
        self.bar.finish_and_clear();
        let Counts { added, present, tickets, continued, users, teams, categories, shortened } = self.counts;
        let (seconds, quarantined) = (begun.elapsed().as_secs_f64(), self.report.quarantined());
        let unmapped = self.plan.unmapped().join(", ");
        let would = if arguments.dry_run { "a dry run, nothing is stored: " } else { "" };
        println!(
            "{would}{rows} rows in {seconds:.1} s ({:.0} a second): {added} imported, {present} there already, {quarantined} put aside\n\
             {tickets} tickets, {continued} continued; made on the way: {users} users, {teams} teams, {categories} categories\n\
             columns that nothing was made of: {}",
            rows as f64 / seconds.max(f64::EPSILON),
            if unmapped.is_empty() { "none" } else { &unmapped },
        );
        if quarantined > 0 {
            match &arguments.report {
                Some(path) => println!("why rows were put aside is in {}", path.display()),
                None => println!("with --report FILE each row that was put aside is written down"),
            }
        }
        self.report.finish(&json!({
            "kind": "summary", "dryRun": arguments.dry_run, "rows": rows, "imported": added, "present": present,
            "quarantined": quarantined, "shortened": shortened, "tickets": tickets, "continued": continued,
            "users": users, "teams": teams, "categories": categories, "seconds": seconds,
        }))
    }
}

impl Case {
    /// All names, those of parents before those of children.
    fn names(&self) -> impl Iterator<Item = &Named> {
        let actors = self.steps.iter().filter_map(|step| step.actor.as_ref());
        let references = self.steps.iter().flat_map(|step| &step.references).filter_map(|(_, named)| named.as_ref());
        actors.chain(references).flat_map(|named| {
            let parent = match named {
                Named::Category { parent, .. } => parent.as_deref(),
                _ => None,
            };
            parent.into_iter().chain([named])
        })
    }
}

/// The rows of each ticket in their order, tickets in the order of their first rows.
fn cases(plan: &Plan, rows: Vec<SourceRow>) -> Vec<Vec<SourceRow>> {
    let mut rows: Vec<(Vec<Place>, SourceRow)> = rows.into_iter().map(|row| (place(plan, &row), row)).collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut cases: Vec<Vec<SourceRow>> = Vec::new();
    for (_, row) in rows {
        let key = plan.key_of(&row.record).unwrap_or_default().to_owned();
        let at = *index.entry(key).or_insert(cases.len());
        match cases.get_mut(at) {
            Some(case) => case.push(row),
            None => cases.push(vec![row]),
        }
    }
    cases
}

/// What rows are ordered by: numbers as numbers, before texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Number(i64),
    Text(String),
}

fn place(plan: &Plan, row: &SourceRow) -> Vec<Place> {
    let values = plan.order.iter().map(|column| row.record.get(*column).unwrap_or_default().trim());
    values.map(|text| text.parse().map_or_else(|_| Place::Text(text.to_owned()), Place::Number)).collect()
}

/// A ticket in pieces that one write takes.
fn parts(case: Case) -> Vec<Case> {
    if case.steps.len() <= MAX_STEPS {
        return vec![case];
    }
    let piece = |steps: &[Step]| Case { key: case.key.clone(), number: case.number.clone(), steps: steps.to_vec() };
    case.steps.chunks(MAX_STEPS).map(piece).collect()
}

/// What the closure of one write needs.
struct Work {
    tickets: Tickets,
    roles: Vec<RoleInput>,
    source: String,
    kind: TicketKind,
    numbers: HashMap<String, String>,
    found: Found,
    batch: Batch,
}

impl Work {
    async fn run_in(&self, tx: &mut Tx) -> kernel::Result<Done> {
        let (mut found, mut made) = (HashMap::new(), Vec::new());
        for name in &self.batch.names {
            let record = self.find_or_make_in(tx, name).await?;
            if record.created {
                made.push(name.clone());
            }
            found.insert(name.clone(), record.row);
        }
        let row_of = |name: &Named| found.get(name).cloned().or_else(|| self.found.get(name));
        let tickets: Vec<ImportedTicket> = self
            .batch
            .cases
            .iter()
            .map(|case| ImportedTicket {
                kind: self.kind,
                source: self.source.clone(),
                key: case.key.clone(),
                number: case.number.clone().or_else(|| self.numbers.get(&case.key).cloned()).unwrap_or_default(),
                steps: case.steps.iter().map(|step| imported(step, &row_of)).collect(),
            })
            .collect();
        let outcomes = self.tickets.import_in(tx, &tickets).await?;
        Ok(Done { outcomes, found, made })
    }

    async fn find_or_make_in(&self, tx: &mut Tx, name: &Named) -> kernel::Result<access::Named> {
        let access = self.tickets.access();
        match name {
            Named::User { email, name } => access.import_user_in(tx, email, name, &self.roles).await,
            Named::Team { slug, name } => access.import_team_in(tx, slug, name).await,
            Named::Category { key, name, parent } => {
                let parent = match parent.as_deref() {
                    Some(Named::Category { key, .. }) => Some(key.clone()),
                    _ => None,
                };
                let command = CreateCategory { key: key.clone(), name: name.clone(), parent };
                self.tickets.import_category_in(tx, &command).await
            }
        }
    }
}

fn imported(step: &Step, row_of: &impl Fn(&Named) -> Option<Row>) -> ImportedStep {
    let actor = step.actor.as_ref().and_then(row_of).map(|row| Actor { id: row.id(), kind: ActorKind::User });
    ImportedStep {
        place: step.place.clone(),
        occurred_at: step.occurred_at,
        actor,
        created_at: step.created_at,
        values: step.values.clone(),
        references: step.references.iter().map(|(name, named)| (*name, named.as_ref().and_then(row_of))).collect(),
    }
}
