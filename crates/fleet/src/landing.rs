//! A device's first day: it connects, is dropped, and connects again with growing pauses until it is let in. One device
//! or a fleet of them, so many in flight.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use domain::CertificateId;
use mqtt::packet::Connect;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::{Ca, ClientTls, Device, Error, MqttClient, TlsConnection};

/// How a device waits between two connections. Each pause is twice the one before.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    pub first: Duration,
    pub max: Duration,
    /// Dropped so often, it gives up.
    pub connections_max: u32,
}

/// A device with all that it needs to connect.
#[derive(Clone)]
pub struct ReadyDevice {
    certificate: CertificateId,
    client_id: String,
    tls: ClientTls,
}

/// How a device landed.
#[derive(Clone, Copy, Debug)]
pub struct Landing {
    pub certificate: CertificateId,
    /// When the first CONNECT went out.
    pub first_connect_at: SystemTime,
    /// From the first SYN to the CONNACK.
    pub took: Duration,
    pub connections: u32,
}

/// For each wait on the wire.
const DEADLINE: Duration = Duration::from_secs(30);

impl Default for BackOff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(2), connections_max: 30 }
    }
}

impl ReadyDevice {
    /// `tls` is a client's without an identity: it is the same for all devices.
    pub fn new(device: &Device, ca: &Ca, client_id: &str, tls: &ClientTls) -> Result<Self, Error> {
        let tls = tls.clone().with_device(device, &[ca])?;
        Ok(Self { certificate: device.id(), client_id: client_id.to_owned(), tls })
    }

    /// Until CONNACK; then it says goodbye.
    pub async fn land(&self, address: SocketAddr, back_off: BackOff) -> Result<Landing, Error> {
        let begin = Instant::now();
        let mut first_connect_at = None;
        let mut pause = back_off.first;
        let mut connections = 0;
        loop {
            let connection = TlsConnection::open(address, &self.tls, DEADLINE).await?;
            let at = *first_connect_at.get_or_insert_with(SystemTime::now);
            connections += 1;
            match self.connect_over(connection).await {
                Ok(client) => {
                    let took = begin.elapsed();
                    client.disconnect().await?;
                    return Ok(Landing { certificate: self.certificate, first_connect_at: at, took, connections });
                }
                Err(error) if error.is_closed_without_connack() && connections < back_off.connections_max => {}
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(back_off.max);
        }
    }

    /// CONNECT, CONNACK, DISCONNECT, once.
    pub async fn visit(&self, address: SocketAddr) -> Result<(), Error> {
        let connection = TlsConnection::open(address, &self.tls, DEADLINE).await?;
        self.connect_over(connection).await?.disconnect().await
    }

    async fn connect_over(&self, connection: TlsConnection) -> Result<MqttClient, Error> {
        Box::pin(MqttClient::connect_over(connection, Connect::new(&self.client_id))).await
    }
}

/// What became of each device, in the order of their ends.
pub type Outcome<T> = (String, Result<T, Error>);

/// Does `work` for each device, at most `in_flight` at once, and tells `each` how it ended.
pub async fn in_flight<T, W>(
    devices: Vec<ReadyDevice>,
    in_flight: usize,
    work: impl Fn(ReadyDevice) -> W,
    mut each: impl FnMut(Outcome<T>),
) where
    T: Send + 'static,
    W: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for device in devices {
        if running.len() >= in_flight.max(1) {
            end_of_one(&mut running, &mut each).await;
        }
        let (name, work) = (device.client_id.clone(), work(device));
        running.spawn(async move { (name, work.await) });
    }
    while !running.is_empty() {
        end_of_one(&mut running, &mut each).await;
    }
}

async fn end_of_one<T: 'static>(running: &mut JoinSet<Outcome<T>>, each: &mut impl FnMut(Outcome<T>)) {
    match running.join_next().await {
        Some(Ok(outcome)) => each(outcome),
        Some(Err(error)) => each(("a device".to_owned(), Err(Error::Protocol(format!("its task failed: {error}"))))),
        None => {}
    }
}
