//! The checkout: where it is, its cargo, and the server binary built from it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// A cargo command in the workspace, without what the outer `cargo run` put into the environment
/// about xtask itself.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let about_xtask =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if about_xtask {
            command.env_remove(name);
        }
    }
    command
}

/// The profile that the server is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The profile and features of the test run: nothing is compiled twice.
    Dev,
    /// What the README's first command builds.
    Release,
}

/// Builds the `deskwire` binary and returns its path.
pub fn deskwire_binary(profile: Profile) -> Result<PathBuf> {
    binary(profile, "deskwire", "deskwire")
}

/// Builds a package's binary and returns its path.
pub fn binary(profile: Profile, package: &str, name: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    match profile {
        // Cargo chooses the features of the dependencies by what is selected. `--workspace` and a
        // test target select what `cargo test --workspace` does; one package alone would build many
        // dependencies a second time.
        Profile::Dev => command.args(["--workspace", "--bin", name, "--test", "xtask_help"]),
        Profile::Release => command.args(["--release", "-p", package, "--bin", name]),
    };
    command.stdout(Stdio::piped());
    let messages = process::output(&mut command).with_context(|| format!("cannot build {name}"))?;
    executable(&messages, name).with_context(|| format!("cargo built {name} but did not say where it is"))
}

/// Builds the server and the benchmark's program with a profile by its name; returns both paths.
pub fn bench_binaries(profile: &str) -> Result<(PathBuf, PathBuf)> {
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--message-format=json-render-diagnostics", "--profile", profile])
        .args(["-p", "deskwire", "-p", "bench", "--bins"])
        .stdout(Stdio::piped());
    let messages = process::output(&mut command).context("cannot build deskwire and bench")?;
    let found = |name| executable(&messages, name).with_context(|| format!("cargo built {name} but did not say where"));
    Ok((found("deskwire")?, found("bench")?))
}

/// Where cargo puts what it builds.
pub fn target() -> Result<PathBuf> {
    let metadata =
        process::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]).stdout(Stdio::piped()))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}

/// The path of a binary in cargo's JSON messages.
fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == binary)
        .filter(|message| message["target"]["kind"][0] == "bin")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

/// A port on 127.0.0.1 that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    let port = listener.local_addr()?.port();
    ensure!(port != 0, "the system gave port 0");
    Ok(port)
}

/// A path as the reader knows it: relative to the workspace.
pub fn relative(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_the_messages() {
        let messages = [
            r#"{"reason":"compiler-artifact","target":{"name":"deskwire","kind":["lib"]},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"deskwire","kind":["bin"]},"executable":"/t/debug/deskwire"}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"other","kind":["bin"]},"executable":"/t/debug/other"}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ]
        .join("\n");
        assert_eq!(executable(&messages, "deskwire"), Some(PathBuf::from("/t/debug/deskwire")));
        assert_eq!(executable(&messages, "missing"), None);
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
    }
}
