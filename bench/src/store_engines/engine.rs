//! The engines under measurement, each as the store would use it: one table, one writer, small caches.

use std::path::Path;

use fjall::config::PinningPolicy;
use fjall::{KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, TableDefinition};

pub type Failure = Box<dyn std::error::Error>;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

/// Both engines get the same cache, small enough for "30 MB at rest".
const CACHE_BYTES: usize = 8 << 20;
/// fjall's default of 64 MiB would break "30 MB at rest" by itself, and is what a start has to replay.
const MEMTABLE_BYTES: u64 = 8 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Redb,
    RedbQuickRepair,
    Fjall,
}

impl Variant {
    pub const ALL: [Self; 3] = [Self::Redb, Self::RedbQuickRepair, Self::Fjall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::RedbQuickRepair => "redb-quick-repair",
            Self::Fjall => "fjall",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.name() == name)
    }
}

/// Filters and indexes stay in memory (a few megabytes for a million records): read again for every look, they made one
/// cost 250 microseconds.
fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .index_block_pinning_policy(PinningPolicy::all(true))
}

pub enum Engine {
    Redb { database: redb::Database, quick_repair: bool },
    Fjall { database: fjall::Database, keyspace: fjall::Keyspace },
}

impl Engine {
    pub fn open(variant: Variant, dir: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir)?;
        match variant {
            Variant::Redb | Variant::RedbQuickRepair => Ok(Self::Redb {
                database: redb::Builder::new().set_cache_size(CACHE_BYTES).create(dir.join("records.redb"))?,
                quick_repair: variant == Variant::RedbQuickRepair,
            }),
            Variant::Fjall => {
                let database = fjall::Database::builder(dir).cache_size(CACHE_BYTES as u64).worker_threads(1).open()?;
                let keyspace = database.keyspace("records", keyspace_options)?;
                Ok(Self::Fjall { database, keyspace })
            }
        }
    }

    /// All or nothing, on disk when it returns.
    pub fn commit(&self, writes: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Failure> {
        match self {
            Self::Redb { database, quick_repair } => {
                let mut transaction = database.begin_write()?;
                transaction.set_quick_repair(*quick_repair);
                {
                    let mut table = transaction.open_table(TABLE)?;
                    for (key, value) in writes {
                        table.insert(key.as_slice(), value.as_slice())?;
                    }
                }
                transaction.commit()?;
            }
            Self::Fjall { database, keyspace } => {
                let mut batch = database.batch().durability(Some(PersistMode::SyncData));
                for (key, value) in writes {
                    batch.insert(keyspace, key.as_slice(), value.as_slice());
                }
                batch.commit()?;
            }
        }
        Ok(())
    }

    /// The length of the value: enough to make the engine find and read it.
    pub fn get(&self, key: &[u8]) -> Result<Option<usize>, Failure> {
        match self {
            Self::Redb { database, .. } => {
                let table = database.begin_read()?.open_table(TABLE)?;
                let length = table.get(key)?.map(|guard| guard.value().len());
                Ok(length)
            }
            Self::Fjall { keyspace, .. } => Ok(keyspace.get(key)?.map(|value| value.len())),
        }
    }
}
