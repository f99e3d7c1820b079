//! Publishes that go out one after another without waiting for each: what a gateway says for the
//! devices behind it. Servers may acknowledge one publish several times, once for each of these.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::model::{FaultKind, Qos, Request, Route};
use crate::transport::mqtt::codec;
use crate::transport::mqtt::v5::REFUSED;
use crate::transport::{Fault, Posted};

use super::exchange::Allowance;
use super::{Event, Session, Until};

/// What was posted and is not told of yet. Holds no memory while nothing is.
#[derive(Debug, Default)]
pub(super) struct Posts {
    under_way: VecDeque<Post>,
    /// Acknowledgements that answered nothing.
    stray: u32,
}

#[derive(Debug)]
struct Post {
    /// 0 with `QoS` 0.
    pkid: u16,
    posted: Posted,
}

impl Post {
    /// Nothing more is waited for.
    fn is_settled(&self) -> bool {
        let posted = &self.posted;
        posted.done.is_some() || posted.fault.is_some()
    }
}

impl Posts {
    /// Whether a publish of that id takes another acknowledgement, and more after that.
    pub(super) fn awaits_more(&self, pkid: u16) -> bool {
        self.under_way.iter().any(|post| {
            post.pkid == pkid && !post.is_settled() && post.posted.acked + 1 < post.posted.wanted
        })
    }

    /// Takes an acknowledgement in.
    pub(super) fn acknowledged(&mut self, pkid: u16, reason: u8) {
        let mut waiting = self.under_way.iter_mut();
        let Some(post) = waiting.find(|post| post.pkid == pkid && !post.is_settled()) else {
            self.stray = self.stray.saturating_add(1);
            return;
        };
        let posted = &mut post.posted;
        if reason >= REFUSED {
            // ThingsBoard refuses a whole message so; for one device it closes the connection.
            posted.fault = Some(FaultKind::PubackReason(reason));
            return;
        }
        posted.acked += 1;
        if posted.acked == posted.wanted {
            posted.done = Some(Instant::now());
        }
    }

    fn pop(&mut self) -> Option<Posted> {
        let post = self.under_way.pop_front()?;
        if self.under_way.is_empty() {
            self.under_way = VecDeque::new();
        }
        Some(post.posted)
    }
}

impl Session {
    /// See [`Connection::post`](crate::transport::Connection::post).
    pub(in crate::transport) async fn post(
        &mut self,
        request: &Request,
        wanted: u32,
        label: u32,
    ) -> Result<(), Fault> {
        let Route::Topic {
            publish,
            reply: None,
            qos,
        } = &request.route
        else {
            debug_assert!(false, "what is posted is published, and has no answer");
            return Err(Fault::before(FaultKind::Io));
        };
        let qos = self.allowed(*qos);
        // From here on what is posted is told of, whatever comes.
        self.posts.get_or_insert_default();
        if let Err(kind) = self.make_ready(None, qos).await {
            return Err(self.not_posted(kind));
        }
        let (pkid, wanted) = match qos {
            Qos::AtMostOnce => (0, 0),
            Qos::AtLeastOnce => (self.next_pkid(), wanted),
        };
        let before = self.unsent.len();
        let (version, unsent) = (self.version, &mut self.unsent);
        let encoded = codec::publish(version, publish, qos, pkid, &request.body, unsent);
        if let Err(kind) = encoded.and_then(|()| self.bounded(before)) {
            return Err(self.not_posted(kind));
        }
        self.in_flight = self.in_flight.saturating_add(u16::from(pkid > 0));
        self.took_any = false;
        let posted = Posted {
            label,
            sent: Instant::now(),
            done: None,
            wanted,
            acked: 0,
            fault: None,
            left: true,
        };
        let posts = self.posts.get_or_insert_default();
        posts.under_way.push_back(Post { pkid, posted });
        // What the kernel does not take now, it takes before the next one, or within `settled`;
        // a fault shows there, too.
        let _ = self.write();
        Ok(())
    }

