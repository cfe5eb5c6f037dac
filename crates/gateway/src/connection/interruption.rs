//! What may interrupt a connection beside what moves on it: shutdown, the end of its claim, a change of its rights, its
//! deadline.
//!
//! All of it is rare. It waits together, once, and not anew whenever the connection goes to sleep: it rings a bell, and
//! while that is silent, a turn of the loop costs one look at a flag.

use std::pin::Pin;
use std::task::{Context, Poll};

use broker::{Claim, Ended};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bell::Bell;
use super::rights::Rights;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    Shutdown,
    Ended(Ended),
    /// The rights have changed.
    Standing,
    Deadline,
}

pub(super) struct Interruptions {
    bell: Bell,
    waiting: Pin<Box<dyn Future<Output = Interruption> + Send>>,
}

impl Interruptions {
    pub(super) fn of(shutdown: &watch::Receiver<bool>, claim: &Claim, rights: &Rights, deadline: Instant) -> Self {
        Self { bell: Bell::new(), waiting: wait(shutdown, claim, rights, deadline) }
    }

    /// After one that does not end the connection: waits for the next.
    pub(super) fn go_on(
        &mut self,
        shutdown: &watch::Receiver<bool>,
        claim: &Claim,
        rights: &Rights,
        deadline: Instant,
    ) {
        self.waiting = wait(shutdown, claim, rights, deadline);
        self.bell.ring();
    }

    /// After one came, `go_on` is called before this is asked again.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Interruption> {
        if !self.bell.take(cx) {
            return Poll::Pending;
        }
        self.waiting.as_mut().poll(&mut Context::from_waker(self.bell.waker()))
    }
}

fn wait(
    shutdown: &watch::Receiver<bool>,
    claim: &Claim,
    rights: &Rights,
    deadline: Instant,
) -> Pin<Box<dyn Future<Output = Interruption> + Send>> {
    let (mut shutdown, ended, changed) = (shutdown.clone(), claim.ended(), rights.changed());
    Box::pin(async move {
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|down| *down) => Interruption::Shutdown,
            ended = ended => Interruption::Ended(ended),
            () = changed => Interruption::Standing,
            () = sleep_until(deadline) => Interruption::Deadline,
        }
    })
}
