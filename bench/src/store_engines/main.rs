//! Measures the candidates for the store's engine: durable commits, reads, memory, queue traffic, and how long an open takes
//! after SIGKILL. The result is in docs/decisions/0001-storage-engine.md.
//!
//! `store-engines DIR [RECORDS]`: DIR must not exist; it is left behind for a look.
//! Every phase is a child process of its own, so that memory and open times are those of a fresh start.

mod engine;
mod phase;
mod queue_phase;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use engine::{Failure, Variant};
use queue_phase::Traffic;

const RECORDS: u64 = 1_000_000;
/// Each variant is killed so many times while it commits.
const KILLS: u64 = 7;
/// The rates are taken in rounds over all variants, since other work on the machine comes and goes.
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["phase", name, variant, dir, records] => child(name, variant, Path::new(dir), records),
        [dir] => measure(Path::new(dir), RECORDS),
        [dir, records] => records.parse().map_err(Failure::from).and_then(|records| measure(Path::new(dir), records)),
        _ => Err("usage: store-engines DIR [RECORDS]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("store-engines: {error}");
            ExitCode::FAILURE
        }
    }
}

fn child(name: &str, variant: &str, dir: &Path, records: &str) -> Result<(), Failure> {
    let variant = Variant::parse(variant).ok_or("unknown variant")?;
    let records = records.parse()?;
    match name {
        "load" => phase::load(variant, dir, records),
        "rate-1" => phase::rate(variant, dir, records, 1),
        "rate-64" => phase::rate(variant, dir, records, 64),
        "rate-1000" => phase::rate(variant, dir, records, 1000),
        "run" => phase::run(variant, dir, records),
        "open" => phase::open(variant, dir, records),
        "gets" => phase::gets(variant, dir, records),
        "queue-fill" => queue_phase::fill(variant, dir),
        "queue-alone" => queue_phase::traffic(variant, dir, Traffic::Alone),
        "queue-fanout" => queue_phase::traffic(variant, dir, Traffic::FanOut),
        "queue-group" => queue_phase::traffic(variant, dir, Traffic::Group),
        "queue-run" => queue_phase::run(variant, dir),
        "queue-open" => queue_phase::open(variant, dir),
        "queue-read" => queue_phase::read(variant, dir),
        _ => Err("unknown phase".into()),
    }
}

fn measure(dir: &Path, records: u64) -> Result<(), Failure> {
    std::fs::create_dir(dir)?;
    let mut table = Table::default();
    let runs: Vec<Run> =
        Variant::ALL.into_iter().map(|variant| Run { variant, dir: dir.join(variant.name()), records }).collect();
    for run in &runs {
        run.phase("load", &mut table)?;
        table.add(run.variant, "file_mb", size_bytes(&run.dir)? as f64 / 1e6);
    }
    for _ in 0..ROUNDS {
        for phase in ["rate-1", "rate-64", "rate-1000"] {
            for run in &runs {
                run.phase(phase, &mut table)?;
            }
        }
    }
    for run in &runs {
        for kill in 0..KILLS {
            run.killed_after("run", Duration::from_millis(300 + 170 * kill))?;
            run.phase("open", &mut table)?;
        }
        run.phase("gets", &mut table)?;
        table.add(run.variant, "file_after_mb", size_bytes(&run.dir)? as f64 / 1e6);
    }
    measure_queues(&runs, &mut table)?;
    table.print();
    Ok(())
}

/// Beside the records, in the same files.
fn measure_queues(runs: &[Run], table: &mut Table) -> Result<(), Failure> {
    for run in runs {
        run.phase("queue-fill", table)?;
    }
    for _ in 0..ROUNDS {
        for phase in ["queue-alone", "queue-fanout", "queue-group", "queue-read"] {
            for run in runs {
                run.phase(phase, table)?;
            }
        }
    }
    for run in runs {
        for kill in 0..KILLS {
            run.killed_after("queue-run", Duration::from_millis(300 + 170 * kill))?;
            run.phase("queue-open", table)?;
        }
    }
    Ok(())
}

struct Run {
    variant: Variant,
    dir: PathBuf,
    records: u64,
}

impl Run {
    fn command(&self, phase: &str) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["phase", phase, self.variant.name()]).arg(&self.dir).arg(self.records.to_string());
        Ok(command)
    }

    fn phase(&self, phase: &str, table: &mut Table) -> Result<(), Failure> {
        let output = self.command(phase)?.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(format!("{phase} of {} failed", self.variant.name()).into());
        }
        eprintln!("{} {phase}: {}", self.variant.name(), text.trim());
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.chunks_exact(2) {
            table.add(self.variant, pair[0], pair[1].parse()?);
        }
        Ok(())
    }

    /// SIGKILL in the middle of commits.
    fn killed_after(&self, phase: &str, time: Duration) -> Result<(), Failure> {
        let mut child = self.command(phase)?.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let started = Instant::now();
        std::thread::sleep(time.saturating_sub(started.elapsed()));
        child.kill()?;
        child.wait()?;
        if line.trim() != "running" {
            return Err(format!("{} did not run", self.variant.name()).into());
        }
        Ok(())
    }
}

/// Every value measured, by name and variant.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, [Vec<f64>; Variant::ALL.len()]>,
}

impl Table {
    fn add(&mut self, variant: Variant, name: &str, value: f64) {
        let row = self.rows.entry(name.to_owned()).or_default();
        row[variant as usize].push(value);
    }

    /// Median and, where there is more than one value, the least and the greatest.
    fn print(&self) {
        let names: Vec<&str> = Variant::ALL.into_iter().map(Variant::name).collect();
        println!("| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
        for (name, row) in &self.rows {
            let cells: Vec<String> = row.iter().map(|values| cell(values)).collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
    }
}

fn cell(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => String::new(),
        [one] => format!("{one}"),
        [least, .., greatest] => format!("{} ({least} to {greatest})", values[values.len() / 2]),
    }
}

fn size_bytes(dir: &Path) -> Result<u64, Failure> {
    let mut size = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() { size_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}
