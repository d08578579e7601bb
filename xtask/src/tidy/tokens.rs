//! The borders inside the code: who may name the database library, the GraphQL library, the
//! system's clock and randomness.
//!
//! Files are read as Rust tokens, so that comments, documentation and string literals do not count
//! and macros do.

use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};

use super::Finding;
use super::files::Source;

/// Something that only some files may name.
struct Border {
    /// Paths (`Utc::now`, `rand::`) or single names, each of them forbidden outside.
    names: &'static [&'static str],
    /// Whether the rule looks at a file at all.
    watches: fn(&[&str]) -> bool,
    /// What to do instead.
    advice: &'static str,
}

const BORDERS: [Border; 4] = [
    Border {
        names: &["sea_orm", "sea_orm_migration", "sea_query", "sqlx", "sqlx_core", "rusqlite"],
        watches: |path| product(path) && !in_crate(path, "store") && !in_folder(path, "migrations") && !is_tables(path),
        advice: "is for `store`, `migrations` and a crate's `tables.rs`: go through `store`, or \
                 move the row functions to `tables.rs`",
    },
    Border {
        names: &["async_graphql", "async_graphql_parser", "async_graphql_value"],
        watches: |path| product(path) && !in_crate(path, "gateway"),
        advice: "is for `gateway` alone: return a domain type and map it there",
    },
    Border {
        names: &[
            "SystemTime::now",
            "Utc::now",
            "Local::now",
            "chrono::Local",
            "Timestamp::now",
            "Zoned::now",
            "OffsetDateTime::now",
            "OffsetDateTime::now_utc",
            "OffsetDateTime::now_local",
        ],
        watches: |path| shipped(path) && !in_crate(path, "kernel"),
        advice: "reads the system's clock: take the time from the context's `kernel::Clock`",
    },
    Border {
        names: &[
            "Uuid::new_v1",
            "Uuid::new_v4",
            "Uuid::new_v6",
            "Uuid::new_v7",
            "Uuid::now_v1",
            "Uuid::now_v6",
            "Uuid::now_v7",
            "rand::",
            "getrandom::",
            "fastrand::",
            "OsRng",
            "ThreadRng",
        ],
        watches: |path| shipped(path) && !in_crate(path, "kernel"),
        advice: "makes randomness of its own: ids come from `kernel::new_id`, bytes from \
                 `kernel::random`",
    },
];

fn in_folder(path: &[&str], folder: &str) -> bool {
    path.first() == Some(&folder)
}

fn in_crate(path: &[&str], name: &str) -> bool {
    in_folder(path, "crates") && path.get(1) == Some(&name)
}

/// What is delivered: the crates and the migrations.
fn shipped(path: &[&str]) -> bool {
    in_folder(path, "crates") || in_folder(path, "migrations")
}

/// What is delivered and the scenarios that use its public API alone.
fn product(path: &[&str]) -> bool {
    shipped(path) || in_folder(path, "tests")
}

fn is_tables(path: &[&str]) -> bool {
    in_folder(path, "crates")
        && path.get(2) == Some(&"src")
        && path[3..].iter().any(|part| ["tables.rs", "tables"].contains(part))
}

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let path = source.parts();
    let borders: Vec<&Border> = BORDERS.iter().filter(|border| (border.watches)(&path)).collect();
    if borders.is_empty() {
        return Vec::new();
    }
    let stream = match TokenStream::from_str(&source.text) {
        Ok(stream) => stream,
        Err(error) => {
            let line = error.span().start().line;
            return vec![Finding::new(&source.path, line, "cannot be read as Rust")];
        }
    };
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let mut findings = Vec::new();
    for border in borders {
        for name in border.names {
            for line in occurrences(&tokens, name) {
                let message = format!("`{name}` {}", border.advice);
                findings.push(Finding::new(&source.path, line, message));
            }
        }
    }
    findings
}

/// A name or a mark, and its line; all else is only there to separate.
struct Token {
    text: String,
    line: usize,
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(name) => tokens.push(Token { text: name.to_string(), line }),
            TokenTree::Punct(mark) => tokens.push(Token { text: mark.as_char().into(), line }),
            TokenTree::Literal(_) => tokens.push(Token { text: "\"".into(), line }),
            TokenTree::Group(group) => {
                tokens.push(Token { text: "(".into(), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: ")".into(), line });
            }
        }
    }
}

/// The lines at which a name or path stands.
fn occurrences(tokens: &[Token], name: &str) -> Vec<usize> {
    let pattern = pattern(name);
    // `rand::` is the crate, not a module of that name inside another path.
    let must_be_root = name.ends_with("::");
    tokens
        .windows(pattern.len())
        .enumerate()
        .filter(|(_, window)| window.iter().zip(&pattern).all(|(token, text)| token.text == *text))
        .filter(|(at, _)| !must_be_root || is_root(tokens, *at))
        .map(|(_, window)| window[0].line)
        .collect()
}

