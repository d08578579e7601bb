//! What `cargo xtask bench` has prepared for a run: the binary, the databases with their data sets, pgbench.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::data::Manifest;

/// Which engine, as rows and flags name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Engine {
    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Postgres => "PostgreSQL",
            Engine::Sqlite => "SQLite",
        }
    }
}

/// One database with a data set.
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    /// Its engine.
    pub engine: Engine,
    /// How many tickets it holds.
    pub tickets: u64,
    /// PostgreSQL: where it is.
    url: Option<String>,
    /// Where the manifest is; on SQLite also the database. The server's log goes here.
    folder: PathBuf,
    /// PostgreSQL: its first process.
    pub postmaster: Option<u32>,
    /// PostgreSQL: what it logs.
    pub log: Option<PathBuf>,
}

impl Place {
    /// The address of a PostgreSQL database.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the data set consists of.
    ///
    /// # Errors
    /// When the manifest is missing.
    pub fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.folder.join("manifest.json"))
    }
}

/// Everything that a run needs.
#[derive(Clone, Debug, Deserialize)]
pub struct Setup {
    /// The server.
    pub binary: PathBuf,
    /// pgbench, where it is installed.
    pub pgbench: Option<PathBuf>,
    /// The databases.
    pub places: Vec<Place>,
}

impl Setup {
    /// Reads it from a file.
    ///
    /// # Errors
    /// When it is not there or is none.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no setup", file.display()))
    }
}
