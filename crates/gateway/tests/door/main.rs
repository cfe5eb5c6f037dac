//! The device door over real sockets and real TLS, with `fleet` as the device.

mod admission;
mod alpn;
mod bounds;
mod certificate;
mod five;
mod frames;
mod handshake;
mod live;
mod plain;
mod policies;
mod presence;
mod rates;
mod records;
mod resumption;
mod server;
mod signers;
mod slow;
mod websocket;

use std::time::Duration;

/// Longer than anything here takes on a busy machine; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);
