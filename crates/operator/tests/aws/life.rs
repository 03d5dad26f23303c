//! Honest callers: every route, through the client that the command line uses.

use std::sync::Arc;

use api::{AwsKeys, Client, ClientError, StsProof, wire::DeployRequest, wire::LogQuery};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use identity::sts::AwsCredentials;

use crate::{
    aws::sha256,
    door::{Call, Door},
    scripted_sts::ACCOUNT,
};

struct Fixed(AwsCredentials);

#[async_trait]
impl AwsKeys for Fixed {
    async fn keys(&self) -> Result<AwsCredentials, String> {
        Ok(self.0.clone())
    }
}

fn client(door: &Door, keys: AwsCredentials) -> Client {
    let proof = StsProof::new(door.signer.clone(), Arc::new(Fixed(keys)));
    Client::new(&door.endpoint, &door.ca, Arc::new(proof)).expect("a client")
}

async fn everything(client: &Client, content: &'static [u8]) {
    let bundle = sha256(content);
    assert!(!client.has_bundle(&bundle).await.expect("it answers"));
    let pieces = stream::iter(content.chunks(5).map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece))));
    client.put_bundle(&bundle, content.len() as u64, pieces).await.expect("it is taken");
    assert!(client.has_bundle(&bundle).await.expect("it answers"));
    let text = "- name: iris\n  kind: RealtimeAPI\n  predictor: {type: python, path: p.py}\n";
    let apis = spec::realtime::parse("test", text).expect("it is valid");
    client.deploy(&DeployRequest { bundle, apis }).await.expect("it is taken");
    assert_eq!(client.apis().await.expect("it answers").apis.len(), 1);
    client.api("iris").await.expect("it answers");
    let query = LogQuery { follow: false, tail: 10 };
    let lines = client.logs("iris", &query).await.expect("it answers");
    lines.collect::<Vec<_>>().await;
    assert_eq!(client.api_key().await.expect("it answers").api_key, "the key");
    client.info().await.expect("it answers");
    client.delete_api("iris").await.expect("it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_roles_of_the_account_can_do_everything() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    everything(&client(&door, alice), b"the bundle of alice").await;
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let role = door.sts.key(&arn, "AROADEV0000000000001:sess1", Some("FwoGZXIvYXdz/token+=="));
    everything(&client(&door, role), b"the bundle of the role").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deployed_is_told() {
    let door = Door::open().await;
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let client = client(&door, door.sts.key(&arn, "AROADEV0000000000001:sess1", Some("token")));
    let bundle = sha256("a bundle");
    let content = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a bundle"))]);
    client.put_bundle(&bundle, 8, content).await.expect("it is taken");
    let text = "- name: iris\n  kind: RealtimeAPI\n  predictor: {type: python, path: p.py}\n";
    let apis = spec::realtime::parse("test", text).expect("it is valid");
    client.deploy(&DeployRequest { bundle, apis }).await.expect("it is taken");
    let summary = client.api("iris").await.expect("it answers").summary;
    assert_eq!(summary.updated_by, format!("arn:aws:iam::{ACCOUNT}:role/dev (session sess1)"));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_to_sts_is_the_operators_own() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let call = door
        .signed(&alice, Call::info())
        .with(http::header::HOST, "evil.example")
        .with(http::HeaderName::from_static("x-forwarded-for"), "192.0.2.1");
    // Whatever else the caller says, only the table decides where and what STS is asked.
    door.send(&call).await;
    let seen = door.sts.seen();
    let names: Vec<&str> = seen[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    for name in &names {
        let ours = [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-amz-date",
            "x-cortex-cluster",
            "x-cortex-nonce",
            "x-cortex-request",
        ];
        assert!(ours.contains(name), "{name} was sent to STS");
    }
    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "no header twice");
    assert_eq!((seen[0].line.as_str(), seen[0].body.as_str()), ("POST / HTTP/1.1", identity::sts::STS_BODY));
    let host = seen[0].headers.iter().find(|(name, _)| name == "host").expect("a host");
    assert_eq!(host.1, "sts.us-east-1.amazonaws.com", "as signed, although another address was dialled");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_the_user_in_words() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    door.sts.forget(&alice);
    match client(&door, alice).info().await {
        Err(ClientError::Refused { status: StatusCode::UNAUTHORIZED, body }) => {
            assert!(body.message.contains("does not know this access key"), "{}", body.message);
        }
        other => panic!("{other:?}"),
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_31_no_credential_goes_to_another_authority_or_over_plain_http() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let proof = || Arc::new(StsProof::new(door.signer.clone(), Arc::new(Fixed(alice.clone()))));
    // The same server, but not the authority that the caller has pinned.
    let other = transport::Authority::generate("test", time::OffsetDateTime::now_utc()).expect("an authority");
    let stranger = Client::new(&door.endpoint, other.certificate_pem(), proof()).expect("a client");
    assert!(matches!(stranger.info().await, Err(ClientError::Unreachable { .. })));
    // A server that would take it: the scripted STS, which notes whatever arrives.
    let plain = Client::new(&door.sts.url(), &door.ca, proof()).expect("a client");
    assert!(matches!(plain.info().await, Err(ClientError::Unreachable { .. })));
    assert_eq!(door.sts.asked(), 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_often_asks_sts_three_times() {
    let door = Door::open().await;
    let client = client(&door, door.sts.alice());
    for _ in 0..30 {
        client.apis().await.expect("it answers");
    }
    assert_eq!(door.sts.asked(), 3, "two looks and the session");
    // What is not looking is proved each time, and looking goes on.
    client.api_key().await.expect("it answers");
    client.info().await.expect("it answers");
    assert_eq!(door.sts.asked(), 4);
    door.close().await;
}
