//! The same job done with pingora: TLS, the hash of the key compared in constant time, the request on to the origin over
//! connections that are kept.
//!
//! `pingora LISTEN CERTIFICATE KEY ORIGIN API_KEY`

use async_trait::async_trait;
use pingora::{
    listeners::tls::TlsSettings,
    prelude::{HttpPeer, ProxyHttp, RequestHeader, Result, Server, Session, http_proxy_service},
    server::configuration::{Opt, ServerConf},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

struct Gateway {
    origin: String,
    key: [u8; 32],
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, _: &mut ()) -> Result<bool> {
        let given = session.req_header().headers.get("x-api-key").map_or(&b""[..], http::HeaderValue::as_bytes);
        let hash: [u8; 32] = Sha256::digest(given).into();
        if bool::from(hash.ct_eq(&self.key)) {
            return Ok(false);
        }
        session.respond_error(401).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.origin, false, String::new())))
    }

    async fn upstream_request_filter(&self, session: &mut Session, request: &mut RequestHeader, _: &mut ()) -> Result<()> {
        request.remove_header("x-api-key");
        let client = session.client_addr().and_then(|address| Some(address.as_inet()?.ip().to_string()));
        request.insert_header("x-forwarded-for", client.unwrap_or_default())?;
        request.insert_header("x-forwarded-proto", "https")?;
        let rest = request.uri.path().trim_start_matches("/api-0");
        let path = if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
        request.set_uri(path.parse().expect("a path"));
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, certificate, private, origin, key] = &arguments[..] else { panic!("see the top of the file") };
    let configuration = ServerConf { threads: 1, upstream_keepalive_pool_size: 256, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, configuration);
    server.bootstrap();
    let gateway = Gateway { origin: origin.clone(), key: Sha256::digest(key).into() };
    let mut service = http_proxy_service(&server.configuration, gateway);
    let mut tls = TlsSettings::intermediate(certificate, private).expect("the certificate is one");
    tls.enable_h2();
    service.add_tls_with_settings(listen, None, tls);
    server.add_service(service);
    server.run_forever();
}
