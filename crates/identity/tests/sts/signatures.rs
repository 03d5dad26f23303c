//! Rows 6 to 13: what is signed, against numbers made by botocore 1.44.5 and against our own reading of the
//! SigV4 documentation.
//!
//! The numbers: `SigV4Auth(credentials, "sts", region)` over `POST https://<host>/` with the body and the four headers of the
//! protocol, the time fixed; the digest and the token by Python's hashlib, json and base64.

use identity::{
    Secret,
    sts::{AwsCredentials, Nonce, OperatorRequest, STS_BODY, SignError, Signer, Token, TokenError},
};
use time::{OffsetDateTime, macros::datetime};

use super::fake::{self, DEPLOY, bench, cluster, region};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Vector {
    key: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    region: &'static str,
    at: OffsetDateTime,
    nonce: [u8; 16],
    request: OperatorRequest<'static>,
    /// Its `x-cortex-request`.
    digest: &'static str,
    signature: &'static str,
    header: &'static str,
}

const COUNTING: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const VECTORS: [Vector; 3] = [
    Vector {
        key: "AKIDEXAMPLE000000001",
        secret: "example/secret+of/nobody/at/all/AAAAAAAAA",
        token: None,
        region: "us-east-1",
        at: datetime!(2026-01-31 23:59:59 UTC),
        nonce: COUNTING,
        request: DEPLOY,
        digest: "0824942c74341c7dbaa45a34fc53f0d8ee9fffb9f01f71a0f6248bf9e944c1ef",
        signature: "2e56fa60d2eab959880c55bbdafa347d7646567b953ba581c46e0a75aedeb635",
        header: "Cortex-V1 eyJhY2Nlc3Nfa2V5X2lkIjoiQUtJREVYQU1QTEUwMDAwMDAwMDEiLCJkYXRlIjoiMjAyNjAxMzFUMjM1OTU5WiIsIm5vbmNlIjoiMDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYiLCJyZWdpb24iOiJ1cy1lYXN0LTEiLCJzaWduYXR1cmUiOiIyZTU2ZmE2MGQyZWFiOTU5ODgwYzU1YmJkYWZhMzQ3ZDc2NDY1NjdiOTUzYmE1ODFjNDZlMGE3NWFlZGViNjM1In0",
    },
    Vector {
        key: "ASIDEXAMPLE000000002",
        secret: "example/secret+of/nobody/at/all/BBBBBBBBB",
        token: Some("FwoGZXIvYXdzEXAMPLE/token+with=="),
        region: "eu-central-1",
        at: datetime!(2026-12-01 00:00:00 UTC),
        nonce: COUNTING,
        request: OperatorRequest {
            method: "GET",
            path: "/v1/apis/iris/logs",
            query: Some("follow=true&tail=10"),
            content_type: None,
            content_sha256: EMPTY,
        },
        digest: "b7a66a2d8dc3ee99e2401d8a9848c137bbb43010ee60cb9d3cecfdb1019b8265",
        signature: "a8185ecaea03c59e9a1d570f2476829944074eccc8c2ce8e5b80a2b07b3d7308",
        header: "Cortex-V1 eyJhY2Nlc3Nfa2V5X2lkIjoiQVNJREVYQU1QTEUwMDAwMDAwMDIiLCJkYXRlIjoiMjAyNjEyMDFUMDAwMDAwWiIsIm5vbmNlIjoiMDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYiLCJyZWdpb24iOiJldS1jZW50cmFsLTEiLCJzZXNzaW9uX3Rva2VuIjoiRndvR1pYSXZZWGR6RVhBTVBMRS90b2tlbit3aXRoPT0iLCJzaWduYXR1cmUiOiJhODE4NWVjYWVhMDNjNTllOWExZDU3MGYyNDc2ODI5OTQ0MDc0ZWNjYzhjMmNlOGU1YjgwYTJiMDdiM2Q3MzA4In0",
    },
    Vector {
        key: "AKIDEXAMPLE000000003",
        secret: "example/secret+of/nobody/at/all/CCCCCCCCC",
        token: None,
        region: "cn-north-1",
        at: datetime!(2027-02-28 12:00:01 UTC),
        nonce: [0xff; 16],
        request: OperatorRequest {
            method: "DELETE",
            path: "/v1/apis/a%2Eb",
            query: None,
            content_type: None,
            content_sha256: EMPTY,
        },
        digest: "edcc1600fa62f4a2b0f7e3199c1e38c24ad1b8fce9811bee01d621bb8a035168",
        signature: "acb8612f1a4339fbce91f284f95e9b2286e3cd40a72af4bb86228e59d0d92b31",
        header: "Cortex-V1 eyJhY2Nlc3Nfa2V5X2lkIjoiQUtJREVYQU1QTEUwMDAwMDAwMDMiLCJkYXRlIjoiMjAyNzAyMjhUMTIwMDAxWiIsIm5vbmNlIjoiZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmYiLCJyZWdpb24iOiJjbi1ub3J0aC0xIiwic2lnbmF0dXJlIjoiYWNiODYxMmYxYTQzMzlmYmNlOTFmMjg0Zjk1ZTliMjI4NmUzY2Q0MGE3MmFmNGJiODYyMjhlNTlkMGQ5MmIzMSJ9",
    },
];

