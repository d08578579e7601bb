//! The lock file beside a SQLite database: one server per file, and the refusal names who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use kernel::{Clock, Error, ErrorCode, Result};

/// Held while a server (or a migration) works on a SQLite file; given back when dropped or when the process ends.
#[derive(Debug)]
pub struct LockFile {
    _file: File,
}

/// Where the lock of a database file is: beside it, with `.lock` at the end.
pub fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

impl LockFile {
    /// Takes the lock of a database file.
    ///
    /// # Errors
    /// `CONFLICT` that names the holding process; `UNAVAILABLE` when the lock file cannot be made.
    pub fn take(database: &Path, clock: &Clock) -> Result<Self> {
        let path = lock_path(database);
        let fault = |error: std::io::Error| {
            let message = format!("cannot use the lock file {}: {error}", path.display());
            Error::request(ErrorCode::Unavailable, message)
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(database, &mut file)),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        file.set_len(0).map_err(fault)?;
        file.rewind().map_err(fault)?;
        writeln!(file, "process {}, since {}", std::process::id(), clock.now().to_rfc3339()).map_err(fault)?;
        file.flush().map_err(fault)?;
        Ok(Self { _file: file })
    }
}

fn held(database: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    // Who holds it is a help, not a need: without it the refusal stands all the same.
    let _ = file.take(256).read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => "another process",
        holder => holder,
    };
    Error::request(
        ErrorCode::Conflict,
        format!(
            "the database {} is served by another Deskwire ({holder}); stop it first, or use a database of its own",
            database.display()
        ),
    )
}
