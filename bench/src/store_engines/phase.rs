//! What a child process does. Each phase prints one line of `name value` pairs.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::{Engine, Failure, Table, Variant, Write};

/// About a certificate record: its PEM is most of it.
const VALUE_BYTES: usize = 400;
const LOAD_WRITES: u64 = 1000;
pub const RATE_TIME: Duration = Duration::from_secs(5);
const GETS: u64 = 200_000;

/// Fills an empty engine.
pub fn load(variant: Variant, dir: &Path, records: u64) -> Result<(), Failure> {
    let engine = Engine::open(variant, dir)?;
    let mut values = Random(1);
    let started = Instant::now();
    for first in (0..records).step_by(LOAD_WRITES as usize) {
        let writes: Vec<_> =
            (first..records.min(first + LOAD_WRITES)).map(|index| record(index, values.value())).collect();
        engine.commit(&writes)?;
    }
    println!("load_s {:.1}", started.elapsed().as_secs_f64());
    Ok(())
}

/// Durable records a second with so many writes per commit, each to a record chosen at random.
pub fn rate(variant: Variant, dir: &Path, records: u64, writes_per_commit: u64) -> Result<(), Failure> {
    let engine = Engine::open(variant, dir)?;
    let mut random = Random(writes_per_commit + 7);
    let mut commits = 0;
    let started = Instant::now();
    while started.elapsed() < RATE_TIME {
        engine.commit(&random_writes(&mut random, records, writes_per_commit))?;
        commits += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    let written = commits as f64 * writes_per_commit as f64;
    println!(
        "rate_{writes_per_commit} {:.0} cpu_us_{writes_per_commit} {:.1} written_mb {:.1}",
        written / seconds,
        cpu_us() / written,
        memory_mb("RssAnon:")
    );
    Ok(())
}

/// Commits until it is killed; says so once it is under way.
pub fn run(variant: Variant, dir: &Path, records: u64) -> Result<(), Failure> {
    let engine = Engine::open(variant, dir)?;
    let mut random = Random(u64::from(std::process::id()));
    for commits in 0_u64.. {
        engine.commit(&random_writes(&mut random, records, [1, 16, 64][(commits % 3) as usize]))?;
        if commits == 10 {
            println!("running");
            std::io::stdout().flush()?;
        }
    }
    Ok(())
}

/// Opens what is there and reads a record: what a start of the server would wait for.
pub fn open(variant: Variant, dir: &Path, records: u64) -> Result<(), Failure> {
    let empty_mb = memory_mb("RssAnon:");
    let started = Instant::now();
    let engine = Engine::open(variant, dir)?;
    engine.get(Table::Records, &key(records / 2))?.ok_or("a record is missing after the crash")?;
    let open_ms = started.elapsed().as_secs_f64() * 1000.0;
    println!("open_ms {open_ms:.1} rest_mb {:.1}", memory_mb("RssAnon:") - empty_mb);
    Ok(())
}

pub fn gets(variant: Variant, dir: &Path, records: u64) -> Result<(), Failure> {
    let engine = Engine::open(variant, dir)?;
    let mut random = Random(3);
    // The second span is a working set that fits the cache, a page for each record.
    for (name, span) in [("get_any_us", records), ("get_hot_us", 1000)] {
        let mut elapsed = Duration::ZERO;
        for pass in 0..2 {
            let started = Instant::now();
            for _ in 0..GETS {
                engine.get(Table::Records, &key(random.below(span)))?.ok_or("a record is missing")?;
            }
            if pass == 1 {
                elapsed = started.elapsed();
            }
        }
        print!("{name} {:.2} ", elapsed.as_secs_f64() * 1e6 / GETS as f64);
    }
    println!("read_rss_mb {:.1}", memory_mb("RssAnon:"));
    Ok(())
}

fn random_writes(random: &mut Random, records: u64, count: u64) -> Vec<Write> {
    (0..count).map(|_| record(random.below(records), random.value())).collect()
}

fn record(index: u64, value: Vec<u8>) -> Write {
    Write { table: Table::Records, key: key(index), value: Some(value) }
}

/// Spread like certificate ids: neighbours in time are not neighbours in the tree.
fn key(index: u64) -> Vec<u8> {
    let spread = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("iot/cert/{spread:016x}{index:016x}").into_bytes()
}

/// A field of /proc/self/status, in megabytes; 0 where the system has none.
pub fn memory_mb(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}

/// Processor time of this process and its threads, in microseconds, as the kernel counts it: in ticks of 10 ms.
pub fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // User and system time are the fields 14 and 15; the name is the second.
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10_000.0
}

/// xorshift64*: repeatable, and no dependency.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Hexadecimal text compresses to about half, as base64 of a certificate does less and its JSON does more.
    fn value(&mut self) -> Vec<u8> {
        let mut text = String::with_capacity(VALUE_BYTES + 16);
        while text.len() < VALUE_BYTES {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(VALUE_BYTES);
        text.into_bytes()
    }
}
