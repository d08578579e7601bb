//! What was measured, as a table for people and JSON for programs.

use serde::Serialize;

use crate::setup::Engine;

/// More than so many processors used by others make a row unreliable.
const MOST_OTHERS: f64 = 0.5;

/// The middle of several values, with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of these values; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, least, most })
    }
}

/// One row: an operation on an engine, with so many connections.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub row: String,
    /// The engine.
    pub engine: Engine,
    /// Tickets in the data set.
    pub tickets: u64,
    /// Connections at once.
    pub connections: usize,
    /// Operations a second.
    pub rate: Spread,
    /// Median latency, microseconds.
    pub p50: f64,
    /// 99th percentile, microseconds.
    pub p99: f64,
    /// The server's processor time for each operation, microseconds.
    pub server_cpu: f64,
    /// The database's, where it is a process of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_cpu: Option<f64>,
    /// The server's memory at the end, bytes.
    pub memory: u64,
    /// Statements for each operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<f64>,
    /// What it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// A second run of the same, divided by the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Spread>,
    /// Further figures, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<(String, f64)>,
    /// Processors that others used meanwhile, at most.
    pub others: f64,
}

/// What a row is compared with.
#[derive(Clone, Debug, Serialize)]
pub struct Limit {
    /// What it is.
    pub what: String,
    /// Its operations a second.
    pub rate: Spread,
    /// The database's processor time for each, microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_cpu: Option<f64>,
    /// Ours divided by it, of each repetition.
    pub ratio: Spread,
}

impl Row {
    /// Whether others left the machine alone.
    pub fn is_reliable(&self) -> bool {
        self.others <= MOST_OTHERS
    }

    /// The row as text.
    pub fn text(&self) -> String {
        let mut parts = vec![format!(
            "{:<14} {:<10} {:>9} {:>4}  {:>8.0} op/s  p50 {:>8}  p99 {:>8}  server {:>6.0} µs",
            self.row,
            self.engine.name(),
            self.tickets,
            self.connections,
            self.rate.median,
            time(self.p50),
            time(self.p99),
            self.server_cpu,
        )];
        if let Some(cpu) = self.database_cpu {
            parts.push(format!("database {cpu:>5.0} µs"));
        }
        parts.push(format!("{:>4.0} MiB", self.memory as f64 / f64::from(1 << 20)));
        if let Some(statements) = self.statements {
            parts.push(format!("{statements:.2} statements"));
        }
        if let Some(limit) = &self.limit {
            let ratio = limit.ratio;
            parts.push(format!(
                "{:.1} % of {} [{:.1}, {:.1}] ({:.0} op/s{})",
                ratio.median * 100.0,
                limit.what,
                ratio.least * 100.0,
                ratio.most * 100.0,
                limit.rate.median,
                limit.database_cpu.map(|cpu| format!(", database {cpu:.0} µs")).unwrap_or_default(),
            ));
        }
        if let Some(again) = self.again {
            parts.push(format!("A/A {:.2} [{:.2}, {:.2}]", again.median, again.least, again.most));
        }
        parts.extend(self.further.iter().map(|(name, value)| format!("{name} {value:.2}")));
        if !self.is_reliable() {
            parts.push(format!("UNRELIABLE: others used {:.1} processors", self.others));
        }
        parts.join("  ")
    }
}

fn time(microseconds: f64) -> String {
    if microseconds >= 10_000.0 {
        format!("{:.0} ms", microseconds / 1_000.0)
    } else if microseconds >= 1_000.0 {
        format!("{:.1} ms", microseconds / 1_000.0)
    } else {
        format!("{microseconds:.0} µs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_between_the_ends() {
        let spread = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of([]), None);
    }
}