/// Whether a name begins a path, a leading `::` aside.
fn is_root(tokens: &[Token], at: usize) -> bool {
    let [.., before, first, second] = &tokens[..at] else {
        return true;
    };
    let is_part = before.text.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    !(is_part && first.text == ":" && second.text == ":")
}

/// The tokens of a path: `Utc::now` is `Utc`, `:`, `:`, `now`.
fn pattern(name: &str) -> Vec<&str> {
    let mut pattern = Vec::new();
    for (index, part) in name.split("::").enumerate() {
        if index > 0 {
            pattern.extend([":", ":"]);
        }
        if !part.is_empty() {
            pattern.push(part);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: &str = "crates/incident/src/service.rs";
    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = Source { path: path.into(), text: text.into() };
        check(&source).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn the_database_library_stays_in_its_places() {
        let text = "//! Rows.\nuse sea_orm::entity::prelude::*;\n";
        for allowed in [
            "crates/store/src/lib.rs",
            "crates/incident/src/tables.rs",
            "crates/ticket/src/tables/comment.rs",
            "migrations/src/lib.rs",
            "xtask/src/main.rs",
        ] {
            assert_eq!(lines(allowed, text), NONE, "{allowed}");
        }
        for refused in
            [INSIDE, "crates/gateway/src/lib.rs", "tests/tests/scenarios.rs", "crates/ticket/tests/tables.rs"]
        {
            assert_eq!(lines(refused, text), [2], "{refused}");
        }
        assert_eq!(lines(INSIDE, "//! Rows.\nfn a() { sqlx::query(\"\"); }\n"), [2]);
    }

    #[test]
    fn the_graphql_library_stays_in_the_gateway() {
        let text = "//! Types.\n#[derive(async_graphql::SimpleObject)]\nstruct A;\n";
        assert_eq!(lines("crates/gateway/src/types.rs", text), NONE);
        assert_eq!(lines(INSIDE, text), [2]);
        assert_eq!(lines("crates/deskwire/src/main.rs", "//! M.\nuse async_graphql_parser as p;\n"), [2]);
    }

    #[test]
    fn the_clock_is_the_kernels() {
        for call in [
            "std::time::SystemTime::now()",
            "chrono::Utc::now()",
            "Utc :: now()",
            "let clock: fn() -> _ = Utc::now",
            "jiff::Timestamp::now()",
            "Zoned::now()",
            "Local::now()",
            "OffsetDateTime::now_utc()",
            "assert!(Utc::now() > then)",
        ] {
            let text = format!("//! T.\nfn a() {{ {call}; }}\n");
            assert_eq!(lines(INSIDE, &text), [2], "{call}");
            assert_eq!(lines("migrations/src/lib.rs", &text), [2], "{call}");
            assert_eq!(lines("crates/kernel/src/clock.rs", &text), NONE, "{call}");
            assert_eq!(lines("tests/tests/scenarios.rs", &text), NONE, "{call}");
        }
        assert_eq!(lines(INSIDE, "//! T.\nfn a() { Instant::now(); clock.now(); }\n"), NONE);
    }

    #[test]
    fn randomness_is_the_kernels() {
        for call in [
            "Uuid::new_v4()",
            "uuid::Uuid::now_v7()",
            "rand::random::<u8>()",
            "::rand::rng()",
            "getrandom::fill(&mut bytes)",
            "OsRng.fill(&mut bytes)",
        ] {
            let text = format!("//! R.\nfn a() {{ {call}; }}\n");
            assert_eq!(lines(INSIDE, &text), [2], "{call}");
            assert_eq!(lines("crates/kernel/src/random.rs", &text), NONE, "{call}");
        }
        assert_eq!(lines(INSIDE, "//! R.\nuse rand::Rng;\n"), [2]);
        assert_eq!(lines(INSIDE, "//! R.\nfn a() { kernel::random::bytes(); operand::x(); }\n"), NONE);
        assert_eq!(lines(INSIDE, "//! R.\nfn a() { crate::rand::x(); Uuid::from_u128(1); }\n"), NONE);
    }

    #[test]
    fn comments_and_texts_do_not_count() {
        let text =
            "//! Never Utc::now or sea_orm.\n/// rand::rng\n// sqlx\nfn a() -> &'static str { \"Utc::now sqlx\" }\n";
        assert_eq!(lines(INSIDE, text), NONE);
    }

    #[test]
    fn a_file_that_is_not_rust_is_found() {
        assert_eq!(lines(INSIDE, "//! R.\nfn a( {\n").len(), 1);
    }
}
