//! What the doors count, as Prometheus text.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use super::answer::Answer;
use super::document::OperationKind;

/// The doors' counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    operations: IntCounterVec,
    seconds: HistogramVec,
    refused: IntCounterVec,
    /// Open connections.
    pub connections: IntGauge,
    /// Open WebSockets.
    pub sockets: IntGauge,
    /// Subscriptions that are running, on sockets and event streams.
    pub subscriptions: IntGauge,
    /// Those of them that listen to a shared one.
    pub listeners: IntGauge,
    /// Shared ones that are running.
    pub shared: IntGauge,
    shared_messages: IntCounter,
}

/// One more while it lives.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Counted {
    /// Counts one more.
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Fresh counters in a registry of their own.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn new() -> prometheus::Result<Self> {
        let operations = IntCounterVec::new(
            Opts::new("deskwire_operations_total", "GraphQL operations that were answered."),
            &["transport", "kind", "outcome"],
        )?;
        let metrics = Self {
            registry: Registry::new(),
            shared_messages: operations.with_label_values(&["websocket", OperationKind::Subscription.as_str(), "ok"]),
            operations,
            seconds: HistogramVec::new(
                HistogramOpts::new("deskwire_operation_seconds", "Time to answer a query or mutation.")
                    .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
                &["kind"],
            )?,
            refused: IntCounterVec::new(
                Opts::new("deskwire_refused_total", "Requests and operations that were not executed, by error code."),
                &["code"],
            )?,
            connections: IntGauge::new("deskwire_connections", "Open connections.")?,
            sockets: IntGauge::new("deskwire_sockets", "Open WebSockets.")?,
            subscriptions: IntGauge::new("deskwire_subscriptions", "Subscriptions that are running.")?,
            listeners: IntGauge::new(
                "deskwire_subscriptions_sharing",
                "Subscriptions that are told what is worked out once for several.",
            )?,
            shared: IntGauge::new(
                "deskwire_subscriptions_shared",
                "What is worked out once for several subscriptions.",
            )?,
        };
        metrics.registry.register(Box::new(metrics.operations.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.refused.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.clone()))?;
        metrics.registry.register(Box::new(metrics.sockets.clone()))?;
        metrics.registry.register(Box::new(metrics.subscriptions.clone()))?;
        metrics.registry.register(Box::new(metrics.listeners.clone()))?;
        metrics.registry.register(Box::new(metrics.shared.clone()))?;
        Ok(metrics)
    }

    /// Counts an answer; `kind` is unknown when the document was not understood.
    pub fn answered(&self, transport: &str, kind: Option<OperationKind>, answer: &Answer) {
        let kind = kind.map_or("unknown", OperationKind::as_str);
        self.operations.with_label_values(&[transport, kind, answer.outcome()]).inc();
        if answer.data.is_none()
            && let Some(code) = answer.code()
        {
            self.refused.with_label_values(&[code.as_str()]).inc();
        }
    }

    /// Counts a message on a WebSocket that was made once for several.
    pub fn told_shared(&self) {
        self.shared_messages.inc();
    }

    /// Counts the time of a query or mutation.
    pub fn took(&self, kind: OperationKind, seconds: f64) {
        self.seconds.with_label_values(&[kind.as_str()]).observe(seconds);
    }

    /// All of it, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut buffer = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut buffer) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8(buffer).unwrap_or_default()
    }
}
