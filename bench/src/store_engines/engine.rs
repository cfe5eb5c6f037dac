//! The engines under measurement, each as the store would use it: a few tables, one writer, small caches.

use std::path::Path;

use fjall::config::PinningPolicy;
use fjall::{KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, TableDefinition};

pub type Failure = Box<dyn std::error::Error>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    Records,
    /// The last three are of queues, as `store` keeps them.
    Entries,
    Bodies,
    Usage,
}

impl Table {
    const ALL: [Self; 4] = [Self::Records, Self::Entries, Self::Bodies, Self::Usage];

    const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Entries => "queue-entries",
            Self::Bodies => "queue-bodies",
            Self::Usage => "queue-usage",
        }
    }

    fn redb(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

pub struct Write {
    pub table: Table,
    pub key: Vec<u8>,
    /// `None` removes.
    pub value: Option<Vec<u8>>,
}

pub type Item = (Vec<u8>, Vec<u8>);

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
    Redb {
        database: redb::Database,
        quick_repair: bool,
    },
    /// Keyspaces in the order of `Table::ALL`.
    Fjall {
        database: fjall::Database,
        keyspaces: Vec<fjall::Keyspace>,
    },
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
                let keyspaces = Table::ALL.into_iter().map(|table| database.keyspace(table.name(), keyspace_options));
                let keyspaces = keyspaces.collect::<Result<_, _>>()?;
                Ok(Self::Fjall { database, keyspaces })
            }
        }
    }

    /// All or nothing, on disk when it returns.
    pub fn commit(&self, writes: &[Write]) -> Result<(), Failure> {
        match self {
            Self::Redb { database, quick_repair } => {
                let mut transaction = database.begin_write()?;
                transaction.set_quick_repair(*quick_repair);
                for table in Table::ALL {
                    let mut of_table = writes.iter().filter(|write| write.table == table).peekable();
                    if of_table.peek().is_none() {
                        continue;
                    }
                    let mut opened = transaction.open_table(table.redb())?;
                    for Write { key, value, .. } in of_table {
                        match value {
                            Some(value) => drop(opened.insert(key.as_slice(), value.as_slice())?),
                            None => drop(opened.remove(key.as_slice())?),
                        }
                    }
                }
                transaction.commit()?;
            }
            Self::Fjall { database, keyspaces } => {
                let mut batch = database.batch().durability(Some(PersistMode::SyncData));
                for Write { table, key, value } in writes {
                    let keyspace = &keyspaces[*table as usize];
                    match value {
                        Some(value) => batch.insert(keyspace, key.as_slice(), value.as_slice()),
                        None => batch.remove(keyspace, key.as_slice()),
                    }
                }
                batch.commit()?;
            }
        }
        Ok(())
    }

    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Redb { database, .. } => {
                let opened = match database.begin_read()?.open_table(table.redb()) {
                    Ok(opened) => opened,
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let value = opened.get(key)?.map(|guard| guard.value().to_vec());
                Ok(value)
            }
            Self::Fjall { keyspaces, .. } => Ok(keyspaces[table as usize].get(key)?.map(|value| value.to_vec())),
        }
    }

    /// At most so many, from one key to another.
    pub fn range(&self, table: Table, from: &[u8], to: &[u8], most: usize) -> Result<Vec<Item>, Failure> {
        match self {
            Self::Redb { database, .. } => {
                let opened = match database.begin_read()?.open_table(table.redb()) {
                    Ok(opened) => opened,
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                    Err(error) => return Err(error.into()),
                };
                let mut found = Vec::new();
                for item in opened.range::<&[u8]>(from..=to)?.take(most) {
                    let (key, value) = item?;
                    found.push((key.value().to_vec(), value.value().to_vec()));
                }
                Ok(found)
            }
            Self::Fjall { keyspaces, .. } => {
                let items = keyspaces[table as usize].range(from..=to).take(most);
                let items = items.map(|item| item.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec())));
                Ok(items.collect::<Result<_, _>>()?)
            }
        }
    }
}
