//! Sockets that systemd has opened (socket activation, sd_listen_fds(3)): each has the name of its protocol.

use listenfd::ListenFd;
use std::net::TcpListener;

use crate::protocol::Protocol;

/// A socket that was passed and cannot be used, in one line with the remedy.
#[derive(Debug, thiserror::Error)]
#[error(
    "a socket that was passed to the server is of no use ({0}): give it the name of a protocol, such as \
     FileDescriptorName=imaps"
)]
pub struct ActivationError(String);

/// Returns the sockets that were passed.
pub(crate) fn passed() -> Result<Vec<(Protocol, TcpListener)>, ActivationError> {
    let failed = |error: std::io::Error| ActivationError(error.to_string());
    let names = sd_notify::listen_fds_with_names().map_err(failed)?;
    let names: Vec<_> = names.map(|(_, name)| name).collect();
    let mut sockets = ListenFd::from_env();
    let mut all = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let protocol = Protocol::ALL.into_iter().find(|one| one.label() == name);
        let protocol = protocol.ok_or_else(|| ActivationError(format!("\"{name}\"")))?;
        let socket = sockets.take_tcp_listener(at).map_err(failed)?;
        let socket = socket.ok_or_else(|| ActivationError(format!("\"{name}\" twice")))?;
        socket.set_nonblocking(true).map_err(failed)?;
        all.push((protocol, socket));
    }
    Ok(all)
}
