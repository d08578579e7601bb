//! Logs to standard error, and traces to an OpenTelemetry collector where one is configured.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Config, LogFormat};

/// What libraries tell of their daily work is for those who ask for it.
const QUIET: &str = "sea_orm_migration=warn,sqlx=warn";

/// Ends with the process: what was traced is sent before.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown()
        {
            eprintln!("warning: the last traces could not be sent: {error}");
        }
    }
}

/// Starts logging and tracing.
///
/// # Errors
/// When the log directives or the collector's address do not hold.
pub fn start(config: &Config) -> Result<Telemetry> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log))
        .with_context(|| format!("`{}` are no log directives; try `info` or `info,store=debug`", config.log))?;
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let logs = match config.log_format {
        LogFormat::Text => logs.boxed(),
        LogFormat::Json => logs.json().boxed(),
    };
    let traces = (!config.otlp_endpoint.is_empty()).then(|| exporter(&config.otlp_endpoint)).transpose()?;
    let spans = traces.as_ref().map(|traces| {
        // Spans of statements are made at debug level: what is traced does not hang on what is logged.
        let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer("deskwire"));
        spans.with_filter(EnvFilter::new("info,gateway=debug,store=debug,ticket=debug,access=debug"))
    });
    tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .with(spans)
        .try_init()
        .context("logging was started before")?;
    Ok(Telemetry { traces })
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider> {
    objects::install_tls();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("traces cannot go to `{endpoint}`"))?;
    let resource = Resource::builder().with_service_name("deskwire").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
