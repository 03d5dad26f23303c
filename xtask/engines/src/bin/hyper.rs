//! The same job done with hyper on both sides and rustls: TLS, the hash of the key compared in constant time, the request
//! on to the origin over connections that are kept.
//!
//! `hyper LISTEN CERTIFICATE KEY ORIGIN API_KEY`

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header::HOST};
use http_body_util::{Either, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

type Reply = Either<Incoming, Empty<Bytes>>;

struct Gateway {
    client: Client<HttpConnector, Incoming>,
    origin: HeaderValue,
    key: [u8; 32],
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, certificate, private, origin, key] = &arguments[..] else { panic!("see the top of the file") };
    let chain = CertificateDer::pem_file_iter(certificate).expect("a file").collect::<Result<Vec<_>, _>>();
    let private = PrivateKeyDer::from_pem_file(private).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), private)
        .expect("the key is the certificate's");
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(256).build(connector);
    let gateway = Gateway { client, origin: origin.parse().expect("a host"), key: Sha256::digest(key).into() };
    Runtime::new().expect("a runtime").block_on(run(listen, TlsAcceptor::from(Arc::new(config)), Arc::new(gateway)));
}

async fn run(listen: &str, tls: TlsAcceptor, gateway: Arc<Gateway>) {
    let listener = TcpListener::bind(listen).await.expect("the address is free");
    while let Ok((stream, peer)) = listener.accept().await {
        let (tls, gateway) = (tls.clone(), Arc::clone(&gateway));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(stream) = tls.accept(stream).await else { return };
            let client = peer.ip().to_string();
            let service = service_fn(|request| gateway.serve(request, &client));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Gateway {
    async fn serve(&self, mut request: Request<Incoming>, client: &str) -> Result<Response<Reply>, Error> {
        let given = request.headers_mut().remove("x-api-key");
        let hash: [u8; 32] = Sha256::digest(given.as_ref().map_or(&b""[..], HeaderValue::as_bytes)).into();
        if !bool::from(hash.ct_eq(&self.key)) {
            let mut refusal = Response::new(Reply::Right(Empty::new()));
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            return Ok(refusal);
        }
        let headers = request.headers_mut();
        headers.insert("x-forwarded-for", client.parse().expect("an address"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert(HOST, self.origin.clone());
        let rest = request.uri().path().trim_start_matches("/api-0");
        let path = if rest.is_empty() { "/" } else { rest };
        let target = Uri::builder().scheme("http").authority(self.origin.as_bytes()).path_and_query(path);
        *request.uri_mut() = target.build().expect("a target");
        Ok(self.client.request(request).await?.map(Reply::Left))
    }
}
