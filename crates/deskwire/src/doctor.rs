//! The command `doctor`: looks at everything a server needs, and says what to do about what is wrong.

use std::path::Path;

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::stream;
use kernel::{Clock, Uuid, random};
use objects::{Key, Promise, Sha256Hex};
use store::{Location, StoreConfig};

use crate::cli::Common;
use crate::config::Config;

/// With less free space than this, in bytes, the disk is a warning.
const LOW_DISK: u64 = 1 << 30;
/// How far events of the log may lie ahead of the clock, in seconds.
const CLOCK_TOLERANCE: i64 = 5;

/// What one check found.
enum Finding {
    Fine(String),
    Warning(String),
    Wrong(String),
}

/// Runs all checks and prints what they find.
///
/// # Errors
/// When something is wrong.
pub async fn run(common: &Common) -> Result<()> {
    let config = match Config::load(common).and_then(|config| Ok((config.store()?, config))) {
        Ok((store, config)) => {
            report("configuration", &Finding::Fine("holds".to_owned()));
            Some((config, store))
        }
        Err(error) => {
            report("configuration", &Finding::Wrong(format!("{error:#}")));
            None
        }
    };
    let mut wrong = config.is_none();
    if let Some((config, store)) = config {
        for (what, finding) in [
            ("disk", disk(&config)),
            ("schema", schema(&store).await),
            ("database", database(&store).await),
            ("files", files(&config).await),
            ("clock", clock(&store).await),
        ] {
            wrong |= matches!(finding, Finding::Wrong(_));
            report(what, &finding);
        }
    }
    if wrong {
        bail!("something is wrong; see above");
    }
    Ok(())
}

fn report(what: &str, finding: &Finding) {
    let (mark, text) = match finding {
        Finding::Fine(text) => ("ok     ", text),
        Finding::Warning(text) => ("warning", text),
        Finding::Wrong(text) => ("WRONG  ", text),
    };
    println!("{mark}  {what:<14} {text}");
}

fn disk(config: &Config) -> Finding {
    if !config.database_url.is_empty() {
        return Finding::Fine("the data is in PostgreSQL".to_owned());
    }
    let folder = config.data.as_path();
    if !folder.is_dir() {
        let text = format!("the data folder {} is not there yet; `deskwire serve` makes it", folder.display());
        return Finding::Warning(text);
    }
    if let Err(error) = probe(folder) {
        return Finding::Wrong(format!("{} cannot be written: {error}", folder.display()));
    }
    match fs4::available_space(folder) {
        Ok(free) if free < LOW_DISK => {
            Finding::Warning(format!("only {} MiB are free in {}", free >> 20, folder.display()))
        }
        Ok(free) => Finding::Fine(format!("{} MiB are free in {}", free >> 20, folder.display())),
        Err(error) => Finding::Warning(format!("the free space of {} is unknown: {error}", folder.display())),
    }
}

/// Writes a file and removes it.
fn probe(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(".deskwire-doctor");
    std::fs::write(&file, b"x")?;
    std::fs::remove_file(&file)
}

async fn files(config: &Config) -> Finding {
    if let Some(folder) = config.files_folder()
        && !folder.is_dir()
    {
        let text = format!("the folder {} is not there yet; `deskwire serve` makes it", folder.display());
        return Finding::Warning(text);
    }
    match put_and_delete(config).await {
        Ok(()) => Finding::Fine("the store takes them and gives them back".to_owned()),
        Err(error) => Finding::Wrong(format!("{error:#}")),
    }
}

/// Writes an object, reads it and deletes it.
async fn put_and_delete(config: &Config) -> Result<()> {
    const BYTES: &[u8] = b"deskwire doctor";
    let objects = config.files()?.objects;
    let key = Key::new(Uuid::nil(), random::new_id(Clock::System.now()));
    let promise = Promise { bytes: BYTES.len() as u64, sha256: Sha256Hex::of(BYTES) };
    let body = stream::iter([Ok(Bytes::from_static(BYTES))]);
    objects.put(&key, &promise, |_| Ok(()), body).await?;
    let read = objects.read(&key).await.map(|reading| reading.bytes);
    objects.delete(&key).await?;
    if read? != promise.bytes {
        bail!("what was read is not what was written");
    }
    Ok(())
}

async fn schema(config: &StoreConfig) -> Finding {
    match migrations::status(config).await {
        Err(error) => Finding::Wrong(error.to_string()),
        Ok(status) => match (status.check_not_newer(), status.check_not_older()) {
            (Err(error), _) => Finding::Wrong(error.to_string()),
            (_, Err(_)) if matches!(config.location, Location::Sqlite { .. }) => {
                Finding::Warning(format!("{} pending; `deskwire serve` applies them", status.pending.join(", ")))
            }
            (_, Err(error)) => Finding::Wrong(error.to_string()),
            _ => Finding::Fine(format!("{} migrations applied", status.applied.len())),
        },
    }
}

/// Opens it the way a server does, with all checks of its settings, but without its lock.
async fn database(config: &StoreConfig) -> Finding {
    if let Location::Sqlite { file } = &config.location
        && !file.exists()
    {
        return Finding::Warning(format!("{} is not there yet; `deskwire serve` makes it", file.display()));
    }
    match migrations::open_beside(config.clone(), Clock::System).await {
        Ok(store) => {
            let engine = store.engine();
            let head = store.log().head().await;
            store.close().await;
            match head {
                Ok(head) => Finding::Fine(format!("{engine:?}, its settings are safe, the event log is at {head}")),
                Err(error) => Finding::Wrong(error.to_string()),
            }
        }
        Err(error) => Finding::Wrong(error.to_string()),
    }
}

/// Events from the future mean that this clock, or that of another replica, is wrong.
async fn clock(config: &StoreConfig) -> Finding {
    let now = Clock::System.now();
    if let Location::Sqlite { file } = &config.location
        && !file.exists()
    {
        return Finding::Fine(now.to_rfc3339());
    }
    let Ok(store) = migrations::open_beside(config.clone(), Clock::System).await else {
        return Finding::Warning("cannot be compared with the event log".to_owned());
    };
    let newest = async {
        let head = store.log().head().await?;
        store.log().read_all_after((head - 1).max(0), 1).await
    };
    let newest = newest.await;
    store.close().await;
    match newest.map(|page| page.events.into_iter().next()) {
        Ok(Some(event)) if (event.recorded_at - now).num_seconds() > CLOCK_TOLERANCE => {
            let text = format!("the newest event was recorded at {}, but it is {now} here", event.recorded_at);
            Finding::Wrong(format!("{text}: set the clock (NTP)"))
        }
        Ok(_) => Finding::Fine(now.to_rfc3339()),
        Err(error) => Finding::Warning(format!("cannot be compared with the event log: {error}")),
    }
}
