//! One request and its reply, in words that suit every transport.

use std::borrow::Cow;

use bytes::Bytes;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// How a device's bytes travel.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// MQTT over TCP.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// HTTP/1.1 over TCP.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// CoAP (RFC 7252) over UDP.
    Coap,
    /// CoAP over DTLS.
    Coaps,
}

impl TransportKind {
    /// All of them, in the order that tables show.
    pub const ALL: [Self; 6] = [
        Self::Mqtt,
        Self::Mqtts,
        Self::Http,
        Self::Https,
        Self::Coap,
        Self::Coaps,
    ];

    /// The scenario's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Http => "http",
            Self::Https => "https",
            Self::Coap => "coap",
            Self::Coaps => "coaps",
        }
    }

    /// What is spoken, secured or not.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Mqtt | Self::Mqtts => Protocol::Mqtt,
            Self::Http | Self::Https => Protocol::Http,
            Self::Coap | Self::Coaps => Protocol::Coap,
        }
    }

    /// Whether it runs over TLS or DTLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Mqtts | Self::Https | Self::Coaps)
    }

    /// The port that servers have by default (ThingsBoard's for HTTP).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Http => 8080,
            Self::Https => 443,
            Self::Coap => 5683,
            Self::Coaps => 5684,
        }
    }
}

/// What a transport speaks, whether or not it is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT.
    Mqtt,
    /// HTTP/1.1.
    Http,
    /// CoAP.
    Coap,
}

/// The protocol version that MQTT devices speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MqttVersion {
    /// MQTT 3.1.1 (protocol level 4).
    #[default]
    V3,
    /// MQTT 5.
    V5,
}

/// MQTT quality of service of a publish; ThingsBoard grants at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Qos {
    /// At most once: nothing acknowledges it.
    AtMostOnce,
    /// At least once: acknowledged by PUBACK.
    AtLeastOnce,
}

/// Where a request goes and where its reply comes from.
#[derive(Clone, Debug)]
pub enum Route {
    /// An MQTT publish. With `reply`, the exchange ends with the first PUBLISH on that topic,
    /// without it with the PUBACK (QoS 1) or the write (QoS 0).
    Topic {
        /// The topic published to.
        publish: Cow<'static, str>,
        /// Where the answer comes.
        reply: Option<ReplyTopic>,
        /// The publish's quality of service.
        qos: Qos,
    },
    /// A POST to an absolute path in URI form (percent-encoded); device paths contain the access token, hence secret.
    Resource {
        /// Begins with `/`, has no query.
        path: SecretString,
    },
}

/// Where the answer to an MQTT publish comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTopic {
    /// The topic that the answer is published on.
    pub topic: Cow<'static, str>,
    /// The topic filter that covers it, subscribed to before the first publish.
    pub filter: &'static str,
}

impl ReplyTopic {
    /// A topic that is the same for all answers.
    pub fn only(topic: &'static str) -> Self {
        Self {
            topic: Cow::Borrowed(topic),
            filter: topic,
        }
    }
}

/// What a device asks.
#[derive(Clone)]
pub struct Request {
    /// Where to.
    pub route: Route,
    /// A JSON text. May hold secrets: never logged.
    pub body: Bytes,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body carries the provision secret.
        f.debug_struct("Request")
            .field("route", &self.route)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// How the server put its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A PUBLISH on the reply topic.
    Topic,
    /// A PUBACK, in MQTT 5 with a reason code below 0x80.
    Acknowledged,
    /// An MQTT 5 PUBACK with a reason code of 0x80 or more: the server did not take the publish.
    PubackReason(u8),
    /// Written, and nothing acknowledges it (QoS 0).
    Unacknowledged,
    /// An HTTP status, 100..=599.
    Http(u16),
    /// A CoAP code as its byte: class << 5 | detail.
    Coap(u8),
}

/// What the server answered. The body is secret until the dialect took it apart.
#[derive(Clone)]
pub struct Reply {
    /// How it came.
    pub status: Status,
    /// The payload, at most the transport's limit long.
    pub body: Bytes,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body carries credentials.
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
