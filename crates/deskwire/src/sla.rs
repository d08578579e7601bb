//! The clocks of service levels, looked after on the server itself. Works beside a running server.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use ::sla::ServiceLevels;
use ::sla::verify::Verified;
use access::{Access, Tenant};
use anyhow::{Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::admin::{self, tell};
use crate::cli::SlaVerify;
use crate::config::Config;

/// Between two lines of progress where there is no terminal.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// The command `sla verify`.
///
/// # Errors
/// What is in the way; that there are differences.
pub async fn verify(arguments: SlaVerify) -> Result<()> {
    let config = Config::load(&arguments.common)?;
    let (store, access) = admin::open(&config).await?;
    let levels = gateway::platform::levels(access.clone(), &gateway::platform::contract()?)?;
    let mut differing = 0;
    for tenant in tenants(&access, arguments.tenant.as_deref()).await? {
        let begun = Instant::now();
        let verified = verify_tenant(&levels, &tenant).await.map_err(tell)?;
        report(&tenant, &verified, begun.elapsed(), arguments.json);
        differing += verified.differing;
    }
    drop((levels, access));
    store.close().await;
    match differing {
        0 => Ok(()),
        1 => bail!("one clock is not what the log says"),
        more => bail!("{more} clocks are not what the log says"),
    }
}

async fn tenants(access: &Access, slug: Option<&str>) -> Result<Vec<Tenant>> {
    match slug {
        None => Ok(access.tenants().await?),
        Some(slug) => {
            let found = access.tenant_by_slug(slug).await?;
            Ok(vec![found.ok_or_else(|| anyhow!("there is no tenant `{slug}`"))?])
        }
    }
}

async fn verify_tenant(levels: &ServiceLevels, tenant: &Tenant) -> kernel::Result<Verified> {
    let ctx = levels.access().system_ctx(tenant.id, admin::REQUEST);
    let total = levels.count_clocked(&ctx).await?;
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("verifying {wide_bar} {pos}/{len} tickets, {per_sec}, {eta} left");
    bar.set_style(style.map_err(kernel::Error::internal)?);
    let mut told = Instant::now();
    let verified = levels.verify(&ctx, |tickets| {
        bar.set_position(tickets);
        if !std::io::stderr().is_terminal() && told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            eprintln!("{tickets} of {total} tickets");
        }
    });
    let verified = verified.await;
    bar.finish_and_clear();
    verified
}

fn report(tenant: &Tenant, verified: &Verified, took: Duration, as_json: bool) {
    let Verified { tickets, clocks, differing, differences } = verified;
    let (slug, seconds) = (&tenant.slug, took.as_secs_f64());
    let rate = *clocks as f64 / seconds.max(f64::EPSILON);
    if as_json {
        let line = json!({
            "tenant": slug, "tickets": tickets, "clocks": clocks, "differing": differing, "differences": differences,
            "seconds": seconds, "clocksPerSecond": rate.round(),
        });
        println!("{line}");
        return;
    }
    println!("{slug}: {tickets} tickets, {clocks} clocks in {seconds:.1} s ({rate:.0} a second), {differing} differ");
    for difference in differences {
        let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "no such clock".to_owned());
        println!("{}, {}", difference.ticket, difference.clock);
        println!("  stored:   {}", side(&difference.stored));
        println!("  computed: {}", side(&difference.computed));
    }
    let untold = differing.saturating_sub(differences.len() as u64);
    if untold > 0 {
        println!("and {untold} more");
    }
}
