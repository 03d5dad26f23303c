//! Calls of STS, counted: they are limited by AWS for the whole account.

use std::sync::Arc;

use async_trait::async_trait;
use identity::sts::{StsReply, StsRequest, StsTransport, TransportError};
use telemetry::{Counter, Page, catalogue::operator as families};

pub(super) struct CountedSts {
    sts: Arc<dyn StsTransport>,
    answered: Counter,
    failed: Counter,
}

impl CountedSts {
    pub(super) fn of(sts: Arc<dyn StsTransport>) -> Self {
        Self { sts, answered: Counter::default(), failed: Counter::default() }
    }

    pub(super) fn measure(&self, page: &mut Page) {
        let mut series = page.family(&families::STS_CALLS);
        series.add(&["answered"], self.answered.get()).add(&["failed"], self.failed.get());
    }
}

#[async_trait]
impl StsTransport for CountedSts {
    async fn send(&self, request: &StsRequest) -> Result<StsReply, TransportError> {
        let outcome = self.sts.send(request).await;
        let counter = if outcome.is_ok() { &self.answered } else { &self.failed };
        counter.add(1);
        outcome
    }
}
