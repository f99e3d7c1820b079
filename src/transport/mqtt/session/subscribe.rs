//! What a session subscribes to, and what comes by its subscriptions.

use bytes::Bytes;
use tokio::time::Instant;

use crate::model::{FaultKind, Source, Subscription};
use crate::transport::inbox::{Delivery, Inbox, Standing};
use crate::transport::mqtt::codec;
use crate::transport::mqtt::packet::{Incoming, Publish};
use crate::transport::mqtt::v5::REFUSED;
use crate::transport::{Fault, Span, Subscribed};

use super::exchange::Allowance;
use super::{Event, Session, Until};

/// What a session subscribed to, for answers to its requests as well.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// The topic filters that it asked for.
    filters: Vec<&'static str>,
    /// What came by them; `None` while nobody wants it.
    inbox: Option<Inbox>,
}

/// What came of asking for topic filters.
pub(super) struct Granted {
    sent: Instant,
    /// When the last one was granted; `None` when one was not, or in silence.
    done: Option<Instant>,
    refused: Option<u8>,
}

impl Session {
    /// See [`Connection::subscribe`](crate::transport::Connection::subscribe).
    pub(in crate::transport) async fn subscribe(
        &mut self,
        to: &[Subscription],
    ) -> Result<Subscribed, Fault> {
        // From here on nothing that comes is let go: a server may send before it grants.
        let subscribed = self.subscribed.get_or_insert_default();
        subscribed.inbox.get_or_insert_default();
        let filters: Vec<&'static str> = to
            .iter()
            .filter_map(|subscription| match subscription {
                Subscription::Topic(filter) => Some(*filter),
                Subscription::Resource { .. } => {
                    debug_assert!(false, "an MQTT session was given a resource");
                    None
                }
            })
            .collect();
        match self.ask_for(&filters).await {
            Ok(Granted {
                sent,
                done,
                refused,
            }) => Ok(Subscribed {
                span: done.map(|done| Span { sent, done }),
                refused: refused.map(FaultKind::SubackReason),
            }),
            Err(kind) => Err(self.end(Fault::before(kind))),
        }
    }

    /// Subscribes to those filters that it is not subscribed to. Servers that never grant, and
    /// those that refuse and send all the same, are put up with.
    pub(super) async fn ask_for(&mut self, filters: &[&'static str]) -> Result<Granted, FaultKind> {
        let sent = Instant::now();
        let mut waiting = Vec::with_capacity(filters.len());
        for filter in filters {
            let own = self.subscribed.as_ref();
            if own.is_some_and(|own| own.filters.contains(filter)) {
                continue;
            }
            let pkid = self.next_pkid();
            let before = self.unsent.len();
            codec::subscribe(self.version, filter, pkid, &mut self.unsent);
            self.bounded(before)?;
            let own = self.subscribed.get_or_insert_default();
            own.filters.push(filter);
            waiting.push(pkid);
        }
        self.flush(sent + self.answer_timeout).await?;
        let patience = Instant::now() + self.suback_wait;
        let mut granted = Granted {
            sent,
            done: Some(sent),
            refused: None,
        };
        let mut allowance = Allowance::new();
        while !waiting.is_empty() {
            match self.wait(patience, Until::Packet).await? {
                Event::Packet(Incoming::SubAck(id, code)) if waiting.contains(&id) => {
                    waiting.retain(|pkid| *pkid != id);
                    granted.done = granted.done.map(|_| Instant::now());
                    if code >= REFUSED {
                        granted.refused.get_or_insert(code);
                        granted.done = None;
                    }
                }
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => {}
                Event::Deadline => {
                    granted.done = None;
                    break;
                }
            }
        }
        Ok(granted)
    }

    /// See [`Connection::take_delivery`](crate::transport::Connection::take_delivery).
    pub(in crate::transport) fn take_delivery(&mut self) -> Option<Delivery> {
        self.inbox()?.pop()
    }

    /// See [`Connection::take_missed`](crate::transport::Connection::take_missed).
    pub(in crate::transport) fn take_missed(&mut self) -> u32 {
        self.inbox().map_or(0, Inbox::take_missed)
    }

    fn inbox(&mut self) -> Option<&mut Inbox> {
        self.subscribed.as_mut()?.inbox.as_mut()
    }

    /// Keeps what came, if anybody wants it.
    pub(super) fn keep(&mut self, publish: &Publish) {
        let Some(inbox) = self.inbox() else { return };
        inbox.push(Delivery {
            source: Source::Topic(publish.topic.clone()),
            // A copy, since the payload shares the allocation of all that was received.
            body: Bytes::copy_from_slice(&publish.payload),
            read: Instant::now(),
            standing: Standing::Fresh,
        });
    }
}
