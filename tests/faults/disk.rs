//! A full disk: writes are refused and may be repeated, reads go on, and all is well once there is room again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::client::Client;
use tokio_util::sync::CancellationToken;

use crate::Run;
use crate::audit::audit;
use crate::load::{Ledger, Load, Manner};
use crate::place::{Place, Process, free_address};
use crate::report::Report;

/// The size of the file system.
const SIZE: &str = "size=24m";
/// How many refusals must be seen while it is full.
const REFUSALS: usize = 60;
/// How long it may take until the disk is felt to be full.
const PATIENCE: Duration = Duration::from_secs(120);
/// Text in comments, so that it is soon full.
const PADDING: usize = 4_000;

/// What runs out of room.
enum Disk {
    /// A small file system of its own, which a ballast fills.
    Small { folder: tempfile::TempDir },
    /// Where none may be mounted: no file of the server may grow any more.
    Limited,
}

impl Disk {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("deskwire-faults-disk-").tempdir()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Ok(Disk::Small { folder });
        }
        eprintln!("faults: a small file system cannot be mounted here; a limit on the size of files stands in for it");
        Ok(Disk::Limited)
    }

    fn data(&self) -> Option<PathBuf> {
        match self {
            Disk::Small { folder } => Some(folder.path().join("data")),
            Disk::Limited => None,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Disk::Small { .. } => "full file system",
            Disk::Limited => "limit on the size of files",
        }
    }

    fn ballast(folder: &Path) -> PathBuf {
        folder.join("ballast")
    }

    /// From now on there is no room.
    fn fill(&self, place: &Place, process: &Process) -> Result<()> {
        match self {
            Disk::Small { folder } => {
                let mut file = File::create(Self::ballast(folder.path()))?;
                // Ever smaller pieces, until not even a byte fits.
                for piece in [1 << 20, 4 << 10, 1] {
                    let bytes = vec![0_u8; piece];
                    while file.write_all(&bytes).is_ok() {}
                }
                Ok(())
            }
            Disk::Limited => {
                let sizes =
                    std::fs::read_dir(&place.config.data)?.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
                limit(process, &sizes.max().unwrap_or(0).to_string())
            }
        }
    }

    /// There is room again.
    fn clear(&self, process: &Process) -> Result<()> {
        match self {
            Disk::Small { folder } => Ok(std::fs::remove_file(Self::ballast(folder.path()))?),
            Disk::Limited => limit(process, "unlimited"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Disk::Small { folder } = self {
            // Lazily: nothing that still looks at it can keep it.
            let unmounted = Command::new("umount").arg("--lazy").arg(folder.path()).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("faults: {} is still mounted", folder.path().display());
            }
        }
    }
}

fn limit(process: &Process, bytes: &str) -> Result<()> {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.pid.to_string(), &format!("--fsize={bytes}:unlimited")]);
    let status = command.status().context("`prlimit` (util-linux) is needed where nothing can be mounted")?;
    ensure!(status.success(), "prlimit failed ({status})");
    Ok(())
}

/// Reads until told to stop; each answer must be one.
async fn read(client: Client, reads: Arc<AtomicUsize>, report: Arc<Report>, stop: CancellationToken) {
    let document = "{ tickets(first: 20) { nodes { id title requester { name } comments(last: 2) { nodes { body } } } } events(last: 5) { nodes { id } } }";
    while !stop.is_cancelled() {
        let answer = client.answer(document, json!({})).await;
        if answer["errors"].is_null() {
            reads.fetch_add(1, Ordering::Relaxed);
        } else {
            report.violation(format!("a read was refused: {answer}"));
        }
    }
}

fn refusals(ledger: &Ledger) -> usize {
    ledger.repeated().values().sum()
}

/// See the module.
pub async fn disk_full(run: &Run) -> Result<()> {
    let disk = Disk::new()?;
    let mut place = run.place(disk.data().as_deref()).await?;
    if matches!(disk, Disk::Limited) {
        // The signal for a file that is too large would end the process; ignored, the write fails as on a full disk.
        place.wrapper = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    }
    let address = free_address()?;
    let mut process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let manner = Manner { padding: PADDING, ..Manner::new(8, &[address], run.seed) };
    let load = Load::start(&place, &manner, &run.report);
    load.ledger.more(30).await?;
    let (reads, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let reader = tokio::spawn(read(client.clone(), Arc::clone(&reads), Arc::clone(&run.report), stop.clone()));
    for _ in 0..run.rounds(2, 20) {
        let (refused, begun) = (refusals(&load.ledger), Instant::now());
        disk.fill(&place, &process)?;
        run.report.fault(disk.name());
        while refusals(&load.ledger) < refused + REFUSALS {
            ensure!(begun.elapsed() < PATIENCE, "the full disk is not felt");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // It is full: whoever reads is not disturbed.
        let (before, begun) = (reads.load(Ordering::Relaxed), Instant::now());
        while reads.load(Ordering::Relaxed) < before + 10 {
            ensure!(begun.elapsed() < PATIENCE, "nobody can read while the disk is full");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run.report.check(process.runs()?, || "the server did not outlive a full disk".into());
        disk.clear(&process)?;
        let cleared = Instant::now();
        load.ledger.more(20).await?;
        run.report.most("longest healing, ms", u64::try_from(cleared.elapsed().as_millis())?);
    }
    stop.cancel();
    reader.await?;
    run.report.count("reads", reads.load(Ordering::Relaxed));
    let ledger = load.finish(&run.report).await?;
    audit(&place, &client, &ledger, &run.report).await?;
    let status = process.terminate().await?;
    run.report.check(status.success(), || format!("the server ended with {status}"));
    place.delete().await;
    drop(disk);
    Ok(())
}
