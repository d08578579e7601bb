//! The rows, and the protocol by which each is measured: warm-up, then in each repetition ours, the limit, and ours again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use crate::alerts::{self, Alerts};
use crate::bulk::{self, Bulk};
use crate::capture::{self, Wanted};
use crate::fanout;
use crate::load::{Load, Pace, Workload, histogram};
use crate::pgbench::{Key, Measured, Script};
use crate::report::{Limit, Row, Spread};
use crate::server::{Server, free_address};
use crate::setup::{Engine, Place, Setup};
use crate::transfer::Transfer;
use crate::transition;
use crate::usage::{Spent, Watched, memory, peak, rest};
use crate::workload::{Bare, Create, PAGE, Queue, Readers, Search, Ticket};

/// Open tickets of the agent's team, at least: a page and more.
const QUEUE: u64 = 2 * PAGE;
/// Clients that write to SQLite at once.
const SQLITE_WRITERS: usize = 64;
/// How long a server stands idle before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// The rows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One ticket with requester, assignee, team and five comments, read by an agent.
    Ticket,
    /// The same by a lead, over all tickets.
    TicketLead,
    /// The same by as many agents as there are connections.
    TicketAgents,
    /// A page of 50 of an agent's queue.
    Queue,
    /// A search for two words, one of them rare.
    Search,
    /// A search for two words that a tenth of all tickets have.
    SearchBroad,
    /// An agent opens incidents.
    Create,
    /// A transition past three guards on a ticket with ten custom fields, beside a plain one.
    Transition,
    /// A transition on a ticket with four clocks of three policies, beside one on a ticket without any.
    TransitionSla,
    /// Calls of ten alerts, of which one is new, beside incidents that are opened by hand.
    Alerts,
    /// A thousand tickets moved by one call, in the background.
    Bulk,
    /// All tickets written to a file in the background, and the file fetched.
    Export,
    /// As many tickets made of the lines of a file.
    Import,
    /// 1,000 subscribers, 40 changes a second.
    Fanout,
    /// From the start of the process until it is ready, and its memory when idle.
    Start,
    /// The medians of ticket and queue at each scale, one connection.
    Growth,
    /// A bare JSON endpoint on the same libraries.
    Bare,
}

impl Kind {
    fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Of each measurement.
    pub duration: Duration,
    /// How often each is repeated.
    pub repetitions: usize,
    /// Subscribers of the fan-out.
    pub subscribers: usize,
    /// Changes a second of the fan-out.
    pub updates: f64,
}

impl Protocol {
    fn warm_up(&self) -> Duration {
        self.duration.min(Duration::from_secs(2))
    }
}

/// Measures one row on one database.
///
/// # Errors
/// At the first wrong answer.
pub fn row(
    setup: &Setup,
    place: &Place,
    kind: Kind,
    connections: usize,
    rate: Option<f64>,
    protocol: Protocol,
) -> Result<Vec<Row>> {
    let bench = Bench { setup, place, protocol };
    match kind {
        Kind::Start => bench.start().map(|row| vec![row]),
        Kind::Fanout => bench.fanout().map(|row| vec![row]),
        Kind::Transition | Kind::TransitionSla => bench.transition(kind, connections).map(|row| vec![row]),
        Kind::Alerts => bench.alerts(connections).map(|row| vec![row]),
        Kind::Bulk => bench.bulk().map(|row| vec![row]),
        Kind::Export => bench.transfer(kind).map(|row| vec![row]),
        Kind::Import => bench.transfer(kind).map(|row| vec![row]),
        Kind::Growth => Ok(vec![bench.requests(Kind::Ticket, 1, None)?, bench.requests(Kind::Queue, 1, None)?]),
        Kind::Create if place.engine == Engine::Sqlite => {
            bench.requests(kind, connections.max(SQLITE_WRITERS), rate).map(|row| vec![row])
        }
        _ => bench.requests(kind, connections, rate).map(|row| vec![row]),
    }
}

/// The rate of what was measured in between.
fn beside(what: &str, ours: &[Ours], others: &[Ours]) -> Result<Limit> {
    let ratio = Spread::of(ours.iter().zip(others).map(|(ours, other)| ours.rate / other.rate));
    Ok(Limit {
        what: what.to_owned(),
        rate: Spread::of(others.iter().map(|other| other.rate)).context("no repetitions")?,
        database_cpu: None,
        ratio: ratio.context("no repetitions")?,
    })
}

