//! The layer table: a crate depends only on crates in an earlier row.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::process;
use crate::workspace;

/// The rows, lowest first. Crates that share a row never depend on each other.
const ROWS: [&[&str]; 14] = [
    // vocabulary, no I/O
    &["kernel"],
    &["calendar"],
    &["predicate"],
    // platform, domain-blind
    &["store"],
    &["access"],
    &["delivery", "objects"],
    // shared domain
    &["configuration"],
    &["ticket"],
    &["sla"],
    &["agreement"],
    // practices
    &["incident", "problem", "change", "catalog", "asset", "knowledge", "supplier"],
    // composition
    &["reactions"],
    &["gateway"],
    &["deskwire"],
];
/// The schema migrations stand beside the table: they know the store, and the binary knows them.
const MIGRATIONS: &str = "migrations";
const MIGRATIONS_MAY_USE: [&str; 1] = ["store"];
const MIGRATIONS_USERS: [&str; 1] = ["deskwire"];
/// Packages that may depend on anything, and that nothing may depend on.
const FREE: [&str; 3] = ["bench", "tests", "xtask"];

/// A package of the workspace.
pub struct Member {
    /// The package's name.
    pub name: String,
    /// The path of its Cargo.toml in the workspace.
    pub manifest: String,
    /// The text of its Cargo.toml.
    pub text: String,
    /// The packages it depends on, development dependencies left out.
    pub dependencies: Vec<String>,
}

