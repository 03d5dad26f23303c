//! How the processes reach one another: addresses, listeners, TLS from the cluster's own authority, and an HTTP server
//! loop that can be stopped without dropping a request.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test"))]

mod accept;
mod address;
mod authority;
mod crowd;
mod framing;
mod hop;
mod http1;
mod incoming;
mod open;
mod own;
mod preface;
mod server;
mod tls;

pub use accept::prefers_html;
pub use address::{Address, InvalidAddress, Listener, Peer, Stream};
pub use authority::{Authority, AuthorityError, AuthorityPem, LEAF_DAYS};
pub use framing::is_plainly_framed;
pub use hop::{remove_fields, remove_hop_by_hop};
pub use http1::{Alarm, Client, Failed, Resend};
pub use incoming::Incoming;
pub use open::open_connections;
pub use own::{BadCertificate, OwnCertificate, Part};
pub use server::{Limits, Server, Tunnels, Upgraded, serve_connection};
pub use tls::{ServerTls, TlsError, client_config, fingerprint, presented, public_key_sha256, with_fingerprint};
