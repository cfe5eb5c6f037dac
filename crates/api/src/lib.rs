//! The AWS door: routes, signatures, rest-json, query and json-1.1, error codes. It reads a request into the JSON object
//! of its operation's input, calls the verb in `services`, and puts the outcome in the protocol's words.
//! Knows nothing of the store and no rule of the business.

mod authentication;
mod aws_calls;
mod catalog;
mod dead_letter_pages;
mod device_requests;
mod dispatch;
mod door;
mod entrance;
mod errors;
mod form;
mod generated;
mod health;
mod json;
mod json_1_1;
mod limits;
mod log;
mod message;
mod metrics_page;
mod model;
mod own_pages;
mod query;
mod rest_json;
mod route;
mod server;
mod tls;
mod validation;
mod websocket;
mod without_network;
mod xml;

use std::sync::Arc;

use services::Services;
use tokio::sync::Semaphore;

pub use aws_calls::ApiCell;
pub use entrance::{Holder, Knock, MqttDoor, MqttDoors, Upgraded};
pub use health::Surroundings;
pub use limits::Limits;
pub use message::Answer;
pub use server::{serve, serve_device};
pub use tls::Tls;
pub use without_network::{Reading, call, open_websocket, read, read_of_device};

/// What the binary knows and the services do not.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The names under which the API answers, beside the loopback names and any IP address.
    pub host_names: Vec<String>,
    /// The server's own root CA, for devices to trust.
    pub root_ca_pem: String,
    pub version: String,
    pub limits: Limits,
    pub surroundings: Surroundings,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    services: Services,
    settings: Settings,
    keys: authentication::SigningKeys,
    large_bodies: Semaphore,
    health: health::HealthState,
    metrics_page: metrics_page::MetricsPage,
}

impl Api {
    pub fn new(services: Services, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                services,
                settings,
                keys: authentication::SigningKeys::default(),
                large_bodies: Semaphore::new(limits::LARGE_BODIES_MAX),
                health: health::HealthState::default(),
                metrics_page: metrics_page::MetricsPage::default(),
            }),
        }
    }

    /// Everything listens: from now on `/_landfall/health` says so.
    pub fn set_ready(&self) {
        self.inner.health.set_serving();
    }

    /// The server shuts down: whoever still has a connection reads so.
    pub fn set_stopping(&self) {
        self.inner.health.set_stopping();
    }
}
