//! What processes use: processor time and memory, read from /proc.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The kernel's ticks a second in /proc, the same on every Linux since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds up to an instant, by whom.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    at: Instant,
    server: f64,
    database: f64,
    ourselves: f64,
    machine: f64,
}

/// Processor seconds between two instants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// How long that was.
    pub seconds: f64,
    /// The server's.
    pub server: f64,
    /// The database's, all its processes together.
    pub database: f64,
    /// Of everybody else on the machine but the load generator, in processors.
    pub others: f64,
}

/// Whom to watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    /// The server's process.
    pub server: Option<u32>,
    /// PostgreSQL's first process.
    pub postmaster: Option<u32>,
}

impl Watched {
    /// What has been used up to now.
    ///
    /// # Errors
    /// When a process is gone.
    pub fn usage(self) -> Result<Usage> {
        Ok(Usage {
            at: Instant::now(),
            server: self.server.map_or(Ok(0.0), |pid| Ok::<_, anyhow::Error>(times(pid)?.own))?,
            database: self.postmaster.map_or(Ok(0.0), with_children)?,
            // pgbench is a child that has ended by then.
            ourselves: times(std::process::id()).map(|times| times.own + times.ended)?,
            machine: machine()?,
        })
    }
}

impl Usage {
    /// What was used between then and now.
    pub fn until(self, now: Self) -> Spent {
        let seconds = now.at.duration_since(self.at).as_secs_f64();
        let (server, database) = (now.server - self.server, now.database - self.database);
        let watched = server + database + now.ourselves - self.ourselves;
        let others = ((now.machine - self.machine - watched) / seconds).max(0.0);
        Spent { seconds, server, database, others }
    }
}

struct Times {
    /// Of the process itself.
    own: f64,
    /// Of its children that have ended.
    ended: f64,
}

fn times(pid: u32) -> Result<Times> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok(Times { own: (field(11) + field(12)) / TICKS_PER_SECOND, ended: (field(13) + field(14)) / TICKS_PER_SECOND })
}

/// A process with its children, those that have ended included.
fn with_children(pid: u32) -> Result<f64> {
    let parent = times(pid)?;
    // One that ends meanwhile is counted with its parent next time.
    let children: f64 = children(pid)?.into_iter().filter_map(|child| times(child).ok()).map(|times| times.own).sum();
    Ok(parent.own + parent.ended + children)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .with_context(|| format!("the children of process {pid} cannot be listed"))?;
    Ok(text.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}

/// All processors' busy time: in programs and in the kernel, and what a hypervisor took.
fn machine() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    // user, nice, system and steal; interrupts belong to whoever caused them and are left out.
    let busy = [0, 1, 2, 7].map(|place| fields.get(place).copied().unwrap_or(0.0));
    Ok(busy.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The resident memory of a process, bytes.
///
/// # Errors
/// When it is gone.
pub fn memory(pid: u32) -> Result<u64> {
    of_status(pid, "VmRSS:")
}

/// The most resident memory that a process has had, bytes.
///
/// # Errors
/// When it is gone.
pub fn peak(pid: u32) -> Result<u64> {
    of_status(pid, "VmHWM:")
}

fn of_status(pid: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context("a process without memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1_024)
}

/// Waits, so that what follows meets a process at rest.
pub fn rest(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_use_is_not_somebody_elses() {
        let watched = Watched { server: Some(std::process::id()), postmaster: None };
        let before = watched.usage().unwrap();
        let mut sum = 0_u64;
        while before.at.elapsed() < Duration::from_millis(200) {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        let spent = before.until(watched.usage().unwrap());
        assert!(spent.server > 0.05, "{spent:?} {sum}");
        assert!(memory(std::process::id()).unwrap() > 100_000);
    }
}
