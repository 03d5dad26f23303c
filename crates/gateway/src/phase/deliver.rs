//! Phases 5 to 7 together: a place, a replica, the exchange.

use std::sync::Arc;

use http::Request;

use super::{
    admit::admit,
    forward::{Forwarded, forward},
    record::Record,
};
use crate::{
    Timeouts,
    error::Error,
    snapshot::{Api, Table},
    upstream::RequestBody,
};

/// Brings the request to a replica of the API, with the deadline that the API has. `reads`: as for [`admit`].
pub(crate) async fn deliver(
    table: &Table,
    timeouts: &Timeouts,
    mut api: Arc<Api>,
    mut request: Request<RequestBody>,
    reads: bool,
    record: &mut Record,
) -> Result<Forwarded, Error> {
    record.routed(&api);
    let limit = api.timeout.unwrap_or(timeouts.response);
    let place = admit(&mut api, table, request.body_mut(), limit, reads).await?;
    let timeouts = Timeouts { response: api.timeout.unwrap_or(timeouts.response), ..*timeouts };
    forward(table, &timeouts, api, request, place, record).await
}
