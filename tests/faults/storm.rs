//! Deaths under load: of the server, of PostgreSQL, and by SIGTERM. Writers repeat their calls, subscribers come back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use crate::Run;
use crate::audit::{LOG, all, audit, log_end, told_all};
use crate::listener::{Heard, Listener, Transport};
use crate::load::{Load, Manner};
use crate::place::{Place, free_address};
use crate::postgres::Death;

/// As many as the promise names.
const WRITERS: usize = 8;
/// How many calls must go through between two deaths: the server does heal.
const PROGRESS: usize = 10;

/// A moment that nobody could foresee.
pub async fn any_moment(rng: &mut StdRng, longest: u64) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..longest))).await;
}

/// Two subscribers that go on from their cursors, one that leaves after each event.
pub async fn subscribers(
    place: &Place,
    addresses: &[std::net::SocketAddr],
    after: &serde_json::Value,
) -> Vec<(&'static str, Listener)> {
    let token = &place.company.admin.token;
    let start = |transport, cut| Listener::start(transport, token, addresses, after, cut);
    vec![
        ("over WebSocket", start(Transport::WebSocket, None)),
        ("over Server-Sent Events", start(Transport::ServerSentEvents, None)),
        ("over WebSocket, leaving after each", start(Transport::WebSocket, Some(1))),
    ]
}

/// Waits until each subscriber was told as much as the log holds, and compares.
pub async fn finish_subscribers(
    run: &Run,
    subscribers: Vec<(&'static str, Listener)>,
    log: &[serde_json::Value],
) -> Result<Vec<Heard>> {
    let mut all = Vec::new();
    for (who, listener) in subscribers {
        let heard = listener.finish(log.len()).await?;
        told_all(log, &heard, who, &run.report);
        all.push(heard);
    }
    Ok(all)
}

/// kill -9 of the server at any moment.
pub async fn kill(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let address = free_address()?;
    let mut process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let after = log_end(&place, &client).await?;
    let subscribers = subscribers(&place, &[address], &after).await;
    let manner = Manner::new(WRITERS, &[address], run.seed);
    let load = Load::start(&place, &manner, &run.report);
    for _ in 0..run.rounds(4, 60) {
        load.ledger.more(PROGRESS).await?;
        any_moment(&mut rng, 600).await;
        process.kill().await?;
        run.report.fault("server kill -9");
        process = place.serve(address).await?;
    }
    load.ledger.more(PROGRESS).await?;
    let ledger = load.finish(&run.report).await?;
    let log = audit(&place, &client, &ledger, &run.report).await?;
    finish_subscribers(run, subscribers, &log).await?;
    // Once more from the files alone.
    process.kill().await?;
    let process = place.serve(address).await?;
    let again = all(&client, LOG, "events").await;
    run.report.check(again.ends_with(&log), || "another log after the last death".into());
    process.kill().await?;
    place.delete().await;
    Ok(())
}

/// PostgreSQL killed beneath the server, which stays up and heals by itself.
pub async fn postgres_kill(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let address = free_address()?;
    let mut process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let after = log_end(&place, &client).await?;
    let subscribers = subscribers(&place, &[address], &after).await;
    let manner = Manner::new(WRITERS, &[address], run.seed);
    let load = Load::start(&place, &manner, &run.report);
    for round in 0..run.rounds(3, 30) {
        load.ledger.more(PROGRESS).await?;
        any_moment(&mut rng, 400).await;
        let death = if round % 2 == 0 { Death::Kill } else { Death::Immediate };
        run.postgres.die(death).await?;
        run.report.fault(death.name());
        any_moment(&mut rng, 800).await;
        run.postgres.start().await?;
        let back = Instant::now();
        load.ledger.more(PROGRESS).await?;
        run.report.most("longest healing, ms", u64::try_from(back.elapsed().as_millis())?);
        run.report.check(process.runs()?, || "the server did not outlive PostgreSQL".into());
    }
    let ledger = load.finish(&run.report).await?;
    let log = audit(&place, &client, &ledger, &run.report).await?;
    finish_subscribers(run, subscribers, &log).await?;
    process.kill().await?;
    place.delete().await;
    Ok(())
}

/// SIGTERM under load: it ends well, closes the sockets with 1012 and a cursor, and the next process goes on.
pub async fn sigterm(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let address = free_address()?;
    let mut process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let after = log_end(&place, &client).await?;
    let subscribers = subscribers(&place, &[address], &after).await;
    let manner = Manner::new(WRITERS, &[address], run.seed);
    let load = Load::start(&place, &manner, &run.report);
    let rounds = run.rounds(2, 30);
    for _ in 0..rounds {
        load.ledger.more(PROGRESS).await?;
        any_moment(&mut rng, 400).await;
        let asked = Instant::now();
        let status = process.terminate().await?;
        run.report.fault("server SIGTERM");
        run.report.check(status.success(), || format!("after SIGTERM the server ended with {status}"));
        run.report.most("longest ending, ms", u64::try_from(asked.elapsed().as_millis())?);
        process = place.serve(address).await?;
    }
    let ledger = load.finish(&run.report).await?;
    let log = audit(&place, &client, &ledger, &run.report).await?;
    let heard = finish_subscribers(run, subscribers, &log).await?;
    let goodbyes = &heard[0].goodbyes;
    run.report.check(goodbyes.len() == rounds, || format!("closed with 1012 {} of {rounds} times", goodbyes.len()));
    let order: std::collections::HashMap<&str, usize> =
        log.iter().enumerate().filter_map(|(at, event)| Some((event["id"].as_str()?, at))).collect();
    // A socket that was closed before its subscription was seen gets no cursor; the steady one always does.
    let with_cursor = |reason: &str| reason != "the server restarts";
    run.report
        .check(goodbyes.iter().all(|(reason, _)| with_cursor(reason)), || format!("without a cursor: {goodbyes:?}"));
    for (reason, told) in
        heard.iter().flat_map(|heard| heard.goodbyes.clone()).filter(|(reason, _)| with_cursor(reason))
    {
        // Resuming from the cursor in the goodbye may repeat, and misses nothing of what had not come by then.
        let document = "query($after: Cursor) { events(first: 1, after: $after) { nodes { id } } }";
        let answer = client.answer(document, json!({ "after": reason })).await;
        let next = answer["data"]["events"]["nodes"][0]["id"].as_str().map(|id| order.get(id).copied());
        run.report.check(answer["errors"].is_null() && next.is_none_or(|at| at.is_some_and(|at| at <= told)), || {
            format!("goodbye `{reason}` after {told} events goes on with {answer}")
        });
        run.report.count("goodbyes with a cursor", 1);
    }
    let status = process.terminate().await?;
    ensure!(status.success(), "without load the server ended with {status}");
    place.delete().await;
    Ok(())
}
