//! Rows 1, 2 and 9: one wire form, bounded, and nothing else parses.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::sts::{SCHEME, Token, TokenError};

const KEY: &str = "AKIDEXAMPLE000000001";
const NONCE: &str = "000102030405060708090a0b0c0d0e0f";
const SIGNATURE: &str = "a5891f7e6a33fb9625431fef402e57070ddea8057412685d5b8087cd6aa0755d";

fn header(json: &str) -> String {
    format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(json))
}

/// The good token with one field's JSON replaced; `""` takes the field out.
fn json(field: &str, value: &str) -> String {
    let date = "\"20260131T235959Z\"".to_owned();
    let quoted = |text: &str| format!("\"{text}\"");
    let mut fields = vec![
        ("access_key_id", quoted(KEY)),
        ("date", date),
        ("nonce", quoted(NONCE)),
        ("region", quoted("us-east-1")),
        ("session_token", quoted("FwoGZXIvYXdzEXAMPLE/token+with==")),
        ("signature", quoted(SIGNATURE)),
    ];
    for (name, text) in &mut fields {
        if *name == field {
            value.clone_into(text);
        }
    }
    let members: Vec<String> =
        fields.iter().filter(|(_, v)| !v.is_empty()).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn parse(json: &str) -> Result<Token, TokenError> {
    Token::parse(&header(json))
}

#[test]
fn a_good_token_is_read() {
    let token = parse(&json("", "")).expect("it is good");
    assert_eq!((token.access_key_id(), token.region().name()), (KEY, "us-east-1"));
    assert_eq!(token.signed_at().unix_timestamp(), 1_769_903_999);
    parse(&json("session_token", "")).expect("long-lived keys have no session token");
}

#[test]
fn row_01_everything_has_a_limit() {
    let token = |length: usize| json("session_token", &format!("\"{}\"", "x".repeat(length)));
    parse(&token(5500)).expect("the longest token that is taken");
    assert_eq!(parse(&token(5501)), Err(TokenError::Field("session_token")));
    assert_eq!(parse(&token(6000)), Err(TokenError::TooLong));
    assert_eq!(Token::parse(&format!("{SCHEME} {}", "A".repeat(1 << 20))), Err(TokenError::TooLong));
    assert_eq!(
        parse(&json("access_key_id", &format!("\"{}\"", "A".repeat(129)))),
        Err(TokenError::Field("access_key_id"))
    );
}

#[test]
fn row_02_prefix_and_encoding_are_strict() {
    let good = header(&json("", ""));
    let encoded = good.strip_prefix("Cortex-V1 ").expect("the scheme");
    for scheme in ["cortex-v1 ", "Cortex-V2 ", "Cortex-V1  ", "Cortex-V1\t", " Cortex-V1 ", "Bearer ", "Cortex-V1", ""]
    {
        let outcome = Token::parse(&format!("{scheme}{encoded}"));
        assert!(matches!(outcome, Err(TokenError::Scheme | TokenError::Encoding)), "{scheme:?}: {outcome:?}");
    }
    for text in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}+"),
        format!("{good}%20"),
        format!("{SCHEME} /{}", &encoded[1..]),
        format!("{good},{encoded}"),
        format!("{SCHEME} ü"),
    ] {
        assert_eq!(Token::parse(&text), Err(TokenError::Encoding), "{text}");
    }
    assert_eq!(Token::parse(&format!("{SCHEME} ")), Err(TokenError::Json));
}

#[test]
fn row_02_the_json_has_one_form() {
    let good = json("", "");
    let field = |name: &str, value: &str| format!("\"{name}\":{value}");
    let key = field("access_key_id", &format!("\"{KEY}\""));
    for (what, text) in [
        ("white space", good.replacen(':', ": ", 1)),
        ("white space around", format!(" {good}")),
        ("an escape", good.replacen("AKID", "\\u0041KID", 1)),
        ("an escaped slash", good.replacen("EXAMPLE/", "EXAMPLE\\/", 1)),
        ("another order", good.replacen(&format!("{key},"), "", 1).replacen('}', &format!(",{key}}}"), 1)),
        ("null for absent", json("session_token", "null")),
    ] {
        assert_eq!(parse(&text), Err(TokenError::Form), "{what}: {text}");
    }
    for (what, text) in [
        ("a duplicate key", good.replacen(&key, &format!("{key},{key}"), 1)),
        ("a duplicate key in other case", good.replacen(&key, &format!("\"Access_Key_Id\":\"x\",{key}"), 1)),
        ("an unknown key", good.replacen('{', "{\"url\":\"https://sts.amazonaws.com\",", 1)),
        ("an array", format!("[\"{KEY}\",\"20260131T235959Z\",\"{NONCE}\",\"us-east-1\",null,\"{SIGNATURE}\"]x")),
        ("two documents", format!("{good}{good}")),
        ("a missing field", json("signature", "")),
        ("a number", json("access_key_id", "1")),
        ("an object", json("nonce", "{}")),
        ("a lone surrogate", json("access_key_id", "\"\\ud800\"")),
        ("a string", "\"x\"".to_owned()),
        ("nothing", String::new()),
        ("deep nesting", "[".repeat(3000)),
    ] {
        assert_eq!(parse(&text), Err(TokenError::Json), "{what}: {text}");
    }
    let array = format!("[\"{KEY}\",\"20260131T235959Z\",\"{NONCE}\",\"us-east-1\",null,\"{SIGNATURE}\"]");
    assert!(parse(&array).is_err(), "an array for an object");
    assert_eq!(Token::parse(&format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(b"{\"\xff\":1}"))), Err(TokenError::Json));
}

#[test]
fn row_09_every_field_has_its_form() {
    let cases: [(&'static str, &[&str]); 5] = [
        (
            "access_key_id",
            &[
                "",
                "AKID",
                "akidexample000000001",
                "AKIDEXAMPLE00000000/",
                "AKIDEXAMPLE00000000 ",
                "AKIDEXAMPLE0000000é",
                "AKIDEXAMPLE000000001/20260131/us-east-1/iam/aws4_request",
                "AKIDEXAMPLE00000,Signature=0",
            ],
        ),
        (
            "session_token",
            &["", "with space", "with,comma", "with\\r\\nx-amz-date: 1", "ü", "a%2Bb", "a;b", "a\\u0000b"],
        ),
        (
            "signature",
            &[
                "",
                "A5891F7E6A33FB9625431FEF402E57070DDEA8057412685D5B8087CD6AA0755D",
                "a5891f7e",
                "a5891f7e6a33fb9625431fef402e57070ddea8057412685d5b8087cd6aa0755dd",
                "g5891f7e6a33fb9625431fef402e57070ddea8057412685d5b8087cd6aa0755d",
            ],
        ),
        (
            "date",
            &["", "20260131", "2026-01-31T23:59:59Z", "20260131T235959", "20260231T000000Z", "now", "20260131T235959z"],
        ),
        ("nonce", &["", "00", "000102030405060708090A0B0C0D0E0F", "000102030405060708090a0b0c0d0e0f00", "-"]),
    ];
    for (field, values) in cases {
        for value in values {
            let outcome = parse(&json(field, &format!("\"{value}\"")));
            assert!(
                matches!(outcome, Err(TokenError::Field(name)) if name == field) || outcome == Err(TokenError::Form),
                "{field} = {value:?}: {outcome:?}"
            );
        }
    }
    for region in ["us-attacker-1", "", "US-EAST-1", "us-east-1.attacker.example", "127.0.0.1", "us-east-1/"] {
        assert_eq!(parse(&json("region", &format!("\"{region}\""))), Err(TokenError::Region), "{region:?}");
    }
}
