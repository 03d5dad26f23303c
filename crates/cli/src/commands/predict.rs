//! `cortex predict`: the request that any client would send, over the same door.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use http::header;

use crate::{
    args,
    door::Door,
    home::io_failure,
    operator_client::connect,
    output::data,
    report::{Exit, Failure},
};

pub async fn predict(arguments: args::Predict) -> Result<(), Failure> {
    let body = read(&arguments.file)?;
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
        let message = format!("{} is not JSON: {error}", arguments.file.display());
        return Err(Failure::new(Exit::InvalidConfig, "predict.not_json", message));
    }
    let (environment, client) = connect(arguments.target.env.as_deref()).await?;
    let endpoint = client.api(&arguments.api).await?.summary.endpoint;
    let key = client.api_key().await?.api_key;
    let door = Door::of(&environment, &client.info().await?).await?;
    let unreachable = |error: reqwest::Error| door.unreachable(&endpoint, &error);
    let response = door
        .http
        .post(door.url(&endpoint))
        .bearer_auth(key)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await
        .map_err(unreachable)?;
    let status = response.status();
    let answer = response.bytes().await.map_err(unreachable)?;
    if status.is_success() {
        return data(&String::from_utf8_lossy(&answer));
    }
    Err(refused(&arguments.api, status, &answer))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file == Path::new("-") {
        let mut body = Vec::new();
        io::stdin().lock().read_to_end(&mut body).map_err(|error| io_failure("read", file, &error))?;
        return Ok(body);
    }
    fs::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "predict.no_file", format!("there is no file {}", file.display()))
                .hint("name a file with the request's body, or `-` for standard input")
        }
        _ => io_failure("read", file, &error),
    })
}

fn refused(api: &str, status: http::StatusCode, answer: &[u8]) -> Failure {
    let exit = match status.as_u16() {
        401 | 403 => Exit::Refused,
        404 => Exit::NotFound,
        503 => Exit::NotReady,
        _ => Exit::General,
    };
    let failure = match serde_json::from_slice::<api::wire::ErrorBody>(answer) {
        Ok(body) => {
            let message = format!("{} (HTTP {}, request {})", body.message, status.as_u16(), body.request_id);
            Failure::new(exit, &format!("gateway.{}", body.kind), message)
        }
        Err(_) => {
            let message = format!("HTTP {status}: {}", String::from_utf8_lossy(answer));
            Failure::new(exit, "gateway.refused", message)
        }
    };
    if status.is_server_error() { failure.hint(format!("`cortex logs {api}` shows more")) } else { failure }
}