struct Bench<'a> {
    setup: &'a Setup,
    place: &'a Place,
    protocol: Protocol,
}

/// One measurement of ours.
struct Ours {
    rate: f64,
    latencies: Histogram<u64>,
    spent: Spent,
    operations: u64,
    statements: f64,
}

impl Bench<'_> {
    fn server(&self, connections: usize) -> Result<Server> {
        Server::start(&self.setup.binary, self.place, u32::try_from(connections).unwrap_or(u32::MAX).max(2))
    }

    fn watched(&self, server: u32) -> Watched {
        Watched { server: Some(server), postmaster: self.place.postmaster }
    }

    fn workload(&self, kind: Kind) -> Result<Arc<dyn Workload>> {
        let manifest = self.place.manifest()?;
        let agent = manifest.agent(QUEUE)?;
        Ok(match kind {
            Kind::Queue => Arc::new(Queue::new(agent)),
            Kind::Search => Arc::new(Search::new(agent, false)),
            Kind::SearchBroad => Arc::new(Search::new(agent, true)),
            Kind::Create => Arc::new(Create::new(agent)),
            Kind::TicketLead => {
                let lead = manifest.leads().next().context("the data set has no lead")?.clone();
                Arc::new(Ticket::new(&manifest, Readers::Lead(lead))?)
            }
            Kind::TicketAgents => {
                let agents = manifest.agents.iter().filter(|agent| !agent.lead).cloned().collect();
                Arc::new(Ticket::new(&manifest, Readers::Agents(agents))?)
            }
            _ => Arc::new(Ticket::new(&manifest, Readers::Agent(agent.clone()))?),
        })
    }

    /// A row of requests and answers.
    fn requests(&self, kind: Kind, connections: usize, rate: Option<f64>) -> Result<Row> {
        let workload = self.workload(kind)?;
        if kind == Kind::Bare {
            return self.bare(workload, connections);
        }
        // As many connections to the database as pgbench gets.
        let server = self.server(connections)?;
        // What is looked for is drawn anew each time, so there is no one script of it.
        let unscripted = matches!(kind, Kind::TicketAgents | Kind::Search | Kind::SearchBroad);
        let script = if unscripted { None } else { self.script(kind, &server)? };
        let pgbench = self.setup.pgbench.as_deref().zip(self.place.url()).zip(script.as_ref());
        let limit = |duration: Duration| {
            pgbench
                .map(|((pgbench, url), script)| {
                    script.run(pgbench, url, connections, duration, self.watched(server.pid()))
                })
                .transpose()
        };
        let mut load = Load::connect(server.address(), connections, workload)?;
        let pace = Pace { connections, duration: self.protocol.duration, rate };
        load.run(Pace { duration: self.protocol.warm_up(), ..pace })?;
        limit(self.protocol.warm_up())?;
        let (mut first, mut second, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.protocol.repetitions {
            first.push(self.ours(&server, &mut load, pace)?);
            limits.extend(limit(self.protocol.duration)?);
            second.push(self.ours(&server, &mut load, pace)?);
        }
        let memory = memory(server.pid())?;
        let mut row = self.summary(kind, connections, &first, &second, memory)?;
        row.limit = self.compared(&first, &limits)?;
        for measured in &limits {
            row.others = row.others.max(measured.spent.others);
        }
        if let Some(rate) = rate {
            row.further.push(("at a fixed rate of".to_owned(), rate));
        }
        Ok(row)
    }

    fn ours(&self, server: &Server, load: &mut Load, pace: Pace) -> Result<Ours> {
        let watched = self.watched(server.pid());
        let (statements, usage) = (server.statements()?, watched.usage()?);
        let sample = load.run(pace)?;
        let spent = usage.until(watched.usage()?);
        let statements = server.statements()? - statements;
        ensure!(sample.operations > 0, "nothing was answered");
        Ok(Ours { rate: sample.rate(), operations: sample.operations, latencies: sample.latencies, spent, statements })
    }

    fn summary(&self, kind: Kind, connections: usize, first: &[Ours], second: &[Ours], memory: u64) -> Result<Row> {
        let all = || first.iter().chain(second);
        let mut latencies = histogram();
        for ours in all() {
            latencies.add(&ours.latencies)?;
        }
        let operations = all().map(|ours| ours.operations).sum::<u64>() as f64;
        let microseconds =
            |part: fn(&Spent) -> f64| all().map(|ours| part(&ours.spent)).sum::<f64>() * 1e6 / operations;
        let database_cpu = self.place.postmaster.map(|_| microseconds(|spent| spent.database));
        Ok(Row {
            row: kind.name(),
            engine: self.place.engine,
            tickets: self.place.tickets,
            connections,
            rate: Spread::of(all().map(|ours| ours.rate)).context("no repetitions")?,
            p50: latencies.value_at_quantile(0.5) as f64,
            p99: latencies.value_at_quantile(0.99) as f64,
            server_cpu: microseconds(|spent| spent.server),
            database_cpu,
            memory,
            statements: Some(all().map(|ours| ours.statements).sum::<f64>() / operations),
            limit: None,
            again: Spread::of(first.iter().zip(second).map(|(first, second)| second.rate / first.rate)),
            further: Vec::new(),
            others: all().map(|ours| ours.spent.others).fold(0.0, f64::max),
        })
    }

    fn compared(&self, first: &[Ours], limits: &[Measured]) -> Result<Option<Limit>> {
        let Some(rate) = Spread::of(limits.iter().map(|limit| limit.rate)) else { return Ok(None) };
        let ratio = Spread::of(first.iter().zip(limits).map(|(ours, limit)| ours.rate / limit.rate));
        let transactions: f64 = limits.iter().map(|limit| limit.rate * limit.spent.seconds).sum();
        let database: f64 = limits.iter().map(|limit| limit.spent.database).sum();
        Ok(Some(Limit {
            what: "pgbench".to_owned(),
            rate,
            database_cpu: Some(database * 1e6 / transactions),
            ratio: ratio.context("no repetitions")?,
        }))
    }

    /// The statements that the server sends for this kind, as a script for pgbench.
    fn script(&self, kind: Kind, server: &Server) -> Result<Option<Script>> {
        let (Some(url), Some(log)) = (self.place.url(), self.place.log.as_deref()) else { return Ok(None) };
        let seen = Arc::new(Mutex::new(0));
        let recorder = Arc::new(Recorder { inner: self.workload(kind)?, seen: Arc::clone(&seen) });
        let mut load = Load::connect(server.address(), 1, recorder)?;
        let wanted = if kind == Kind::Create { Wanted::Insert } else { Wanted::Reads };
        // The server's own work may come in between once, not each time.
        let mut sent = f64::INFINITY;
        for _ in 0..3 {
            let before = server.statements()?;
            load.once()?;
            sent = sent.min(server.statements()? - before);
        }
        // Else the limit would be that of another read. Of an insert it has the transaction alone.
        let expected = (wanted == Wanted::Reads).then_some(sent as usize);
        let statements = capture::statements(url, log, wanted, expected, || load.once())?;
        let index = *seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder = self.place.folder();
        let manifest = self.place.manifest()?;
        let script = match kind {
            Kind::Create => Script::of_insert(folder, &kind.name(), &statements)?,
            Kind::Queue => Script::of_reads(folder, &kind.name(), &statements, manifest.scale()?, None)?,
            _ => {
                let team = if kind == Kind::TicketLead { None } else { Some(manifest.agent(QUEUE)?.team) };
                Script::of_reads(folder, &kind.name(), &statements, manifest.scale()?, Some(Key { index, team }))?
            }
        };
        Ok(Some(script))
    }

    fn bare(&self, workload: Arc<dyn Workload>, connections: usize) -> Result<Row> {
        let mut endpoint = Endpoint::start()?;
        let mut load = Load::connect(&endpoint.address, connections, Arc::new(Bare::new(workload)))?;
        let pace = Pace { connections, duration: self.protocol.duration, rate: None };
        load.run(Pace { duration: self.protocol.warm_up(), ..pace })?;
        let watched = Watched { server: Some(endpoint.child.id()), postmaster: None };
        let mut measure = || {
            let usage = watched.usage()?;
            let sample = load.run(pace)?;
            let spent = usage.until(watched.usage()?);
            let (rate, operations) = (sample.rate(), sample.operations);
            Ok::<_, anyhow::Error>(Ours { rate, operations, latencies: sample.latencies, spent, statements: 0.0 })
        };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..self.protocol.repetitions {
            first.push(measure()?);
            second.push(measure()?);
        }
        let memory = memory(endpoint.child.id())?;
        endpoint.stop();
        let mut row = self.summary(Kind::Bare, connections, &first, &second, memory)?;
        (row.statements, row.database_cpu) = (None, None);
        Ok(row)
    }

    /// A transition with more to do is measured before and after the plain one.
    fn transition(&self, kind: Kind, connections: usize) -> Result<Row> {
        let server = self.server(connections)?;
        let manifest = self.place.manifest()?;
        let workloads = match kind {
            Kind::TransitionSla => transition::with_clocks(&server, &manifest, connections)?,
            _ => transition::with_guards(&server, &manifest, connections)?,
        };
        let mut plain = Load::connect(server.address(), connections, workloads.plain)?;
        let mut laden = Load::connect(server.address(), connections, workloads.laden)?;
        let setting = workloads.setting.map(|setting| Load::connect(server.address(), connections, setting));
        let mut setting = setting.transpose()?;
        let pace = Pace { connections, duration: self.protocol.duration, rate: None };
        for load in [&mut plain, &mut laden].into_iter().chain(&mut setting) {
            load.run(Pace { duration: self.protocol.warm_up(), ..pace })?;
        }
        let (mut first, mut second, mut plains, mut settings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.protocol.repetitions {
            first.push(self.ours(&server, &mut laden, pace)?);
            plains.push(self.ours(&server, &mut plain, pace)?);
            if let Some(setting) = &mut setting {
                settings.push(self.ours(&server, setting, pace)?);
            }
            second.push(self.ours(&server, &mut laden, pace)?);
        }
        let mut row = self.summary(kind, connections, &first, &second, memory(server.pid())?)?;
        let beside_plain = |of: fn(&Ours) -> f64, laden: Vec<f64>| {
            let ratio = Spread::of(laden.into_iter().zip(&plains).map(|(laden, plain)| laden / of(plain)));
            Ok::<_, anyhow::Error>(ratio.context("no repetitions")?.median)
        };
        // What drifts while this runs falls on the plain ones as on those around them.
        let around = |of: fn(&Ours) -> f64| {
            let means = first.iter().zip(&second).map(|(before, after)| f64::midpoint(of(before), of(after)));
            beside_plain(of, means.collect())
        };
        let time: fn(&Ours) -> f64 = |run| 1.0 / run.rate;
        let cpu: fn(&Ours) -> f64 = |run| (run.spent.server + run.spent.database) / run.operations as f64;
        row.limit = beside("a plain one", &first, &plains).map(Some)?;
        row.further = vec![
            ("time, times a plain one".to_owned(), around(time)?),
            ("CPU, times a plain one".to_owned(), around(cpu)?),
        ];
        if kind == Kind::TransitionSla {
            let statements = |run: &Ours| run.statements / run.operations as f64;
            row.further.extend([
                ("the server's".to_owned(), around(|run| run.spent.server / run.operations as f64)?),
                ("statements more than a plain one".to_owned(), statements(&first[0]) - statements(&plains[0])),
            ]);
        } else {
            let setting = |of: fn(&Ours) -> f64| beside_plain(of, settings.iter().map(of).collect());
            row.further
                .extend([("setting all ten: time".to_owned(), setting(time)?), ("CPU".to_owned(), setting(cpu)?)]);
        }
        Ok(row)
    }

    /// Alerts are told before and after incidents are opened.
    fn alerts(&self, connections: usize) -> Result<Row> {
        let server = self.server(connections)?;
        let manifest = self.place.manifest()?;
        let mut alerts = Load::connect(server.address(), connections, Alerts::prepare(&server, &manifest)?)?;
        let mut opening = Load::connect(server.address(), connections, self.workload(Kind::Create)?)?;
        let pace = Pace { connections, duration: self.protocol.duration, rate: None };
        for load in [&mut alerts, &mut opening] {
            load.run(Pace { duration: self.protocol.warm_up(), ..pace })?;
        }
        let (mut first, mut second, mut opened) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.protocol.repetitions {
            first.push(self.ours(&server, &mut alerts, pace)?);
            opened.push(self.ours(&server, &mut opening, pace)?);
            second.push(self.ours(&server, &mut alerts, pace)?);
        }
        let mut row = self.summary(Kind::Alerts, connections, &first, &second, memory(server.pid())?)?;
        let a_call = alerts::CALL as f64;
        row.limit = beside("incidents that are opened", &first, &opened).map(Some)?;
        row.further = vec![
            ("alerts a second".to_owned(), row.rate.median * a_call),
            ("server µs of an alert".to_owned(), row.server_cpu / a_call),
        ];
        Ok(row)
    }

    /// Tickets are put on hold together, and back to work. What is counted are tickets; the times are those of the whole.
    fn bulk(&self) -> Result<Row> {
        let server = self.server(16)?;
        let manifest = self.place.manifest()?;
        let mut bulk = Bulk::prepare(&server, &manifest)?;
        let mut moved = |hold: bool| self.at_once(&server, || Ok((bulk::TICKETS as u64, bulk.go(hold)?)));
        for hold in [true, false] {
            moved(hold)?;
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..self.protocol.repetitions {
            first.push(moved(true)?);
            second.push(moved(false)?);
        }
        self.summary(Kind::Bulk, 1, &first, &second, memory(server.pid())?)
    }

    /// A file is written or read twice: that takes long enough to need no more. What is counted are tickets; the times are those of the
    /// whole, the memory is the most that the server had meanwhile.
    fn transfer(&self, kind: Kind) -> Result<Row> {
        let server = self.server(16)?;
        let manifest = self.place.manifest()?;
        let mut transfer = Transfer::prepare(&server, &manifest)?;
        let before = memory(server.pid())?;
        let exports = kind == Kind::Export;
        let mut moved = || self.at_once(&server, || if exports { transfer.export() } else { transfer.import() });
        let (first, second) = (moved()?, moved()?);
        let most = peak(server.pid())?;
        let mut row = self.summary(kind, 1, &[first], &[second], most)?;
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        row.further = vec![("MiB of memory before".to_owned(), mebibytes(before))];
        Ok(row)
    }

    /// Measures what does many tickets in one go.
    fn at_once(&self, server: &Server, go: impl FnOnce() -> Result<(u64, Duration)>) -> Result<Ours> {
        let statements = server.statements()?;
        let usage = self.watched(server.pid()).usage()?;
        let (tickets, took) = go()?;
        let spent = usage.until(self.watched(server.pid()).usage()?);
        let mut latencies = histogram();
        latencies.record(u64::try_from(took.as_micros())?)?;
        Ok(Ours {
            rate: tickets as f64 / took.as_secs_f64(),
            latencies,
            spent,
            operations: tickets,
            statements: server.statements()? - statements,
        })
    }

    fn fanout(&self) -> Result<Row> {
        let manifest = self.place.manifest()?;
        let most = fanout::most_updates(manifest.scale()?) as f64 / self.protocol.updates;
        let plan = fanout::Plan {
            subscribers: self.protocol.subscribers,
            rate: self.protocol.updates,
            duration: (self.protocol.duration * 3).min(Duration::from_secs_f64(most)),
        };
        let (mut runs, mut memories) = (Vec::new(), Vec::new());
        for _ in 0..self.protocol.repetitions.min(3) {
            let server = self.server(16)?;
            let statements = server.statements()?;
            let delivered = fanout::run(&server, &manifest, plan, self.watched(server.pid()))?;
            memories.push(delivered.bytes_per_connection);
            runs.push((server.statements()? - statements, delivered));
        }
        let deliveries: u64 = runs.iter().map(|(_, run)| run.deliveries).sum();
        let updates: u64 = runs.iter().map(|(_, run)| run.updates).sum();
        let mut latencies = histogram();
        for (_, run) in &runs {
            latencies.add(&run.latencies)?;
        }
        let per = |part: fn(&Spent) -> f64| {
            runs.iter().map(|(_, run)| part(&run.spent)).sum::<f64>() * 1e6 / deliveries as f64
        };
        let spread = |of: fn(&fanout::Delivered) -> f64| {
            Spread::of(runs.iter().map(|(_, run)| of(run))).context("no repetitions")
        };
        let (server_cpu, database_cpu) =
            (per(|spent| spent.server), self.place.postmaster.map(|_| per(|spent| spent.database)));
        let cpu = spread(|run| run.spent.server * 1e6 / run.deliveries as f64)?;
        let memory_spread = Spread::of(memories).context("no repetitions")?;
        Ok(Row {
            row: Kind::Fanout.name(),
            engine: self.place.engine,
            tickets: self.place.tickets,
            connections: plan.subscribers,
            rate: spread(|run| run.deliveries as f64 / run.spent.seconds)?,
            p50: latencies.value_at_quantile(0.5) as f64,
            p99: latencies.value_at_quantile(0.99) as f64,
            server_cpu,
            database_cpu,
            memory: runs.iter().map(|(_, run)| run.memory).max().unwrap_or(0),
            statements: Some(runs.iter().map(|(statements, _)| statements).sum::<f64>() / updates as f64),
            limit: None,
            again: None,
            further: vec![
                ("server µs per delivery, least".to_owned(), cpu.least),
                ("most".to_owned(), cpu.most),
                ("KiB per connection".to_owned(), memory_spread.median / 1_024.0),
                ("changes".to_owned(), updates as f64),
                ("deliveries".to_owned(), deliveries as f64),
            ],
            others: runs.iter().map(|(_, run)| run.spent.others).fold(0.0, f64::max),
        })
    }

    fn start(&self) -> Result<Row> {
        let (mut ready, mut idle, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        let mut others = 0.0_f64;
        for _ in 0..self.protocol.repetitions {
            let before = Watched { server: None, postmaster: self.place.postmaster }.usage()?;
            let started = Instant::now();
            let server = self.server(16)?;
            let usage = self.watched(server.pid()).usage()?;
            // Until it was ready, the server's own time is all that it has used so far.
            cpu.push(before.until(usage).server * 1e6);
            ready.push(server.ready_after.as_secs_f64());
            ensure!(started.elapsed() >= server.ready_after, "time went backwards");
            rest(IDLE);
            let spent = usage.until(self.watched(server.pid()).usage()?);
            others = others.max(spent.others);
            idle.push(memory(server.pid())? as f64);
        }
        let ready = Spread::of(ready).context("no repetitions")?;
        let idle = Spread::of(idle).context("no repetitions")?;
        Ok(Row {
            row: Kind::Start.name(),
            engine: self.place.engine,
            tickets: self.place.tickets,
            connections: 0,
            rate: Spread { median: 1.0 / ready.median, least: 1.0 / ready.most, most: 1.0 / ready.least },
            p50: ready.median * 1e6,
            p99: ready.most * 1e6,
            server_cpu: Spread::of(cpu).context("no repetitions")?.median,
            database_cpu: None,
            memory: idle.median as u64,
            statements: None,
            limit: None,
            again: None,
            further: vec![
                ("ready after ms, least".to_owned(), ready.least * 1e3),
                ("most".to_owned(), ready.most * 1e3),
                ("idle MiB, most".to_owned(), idle.most / f64::from(1 << 20)),
            ],
            others,
        })
    }
}

/// Remembers what was asked last.
struct Recorder {
    inner: Arc<dyn Workload>,
    seen: Arc<Mutex<u64>>,
}

impl Workload for Recorder {
    fn request(&self, connection: usize, random: &mut crate::random::Random, into: &mut Vec<u8>) -> u64 {
        let asked = self.inner.request(connection, random, into);
        *self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = asked;
        asked
    }

    fn check(&self, asked: u64, body: &[u8]) -> Result<()> {
        self.inner.check(asked, body)
    }
}

/// The bare endpoint as a process of its own.
struct Endpoint {
    child: Child,
    address: String,
}

impl Endpoint {
    fn start() -> Result<Self> {
        let address = free_address()?;
        let program = std::env::current_exe().context("we do not know our own program")?;
        let child = Command::new(program).args(["bare", &address]).stdin(Stdio::null()).spawn()?;
        let endpoint = Self { child, address };
        let started = Instant::now();
        while std::net::TcpStream::connect(&endpoint.address).is_err() {
            ensure!(started.elapsed() < Duration::from_secs(10), "the bare endpoint does not start");
            rest(Duration::from_millis(10));
        }
        Ok(endpoint)
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes the rows as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(file: &Path, rows: &[Row]) -> Result<()> {
    std::fs::write(file, serde_json::to_vec_pretty(rows)?).with_context(|| format!("cannot write {}", file.display()))
}
