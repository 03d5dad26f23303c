//! Row 28: what callers present is in no log, not even at the level `trace` and not in those of the libraries.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use http::Method;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    door::{Call, Door},
    scripted_sts::{ACCOUNT, Mood},
};

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

/// On one thread, so that the subscriber sees everything.
#[tokio::test]
async fn row_28_credentials_are_in_no_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let door = Door::open().await;
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let keys = door.sts.key(&arn, "AROADEV0000000000001:sess1", Some("FwoGZXIvYXdzTOKEN0123456789"));
    let mut calls = vec![Call::info(), Call::new(Method::GET, "/v1/api-key"), Call::deploy()];
    calls = calls.into_iter().map(|call| door.signed(&keys, call)).collect();
    calls.push(Call { path: "/v1/apis".to_owned(), ..calls[0].clone() });
    calls.push(calls[1].clone());
    for call in &calls {
        door.send(call).await;
    }
    door.sts.set(Mood::Says(Vec::new()));
    door.send(&door.signed(&keys, Call::info())).await;
    let mut secrets = vec!["the secret of".to_owned(), "FwoGZXIvYXdzTOKEN0123456789".to_owned()];
    secrets.extend(calls.iter().map(|call| call.authorization().replace("Cortex-V1 ", "")));
    for seen in door.sts.seen() {
        let authorization = seen.headers.iter().find(|(name, _)| name == "authorization").expect("it is signed");
        secrets.push(authorization.1.split("Signature=").nth(1).expect("a signature").to_owned());
    }
    door.close().await;
    let logged = String::from_utf8_lossy(&log.0.lock().expect("unpoisoned")).into_owned();
    assert!(logged.contains("Allowed") && logged.contains("a caller was refused") && logged.contains("TRACE"));
    for secret in secrets {
        assert!(!logged.contains(&secret), "{secret} is in the log");
    }
}
