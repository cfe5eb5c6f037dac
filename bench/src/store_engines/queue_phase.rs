//! Queue traffic: what persistent sessions cost an engine. A thousand queues with ten entries each; every commit appends
//! and removes as much, as when subscribers keep up. Entries, bodies that several queues share, and counts are kept as
//! `store` keeps them (`crates/store/src/engine/queues.rs`).

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::engine::{Engine, Failure, Table, Variant, Write};
use crate::phase::{RATE_TIME, Random, cpu_us, memory_mb};

const QUEUES: u64 = 1000;
const DEPTH: usize = 10;
const BODY_BYTES: usize = 200;
const HEAD_BYTES: usize = 24;
const FAN_OUT: u64 = 50;
const GROUP: u64 = 64;
/// As much as a connection reads at once.
const BATCH: usize = 64;
const LAST_POSITION: [u8; 8] = [0xff; 8];

/// What one commit is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// One message for one session: a publisher that waits for each PUBACK, and nobody else.
    Alone,
    /// One message for fifty.
    FanOut,
    /// Sixty-four messages of as many publishers, for one session each.
    Group,
}

impl Traffic {
    fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::FanOut => "fanout",
            Self::Group => "group",
        }
    }
}

struct Queues {
    engine: Engine,
    position: u64,
    /// The positions of what is in each.
    held: Vec<VecDeque<u64>>,
    /// Of the commit that is being made: what it writes is what it reads.
    draft: HashMap<(Table, Vec<u8>), Option<Vec<u8>>>,
}

pub fn fill(variant: Variant, dir: &Path) -> Result<(), Failure> {
    let mut queues = Queues::open(variant, dir)?;
    for _ in 0..DEPTH {
        for first in (0..QUEUES).step_by(FAN_OUT as usize) {
            queues.append(first..first + FAN_OUT)?;
        }
        queues.commit()?;
    }
    Ok(())
}

/// Durable entries a second, each appended and one removed for it.
pub fn traffic(variant: Variant, dir: &Path, traffic: Traffic) -> Result<(), Failure> {
    let mut queues = Queues::open(variant, dir)?;
    let mut random = Random(traffic as u64 + 11);
    let mut entries = 0;
    let (started, cpu_before_us) = (Instant::now(), cpu_us());
    while started.elapsed() < RATE_TIME {
        entries += queues.turn(&mut random, traffic)?;
    }
    let name = traffic.name();
    println!(
        "queue_{name}_rate {:.0} queue_{name}_cpu_us {:.1} queue_{name}_mb {:.1}",
        entries as f64 / started.elapsed().as_secs_f64(),
        (cpu_us() - cpu_before_us) / entries as f64,
        memory_mb("RssAnon:")
    );
    Ok(())
}

/// Until it is killed; says so once it is under way.
pub fn run(variant: Variant, dir: &Path) -> Result<(), Failure> {
    let mut queues = Queues::open(variant, dir)?;
    let mut random = Random(u64::from(std::process::id()));
    for commits in 0_u64.. {
        queues.turn(&mut random, [Traffic::Alone, Traffic::FanOut, Traffic::Group][(commits % 3) as usize])?;
        if commits == 10 {
            println!("running");
            std::io::stdout().flush()?;
        }
    }
    Ok(())
}

/// Opens what is there and reads what every queue holds by its count: what a start of the server would wait for. Then looks
/// whether the counts are true.
pub fn open(variant: Variant, dir: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let engine = Engine::open(variant, dir)?;
    let counted = engine.range(Table::Usage, &[], &[0xfe; 8], usize::MAX)?;
    let open_ms = started.elapsed().as_secs_f64() * 1000.0;
    for (queue, usage) in counted {
        let entries = engine.range(
            Table::Entries,
            &[&queue[..], &[0; 8]].concat(),
            &[&queue[..], &[0xff; 8]].concat(),
            usize::MAX,
        )?;
        if number(&usage, 0) != entries.len() as u64 {
            return Err("a queue is not what is counted of it".into());
        }
    }
    println!("queue_open_ms {open_ms:.1}");
    Ok(())
}

/// Every queue from its beginning, with the bodies.
pub fn read(variant: Variant, dir: &Path) -> Result<(), Failure> {
    let engine = Engine::open(variant, dir)?;
    let mut entries = 0;
    let started = Instant::now();
    while started.elapsed() < RATE_TIME / 5 {
        for queue in 0..QUEUES {
            for (_, entry) in engine.range(Table::Entries, &key(queue, 0), &key(queue, u64::MAX), BATCH)? {
                if let Some(body) = shared_body(&entry) {
                    engine.get(Table::Bodies, body)?.ok_or("a body is missing")?;
                }
                entries += 1;
            }
        }
    }
    println!("queue_read_us {:.2}", started.elapsed().as_secs_f64() * 1e6 / f64::from(entries));
    Ok(())
}

