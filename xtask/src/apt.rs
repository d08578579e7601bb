//! Debian's package manager, for what a check needs and the machine has not.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Installs packages without what they merely recommend.
pub fn install(packages: &[&str]) -> Result<()> {
    process::run(apt_get()?.arg("install").args(packages))
}

/// Fetches the lists of packages.
pub fn update() -> Result<()> {
    process::run(apt_get()?.arg("update"))
}

/// A command that runs as root: directly, or with a `sudo` that asks for no password.
pub fn privileged(program: &str) -> Result<Command> {
    let mut command = if effective_user()? == 0 {
        Command::new("env")
    } else {
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", "env"]);
        command
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    Ok(command)
}

/// The effective user's number.
pub fn effective_user() -> Result<u32> {
    process::output(Command::new("id").arg("-u"))?.trim().parse().context("`id -u` printed no number")
}

fn apt_get() -> Result<Command> {
    let mut command = privileged("apt-get")?;
    command.args(["--yes", "--no-install-recommends", "-q"]);
    Ok(command)
}
