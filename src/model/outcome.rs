//! How a device's provisioning ended, and why. Reports count by these words, so they are stable.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of a device's life that is timed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// TCP handshake for the provisioning connection.
    TcpConnect,
    /// TLS or DTLS handshake for the provisioning connection.
    TlsHandshake,
    /// CONNECT to CONNACK of the provisioning session.
    MqttConnect,
    /// Provision request to its answer.
    Provision,
    /// New connection with the received credentials, ready for telemetry.
    Reconnect,
    /// New connection with a new certificate, ready for telemetry.
    Rotate,
    /// Asking the server to send what it has, to its last grant.
    Subscribe,
    /// A gateway's word that a device behind it is there, to its acknowledgement.
    GatewayConnect,
    /// A device's claim to its acknowledgement.
    Claim,
    /// A device's client attributes to their acknowledgement.
    Attributes,
    /// One telemetry message to its acknowledgement.
    Telemetry,
    /// A change of shared attributes over REST to the device's having read it.
    AttributeUpdate,
    /// A call of a device's method over REST to the device's having read it.
    ServerRpc,
    /// A device's answer to a call to its acknowledgement.
    RpcReply,
    /// A two-way call over REST to its answer.
    RpcRoundTrip,
    /// A device's call of the server to its answer.
    ClientRpc,
    /// The device's start to its credentials.
    TimeToProvision,
    /// The device's start to its first acknowledged telemetry.
    TimeToFirstTelemetry,
    /// The loss of a session to the next one.
    TimeToReconnect,
}

impl Phase {
    /// All phases, in the order in which a device passes them.
    pub const ALL: [Self; 19] = [
        Self::TcpConnect,
        Self::TlsHandshake,
        Self::MqttConnect,
        Self::Provision,
        Self::Reconnect,
        Self::Rotate,
        Self::Subscribe,
        Self::GatewayConnect,
        Self::Claim,
        Self::Attributes,
        Self::Telemetry,
        Self::AttributeUpdate,
        Self::ServerRpc,
        Self::RpcReply,
        Self::RpcRoundTrip,
        Self::ClientRpc,
        Self::TimeToProvision,
        Self::TimeToFirstTelemetry,
        Self::TimeToReconnect,
    ];

    /// How many there are: the size of tables indexed by phase.
    pub const COUNT: usize = Self::ALL.len();

    /// Its name in reports, thresholds and causes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TcpConnect => "tcp_connect",
            Self::TlsHandshake => "tls_handshake",
            Self::MqttConnect => "mqtt_connect",
            Self::Provision => "provision",
            Self::Reconnect => "reconnect",
            Self::Rotate => "rotate",
            Self::Subscribe => "subscribe",
            Self::GatewayConnect => "gateway_connect",
            Self::Claim => "claim",
            Self::Attributes => "attributes",
            Self::Telemetry => "telemetry",
            Self::AttributeUpdate => "attribute_update",
            Self::ServerRpc => "server_rpc",
            Self::RpcReply => "rpc_reply",
            Self::RpcRoundTrip => "rpc_round_trip",
            Self::ClientRpc => "client_rpc",
            Self::TimeToProvision => "time_to_provision",
            Self::TimeToFirstTelemetry => "time_to_first_telemetry",
            Self::TimeToReconnect => "time_to_reconnect",
        }
    }
}

/// How a listed device's provisioning ended. Each listed device has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The server said SUCCESS and the credentials are recorded.
    Provisioned,
    /// The server said no, in its API's words.
    Refused,
    /// Network, protocol or time-out, and the server cannot have provisioned the device.
    Failed,
    /// The request was sent and no usable answer came: the server may have provisioned it.
    Unknown,
    /// Not started, or cut off by the end of the run before its request was sent.
    Unfinished,
}

impl Outcome {
    /// All outcomes, in the order of reports.
    pub const ALL: [Self; 5] = [
        Self::Provisioned,
        Self::Refused,
        Self::Failed,
        Self::Unknown,
        Self::Unfinished,
    ];

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Unfinished => "unfinished",
        }
    }
}

/// Who is to be asked about a fault first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The generator or its machine.
    Ours,
    /// The way between.
    Network,
    /// The server.
    Target,
}

