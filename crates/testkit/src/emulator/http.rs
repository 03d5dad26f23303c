//! As much of HTTP as it takes to ask the emulator something: tests with and without an async runtime do.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// The emulator answers in milliseconds; a machine under load may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Status and body.
pub(super) fn post(address: &str, path: &str, body: &[u8]) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    parsed(&reply).ok_or_else(|| io::Error::other(format!("this is no reply: {reply}")))
}

fn parsed(reply: &str) -> Option<(u16, String)> {
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn status_and_body() {
        assert_eq!(parsed("HTTP/1.1 200 -\r\nA: b\r\n\r\n{}"), Some((200, "{}".to_owned())));
        assert_eq!(parsed("HTTP/1.1"), None);
    }
}
