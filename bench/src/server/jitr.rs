//! Onboardings, beside plain connections with the same keys.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fleet::{Activation, BackOff, Ca, CaRegistration, ClientTls, DeviceSpec, Landing, ReadyDevice, Sample, in_flight};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::child::{Cpu, Server};
use crate::{Failure, Fleet};

/// Land before the clock starts: the function's environments are there, policies of the kind are compiled.
const WARM_DEVICES: usize = 100;

/// Says when a certificate was set ACTIVE, by the server's own clock, after the commit.
const LOG_OF_TIMES: &str = "services::iot::certificate=info";
const LOG_OF_FAULTS: &str = "warn";

pub fn onboardings(program: &Path, fleet: &Fleet) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let world = runtime.block_on(World::new(program, fleet, LOG_OF_FAULTS))?;
    let devices = world.devices("d", fleet.devices)?;
    let landed = runtime.block_on(world.land(devices.clone(), fleet.in_flight.into()))?;
    let visited = runtime.block_on(world.visit(devices, fleet.in_flight.into()))?;
    println!("{} devices with {} keys, {} in flight", fleet.devices, fleet.key_type, fleet.in_flight);
    landed.print("onboardings");
    visited.print("plain connections");
    println!("  onboarding / plain connection, CPU: {:.2}", landed.cpu.total() / visited.cpu.total());
    drop(world);

    let mut world = runtime.block_on(World::new(program, fleet, LOG_OF_TIMES))?;
    let activations = world.activations()?;
    let devices = world.devices("loaded", fleet.devices)?;
    let loaded = runtime.block_on(world.land(devices, fleet.in_flight.into()))?;
    let devices = world.devices("alone", fleet.idle_devices)?;
    let alone = runtime.block_on(world.land(devices, 1))?;
    drop(world);
    let activations = activations.join().map_err(|_| "the log could not be read")?;
    if activations.is_empty() {
        return Err("the server's log tells of no activation".into());
    }
    println!("time to active, ms (CONNECT sent to ACTIVE committed)");
    print_times("one device at a time", &alone, &activations);
    print_times(&format!("{} in flight", fleet.in_flight), &loaded, &activations);
    Ok(())
}

pub fn connections(program: &Path, fleet: &Fleet) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let world = runtime.block_on(World::new(program, fleet, LOG_OF_FAULTS))?;
    let devices = world.devices("d", fleet.in_flight.into())?;
    runtime.block_on(world.land(devices.clone(), fleet.in_flight.into()))?;
    let visits = devices.into_iter().cycle().take(fleet.devices).collect();
    let visited = runtime.block_on(world.visit(visits, fleet.in_flight.into()))?;
    println!("{} connections with {} keys, {} in flight", fleet.devices, fleet.key_type, fleet.in_flight);
    visited.print("plain connections");
    Ok(())
}

/// A server on which devices of a CA land.
struct World {
    server: Server,
    ca: Ca,
    tls: ClientTls,
    fleet: Fleet,
}

struct Measured {
    landings: Vec<Landing>,
    count: usize,
    took: Duration,
    cpu: Cpu,
}

impl World {
    async fn new(program: &Path, fleet: &Fleet, log: &str) -> Result<Self, Failure> {
        let server = Server::start(program, log)?;
        let client = server.client()?;
        let ca = Ca::new("Bench CA", fleet.key_type)?;
        let how = CaRegistration { set_as_active: true, allow_auto_registration: true };
        ca.register(&client, how).await?;
        Activation::named("bench", client).await?.set_up(ca.id()).await?;
        let tls = ClientTls::new(&server.root_ca()?, "localhost")?;
        let world = Self { server, ca, tls, fleet: fleet.clone() };
        world.land(world.devices("warm", WARM_DEVICES)?, fleet.in_flight.into()).await?;
        Ok(world)
    }

    /// Keys and certificates are made before any clock runs.
    fn devices(&self, name: &str, count: usize) -> Result<Vec<ReadyDevice>, Failure> {
        let specs: Vec<DeviceSpec> = (0..count)
            .map(|number| DeviceSpec { algorithm: self.fleet.key_type, ..DeviceSpec::new(format!("{name}-{number}")) })
            .collect();
        let ready = |spec: &DeviceSpec, device| ReadyDevice::new(&device, &self.ca, &spec.common_name, &self.tls);
        Ok(self.ca.manufacture(&specs, ready)?)
    }

