//! What an API answered, as old clients read it.

use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use uuid::Uuid;

/// Of a text that is no JSON, in an error.
const MAX_ERROR: usize = 1000;

/// Who answered.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) uuid: Uuid,
    /// How many deploys it took to make the version that answered; 0 if that is not known.
    pub(super) version: u64,
    pub(super) model: &'a str,
}

/// Status and body for the client. A refusal by the predictor is 400, as it was; what is the cluster's fault keeps its status.
pub(super) fn translate(
    origin: &Origin<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> (StatusCode, String) {
    if status.is_success() {
        match response(headers, body) {
            Ok(response) => return (StatusCode::OK, answer(origin, &response)),
            Err(why) => return (StatusCode::BAD_REQUEST, failed(origin, &why)),
        }
    }
    let told = match status {
        status if status.is_server_error() && status != StatusCode::INTERNAL_SERVER_ERROR => status,
        _ => StatusCode::BAD_REQUEST,
    };
    (told, failed(origin, &message(body, status)))
}

/// The JSON that stands for the body: itself, or a text.
fn response(headers: &HeaderMap, body: &[u8]) -> Result<String, String> {
    let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"));
    let (coding, written) = (header(CONTENT_ENCODING), header(CONTENT_TYPE));
    if body.is_empty() {
        return Ok("null".to_owned());
    }
    let text = std::str::from_utf8(body).ok().filter(|_| matches!(coding, "" | "identity"));
    let media = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media == "application/json" || media.ends_with("+json");
    match text {
        Some(text) if is_json && serde_json::from_str::<IgnoredAny>(text).is_ok() => Ok(text.trim().to_owned()),
        Some(_) if is_json => Err("the API's answer is not valid JSON".to_owned()),
        Some(text) if media.starts_with("text/") || media.ends_with("ndjson") => Ok(Value::from(text).to_string()),
        _ => Err(format!("the API's answer is `{written}`, which has no form in JSON; its own endpoint gives it")),
    }
}

fn answer(Origin { uuid, version, model }: &Origin<'_>, response: &str) -> String {
    let model = Value::from(*model);
    format!(r#"{{"uuid":"{uuid}","version":{version},"response":{response},"from_cache":false,"model":{model}}}"#)
}

fn failed(Origin { uuid, version, model }: &Origin<'_>, error: &str) -> String {
    let info = json!({ "uri": model, "type": "QueryFailed", "error": error });
    json!({ "uuid": uuid.to_string(), "version": version, "response": { "message": "QueryFailed", "info": info } })
        .to_string()
}

/// What a refusal says: its `message`, or all of it.
fn message(body: &[u8], status: StatusCode) -> String {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) if fields.get("message").is_some_and(Value::is_string) => {
            fields["message"].as_str().unwrap_or_default().to_owned()
        }
        _ if text.trim().is_empty() => format!("the API answered {status}"),
        _ => text.trim().chars().take(MAX_ERROR).collect(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::{super::json::tests::json as any_json, *};

    const ORIGIN: Origin<'_> = Origin { uuid: Uuid::from_u128(7), version: 3, model: "my \"model\"" };

    fn typed(content_type: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())])
    }

    fn translated(status: u16, content_type: &str, body: &str) -> (u16, Value) {
        let status = StatusCode::from_u16(status).unwrap();
        let (status, text) = translate(&ORIGIN, status, &typed(content_type), body.as_bytes());
        (status.as_u16(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    #[test]
    fn an_answer_is_wrapped_and_not_read() {
        let (status, text) = translate(
            &ORIGIN,
            StatusCode::CREATED,
            &typed("application/json"),
            b" {\"b\": 1.50, \"a\": 123456789012345678901234567890}\n",
        );
        assert_eq!(status, 200);
        let wanted = r#"{"uuid":"00000000-0000-0000-0000-000000000007","version":3,"response":{"b": 1.50, "a": 123456789012345678901234567890},"from_cache":false,"model":"my \"model\""}"#;
        assert_eq!(text, wanted);
    }

    #[test]
    fn text_is_a_string_and_bytes_are_refused() {
        for (content_type, body, wanted) in [
            ("text/plain; charset=utf-8", "a \"b\"", json!("a \"b\"")),
            ("text/event-stream", "data: 1\n\n", json!("data: 1\n\n")),
            ("application/x-ndjson", "1\n2\n", json!("1\n2\n")),
            ("application/problem+json", "[1]", json!([1])),
            ("APPLICATION/JSON;x=y", "null", json!(null)),
            ("image/png", "", json!(null)),
        ] {
            let (status, answer) = translated(200, content_type, body);
            assert_eq!((status, &answer["response"]), (200, &wanted), "{content_type}");
        }
        for (content_type, body, says) in [
            ("image/png", "x", "image/png"),
            ("application/json", "{\"a\": NaN}", "not valid JSON"),
            ("", "x", "no form"),
        ] {
            let (status, answer) = translated(200, content_type, body);
            let error = answer["response"]["info"]["error"].as_str().unwrap();
            assert!(status == 400 && error.contains(says), "{content_type}: {answer}");
        }
        let mut packed = typed("application/json");
        packed.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(translate(&ORIGIN, StatusCode::OK, &packed, b"[]").0, 400);
    }

    #[test]
    fn a_refusal_has_the_old_shape_and_only_the_predictor_is_400() {
        let ours = r#"{"kind":"predictor_raised","message":"the predictor raised ValueError","request_id":"x"}"#;
        for (status, body, wanted, error) in [
            (500, ours, 400, "the predictor raised ValueError"),
            (400, ours, 400, "the predictor raised ValueError"),
            (404, "no such thing", 400, "no such thing"),
            (401, "", 400, "the API answered 401 Unauthorized"),
            (302, "", 400, "the API answered 302 Found"),
            (503, r#"{"message":"full"}"#, 503, "full"),
            (504, "<html>", 504, "<html>"),
            (500, r#"{"message":7}"#, 400, r#"{"message":7}"#),
        ] {
            let (got, answer) = translated(status, "application/json", body);
            let info = json!({ "uri": ORIGIN.model, "type": "QueryFailed", "error": error });
            let wanted_body = json!({
                "uuid": ORIGIN.uuid.to_string(), "version": 3, "response": { "message": "QueryFailed", "info": info }
            });
            assert_eq!((got, answer), (wanted, wanted_body), "{status} {body}");
        }
        let long = "x".repeat(100_000);
        assert_eq!(translated(500, "text/plain", &long).1["response"]["info"]["error"].as_str().unwrap().len(), 1000);
    }

    proptest! {
        #[test]
        fn whatever_an_api_says_the_client_gets_json(status in 200u16..600, body: Vec<u8>, content_type in "[ -~]{0,20}") {
            let status = StatusCode::from_u16(status).unwrap();
            let (_, text) = translate(&ORIGIN, status, &typed(&content_type), &body);
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }

        #[test]
        fn every_answer_arrives(value in any_json()) {
            let (status, answer) = translated(200, "application/json", &value.to_string());
            prop_assert_eq!((status, &answer["response"]), (200, &value));
        }
    }
}
