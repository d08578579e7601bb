//! The load generator: connections that each send one request after the other (closed loop) or at fixed times, and look at
//! every answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::random::Random;

/// Latencies from a microsecond to an hour, three digits of them.
const LONGEST_MICROSECONDS: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// What is asked, and whether an answer is right.
pub trait Workload: Send + Sync + 'static {
    /// The next request of a connection; what it answers with goes to [`Workload::check`].
    fn request(&self, connection: usize, random: &mut Random, into: &mut Vec<u8>) -> u64;

    /// Looks at the answer's body.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, asked: u64, body: &[u8]) -> Result<()>;
}

/// What one run gave.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Answers, all of them right.
    pub operations: u64,
    /// In how many seconds.
    pub seconds: f64,
    /// Their latencies in microseconds. At a fixed rate from the time at which a request was due.
    pub latencies: Histogram<u64>,
}

impl Sample {
    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }
}

/// A histogram as all samples have it.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, DIGITS).expect("the bounds are constants that fit")
}

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many connections.
    pub connections: usize,
    /// How long.
    pub duration: Duration,
    /// Requests a second of all connections together; `None`: each waits for its answer and goes on.
    pub rate: Option<f64>,
}

/// Open connections to a server.
pub struct Load {
    runtime: tokio::runtime::Runtime,
    connections: Vec<Connection>,
    workload: Arc<dyn Workload>,
    /// Differs from run to run, so that no run repeats the keys of the one before.
    seed: u64,
}

impl Load {
    /// Connects.
    ///
    /// # Errors
    /// When the server does not take a connection.
    pub fn connect(address: &str, connections: usize, workload: Arc<dyn Workload>) -> Result<Self> {
        // One thread, as pgbench is given.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connections = runtime.block_on(async {
            let mut open = Vec::with_capacity(connections);
            for _ in 0..connections {
                open.push(Connection::open(address).await?);
            }
            Ok::<_, anyhow::Error>(open)
        })?;
        Ok(Self { runtime, connections, workload, seed: crate::data::SEED })
    }

    /// Asks once on the first connection.
    ///
    /// # Errors
    /// When the answer is wrong.
    pub fn once(&mut self) -> Result<()> {
        self.seed += 1;
        let (mut random, mut request) = (Random::new(self.seed), Vec::new());
        let asked = self.workload.request(0, &mut random, &mut request);
        let connection = self.connections.first_mut().context("there is no connection")?;
        let (status, body) = self.runtime.block_on(connection.exchange(&request))?;
        let told = || String::from_utf8_lossy(body).into_owned();
        ensure!(status == 200, "a request was answered with {status}: {}", told());
        self.workload.check(asked, body).with_context(told)
    }

    /// Makes load for a while.
    ///
    /// # Errors
    /// At the first wrong answer.
    pub fn run(&mut self, pace: Pace) -> Result<Sample> {
        self.seed += 1;
        let started = Instant::now();
        let ends = started + pace.duration;
        let interval = pace.rate.map(|rate| Duration::from_secs_f64(pace.connections as f64 / rate));
        let mut tasks = Vec::with_capacity(self.connections.len());
        for (number, mut connection) in self.connections.drain(..).enumerate() {
            let workload = Arc::clone(&self.workload);
            let random = Random::new(self.seed ^ ((number as u64) << 32));
            let first = interval.map(|interval| started + interval.mul_f64(number as f64 / pace.connections as f64));
            tasks.push(self.runtime.spawn(async move {
                let schedule = first.zip(interval);
                let measured = connection.work(workload.as_ref(), number, random, schedule, ends).await;
                (connection, measured)
            }));
        }
        let mut latencies = histogram();
        let mut failure = None;
        let connections = self.runtime.block_on(async {
            let mut connections = Vec::with_capacity(tasks.len());
            for task in tasks {
                let (connection, measured) = task.await.context("a connection's task panicked")?;
                connections.push(connection);
                match measured {
                    Ok(measured) => latencies.add(measured)?,
                    Err(error) => failure = Some(error),
                }
            }
            Ok::<_, anyhow::Error>(connections)
        })?;
        self.connections = connections;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(Sample { operations: latencies.len(), seconds: started.elapsed().as_secs_f64(), latencies }),
        }
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(64 << 10) })
    }

    async fn work(
        &mut self,
        workload: &dyn Workload,
        number: usize,
        mut random: Random,
        mut schedule: Option<(Instant, Duration)>,
        ends: Instant,
    ) -> Result<Histogram<u64>> {
        let mut latencies = histogram();
        let mut request = Vec::with_capacity(4 << 10);
        loop {
            let begun = match &mut schedule {
                None => Instant::now(),
                Some((due, interval)) => {
                    let at = *due;
                    *due += *interval;
                    tokio::time::sleep_until(at.into()).await;
                    at
                }
            };
            if begun >= ends {
                return Ok(latencies);
            }
            request.clear();
            let asked = workload.request(number, &mut random, &mut request);
            let (status, body) = self.exchange(&request).await?;
            let told = || String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned();
            ensure!(status == 200, "a request was answered with {status}: {}", told());
            workload.check(asked, body).with_context(told)?;
            let microseconds = u64::try_from(begun.elapsed().as_micros()).unwrap_or(LONGEST_MICROSECONDS);
            latencies.saturating_record(microseconds.max(1));
        }
    }

    /// Sends a request and reads its answer: the status and the body.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is no HTTP.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let mut head = None;
        loop {
            let count = self.stream.read_buf(&mut self.received).await?;
            ensure!(count > 0, "the server closed a connection");
            if head.is_none() {
                head = Head::parse(&self.received)?;
            }
            if let Some(head) = &head
                && self.received.len() >= head.end + head.length
            {
                return Ok((head.status, &self.received[head.end..head.end + head.length]));
            }
        }
    }

    /// The stream, to speak another protocol on.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

struct Head {
    status: u16,
    end: usize,
    length: usize,
}

impl Head {
    fn parse(received: &[u8]) -> Result<Option<Self>> {
        let Some(end) = find(received, b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&received[..end]).context("a head that is no text")?;
        let status = text.get(9..12).and_then(|status| status.parse().ok()).context("an answer without a status")?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        // A switch of protocols has no body, nor has what says so.
        let length = if [101, 204].contains(&status) { Some(0) } else { length };
        Ok(Some(Self { status, end: end + 4, length: length.context("an answer without a length")? }))
    }
}

/// Where the bytes stand.
pub fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// How often the bytes stand there.
pub fn count(text: &[u8], wanted: &[u8]) -> usize {
    let first = wanted[0];
    let mut found = 0;
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(wanted) {
            found += 1;
        }
        rest = &rest[at + 1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap().is_none());
        let head = Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap().unwrap();
        assert_eq!((head.status, head.length), (200, 5));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn occurrences_are_counted() {
        assert_eq!(count(br#"{"number":"a","number":"b"}"#, br#""number":"#), 2);
        assert_eq!(find(b"abc", b"bc"), Some(1));
    }
}
