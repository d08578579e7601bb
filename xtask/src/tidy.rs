//! `cargo xtask tidy`: the rules of the house that a compiler does not check.

mod descriptions;
mod files;
mod layers;
mod modules;
mod tokens;

use std::fmt;

use anyhow::{Result, bail, ensure};

use crate::schema;
use crate::workspace;

/// Check the rules of the house that no compiler checks
///
/// Layers: each crate depends only on crates in an earlier row of the layer table. Modules: each
/// Rust file begins with `//!`. Schema: each item has a description, and schema/schema.graphql is
/// what the code exports. Borders: sea_orm, sqlx and rusqlite only in store, migrations and tables.rs;
/// async_graphql only in gateway; the system's clock and random ids only in kernel.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask tidy
  cargo xtask tidy --without-build")]
pub struct Arguments {
    /// Leave out the comparison of the exported schema, which has to build the server.
    #[arg(long)]
    without_build: bool,
}

/// A broken rule: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the workspace.
    pub file: String,
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Checks everything and lists every finding.
pub fn run(arguments: &Arguments) -> Result<()> {
    let members = layers::members()?;
    let sources = files::rust_sources(workspace::root())?;
    // A check over nothing would pass for ever.
    ensure!(!members.is_empty() && !sources.is_empty(), "found no crates or no Rust files");
    let mut findings = layers::check(&members);
    for source in &sources {
        findings.extend(modules::check(source));
        findings.extend(tokens::check(source));
    }
    let items = check_schema(arguments, &mut findings)?;
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            let (crates, files) = (members.len(), sources.len());
            println!("tidy: {crates} crates, {files} Rust files, {items} schema items, no findings");
            Ok(())
        }
        1 => bail!("1 finding"),
        count => bail!("{count} findings"),
    }
}

/// Checks the exported schema and returns how many items it has.
fn check_schema(arguments: &Arguments, findings: &mut Vec<Finding>) -> Result<usize> {
    let path = schema::file();
    let name = workspace::relative(&path).display().to_string();
    let written = schema::read(&path)?;
    if written.is_empty() {
        findings.push(Finding::new(&name, 1, "is missing or empty: run `cargo xtask schema`"));
        return Ok(0);
    }
    let report = descriptions::check(&name, &written);
    findings.extend(report.findings);
    if !arguments.without_build
        && let Some(difference) = schema::difference(&written, &schema::exported()?)
    {
        let line = first_difference(&difference);
        findings.push(Finding::new(
            &name,
            line,
            "differs from the code: run `cargo xtask schema` (`--check` shows the difference) and \
             commit the file",
        ));
    }
    Ok(report.items)
}

/// The line of the old file in a unified difference's first hunk (`@@ -12,7 +12,7 @@`).
fn first_difference(difference: &str) -> usize {
    difference
        .lines()
        .find_map(|line| line.strip_prefix("@@ -"))
        .and_then(|rest| rest.split([',', ' ']).next()?.parse().ok())
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_shown_as_editors_read_it() {
        let finding = Finding::new("crates/store/src/log.rs", 7, "do this");
        assert_eq!(finding.to_string(), "crates/store/src/log.rs:7: do this");
    }

    #[test]
    fn the_first_difference_is_found() {
        let difference = schema::difference("a\nb\nc\nd\ne\n", "a\nb\nc\nd\nf\n").unwrap();
        assert_eq!(first_difference(&difference), 2);
    }
}
