//! The device door: TLS with the client's certificate, and the loop that drives one MQTT session.
//!
//! It owns sockets, deadlines and bounds. What may come in, publish or hear is decided by `services`; who hears what by
//! `broker`; what a packet means by `mqtt`. It knows no store and no AWS JSON.

mod alpn;
mod aws_profile;
mod client_hello;
mod closing;
mod connection;
mod gateway;
mod handshakes;
mod limits;
mod listener;
mod log;
mod mqtt_profile;
mod peer;
mod profile;
mod recent_leaves;
mod server_identity;
mod session_tickets;
mod socket;
mod stream;
mod tcp;
mod tls;
mod tls_stream;
mod verifier;
mod websocket;

pub use closing::close_tls;
pub use connection::WebSocketHolder;
pub use gateway::Gateway;
pub use limits::{Limits, SESSION_EXPIRY_S_BOUND};
pub use listener::{Door, HttpArrival, HttpHandler, serve};
pub use peer::Peer;
pub use profile::Profile;
pub use server_identity::{ServerIdentity, ServerKey, ServerKeyError};
pub use session_tickets::SessionResumption;
pub use stream::UpgradedStream;
pub use tls::{Accepted, HandshakeEnded, Left, Shaken, TlsDoor};
pub use tls_stream::TlsStream;
pub use verifier::{HandshakeRefused, LeafJudge};
