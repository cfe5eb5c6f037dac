//! Turns for handshakes: so many at once in all, and so many of one address. Who waits stands behind those of the own
//! address first: an address that says hello and then nothing keeps nobody waiting but itself.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::available_parallelism;

use services::places::counted_as;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

#[derive(Debug)]
pub(crate) struct Handshakes {
    all: Semaphore,
    by_address: Mutex<HashMap<IpAddr, OfAddress>>,
    per_address_max: usize,
    /// One for each core.
    steps: Semaphore,
}

#[derive(Debug)]
struct OfAddress {
    turns: Arc<Semaphore>,
    /// Those who have a turn or wait for one.
    users: usize,
}

/// A handshake's turn; over when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_address: OwnedSemaphorePermit,
    _user: User<'a>,
}

#[derive(Debug)]
struct User<'a> {
    handshakes: &'a Handshakes,
    address: IpAddr,
}

impl Handshakes {
    pub(crate) fn new(handshakes_max: usize, per_address_max: usize) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            all: Semaphore::new(handshakes_max),
            by_address: Mutex::default(),
            per_address_max,
            steps: Semaphore::new(cores),
        }
    }

    /// Waits; the caller has the deadline. Cancel safe.
    pub(crate) async fn turn(&self, source: IpAddr) -> Option<Turn<'_>> {
        let address = counted_as(source);
        let (turns, user) = self.join(address);
        // Neither semaphore is ever closed.
        let of_address = turns.acquire_owned().await.ok()?;
        let of_all = self.all.acquire().await.ok()?;
        Some(Turn { _of_all: of_all, _of_address: of_address, _user: user })
    }

    /// Runs a handshake so that its steps, each some hundred microseconds of arithmetic, stand in line with those of all
    /// other handshakes. A thousand of them that are ready at once would otherwise all be worked on before a device that
    /// is connected already gets its turn.
    pub(crate) async fn in_steps<T>(&self, handshake: impl Future<Output = T>) -> T {
        let mut handshake = pin!(handshake);
        loop {
            // Never closed; and without a permit the handshake would only be less polite.
            let step = self.steps.acquire().await;
            // Whoever had it before has made us the very next to run: those who are ready and wait longer come first.
            to_the_end_of_the_queue().await;
            if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await {
                return outcome;
            }
            drop(step);
            // The handshake has seen to it that we are woken when there is more to do.
            let mut is_woken = false;
            poll_fn(|_| if std::mem::replace(&mut is_woken, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    fn join(&self, address: IpAddr) -> (Arc<Semaphore>, User<'_>) {
        let mut by_address = self.locked();
        let fresh = || OfAddress { turns: Arc::new(Semaphore::new(self.per_address_max)), users: 0 };
        let of_address = by_address.entry(address).or_insert_with(fresh);
        of_address.users += 1;
        (of_address.turns.clone(), User { handshakes: self, address })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<IpAddr, OfAddress>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn to_the_end_of_the_queue() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let mut by_address = self.handshakes.locked();
        if let Some(of_address) = by_address.get_mut(&self.address) {
            of_address.users = of_address.users.saturating_sub(1);
            if of_address.users == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_waits_for_itself_and_all_for_all() {
        let handshakes = Handshakes::new(3, 2);
        let turn = |text: &str| poll(handshakes.turn(address(text))).flatten();
        let first = turn("10.0.0.1").unwrap();
        let _second = turn("::ffff:10.0.0.1").unwrap();
        assert!(turn("10.0.0.1").is_none(), "a third of one address waits");
        let third = turn("10.0.0.2").expect("another address does not");
        assert!(turn("10.0.0.3").is_none(), "a fourth in all waits");
        drop(third);
        let _third = turn("10.0.0.3").unwrap();
        drop(first);
        let _first = turn("10.0.0.1").unwrap();
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_handshake() {
        let handshakes = Handshakes::new(1, 1);
        let held = poll(handshakes.turn(address("10.0.0.1"))).flatten().unwrap();
        assert!(poll(handshakes.turn(address("10.0.0.2"))).is_none());
        drop(held);
        assert!(handshakes.locked().is_empty());
    }
}
