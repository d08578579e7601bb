//! Installs PostgreSQL with Debian's package manager when it is not there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::locate::{Installation, locate};
use crate::apt;
use crate::process;

/// What to do by hand when we cannot.
const ADVICE: &str = "\
PostgreSQL 15 or later is needed for the tests and was not found.
Install its server programs, for example with one of
  apt-get install postgresql        (Debian, Ubuntu)
  dnf install postgresql-server     (Fedora)
  brew install postgresql@17        (macOS)
or set DESKWIRE_POSTGRES_BIN to the folder that holds initdb, pg_ctl and postgres,
or set DESKWIRE_TEST_POSTGRES_URL to a server in which the tests may create databases.";

/// Debian's settings for the cluster that the package would create and start by itself.
const CLUSTER_CONFIGURATION: &str = "/etc/postgresql-common/createcluster.conf";

/// The installation to use; installs it when there is none.
pub fn find_or_install() -> Result<Installation> {
    if let Some(installation) = locate()? {
        return Ok(installation);
    }
    eprintln!("xtask: PostgreSQL was not found, installing it with apt-get");
    install().context(ADVICE)?;
    locate()?.context(ADVICE)
}

fn install() -> Result<()> {
    apt::update()?;
    apt::install(&["postgresql-common"])?;
    // Else the next package would create a cluster on port 5432 and start it.
    forbid_main_cluster()?;
    apt::install(&["postgresql"])
}

fn forbid_main_cluster() -> Result<()> {
    let path = Path::new(CLUSTER_CONFIGURATION);
    let text = fs::read_to_string(path).unwrap_or_default();
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), without_main_cluster(&text))?;
    process::run(apt::privileged("cp")?.arg(file.path()).arg(path))
}

/// The configuration with `create_main_cluster = false` as its only word on the matter.
fn without_main_cluster(text: &str) -> String {
    let speaks = |line: &&str| line.trim_start().starts_with("create_main_cluster");
    let mut lines: Vec<&str> = text.lines().filter(|line| !speaks(line)).collect();
    lines.push("create_main_cluster = false");
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_cluster_is_forbidden_once() {
        let text = "# Default values\n#create_main_cluster = true\ncreate_main_cluster = true\n";
        let expected = "# Default values\n#create_main_cluster = true\ncreate_main_cluster = false\n";
        assert_eq!(without_main_cluster(text), expected);
        assert_eq!(without_main_cluster(expected), expected);
        assert_eq!(without_main_cluster(""), "create_main_cluster = false\n");
    }
}
