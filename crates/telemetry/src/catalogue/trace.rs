//! Of the processes that make spans.

use super::families;

families! {
    SPANS = Counter "cortex_spans_total" ["outcome"] "Spans of traces: `exported`, or `dropped` because no collector took them in time. No series where nothing is traced.";
}
