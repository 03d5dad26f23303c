//! Rows 11 to 15, 19 to 25 and 30: who gets in, and who does not.

use std::sync::Arc;

use identity::{
    Role, Secret,
    sts::{
        AwsCredentials, CallerError, Denied, Effect, Nonce, OperatorRequest, OwnRoles, Signer, StsRefusal, Token,
        TransportError, VerifyError,
    },
};
use time::Duration;

use super::fake::{ACCOUNT, Bench, DEPLOY, NOW, answer, bench, bench_with, cluster, error_xml, identity_xml, region};

type Outcome = Result<identity::Principal, VerifyError>;

async fn verify(bench: &Bench, token: &Token) -> Outcome {
    bench.verifier.verify(token, &DEPLOY, Effect::Change, NOW).await.map(|verified| verified.principal)
}

async fn enter(bench: &Bench, credentials: &AwsCredentials) -> Outcome {
    let token = bench.token(credentials, &DEPLOY);
    verify(bench, &token).await
}

#[tokio::test]
async fn row_23_users_and_roles_of_the_account_are_admins() {
    let bench = bench();
    let alice = bench.sts.alice();
    let principal = enter(&bench, &alice).await.expect("she is let in");
    assert_eq!((principal.name.as_str(), principal.role), ("arn:aws:iam::123456789012:user/alice", Role::Admin));
    assert_eq!((principal.id.as_str(), principal.session), ("123456789012/AIDAALICE00000000001", None));

    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let dev = bench.sts.key(&arn, "AROADEV0000000000001:sess1", Some("a+token/=="));
    let principal = enter(&bench, &dev).await.expect("it is let in");
    assert_eq!(principal.to_string(), "arn:aws:iam::123456789012:role/dev (session sess1)");
    assert_eq!((principal.id.as_str(), principal.role), ("123456789012/AROADEV0000000000001", Role::Admin));
}

#[tokio::test]
async fn row_13_every_part_of_the_request_is_bound() {
    let bench = bench();
    let alice = bench.sts.alice();
    let token = bench.token(&alice, &DEPLOY);
    let other_body = "f".repeat(64);
    for (what, request) in [
        ("method", OperatorRequest { method: "DELETE", ..DEPLOY }),
        ("path", OperatorRequest { path: "/v1/deploy2", ..DEPLOY }),
        ("encoding of the path", OperatorRequest { path: "/v1/deplo%79", ..DEPLOY }),
        ("query", OperatorRequest { query: Some("dry_run=false"), ..DEPLOY }),
        ("empty query", OperatorRequest { query: Some(""), ..DEPLOY }),
        ("content type", OperatorRequest { content_type: Some("application/x-tar"), ..DEPLOY }),
        ("no content type", OperatorRequest { content_type: None, ..DEPLOY }),
        ("body", OperatorRequest { content_sha256: &other_body, ..DEPLOY }),
    ] {
        let outcome = bench.verifier.verify(&token, &request, Effect::Change, NOW).await;
        assert_eq!(outcome, Err(VerifyError::Refused(StsRefusal::Signature)), "{what}");
    }
    verify(&bench, &token).await.expect("and unchanged it is let in");
}

#[tokio::test]
async fn rows_11_12_a_signature_is_for_one_cluster() {
    let bench = bench();
    let alice = bench.sts.alice();
    let other = Signer { region: region("us-east-1"), cluster: cluster("another cluster") };
    let signed = other.sign(&alice, &DEPLOY, &Nonce::new([1; 16]), NOW).expect("it signs");
    let token = Token::parse(signed.authorization.expose()).expect("it is well-formed");
    assert_eq!(verify(&bench, &token).await, Err(VerifyError::Refused(StsRefusal::Signature)));
}

