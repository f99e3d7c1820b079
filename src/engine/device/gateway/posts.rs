//! What a gateway posts for those behind it, and what becomes of it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Device, InFlight};
use super::Standing;
use crate::metrics::{ConnectCounts, GatewayCounts, MessageCounts};
use crate::model::{FaultKind, Phase, Request};
use crate::transport::{Connection, Posted};

/// What is being said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Saying {
    /// That they are there, one after another. Labels are positions.
    Connects {
        /// When the first is due.
        anchor: Instant,
        /// From one to the next.
        every: Duration,
    },
    /// Telemetry. Labels are numbers of parts.
    Telemetry {
        /// For all of them.
        due: Instant,
    },
    /// Attributes. Labels are numbers of parts.
    Attributes {
        /// For all of them.
        due: Instant,
    },
}

/// Something that is said in one message or several.
pub(super) struct Round {
    pub(super) saying: Saying,
    /// Nothing but the generator held the next message back from then on.
    pub(super) held_until: Instant,
    under_way: usize,
    /// The session is of no more use.
    lost: bool,
    /// What silence means, once that was asked for.
    silence: Option<FaultKind>,
}

impl Saying {
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Connects { .. } => Phase::GatewayConnect,
            Self::Telemetry { .. } => Phase::Telemetry,
            Self::Attributes { .. } => Phase::Attributes,
        }
    }

    /// When it is due, by its label where there are several.
    pub(super) fn due(self, label: u32) -> Instant {
        match self {
            Self::Connects { anchor, every } => anchor + every * label,
            Self::Telemetry { due } | Self::Attributes { due } => due,
        }
    }
}

impl Round {
    pub(super) fn new(saying: Saying) -> Self {
        Self {
            saying,
            held_until: Instant::now(),
            under_way: 0,
            lost: false,
            silence: None,
        }
    }
}

