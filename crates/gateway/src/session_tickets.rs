//! Tickets with which a device resumes its TLS session: off unless the operator switches them on, since AWS has none.
//!
//! A ticket carries the session, the device's chain included, sealed with a key that only this process holds: sessions
//! cost no memory here, however many devices there are. Keys are random, change every six hours and are forgotten after
//! twelve, or with the process. A ticket spares the signatures of a handshake and nothing else: whoever resumes is judged
//! like everybody else, by the chain of the first handshake.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

/// Whether devices may resume TLS sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionResumption {
    #[default]
    Off,
    Tickets,
}

/// Before it is sealed. A leaf and its CA fit, RSA-4096 both, twice over; a device with a longer chain shakes hands anew
/// each time. (A ticket has 65,535 bytes in TLS, which a chain of the largest size would not fit in.)
const SESSION_BYTES_MAX: usize = 8 * 1024;
/// A device has one connection at a time. (The library's default is two.)
const TICKETS_PER_HANDSHAKE: usize = 1;

/// What all configurations of a door share; `None` where nothing is resumed.
#[derive(Clone, Debug)]
pub(crate) struct SessionTickets(Option<Arc<dyn ProducesTickets>>);

#[derive(Debug)]
struct Bounded(Arc<dyn ProducesTickets>);

impl SessionTickets {
    pub(crate) fn new(resumption: SessionResumption) -> Result<Self, rustls::Error> {
        match resumption {
            SessionResumption::Off => Ok(Self(None)),
            SessionResumption::Tickets => Ok(Self(Some(Arc::new(Bounded(Ticketer::new()?))))),
        }
    }

    pub(crate) fn configure(&self, config: &mut ServerConfig) {
        // The library's default remembers sessions, 256 of them.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if let Some(tickets) = &self.0 {
            config.ticketer = tickets.clone();
            config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
        }
    }
}

impl ProducesTickets for Bounded {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        if session.len() > SESSION_BYTES_MAX {
            return None;
        }
        self.0.encrypt(session)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(ticket)
    }
}
