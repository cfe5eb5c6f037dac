//! The device's side of the demo: a key and a certificate that nobody registers, a first connection that is dropped, and
//! one that stays.

use std::path::PathBuf;
use std::time::Duration;

use domain::CertificateId;
use fleet::{Ca, CertificateVersion, ClientTls, Device, DeviceSpec, MqttClient};
use mqtt::packet::Connect;

use super::Steps;
use crate::Sentence;
use crate::data_dir::write_new;
use crate::serve::Server;
use crate::server_certificate::reachable;

const CLIENT_ID: &str = "anyclientID";
const TOPIC: &str = "JITR/test";

/// For each wait of the device.
const DEADLINE: Duration = Duration::from_secs(10);

/// Reconnects before the demo calls it a failure, each after a longer pause, as a device's own back-off does it.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE_FIRST: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_secs(2);

pub struct DemoDevice {
    device: Device,
    tls: ClientTls,
    address: std::net::SocketAddr,
}

/// The device's files, for whoever wants to go on with mosquitto.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl DemoDevice {
    pub fn manufacture(steps: &mut Steps, ca: &Ca, server: &Server) -> Result<Self, Sentence> {
        let failed = |err: fleet::Error| format!("the device could not be made: {err}");
        let spec = DeviceSpec { version: CertificateVersion::V1, ..DeviceSpec::new("Demo device 1") };
        let device = ca.issue(&spec).map_err(failed)?;
        let tls = ClientTls::new(&server.run.root_ca_pem, &server.run.endpoint)
            .and_then(|tls| tls.with_device(&device, &[ca]));
        steps.say(&format!(
            "Certificate {} is signed by the factory's CA (X.509 version 1, as openssl x509 -req makes it); nobody registers it",
            &device.id().to_string()[..12]
        ));
        Ok(Self { device, tls: tls.map_err(failed)?, address: reachable(server.run.mqtt_addr) })
    }

    pub fn id(&self) -> CertificateId {
        self.device.id()
    }

    pub async fn land(&self, steps: &mut Steps) -> Result<(), Sentence> {
        steps
            .step("first CONNECT", async {
                match self.connect().await {
                    Err(err) if err.is_closed_without_connack() => {
                        Ok(((), "closed without CONNACK: registered as PENDING_ACTIVATION".to_owned()))
                    }
                    Err(err) => Err(format!("{err}").into()),
                    Ok(_) => Err("a certificate that nobody registered was let in.".into()),
                }
            })
            .await?;
        let mut client = steps
            .step("CONNECT again, with back-off, until CONNACK", async {
                let mut pause = PAUSE_FIRST;
                for attempt in 1..=ATTEMPTS_MAX {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    match self.connect().await {
                        Ok(client) => return Ok((client, format!("CONNACK on attempt {attempt}"))),
                        Err(err) if err.is_closed_without_connack() => {}
                        Err(err) => return Err(format!("{err}").into()),
                    }
                }
                Err("the certificate was not activated in time; landfall explain says why.".into())
            })
            .await?;
        steps
            .step("PUBLISH JITR/test, QoS 1", async {
                client.publish_at_least_once(TOPIC, "Hello").await.map_err(|err| err.to_string())?;
                Ok(((), "PUBACK".to_owned()))
            })
            .await?;
        client.disconnect().await.map_err(|err| err.to_string().into())
    }

    async fn connect(&self) -> Result<MqttClient, fleet::Error> {
        // A TLS handshake's state is large; it should not be part of every future that waits for it.
        Box::pin(MqttClient::connect(self.address, &self.tls, Connect::new(CLIENT_ID), DEADLINE)).await
    }

    pub fn files(&self, server: &Server, ca: &Ca) -> Result<Files, Sentence> {
        let [certificate, key] = ["demo-device.crt", "demo-device.key"].map(|name| server.data_dir.file(name));
        let chain = self.device.chain_pem(ca).map_err(|err| err.to_string())?;
        write_new(&certificate, chain.as_bytes(), 0o644)?;
        write_new(&key, self.device.key().pem().as_bytes(), 0o600)?;
        Ok(Files { certificate, key })
    }
}
