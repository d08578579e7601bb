//! The Python judges: an environment of their own, with exactly the packages that the requirements name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::apt;
use crate::process;
use crate::workspace;

/// The oldest Python that the requirements hold for.
const MINIMUM: (u32, u32) = (3, 11);
const ADVICE: &str = "\
Python 3.11 or later with venv and pip is needed for the check `schemathesis`.
Install it, for example with one of
  apt-get install python3 python3-venv   (Debian, Ubuntu)
  dnf install python3                    (Fedora)
  brew install python                    (macOS)
or leave the check out: `cargo xtask conformance -- CHECK…` runs the others that you name.";

/// The check that runs in Python.
const CHECK: &str = "schemathesis";

/// Whether a selection of checks may hold one that runs in Python.
pub fn is_wanted(checks: &[String]) -> bool {
    checks.is_empty() || checks.iter().any(|check| CHECK.contains(check.as_str()) || check.contains(CHECK))
}

/// Makes the environment, unless it is there and current, and returns its interpreter.
pub fn prepare() -> Result<PathBuf> {
    let folder = workspace::root().join("target/conformance-python");
    let requirements = workspace::root().join("tests/clients/python/requirements.txt");
    let interpreter = folder.join("bin/python");
    // Written last: an environment without it is half made.
    let stamp = folder.join("requirements.txt");
    let wanted = fs::read(&requirements)?;
    if fs::read(&stamp).is_ok_and(|present| present == wanted) && runs(&interpreter) {
        return Ok(interpreter);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    if !make(&folder) {
        eprintln!("xtask: Python or its module venv was not found, installing them with apt-get");
        install().context(ADVICE)?;
        ensure!(make(&folder), "`python3 -m venv` failed.\n{ADVICE}");
    }
    check_version(&interpreter)?;
    let arguments =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"];
    process::run(Command::new(&interpreter).args(arguments).arg(&requirements))?;
    fs::write(stamp, wanted)?;
    Ok(interpreter)
}

/// Makes an empty environment; false when there is no Python for it.
fn make(folder: &Path) -> bool {
    let mut command = Command::new("python3");
    command.args(["-m", "venv"]).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
    process::status(&mut command).is_ok_and(|status| status.success())
}

fn install() -> Result<()> {
    apt::update()?;
    apt::install(&["python3", "python3-venv"])
}

fn runs(interpreter: &Path) -> bool {
    process::quiet(Command::new(interpreter).arg("--version")).is_ok()
}

fn check_version(interpreter: &Path) -> Result<()> {
    let version = process::output(Command::new(interpreter).arg("--version"))?;
    match major_and_minor(&version) {
        Some(found) if found >= MINIMUM => Ok(()),
        _ => bail!("this is {}.\n{ADVICE}", version.trim()),
    }
}

/// The first two numbers in `Python 3.11.7`.
fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix("Python ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(major_and_minor("Python 3.11.7\n"), Some((3, 11)));
        assert_eq!(major_and_minor("nonsense"), None);
    }

    #[test]
    fn python_is_wanted_for_its_check_alone() {
        assert!(is_wanted(&[]));
        assert!(is_wanted(&["urql".into(), "schemathesis/fuzz".into()]));
        assert!(is_wanted(&["schema".into()]));
        assert!(!is_wanted(&["graphql-ws".into()]));
    }
}
