//! Serving: from a configuration to a listening server, and back down without losing anything.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use gateway::door::DoorConfig;
use gateway::platform::Platform;
use kernel::Clock;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::demo;

/// A server that is put together and does not listen yet.
pub struct Prepared {
    config: Config,
    clock: Clock,
    platform: Platform,
    store: Store,
}

impl Prepared {
    /// Opens the database and puts the platform together.
    ///
    /// # Errors
    /// What is in the way, with what to do about it.
    pub async fn new(config: Config, clock: Clock, settings: access::Settings) -> Result<Self> {
        config.make_data_folder()?;
        let store = migrations::open(config.store()?, clock.clone()).await?;
        let platform = Platform::start(store.clone(), settings, config.limits.clone(), config.files()?).await?;
        Ok(Self { config, clock, platform, store })
    }

    /// The services of the server that it will be.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn listen(self) -> Result<Server> {
        let Self { config, clock, platform, store } = self;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}; choose another with --listen", config.listen))?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let door = DoorConfig {
            limits: config.limits.clone(),
            allowed_origins: config.allowed_origins.clone(),
            graphiql: config.graphiql,
            clock,
        };
        let serving = tokio::spawn(gateway::platform::serve(platform.clone(), door, listener, shutdown.clone())?);
        let jobs = config.jobs.then(|| {
            let (store, handlers, follower) = (store.clone(), platform.job_handlers(), platform.follower());
            let (working, following) = (shutdown.clone(), shutdown.clone());
            tokio::spawn(async move {
                tokio::join!(store.run_jobs(handlers, working), follower.follow(following));
            })
        });
        Ok(Server { address, platform, store, shutdown, serving, jobs })
    }
}

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    platform: Platform,
    store: Store,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    jobs: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens the database, puts the platform together and begins to listen.
    ///
    /// # Errors
    /// What is in the way, with what to do about it.
    pub async fn start(config: Config, clock: Clock, settings: access::Settings) -> Result<Self> {
        Prepared::new(config, clock, settings).await?.listen().await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The services behind it.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Finishes what is under way, closes the sockets, and lets the database go.
    ///
    /// # Errors
    /// When the server ended by itself with an error.
    pub async fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        let served = self.serving.await.context("the server's task ended badly")?;
        if let Some(jobs) = self.jobs {
            jobs.await.context("the jobs' task ended badly")?;
        }
        drop(self.platform);
        self.store.close().await;
        served.context("the server ended with an error")
    }
}

/// The command `serve`.
///
/// # Errors
/// As [`Server::start`].
pub async fn run(config: Config, with_demo: bool) -> Result<()> {
    let graphiql = config.graphiql;
    let mut settings = access::Settings::default();
    if with_demo {
        // The demo's password is meant to be typed, not to protect anything.
        settings.shortest_password = demo::PASSWORD.len();
    }
    let prepared = Prepared::new(config, Clock::System, settings).await?;
    let demo = match with_demo {
        true => Some(demo::prepare(prepared.platform()).await?),
        false => None,
    };
    let server = prepared.listen().await?;
    let url = format!("http://{}", server.address());
    announce(&server, &url, graphiql, demo.as_deref()).await?;
    ended_by_signal().await?;
    tracing::info!("shutting down: finishing what is under way");
    server.stop().await
}

/// Tells where everything is. A server whose output nobody reads any more serves on.
async fn announce(server: &Server, url: &str, graphiql: bool, demo: Option<&[demo::Token]>) -> Result<()> {
    let mut text = format!(
        "Deskwire {} serves\n  \
         GraphQL   {url}/graphql   (POST, GET, WebSocket, Server-Sent Events)\n  \
         Schema    {url}/schema.graphql\n",
        server.platform().info.version
    );
    if graphiql {
        text.push_str(&format!("  GraphiQL  {url}/graphiql\n"));
    }
    match demo {
        Some(tokens) => {
            let password = demo::PASSWORD;
            text.push_str(&format!(
                "\nThe demo company: everybody's password is `{password}`. A token for each role:\n"
            ));
            for token in tokens {
                let (role, email, secret) = (token.role, token.email, &token.secret);
                text.push_str(&format!("\n  {role} ({email})\n    Authorization: Bearer {secret}\n"));
                if graphiql {
                    text.push_str(&format!("    {url}/graphiql#token={secret}\n"));
                }
            }
            text.push('\n');
        }
        None if server.platform().access.tenants().await?.is_empty() => text.push_str(FIRST_STEPS),
        None => {}
    }
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        tracing::debug!(%error, "nobody reads the standard output");
    }
    Ok(())
}

/// What an empty database needs.
const FIRST_STEPS: &str = "
The database is empty. Make the first administrator, beside this server:
  deskwire user create --tenant acme --email you@acme.example --name 'Your Name' \\
    --role administrator --password-stdin
";

async fn ended_by_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