/// The packages as cargo sees them.
pub fn members() -> Result<Vec<Member>> {
    let mut command = workspace::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata = process::output(&mut command)?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Result<Member> {
    let name = package["name"].as_str().context("a package without a name")?;
    let path = package["manifest_path"].as_str().context("a package without a manifest")?;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let manifest = workspace::relative(path.as_ref()).to_string_lossy().into_owned();
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    Ok(Member {
        name: name.to_owned(),
        manifest,
        text,
        dependencies: dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect(),
    })
}

/// Checks every arrow between our packages.
pub fn check(members: &[Member]) -> Vec<Finding> {
    let ours: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members {
        findings.extend(check_place(member));
        for dependency in &member.dependencies {
            if ours.contains(&dependency.as_str())
                && let Some(reason) = refusal(&member.name, dependency)
            {
                let line = line_of(&member.text, dependency);
                findings.push(Finding::new(&member.manifest, line, reason));
            }
        }
    }
    findings
}

/// Checks that a package is where its name says, and that the table knows it.
fn check_place(member: &Member) -> Option<Finding> {
    let name = member.name.as_str();
    let outside = name == MIGRATIONS || FREE.contains(&name);
    let expected = if outside { format!("{name}/Cargo.toml") } else { format!("crates/{name}/Cargo.toml") };
    if row(name).is_none() && !outside {
        let message = format!(
            "`{name}` is in no row of the layer table: give it one in xtask/src/tidy/layers.rs and \
             in ARCHITECTURE.md"
        );
        return Some(Finding::new(&member.manifest, 1, message));
    }
    (member.manifest != expected).then(|| {
        let message = format!("the package `{name}` belongs at {expected}");
        Finding::new(&member.manifest, 1, message)
    })
}

/// Why a package may not depend on another, if it may not.
fn refusal(from: &str, to: &str) -> Option<String> {
    if FREE.contains(&from) {
        return None;
    }
    if FREE.contains(&to) {
        return Some(format!("`{from}` depends on `{to}`, which nothing may depend on"));
    }
    if from == MIGRATIONS {
        return (!MIGRATIONS_MAY_USE.contains(&to))
            .then(|| format!("`{MIGRATIONS}` depends on `{to}`; of our crates it may use `store` only"));
    }
    if to == MIGRATIONS {
        return (!MIGRATIONS_USERS.contains(&from))
            .then(|| format!("`{from}` depends on `{MIGRATIONS}`, which only `deskwire` may"));
    }
    let (Some(from_row), Some(to_row)) = (row(from), row(to)) else {
        // A crate without a row is a finding of its own.
        return None;
    };
    (to_row >= from_row).then(|| {
        let why = if to_row == from_row { "in the same row" } else { "in a later row" };
        format!(
            "`{from}` depends on `{to}`, which is {why} of the layer table: move what is shared \
             down, or join the two in `reactions` or `gateway`"
        )
    })
}

fn row(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

/// The line of a manifest that names a dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        line.trim_start()
            .trim_start_matches('"')
            .strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=', '"']))
    };
    manifest.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member_at(manifest: &str, name: &str, dependencies: &[&str]) -> Member {
        Member {
            name: name.into(),
            manifest: manifest.into(),
            text: dependencies.iter().map(|name| format!("{name}.workspace = true\n")).collect(),
            dependencies: dependencies.iter().map(ToString::to_string).collect(),
        }
    }

    fn member(name: &str, dependencies: &[&str]) -> Member {
        member_at(&format!("crates/{name}/Cargo.toml"), name, dependencies)
    }

    #[test]
    fn arrows_go_down() {
        for (from, to) in [
            ("calendar", "kernel"),
            ("predicate", "calendar"),
            ("store", "predicate"),
            ("access", "store"),
            ("delivery", "access"),
            ("ticket", "delivery"),
            ("sla", "ticket"),
            ("incident", "sla"),
            ("reactions", "incident"),
            ("gateway", "reactions"),
            ("deskwire", "gateway"),
            ("deskwire", "migrations"),
            ("migrations", "store"),
            ("tests", "kernel"),
            ("tests", "migrations"),
            ("xtask", "gateway"),
        ] {
            assert_eq!(refusal(from, to), None, "{from} -> {to}");
        }
    }

    #[test]
    fn arrows_never_go_up_or_sideways() {
        for (from, to) in [
            ("kernel", "calendar"),
            ("calendar", "predicate"),
            ("predicate", "store"),
            ("store", "access"),
            ("access", "delivery"),
            ("ticket", "sla"),
            ("incident", "problem"),
            ("supplier", "incident"),
            ("incident", "gateway"),
            ("gateway", "deskwire"),
            ("migrations", "kernel"),
            ("migrations", "ticket"),
            ("store", "migrations"),
            ("gateway", "migrations"),
            ("deskwire", "tests"),
            ("kernel", "xtask"),
        ] {
            assert!(refusal(from, to).is_some(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_wrong_arrow_is_found_at_its_line() {
        let members = [member("incident", &["kernel", "problem"]), member("problem", &[]), member("kernel", &[])];
        let findings = check(&members);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].file.as_str(), findings[0].line), ("crates/incident/Cargo.toml", 2));
        assert!(findings[0].message.contains("same row"));
    }

    #[test]
    fn other_peoples_crates_are_no_arrows() {
        assert_eq!(check(&[member("kernel", &["change", "serde"])]), []);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let findings = check(&[member("helpers", &[])]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("no row"));
    }

    #[test]
    fn a_folder_has_its_crates_name() {
        assert_eq!(check(&[member_at("crates/core/Cargo.toml", "kernel", &[])]).len(), 1);
        assert_eq!(check(&[member_at("migrations/Cargo.toml", "migrations", &[])]), []);
    }

    #[test]
    fn the_line_of_a_dependency_is_exact() {
        let manifest = "[dependencies]\nstore-extra = \"1\"\nstore.workspace = true\n";
        assert_eq!(line_of(manifest, "store"), 3);
        assert_eq!(line_of("a = { path = \"x\" }\n", "a"), 1);
    }

    #[test]
    fn the_workspace_is_read() {
        let members = members().unwrap();
        let xtask = members.iter().find(|member| member.name == "xtask").unwrap();
        assert_eq!(xtask.manifest, "xtask/Cargo.toml");
        assert!(xtask.dependencies.iter().any(|name| name == "anyhow"));
    }
}
