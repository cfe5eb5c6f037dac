//! `landfall simulate`: a fleet's first day against the running server. Devices that nobody registered connect, are dropped,
//! and connect again until they are let in; the devices' side is `fleet`'s, as in the benchmarks.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use fleet::{Activation, BackOff, Ca, CaRegistration, ClientTls, DeviceSpec, Landing, ReadyDevice, Sample, in_flight};

use super::arguments::{CaFiles, SimulateArguments};
use super::{read_ca, sentence};
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::server_certificate::reachable;
use crate::{Sentence, client, serve};

/// Reasons printed; the others are the same, as a rule.
const FAILURES_SHOWN: usize = 5;
/// Between two looks of the person at the screen.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

pub fn main(arguments: &SimulateArguments) -> Result<(), Sentence> {
    let data_dir = DataDir::existing(&arguments.data_dir)?;
    let run = RunFile::read(&data_dir)?;
    // Read first: a wrong path should not cost a CA.
    let own = arguments.ca.as_ref().map(|ca| CaFiles { ca: ca.clone(), ca_key: arguments.ca_key.clone() });
    let own = own.as_ref().map(read_ca).transpose()?;
    let is_own = own.is_some();
    serve::block_on(async {
        let ca = match own {
            Some(ca) => ca,
            None => prepare(&run, &data_dir, arguments).await?,
        };
        say!("Making {} devices of {} ...", arguments.devices, ca.certificate().subject().to_text());
        let devices = manufacture(&ca, &run, arguments)?;
        let outcome = land(devices, &run, arguments).await;
        if !is_own {
            say!("The CA, a role, a function and a rule of the simulation stay in the registry, with its devices.");
        }
        outcome.report()
    })
}

/// A CA of the simulation's own, whose devices a function activates.
async fn prepare(run: &RunFile, data_dir: &DataDir, arguments: &SimulateArguments) -> Result<Ca, Sentence> {
    let client = client::of(run, data_dir)?;
    let ca = Ca::new("Simulated factory CA", arguments.key.algorithm()).map_err(sentence)?;
    let how = CaRegistration { set_as_active: true, allow_auto_registration: true };
    ca.register(&client, how).await.map_err(sentence)?;
    let name = format!("simulation_{}", ca.id().to_string().get(..12).unwrap_or_default());
    let activation = Activation::named(&name, client).await.map_err(sentence)?;
    activation.set_up(ca.id()).await.map_err(sentence)?;
    say!("CA, role, function and rule are set up as {name}.");
    Ok(ca)
}

/// Before the clock runs.
fn manufacture(ca: &Ca, run: &RunFile, arguments: &SimulateArguments) -> Result<Vec<ReadyDevice>, Sentence> {
    let tls = ClientTls::new(&run.root_ca_pem, &run.endpoint).map_err(sentence)?;
    let algorithm = arguments.key.algorithm();
    let digits = arguments.devices.to_string().len();
    // Of this simulation alone: a client id that is in use elsewhere would be taken over.
    let batch = services::uuid();
    let batch = batch.get(..8).unwrap_or_default();
    let specs: Vec<DeviceSpec> = (1..=arguments.devices)
        .map(|number| DeviceSpec { algorithm, ..DeviceSpec::new(format!("simulated-{batch}-{number:0digits$}")) })
        .collect();
    let ready = |spec: &DeviceSpec, device| ReadyDevice::new(&device, ca, &spec.common_name, &tls);
    ca.manufacture(&specs, ready).map_err(sentence)
}

#[derive(Default)]
struct Outcome {
    landings: Vec<Landing>,
    failures: Vec<String>,
    took: Duration,
}

async fn land(devices: Vec<ReadyDevice>, run: &RunFile, arguments: &SimulateArguments) -> Outcome {
    let address = reachable(run.mqtt_addr);
    let back_off = BackOff { first: Duration::from_millis(arguments.pause_ms), ..BackOff::default() };
    let (begin, count) = (Instant::now(), devices.len());
    let mut outcome = Outcome::default();
    let mut progress = Progress::new(count);
    let work = move |device: ReadyDevice| async move { device.land(address, back_off).await };
    in_flight(devices, arguments.in_flight.into(), work, |(name, end)| {
        match end {
            Ok(landing) => outcome.landings.push(landing),
            Err(err) => outcome.failures.push(format!("{name}: {err}")),
        }
        progress.show(outcome.landings.len(), outcome.failures.len());
    })
    .await;
    outcome.took = begin.elapsed();
    outcome
}

/// One line that is written over, where somebody looks.
struct Progress {
    count: usize,
    shown: Option<Instant>,
    is_watched: bool,
}

impl Progress {
    fn new(count: usize) -> Self {
        Self { count, shown: None, is_watched: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, landed: usize, failed: usize) {
        let is_last = landed + failed == self.count;
        if !self.is_watched || !is_last && self.shown.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let end = if is_last { "\n" } else { "" };
        eprint!("\r{landed} of {} landed, {failed} failed{end}", self.count);
        // What is not seen at once is seen with the next line.
        let _ = std::io::stderr().flush();
    }
}

impl Outcome {
    fn report(&self) -> Result<(), Sentence> {
        if !self.landings.is_empty() {
            let ms = |landing: &Landing| landing.took.as_secs_f64() * 1000.0;
            let took = Sample::new(self.landings.iter().map(ms).collect());
            let connections = Sample::new(self.landings.iter().map(|landing| landing.connections.into()).collect());
            let count = self.landings.len();
            say!(
                "{count} devices landed in {:.1} s: {:.0}/s",
                self.took.as_secs_f64(),
                count as f64 / self.took.as_secs_f64()
            );
            say!(
                "  first connection to CONNACK, ms: p50 {:.0}, p99 {:.0}",
                took.percentile(50.0),
                took.percentile(99.0)
            );
            say!("  connections per device: {:.2}", connections.mean());
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        for failure in self.failures.iter().take(FAILURES_SHOWN) {
            eprintln!("{failure}");
        }
        Err(format!("{} devices did not land. Ask the server why: landfall explain", self.failures.len()).into())
    }
}
