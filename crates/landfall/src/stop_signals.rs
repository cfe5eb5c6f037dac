//! SIGTERM and SIGINT: the first asks the server to come to its end in order, a second one ends it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Sentence;

pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on neither ends the process by itself. One that comes before `next` is waited for is kept.
    pub fn listen() -> Result<Self, Sentence> {
        let failed = |err| format!("signals cannot be listened for: {err}.");
        let listen = |kind| signal(kind).map_err(failed);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Ctrl-C, or what a service manager sends.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for `end`, and for nothing once a second signal comes: what is not finished has its row.
    pub async fn or_at_once(mut self, end: impl Future<Output = ()>) {
        tokio::select! {
            () = end => {}
            () = self.next() => {
                eprintln!("landfall: a second signal ended the server at once; what was not finished goes on at the next start.");
                std::process::exit(1);
            }
        }
    }
}
