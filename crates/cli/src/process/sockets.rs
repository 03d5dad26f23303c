//! The listening sockets of a gateway, held by the node that starts it.
//!
//! A gateway gets them as its standard input and, if it has two, its standard output, as inetd hands a socket to a
//! server that waits (it logs to standard error and reads nothing). So no connection is refused while one gateway takes
//! over from another, or while there is none: it waits in the kernel's queue ([decision 11]).
//!
//! [decision 11]: ../../../../docs/decisions/0011-the-node-holds-the-sockets.md

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    process::Stdio,
};

use tokio::net;

/// What a node holds.
#[derive(Default)]
pub struct Sockets(Vec<(SocketAddr, TcpListener)>);

impl Sockets {
    /// Binds what is not bound yet. An address that cannot be bound is left to the gateway, which says what is wrong.
    pub async fn hold(&mut self, addresses: &[SocketAddr]) {
        self.0.retain(|(address, _)| addresses.contains(address));
        for address in addresses {
            if self.0.iter().any(|(held, _)| held == address) {
                continue;
            }
            // By tokio, for its longer queue.
            match net::TcpListener::bind(address).await.and_then(net::TcpListener::into_std) {
                Ok(listener) => self.0.push((*address, listener)),
                Err(error) => tracing::warn!(%address, %error, "a socket cannot be held for the gateway"),
            }
        }
    }

    /// For the standard input of a child.
    pub fn input(&self) -> io::Result<Option<Stdio>> {
        self.stdio(0)
    }

    /// For its standard output.
    pub fn output(&self) -> io::Result<Option<Stdio>> {
        self.stdio(1)
    }

    fn stdio(&self, number: usize) -> io::Result<Option<Stdio>> {
        let listener = self.0.get(number).map(|(_, listener)| listener.try_clone()).transpose()?;
        Ok(listener.map(|listener| Stdio::from(OwnedFd::from(listener))))
    }
}

/// The socket at that address that this process was started with.
pub fn inherited(address: SocketAddr) -> Option<TcpListener> {
    [listener(io::stdin()), listener(io::stdout())]
        .into_iter()
        .flatten()
        .find(|listener| listener.local_addr().ok() == Some(address))
}

fn listener(stream: impl AsFd) -> Option<TcpListener> {
    stream.as_fd().try_clone_to_owned().ok().map(TcpListener::from)
}
