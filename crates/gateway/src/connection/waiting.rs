//! What a connection waits for between two turns of its loop, and what it does last before it sleeps: it sends.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use broker::{Ended, WillOnDisconnect};
use domain::admission::Refusal;

use super::Line;
use super::end::End;
use super::interruption::Interruption;
use super::live::{Live, Woken};
use crate::socket::{OUT_PAUSES_READING_BYTES, Reading};

/// What is read of one client before all others that are ready get their turn: a millisecond of small messages. Who has always
/// something more to say would otherwise be listened to until the runtime steps in, which counts reads and not what they bring.
const IN_A_ROW_BYTES_MAX: usize = 64 * 1024;

impl Live<'_> {
    /// Cancel safe: what has moved is in the buffers.
    pub(super) async fn wait(&mut self) -> Result<Woken, End> {
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Woken, End>> {
        if let Poll::Ready(interruption) = self.interruptions.poll(cx) {
            return Poll::Ready(self.interrupted(interruption));
        }
        self.has_arrivals |= self.arrivals.take(cx);
        // What was written goes out first.
        if self.has_arrivals && self.line.session.out().is_empty() && self.may_deliver() {
            if self.has_given_way {
                return Poll::Ready(Ok(Woken::Arrived));
            }
            // Publishers that are ready as well get their turn first: what they have for this device goes out with what has
            // come, in one write.
            self.has_given_way = true;
            // To the end of the run queue, and no further: `yield_now` would ask the operating system for news as well.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.in_a_row_bytes >= IN_A_ROW_BYTES_MAX {
            self.in_a_row_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let may_read = self.meter.may_read();
        let Line { socket, session, input, .. } = &mut *self.line;
        let is_listening =
            may_read && session.out().len() < OUT_PAUSES_READING_BYTES && !session.is_waiting_for_answers();
        let reading = if is_listening { Reading::On } else { Reading::Paused };
        let turn = socket.poll_turn(cx, input, session.out(), reading);
        // What has been read is not a message yet: both are counted together, where nothing hangs on it at once.
        if turn.is_pending() || !self.traffic.is_empty() || self.meter.is_strict(self.rights.services()) {
            self.add_up();
        }
        if let Poll::Ready(turn) = turn {
            self.in_a_row_bytes += self.line.input.len();
            return Poll::Ready(match turn {
                Ok(turn) => End::of_turn(turn).map(|()| Woken::Socket),
                Err(error) => Err(End::of_socket(&error)),
            });
        }
        if let Some((accepted, _)) = self.settling.front_mut()
            && let Poll::Ready(outcome) = pin!(accepted.settle()).poll(cx)
        {
            return Poll::Ready(Ok(Woken::Settled(outcome)));
        }
        if self.meter.poll_released(cx).is_ready() {
            return Poll::Ready(Ok(Woken::Released));
        }
        if self.has_arrivals && self.may_deliver() {
            return Poll::Ready(Ok(Woken::Arrived));
        }
        self.in_a_row_bytes = 0;
        Poll::Pending
    }

    fn interrupted(&mut self, interruption: Interruption) -> Result<Woken, End> {
        let refusal = match interruption {
            Interruption::Shutdown => Refusal::ServerShutdown,
            Interruption::Ended(Ended::TakenOver) => Refusal::TakenOver,
            Interruption::Ended(Ended::Disconnected { will }) => {
                self.will_is_prevented = will == WillOnDisconnect::Prevented;
                Refusal::Disconnected
            }
            Interruption::Standing => return Ok(Woken::Standing),
            Interruption::Deadline => return Ok(Woken::Deadline),
        };
        Err(End::refused(refusal))
    }
}
