//! The steps of a first connection, in order. A crash test stops the process at one of them; nothing else listens.

use std::fmt;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Certificate and outbox row are committed; the connection is not closed yet.
    Registered,
    /// The outbox row has been read; no rule has been looked at.
    Delivering,
    /// Invocation rows have replaced the outbox row, and absent subscribers have the event in their queues.
    Delivered,
    /// The invocation row has been read; the function has not been called.
    Invoking,
    /// One call of the function has been answered.
    FunctionCalled,
    /// The function has ended; its invocation row is still there.
    Invoked,
}

impl Step {
    pub const ALL: [Step; 6] =
        [Self::Registered, Self::Delivering, Self::Delivered, Self::Invoking, Self::FunctionCalled, Self::Invoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Invoking => "invoking",
            Self::FunctionCalled => "function-called",
            Self::Invoked => "invoked",
        }
    }
}

/// Called at each step, with a word on the occasion (the operation that a function called). Does nothing unless set.
#[derive(Clone, Default)]
pub struct Checkpoints(Option<Arc<dyn Fn(Step, &str) + Send + Sync>>);

impl Checkpoints {
    pub fn from_fn(at: impl Fn(Step, &str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(at)))
    }

    pub fn pass(&self, step: Step, occasion: &str) {
        if let Some(at) = &self.0 {
            at(step, occasion);
        }
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoints({})", if self.0.is_some() { "set" } else { "none" })
    }
}
