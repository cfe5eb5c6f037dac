//! A commit on its way to the writer, and its answer on the way back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::commit::Commit;
use crate::error::{CommitError, StoreError};
use crate::writer::View;

pub(crate) struct Proposal {
    pub(crate) commit: Commit,
    pub(crate) size_bytes: usize,
    /// `None`: deferred, nobody waits.
    pub(crate) answer: Option<oneshot::Sender<Result<u64, CommitError>>>,
    /// Its share of the queue's memory, given back when it is answered.
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

/// Room for one commit: with it, proposing does not wait, so that commits can be put in order under a lock.
pub struct Place {
    pub(crate) queue: Sender<Proposal>,
    pub(crate) share: OwnedSemaphorePermit,
    pub(crate) view: Arc<View>,
}

/// A commit that the writer has. It answers, as `Store::commit` does, when it is on disk; not to wait for it does not
/// take it back.
#[must_use = "what came of the commit is known only to who waits for it"]
pub struct Proposed {
    verdict: Result<oneshot::Receiver<Result<u64, CommitError>>, StoreError>,
    view: Arc<View>,
}

impl Proposal {
    pub(crate) fn answer(self, verdict: Result<u64, CommitError>) {
        drop(self.share);
        match self.answer {
            // A caller that no longer waits has been served all the same.
            Some(answer) => drop(answer.send(verdict)),
            None => {
                if let Err(error) = verdict {
                    tracing::debug!(%error, "a deferred commit was not made");
                }
            }
        }
    }
}

impl Place {
    /// The writer gets commits in the order of these calls. One that is larger than the place is taken all the same, if
    /// it is within the bounds of a commit.
    pub fn propose(self, commit: Commit) -> Proposed {
        let Place { queue, share, view } = self;
        let (answer, verdict) = oneshot::channel();
        let verdict = commit.size_bytes().and_then(|size_bytes| {
            let proposal = Proposal { commit, size_bytes, answer: Some(answer), share: Some(share) };
            queue.send(proposal).map(|()| verdict).map_err(|_| stopped(&view))
        });
        Proposed { verdict, view }
    }
}

impl Future for Proposed {
    type Output = Result<u64, CommitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Proposed { verdict, view } = self.get_mut();
        match verdict {
            Err(error) => Poll::Ready(Err(error.clone().into())),
            Ok(verdict) => {
                Pin::new(verdict).poll(context).map(|verdict| verdict.unwrap_or_else(|_| Err(stopped(view).into())))
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl fmt::Debug for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proposed")
    }
}

pub(crate) fn stopped(view: &View) -> StoreError {
    view.failure().cloned().unwrap_or(StoreError::Closed)
}
