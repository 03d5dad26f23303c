//! What tells one cluster from another: the hash of its authority's public key.

use time::OffsetDateTime;
use transport::{Authority, fingerprint, public_key_sha256};

/// Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes`; nobody has its key.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjTCCATOgAwIBAgIUSU68emCSkpeEkbSii7rvTKF/7ccwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRZXhhbXBsZSBhdXRob3JpdHkwHhcNMjYxMTIyMjEzNDU0WhcN
MzYxMTE5MjEzNDU0WjAcMRowGAYDVQQDDBFleGFtcGxlIGF1dGhvcml0eTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABHO6KV36/5DMIyKqqKwbf/bosBQGufPyt1ES
J+2YbxW9Q9HTze5vFrJH9n9ImDHYDUj2GNhrMmQqbHVDyLRYMZOjUzBRMB0GA1Ud
DgQWBBRdwcszGDJPtKn1sypS3e1g+uag8zAfBgNVHSMEGDAWgBRdwcszGDJPtKn1
sypS3e1g+uag8zAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCY
4itn63uEDSYMUqPDv0Hk2bsKR0zD1GOEUZuoyG+ZrgIgYB7nHucxv8u7HC6TMEK4
VbxOMc4j2MFqnikC53Uqut0=
-----END CERTIFICATE-----
";

/// `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum`
const PUBLIC_KEY: &str = "ef34b314b8b1eab1860ffdac2753ceec7fa05c4467907f46ebdf09da7552c9f6";

#[test]
fn it_is_the_one_that_openssl_computes() {
    assert_eq!(public_key_sha256(CERTIFICATE).expect("it is a certificate"), PUBLIC_KEY);
    assert_ne!(fingerprint(CERTIFICATE).expect("it is a certificate"), PUBLIC_KEY);
}

#[test]
fn row_12_two_clusters_of_one_name_differ() {
    let now = OffsetDateTime::now_utc();
    let authority = || Authority::generate("prod", now).expect("an authority");
    let (one, two) = (authority(), authority());
    let key = |authority: &Authority| public_key_sha256(authority.certificate_pem()).expect("a certificate");
    assert_ne!(key(&one), key(&two));
    let again = Authority::from_pem(&one.to_pem()).expect("it is whole");
    assert_eq!(key(&one), key(&again));
}

#[test]
fn what_is_no_certificate_has_none() {
    for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(public_key_sha256(text).is_err(), "{text:?}");
    }
}
