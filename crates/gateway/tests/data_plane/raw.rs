//! A client that writes what no HTTP library would.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use transport::client_config;

use crate::ground::{Ground, soon};

pub struct Raw(TlsStream<TcpStream>);

impl Raw {
    pub async fn connect(ground: &Ground) -> Self {
        let config = client_config(&ground.ca).unwrap();
        let stream = TcpStream::connect(ground.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }

    pub async fn write(&mut self, text: &str) {
        soon("writing", async {
            self.0.write_all(text.as_bytes()).await.unwrap();
            self.0.flush().await.unwrap();
        })
        .await;
    }

    /// The same to a server that may hang up before it has read all of it.
    pub async fn write_lossy(&mut self, text: &str) {
        let write = async {
            let _ = self.0.write_all(text.as_bytes()).await;
            let _ = self.0.flush().await;
        };
        soon("writing", write).await;
    }

    /// Reads until the text has come.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        soon(end, async {
            while !all.ends_with(end.as_bytes()) {
                all.push(self.0.read_u8().await.unwrap());
            }
        })
        .await;
        String::from_utf8(all).unwrap()
    }

    /// Says that nothing more will come; what the server says can still be read.
    pub async fn end(&mut self) {
        soon("the end of writing", self.0.shutdown()).await.unwrap();
    }

    /// Everything to the end of the connection.
    pub async fn rest(mut self) -> String {
        let mut all = Vec::new();
        // An end without close_notify is an end.
        let _ = soon("the end of the connection", self.0.read_to_end(&mut all)).await;
        String::from_utf8(all).unwrap()
    }
}

/// One request on a connection of its own; `head` has no line for the connection yet.
pub async fn exchange(ground: &Ground, head: &str, body: &str) -> String {
    let mut raw = Raw::connect(ground).await;
    raw.write(&format!("{head}connection: close\r\n\r\n{body}")).await;
    raw.rest().await
}