#[tokio::test]
async fn row_03_a_signature_for_another_region_does_not_reach_sts() {
    let bench = bench();
    let alice = bench.sts.alice();
    for name in ["eu-west-1", "cn-north-1", "us-gov-west-1"] {
        let signer = Signer { region: region(name), ..bench.signer.clone() };
        let signed = signer.sign(&alice, &DEPLOY, &Nonce::new([1; 16]), NOW).expect("it signs");
        let token = Token::parse(signed.authorization.expose()).expect("it is well-formed");
        assert!(matches!(verify(&bench, &token).await, Err(VerifyError::Region { .. })), "{name}");
    }
    assert_eq!(bench.sts.asked(), 0);
}

#[tokio::test]
async fn row_14_old_and_future_signatures_do_not_reach_sts() {
    let bench = bench();
    let alice = bench.sts.alice();
    let token = bench.token(&alice, &DEPLOY);
    for seconds in [301, 302, 900, 86_400 * 30] {
        let outcome = bench.verifier.verify(&token, &DEPLOY, Effect::Change, NOW + Duration::seconds(seconds)).await;
        assert_eq!(outcome, Err(VerifyError::TooOld { seconds }));
    }
    for seconds in [61, 62, 7200] {
        let outcome = bench.verifier.verify(&token, &DEPLOY, Effect::Change, NOW - Duration::seconds(seconds)).await;
        assert_eq!(outcome, Err(VerifyError::Future { seconds }));
    }
    assert_eq!(bench.sts.asked(), 0);
    for (nonce, seconds) in [(2, 300), (3, -60), (4, 0)] {
        let signed = bench.signer.sign(&alice, &DEPLOY, &Nonce::new([nonce; 16]), NOW).expect("it signs");
        let token = Token::parse(signed.authorization.expose()).expect("it is well-formed");
        let outcome = bench.verifier.verify(&token, &DEPLOY, Effect::Change, NOW + Duration::seconds(seconds)).await;
        outcome.unwrap_or_else(|error| panic!("{seconds} s: {error}"));
    }
}

#[tokio::test]
async fn row_15_a_proof_is_accepted_once() {
    let bench = bench();
    let alice = bench.sts.alice();
    for effect in [Effect::Change, Effect::Read] {
        let token = bench.token(&alice, &DEPLOY);
        bench.verifier.verify(&token, &DEPLOY, effect, NOW).await.expect("the first time");
        for seconds in [0, 1, 299] {
            let outcome = bench.verifier.verify(&token, &DEPLOY, effect, NOW + Duration::seconds(seconds)).await;
            assert_eq!(outcome, Err(VerifyError::Replayed), "{effect:?} after {seconds} s");
        }
        // The same nonce under another request of the same caller is a replay too.
        let other = OperatorRequest { path: "/v1/other", ..DEPLOY };
        let token = bench.token(&alice, &other);
        assert_eq!(bench.verifier.verify(&token, &other, effect, NOW).await, Err(VerifyError::Replayed));
    }
    let bob = bench.sts.key(&format!("arn:aws:iam::{ACCOUNT}:user/bob"), "AIDABOB0000000000001", None);
    enter(&bench, &bob).await.expect("the same nonce of somebody else is another one");
}

#[tokio::test]
async fn row_15_a_refused_signature_uses_up_no_nonce() {
    let bench = bench();
    let alice = bench.sts.alice();
    let token = bench.token(&alice, &DEPLOY);
    let tampered = OperatorRequest { path: "/", ..DEPLOY };
    bench.verifier.verify(&token, &tampered, Effect::Change, NOW).await.expect_err("it was changed");
    verify(&bench, &token).await.expect("the real one is let in");
}

#[tokio::test]
async fn sts_refuses_what_is_not_the_callers() {
    let bench = bench();
    let alice = bench.sts.alice();
    let unknown = AwsCredentials { access_key_id: "AKIDEXAMPLE999999999".to_owned(), ..alice.clone() };
    let wrong = AwsCredentials { secret_access_key: Secret::new("guessed"), ..alice.clone() };
    let extra = AwsCredentials { session_token: Some(Secret::new("x")), ..alice.clone() };
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let dev = bench.sts.key(&arn, "AROADEV0000000000001:sess1", Some("token"));
    let stripped = AwsCredentials { session_token: None, ..dev };
    for (what, credentials, refusal) in [
        ("an unknown key", unknown, StsRefusal::UnknownKey),
        ("a wrong secret", wrong, StsRefusal::Signature),
        ("a session token too many", extra, StsRefusal::UnknownKey),
        ("a session token too few", stripped, StsRefusal::UnknownKey),
    ] {
        assert_eq!(enter(&bench, &credentials).await, Err(VerifyError::Refused(refusal)), "{what}");
    }
    bench.sts.script(Ok(answer(403, error_xml("ExpiredToken"))));
    assert_eq!(enter(&bench, &alice).await, Err(VerifyError::Refused(StsRefusal::Expired)));
}

