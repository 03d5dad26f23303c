//! Rows 1 and 18: one document makes an identity; errors of the caller are told from failures of STS.

use identity::sts::{Identity, MAX_REPLY_BYTES, ReplyError, StsRefusal, StsReply, read_reply};

use super::fake::{ACCOUNT, answer, error_xml, identity_xml};

const ARN: &str = "arn:aws:iam::123456789012:user/alice";
const ID: &str = "AIDAALICE00000000001";

fn good() -> String {
    identity_xml(ARN, ID, ACCOUNT)
}

fn is_nonsense(reply: &StsReply) -> bool {
    matches!(read_reply(reply), Err(ReplyError::Nonsense(_)))
}

#[test]
fn row_18_the_documented_answer_is_read() {
    let expected = Identity { arn: ARN.to_owned(), user_id: ID.to_owned(), account: ACCOUNT.to_owned() };
    let compact = good().replace("\n", "").replace("  ", "");
    let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{compact}");
    for text in [good(), compact, declared] {
        assert_eq!(read_reply(&answer(200, text.clone())), Ok(expected.clone()), "{text}");
    }
    for content_type in ["text/xml", "text/xml;charset=UTF-8", "text/xml; charset=utf-8"] {
        let reply = StsReply { content_type: Some(content_type.to_owned()), ..answer(200, good()) };
        assert_eq!(read_reply(&reply), Ok(expected.clone()));
    }
}

#[test]
fn row_18_only_status_200_and_text_xml() {
    for content_type in
        [None, Some(""), Some("text/html"), Some("application/xml"), Some("application/json"), Some("text/xml2")]
    {
        let reply = StsReply { content_type: content_type.map(str::to_owned), ..answer(200, good()) };
        assert!(is_nonsense(&reply), "{content_type:?}");
    }
    for status in [0, 100, 101, 199, 201, 202, 203, 204, 206, 299, 300, 301, 302, 303, 304, 307, 308, 399, 600, 999] {
        assert!(is_nonsense(&answer(status, good())), "{status}");
    }
    for status in [400, 401, 403, 404, 418] {
        assert!(is_nonsense(&answer(status, good())), "an identity in an error is none: {status}");
    }
    for status in [500, 503] {
        assert_eq!(read_reply(&answer(status, good())), Err(ReplyError::Failed(status)));
    }
}

#[test]
fn row_18_documents_that_only_look_like_it_are_refused() {
    let good = good();
    let result = &good
        [good.find("<GetCallerIdentityResult>").expect("it is")..good.find("  <ResponseMetadata>").expect("it is")];
    let arn = format!("<Arn>{ARN}</Arn>");
    let cases = [
        ("leading text", format!("x{good}")),
        ("leading white space and declaration", format!(" <?xml version=\"1.0\"?>{good}")),
        ("trailing text", format!("{good}x")),
        ("two documents", format!("{good}{good}")),
        ("two identities", good.replace(result, &format!("{result}{result}"))),
        ("a duplicate element", good.replace(&arn, &format!("{arn}{arn}"))),
        ("a missing element", good.replace(&arn, "")),
        ("one more element", good.replace(&arn, &format!("{arn}<More>1</More>"))),
        ("one more result", good.replace("  <ResponseMetadata>", "<Other/><ResponseMetadata>")),
        ("another root", good.replace("GetCallerIdentityResponse", "GetAccessKeyInfoResponse")),
        ("another result", good.replace("GetCallerIdentityResult", "AssumeRoleResult")),
        ("no namespace", good.replace(" xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"", "")),
        ("another namespace", good.replace("2011-06-15", "2011-06-16")),
        ("a prefix", good.replace("Arn>", "s:Arn>")),
        ("a namespace further down", good.replace("<Arn>", "<Arn xmlns=\"https://evil.example/\">")),
        ("an attribute", good.replace("<Arn>", "<Arn a=\"1\">")),
        ("elements inside a value", good.replace(ARN, "<b>x</b>")),
        ("text beside elements", good.replace("<ResponseMetadata>", "<ResponseMetadata>x")),
        ("a document type", format!("<!DOCTYPE x [<!ENTITY e \"1\">]>{good}")),
        ("a comment", good.replace(ARN, "arn<!-- -->:aws")),
        ("CDATA", good.replace(ARN, &format!("<![CDATA[{ARN}]]>"))),
        ("case", good.replace("<Arn>", "<arn>").replace("</Arn>", "</arn>")),
        ("an error document", error_xml("InvalidClientTokenId")),
        ("JSON", format!("{{\"GetCallerIdentityResponse\":{{\"Arn\":\"{ARN}\"}}}}")),
        // CVE-2020-16250: an answer that reflects what the caller sent, inside a JSON string.
        ("a reflected document", format!("{{\"x\":\"{good}\"}}")),
        ("nothing", String::new()),
        ("cut off", good[..good.len() - 30].to_owned()),
    ];
    for (what, text) in cases {
        assert!(is_nonsense(&answer(200, text.clone())), "{what}: {text}");
    }
}

#[test]
fn row_01_an_answer_has_a_limit() {
    let padding = " ".repeat(MAX_REPLY_BYTES - good().len());
    assert!(read_reply(&answer(200, format!("{}{padding}", good()))).is_ok());
    assert!(is_nonsense(&answer(200, format!("{} {padding}", good()))));
    assert!(is_nonsense(&answer(200, format!("{}{}", good(), " ".repeat(1 << 20)))));
}

#[test]
fn errors_about_the_caller_are_refusals() {
    for (code, refusal) in [
        ("InvalidClientTokenId", StsRefusal::UnknownKey),
        ("SignatureDoesNotMatch", StsRefusal::Signature),
        ("ExpiredToken", StsRefusal::Expired),
        ("ExpiredTokenException", StsRefusal::Expired),
        ("AccessDenied", StsRefusal::Other),
        ("IncompleteSignature", StsRefusal::Other),
        ("SomethingNew", StsRefusal::Other),
    ] {
        for status in [400, 403] {
            assert_eq!(read_reply(&answer(status, error_xml(code))), Err(ReplyError::Refused(refusal)), "{code}");
        }
    }
}

#[test]
fn row_30_throttling_and_failures_are_no_verdict() {
    for code in ["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"] {
        for status in [400, 403, 503] {
            assert_eq!(read_reply(&answer(status, error_xml(code))), Err(ReplyError::Throttled), "{status} {code}");
        }
    }
    assert_eq!(read_reply(&answer(429, "anything")), Err(ReplyError::Throttled));
    for code in ["InternalFailure", "ServiceUnavailable", "InternalError"] {
        assert_eq!(read_reply(&answer(400, error_xml(code))), Err(ReplyError::Failed(400)), "{code}");
    }
    for status in [500, 502, 503, 504, 599] {
        assert_eq!(read_reply(&answer(status, "<html>")), Err(ReplyError::Failed(status)));
        let refused = answer(status, error_xml("InvalidClientTokenId"));
        assert_eq!(read_reply(&refused), Err(ReplyError::Failed(status)), "a 5xx says nothing of the caller");
    }
    for page in ["", "<html><body>blocked</body></html>", "{}", "<ErrorResponse/>"] {
        assert!(is_nonsense(&answer(403, page)), "a proxy's page is no verdict: {page}");
    }
    let two = error_xml("InvalidClientTokenId").replace("<Type>", "<Code>Throttling</Code><Type>");
    assert!(is_nonsense(&answer(403, two)), "two codes are none");
}
