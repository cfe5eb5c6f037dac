//! The bytes between generator and server, with as little work as TLS allows: both the generator and the floor stand on
//! this, so that neither is what is measured.

mod packets;
mod socket;

pub use packets::{
    CONNACK, DISCONNECT, PACKET_CONNACK, PACKET_CONNECT, PACKET_DISCONNECT, PACKET_PUBACK, PACKET_PUBLISH,
    PACKET_SUBACK, PACKET_SUBSCRIBE, Packets, Stamp, client_id, connect, message, packet_id_of_publish, puback,
    publish, suback, subscribe,
};
pub use socket::{Moved, TlsSocket};
