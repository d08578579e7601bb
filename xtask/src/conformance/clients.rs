//! The Node.js package with the judges: is Node.js there, are its dependencies installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::workspace;

/// The oldest version of Node.js that the programs run on.
const MINIMUM_NODE: (u32, u32) = (20, 19);
const NODE_ADVICE: &str = "Node.js 20.19 or later with npm is needed: install it from \
    https://nodejs.org or with your package manager (`apt-get install nodejs npm`)";

/// Checks Node.js, installs what the lock file names, and returns the package's folder.
pub fn prepare() -> Result<PathBuf> {
    let version = process::output(Command::new("node").arg("--version")).context(NODE_ADVICE)?;
    ensure!(
        major_and_minor(&version).is_some_and(|found| found >= MINIMUM_NODE),
        "this is Node.js {}. {NODE_ADVICE}",
        version.trim()
    );
    let folder = workspace::root().join("tests/clients");
    if is_stale(&folder) {
        process::run(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
                .current_dir(&folder),
        )
        .context(NODE_ADVICE)?;
    }
    Ok(folder)
}

/// Whether the installed packages are missing or older than the lock file.
fn is_stale(folder: &Path) -> bool {
    let lock = modified(&folder.join("package-lock.json"));
    // npm writes this file last.
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    match (lock, installed) {
        (Some(lock), Some(installed)) => installed < lock,
        _ => true,
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The first two numbers in `v20.20.2`.
fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(major_and_minor("v20.20.2\n"), Some((20, 20)));
        assert_eq!(major_and_minor("nonsense"), None);
    }

    #[test]
    fn packages_are_stale_when_missing_or_older_than_the_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = File::create(folder.path().join("package-lock.json")).unwrap();
        assert!(is_stale(folder.path()));
        fs::create_dir(folder.path().join("node_modules")).unwrap();
        File::create(folder.path().join("node_modules/.package-lock.json")).unwrap();
        let now = SystemTime::now();
        lock.set_modified(now - Duration::from_secs(60)).unwrap();
        assert!(!is_stale(folder.path()));
        lock.set_modified(now + Duration::from_secs(60)).unwrap();
        assert!(is_stale(folder.path()));
    }
}
