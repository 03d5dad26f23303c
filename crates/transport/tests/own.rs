//! A certificate of the user's beside the one of the cluster's authority.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};
use transport::{Authority, BadCertificate, Limits, Listener, OwnCertificate, Server, ServerTls, fingerprint};

fn self_signed(names: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_lone_certificate_will_do_and_comes_back_as_it_was() {
    let (chain, key) = self_signed(&["Models.example.test", "*.example.test", "192.0.2.1"]);
    let now = OffsetDateTime::now_utc();
    let own = OwnCertificate::judged(&format!("something else\n{chain}"), &format!("{chain}{key}"), now).unwrap();
    assert_eq!(own.names(), ["models.example.test", "*.example.test"]);
    let again = OwnCertificate::read(&own.chain_pem(), &own.key_pem()).unwrap();
    assert_eq!((again.digest(), again.key_pem()), (own.digest(), own.key_pem()));
    assert_eq!(fingerprint(&again.chain_pem()).unwrap(), fingerprint(&chain).unwrap());

    // What has expired cannot be brought, and is still shown if it was brought in time.
    let late = own.not_after() + Duration::seconds(1);
    let expired = OwnCertificate::judged(&chain, &key, late).err();
    assert!(matches!(expired, Some(BadCertificate::Expired { number: 1, .. })), "{expired:?}");
}

#[tokio::test]
async fn who_asks_for_the_clusters_names_is_shown_the_authoritys_and_everybody_else_the_users() {
    let authority = Authority::generate("demo", OffsetDateTime::now_utc()).unwrap();
    let ca = authority.certificate_pem().to_owned();
    let tls = ServerTls::new(Arc::new(authority), &["lb.example.test".to_owned(), "localhost".to_owned()]).unwrap();
    let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.tcp_address().unwrap().to_string();
    let server = Server { listener, tls: Some(tls.clone()), limits: Limits::default() };
    let answer = |_, _| async { Response::new(Full::new(Bytes::new())) };
    tokio::spawn(server.run(answer, std::future::pending::<()>()));
    let (chain, key) = self_signed(&["models.example.test"]);
    let users = async |name: &str| {
        let shown = transport::presented(&address, name).await.unwrap();
        assert!(fingerprint(&shown[0]).unwrap() == fingerprint(&chain).unwrap() || shown[1] == ca, "{name}: {shown:?}");
        shown.len() == 1
    };
    assert!(!users("models.example.test").await);
    tls.present(Some(OwnCertificate::read(&chain, &key).unwrap())).unwrap();
    for renewed in [false, true] {
        assert!(users("models.example.test").await && users("elsewhere.example.test").await, "{renewed}");
        // Without a name: an address is none.
        assert!(users("127.0.0.1").await && !users("LB.example.test").await && !users("localhost").await, "{renewed}");
        tls.renew().unwrap();
    }
    tls.present(None).unwrap();
    assert!(!users("models.example.test").await);
}
