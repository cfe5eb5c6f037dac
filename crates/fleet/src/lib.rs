//! The other side of the wire: CAs and device keys, an MQTT client over TLS, an AWS request signer. What `demo`,
//! tests and benchmarks use to stand where a factory, a device or an operator stands. It knows none of the server's
//! crates, and reads the clock: it acts, it does not decide.

mod activation;
mod aws_client;
mod ca;
mod ca_registration;
mod certificate;
mod device;
mod error;
mod files;
mod key;
mod landing;
mod manufacture;
mod mqtt_client;
mod sample;
mod tls;
mod tls_connection;

pub use activation::Activation;
pub use aws_client::{AwsClient, AwsRequest, AwsResponse, uri_encoded};
pub use ca::{Ca, Verification};
pub use ca_registration::{CaRegistration, registration_code};
pub use certificate::{CertificateVersion, Flaw, Window};
pub use device::{Device, DeviceSpec};
pub use domain::sigv4::Credentials;
pub use error::{Closing, Error};
pub use files::{Existing, Folder};
pub use hyper::Method;
pub use key::{Key, KeyAlgorithm};
pub use landing::{BackOff, Landing, Outcome, ReadyDevice, in_flight};
pub use mqtt_client::MqttClient;
pub use sample::Sample;
pub use tls::{ClientTls, Sni, TlsVersions};
pub use tls_connection::TlsConnection;
