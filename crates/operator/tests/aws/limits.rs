//! Junk does not become load on STS, and does not lock anybody out.

use http::StatusCode;
use identity::{Secret, sts::AwsCredentials};
use operator::Budgets;

use crate::{
    door::{Call, Door},
    scripted_sts::Mood,
};

#[tokio::test(flavor = "multi_thread")]
async fn row_26_well_formed_junk_reaches_sts_within_the_budget() {
    let budgets = Budgets::default();
    let door = Door::open_with(budgets).await;
    let alice = door.sts.alice();
    let good = || door.signed(&alice, Call::info());
    assert_eq!(door.send(&good()).await.status, StatusCode::OK);
    let (mut refused, mut limited) = (0, 0);
    for number in 0..400 {
        let junk = AwsCredentials {
            access_key_id: format!("AKIDJUNK{:012}", number % 7),
            secret_access_key: Secret::new("guessed"),
            session_token: None,
        };
        // Lies about where it comes from change nothing.
        let call = door
            .signed(&junk, Call::info())
            .with(http::HeaderName::from_static("x-forwarded-for"), &format!("192.0.2.{}", number % 250));
        match door.refused("junk", &call).await {
            (StatusCode::UNAUTHORIZED, _) => refused += 1,
            (StatusCode::TOO_MANY_REQUESTS, kind) => {
                assert_eq!(kind, "too_many_requests");
                limited += 1;
            }
            other => panic!("{other:?}"),
        }
        if number % 40 == 0 {
            assert_eq!(door.send(&good()).await.status, StatusCode::OK, "the good caller after {number} of junk");
        }
    }
    let asked = door.sts.seen().iter().filter(|seen| seen.headers.iter().any(|(_, v)| v.contains("AKIDJUNK"))).count();
    assert_eq!(asked, refused);
    assert!(limited > 0, "{refused} refused, {limited} limited");
    // The burst, and what flowed in while the test ran: at one a second that takes a slow machine a while to double.
    assert!(asked < 2 * budgets.per_address.burst as usize, "{asked} reached STS");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_26_junk_that_names_a_victims_key_stays_within_the_budget() {
    let budgets = Budgets::default();
    let door = Door::open_with(budgets).await;
    let alice = door.sts.alice();
    let forged = AwsCredentials { secret_access_key: Secret::new("guessed"), ..alice.clone() };
    let mut limited = 0;
    for _ in 0..200 {
        let (status, _) = door.refused("forged", &door.signed(&forged, Call::info())).await;
        limited += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(limited > 0 && door.sts.asked() < 2 * budgets.per_address_and_key.burst as usize, "{}", door.sts.asked());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_26_good_callers_are_not_limited_by_how_much_they_ask() {
    let door = Door::open_with(Budgets::default()).await;
    let alice = door.sts.alice();
    for number in 0..150 {
        let answer = door.send(&door.signed(&alice, Call::info())).await;
        assert_eq!(answer.status, StatusCode::OK, "request {number}");
    }
    assert_eq!(door.sts.asked(), 150, "every request is proved anew");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_sts_is_not_hammered() {
    let budgets = Budgets::default();
    let door = Door::open_with(budgets).await;
    let alice = door.sts.alice();
    door.sts.set(Mood::Says(Vec::new()));
    for _ in 0..100 {
        let (status, _) = door.refused("failing", &door.signed(&alice, Call::info())).await;
        assert!([StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status), "{status}");
    }
    assert!(door.sts.asked() < 2 * budgets.per_address_and_key.burst as usize, "{}", door.sts.asked());
    door.close().await;
}
