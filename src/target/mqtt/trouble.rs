//! What faults and rate limits do to a session: CONNECTs and device messages that are turned down,
//! cut off, held back, not answered, or answered with noise.

use tokio::time::Instant;

use super::outbox::Later;
use super::reason::{Reason, Refusal};
use super::session::{Flow, Session};
use super::wire::Connect;
use crate::model::FaultPhase;
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::faults::{Fate, Key, Load, Trouble, noise};
use crate::target::telemetry::Bad;

impl Session {
    /// Takes a CONNECT, now or later, or turns it down.
    pub(super) fn connect(&mut self, connect: Connect, now: Instant) -> Flow {
        self.out.version = connect.version;
        if !self.backend.faults.are_on() {
            return self.let_in(&connect, now);
        }
        let name = self.name_of(&connect);
        let key = name
            .as_deref()
            .map_or(Key::Number(self.number()), Key::Name);
        let trouble = self.backend.faults.trouble(FaultPhase::MqttConnect, key);
        let Trouble { fate, delay } = trouble.unwrap_or_default();
        self.backend.tally.fault(fate);
        if delay.is_zero() {
            return self.connect_with(&connect, fate, now);
        }
        self.put_off(now + delay, Later::Connect(Box::new(connect), fate))
    }

    /// Takes a CONNECT to its fate.
    pub(super) fn connect_with(&mut self, connect: &Connect, fate: Fate, now: Instant) -> Flow {
        if fate == Fate::Refused {
            return self.refuse(Refusal::Unavailable, !connect.clean);
        }
        if let Some(flow) = Self::cut_off(fate) {
            return flow;
        }
        let before = self.out.bytes().len();
        let flow = self.let_in(connect, now);
        if matches!(fate, Fate::Lost | Fate::Garbage) {
            self.out.bytes().truncate(before);
        }
        if fate == Fate::Garbage {
            self.say_noise(&connect.client_id);
        }
        flow
    }

    /// The trouble that a telemetry or attribute message meets, or how it ends the connection.
    pub(super) fn trouble(&mut self, device: &Device) -> Result<Trouble, Flow> {
        let Some(trouble) = self.backend.trouble(device) else {
            return Ok(Trouble::default());
        };
        if trouble.fate == Fate::Refused {
            return Err(self.leave(Reason::Implementation));
        }
        Self::cut_off(trouble.fate).map_or(Ok(trouble), Err)
    }

    /// Acknowledges a message as its trouble has it.
    pub(super) fn acknowledge(
        &mut self,
        device: &Device,
        id: Option<u16>,
        trouble: Trouble,
        now: Instant,
    ) -> Flow {
        match trouble.fate {
            Fate::Lost => {}
            Fate::Garbage => self.say_noise(&device.name),
            _ if trouble.delay.is_zero() => self.out.puback(id, Reason::Success),
            _ if id.is_some() => {
                return self.put_off(now + trouble.delay, Later::Acknowledge(id));
            }
            _ => {}
        }
        Flow::Stay
    }

    /// Publishes what a device did not ask for, or asked the server itself, as the faults of the
    /// downlink have it.
    pub(super) fn tell(
        &mut self,
        device: &Device,
        topic: String,
        filter: &str,
        payload: String,
        now: Instant,
    ) {
        let qos = self.subscriptions.qos(filter);
        match self.backend.held_back(device) {
            None => {}
            Some(delay) if delay.is_zero() => self.out.publish(&topic, qos, payload.into()),
            Some(_) if self.out.put_off() >= HELD => bump(&self.backend.tally.pushes_dropped),
            Some(delay) => {
                let later = Later::Publish(topic, qos, payload);
                self.out.later(now + delay, later);
            }
        }
    }

    /// Takes a message's share of the rate limits.
    pub(super) fn pass(&self, device: &Device) -> Result<(), Bad> {
        self.backend.pass(device, Load::Message)
    }

    /// What can be done without a word.
    pub(super) fn cut_off(fate: Fate) -> Option<Flow> {
        match fate {
            Fate::Disconnected => Some(Flow::Close),
            Fate::Reset => Some(Flow::Reset),
            Fate::Silent => Some(Flow::Silent),
            Fate::Served | Fate::Refused | Fate::Lost | Fate::Garbage => None,
        }
    }

    fn put_off(&mut self, due: Instant, what: Later) -> Flow {
        if self.out.put_off() >= HELD {
            return self.leave(Reason::QuotaExceeded);
        }
        self.out.later(due, what);
        Flow::Stay
    }

    fn say_noise(&mut self, name: &str) {
        let noise = noise(self.backend.config.seed, name);
        self.out.bytes().extend_from_slice(&noise);
    }

    /// The name of the device that a CONNECT is from, else its client id, if it has one.
    fn name_of(&self, connect: &Connect) -> Option<String> {
        let backend = &self.backend;
        let user = connect.username.as_deref().unwrap_or("");
        let device = match self.presented() {
            Some(presented) => presented.holder(&backend.registry, true),
            None => backend
                .registry
                .login(&connect.client_id, user, connect.password.as_deref()),
        };
        device
            .map(|device| device.name.to_string())
            .or_else(|| Some(connect.client_id.clone()))
            .filter(|name| !name.is_empty() && name != "provision")
    }
}

/// A session's packets that may wait for their time; one more closes.
const HELD: usize = 1_000;
