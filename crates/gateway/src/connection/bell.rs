//! A bell that others ring for a connection's task: it wakes the task, which then sees which of its bells it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// While it is silent, it costs its task one look at a flag.
#[derive(Debug)]
pub(super) struct Bell {
    hammer: Arc<Hammer>,
    waker: Waker,
    /// As the hammer knows it.
    task: Waker,
}

#[derive(Debug)]
struct Hammer {
    has_rung: AtomicBool,
    task: Mutex<Waker>,
}

impl Bell {
    /// It rings at first: what it stands for has not been looked at yet.
    pub(super) fn new() -> Self {
        let hammer = Arc::new(Hammer { has_rung: AtomicBool::new(true), task: Mutex::new(Waker::noop().clone()) });
        Self { waker: hammer.clone().into(), hammer, task: Waker::noop().clone() }
    }

    /// What rings it.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// For its own task, which is awake.
    pub(super) fn ring(&self) {
        self.hammer.has_rung.store(true, Ordering::Release);
    }

    /// Whether it has rung since it was taken last. From here on it wakes the task of `cx`.
    pub(super) fn take(&mut self, cx: &Context<'_>) -> bool {
        if !self.task.will_wake(cx.waker()) {
            self.task = cx.waker().clone();
            *self.hammer.task() = self.task.clone();
            // What rang before may have rung for nobody.
            self.ring();
        }
        self.hammer.has_rung.load(Ordering::Acquire) && self.hammer.has_rung.swap(false, Ordering::AcqRel)
    }
}

impl Hammer {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Hammer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task().wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whoever looks for the first time is told to look after what the bell stands for: it may have rung for another.
    #[test]
    fn it_wakes_the_task_that_looked_last() {
        let mut bell = Bell::new();
        let (first, second) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        for woken in [&first, &second] {
            let waker = Waker::from(woken.clone());
            assert!(bell.take(&Context::from_waker(&waker)));
            assert!(!bell.take(&Context::from_waker(&waker)));
        }
        let ringer = bell.waker().clone();
        ringer.wake_by_ref();
        ringer.wake();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 2));
        let waker = Waker::from(second);
        assert!(bell.take(&Context::from_waker(&waker)));
        assert!(!bell.take(&Context::from_waker(&waker)));
    }
}
