//! Where a connection hears from the rest of the target: messages down to its devices, and the word
//! that it has to end. One task reads it, anyone writes. Each connection has one, nearly always empty:
//! then it is a few words.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::{Ending, Push};
use crate::target::device::Device;

/// A bounded queue of letters, and an end that is never too much.
pub(in crate::target) struct Mailbox {
    inner: Mutex<Inner>,
}

struct Inner {
    /// Boxed: mostly there are none.
    heap: Option<Box<Heap>>,
    end: Option<Ending>,
    /// Messages that it holds at most; in half a word, for the end to have the other half.
    room: u32,
    /// Who waits for it.
    reader: Option<Waker>,
}

/// Letters that lie in a mailbox.
#[derive(Default)]
struct Heap {
    letters: VecDeque<Letter>,
    /// Of the messages among them.
    messages: usize,
    bytes: usize,
}

/// Something for a connection.
pub(in crate::target) struct Letter {
    pub(in crate::target) to: Addressee,
    pub(in crate::target) what: What,
}

/// Which of the devices behind a connection it is about.
#[derive(Clone)]
pub(in crate::target) enum Addressee {
    /// The one that the connection is of.
    Own,
    /// One behind a gateway.
    Sub(Arc<Device>),
    /// The one that observes under this number.
    Observer(u32),
}

/// What a letter says.
pub(in crate::target) enum What {
    /// A message for the device.
    Push(Push),
    /// The device is reached elsewhere, or not at all.
    Ended,
}

impl Mailbox {
    /// An empty one for this many messages.
    pub(in crate::target) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                heap: None,
                end: None,
                room: u32::try_from(room).unwrap_or(u32::MAX),
                reader: None,
            }),
        })
    }

    /// Takes a message in; false if there is no room for it. A single one always has room.
    pub(super) fn push(&self, to: Addressee, push: Push) -> bool {
        let mut inner = self.inner();
        if inner.end.is_some() {
            return false;
        }
        let room = inner.room as usize;
        let heap = inner.heap.get_or_insert_default();
        let size = push.size();
        let full = heap.messages >= room || heap.bytes + size > BYTES;
        if full && heap.messages > 0 {
            return false;
        }
        heap.messages += 1;
        heap.bytes += size;
        let what = What::Push(push);
        heap.letters.push_back(Letter { to, what });
        wake(inner);
        true
    }

    /// Says that a device is not reached here any more; the connection itself goes on, unless it is
    /// that device's own.
    pub(super) fn end(&self, to: Addressee, ending: Ending) {
        let mut inner = self.inner();
        match to {
            Addressee::Own => inner.end = inner.end.or(Some(ending)),
            to => {
                let what = What::Ended;
                let heap = inner.heap.get_or_insert_default();
                heap.letters.push_back(Letter { to, what });
            }
        }
        wake(inner);
    }

    /// Waits until there is something. For one task only.
    pub(in crate::target) async fn ready(&self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }

    /// Whether there is something; if not, wakes who asked last once there is.
    pub(in crate::target) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let inner = self.inner();
        let there = inner.end.is_some() || inner.heap.is_some();
        wait_unless(there, inner, cx)
    }

    /// Waits until the connection has to end. For the task that otherwise waits for `ready`.
    pub(in crate::target) async fn ended(&self) {
        let poll_ended = |cx: &mut Context<'_>| {
            let inner = self.inner();
            wait_unless(inner.end.is_some(), inner, cx)
        };
        poll_fn(poll_ended).await;
    }

    /// Why the connection has to end, if it has to.
    pub(in crate::target) fn ending(&self) -> Option<Ending> {
        self.inner().end
    }

    /// Takes all letters out.
    pub(in crate::target) fn take(&self) -> VecDeque<Letter> {
        let heap = self.inner().heap.take();
        heap.map(|heap| heap.letters).unwrap_or_default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it is held")
    }
}

fn wake(mut inner: MutexGuard<'_, Inner>) {
    let reader = inner.reader.take();
    drop(inner);
    if let Some(reader) = reader {
        reader.wake();
    }
}

fn wait_unless(there: bool, mut inner: MutexGuard<'_, Inner>, cx: &Context<'_>) -> Poll<()> {
    if there {
        return Poll::Ready(());
    }
    match &mut inner.reader {
        Some(reader) => reader.clone_from(cx.waker()),
        reader => *reader = Some(cx.waker().clone()),
    }
    Poll::Pending
}

/// The bytes of messages that one holds, if it holds more than one.
const BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn update(size: usize) -> Push {
        Push::Update("x".repeat(size).into())
    }

    /// Each connection has one.
    #[test]
    fn an_empty_one_is_five_words() {
        assert_eq!(size_of::<Mailbox>(), 40);
    }

    #[tokio::test]
    async fn it_is_bounded_in_number_and_bytes_and_a_single_message_always_fits() {
        let mailbox = Mailbox::new(2);
        let put = |size| mailbox.push(Addressee::Own, update(size));
        assert_eq!([1, 1, 1].map(put), [true, true, false]);
        assert_eq!(mailbox.take().len(), 2);
        assert_eq!([BYTES + 1, 1].map(put), [true, false]);
        mailbox.ready().await;
        assert_eq!(mailbox.take().len(), 1);
        assert!(put(1));
    }

    #[tokio::test]
    async fn an_end_is_heard_however_full_it_is() {
        let mailbox = Mailbox::new(1);
        assert!(mailbox.push(Addressee::Own, update(1)));
        let heard = tokio::spawn({
            let mailbox = Arc::clone(&mailbox);
            async move { mailbox.ended().await }
        });
        tokio::task::yield_now().await;
        assert!(!heard.is_finished(), "a message is no end");
        mailbox.end(Addressee::Own, Ending::TakenOver);
        mailbox.end(Addressee::Own, Ending::Administered);
        heard.await.unwrap();
        assert_eq!(mailbox.ending(), Some(Ending::TakenOver));
        // What came before it is still there.
        mailbox.ready().await;
        assert_eq!(mailbox.take().len(), 1);
        assert!(!mailbox.push(Addressee::Own, update(1)));
    }
}
