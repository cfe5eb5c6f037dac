//! Who reads an inbox: one task at a time, and how it is woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// A reader says who is to be woken, then looks whether something is there, then waits. It stays known until it leaves or
/// another one comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader(Arc<Cell>);

#[derive(Debug, Default)]
struct Cell(Mutex<Option<Waker>>);

impl Reader {
    pub fn wait(&self, waker: &Waker) {
        let mut reader = self.0.lock();
        if !reader.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *reader = Some(waker.clone());
        }
    }

    pub fn leave(&self) {
        *self.0.lock() = None;
    }

    pub fn wake(&self) {
        if let Some(reader) = self.0.lock().as_ref() {
            reader.wake_by_ref();
        }
    }

    pub fn waker(&self) -> Waker {
        self.0.clone().into()
    }
}

impl Cell {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Cell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(reader) = self.lock().as_ref() {
            reader.wake_by_ref();
        }
    }
}
