//! A device that waits, as most devices do most of the time: for what is due, for what comes, and for
//! its turn to leave.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::super::departures::{Turn, Waiting};
use super::Device;
use crate::model::Phase;
use crate::transport::{Connection, Delivery, Fault};

/// How a wait ended.
pub(super) enum Idle<'a> {
    /// It is time.
    Due,
    /// Something came, and was taken in.
    Heard,
    /// The connection broke.
    Broke,
    /// The connection has to ask anew for what it observes.
    Renews,
    /// It is the device's turn to leave.
    Called(Turn<'a>),
}

impl<'a> Device<'a> {
    /// Waits for its turn to leave and meanwhile, until `due`, lets the connection look after itself
    /// and takes in what comes. The timer was made for `due`, and is the only one of an idle device.
    pub(super) fn poll_idle(
        &mut self,
        due: Instant,
        (turn, timer): (&mut Waiting<'a>, Pin<&mut Sleep>),
        cx: &mut Context<'_>,
    ) -> Poll<Idle<'a>> {
        if let Poll::Ready(turn) = Pin::new(turn).poll(cx) {
            return Poll::Ready(Idle::Called(turn));
        }
        let Some(connection) = &mut self.connection else {
            return timer.poll(cx).map(|()| Idle::Due);
        };
        let ended = ready!(connection.poll_idle(due, timer, cx));
        Poll::Ready(ended.map_or(Idle::Renews, |ended| self.take_in_or_lose(ended)))
    }

    /// The same of a device that does not wait for its turn. Cancel-safe.
    async fn idle(&mut self, due: Instant) -> Idle<'a> {
        if let Some(connection) = &mut self.connection {
            let ended = connection.idle_until(due).await;
            return self.take_in_or_lose(ended);
        }
        sleep_until(due).await;
        Idle::Due
    }

    /// Lets the connection ask for what it observes, unless its turn to leave comes first.
    pub(super) async fn renew(&mut self, due: Instant) -> Idle<'a> {
        let Some(connection) = &mut self.connection else {
            return Idle::Heard;
        };
        tokio::select! {
            biased;
            turn = self.worker.turn() => Idle::Called(turn),
            renewed = connection.renew(due) => match renewed {
                Ok(()) => Idle::Heard,
                Err(fault) => self.take_in_or_lose(Err(fault)),
            }
        }
    }

    /// What the connection's word means for the device.
    fn take_in_or_lose(&mut self, ended: Result<Option<Delivery>, Fault>) -> Idle<'a> {
        match ended {
            Ok(None) => Idle::Due,
            Ok(Some(delivery)) => {
                self.hear(&delivery);
                self.hear_of_missed();
                Idle::Heard
            }
            Err(fault) if self.connection.as_ref().is_some_and(Connection::goes_on) => {
                self.trouble(Phase::Subscribe, fault.kind);
                Idle::Heard
            }
            Err(fault) => {
                let phase = match self.telemetry() {
                    Some(_) => Phase::Telemetry,
                    None => Phase::Subscribe,
                };
                self.trouble(phase, fault.kind);
                self.lose();
                Idle::Broke
            }
        }
    }

    /// Waits for what is under way before it leaves, and gives the answers that it owes.
    pub(super) async fn linger(&mut self) {
        while !self.is_quiet() {
            let changed = self.pushes_changed();
            let due = self.reply_due();
            let idle = tokio::select! {
                () = changed => continue,
                idle = self.idle(due.unwrap_or_else(|| Instant::now() + LINGER)) => idle,
            };
            if matches!(idle, Idle::Due) && due.is_some() {
                self.answer().await;
            }
        }
    }
}

/// From one look at what is still open to the next, if nothing happens before.
const LINGER: Duration = Duration::from_millis(500);