    /// See [`Connection::settled`](crate::transport::Connection::settled).
    pub(in crate::transport) async fn settled(&mut self) -> Option<Posted> {
        let mut allowance = Allowance::new();
        loop {
            let first = self.posts.as_ref()?.under_way.front()?;
            if first.is_settled() {
                return self.take_posted();
            }
            let (deadline, last) = (
                first.posted.sent + self.answer_timeout,
                self.posts.as_ref()?.under_way.len() == 1,
            );
            // Without an acknowledgement to wait for, it has its end once it is written; what
            // follows it is queued behind it only when it is.
            let until = if first.posted.wanted == 0 {
                Until::PacketOrWritten
            } else {
                Until::Packet
            };
            let waited = match self.wait(deadline, until).await {
                Ok(Event::Packet(packet)) => {
                    self.put_up_with(&packet, &mut allowance).map(|()| None)
                }
                Ok(Event::Written) => Ok(Some(Ok(Instant::now()))),
                Ok(Event::Deadline) => Ok(Some(Err(FaultKind::Timeout))),
                Err(kind) => Err(kind),
            };
            match waited {
                Ok(None) => {}
                Ok(Some(ended)) => {
                    let left = !last || self.took_any;
                    let first = &mut self.posts.as_mut()?.under_way.front_mut()?.posted;
                    match ended {
                        Ok(written) => first.done = Some(written),
                        Err(kind) => (first.fault, first.left) = (Some(kind), left),
                    }
                    // Its place is free as soon as anything of it is acknowledged.
                    let freed = first.fault.is_some() && first.acked > 0;
                    self.in_flight = self.in_flight.saturating_sub(u16::from(freed));
                }
                Err(kind) => self.give_up(kind),
            }
        }
    }

    /// See [`Connection::take_posted`](crate::transport::Connection::take_posted).
    pub(in crate::transport) fn take_posted(&mut self) -> Option<Posted> {
        self.posts.as_mut()?.pop()
    }

    /// See [`Connection::take_stray`](crate::transport::Connection::take_stray).
    pub(in crate::transport) fn take_stray(&mut self) -> u32 {
        let posts = self.posts.as_mut();
        posts.map_or(0, |posts| std::mem::take(&mut posts.stray))
    }

    /// See [`Connection::ping`](crate::transport::Connection::ping).
    pub(in crate::transport) async fn ping(&mut self) -> Result<(), Fault> {
        let deadline = Instant::now() + self.answer_timeout;
        if self.ping_since.is_none() {
            self.unsent.extend_from_slice(&codec::PINGREQ);
            self.ping_since = Some(Instant::now());
        }
        let mut allowance = Allowance::new();
        while self.ping_since.is_some() {
            let waited = match self.wait(deadline, Until::Packet).await {
                Ok(Event::Packet(packet)) => self.put_up_with(&packet, &mut allowance),
                Ok(Event::Written) => Ok(()),
                Ok(Event::Deadline) => Err(FaultKind::Timeout),
                Err(kind) => Err(kind),
            };
            if let Err(kind) = waited {
                self.give_up(kind);
                return Err(Fault::before(kind));
            }
        }
        Ok(())
    }

    /// Nothing of the publish was sent, which may be the session's end.
    fn not_posted(&mut self, kind: FaultKind) -> Fault {
        let fault = self.end(Fault::before(kind));
        if self.over {
            self.give_up(kind);
        }
        fault
    }

    /// The session is over: nothing that is under way comes to a good end.
    pub(super) fn give_up(&mut self, kind: FaultKind) {
        self.over = true;
        self.unsent.clear();
        let Some(posts) = &mut self.posts else { return };
        let last = posts.under_way.len().saturating_sub(1);
        for (n, post) in posts.under_way.iter_mut().enumerate() {
            if !post.is_settled() {
                post.posted.fault = Some(kind);
                post.posted.left = n < last || self.took_any;
            }
        }
    }
}
