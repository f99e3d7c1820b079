//! How an endpoint comes to observe, waits for notifications, and takes its leave.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, Sleep, timeout_at};

use crate::model::{FaultKind, Subscription};
use crate::transport::inbox::Delivery;
use crate::transport::timer::poll_at;
use crate::transport::{Fault, Span, Subscribed};

use super::endpoint::{Endpoint, Sending};
use super::message::Incoming;
use super::numbers;
use super::observations::Observations;

/// What is to be asked of the server.
#[derive(Clone, Copy)]
enum Errand {
    /// To notify of a resource (again).
    Observe(usize),
    /// The other blocks of what it told.
    Finish,
}

impl Endpoint {
    /// See [`Connection::subscribe`](crate::transport::Connection::subscribe). What fails is asked for
    /// again, as long as somebody waits for notifications.
    pub(in crate::transport) async fn subscribe(
        &mut self,
        to: &[Subscription],
    ) -> Result<Subscribed, Fault> {
        let observations = Observations::new(to, numbers::token, Instant::now());
        let observations = observations.map_err(Fault::before)?;
        let count = observations.all.len();
        self.observations = Some(Box::new(observations));
        let (mut sending, mut done, mut refused) = (Sending::default(), None, None);
        for index in 0..count {
            match self.observe(index, &mut sending).await {
                Ok(()) => done = Some(Instant::now()),
                Err(kind) => refused = refused.or(Some(kind)),
            }
        }
        let granted = done.filter(|_| refused.is_none());
        Ok(Subscribed {
            span: sending
                .first
                .zip(granted)
                .map(|(sent, done)| Span { sent, done }),
            refused,
        })
    }

    /// See [`Connection::idle_until`](crate::transport::Connection::idle_until). The task is woken
    /// once there is more to say, with the help of a timer that nobody else uses meanwhile; `None`
    /// when there is something [to renew](Self::renew) first.
    pub(in crate::transport) fn poll_idle(
        &mut self,
        deadline: Instant,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Delivery>, Fault>>> {
        loop {
            if let Some(own) = &mut self.observations {
                if let Some(delivery) = own.inbox.pop() {
                    return Poll::Ready(Some(Ok(Some(delivery))));
                }
                let failed = own.take_failed();
                let ended = self.way.is_over().then_some(FaultKind::ConnectionClosed);
                if let Some(kind) = failed.or(ended) {
                    return Poll::Ready(Some(Err(Fault::before(kind))));
                }
            }
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(Some(Ok(None)));
            }
            if self.way.is_over() {
                ready!(poll_at(deadline, timer.as_mut(), cx));
                continue;
            }
            let until = match self.next_errand(now) {
                Some((_, due)) if due <= now => return Poll::Ready(None),
                Some((_, due)) => due.min(deadline),
                None => deadline,
            };
            match self.way.poll_receive(cx) {
                Poll::Ready(Ok(Ok(stray))) => self.answer_stray(stray),
                // Garbage, and refusals of what was sent before: nothing that ends a socket's life.
                Poll::Ready(_) => {}
                Poll::Pending => ready!(poll_at(until, timer.as_mut(), cx)),
            }
        }
    }

    /// Asks for what is due to be asked for, until the deadline at the latest. Cancel-safe.
    pub(in crate::transport) async fn renew(&mut self, deadline: Instant) -> Result<(), Fault> {
        let now = Instant::now();
        match self.next_errand(now) {
            Some((errand, due)) if due <= now => match timeout_at(deadline, self.run(errand)).await
            {
                Ok(Err(kind)) => Err(Fault::before(kind)),
                Ok(Ok(())) | Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// See [`Connection::take_delivery`](crate::transport::Connection::take_delivery).
    pub(in crate::transport) fn take_delivery(&mut self) -> Option<Delivery> {
        self.observations.as_mut()?.inbox.pop()
    }

    /// See [`Connection::take_missed`](crate::transport::Connection::take_missed).
    pub(in crate::transport) fn take_missed(&mut self) -> u32 {
        let own = self.observations.as_mut();
        own.map_or(0, |own| own.inbox.take_missed())
    }

    /// Tells the server that it need not notify any more, as far as the kernel takes it at once.
    pub(super) fn leave(&mut self) {
        let Some(own) = self.observations.take() else {
            return;
        };
        for one in own.all.iter().filter(|one| one.holds()) {
            let (id, _) = self.numbers();
            self.way.try_send(&one.draft.leaving(id, one.token));
        }
    }

    /// Which observation a response is for.
    pub(super) fn observed(&self, response: &Incoming) -> Option<usize> {
        self.observations.as_ref()?.of(response)
    }

    /// Takes in what an observation brought.
    pub(super) fn notified(&mut self, index: usize, notification: Incoming) {
        let grace = self.grace();
        if let Some(own) = &mut self.observations {
            own.notified(index, notification, grace);
        }
    }

    fn next_errand(&self, now: Instant) -> Option<(Errand, Instant)> {
        let own = self.observations.as_ref()?;
        if own.unfinished.is_some() {
            return Some((Errand::Finish, now));
        }
        own.next().map(|(index, due)| (Errand::Observe(index), due))
    }

    /// Can be broken off, and is then begun anew.
    async fn run(&mut self, errand: Errand) -> Result<(), FaultKind> {
        let mut sending = Sending::default();
        match errand {
            Errand::Observe(index) => self.observe(index, &mut sending).await,
            Errand::Finish => self.finish(&mut sending).await,
        }
    }

    /// Asks for notifications of one resource.
    async fn observe(&mut self, index: usize, sending: &mut Sending) -> Result<(), FaultKind> {
        let (id, grace) = (self.numbers().0, self.grace());
        let Some(own) = &mut self.observations else {
            return Ok(());
        };
        let one = &mut own.all[index];
        one.begin(Instant::now());
        let token = one.token;
        let datagram = one.draft.observing(id, token);
        let answer = self.round(&datagram, id, token, sending).await;
        let Some(own) = &mut self.observations else {
            return Ok(());
        };
        let one = &mut own.all[index];
        let answer = answer.inspect_err(|_| one.fail(Instant::now()))?;
        let standing = one.take(&answer, Instant::now(), grace)?;
        own.keep(index, answer, standing);
        Ok(())
    }

    /// Asks for the other blocks of what came.
    async fn finish(&mut self, sending: &mut Sending) -> Result<(), FaultKind> {
        let Some(own) = &self.observations else {
            return Ok(());
        };
        let Some(unfinished) = own.unfinished.clone() else {
            return Ok(());
        };
        let draft = own.all[unfinished.index].draft.clone();
        let whole = self.rest(&draft, unfinished.first, sending).await;
        if let Some(own) = &mut self.observations {
            own.unfinished = None;
            own.push(unfinished.index, whole?.0, unfinished.standing);
        }
        Ok(())
    }

    /// How long a device waits beyond the age of what it was told: 5 to 15 s, so that not all ask
    /// at once (RFC 7641, section 3.3.1).
    fn grace(&mut self) -> Duration {
        Duration::from_millis(self.random.random_range(5_000..=15_000))
    }
}
