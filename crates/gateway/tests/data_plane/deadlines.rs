//! Who is late, and who is told.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gateway::Timeouts;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use crate::{
    ground::{Ground, answer, get, iris, post, refusal, soon, timeouts},
    origin::{Origin, text},
};

const SHORT: Duration = Duration::from_millis(250);

fn short() -> Timeouts {
    Timeouts { response: SHORT, ..timeouts() }
}

#[tokio::test]
async fn a_replica_that_does_not_answer_is_given_up() {
    let origin = Origin::new("a", |_| std::future::pending::<Response<_>>()).await;
    let ground = Ground::start_with(iris(&[&origin]), short()).await;
    let client = ground.client();
    for request in [get(&client, &ground.url("/iris")), post(&client, &ground.url("/iris")).body("{}")] {
        assert_eq!(refusal(request).await, (504, "deadline_exceeded".to_owned()));
        origin.seen.closed().await;
    }
    assert_eq!(origin.seen.requests(), 2, "a slow replica is not asked twice");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_the_one_who_is_late() {
    let origin = Origin::new("a", |request| async move {
        request.into_body().collect().await.ok();
        Response::new(text("never"))
    })
    .await;
    let ground = Ground::start_with(iris(&[&origin]), short()).await;
    for protocol in ["h2", "http/1.1"] {
        let client = ground.speaking(protocol);
        let half = stream::iter([Bytes::from("half")]).chain(stream::pending()).map(Ok::<_, std::io::Error>);
        let request = post(&client, &ground.url("/iris")).body(reqwest::Body::wrap_stream(half));
        assert_eq!(refusal(request).await, (408, "request_timeout".to_owned()), "{protocol}");
    }
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_deadline_while_it_moves() {
    let origin = Origin::new("a", |request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(text(body.len().to_string()))
    })
    .await;
    let ground = Ground::start_with(iris(&[&origin]), short()).await;
    let client = ground.client();
    let drops = stream::iter(0..20).then(|_| async {
        tokio::time::sleep(SHORT / 8).await;
        Ok::<_, std::io::Error>(Bytes::from("x"))
    });
    let request = post(&client, &ground.url("/iris")).body(reqwest::Body::wrap_stream(drops));
    assert_eq!(answer(request).await, (200, "20".to_owned()));
}

#[tokio::test]
async fn a_response_that_has_begun_may_be_quiet() {
    let origin = Origin::new("a", |_| async {
        let pieces = stream::iter(["now", "later"]).then(|piece| async move {
            if piece == "later" {
                tokio::time::sleep(SHORT * 2).await;
            }
            Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece)))
        });
        Response::new(BodyExt::boxed(StreamBody::new(pieces)))
    })
    .await;
    let ground = Ground::start_with(iris(&[&origin]), short()).await;
    let client = ground.client();
    let response = soon("the head", get(&client, &ground.url("/iris")).send()).await.unwrap();
    assert_eq!(soon("the body", response.text()).await.unwrap(), "nowlater");
}