impl Vector {
    fn credentials(&self) -> AwsCredentials {
        AwsCredentials {
            access_key_id: self.key.to_owned(),
            secret_access_key: Secret::new(self.secret),
            session_token: self.token.map(Secret::new),
        }
    }

    fn signer(&self) -> Signer {
        Signer { region: region(self.region), cluster: cluster("a cluster") }
    }
}

#[test]
fn row_10_signatures_are_those_of_botocore() {
    for vector in &VECTORS {
        let nonce = Nonce::new(vector.nonce);
        let signed = vector.signer().sign(&vector.credentials(), &vector.request, &nonce, vector.at).expect("it signs");
        assert_eq!(signed.authorization.expose(), vector.header, "{}", vector.region);
        assert_eq!(signed.content_sha256, vector.request.content_sha256);
        Token::parse(vector.header).expect("what botocore signed is read");
    }
}

#[test]
fn row_10_signatures_are_those_of_the_book() {
    for vector in &VECTORS {
        let date = vector.at.format(&time::macros::format_description!("[year][month][day]T[hour][minute][second]Z"));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("content-type", "application/x-www-form-urlencoded"),
            header("host", &region(vector.region).sts_host()),
            header("x-amz-date", &date.expect("a date")),
            header("x-cortex-cluster", cluster("a cluster").as_str()),
            header("x-cortex-nonce", Nonce::new(vector.nonce).as_str()),
            header("x-cortex-request", vector.digest),
        ];
        headers.extend(vector.token.map(|token| header("x-amz-security-token", token)));
        assert_eq!(fake::signature(vector.secret, vector.region, &headers, STS_BODY), vector.signature);
    }
}

#[tokio::test]
async fn rows_06_07_08_the_request_to_sts_is_ours_alone() {
    let bench = bench();
    let alice = bench.sts.alice();
    let token = bench.token(&alice, &DEPLOY);
    let verified = bench.verifier.verify(&token, &DEPLOY, identity::sts::Effect::Change, fake::NOW).await;
    verified.expect("she is let in");
    assert_eq!(STS_BODY, "Action=GetCallerIdentity&Version=2011-06-15");
    let last = bench.sts.last.lock().expect("unpoisoned").clone().expect("STS was asked");
    assert_eq!(last.host(), "sts.us-east-1.amazonaws.com");
    let headers: Vec<_> = last.headers().map(|(name, value)| (name, value.expose())).collect();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "content-type",
            "host",
            "x-amz-date",
            "x-cortex-cluster",
            "x-cortex-nonce",
            "x-cortex-request",
            "authorization"
        ]
    );
    assert_eq!(headers[5].1, VECTORS[0].digest, "computed by the verifier, not copied");
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260131/us-east-1/sts/aws4_request, SignedHeaders={}, Signature=",
        alice.access_key_id,
        names[..6].join(";")
    );
    assert!(headers[6].1.starts_with(&scope), "{}", headers[6].1);
}

#[test]
fn what_no_verifier_would_pass_on_is_not_signed() {
    let vector = &VECTORS[0];
    for (wrong, field) in [
        (AwsCredentials { access_key_id: "short".to_owned(), ..vector.credentials() }, "access_key_id"),
        (AwsCredentials { session_token: Some(Secret::new("a b")), ..vector.credentials() }, "session_token"),
    ] {
        match vector.signer().sign(&wrong, &vector.request, &Nonce::new(COUNTING), vector.at) {
            Err(SignError::Credentials(TokenError::Field(found))) => assert_eq!(found, field),
            other => panic!("{other:?}"),
        }
    }
}