impl Device<'_> {
    /// Lets the connection look after itself until then. `false` when there is none any more.
    pub(super) async fn bide(&mut self, due: Instant) -> bool {
        while Instant::now() < due {
            let Some(connection) = &mut self.connection else {
                return false;
            };
            match connection.idle_until(due).await {
                Ok(None) => {}
                Ok(Some(delivery)) => self.hear(&delivery),
                // What is under way has its fault, too.
                Err(_) => return false,
            }
        }
        self.connection.is_some()
    }

    /// Posts a message that is to have so many acknowledgements, with its label, once there is room
    /// for it. `false`: the connection takes nothing more.
    pub(super) async fn post(
        &mut self,
        round: &mut Round,
        request: &Request,
        (wanted, label): (u32, u32),
    ) -> bool {
        while round.under_way >= POSTS_AT_A_TIME {
            self.settle_next(round).await;
            round.held_until = Instant::now();
        }
        let Some(connection) = self.connection.as_mut().filter(|_| !round.lost) else {
            return false;
        };
        if let Some(behind) = &mut self.behind {
            behind.saying = Some(round.saying);
        }
        (self.step, self.in_flight) = (round.saying.phase(), InFlight::Posts);
        if let Saying::Telemetry { .. } = round.saying {
            let lag = round.held_until.elapsed();
            self.worker.recorder_of(self.ix).message_lag(lag);
        }
        match connection.post(request, wanted, label).await {
            Ok(()) => {
                round.under_way += 1;
                true
            }
            Err(fault) => {
                self.trouble(round.saying.phase(), fault.kind);
                round.lost = true;
                false
            }
        }
    }

    /// Waits for the end of all that was posted.
    pub(super) async fn finish(&mut self, mut round: Round) {
        while round.under_way > 0 {
            self.settle_next(&mut round).await;
        }
        (self.step, self.in_flight) = (Phase::Telemetry, InFlight::Nothing);
        self.count_strays();
        if round.lost {
            self.lose();
        }
    }

    async fn settle_next(&mut self, round: &mut Round) {
        round.under_way = round.under_way.saturating_sub(1);
        let Some(connection) = &mut self.connection else {
            return;
        };
        let Some(posted) = connection.settled().await else {
            round.under_way = 0;
            return;
        };
        let known = self.behind.as_ref().is_some_and(|behind| behind.known);
        // Counted before anything is awaited: a cut-off cannot take it back.
        self.account(round.saying, &posted);
        // A long round must not fill the room for what comes meanwhile.
        self.hear_waiting();
        let kind = match posted.fault {
            // Some of its parts were taken: whoever answers so is there.
            Some(FaultKind::Timeout) if posted.acked > 0 => Some(FaultKind::PubacksMissing),
            Some(FaultKind::Timeout) if !known && posted.wanted > 0 => {
                if round.silence.is_none() {
                    round.silence = Some(self.silence().await);
                }
                round.silence
            }
            kind => kind,
        };
        round.lost |= match kind {
            None | Some(FaultKind::PubacksMissing | FaultKind::PubackReason(_)) => false,
            // One that the server does not take for a device; it takes the others.
            Some(FaultKind::Timeout) => !(known && matches!(round.saying, Saying::Connects { .. })),
            Some(_) => true,
        };
        if let Some(kind) = kind {
            self.trouble(round.saying.phase(), kind);
        }
    }

    /// What it means that nothing was acknowledged: a server that answers a ping knows no gateway.
    async fn silence(&mut self) -> FaultKind {
        let there = match &mut self.connection {
            Some(connection) => connection.ping().await.is_ok(),
            None => false,
        };
        if there {
            FaultKind::GatewayIgnored
        } else {
            FaultKind::Timeout
        }
    }

    /// The run or an event cuts off what is under way. Returns whether anything was.
    pub(in crate::engine::device) fn abandon_posts(&mut self) -> bool {
        let saying = self.behind.as_ref().and_then(|behind| behind.saying);
        let Some(saying) = saying else { return false };
        let mut any = false;
        while let Some(posted) = self.connection.as_mut().and_then(Connection::take_posted) {
            self.account(saying, &posted);
            any |= posted.done.is_none();
        }
        any
    }

    /// Counts what became of a message.
    fn account(&mut self, saying: Saying, posted: &Posted) {
        if let Some(behind) = &mut self.behind {
            behind.known |= posted.acked > 0;
        }
        if let (Some(done), true) = (posted.done, posted.wanted > 0) {
            let due = saying.due(posted.label);
            self.sample_span(saying.phase(), due, posted.sent, done);
        }
        match saying {
            Saying::Connects { .. } => self.connect_ended(posted),
            Saying::Telemetry { .. } => self.message_ended(posted),
            Saying::Attributes { .. } => {}
        }
    }

    fn connect_ended(&mut self, posted: &Posted) {
        let acked = posted.done.is_some();
        let mut connected = 0;
        if let (true, Some(behind)) = (acked, &mut self.behind) {
            let standing = &mut behind.standing[posted.label as usize];
            connected = u64::from(*standing == Standing::Unknown);
            *standing = Standing::Connected;
        }
        self.count_gateway(&GatewayCounts {
            connected,
            connects: ConnectCounts {
                sent: u64::from(posted.left),
                acked: u64::from(acked),
                lost: u64::from(posted.left && !acked),
            },
            ..GatewayCounts::default()
        });
    }

    fn message_ended(&mut self, posted: &Posted) {
        if !posted.left {
            return;
        }
        let parts = posted.label;
        let mut messages = MessageCounts {
            sent: 1,
            ..MessageCounts::default()
        };
        match (posted.done, posted.wanted, posted.acked) {
            // Nothing acknowledges it.
            (Some(_), 0, _) => self.count_telemetry(parts, 0, 0),
            (Some(done), ..) => {
                messages.acked = 1;
                self.count_telemetry(parts, parts, 0);
                self.first_acknowledged(done);
            }
            (None, _, acked) => {
                messages.partial = u64::from(acked > 0);
                messages.lost = u64::from(acked == 0);
                self.count_telemetry(parts, acked, parts - acked);
            }
        }
        self.count_gateway(&GatewayCounts {
            messages,
            ..GatewayCounts::default()
        });
    }

    /// Counts acknowledgements that answered nothing.
    pub(in crate::engine::device) fn count_strays(&mut self) {
        let stray = self.connection.as_mut().map_or(0, Connection::take_stray);
        self.count_gateway(&GatewayCounts {
            stray_pubacks: stray.into(),
            ..GatewayCounts::default()
        });
    }
}

/// Messages of a gateway that may wait for their acknowledgements at a time.
const POSTS_AT_A_TIME: usize = 64;
