//! Rows 20 and 23: what `operator_access` says of a caller.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use identity::{
    Role,
    sts::{AccessRule, AccessSource, Denied, Effect, Nonce, OperatorAccess, Token, VerifyError},
};

use super::fake::{ACCOUNT, Bench, DEPLOY, NOW, bench};

struct Ruled(Mutex<Result<OperatorAccess, String>>);

#[async_trait]
impl AccessSource for Ruled {
    async fn access(&self) -> Result<OperatorAccess, String> {
        self.0.lock().expect("unpoisoned").clone()
    }
}

fn rule(principal: &str, role: Role) -> AccessRule {
    let principal = format!("arn:aws:iam::{ACCOUNT}:{principal}");
    AccessRule { principal, unique_id: None, role }
}

fn ruled(rules: &[AccessRule]) -> (Bench, Arc<Ruled>) {
    let access = OperatorAccess::Rules { rules: rules.to_vec() };
    let source = Arc::new(Ruled(Mutex::new(Ok(access))));
    let mut bench = bench();
    bench.verifier = bench.verifier.ruled_by(Arc::clone(&source) as Arc<dyn AccessSource>);
    (bench, source)
}

/// The role of the caller with that ARN (after the account) and id, or why it has none.
async fn role_of(bench: &Bench, resource: &str, id: &str) -> Result<Role, VerifyError> {
    let service = if resource.starts_with("assumed-role") { "sts" } else { "iam" };
    let arn = format!("arn:aws:{service}::{ACCOUNT}:{resource}");
    let keys = bench.sts.key(&arn, id, None);
    let signed = bench.signer.sign(&keys, &DEPLOY, &Nonce::new(rand::random()), NOW).expect("it signs");
    let token = Token::parse(signed.authorization.expose()).expect("it reads what it writes");
    let verified = bench.verifier.verify(&token, &DEPLOY, Effect::Read, NOW).await;
    verified.map(|verified| verified.principal.role)
}

const ALICE: &str = "AIDAALICE00000000001";
const DEV: &str = "AROADEV0000000000001:sess1";

#[tokio::test]
async fn row_23_the_first_rule_that_matches_decides() {
    let (bench, _) = ruled(&[
        rule("user/alice", Role::Read),
        rule("user/ops/*", Role::Admin),
        rule("role/team/dev", Role::Deploy),
        rule("role/ci-*", Role::Deploy),
        rule("user/*", Role::Read),
        rule("user/bob", Role::Admin),
    ]);
    for (resource, id, role) in [
        ("user/alice", ALICE, Role::Read),
        ("user/ops/carol", ALICE, Role::Admin),
        ("user/bob", ALICE, Role::Read),
        ("assumed-role/dev/sess1", DEV, Role::Deploy),
        ("assumed-role/ci-main/sess1", DEV, Role::Deploy),
    ] {
        assert_eq!(role_of(&bench, resource, id).await, Ok(role), "{resource}");
    }
    for resource in ["assumed-role/developers/sess1", "assumed-role/de/sess1", "assumed-role/xci-main/sess1"] {
        let refused = role_of(&bench, resource, DEV).await;
        assert!(matches!(refused, Err(VerifyError::Denied(Denied::NoRule(_)))), "{resource}: {refused:?}");
    }
}

#[tokio::test]
async fn row_23_a_rule_of_another_account_or_kind_or_case_names_nobody_here() {
    let (bench, _) = ruled(&[
        AccessRule { principal: "arn:aws:iam::999999999999:user/alice".to_owned(), unique_id: None, role: Role::Admin },
        AccessRule { principal: "arn:aws:iam::999999999999:user/*".to_owned(), unique_id: None, role: Role::Admin },
        AccessRule { principal: format!("arn:aws-cn:iam::{ACCOUNT}:user/alice"), unique_id: None, role: Role::Admin },
        rule("role/alice", Role::Admin),
        rule("user/Alice", Role::Admin),
        rule("user/path/alice", Role::Admin),
        rule("user/alice/", Role::Admin),
    ]);
    let refused = role_of(&bench, "user/alice", ALICE).await;
    assert!(matches!(refused, Err(VerifyError::Denied(Denied::NoRule(_)))), "{refused:?}");
}

#[tokio::test]
async fn row_20_who_was_made_anew_under_an_old_name_is_somebody_else() {
    let of = |unique_id: &str, rule: AccessRule| AccessRule { unique_id: Some(unique_id.to_owned()), ..rule };
    let alice = of("AIDAALICE00000000001", rule("user/alice", Role::Admin));
    let dev = of("AROADEV0000000000001", rule("role/dev", Role::Admin));
    let (bench, _) = ruled(&[alice.clone(), dev.clone()]);
    assert_eq!(role_of(&bench, "user/alice", ALICE).await, Ok(Role::Admin));
    assert_eq!(role_of(&bench, "assumed-role/dev/sess1", DEV).await, Ok(Role::Admin));
    for (resource, id) in [
        ("user/alice", "AIDAALICE00000000002"),
        ("assumed-role/dev/sess1", "AROADEV0000000000002:sess1"),
        // Nor is it enough to have the old role's id as the name of the session.
        ("assumed-role/dev/AROADEV0000000000001", "AROADEV0000000000002:AROADEV0000000000001"),
    ] {
        let refused = role_of(&bench, resource, id).await;
        assert!(matches!(refused, Err(VerifyError::Denied(Denied::Namesake(_)))), "{resource} {id}: {refused:?}");
    }
    // For a rule that names everybody, everybody is who they are.
    let (bench, _) = ruled(&[alice, rule("user/*", Role::Read)]);
    assert_eq!(role_of(&bench, "user/alice", "AIDAALICE00000000002").await, Ok(Role::Read));
}

#[tokio::test]
async fn row_22_no_rule_lets_in_root_federated_users_or_the_clusters_own_roles() {
    let everybody = AccessRule { principal: "*".to_owned(), unique_id: None, role: Role::Admin };
    let (bench, _) = ruled(&[everybody, rule("role/*", Role::Admin)]);
    for (resource, id) in [
        ("root", ACCOUNT),
        ("assumed-role/cortex-prod-control/i-0123456789abcdef0", "AROADEV0000000000001:i-0123456789abcdef0"),
    ] {
        let refused = role_of(&bench, resource, id).await;
        assert!(matches!(refused, Err(VerifyError::Denied(_))), "{resource}: {refused:?}");
    }
}

#[tokio::test]
async fn row_30_rules_that_cannot_be_read_let_nobody_in() {
    let (bench, source) = ruled(&[rule("user/*", Role::Admin)]);
    assert_eq!(role_of(&bench, "user/alice", ALICE).await, Ok(Role::Admin));
    *source.0.lock().expect("unpoisoned") = Err("the bucket is gone".to_owned());
    let refused = role_of(&bench, "user/bob", ALICE).await;
    assert_eq!(refused, Err(VerifyError::Unavailable("the bucket is gone".to_owned())));
    *source.0.lock().expect("unpoisoned") = Ok(OperatorAccess::Rules { rules: Vec::new() });
    assert!(matches!(role_of(&bench, "user/eve", ALICE).await, Err(VerifyError::Denied(Denied::NoRule(_)))));
}
