//! Reaching a cluster by other addresses than its names stand for: through a tunnel into a private network, say.
//!
//! HTTP clients can be told another address for a name, but not another port, and can be told of a proxy. So this is a proxy,
//! within this process: it takes `CONNECT host:port`, dials what is written down for that, and passes bytes. TLS goes
//! from the client to the server as ever, with the server's real name.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::report::Failure;

/// Longer than any `CONNECT` of our own clients.
const MAX_HEAD: usize = 8 * 1024;

/// Written `HOST:PORT:ADDRESS:PORT`, as curl has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ConnectTo {
    /// `host:port` of an endpoint.
    from: String,
    /// `host:port` to dial.
    to: String,
}

impl ConnectTo {
    /// To dial `to` (`host:port`) for that name.
    pub fn new(name: &str, port: u16, to: String) -> Self {
        Self { from: format!("{}:{port}", name.to_ascii_lowercase()), to }
    }
}

impl FromStr for ConnectTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not HOST:PORT:ADDRESS:PORT");
        // The address may be one of IPv6, in brackets; a host in an endpoint of ours is a name.
        let (host, rest) = text.split_once(':').ok_or_else(refuse)?;
        let (port, to) = rest.split_once(':').ok_or_else(refuse)?;
        let (address, to_port) = to.rsplit_once(':').ok_or_else(refuse)?;
        let number = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        if host.is_empty() || address.is_empty() || !number(port) || !number(to_port) {
            return Err(refuse());
        }
        Ok(Self { from: format!("{}:{port}", host.to_ascii_lowercase()), to: to.to_owned() })
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.from, self.to)
    }
}

impl From<ConnectTo> for String {
    fn from(rule: ConnectTo) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for ConnectTo {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What to dial for `host:port`.
pub fn address(rules: &[ConnectTo], host: &str, port: u16) -> String {
    let wanted = format!("{}:{port}", host.to_ascii_lowercase());
    rules.iter().find(|rule| rule.from == wanted).map_or(wanted, |rule| rule.to.clone())
}

/// The URL of a proxy that follows these rules for as long as this process lives; `None` if there are none.
pub async fn proxy(rules: &[ConnectTo]) -> Result<Option<String>, Failure> {
    if rules.is_empty() {
        return Ok(None);
    }
    let bound = async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    let (listener, bound) = bound.await.map_err(|error| Failure::internal(format!("a local port: {error}")))?;
    let rules = rules.to_vec();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let rules = rules.clone();
            tokio::spawn(async move {
                if let Err(error) = pass(client, &rules).await {
                    tracing::debug!(%error, "a tunnel ended");
                }
            });
        }
    });
    Ok(Some(format!("http://{bound}")))
}

async fn pass(mut client: TcpStream, rules: &[ConnectTo]) -> io::Result<()> {
    let target = read_connect(&mut client).await?;
    // Only where the rules lead: this is no proxy for other programs of this machine.
    let Some(rule) = rules.iter().find(|rule| rule.from == target) else {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    };
    let mut server = match TcpStream::connect(&rule.to).await {
        Ok(server) => server,
        Err(error) => {
            client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await?;
            return Err(error);
        }
    };
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Reads the head of a `CONNECT`; the client says nothing more before it is answered.
async fn read_connect(client: &mut TcpStream) -> io::Result<String> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not a CONNECT request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD || client.read_buf(&mut head).await? == 0 {
            return Err(invalid());
        }
    }
    let head = String::from_utf8(head).map_err(|_| invalid())?;
    let mut words = head.split(' ');
    match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => Ok(target.to_ascii_lowercase()),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_curl_reads_them() {
        let rule: ConnectTo = "Cx-Demo.elb.amazonaws.com:8443:127.0.0.1:18443".parse().expect("a rule");
        assert_eq!(rule.to_string(), "cx-demo.elb.amazonaws.com:8443:127.0.0.1:18443");
        assert_eq!(address(std::slice::from_ref(&rule), "CX-demo.elb.amazonaws.com", 8443), "127.0.0.1:18443");
        assert_eq!(address(&[rule], "cx-demo.elb.amazonaws.com", 443), "cx-demo.elb.amazonaws.com:443");
        let v6: ConnectTo = "a:1:[::1]:2".parse().expect("a rule");
        assert_eq!(address(&[v6], "a", 1), "[::1]:2");
        for bad in ["", "a", "a:1", "a:1:b", "a:x:b:1", "a:1:b:x", ":1:b:1", "a:1::1", "a:0:b:1"] {
            assert!(bad.parse::<ConnectTo>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn bytes_pass_to_where_the_rules_lead_and_nowhere_else() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = server.local_addr().expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.expect("a connection");
            let mut said = [0; 4];
            stream.read_exact(&mut said).await.expect("four bytes");
            stream.write_all(&said).await.expect("written");
        });
        let rules = [format!("some.name:443:{to}").parse().expect("a rule")];
        let proxy = proxy(&rules).await.expect("it starts").expect("there is a rule");
        let proxy = proxy.trim_start_matches("http://");
        let mut client = TcpStream::connect(proxy).await.expect("it listens");
        client.write_all(b"CONNECT some.name:443 HTTP/1.1\r\nhost: some.name\r\n\r\n").await.expect("written");
        let mut answer = [0; 19];
        client.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n\r\n");
        client.write_all(b"ping").await.expect("written");
        let mut echo = [0; 4];
        client.read_exact(&mut echo).await.expect("an echo");
        assert_eq!(&echo, b"ping");
        let mut other = TcpStream::connect(proxy).await.expect("it listens");
        other.write_all(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n").await.expect("written");
        let mut refused = String::new();
        other.read_to_string(&mut refused).await.expect("an answer");
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    }
}
