//! As much of RFC 6455 as a client needs that is asked for nothing unusual.

use testkit::{Cluster, DEADLINE, Version, bare};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

/// Opcodes.
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The example of RFC 6455, 1.3, and the proof that a server has read it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub struct Socket {
    stream: Box<dyn Stream>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Socket {
    /// The head of the answer to a handshake with these further fields, and the connection.
    pub async fn open(cluster: &Cluster, path: &str, more: &str) -> (String, Self) {
        let stream = bare(&cluster.api_endpoint, &cluster.ca, Version::Http1).await.expect("TLS");
        let mut socket = Self { stream: Box::new(stream) };
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n{more}\r\n"
        );
        socket.write(request.as_bytes()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(socket.read(1).await);
        }
        (String::from_utf8(head).expect("ASCII"), socket)
    }

    /// One message in one frame, masked as a client's are.
    pub async fn say(&mut self, opcode: u8, payload: &[u8]) {
        let length = u16::try_from(payload.len()).expect("nobody says more");
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(0x80 | payload.len() as u8),
            _ => frame.extend([&[0x80 | 126][..], &length.to_be_bytes()].concat()),
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.write(&frame).await;
    }

    /// Opcode and payload of the next message, which is one frame and not masked.
    pub async fn hear(&mut self) -> (u8, Vec<u8>) {
        let head = self.read(2).await;
        assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "{head:?}");
        let length = match head[1] {
            126 => self.read(2).await.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        (head[0] & 0x0f, self.read(length).await)
    }

    /// All that comes until the other side closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        timeout(DEADLINE, self.stream.read_to_end(&mut rest)).await.expect("in time").expect("a proper end");
        rest
    }

    async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        timeout(DEADLINE, self.stream.read_exact(&mut bytes)).await.expect("in time").expect("it is open");
        bytes
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is open");
        self.stream.flush().await.expect("it is open");
    }
}
