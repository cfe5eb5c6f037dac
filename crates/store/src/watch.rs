//! Who wants to hear of changes below which prefix.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::commit::{Change, Record, Write};

/// The receivers are unbounded: the writer must not wait for a reader, and a reader that lost a change would be wrong
/// for good. A change shares its value's memory with the commit, and readers only update memory.
#[derive(Default)]
pub(crate) struct Watchers {
    list: Mutex<Vec<Watcher>>,
}

struct Watcher {
    prefix: Vec<u8>,
    sender: UnboundedSender<Change>,
}

impl Watchers {
    pub(crate) fn add(&self, prefix: &[u8]) -> UnboundedReceiver<Change> {
        let (sender, receiver) = unbounded_channel();
        self.lock().push(Watcher { prefix: prefix.to_vec(), sender });
        receiver
    }

    /// Called by the writer, in the order of the commits, once they are on disk and before they are answered.
    pub(crate) fn tell(&self, revision: u64, writes: &[Write]) {
        let mut list = self.lock();
        list.retain(|watcher| {
            let below = writes.iter().filter(|write| write.writes() && write.key.starts_with(&watcher.prefix));
            for write in below {
                let record = write.value.clone().map(|value| Record { value, revision });
                if watcher.sender.send(Change { key: write.key.clone(), record }).is_err() {
                    return false;
                }
            }
            !watcher.sender.is_closed()
        });
    }

    /// Ends every watch: the receivers see the end of their channel.
    pub(crate) fn end(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watcher>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
