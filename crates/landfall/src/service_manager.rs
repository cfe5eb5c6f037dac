//! Telling the service manager that started us how far we are: `sd_notify(3)`, one datagram to the socket that it names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const VARIABLE: &str = "NOTIFY_SOCKET";

#[derive(Clone, Copy, Debug)]
pub enum State {
    Ready,
    Stopping,
}

/// Nobody may have asked; then nobody is told.
pub fn tell(state: State) {
    let Some(name) = std::env::var_os(VARIABLE) else { return };
    let text = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    // A leading @ stands for the abstract namespace.
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told {text}");
    }
}
