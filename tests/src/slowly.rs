//! Work in the background, a step at a time: so that a test can look, stop it or take a right away between two.

use std::sync::Arc;

use gateway::platform::Platform;
use kernel::{Ctx, Result};
use serde_json::Value;
use store::{JobHandlers, JobOutcome};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::installation::Installation;

/// A worker that does one kind of job, a step when it is told to.
pub struct Slowly {
    stop: CancellationToken,
    /// How many steps may be taken, and how many were.
    gate: Arc<Semaphore>,
    taken: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Slowly {
    /// Begins with the jobs of this kind; `step` takes one, and answers whether there is more.
    pub fn start<F, R>(installation: &Installation, kind: &'static str, step: F) -> Self
    where
        F: Fn(Platform, Ctx, Value) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<bool>> + Send + 'static,
    {
        let (platform, stop) = (installation.platform().clone(), CancellationToken::new());
        let (gate, taken) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (opens, tells) = (Arc::clone(&gate), Arc::clone(&taken));
        let handlers = JobHandlers::new().on(kind, move |store, job| {
            let (platform, opens, tells) = (platform.clone(), Arc::clone(&opens), Arc::clone(&tells));
            let step = step.clone();
            async move {
                let ctx = platform.access.system_ctx(job.tenant, kind);
                while let Ok(permit) = opens.acquire().await {
                    permit.forget();
                    let more = step(platform.clone(), ctx.clone(), job.payload.clone()).await?;
                    tells.add_permits(1);
                    if !more {
                        return Ok(JobOutcome::Done);
                    }
                }
                Ok(JobOutcome::Again(store.clock().now()))
            }
        });
        let (store, token) = (installation.store().clone(), stop.clone());
        Self { stop, gate, taken, task: tokio::spawn(async move { store.run_jobs(handlers, token).await }) }
    }

    /// Has so many steps taken.
    ///
    /// # Panics
    /// When one is not.
    pub async fn steps(&self, count: usize) {
        for _ in 0..count {
            self.gate.add_permits(1);
            crate::soon("a step", self.taken.acquire()).await.expect("it is never closed").forget();
        }
    }

    /// Has the job put back between two steps, as a server does that stops.
    ///
    /// # Panics
    /// When the worker does not end well.
    pub async fn stop(self) {
        self.stop.cancel();
        self.gate.close();
        self.task.await.expect("the worker ends well");
    }

    /// Has it left as it is, as a process does that is killed.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
