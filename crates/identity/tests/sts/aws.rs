//! AWS's side, by the book: how a signature is computed, and what STS answers. Shared with the operator's tests.
//!
//! Written from "Create a signed AWS API request" in the IAM user guide and from nothing of ours, so that signer and
//! rebuilder cannot agree on a mistake.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The signature of `POST /` with these headers and body, by the book.
pub fn signature(secret: &str, region: &str, headers: &[(String, String)], body: &str) -> String {
    let mut headers = headers.to_vec();
    headers.sort();
    let canonical: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let date = &headers.iter().find(|(name, _)| name == "x-amz-date").expect("it is dated").1;
    let request = format!("POST\n/\n\n{canonical}\n{names}\n{}", sha256(body));
    let scope = format!("{}/{region}/sts/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    hex::encode(hmac(&key, &text))
}

pub fn identity_xml(arn: &str, user_id: &str, account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n    \
         <Arn>{arn}</Arn>\n    <UserId>{user_id}</UserId>\n    <Account>{account}</Account>\n  \
         </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>01234567-89ab-cdef-0123-456789abcdef\
         </RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
    )
}

pub fn error_xml(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
         <Code>{code}</Code>\n    <Message>Secrets &quot;quoted&quot; here</Message>\n  </Error>\n  \
         <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>\n</ErrorResponse>\n"
    )
}