impl Queues {
    fn open(variant: Variant, dir: &Path) -> Result<Self, Failure> {
        let engine = Engine::open(variant, dir)?;
        let position = engine.get(Table::Usage, &LAST_POSITION)?.map_or(0, |stored| number(&stored, 0));
        let mut held = Vec::new();
        for queue in 0..QUEUES {
            let entries = engine.range(Table::Entries, &key(queue, 0), &key(queue, u64::MAX), usize::MAX)?;
            held.push(entries.iter().map(|(key, _)| number(key, 8)).collect());
        }
        Ok(Self { engine, position, held, draft: HashMap::new() })
    }

    /// One commit. How many entries it appended.
    fn turn(&mut self, random: &mut Random, traffic: Traffic) -> Result<u64, Failure> {
        let first = random.below(QUEUES - FAN_OUT);
        let entries = match traffic {
            Traffic::Alone => {
                self.append(first..first + 1)?;
                self.remove_first(first)?;
                1
            }
            Traffic::FanOut => {
                self.append(first..first + FAN_OUT)?;
                for queue in first..first + FAN_OUT {
                    self.remove_first(queue)?;
                }
                FAN_OUT
            }
            Traffic::Group => {
                for _ in 0..GROUP {
                    let queue = random.below(QUEUES);
                    self.append(queue..queue + 1)?;
                    self.remove_first(queue)?;
                }
                GROUP
            }
        };
        self.commit()?;
        Ok(entries)
    }

    fn append(&mut self, to: std::ops::Range<u64>) -> Result<(), Failure> {
        self.position += 1;
        let position = self.position;
        let count = to.end - to.start;
        let body = vec![b'x'; BODY_BYTES];
        if count > 1 {
            self.put(Table::Bodies, position.to_be_bytes().to_vec(), Some([&count.to_be_bytes()[..], &body].concat()));
        }
        for queue in to {
            let rest = if count > 1 { position.to_be_bytes().to_vec() } else { body.clone() };
            let entry = [&[u8::from(count > 1)][..], &[b'h'; HEAD_BYTES], &rest].concat();
            self.put(Table::Entries, key(queue, position), Some(entry));
            self.count(queue, 1)?;
            self.held[queue as usize].push_back(position);
        }
        Ok(())
    }

    fn remove_first(&mut self, queue: u64) -> Result<(), Failure> {
        let Some(position) = self.held[queue as usize].pop_front() else { return Ok(()) };
        let key = key(queue, position);
        let entry = self.look(Table::Entries, &key)?.ok_or("an entry is missing")?;
        if let Some(number_of_body) = shared_body(&entry) {
            let body = self.look(Table::Bodies, number_of_body)?.ok_or("a body is missing")?;
            let count = number(&body, 0) - 1;
            let rest = (count > 0).then(|| [&count.to_be_bytes()[..], &body[8..]].concat());
            self.put(Table::Bodies, number_of_body.to_vec(), rest);
        }
        self.put(Table::Entries, key, None);
        self.count(queue, -1)
    }

    fn count(&mut self, queue: u64, change: i64) -> Result<(), Failure> {
        let key = queue.to_be_bytes().to_vec();
        let counted = self.look(Table::Usage, &key)?.map_or(0, |stored| number(&stored, 0));
        let counted = counted.saturating_add_signed(change);
        let stored = [counted.to_be_bytes(), (counted * BODY_BYTES as u64).to_be_bytes()].concat();
        self.put(Table::Usage, key, Some(stored));
        Ok(())
    }

    fn look(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match self.draft.get(&(table, key.to_vec())) {
            Some(written) => Ok(written.clone()),
            None => self.engine.get(table, key),
        }
    }

    fn put(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.draft.insert((table, key), value);
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.put(Table::Usage, LAST_POSITION.to_vec(), Some(self.position.to_be_bytes().to_vec()));
        let mut writes: Vec<Write> =
            self.draft.drain().map(|((table, key), value)| Write { table, key, value }).collect();
        writes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        self.engine.commit(&writes)
    }
}

fn key(queue: u64, position: u64) -> Vec<u8> {
    [queue.to_be_bytes(), position.to_be_bytes()].concat()
}

fn shared_body(entry: &[u8]) -> Option<&[u8]> {
    (entry.first() == Some(&1)).then(|| &entry[1 + HEAD_BYTES..])
}

/// Eight bytes of what this program has written itself.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map_or(0, u64::from_be_bytes)
}
