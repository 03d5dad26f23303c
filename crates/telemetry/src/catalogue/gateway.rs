//! Of a gateway.

use super::families;

families! {
    INFO = Gauge "cortex_gateway_info" ["version"] "Always 1; the version of the program.";
    REQUESTS = Counter "cortex_gateway_requests_total" ["api", "version", "code"]
        "Requests that have ended, by status code. `api` is empty if the request never got to one, `version` (of the API) if it never got to a replica, `code` is `none` if the client left before there was one. Looks at `/healthz` and `/metrics` do not count.";
    IN_FLIGHT = Gauge "cortex_gateway_requests_in_flight" ["api"] "Requests whose response has not ended; `api` is empty while it is not known.";
    DURATION = Histogram "cortex_gateway_request_duration_seconds" ["api", "version"]
        "From the end of a request's headers to the last byte of its response.";
    PHASES = Histogram "cortex_gateway_request_phase_duration_seconds" ["api", "version", "phase"]
        "Parts of that: `wait` until a replica is chosen, `connect` for a new connection to it (most requests need none), `head` from the choice to the head of the response, `body` from there to its end.";
    QUEUED = Gauge "cortex_gateway_requests_queued" ["api"] "Requests that wait at this gateway for a place.";
    QUEUE_TIME = Histogram "cortex_gateway_queue_duration_seconds" ["api"] "How long requests waited for a place, if they had to.";
    ERRORS = Counter "cortex_gateway_errors_total" ["api", "kind", "cause"]
        "Requests that were refused, failed or were given up, by the kind that the answer names and by who caused it: `client`, `replica` or `gateway`. `client_gone` got no answer.";
    ATTEMPTS = Counter "cortex_gateway_attempts_total" ["api"] "Times a request was given to a replica.";
    RETRIES = Counter "cortex_gateway_retries_total" ["api"] "Those of them that were not the first for their request.";
    RECEIVED = Counter "cortex_gateway_received_bytes_total" ["api"] "Bytes of bodies from clients.";
    SENT = Counter "cortex_gateway_sent_bytes_total" ["api"] "Bytes of bodies to clients.";
    REPLICAS = Gauge "cortex_gateway_replicas" ["api"] "Replicas in the routes.";
    EJECTED = Gauge "cortex_gateway_replicas_ejected" ["api"] "Those of them that get no requests at the moment because they failed.";
    CONNECTIONS = Gauge "cortex_gateway_connections" [] "Open connections of clients, those of the operator that asks for metrics included.";
    ROUTES = Gauge "cortex_gateway_routes_info" ["version"] "Always 1; the version of the routes that are served, empty if they are from disk.";
    ROUTES_PUBLISHED = Gauge "cortex_gateway_routes_published_timestamp_seconds" [] "When routes or keys last changed, in seconds since 1970; 0 while there are none.";
    STORE_READ = Gauge "cortex_gateway_store_read_timestamp_seconds" [] "When the state store was last read in full, in seconds since 1970; 0 if it was not yet.";
    CERTIFICATE_END = Gauge "cortex_gateway_certificate_expiry_timestamp_seconds" [] "When the certificate that clients are shown ends, in seconds since 1970.";
}
