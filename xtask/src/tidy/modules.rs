//! Each Rust file begins with `//!`: what the module means.

use super::Finding;
use super::files::Source;

/// Checks one file.
pub fn check(source: &Source) -> Option<Finding> {
    let first = source.text.lines().enumerate().find(|(_, line)| !line.trim().is_empty());
    let (line, text) = first.unwrap_or((0, ""));
    let meaning = text.trim().strip_prefix("//!").map(str::trim);
    if meaning.is_some_and(|meaning| !meaning.is_empty()) {
        return None;
    }
    let message = "the module does not begin with `//!`: say in its first line what it means";
    Some(Finding::new(&source.path, line + 1, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(text: &str) -> Option<Finding> {
        check(&Source { path: "crates/kernel/src/lib.rs".into(), text: text.into() })
    }

    #[test]
    fn a_module_says_what_it_means() {
        assert_eq!(finding("//! Ids.\n\nuse x;\n"), None);
        assert_eq!(finding("\n//! Ids.\n"), None);
        for wrong in ["", "use x;\n//! Ids.\n", "// Ids.\n", "/// Ids.\nfn a() {}\n", "//!\n"] {
            assert!(finding(wrong).is_some(), "{wrong:?}");
        }
        assert_eq!(finding("\n\nuse x;\n").map(|finding| finding.line), Some(3));
    }
}
