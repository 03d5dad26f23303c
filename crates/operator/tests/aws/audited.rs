//! What is written down of every request.

use api::wire::{AuditEvent, AuditOutcome, AuditReply, AuditVia};
use http::{Method, StatusCode, header};
use identity::{Role, sts::AccessRule};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    door::{Call, Door},
    scripted_sts::ACCOUNT,
};

async fn events(door: &Door, keys: &identity::sts::AwsCredentials) -> Vec<AuditEvent> {
    let since = (OffsetDateTime::now_utc() - Duration::HOUR).format(&Rfc3339).expect("a date");
    let call = Call { query: Some(format!("since={since}")), ..Call::new(Method::GET, "/v1/audit") };
    let answer = door.send(&door.signed(keys, call)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice::<AuditReply>(&answer.body).expect("events").events
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_and_who_was_not_let_is_told() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let dev = door.sts.key(&arn, "AROADEV0000000000001:sess1", Some("token"));
    let rule = |resource: &str, role| AccessRule {
        principal: format!("arn:aws:iam::{ACCOUNT}:{resource}"),
        unique_id: None,
        role,
    };
    door.rules(vec![rule("user/alice", Role::Admin), rule("role/dev", Role::Read)]).await;

    let answer = door.send(&door.signed(&alice, Call::new(Method::POST, "/v1/session"))).await;
    let session: api::wire::SessionReply = serde_json::from_slice(&answer.body).expect("a session");
    for _ in 0..20 {
        let call = Call::info().with(header::AUTHORIZATION, &format!("Cortex-Session {}", session.token));
        assert_eq!(door.send(&call).await.status, StatusCode::OK);
    }
    door.refused("no bundle", &door.signed(&alice, Call::deploy())).await;
    door.refused("no bundle", &door.signed(&alice, Call::deploy())).await;
    door.refused("not enough", &door.signed(&dev, Call::deploy())).await;
    for path in ["/v1/apis/iris", "/v1/apis/rose", "/v1/apis/a-stranger-wrote-this"] {
        door.refused("a stranger", &Call::new(Method::GET, path)).await;
    }

    let events = events(&door, &alice).await;
    let of = |outcome: AuditOutcome, method: &str, path: &str| {
        let same = |event: &&AuditEvent| {
            (event.outcome, event.method.as_str(), event.path.as_str()) == (outcome, method, path)
        };
        events.iter().filter(same).cloned().collect::<Vec<_>>()
    };
    let deploys = of(AuditOutcome::Allowed, "POST", "/v1/deploy");
    assert_eq!(deploys.len(), 2, "changes are never merged: {events:#?}");
    let by = deploys[0].principal.as_ref().expect("it is known");
    assert_eq!((by.name.as_str(), by.role), ("arn:aws:iam::123456789012:user/alice", Role::Admin));
    assert_eq!((by.id.as_str(), deploys[0].status), ("123456789012/AIDAALICE00000000001", Some(400)));
    assert_eq!((deploys[0].peer.as_str(), deploys[0].via), ("127.0.0.1", Some(AuditVia::Proof)));
    assert!(!deploys[0].request_id.is_empty());

    let looks = of(AuditOutcome::Allowed, "GET", "/v1/info");
    assert_eq!(looks.iter().map(|event| event.count).sum::<u64>(), 20);
    assert!(looks.len() < 20 && looks.iter().all(|event| event.via == Some(AuditVia::Session)), "{looks:#?}");

    let denied = of(AuditOutcome::Denied, "POST", "/v1/deploy");
    let [denied] = denied.as_slice() else { panic!("{events:#?}") };
    let by = denied.principal.as_ref().expect("it is known");
    assert_eq!((by.name.as_str(), by.session.as_deref()), ("arn:aws:iam::123456789012:role/dev", Some("sess1")));
    assert_eq!(denied.status, Some(403));

    let strangers = of(AuditOutcome::Unauthenticated, "GET", "/v1/apis/{name}");
    assert_eq!(strangers.iter().map(|event| event.count).sum::<u64>(), 3);
    let text = serde_json::to_string(&events).expect("JSON");
    for secret in [session.token.as_str(), "a-stranger-wrote-this", alice.secret_access_key.expose()] {
        assert!(!text.contains(secret), "{secret} is in the audit");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_read_it_and_what_was_done_last_survives_a_stop() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let call = Call { query: Some("since=2026-01-01T00:00:00Z".to_owned()), ..Call::new(Method::GET, "/v1/audit") };
    let reader =
        AccessRule { principal: format!("arn:aws:iam::{ACCOUNT}:user/*"), unique_id: None, role: Role::Deploy };
    door.rules(vec![reader]).await;
    assert_eq!(door.refused("deploy", &door.signed(&alice, call.clone())).await.0, StatusCode::FORBIDDEN);
    let bad = Call { query: Some("since=yesterday".to_owned()), ..call };
    door.rules(vec![AccessRule {
        principal: format!("arn:aws:iam::{ACCOUNT}:user/*"),
        unique_id: None,
        role: Role::Admin,
    }])
    .await;
    assert_eq!(door.refused("bad", &door.signed(&alice, bad)).await.0, StatusCode::BAD_REQUEST);
    door.refused("no bundle", &door.signed(&alice, Call::deploy())).await;
    let state = std::sync::Arc::clone(&door.state);
    door.close().await;
    let mut lines = String::new();
    for entry in state.list("audit/").await.expect("it works") {
        let document = state.get(&entry.key).await.expect("it works").expect("it is there");
        lines += std::str::from_utf8(&document.bytes).expect("text");
    }
    let events: Vec<AuditEvent> = lines.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert!(events.iter().any(|event| event.path == "/v1/deploy" && event.changes()), "{events:#?}");
}
