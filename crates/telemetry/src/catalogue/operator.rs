//! Of an operator.

use super::families;

families! {
    INFO = Gauge "cortex_operator_info" ["version"] "Always 1; the version of the program.";
    REQUESTS = Counter "cortex_operator_requests_total" ["route", "role", "code"]
        "Requests answered, by route (method and pattern; empty if there is none), by the role of who asked (empty if nobody had to be asked, or it is not known) and by status code.";
    RECONCILE = Histogram "cortex_operator_reconcile_duration_seconds" [] "How long passes of the reconciler took.";
    RECONCILE_FAILURES = Counter "cortex_operator_reconcile_failures_total" [] "Passes that failed and were tried again.";
    LEASE = Gauge "cortex_operator_lease_held" [] "1 if this operator is the one that reconciles.";
    APIS = Gauge "cortex_operator_apis" [] "APIs that are deployed.";
    WANTED = Gauge "cortex_operator_replicas_wanted" ["api"] "Replicas that the specification asks for.";
    REPLICAS = Gauge "cortex_operator_replicas" ["api", "phase"] "Replicas that there are, by phase: `starting`, `ready`, `draining`, `backing_off`.";
    RESTARTS = Gauge "cortex_operator_replica_restarts" ["api"] "How often the replicas that there are were started again.";
    TROUBLED = Gauge "cortex_operator_apis_troubled" [] "APIs that the reconciler could not bring to what is wanted at its last pass.";
    STS_CALLS = Counter "cortex_operator_sts_calls_total" ["outcome"] "Calls of AWS STS: `answered` or `failed`.";
    AUDIT_LOST = Counter "cortex_operator_audit_lost_total" [] "Requests whose audit event was counted and not kept by itself, for want of room.";
    SCRAPED = Gauge "cortex_operator_scraped" ["target", "api", "replica"] "Whether that process told its metrics for this page: 1 or 0.";
}
