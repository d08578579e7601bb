//! The help texts teach: every command is listed and says what it is for.
//!
//! The name of this target is also what `xtask` builds beside the server, see
//! `workspace::binary`.

use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().expect("xtask starts")
}

fn help(arguments: &[&str]) -> String {
    let output = xtask(arguments);
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

#[test]
fn every_command_is_listed() {
    let text = help(&["--help"]);
    for command in ["test", "tidy", "schema", "conformance", "faults"] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(command)), "{text}");
    }
}

#[test]
fn a_command_explains_itself_with_an_example() {
    for command in ["test", "tidy", "schema", "conformance", "faults"] {
        let text = help(&[command, "--help"]);
        assert!(text.contains(&format!("cargo xtask {command}")), "{text}");
        assert!(text.contains("Examples:"), "{text}");
    }
}

#[test]
fn an_unknown_command_is_refused() {
    let output = xtask(&["tidi"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("tidy"), "suggests the right one");
}
