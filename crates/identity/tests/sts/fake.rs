//! An STS that computes every signature anew, from the request it gets.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use identity::{
    Secret,
    sts::{
        AwsCredentials, ClusterId, MemoryNonces, Nonce, OperatorRequest, OwnRoles, Partition, Region, STS_BODY, Signer,
        StsReply, StsRequest, StsTransport, Token, TransportError, Trust, Verifier,
    },
};
use time::{OffsetDateTime, macros::datetime};

pub use super::aws::{error_xml, identity_xml, sha256, signature};

pub const ACCOUNT: &str = "123456789012";
pub const NOW: OffsetDateTime = datetime!(2026-01-31 23:59:59 UTC);

pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> StsReply {
    StsReply { status, content_type: Some("text/xml".to_owned()), body: body.into() }
}

/// One key that the fake knows.
#[derive(Clone)]
pub struct Key {
    pub credentials: AwsCredentials,
    pub arn: String,
    pub user_id: String,
    pub account: String,
}

#[derive(Default)]
pub struct FakeSts {
    keys: Mutex<HashMap<String, Key>>,
    /// Instead of an answer of its own.
    pub scripted: Mutex<Option<Result<StsReply, TransportError>>>,
    pub asked: AtomicUsize,
    pub last: Mutex<Option<StsRequest>>,
}

impl FakeSts {
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn script(&self, reply: Result<StsReply, TransportError>) {
        *self.scripted.lock().expect("unpoisoned") = Some(reply);
    }

    /// Makes a key of that identity.
    pub fn key(&self, arn: &str, user_id: &str, token: Option<&str>) -> AwsCredentials {
        let mut keys = self.keys.lock().expect("unpoisoned");
        let credentials = AwsCredentials {
            access_key_id: format!("AKIDEXAMPLE{:09}", keys.len() + 1),
            secret_access_key: Secret::new(format!("secret of {arn}")),
            session_token: token.map(Secret::new),
        };
        let account = arn.split(':').nth(4).expect("an account").to_owned();
        let key = Key { credentials: credentials.clone(), arn: arn.to_owned(), user_id: user_id.to_owned(), account };
        keys.insert(credentials.access_key_id.clone(), key);
        credentials
    }

    pub fn alice(&self) -> AwsCredentials {
        self.key(&format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001", None)
    }

    fn judge(&self, request: &StsRequest) -> StsReply {
        let mut headers: Vec<_> = request.headers().map(|(n, v)| (n.to_owned(), v.expose().to_owned())).collect();
        let at = headers.iter().position(|(name, _)| name == "authorization").expect("it is signed");
        let (_, authorization) = headers.remove(at);
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").expect("the one algorithm");
        let field = |name: &str| {
            fields.split(", ").find_map(|field| field.strip_prefix(&format!("{name}="))).expect("it is there")
        };
        let credential: Vec<&str> = field("Credential").split('/').collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(field("SignedHeaders"), names.join(";"), "every header is signed, in order");
        assert_eq!(headers.iter().find(|(n, _)| n == "host").expect("a host").1, request.host());
        assert_eq!(credential[3..], ["sts", "aws4_request"]);
        let keys = self.keys.lock().expect("unpoisoned");
        let Some(key) = keys.get(credential[0]) else { return answer(403, error_xml("InvalidClientTokenId")) };
        let presented = headers.iter().find(|(name, _)| name == "x-amz-security-token").map(|(_, v)| v.as_str());
        if presented != key.credentials.session_token.as_ref().map(Secret::expose) {
            return answer(403, error_xml("InvalidClientTokenId"));
        }
        let own = signature(key.credentials.secret_access_key.expose(), credential[2], &headers, STS_BODY);
        if own != field("Signature") {
            return answer(403, error_xml("SignatureDoesNotMatch"));
        }
        answer(200, identity_xml(&key.arn, &key.user_id, &key.account))
    }
}

#[async_trait]
impl StsTransport for FakeSts {
    async fn send(&self, request: &StsRequest) -> Result<StsReply, TransportError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.last.lock().expect("unpoisoned") = Some(request.clone());
        if let Some(reply) = self.scripted.lock().expect("unpoisoned").clone() {
            return reply;
        }
        Ok(self.judge(request))
    }
}

pub fn region(name: &str) -> Region {
    Region::named(name).expect("it is in the table")
}

pub fn cluster(name: &str) -> ClusterId {
    ClusterId::parse(&sha256(name)).expect("64 digits")
}

pub const DEPLOY: OperatorRequest<'static> = OperatorRequest {
    method: "POST",
    path: "/v1/deploy",
    query: None,
    content_type: Some("application/json"),
    content_sha256: "8d351289d0186e43b680253128a20d0412ce1b77e001e2b07ce9442066ce0248",
};

/// A verifier of the cluster "a cluster" in us-east-1, and the STS it asks.
pub struct Bench {
    pub sts: Arc<FakeSts>,
    pub verifier: Verifier,
    pub signer: Signer,
}

pub fn bench() -> Bench {
    bench_with(OwnRoles { prefixes: vec!["cortex-prod-".to_owned()], arns: Vec::new() })
}

pub fn bench_with(own_roles: OwnRoles) -> Bench {
    let sts = Arc::new(FakeSts::default());
    let trust = Trust {
        partition: Partition::Aws,
        account: ACCOUNT.to_owned(),
        cluster: cluster("a cluster"),
        regions: vec![region("us-east-1")],
        own_roles,
    };
    let nonces = || Arc::new(MemoryNonces::new(100));
    let verifier = Verifier::new(trust, Arc::clone(&sts) as Arc<dyn StsTransport>, nonces(), nonces());
    let signer = Signer { region: region("us-east-1"), cluster: cluster("a cluster") };
    Bench { sts, verifier, signer }
}

impl Bench {
    pub fn token(&self, credentials: &AwsCredentials, request: &OperatorRequest<'_>) -> Token {
        let signed = self.signer.sign(credentials, request, &Nonce::new([1; 16]), NOW).expect("it signs");
        Token::parse(signed.authorization.expose()).expect("it reads what it writes")
    }
}
