//! Addresses and the sockets behind them.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use transport::{Address, Listener, Peer};

#[test]
fn an_address_is_printed_as_it_is_written() {
    for text in ["tcp://127.0.0.1:8443", "tcp://[::1]:0", "tcp://localhost:65535", "unix:///run/cortex/a.sock"] {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
        assert_eq!(Address::try_from(text.to_owned()).unwrap(), address);
        assert_eq!(String::from(address), text);
    }
}

#[test]
fn what_is_no_address_is_refused_with_the_way_to_write_one() {
    for text in
        ["", "tcp://", "tcp://host", "tcp://:80", "tcp://host:http", "tcp://host:65536", "unix://a.sock", "host:80"]
    {
        let error = text.parse::<Address>().unwrap_err().to_string();
        assert!(error.contains(&format!("`{text}`")) && error.contains("tcp://HOST:PORT"), "{error}");
    }
}

async fn talk(listener: &Listener, address: &Address) -> Peer {
    let client = async {
        let mut stream = address.connect().await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"pong");
    };
    let server = async {
        let (mut stream, peer) = listener.accept().await.unwrap();
        let mut question = [0; 4];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(b"pong").await.unwrap();
        peer
    };
    tokio::join!(client, server).1
}

#[tokio::test]
async fn both_kinds_of_socket_carry_bytes() {
    let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = Address::Tcp(listener.tcp_address().unwrap().to_string());
    assert!(matches!(talk(&listener, &address).await, Peer::Tcp(peer) if peer.ip().is_loopback()));

    let directory = tempfile::tempdir().unwrap();
    let address = Address::Unix(directory.path().join("a.sock"));
    let listener = Listener::bind(&address).await.unwrap();
    assert_eq!(talk(&listener, &address).await, Peer::Local);
    assert_eq!(listener.tcp_address(), None);
}

#[tokio::test]
async fn a_socket_file_is_private_and_one_left_behind_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let address = Address::Unix(path.clone());
    drop(Listener::bind(&address).await.unwrap());
    assert!(path.exists(), "nobody removes the file of a dead process");
    let listener = Listener::bind(&address).await.unwrap();
    talk(&listener, &address).await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_path_that_is_too_long_is_refused_with_the_reason() {
    let address = Address::Unix(Path::new("/tmp").join("x".repeat(120)));
    let error = Listener::bind(&address).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("too long"), "{error}");
}
