//! A private PostgreSQL for one run: found or installed, started on a free port with a data folder
//! of its own, stopped and removed when the guard is dropped.

mod install;
mod locate;

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::apt;
use crate::process;
use crate::workspace;
use locate::Installation;

/// The superuser role of the private instance.
const ROLE: &str = "deskwire";
/// What [`Postgres::save`] keeps of an instance: the data folder and the password that it was made with.
const KEPT: [&str; 2] = ["data", PASSWORD_FILE];
const PASSWORD_FILE: &str = "password";
/// Attempts to start, because another process may take the free port first.
const START_ATTEMPTS: u32 = 3;
/// Seconds that `pg_ctl` waits for the server to start or stop.
const WAIT_SECONDS: &str = "60";
/// Users that may own the data folder when we are root, in order of preference.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];
/// Settings for tests: nothing of it has to survive a crash of the machine.
const SETTINGS: [(&str, &str); 10] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "300"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("timezone", "UTC"),
    ("log_min_messages", "warning"),
    ("shared_buffers", "128MB"),
];

/// A running private server. Dropping it stops the server at once and removes its data.
pub struct Postgres {
    installation: Installation,
    folder: TempDir,
    owner: Option<Owner>,
    port: u16,
    password: String,
}

/// The unprivileged user that runs the server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Finds or installs PostgreSQL and starts an instance with further settings, which win over
    /// those for tests.
    pub fn start(settings: &[(String, String)]) -> Result<Self> {
        let mut postgres = Self::prepare()?;
        postgres.create().context("cannot create a PostgreSQL data folder")?;
        postgres.serve(settings)?;
        Ok(postgres)
    }

    /// The same with the data of an instance that [`Postgres::save`] has kept.
    pub fn start_from(saved: &Path, settings: &[(String, String)]) -> Result<Self> {
        let mut postgres = Self::prepare()?;
        for name in KEPT {
            process::run(Command::new("cp").arg("-a").arg(saved.join(name)).arg(postgres.folder.path()))?;
        }
        postgres.password = fs::read_to_string(postgres.folder.path().join(PASSWORD_FILE))?;
        postgres.serve(settings)?;
        Ok(postgres)
    }

    /// Stops the server and keeps its data in a folder that does not exist yet.
    pub fn save(self, to: &Path) -> Result<()> {
        process::quiet(
            self.program("pg_ctl")
                .args(["stop", "--mode", "fast", "--wait", "--timeout", WAIT_SECONDS])
                .arg("--pgdata")
                .arg(self.data()),
        )?;
        fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        for name in KEPT {
            process::run(Command::new("cp").arg("-a").arg(self.folder.path().join(name)).arg(to))?;
        }
        Ok(())
    }

    fn prepare() -> Result<Self> {
        let installation = install::find_or_install()?;
        let owner = unprivileged_owner()?;
        // In the system's temporary folder: the owner may not be able to enter the checkout.
        let folder = tempfile::Builder::new().prefix("deskwire-postgres-").tempdir()?;
        if let Some(owner) = &owner {
            chown(folder.path(), Some(owner.user), Some(owner.group))?;
        }
        let password = random_password()?;
        Ok(Self { installation, folder, owner, port: 0, password })
    }

    /// A URL with the superuser role.
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    /// What the server calls itself.
    pub fn version(&self) -> String {
        format!("PostgreSQL {}", self.installation.version)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its programs.
    pub fn programs(&self) -> &Path {
        &self.installation.folder
    }

    /// User and group that it runs as, where that is not the caller.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.owner.as_ref().map(|owner| (owner.user, owner.group))
    }

    /// A program that came with the server, if it did.
    pub fn installed(&self, name: &str) -> Option<PathBuf> {
        Some(self.installation.folder.join(name)).filter(|program| program.is_file())
    }

    /// The server's first process.
    pub fn postmaster(&self) -> Result<u32> {
        let file = self.data().join("postmaster.pid");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        text.lines().next().and_then(|line| line.trim().parse().ok()).context("postmaster.pid holds no process")
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server logs.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn create(&self) -> Result<()> {
        let password_file = self.folder.path().join(PASSWORD_FILE);
        fs::write(&password_file, &self.password)?;
        if let Some(owner) = &self.owner {
            chown(&password_file, Some(owner.user), Some(owner.group))?;
        }
        // Clear-text passwords on loopback: deriving a SCRAM key for each connection would cost
        // unoptimised tests more than the connection itself.
        process::quiet(
            self.program("initdb")
                .arg("--pgdata")
                .arg(self.data())
                .arg("--pwfile")
                .arg(&password_file)
                .args(["--username", ROLE, "--auth", "password", "--encoding", "UTF8"])
                .args(["--no-locale", "--no-sync"]),
        )
    }

    fn serve(&mut self, settings: &[(String, String)]) -> Result<()> {
        let mut failure = None;
        for _ in 0..START_ATTEMPTS {
            self.port = workspace::free_port()?;
            fs::write(self.data().join("postgresql.conf"), configuration(self.port, settings))?;
            let started = process::quiet(
                self.program("pg_ctl")
                    .args(["start", "--wait", "--timeout", WAIT_SECONDS, "--pgdata"])
                    .arg(self.data())
                    .arg("--log")
                    .arg(self.log())
                    .stdin(Stdio::null()),
            );
            match started {
                Ok(()) => return process::check_interrupted(),
                Err(error) => failure = Some(error),
            }
            process::check_interrupted()?;
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let failure = failure.map(|error| error.to_string()).unwrap_or_default();
        bail!("PostgreSQL does not start: {failure}\nIts log:\n{log}");
    }

    /// A program of the installation, run as the owner in a folder that the owner may enter, and
    /// free of the caller's PostgreSQL environment.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.installation.folder.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        if let Some(owner) = &self.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if !self.data().join("postmaster.pid").exists() {
            return;
        }
        let stopped = process::quiet(
            self.program("pg_ctl")
                .args(["stop", "--mode", "immediate", "--wait", "--timeout", WAIT_SECONDS])
                .arg("--pgdata")
                .arg(self.data()),
        );
        if let Err(error) = stopped {
            eprintln!("xtask: PostgreSQL on port {} may still run: {error}", self.port);
        }
    }
}