#[tokio::test]
async fn row_19_other_accounts_and_partitions_are_refused() {
    let bench = bench();
    for arn in [
        "arn:aws:iam::210987654321:user/alice".to_owned(),
        "arn:aws:iam::210987654321:root".to_owned(),
        format!("arn:aws-cn:iam::{ACCOUNT}:user/alice"),
    ] {
        let id = if arn.ends_with("root") { "210987654321" } else { "AIDAALICE00000000001" };
        let credentials = bench.sts.key(&arn, id, None);
        assert_eq!(enter(&bench, &credentials).await, Err(VerifyError::OtherAccount { caller: arn }));
    }
}

#[tokio::test]
async fn row_25_a_role_of_the_same_name_in_another_account_is_somebody_else() {
    let bench = bench();
    let id = "AROADEV0000000000001:sess1";
    let ours = bench.sts.key(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1"), id, Some("t"));
    let theirs =
        bench.sts.key("arn:aws:sts::210987654321:assumed-role/dev/sess1", "AROAEVIL000000000001:sess1", Some("t"));
    enter(&bench, &ours).await.expect("ours is let in");
    assert!(matches!(enter(&bench, &theirs).await, Err(VerifyError::OtherAccount { .. })), "after ours, too");
}

#[tokio::test]
async fn row_22_root_and_federated_users_have_no_role() {
    let bench = bench();
    let root = bench.sts.key(&format!("arn:aws:iam::{ACCOUNT}:root"), ACCOUNT, None);
    assert_eq!(enter(&bench, &root).await, Err(VerifyError::Denied(Denied::Root)));
    let arn = format!("arn:aws:sts::{ACCOUNT}:federated-user/bob");
    let federated = bench.sts.key(&arn, &format!("{ACCOUNT}:bob"), Some("t"));
    assert_eq!(enter(&bench, &federated).await, Err(VerifyError::Denied(Denied::Federated(arn))));
}

#[tokio::test]
async fn row_23_the_clusters_own_roles_have_no_role() {
    let own = OwnRoles {
        prefixes: vec!["cortex-prod-".to_owned()],
        arns: vec![
            format!("arn:aws:iam::{ACCOUNT}:role/some/path/tasks"),
            "arn:aws:iam::210987654321:role/not-ours".to_owned(),
            format!("arn:aws-cn:iam::{ACCOUNT}:role/not-here"),
        ],
    };
    let bench = bench_with(own);
    for (role, own) in [
        ("cortex-prod-control", true),
        ("cortex-prod-", true),
        ("tasks", true),
        ("cortex-production", false),
        ("Cortex-prod-control", false),
        ("my-cortex-prod-control", false),
        ("tasks2", false),
        ("not-ours", false),
        ("not-here", false),
    ] {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/i-0123456789abcdef0");
        let id = "AROADEV0000000000001:i-0123456789abcdef0";
        let keys = bench.sts.key(&arn, id, Some("t"));
        let signed = bench.signer.sign(&keys, &DEPLOY, &Nonce::new(rand(role)), NOW).expect("it signs");
        let token = Token::parse(signed.authorization.expose()).expect("it is well-formed");
        let denied = Err(VerifyError::Denied(Denied::OwnRole(format!("arn:aws:iam::{ACCOUNT}:role/{role}"))));
        let outcome = verify(&bench, &token).await;
        assert!(if own { outcome == denied } else { outcome.is_ok() }, "{role}: {outcome:?}");
    }
}

/// A nonce of its own for each name.
fn rand(name: &str) -> [u8; 16] {
    hex::decode(&super::fake::sha256(name)[..32]).expect("hex").try_into().expect("16 bytes")
}

#[tokio::test]
async fn row_21_a_session_name_cannot_make_a_role_of_another() {
    let bench = bench();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/cortex-prod-control/dev");
    let keys = bench.sts.key(&arn, "AROADEV0000000000001:dev", Some("t"));
    assert!(matches!(enter(&bench, &keys).await, Err(VerifyError::Denied(Denied::OwnRole(_)))));
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/cortex-prod-control");
    let keys = bench.sts.key(&arn, "AROADEV0000000000002:cortex-prod-control", Some("t"));
    enter(&bench, &keys).await.expect("the session's name is nothing to us");
}

#[tokio::test]
async fn row_20_facts_that_contradict_each_other_let_nobody_in() {
    let bench = bench();
    let alice = bench.sts.alice();
    let user = format!("arn:aws:iam::{ACCOUNT}:user/alice");
    for (arn, id, account, error) in [
        (user.as_str(), "AIDAALICE00000000001", "210987654321", CallerError::AccountsDiffer),
        (user.as_str(), "AROADEV0000000000001:x", ACCOUNT, CallerError::UniqueId),
        ("arn:aws:iam::123456789012:role/x", "AROADEV0000000000001", ACCOUNT, CallerError::Arn),
        (user.as_str(), "AIDAALICE00000000001", "12345", CallerError::Account),
    ] {
        bench.sts.script(Ok(answer(200, identity_xml(arn, id, account))));
        assert_eq!(enter(&bench, &alice).await, Err(VerifyError::Unknown(error)), "{arn} {id} {account}");
    }
}

#[tokio::test]
async fn row_30_an_sts_that_fails_lets_nobody_in() {
    let bench = bench();
    let alice = bench.sts.alice();
    let identity = identity_xml(&format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001", ACCOUNT);
    for (what, reply) in [
        ("timeout", Err(TransportError::TooSlow)),
        ("too large", Err(TransportError::TooLarge)),
        ("unreachable", Err(TransportError::Unreachable("refused".to_owned()))),
        ("5xx", Ok(answer(503, identity.clone()))),
        ("throttled", Ok(answer(400, error_xml("Throttling")))),
        ("a redirect", Ok(answer(302, identity.clone()))),
        ("201", Ok(answer(201, identity.clone()))),
        ("a page", Ok(answer(200, "<html></html>"))),
        ("two identities", Ok(answer(200, format!("{identity}{identity}")))),
    ] {
        bench.sts.script(reply);
        let outcome = enter(&bench, &alice).await;
        assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{what}: {outcome:?}");
    }
    *bench.sts.scripted.lock().expect("unpoisoned") = None;
    enter(&bench, &alice).await.expect("none of that used up the nonce");
}

#[tokio::test]
async fn row_24_the_key_id_of_a_token_is_nobodys_identity() {
    // STS says who it is, even if the key id is that of somebody else.
    let bench = bench();
    let alice = bench.sts.alice();
    let eve = identity_xml("arn:aws:iam::210987654321:user/eve", "AIDAEVE0000000000001", "210987654321");
    bench.sts.script(Ok(answer(200, eve)));
    assert!(matches!(enter(&bench, &alice).await, Err(VerifyError::OtherAccount { .. })));
}

#[tokio::test]
async fn of_many_copies_at_once_one_is_accepted() {
    let bench = Arc::new(bench());
    let alice = bench.sts.alice();
    let token = bench.token(&alice, &DEPLOY);
    let copies = (0..32).map(|_| {
        let (bench, token) = (Arc::clone(&bench), token.clone());
        tokio::spawn(async move { verify(&bench, &token).await.is_ok() })
    });
    let mut accepted = 0;
    for copy in copies.collect::<Vec<_>>() {
        accepted += usize::from(copy.await.expect("it does not panic"));
    }
    assert_eq!(accepted, 1);
}
