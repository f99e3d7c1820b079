//! One timer for all that a connection waits for, so that an idle device holds one.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// Waits until then, whenever the timer would have gone off; the task is woken at that moment.
pub(super) fn poll_at(
    moment: Instant,
    mut timer: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    // Setting it anew takes the runtime's list of timers, so it is not done for nothing.
    if timer.deadline() != moment {
        timer.as_mut().reset(moment);
    }
    timer.poll(cx)
}
