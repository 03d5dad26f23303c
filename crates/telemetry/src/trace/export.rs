//! Sends spans to the collector, in batches, in a task of its own.

use std::{sync::Arc, time::Duration};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::timeout,
};

use super::{BadSettings, Counts, Settings, Span, otlp};

/// Spans that wait to be sent; OpenTelemetry's own default.
pub(super) const QUEUE: usize = 2048;
/// Of one request.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

pub(super) struct Exporter {
    collector: Collector,
    /// When the tracer is gone, or sends elsewhere, the queue closes and this ends.
    spans: Receiver<Span>,
    /// Those who wait until all that has come is sent.
    flushes: Receiver<oneshot::Sender<()>>,
}

struct Collector {
    client: reqwest::Client,
    settings: Settings,
    counts: Arc<Counts>,
    fails: bool,
}

impl Exporter {
    pub(super) fn new(
        settings: Settings,
        counts: Arc<Counts>,
        spans: Receiver<Span>,
        flushes: Receiver<oneshot::Sender<()>>,
    ) -> Result<Self, BadSettings> {
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
                let why = format!("`{name}` is not the name of a header, or its value cannot be one");
                return Err(BadSettings::Variable { variable: "OTEL_EXPORTER_OTLP_HEADERS", why });
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(settings.timeout)
            .build()
            .map_err(|error| BadSettings::Client(error.to_string()))?;
        Ok(Self { collector: Collector { client, settings, counts, fails: false }, spans, flushes })
    }

    /// Until the tracer is gone.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let flush = tokio::select! {
                count = self.spans.recv_many(&mut batch, BATCH) => match count {
                    0 => return,
                    _ => self.gather(&mut batch).await,
                },
                Some(flush) = self.flushes.recv() => Some(flush),
            };
            self.send(&mut batch).await;
            let Some(flush) = flush else { continue };
            while self.spans.recv_many(&mut batch, self.spans.len().min(BATCH)).await > 0 {
                self.send(&mut batch).await;
            }
            // Who does not wait any more need not be told.
            let _ = flush.send(());
        }
    }

    /// Waits for more, unless somebody waits for what is there.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> Option<oneshot::Sender<()>> {
        let Self { spans, flushes, .. } = self;
        let more = async { while batch.len() < BATCH && spans.recv_many(batch, BATCH).await > 0 {} };
        tokio::select! {
            // Late or not, what has come goes.
            _ = timeout(GATHER, more) => None,
            Some(flush) = flushes.recv() => Some(flush),
        }
    }

    async fn send(&mut self, batch: &mut Vec<Span>) {
        if !batch.is_empty() {
            self.collector.send(batch).await;
            batch.clear();
        }
    }
}

impl Collector {
    async fn send(&mut self, batch: &[Span]) {
        let count = batch.len() as u64;
        let body = otlp::request(&self.settings, batch).to_string();
        let request = self.client.post(&self.settings.url).header(CONTENT_TYPE, "application/json").body(body);
        let outcome = match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("HTTP {}", response.status())),
            // Without the address, in which there may be a secret.
            Err(error) => Err(error.without_url().to_string()),
        };
        match &outcome {
            Ok(()) if self.fails => tracing::info!("the collector of traces answers again"),
            Err(error) if !self.fails => {
                tracing::warn!(error, "the collector of traces takes no spans; they are dropped");
            }
            _ => {}
        }
        self.fails = outcome.is_err();
        let counter = if outcome.is_ok() { &self.counts.exported } else { &self.counts.dropped };
        counter.add(count);
    }
}