    async fn land(&self, devices: Vec<ReadyDevice>, at_once: usize) -> Result<Measured, Failure> {
        let address = self.server.mqtt_addr()?;
        let first = Duration::from_millis(self.fleet.pause_ms);
        let back_off = BackOff { first, ..BackOff::default() };
        let work = move |device: ReadyDevice| async move { device.land(address, back_off).await };
        self.measure(devices, at_once, work, |landings, landing| landings.push(landing)).await
    }

    async fn visit(&self, devices: Vec<ReadyDevice>, at_once: usize) -> Result<Measured, Failure> {
        let address = self.server.mqtt_addr()?;
        let work = move |device: ReadyDevice| async move { device.visit(address).await };
        self.measure(devices, at_once, work, |_, ()| ()).await
    }

    async fn measure<T: Send + 'static, W>(
        &self,
        devices: Vec<ReadyDevice>,
        at_once: usize,
        work: impl Fn(ReadyDevice) -> W,
        keep: impl Fn(&mut Vec<Landing>, T),
    ) -> Result<Measured, Failure>
    where
        W: Future<Output = Result<T, fleet::Error>> + Send + 'static,
    {
        let (count, before, begin) = (devices.len(), self.server.cpu()?, Instant::now());
        let mut landings = Vec::with_capacity(count);
        let mut failure = None;
        in_flight(devices, at_once, work, |(name, outcome)| match outcome {
            Ok(value) => keep(&mut landings, value),
            Err(error) => failure = Some(format!("{name}: {error}")),
        })
        .await;
        let took = begin.elapsed();
        let cpu = self.server.cpu()?.since(before);
        match failure {
            None => Ok(Measured { landings, count, took, cpu }),
            Some(failure) => Err(failure.into()),
        }
    }

    /// When each certificate became ACTIVE, in seconds since 1970; complete once the server has ended.
    fn activations(&mut self) -> Result<JoinHandle<HashMap<String, f64>>, Failure> {
        let stderr = self.server.take_stderr().ok_or("the log is being read already")?;
        Ok(std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).filter_map(|line| activation(&line)).collect()
        }))
    }
}

fn activation(line: &str) -> Option<(String, f64)> {
    let event: Value = serde_json::from_str(line).ok()?;
    if event["status"] != "ACTIVE" {
        return None;
    }
    let at = OffsetDateTime::parse(event["timestamp"].as_str()?, &Rfc3339).ok()?;
    Some((event["certificate_id"].as_str()?.to_owned(), at.unix_timestamp_nanos() as f64 / 1e9))
}

impl Measured {
    fn print(&self, name: &str) {
        let per_thousand = 1000.0 / self.count as f64;
        println!(
            "  {name}: {:.0}/s; CPU-seconds per thousand: server {:.3}, workers {:.3}, together {:.3}",
            self.count as f64 / self.took.as_secs_f64(),
            self.cpu.server * per_thousand,
            self.cpu.workers * per_thousand,
            self.cpu.total() * per_thousand,
        );
        if !self.landings.is_empty() {
            let connections = Sample::new(self.landings.iter().map(|landing| landing.connections.into()).collect());
            let took = Sample::new(self.landings.iter().map(|landing| landing.took.as_secs_f64() * 1000.0).collect());
            println!(
                "    connections per device {:.2}; first SYN to CONNACK, ms: p50 {:.0}, p99 {:.0}",
                connections.mean(),
                took.percentile(50.0),
                took.percentile(99.0)
            );
        }
    }
}

fn print_times(name: &str, measured: &Measured, activations: &HashMap<String, f64>) {
    let times = measured.landings.iter().filter_map(|landing| {
        let sent = landing.first_connect_at.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some((activations.get(&landing.certificate.to_string())? - sent) * 1000.0)
    });
    let times = Sample::new(times.collect());
    println!("  {name}: p50 {:.1}, p99 {:.1}", times.percentile(50.0), times.percentile(99.0));
}
