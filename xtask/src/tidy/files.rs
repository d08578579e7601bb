//! The Rust files of the workspace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The top-level folders that hold our sources.
const FOLDERS: [&str; 5] = ["bench", "crates", "migrations", "tests", "xtask"];
/// Folders that hold what others wrote or what is generated.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// A Rust file.
pub struct Source {
    /// Its path in the workspace, with `/` between the parts.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The parts of the path.
    pub fn parts(&self) -> Vec<&str> {
        self.path.split('/').collect()
    }
}

/// All Rust files below the workspace's root, in the order of their paths.
pub fn rust_sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        if root.join(folder).is_dir() {
            collect(&root.join(folder), folder, &mut sources)?;
        }
    }
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(sources)
}

fn collect(folder: &Path, shown: &str, sources: &mut Vec<Source>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {shown}"))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{shown}/{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) && !name.starts_with('.') {
            collect(&entry.path(), &path, sources)?;
        } else if kind.is_file() && name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path} as UTF-8"))?;
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_below_our_folders_alone() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "crates/kernel/src/lib.rs",
            "crates/kernel/src/deep/er.rs",
            "crates/kernel/README.md",
            "tests/clients/node_modules/x/y.rs",
            "xtask/target/z.rs",
            "elsewhere/a.rs",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "//! Text.\n").unwrap();
        }
        let found = rust_sources(root.path()).unwrap();
        let paths: Vec<_> = found.iter().map(|source| source.path.as_str()).collect();
        assert_eq!(paths, ["crates/kernel/src/deep/er.rs", "crates/kernel/src/lib.rs"]);
        assert_eq!(found[1].parts(), ["crates", "kernel", "src", "lib.rs"]);
    }
}
