//! An STS that is slow, huge, broken or lying, or somebody in its place: nobody is let in, and nobody waits for long.

use std::time::{Duration, Instant};

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use http_body_util::Full;
use identity::sts::{
    CONTENT_SHA256, ClusterId, Effect, MemoryNonces, Nonce, OperatorRequest, OwnRoles, Partition, Region, Signer,
    Token, Trust, Verifier, VerifyError,
};
use operator::{HttpsSts, StsEndpoint};
use time::OffsetDateTime;
use transport::{Address, Authority, Limits, Listener, Server, ServerTls};

use crate::{
    aws::{error_xml, identity_xml},
    door::{Call, Door},
    scripted_sts::{ACCOUNT, Mood, ScriptedSts, http},
};

/// The limit of the operator's client is 5 s.
const LONGEST: Duration = Duration::from_secs(9);

fn alice() -> String {
    identity_xml(&format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001", ACCOUNT)
}

async fn unavailable(door: &Door, what: &str) {
    let keys = door.sts.alice();
    for call in [Call::info(), Call::new(Method::DELETE, "/v1/apis/iris")] {
        let refusal = door.refused(what, &door.signed(&keys, call)).await;
        assert_eq!(refusal, (StatusCode::SERVICE_UNAVAILABLE, "unavailable".to_owned()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_18_documents_that_are_no_answer_let_nobody_in() {
    let door = Door::open().await;
    let alice = alice();
    let result = &alice
        [alice.find("<GetCallerIdentityResult>").expect("it is")..alice.find("<ResponseMetadata>").expect("it is")];
    for (what, answer) in [
        ("two identities", http(200, "text/xml", &alice.replace(result, &format!("{result}{result}")))),
        ("two documents", http(200, "text/xml", &format!("{alice}{alice}"))),
        ("wrong root", http(200, "text/xml", &alice.replace("GetCallerIdentityResponse", "AssumeRoleResponse"))),
        ("wrong namespace", http(200, "text/xml", &alice.replace("sts.amazonaws.com/doc", "sts.evil.example/doc"))),
        ("reflected in JSON", http(200, "application/json", &format!("{{\"x\":\"{alice}\"}}"))),
        ("as HTML", http(200, "text/html", &alice)),
        ("no content type", format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{alice}", alice.len()).into_bytes()),
        ("201", http(201, "text/xml", &alice)),
        ("206", http(206, "text/xml", &alice)),
        ("an error page with an identity", http(403, "text/xml", &alice)),
        ("a proxy's page", http(403, "text/html", "<html>blocked</html>")),
        ("empty", http(200, "text/xml", "")),
        ("not HTTP", b"hello\r\n\r\n".to_vec()),
    ] {
        door.sts.set(Mood::Says(answer));
        unavailable(&door, what).await;
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_30_an_sts_that_fails_lets_nobody_in() {
    let door = Door::open().await;
    for (what, answer) in [
        ("500", http(500, "text/xml", &error_xml("InternalFailure"))),
        ("503", http(503, "text/xml", &error_xml("ServiceUnavailable"))),
        ("503 with an identity", http(503, "text/xml", &alice())),
        ("throttled", http(400, "text/xml", &error_xml("Throttling"))),
        ("429", http(429, "text/xml", "")),
        ("cut before the answer", Vec::new()),
        ("cut in the status line", b"HTTP/1.1 2".to_vec()),
        ("cut in the body", {
            let whole = http(200, "text/xml", &alice());
            whole[..whole.len() - 20].to_vec()
        }),
    ] {
        door.sts.set(Mood::Says(answer));
        unavailable(&door, what).await;
    }
    door.sts.set(Mood::Honest);
    let alice = door.sts.alice();
    assert_eq!(door.send(&door.signed(&alice, Call::info())).await.status, StatusCode::OK, "and then it is well again");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_30_an_sts_that_is_gone_lets_nobody_in() {
    let mut door = Door::open().await;
    // Its port is closed.
    door.sts = ScriptedSts::start().await;
    unavailable(&door, "gone").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_16_redirects_are_not_followed() {
    let door = Door::open().await;
    let elsewhere = ScriptedSts::start().await;
    elsewhere.set(Mood::Says(http(200, "text/xml", &alice())));
    for status in [301, 302, 303, 307, 308] {
        let location = format!("HTTP/1.1 {status} X\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
        door.sts.set(Mood::Says(location.into_bytes()));
        unavailable(&door, "a redirect").await;
    }
    assert_eq!(elsewhere.asked(), 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_17_a_slow_sts_costs_a_bounded_time() {
    for (what, mood) in [("silent", Mood::Silent), ("trickling", Mood::Trickles(Duration::from_millis(200)))] {
        let door = Door::open().await;
        let keys = door.sts.alice();
        door.sts.set(mood);
        let begun = Instant::now();
        let calls = (0..8).map(|_| door.signed(&keys, Call::info())).collect::<Vec<_>>();
        let refusals = futures_util::future::join_all(calls.iter().map(|call| door.refused(what, call))).await;
        assert!(refusals.iter().all(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE), "{what}: {refusals:?}");
        assert!(begun.elapsed() < LONGEST, "{what}: {:?}", begun.elapsed());
        // Who needs no proof is not held up.
        assert_eq!(door.send(&Call::new(Method::GET, "/healthz")).await.status, StatusCode::OK);
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_01_a_huge_answer_is_not_read() {
    let door = Door::open().await;
    let head = |length: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n{length}\r\n\r\n").into_bytes();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    for (what, first, again) in [
        ("1 GiB", head("content-length: 1073741824"), vec![b' '; 0x10000]),
        ("endless chunks", head("transfer-encoding: chunked"), chunk),
        ("endless headers", b"HTTP/1.1 200 OK\r\n".to_vec(), [b"x: ".as_slice(), &[b'y'; 1000], b"\r\n"].concat()),
    ] {
        door.sts.set(Mood::NeverStops { first, again });
        unavailable(&door, what).await;
    }
    // What the kernel's buffers took of six answers.
    assert!(door.sts.written() < 64 << 20, "{} bytes were taken", door.sts.written());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_19_a_wrong_account_is_forbidden_whoever_signed() {
    let door = Door::open().await;
    let keys = door.sts.alice();
    let other = identity_xml("arn:aws:iam::210987654321:user/alice", "AIDAALICE00000000001", "210987654321");
    let disagree = identity_xml(&format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001", "210987654321");
    for answer in [other, disagree] {
        door.sts.set(Mood::Says(http(200, "text/xml", &answer)));
        let refusal = door.refused("wrong account", &door.signed(&keys, Call::info())).await;
        assert_eq!(refusal, (StatusCode::FORBIDDEN, "forbidden".to_owned()));
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_sessions_are_told_so() {
    let door = Door::open().await;
    let keys = door.sts.alice();
    for (code, word) in [
        ("ExpiredToken", "expired"),
        ("InvalidClientTokenId", "access key"),
        ("SignatureDoesNotMatch", "signature is wrong"),
    ] {
        door.sts.set(Mood::Says(http(403, "text/xml", &error_xml(code))));
        let answer = door.send(&door.signed(&keys, Call::info())).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{code}: {text}");
        assert!(text.contains(word) && !text.contains("quoted"), "STS's own words stay where they are: {text}");
    }
    door.close().await;
}

/// Connections are kept for the next caller, and whoever keeps the other end may let go of it at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_sts_lets_go_of_fails_nobody() {
    let door = Door::open().await;
    let keys = door.sts.alice();
    door.sts.set(Mood::OncePerConnection);
    for _ in 0..10 {
        let answer = door.send(&door.signed(&keys, Call::info())).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
    }
    let asked = door.sts.asked();
    assert!(asked > 10, "no connection was used twice");
    door.sts.set(Mood::HangsUp);
    let answer = door.send(&door.signed(&keys, Call::info())).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(door.sts.asked(), asked + 2, "once more, and no more");
    for _ in 0..3 {
        door.send(&door.signed(&keys, Call::info())).await;
    }
    assert_eq!(door.sts.asked(), asked + 5, "one that fails is not asked twice");
    door.close().await;
}

/// Somebody in the way of STS, with a certificate of their own that names it.
#[tokio::test(flavor = "multi_thread")]
async fn row_05_a_certificate_that_no_public_root_vouches_for_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let now = OffsetDateTime::now_utc();
    let authority = Arc::new(Authority::generate("evil", now).expect("an authority"));
    let names = ["sts.us-east-1.amazonaws.com".to_owned(), "127.0.0.1".to_owned()];
    let tls = ServerTls::new(authority, &names).expect("a certificate");
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned())).await.expect("a free port");
    let address = listener.tcp_address().expect("TCP");
    let server = Server { listener, tls: Some(tls), limits: Limits::default() };
    let answering = tokio::spawn(server.run(
        |_, _| async {
            let answer =
                Response::builder().header("content-type", "text/xml").body(Full::<bytes::Bytes>::from(alice()));
            answer.expect("it is an answer")
        },
        std::future::pending(),
    ));
    let endpoint = StsEndpoint::parse(&format!("https://{address}")).expect("it is an address");
    let cluster = ClusterId::parse(&"0".repeat(64)).expect("a hash");
    let region = Region::named("us-east-1").expect("it is in the table");
    let trust = Trust {
        partition: Partition::Aws,
        account: ACCOUNT.to_owned(),
        cluster: cluster.clone(),
        regions: vec![region],
        own_roles: OwnRoles::default(),
    };
    let nonces = || Arc::new(MemoryNonces::new(10));
    let sts = Arc::new(HttpsSts::new(Some(endpoint)).expect("a client"));
    let verifier = Verifier::new(trust, sts, nonces(), nonces());
    let keys = ScriptedSts::start().await.alice();
    let request = OperatorRequest {
        method: "GET",
        path: "/v1/info",
        query: None,
        content_type: None,
        content_sha256: &"0".repeat(64),
    };
    let signer = Signer { region, cluster };
    let signed = signer.sign(&keys, &request, &Nonce::new([1; 16]), now).expect("it signs");
    assert_eq!((signed.content_sha256.as_str(), CONTENT_SHA256), (request.content_sha256, "x-cortex-content-sha256"));
    let token = Token::parse(signed.authorization.expose()).expect("it is well-formed");
    match verifier.verify(&token, &request, Effect::Read, now).await {
        Err(VerifyError::Unavailable(reason)) => assert!(reason.contains("ertificate"), "{reason}"),
        other => panic!("{other:?}"),
    }
    answering.abort();
}
