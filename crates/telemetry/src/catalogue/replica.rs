//! Of a replica. The operator adds `api`, `version` and `replica`.

use super::families;

families! {
    INFO = Gauge "cortex_replica_info" ["api", "version", "replica", "type"] "Always 1; what the replica is a copy of.";
    REQUESTS = Counter "cortex_replica_requests_total" ["outcome"] "Requests that have ended: `ok`, or the kind of error that the answer names; `client_gone` if nobody waited for the answer any more.";
    QUEUE_TIME = Histogram "cortex_replica_queue_duration_seconds" [] "How long requests waited for their turn.";
    PREDICT_TIME = Histogram "cortex_replica_predict_duration_seconds" [] "How long the predictor took until it answered, or began to.";
    IN_FLIGHT = Gauge "cortex_replica_requests_in_flight" [] "Requests that the predictor works on.";
    QUEUED = Gauge "cortex_replica_requests_queued" [] "Requests that wait for their turn.";
    BATCH = Histogram "cortex_replica_batch_size" [] "Requests that were answered together, where requests are batched.";
    WORKERS = Gauge "cortex_replica_workers" [] "Worker processes that can take requests (Python).";
    REPLACED = Counter "cortex_replica_workers_replaced_total" ["reason"] "Worker processes that had to be replaced (Python).";
    DRAINING = Gauge "cortex_replica_draining" [] "1 once the replica has been told to stop.";
}
