//! `cargo xtask schema`: the exported SDL in `schema/schema.graphql`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use similar::TextDiff;

use crate::process;
use crate::workspace::{self, Profile};

/// Write the API's SDL to schema/schema.graphql
///
/// The text is what `deskwire schema` prints. It is checked in, so that a change of the API is
/// seen in review; `cargo xtask tidy` fails when file and code differ.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask schema
  cargo xtask schema --check")]
pub struct Arguments {
    /// Compare only, print the difference, and fail when there is one.
    #[arg(long)]
    check: bool,
}

/// Writes or compares the file.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = file();
    let written = read(&path)?;
    let exported = exported()?;
    let shown = workspace::relative(&path).display().to_string();
    match difference(&written, &exported) {
        None => println!("schema: {shown} is current"),
        Some(difference) if arguments.check => {
            print!("{difference}");
            bail!("{shown} differs from the code; run `cargo xtask schema` and commit the file");
        }
        Some(_) => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, exported).with_context(|| format!("cannot write {shown}"))?;
            println!("schema: wrote {shown}");
        }
    }
    Ok(())
}

/// The checked-in SDL's path.
pub fn file() -> PathBuf {
    workspace::root().join("schema/schema.graphql")
}

/// The checked-in SDL; empty when there is no file yet.
pub fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The SDL that the code has now.
pub fn exported() -> Result<String> {
    let binary = workspace::deskwire_binary(Profile::Dev)?;
    let sdl = process::output(Command::new(binary).arg("schema").stdin(Stdio::null()))?;
    ensure!(!sdl.trim().is_empty(), "`deskwire schema` printed nothing");
    Ok(sdl)
}

/// A unified difference from the file to the code, or nothing when they are the same.
pub fn difference(written: &str, exported: &str) -> Option<String> {
    if written == exported {
        return None;
    }
    let difference = TextDiff::from_lines(written, exported);
    Some(difference.unified_diff().context_radius(3).header("schema/schema.graphql", "deskwire schema").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_shown() {
        let difference = difference("type A {\n  b: Int\n}\n", "type A {\n  b: Int!\n}\n").unwrap();
        assert!(difference.contains("-  b: Int\n+  b: Int!\n"), "{difference}");
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(difference("type A\n", "type A\n"), None);
        assert!(difference("", "type A\n").is_some());
    }
}
