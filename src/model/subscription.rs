//! What a server may send a device without having been asked at that moment, and by which way.

use std::time::Duration;

use secrecy::SecretString;

/// Asks a server to send what it has for a device, from then on.
#[derive(Clone, Debug)]
pub enum Subscription {
    /// MQTT: a topic filter, subscribed to with `QoS` 1.
    Topic(&'static str),
    /// A resource: observed over CoAP (RFC 7641), asked for by one long poll after another over
    /// HTTP.
    Resource {
        /// What the resource has.
        feed: Feed,
        /// Begins with `/`, has no query. Contains the access token, hence secret.
        path: SecretString,
        /// HTTP: how long the server may hold a poll that it has nothing for.
        hold: Duration,
    },
}

/// What a device's resource has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Updates of its shared attributes.
    Attributes,
    /// Calls of its methods (server-side RPC).
    Rpc,
}

/// By what something came that a server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// MQTT: the topic of the publish.
    Topic(String),
    /// HTTP and CoAP: the resource.
    Resource(Feed),
}
