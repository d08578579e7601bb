//! Child processes that never outlive the command: a signal ends the child first and then unwinds
//! the command as an ordinary error, so that every guard (database, server, folder) is dropped.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(25);
/// How long a child may take to end by itself after a signal.
const GRACE: Duration = Duration::from_secs(10);

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Notes SIGINT, SIGTERM and SIGHUP instead of dying from them.
pub fn watch_signals() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&INTERRUPTED)).context("cannot watch for signals")?;
    }
    Ok(())
}

/// Fails when a signal has arrived.
pub fn check_interrupted() -> Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::SeqCst), "interrupted");
    Ok(())
}

/// Runs a command to its end with the terminal's input and output.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| start_failure(command))?;
    loop {
        if let Some(status) = child.try_wait()? {
            check_interrupted()?;
            return Ok(status);
        }
        if INTERRUPTED.load(Ordering::SeqCst) {
            end(&mut child)?;
            bail!("interrupted");
        }
        thread::sleep(POLL);
    }
}

/// Runs a command to its end and fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    ensure!(status.success(), "{} failed ({status})", describe(command));
    Ok(())
}

/// Runs a command and returns what it prints; its errors go to the terminal.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| start_failure(command))?;
    check_interrupted()?;
    ensure!(output.status.success(), "{} failed ({})", describe(command), output.status);
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something that is not UTF-8", describe(command)))
}

/// Runs a command silently; what it printed is in the error when it fails.
pub fn quiet(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| start_failure(command))?;
    ensure!(
        output.status.success(),
        "{} failed ({})\n{}{}",
        describe(command),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(())
}

/// The program of this name in `$PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Asks a child to end and kills it when it does not within [`GRACE`].
pub fn end(child: &mut Child) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    // The shell's own `kill`: the standard library has SIGKILL alone, and a slim system has no
    // `/bin/kill`.
    let ask = format!("kill -TERM {}", child.id());
    let _ = Command::new("sh").args(["-c", &ask]).stderr(Stdio::null()).status();
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(POLL);
    }
    child.kill()?;
    child.wait().map(|_| ())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn start_failure(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_the_command_and_what_it_printed() {
        let failure = quiet(&mut shell("echo no room >&2; exit 3")).unwrap_err().to_string();
        assert!(failure.contains("sh -c") && failure.contains("no room"), "{failure}");
        assert!(run(&mut shell("exit 3")).is_err());
        assert_eq!(status(&mut shell("exit 3")).unwrap().code(), Some(3));
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(&mut Command::new("deskwire-no-such-program")).unwrap_err().to_string();
        assert!(failure.contains("deskwire-no-such-program"), "{failure}");
    }

    #[test]
    fn an_asked_child_ends() {
        let mut child = shell("exec sleep 60").spawn().unwrap();
        let asked = Instant::now();
        end(&mut child).unwrap();
        assert!(asked.elapsed() < GRACE);
        assert!(child.try_wait().unwrap().is_some());
    }
}
