//! Where PostgreSQL's server programs are.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::is_complete;
use crate::process;

/// The folder with the server programs, given by hand.
const FOLDER_VARIABLE: &str = "DESKWIRE_POSTGRES_BIN";
/// Where Debian and its children keep one folder per major version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
/// The oldest major version that Deskwire supports.
const MINIMUM_VERSION: u32 = 15;

/// An installed PostgreSQL server.
pub struct Installation {
    /// The folder with `initdb`, `pg_ctl` and `postgres`.
    pub folder: PathBuf,
    /// The version as the server prints it, `15.14`.
    pub version: String,
}

/// The installation to use, or nothing when there is none that is new enough.
///
/// A folder given by hand is used or refused, never passed over.
pub fn locate() -> Result<Option<Installation>> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        let folder = PathBuf::from(folder);
        ensure!(
            is_complete(&folder),
            "${FOLDER_VARIABLE} is {}, which has not all of initdb, pg_ctl and postgres",
            folder.display()
        );
        let version = version(&folder)?;
        ensure!(
            is_new_enough(&version),
            "${FOLDER_VARIABLE} holds PostgreSQL {version}; {MINIMUM_VERSION} or later is needed"
        );
        return Ok(Some(Installation { folder, version }));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in candidates(Path::new(DEBIAN_FOLDER), &path) {
        if is_complete(&folder) {
            let version = version(&folder)?;
            if is_new_enough(&version) {
                return Ok(Some(Installation { folder, version }));
            }
        }
    }
    Ok(None)
}

/// Folders to look into, best first.
fn candidates(debian: &Path, path: &OsStr) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(debian)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    let debian = versions.into_iter().map(|version| debian.join(version.to_string()).join("bin"));
    let in_path = std::env::split_paths(path).filter_map(|folder| {
        // A link in the path leads to the folder that holds the other programs too.
        let program = fs::canonicalize(folder.join("initdb")).ok()?;
        program.parent().map(Path::to_path_buf)
    });
    debian.chain(in_path).collect()
}

fn version(folder: &Path) -> Result<String> {
    let text = process::output(Command::new(folder.join("postgres")).arg("--version"))?;
    Ok(version_in(&text).unwrap_or("of unknown version").to_owned())
}

/// The version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_new_enough(version: &str) -> bool {
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    major.parse::<u32>().is_ok_and(|major| major >= MINIMUM_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let text = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(version_in(text), Some("15.14"));
        assert!(is_new_enough("15.14") && is_new_enough("18beta1"));
        assert!(!is_new_enough("14.9") && !is_new_enough("of unknown version"));
    }

    #[test]
    fn the_highest_version_is_first_and_the_path_is_last() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9", "15", "16", "common"] {
            fs::create_dir_all(folder.path().join(version).join("bin")).unwrap();
        }
        let linked = folder.path().join("opt");
        fs::create_dir_all(&linked).unwrap();
        fs::write(linked.join("initdb"), "").unwrap();
        let found = candidates(folder.path(), linked.as_os_str());
        let expected: Vec<_> = ["16/bin", "15/bin", "9/bin"].iter().map(|name| folder.path().join(name)).collect();
        assert_eq!(found[..3], expected);
        assert_eq!(found[3..], [fs::canonicalize(linked).unwrap()]);
    }
}