/// Reads `NAME=VALUE`.
pub fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    let known_form =
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter));
    if !known_form {
        return Err(format!("`{name}` is not the name of a PostgreSQL setting"));
    }
    if value.contains('\n') {
        return Err("a setting's value is one line".into());
    }
    Ok((name.into(), value.into()))
}

/// The text of `postgresql.conf`; of two lines for one setting PostgreSQL takes the last.
fn configuration(port: u16, settings: &[(String, String)]) -> String {
    let mut text = format!("port = {port}\n");
    let given = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in SETTINGS.into_iter().chain(given) {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        let _ = writeln!(text, "{name} = '{value}'");
    }
    text
}

/// PostgreSQL refuses to run as root: then an unprivileged user owns and runs it.
fn unprivileged_owner() -> Result<Option<Owner>> {
    if apt::effective_user()? != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let owner = UNPRIVILEGED_USERS.iter().find_map(|name| owner_in(&users, name));
    ensure!(owner.is_some(), "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it");
    Ok(owner)
}

/// A user's numbers in the text of /etc/passwd.
fn owner_in(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next()? == name).then_some(())?;
        let user = parts.nth(1)?.parse().ok()?;
        let group = parts.next()?.parse().ok()?;
        Some(Owner { user, group })
    })
}

fn random_password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a folder has the programs we need.
fn is_complete(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_a_name_and_a_value() {
        assert_eq!(parse_setting("fsync=on"), Ok(("fsync".into(), "on".into())));
        assert_eq!(parse_setting("a.b=x=y"), Ok(("a.b".into(), "x=y".into())));
        for wrong in ["fsync", "=on", "fsync on=1", "a\nb=1", "a=1\nfsync = on"] {
            assert!(parse_setting(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn given_settings_come_last_and_are_quoted() {
        let text = configuration(5433, &[("fsync".into(), "it's".into())]);
        assert!(text.starts_with("port = 5433\n"));
        assert!(text.contains("fsync = 'off'"));
        assert!(text.ends_with("fsync = 'it''s'\n"));
    }

    #[test]
    fn an_owner_is_read_from_the_users() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104::/var:/bin/bash\n";
        assert_eq!(owner_in(users, "postgres"), Some(Owner { user: 101, group: 104 }));
        assert_eq!(owner_in(users, "nobody"), None);
    }
}
