//! The parsers against whatever comes: they never panic, and never accept what was changed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{
    Secret,
    sts::{AwsCredentials, Caller, Identity, Nonce, Token, read_reply},
};
use proptest::prelude::*;
use time::Duration;

use super::fake::{ACCOUNT, DEPLOY, NOW, answer, bench, error_xml, identity_xml};

/// A change at one place: a byte replaced, inserted or taken away.
fn mutate(bytes: &[u8], at: usize, byte: u8, how: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at % bytes.len();
    match how % 3 {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        _ => drop(bytes.remove(at)),
    }
    bytes
}

fn header(random: [u8; 16], token: Option<String>, age: i64) -> String {
    let keys = AwsCredentials {
        access_key_id: "AKIDEXAMPLE000000001".to_owned(),
        secret_access_key: Secret::new("nobody's"),
        session_token: token.map(Secret::new),
    };
    let at = NOW - Duration::seconds(age);
    let signed = bench().signer.sign(&keys, &DEPLOY, &Nonce::new(random), at).expect("it signs");
    signed.authorization.expose().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_without_panic(text in ".{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Token::parse(&text);
        let _ = Token::parse(&format!("Cortex-V1 {text}"));
        let _ = Token::parse(&format!("Cortex-V1 {}", URL_SAFE_NO_PAD.encode(&bytes)));
        let _ = read_reply(&answer(200, bytes.clone()));
        let _ = read_reply(&answer(403, bytes));
    }

    #[test]
    fn any_facts_are_read_without_panic(arn in "(arn:aws:(iam|sts)::)?[ -~]{0,60}", id in "[ -~]{0,40}", account in "[ -~]{0,14}") {
        let _ = Caller::read(&Identity { arn, user_id: id, account });
    }

    #[test]
    fn a_token_survives_the_way_and_has_one_form(random in any::<[u8; 16]>(), token in proptest::option::of("[A-Za-z0-9+/=]{1,600}"), age in 0i64..100_000) {
        let header = header(random, token, age);
        let parsed = Token::parse(&header).expect("what is written is read");
        prop_assert_eq!(parsed.signed_at(), NOW - Duration::seconds(age));
    }

    /// Whatever is still a token after a change is another token: no two headers mean the same.
    #[test]
    fn a_changed_header_is_never_the_same_token(random in any::<[u8; 16]>(), at in any::<usize>(), byte in any::<u8>(), how in any::<u8>()) {
        let header = header(random, Some("FwoGZXIvYXdz+/==".to_owned()), 0);
        let original = Token::parse(&header).expect("it is good");
        let Ok(changed) = String::from_utf8(mutate(header.as_bytes(), at, byte, how)) else { return Ok(()) };
        if changed != header && let Ok(parsed) = Token::parse(&changed) {
            prop_assert_ne!(parsed, original);
        }
    }

    #[test]
    fn changed_json_is_never_the_same_token(at in any::<usize>(), byte in any::<u8>(), how in any::<u8>()) {
        let header = header([7; 16], None, 0);
        let original = Token::parse(&header).expect("it is good");
        let json = URL_SAFE_NO_PAD.decode(header.trim_start_matches("Cortex-V1 ")).expect("base64url");
        let changed = mutate(&json, at, byte, how);
        if changed != json && let Ok(parsed) = Token::parse(&format!("Cortex-V1 {}", URL_SAFE_NO_PAD.encode(&changed))) {
            prop_assert_ne!(parsed, original);
        }
    }

    /// Only white space and the request id may differ without a different outcome.
    #[test]
    fn a_changed_reply_is_refused_or_says_something_else(at in any::<usize>(), byte in any::<u8>(), how in any::<u8>()) {
        let good = identity_xml(&format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001", ACCOUNT);
        let original = read_reply(&answer(200, good.clone())).expect("it is good");
        let changed = mutate(good.as_bytes(), at, byte, how);
        let meaning = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let text = text.split("<RequestId>").next().unwrap_or_default().to_owned();
            text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>()
        };
        if meaning(&changed) != meaning(good.as_bytes()) && let Ok(identity) = read_reply(&answer(200, changed)) {
            prop_assert_ne!(identity, original);
        }
    }

    #[test]
    fn no_error_document_is_an_identity(status in 201u16..600, at in any::<usize>(), byte in any::<u8>(), how in any::<u8>()) {
        let body = mutate(error_xml("InvalidClientTokenId").as_bytes(), at, byte, how);
        prop_assert!(read_reply(&answer(status, body.clone())).is_err());
        prop_assert!(read_reply(&answer(200, body)).is_err());
    }

    /// What is read from an ARN says exactly that ARN again, for users; and a changed ARN is another caller or none.
    #[test]
    fn a_user_arn_is_read_and_written_alike(path in "(/[a-z0-9+=,.@_-]{1,10}){0,3}/", name in "[A-Za-z0-9+=,.@_-]{1,64}", at in any::<usize>(), byte in 32u8..127, how in any::<u8>()) {
        let arn = format!("arn:aws:iam::{ACCOUNT}:user{path}{name}");
        let read = |arn: String| Caller::read(&Identity { arn, user_id: "AIDAALICE00000000001".to_owned(), account: ACCOUNT.to_owned() });
        let caller = read(arn.clone()).expect("it is good");
        prop_assert_eq!(caller.arn(), arn.clone());
        let changed = String::from_utf8(mutate(arn.as_bytes(), at, byte, how)).expect("ASCII");
        if changed != arn && let Ok(other) = read(changed.clone()) {
            prop_assert_ne!(&other, &caller);
            prop_assert_eq!(other.arn(), changed);
        }
    }
}
