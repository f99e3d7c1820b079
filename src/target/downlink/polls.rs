//! Long polls of one device: each ends with the first message that it waits for.

use tokio::sync::oneshot;

use super::{Interest, Push};

/// Those that wait. There are no more than connections: each waits in a request of one.
#[derive(Default)]
pub(super) struct Polls {
    waiting: Vec<Poll>,
    last: u64,
}

struct Poll {
    number: u64,
    interest: Interest,
    answer: oneshot::Sender<Push>,
}

impl Polls {
    /// Begins one; by its number it can be left.
    pub(super) fn begin(&mut self, interest: Interest) -> (u64, oneshot::Receiver<Push>) {
        let (answer, answered) = oneshot::channel();
        self.last += 1;
        self.waiting.push(Poll {
            number: self.last,
            interest,
            answer,
        });
        (self.last, answered)
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Leaves one.
    pub(super) fn leave(&mut self, number: u64) {
        self.waiting.retain(|poll| poll.number != number);
    }

    /// Ends all that wait for such a message with it; how many.
    pub(super) fn end(&mut self, push: &Push) -> usize {
        let interest = push.interest();
        let ended = self
            .waiting
            .extract_if(.., |poll| poll.interest == interest);
        ended
            .filter_map(|poll| poll.answer.send(push.clone()).ok())
            .count()
    }
}
