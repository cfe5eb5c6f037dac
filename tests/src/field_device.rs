//! A device in the field: its files, its TLS, and the patience to connect again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fleet::{Ca, ClientTls, Device, DeviceSpec, Error, MqttClient};
use mqtt::packet::Connect;
use serde_json::{Value, json};

use crate::{Credential, Operator, PATIENCE, Server};

const DEADLINE: Duration = Duration::from_secs(10);

/// A device's own back-off between two connections.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub struct FieldDevice {
    device: Device,
    issuer: Ca,
    client_id: String,
}

impl FieldDevice {
    /// Signed by `ca`; nobody registers it. The client id is the common name.
    pub fn new(ca: &Ca, name: &str) -> Self {
        Self::of(ca, ca.issue(&DeviceSpec::new(name)).expect("a device"), name)
    }

    pub fn of(ca: &Ca, device: Device, client_id: &str) -> Self {
        Self { device, issuer: ca.clone(), client_id: client_id.to_owned() }
    }

    /// Of a CA of its own: registered by its first connection, and without a right yet.
    pub async fn pending(server: &Server, name: &str) -> Self {
        let device = Self::new(&Operator::of(server).register_ca("factory").await, name);
        device.must_be_dropped(device.connect(server).await);
        device
    }

    /// The same, active and under a policy of its own.
    pub async fn active(server: &Server, name: &str, statements: &Value) -> Self {
        let (operator, device) = (Operator::of(server), Self::pending(server, name).await);
        operator.create_policy("Own", statements).await;
        operator.attach_policy("Own", &device.id()).await;
        operator.update_certificate(&device.id(), "ACTIVE").await;
        device
    }

    pub fn id(&self) -> String {
        self.device.id().to_string()
    }

    pub fn issuer(&self) -> &Ca {
        &self.issuer
    }

    pub fn certificate_pem(&self) -> String {
        self.device.certificate_pem().expect("a certificate")
    }

    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn tls(&self, server: &Server) -> ClientTls {
        let root = std::fs::read_to_string(server.root_ca()).expect("the server's root");
        let tls = ClientTls::new(&root, server.fact("endpoint")).expect("a usable root");
        tls.with_device(&self.device, &[&self.issuer]).expect("a usable device key")
    }

    pub async fn connect(&self, server: &Server) -> Result<MqttClient, Error> {
        self.connect_as(server, &self.client_id).await
    }

    pub async fn connect_as(&self, server: &Server, client_id: &str) -> Result<MqttClient, Error> {
        MqttClient::connect(server.mqtt_addr(), &self.tls(server), Connect::new(client_id), DEADLINE).await
    }

    /// One connection that must end without CONNACK, as every one of a certificate that is not active yet does.
    #[track_caller]
    pub fn must_be_dropped(&self, outcome: Result<MqttClient, Error>) {
        match outcome {
            Err(error) if error.is_closed_without_connack() => {}
            Err(error) => panic!("{}: {error}", self.client_id),
            Ok(_) => panic!("{} was let in", self.client_id),
        }
    }

    /// Connects until it is let in, as a device does: with growing pauses, and nobody's help.
    pub async fn land(&self, server: &Server) -> MqttClient {
        let until = Instant::now() + PATIENCE;
        let mut pause = PAUSE_FIRST;
        loop {
            match self.connect(server).await {
                Ok(client) => return client,
                Err(error) if error.is_closed_without_connack() && Instant::now() < until => {}
                Err(error) => panic!("{} did not land: {error}\n{}", self.client_id, server.stderr()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Its files, for the programs that want files.
    pub fn files(&self, server: &Server) -> Credential {
        let file = |kind: &str| -> PathBuf { server.data_path().join(format!("test-{}.{kind}", self.device.id())) };
        let credential = Credential { certificate: file("crt"), key: file("key") };
        let chain = self.device.chain_pem(&self.issuer).expect("a chain");
        std::fs::write(&credential.certificate, chain).expect("room for a chain");
        std::fs::write(&credential.key, self.device.key().pem()).expect("room for a key");
        credential
    }

    /// What a script has to know to connect as this device.
    pub fn place(&self, server: &Server) -> Value {
        let files = self.files(server);
        json!({
            "host": server.fact("endpoint"),
            "port": server.mqtt_addr().port(),
            "root": server.root_ca(),
            "certificate": files.certificate,
            "key": files.key,
            "principal": self.id(),
            "arn": Operator::of(server).arn("iot", &format!("cert/{}", self.id())),
        })
    }
}
