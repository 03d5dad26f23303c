//! Sessions: one proof of identity for many looks, and never for more than looking.

use http::{Method, StatusCode, header};
use identity::{Role, sts::AccessRule};

use crate::{
    door::{Call, Door},
    scripted_sts::ACCOUNT,
};

const UNAUTHORIZED: (StatusCode, &str) = (StatusCode::UNAUTHORIZED, "unauthenticated");

async fn session(door: &Door, keys: &identity::sts::AwsCredentials) -> String {
    let answer = door.send(&door.signed(keys, Call::new(Method::POST, "/v1/session"))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let reply: api::wire::SessionReply = serde_json::from_slice(&answer.body).expect("a session");
    reply.token
}

fn with(call: Call, token: &str) -> Call {
    call.with(header::AUTHORIZATION, &format!("Cortex-Session {token}"))
}

fn rule(principal: &str, role: Role) -> AccessRule {
    AccessRule { principal: format!("arn:aws:iam::{ACCOUNT}:{principal}"), unique_id: None, role }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_looks_without_asking_sts_and_does_nothing_else() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let token = session(&door, &alice).await;
    let asked = door.sts.asked();
    for _ in 0..50 {
        let answer = door.send(&with(Call::info(), &token)).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(door.send(&with(Call::new(Method::GET, "/v1/apis"), &token)).await.status, StatusCode::OK);
    assert_eq!(door.sts.asked(), asked, "STS was asked for a session");
    for &endpoint in api::Endpoint::ALL {
        let looks = endpoint.access() == api::Access::Read && !endpoint.changes();
        if looks || endpoint.access() == api::Access::Public {
            continue;
        }
        let call = with(Call::new(endpoint.method(), &endpoint.path_with(&["iris"])), &token);
        let (status, kind) = door.refused(&format!("{endpoint:?}"), &call).await;
        assert_eq!((status, kind.as_str()), UNAUTHORIZED, "{endpoint:?}");
    }
    assert_eq!(door.sts.asked(), asked);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_holds_at_once_for_sessions_too() {
    let door = Door::open().await;
    let (alice, info) = (door.sts.alice(), Call::info());
    let token = session(&door, &alice).await;
    let signed = || door.signed(&alice, Call::info());
    assert_eq!(door.send(&with(info.clone(), &token)).await.status, StatusCode::OK);

    door.rules(vec![rule("user/bob", Role::Admin)]).await;
    assert_eq!(door.refused("session", &with(info.clone(), &token)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(door.refused("proof", &signed()).await.0, StatusCode::FORBIDDEN);

    door.rules(vec![rule("user/alice", Role::Read)]).await;
    assert_eq!(door.send(&with(info.clone(), &token)).await.status, StatusCode::OK);
    let deploy = door.signed(&alice, Call::deploy());
    assert_eq!(door.refused("deploy", &deploy).await, (StatusCode::FORBIDDEN, "forbidden".to_owned()));
    let key = door.signed(&alice, Call::new(Method::GET, "/v1/api-key"));
    assert_eq!(door.refused("key", &key).await.0, StatusCode::FORBIDDEN);

    door.rules(vec![rule("user/alice", Role::Deploy)]).await;
    let deploy = door.signed(&alice, Call::deploy());
    assert_eq!(door.refused("deploy", &deploy).await.1, "deploy.empty", "the door let it through");
    let key = door.signed(&alice, Call::new(Method::GET, "/v1/api-key"));
    assert_eq!(door.refused("key", &key).await.0, StatusCode::FORBIDDEN);

    // Who comes with the name of somebody who is gone has neither the rule nor the session.
    let old = AccessRule { unique_id: Some("AIDAALICE00000000009".to_owned()), ..rule("user/alice", Role::Admin) };
    door.rules(vec![old]).await;
    assert_eq!(door.refused("session", &with(info, &token)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(door.refused("proof", &signed()).await.0, StatusCode::FORBIDDEN);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_gone_or_damaged_let_nobody_in() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let token = session(&door, &alice).await;
    for damage in [true, false] {
        if damage {
            let bytes = bytes::Bytes::from_static(b"{\"of\":\"everybody\"}");
            let id = state::WriteId::new();
            door.state.put("config/access.json", bytes, &state::Expect::Anything, &id).await.expect("it works");
        } else {
            door.state.delete("config/access.json", &state::Expect::Anything).await.expect("it works");
        }
        let session = with(Call::info(), &token);
        assert_eq!(door.refused("session", &session).await.0, StatusCode::SERVICE_UNAVAILABLE);
        let proof = door.signed(&alice, Call::info());
        assert_eq!(door.refused("proof", &proof).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_a_cluster_take_each_others_sessions_and_strangers_are_refused() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let token = session(&door, &alice).await;
    let authority = transport::Authority::generate("test", time::OffsetDateTime::now_utc()).expect("an authority");
    let second = door.second(&std::sync::Arc::new(authority)).await;
    assert_eq!(second.send(&with(Call::info(), &token)).await.status, StatusCode::OK);
    let other = Door::open().await;
    for (what, call) in [
        ("of another cluster", with(Call::info(), &token)),
        ("empty", with(Call::info(), "")),
        ("junk", with(Call::info(), "ctxses_e30.AAAA")),
        ("twice", with(Call::info(), &token).and(header::AUTHORIZATION, &format!("Cortex-Session {token}"))),
        ("as a bearer", Call::info().with(header::AUTHORIZATION, &format!("Bearer {token}"))),
    ] {
        let (status, kind) = other.refused(what, &call).await;
        assert_eq!((status, kind.as_str()), UNAUTHORIZED, "{what}");
    }
    assert_eq!(other.sts.asked(), 0);
    second.close().await;
    door.close().await;
    other.close().await;
}
