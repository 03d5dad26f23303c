//! Row 28: no secret, session token or signature in `Debug`, in errors, or in what the signing library logs.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use identity::sts::{Effect, Nonce, OperatorRequest};
use tracing_subscriber::fmt::MakeWriter;

use super::fake::{ACCOUNT, DEPLOY, NOW, bench};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn row_28_nothing_that_is_secret_is_printed() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = bench();
    let keys = bench.sts.key(
        &format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1"),
        "AROADEV0000000000001:sess1",
        Some("FwoGZXIvYXdzTOKEN0123456789"),
    );
    let signed = bench.signer.sign(&keys, &DEPLOY, &Nonce::new([1; 16]), NOW).expect("it signs");
    let token = bench.token(&keys, &DEPLOY);
    let tampered = OperatorRequest { path: "/v1/other", ..DEPLOY };
    let error = bench.verifier.verify(&token, &tampered, Effect::Change, NOW).await.expect_err("it was changed");
    let request = bench.sts.last.lock().expect("unpoisoned").clone().expect("STS was asked");
    let authorization = request.headers().find(|(name, _)| *name == "authorization").expect("it is there").1.expose();
    let signature = authorization.split("Signature=").nth(1).expect("it is there").to_owned();
    let printed = format!("{keys:?} {signed:?} {token:?} {request:?} {error:?} {error} {:?}", bench.signer);
    let logged = String::from_utf8(log.0.lock().expect("unpoisoned").clone()).expect("text");
    assert!(logged.contains("signing request"), "the library's trace is in it: {logged}");
    let secrets = [
        "secret of",
        "FwoGZXIvYXdzTOKEN0123456789",
        signature.as_str(),
        signed.authorization.expose().trim_start_matches("Cortex-V1 "),
    ];
    for secret in secrets {
        assert!(!printed.contains(secret) && !logged.contains(secret), "{secret} in {printed}\n{logged}");
    }
}