/// What went wrong, of few and stable kinds. Its `Display` is the word that reports count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FaultKind {
    /// No free local port (EADDRNOTAVAIL, EADDRINUSE).
    LocalPortsExhausted,
    /// No free file descriptor (EMFILE, ENFILE).
    LocalFilesExhausted,
    /// The run ended before the step did.
    CutOff,
    /// The received credentials cannot be used on this transport, or the device lacks their key.
    CredentialsUnusable,
    /// The scenario's payload has no value for this device and message.
    PayloadUnusable,
    /// Nobody listens there (ECONNREFUSED, or ICMP port unreachable for UDP).
    ConnectionRefused,
    /// No route (EHOSTUNREACH, ENETUNREACH).
    Unreachable,
    /// Nothing came in time; for CoAP, all retransmissions stayed unanswered.
    Timeout,
    /// The peer reset the connection (ECONNRESET, EPIPE).
    ConnectionReset,
    /// The peer closed the connection in an orderly way.
    ConnectionClosed,
    /// Any other I/O error.
    Io,
    /// The peer ended the handshake or the session with a fatal TLS alert, by its number
    /// (RFC 8446 section 6).
    TlsAlert(u8),
    /// The server's certificate is not trusted: its issuer, its name or its dates.
    TlsServerUntrusted,
    /// What the peer speaks is no TLS, or broke its rules.
    TlsProtocol,
    /// CONNACK with a refusing return code of MQTT 3.1.1, 1..=255.
    Connack(u8),
    /// CONNACK with a refusing reason code of MQTT 5, 0x80..=0xff.
    ConnackReason(u8),
    /// PUBACK with a refusing reason code of MQTT 5, 0x80..=0xff.
    PubackReason(u8),
    /// SUBACK with a refusing code: 0x80 in MQTT 3.1.1, 0x80..=0xff in MQTT 5.
    SubackReason(u8),
    /// The server sent DISCONNECT with this reason code of MQTT 5.
    DisconnectReason(u8),
    /// An HTTP status other than the expected.
    HttpStatus(u16),
    /// A CoAP code other than the expected, as its byte.
    CoapCode(u8),
    /// A CoAP RST.
    CoapReset,
    /// Bytes that are no message of the protocol.
    MalformedPacket,
    /// A message longer than the transport accepts.
    PacketTooLarge,
    /// A message that is legal, but not here.
    UnexpectedPacket,
    /// A provision answer that is not JSON, or not of the API's form.
    MalformedAnswer,
    /// SUCCESS without usable credentials.
    AnswerWithoutCredentials,
    /// A provision answer with a status that the API does not know.
    UnknownStatus,
    /// The server answered `NOT_FOUND`: wrong key or secret, or provisioning is disabled.
    NotFound,
    /// The server answered `FAILURE`: name taken, unlisted or already provisioned.
    Failure,
    /// The server answers and will not notify: a CoAP resource that is not observed.
    NotObserved,
    /// The server took a push, and the device never read it.
    Undelivered,
    /// The server says that nobody answered the call.
    RpcTimeout,
    /// The answer to a call is not the one that the device gave.
    ForeignAnswer,
    /// The server is there, and acknowledged nothing of what a gateway said as one.
    GatewayIgnored,
    /// Fewer PUBACKs than devices have a part in a gateway's message.
    PubacksMissing,
}

impl FaultKind {
    /// Who is to be asked first.
    pub fn side(self) -> Side {
        match self {
            Self::LocalPortsExhausted
            | Self::LocalFilesExhausted
            | Self::CutOff
            | Self::CredentialsUnusable
            | Self::PayloadUnusable => Side::Ours,
            Self::ConnectionRefused
            | Self::Unreachable
            | Self::Timeout
            | Self::ConnectionReset
            | Self::ConnectionClosed
            | Self::Io => Side::Network,
            _ => Side::Target,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::LocalPortsExhausted => "local_ports_exhausted",
            Self::LocalFilesExhausted => "local_files_exhausted",
            Self::CutOff => "cut_off",
            Self::CredentialsUnusable => "credentials_unusable",
            Self::PayloadUnusable => "payload_unusable",
            Self::ConnectionRefused => "connection_refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::ConnectionReset => "connection_reset",
            Self::ConnectionClosed => "connection_closed",
            Self::Io => "io_error",
            Self::TlsAlert(number) => return write!(f, "tls_alert_{number}"),
            Self::TlsServerUntrusted => "tls_server_untrusted",
            Self::TlsProtocol => "tls_protocol",
            Self::Connack(code) => return write!(f, "connack_{code}"),
            Self::ConnackReason(code) => return write!(f, "connack_0x{code:02x}"),
            Self::PubackReason(code) => return write!(f, "puback_0x{code:02x}"),
            Self::SubackReason(code) => return write!(f, "suback_0x{code:02x}"),
            Self::DisconnectReason(code) => return write!(f, "disconnect_0x{code:02x}"),
            Self::HttpStatus(status) => return write!(f, "http_{status}"),
            Self::CoapCode(code) => return write!(f, "coap_{}.{:02}", code >> 5, code & 0x1f),
            Self::CoapReset => "coap_reset",
            Self::MalformedPacket => "malformed_packet",
            Self::PacketTooLarge => "packet_too_large",
            Self::UnexpectedPacket => "unexpected_packet",
            Self::MalformedAnswer => "malformed_answer",
            Self::AnswerWithoutCredentials => "answer_without_credentials",
            Self::UnknownStatus => "unknown_status",
            Self::NotFound => "not_found",
            Self::Failure => "failure",
            Self::NotObserved => "not_observed",
            Self::Undelivered => "undelivered",
            Self::RpcTimeout => "rpc_timeout",
            Self::ForeignAnswer => "foreign_answer",
            Self::GatewayIgnored => "gateway_ignored",
            Self::PubacksMissing => "pubacks_missing",
        };
        f.write_str(word)
    }
}

/// Why something did not happen: the word of `errors` and of the `cause` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// The run ended before the device's turn.
    NotStarted,
    /// The fault, and the phase in which it struck.
    At(Phase, FaultKind),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("not_started"),
            Self::At(phase, kind) => write!(f, "{}.{kind}", phase.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_as_documented() {
        let cases = [
            (Cause::NotStarted, "not_started"),
            (
                Cause::At(Phase::Reconnect, FaultKind::Connack(5)),
                "reconnect.connack_5",
            ),
            (
                Cause::At(Phase::Provision, FaultKind::CoapCode(0x80)),
                "provision.coap_4.00",
            ),
            (
                Cause::At(Phase::Telemetry, FaultKind::HttpStatus(401)),
                "telemetry.http_401",
            ),
        ];
        for (cause, word) in cases {
            assert_eq!(cause.to_string(), word);
        }
    }
}
