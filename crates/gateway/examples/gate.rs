//! The gateway alone, in front of whatever answers at the addresses given: what `cargo xtask bench gateway` measures.
//!
//! `gate DIRECTORY LISTEN ORIGIN [APIS REPLICAS] [--one-thread]`. Its routes hold APIS (1) APIs `/api-0`, `/api-1`, ..., the first with REPLICAS (1)
//! replicas, the others with one each; all of them are ORIGIN. Certificate (`ca.pem`) and key (`key`) are left in
//! DIRECTORY.

use std::{fs, path::PathBuf, sync::Arc};

use api::routes::{ApiRoute, KEYS_KEY, KeyHash, Keys, ROUTES_KEY, ReplicaRoute, Routes};
use gateway::{Gateway, Options};
use identity::{KeyKind, sha256_hex};
use serde::Serialize;
use state::{Expect, LocalState, State};
use tokio::runtime::Builder;
use transport::{Address, Authority, Limits, Listener, Server, ServerTls};

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut runtime = match arguments.pop_if(|last| last == "--one-thread") {
        Some(_) => Builder::new_current_thread(),
        None => Builder::new_multi_thread(),
    };
    runtime.enable_all().build().expect("a runtime").block_on(run(&arguments));
}

async fn run(arguments: &[String]) {
    let directory = PathBuf::from(&arguments[0]);
    let number = |at: usize| arguments.get(at).map_or(1, |count| count.parse::<u16>().expect("a number"));
    let (apis, replicas) = (number(3), number(4));

    let state = LocalState::open(&directory.join("state")).await.expect("the State opens");
    let key = KeyKind::Api.key([7; 32]).expose().to_owned();
    fs::write(directory.join("key"), &key).expect("the directory can be written to");
    let keys = Keys { keys: vec![KeyHash { id: "bench".to_owned(), sha256: sha256_hex(&key), ..KeyHash::default() }] };
    write(&state, KEYS_KEY, &keys).await;
    let replica = |api: u16, number: u16| ReplicaRoute {
        id: format!("{api}-{number}"),
        version: "1".to_owned(),
        address: Address::Tcp(arguments[2].clone()),
    };
    let api = |api: u16| ApiRoute {
        name: format!("api-{api}"),
        endpoint: format!("/api-{api}"),
        limits: Default::default(),
        replicas: (0..if api == 0 { replicas } else { 1 }).map(|number| replica(api, number)).collect(),
    };
    write(&state, ROUTES_KEY, &Routes { apis: (0..apis).map(api).collect(), ..Routes::default() }).await;

    let authority = Arc::new(Authority::generate("bench", time::OffsetDateTime::now_utc()).expect("it can be made"));
    fs::write(directory.join("ca.pem"), authority.certificate_pem()).expect("the directory can be written to");
    let tls = ServerTls::new(authority, &["localhost".to_owned()]).expect("it can be made");
    let gateway = Gateway::start(Options::new(Arc::new(state), directory.join("cache"))).await;
    let address = Address::Tcp(arguments[1].clone());
    let listener = Listener::bind(&address).await.expect("the address is free");
    println!("ready");
    gateway.serve(Server { listener, tls: Some(tls), limits: Limits::default() }, std::future::pending()).await;
}

async fn write<T: Serialize + Sync>(state: &dyn State, key: &str, value: &T) {
    state::write(state, key, value, &Expect::Anything).await.expect("the State can be written to");
}
