//! What TCP itself is asked to do for a device's connection. Failing to ask is no reason to turn a device away.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

use crate::limits::Limits;

/// Before the system asks whether a silent peer is there: the longest that AWS's keep-alive lets one be silent (one and a
/// half times 1,200 s), so that no device is asked, radio on, while MQTT would wait for it. It is for the plain
/// listener, where the keep-alive may be off.
const PROBED_AFTER: Duration = Duration::from_secs(1800);

pub(crate) fn settle(socket: &TcpStream, connection: u64, limits: &Limits) {
    // Without it a CONNACK waits for the peer's delayed acknowledgement of the handshake, some 40 ms.
    let settled = socket.set_nodelay(true).and_then(|()| let_go_of_the_dead(socket, limits));
    if let Err(error) = settled {
        tracing::debug!(connection, %error, "a TCP option could not be set");
    }
}

fn let_go_of_the_dead(socket: &TcpStream, limits: &Limits) -> io::Result<()> {
    let unacknowledged_ms = u32::try_from(limits.unacknowledged_timeout.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(socket, unacknowledged_ms)?;
    sockopt::set_tcp_keepidle(socket, PROBED_AFTER)?;
    sockopt::set_socket_keepalive(socket, true)?;
    Ok(())
}
