//! What an import tells: a line of JSON for each row that was put aside, and a summary.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};

use super::convert::Rejection;

/// How many rows that were put aside are shown where no report is written.
const SHOWN: u64 = 20;

/// The report of one run.
pub struct Report {
    file: Option<BufWriter<File>>,
    quarantined: u64,
}

impl Report {
    /// A report into this file, if any.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(path: Option<&Path>) -> Result<Self> {
        let file = path
            .map(|path| File::create(path).with_context(|| format!("the report {} cannot be written", path.display())));
        Ok(Self { file: file.transpose()?.map(BufWriter::new), quarantined: 0 })
    }

    /// How many rows were put aside.
    pub fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// A row was put aside.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn quarantine(&mut self, line: u64, key: Option<&str>, rejection: &Rejection) -> Result<()> {
        self.quarantined += 1;
        let Rejection { column, value, reason } = rejection;
        if self.file.is_none() && self.quarantined <= SHOWN {
            eprintln!("line {line}: `{column}` is `{value}`: {reason}");
        }
        self.write(&json!({
            "kind": "quarantined", "line": line, "key": key, "column": column, "value": value, "reason": reason
        }))
    }

    /// A line of another kind.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn write(&mut self, line: &Json) -> Result<()> {
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").context("the report cannot be written")?;
        }
        Ok(())
    }

    /// Ends the report with its summary.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn finish(mut self, summary: &Json) -> Result<()> {
        if self.file.is_none() && self.quarantined > SHOWN {
            eprintln!("… and {} more; with --report FILE all are written down", self.quarantined - SHOWN);
        }
        self.write(summary)?;
        self.file.as_mut().map_or(Ok(()), Write::flush).context("the report cannot be written")
    }
}
