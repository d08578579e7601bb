//! The private PostgreSQL server that the runner may kill and start again.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::place::signal;

/// How long it may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server is, and as whom it runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Postgres {
    /// The folder with `pg_ctl` of the server that may be killed.
    #[arg(long = "postgres-bin", value_name = "FOLDER")]
    bin: Option<PathBuf>,
    /// Its data folder.
    #[arg(long = "postgres-data", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The user and group that it runs as (numbers), where that is not the caller.
    #[arg(long = "postgres-owner", value_name = "USER:GROUP")]
    owner: Option<String>,
}

/// How it is killed.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    /// SIGKILL to its first process; the others notice.
    Kill,
    /// An immediate shutdown: every process drops what it does, nothing is written.
    Immediate,
}

impl Death {
    /// For the report.
    pub fn name(self) -> &'static str {
        match self {
            Death::Kill => "postgres kill -9",
            Death::Immediate => "postgres immediate shutdown",
        }
    }
}

impl Postgres {
    fn data(&self) -> Result<&PathBuf> {
        self.data.as_ref().context("this scenario kills PostgreSQL: run it with `cargo xtask faults`, which starts one")
    }

    /// Takes it down.
    pub async fn die(&self, death: Death) -> Result<()> {
        let file = self.data()?.join("postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).context("no process id in it")?;
        match death {
            Death::Kill => signal("KILL", pid).await,
            Death::Immediate => signal("QUIT", pid).await,
        }
    }

    /// Brings it back. Its former processes may need a moment to notice that their first one is gone.
    pub async fn start(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let output = self.pg_ctl(&["start", "--wait", "--timeout", "30"])?.output().await?;
            if output.status.success() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("PostgreSQL does not come back: {}", String::from_utf8_lossy(&output.stderr));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<Command> {
        let (bin, data) = (self.bin.as_ref().context("--postgres-bin is needed")?, self.data()?);
        let folder = data.parent().context("the data folder is in a folder")?;
        let mut command = Command::new(bin.join("pg_ctl"));
        command.args(arguments).arg("--pgdata").arg(data).arg("--log").arg(folder.join("log"));
        command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(owner) = &self.owner {
            let numbers: Vec<u32> = owner.split(':').filter_map(|number| number.parse().ok()).collect();
            ensure!(numbers.len() == 2, "--postgres-owner is USER:GROUP in numbers");
            command.uid(numbers[0]).gid(numbers[1]);
        }
        Ok(command)
    }
}
