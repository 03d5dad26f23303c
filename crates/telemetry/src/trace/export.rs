//! Sends spans to the collector, in batches, in a task of its own.

use std::{sync::Weak, time::Duration};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::{sync::mpsc::Receiver, time::timeout};

use super::{BadSettings, Inner, Settings, Span, otlp};

/// Spans that wait to be sent; OpenTelemetry's own default.
pub(super) const QUEUE: usize = 2048;
/// Of one request.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

pub(super) struct Exporter {
    client: reqwest::Client,
    settings: Settings,
    /// Not the tracer itself: when its last clone is gone, the queue closes and this ends.
    counts: Weak<Inner>,
    spans: Receiver<Span>,
    fails: bool,
}

impl Exporter {
    pub(super) fn new(settings: Settings, counts: Weak<Inner>, spans: Receiver<Span>) -> Result<Self, BadSettings> {
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
        Ok(Self { client, settings, counts, spans, fails: false })
    }

    /// Until the tracer is gone.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.spans.recv_many(&mut batch, BATCH).await > 0 {
            let more = async { while batch.len() < BATCH && self.spans.recv_many(&mut batch, BATCH).await > 0 {} };
            // Late or not, what has come goes.
            let _ = timeout(GATHER, more).await;
            self.send(&batch).await;
            batch.clear();
        }
    }

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
        if let Some(counts) = self.counts.upgrade() {
            let counter = if outcome.is_ok() { &counts.exported } else { &counts.dropped };
            counter.add(count);
        }
    }
}
