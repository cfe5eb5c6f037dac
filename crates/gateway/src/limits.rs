//! What one listener lets in, and how long it waits. Protocol limits of AWS are in `aws_profile`.

use std::time::Duration;

use crate::session_tickets::SessionResumption;

/// Each with the reason for its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, TCP accept to close. A device connection costs some 20 KiB: 20,000 fit in half a gigabyte.
    pub connections_max: usize,
    /// Of these, from one address. A factory behind one NAT address is a fleet, so the bound is wide; it keeps one
    /// address from taking every place.
    pub connections_per_address_max: usize,
    /// Handshakes between ClientHello and Finished at once. A handshake is some 0.3 ms of CPU and then waiting for the
    /// peer; more at once would only make all of them late.
    pub handshakes_max: usize,
    /// Of these, from one address: who says hello and then nothing holds a place for the whole timeout, and must not hold
    /// them all.
    pub handshakes_per_address_max: usize,
    /// From TCP accept to a whole ClientHello, and again from there to the end of the handshake. AWS gives its devices
    /// seconds too; a modem on a bad link needs several.
    pub handshake_timeout: Duration,
    /// From the end of the handshake to a whole CONNECT.
    pub connect_timeout: Duration,
    /// For how long the peer may leave what it was sent unacknowledged, or its window closed (TCP_USER_TIMEOUT). Linux gives up
    /// on a peer that does not answer after as long by itself; on one that answers and takes nothing it never does.
    pub unacknowledged_timeout: Duration,
    /// How long a WebSocket may be open: as long as AWS's. ("AWS IoT Core message broker and protocol limits and quotas")
    pub websocket_age_max: Duration,
    /// After we have said close, how long the peer may take to close as well: enough for what is in flight.
    pub drain_timeout: Duration,
    /// Bytes read and thrown away in that time.
    pub drain_bytes_max: usize,
    /// After shutdown was asked for, how long connections may take to end.
    pub shutdown_timeout: Duration,
    /// As on AWS, which has none, unless the operator wishes otherwise.
    pub session_resumption: SessionResumption,
    /// For how long a session outlives its connection at most, where AWS's limits apply: an account's default is an hour,
    /// and it can ask for seven days.
    pub session_expiry_s_max: u32,
    /// What waits in memory for a connection that is slow: messages with QoS 0, and all those of a clean session. Ten seconds
    /// at a hundred messages a second.
    pub inbox_messages_max: usize,
    /// Messages with QoS 1 and 2 that either side of a connection has not acknowledged, on the plain listener. AWS's 100 are not
    /// to be changed.
    pub plain_in_flight_max: u16,
}

/// AWS: seven days.
pub const SESSION_EXPIRY_S_BOUND: u32 = 7 * 24 * 3600;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 10_000,
            handshakes_max: 512,
            handshakes_per_address_max: 128,
            handshake_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            unacknowledged_timeout: Duration::from_secs(900),
            websocket_age_max: Duration::from_secs(24 * 3600),
            drain_timeout: Duration::from_secs(2),
            drain_bytes_max: 256 * 1024,
            shutdown_timeout: Duration::from_secs(5),
            session_resumption: SessionResumption::Off,
            session_expiry_s_max: 3600,
            inbox_messages_max: 1_000,
            plain_in_flight_max: 1024,
        }
    }
}
