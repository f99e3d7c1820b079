//! Why: the words that MQTT has for a refusal or an end, as the platform uses them.

use rumqttc::mqttbytes::v4::ConnectReturnCode;

use super::wire::Connect;
use crate::model::Release;

/// The MQTT 5 reason codes that the platform sends (MQTT 5, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    /// In DISCONNECT: normal.
    Success = 0x00,
    NoSubscription = 0x11,
    Malformed = 0x81,
    /// Whatever has no code of its own: no answer of the core, a request that cannot be carried
    /// out, a session that was silent for too long.
    Implementation = 0x83,
    BadIdentifier = 0x85,
    BadCredentials = 0x86,
    NotAuthorized = 0x87,
    Unavailable = 0x88,
    Busy = 0x89,
    /// An exception that nobody foresaw; MQTT has it for a server that shuts down.
    Exception = 0x8b,
    TakenOver = 0x8e,
    BadFilter = 0x8f,
    BadTopic = 0x90,
    MessageRate = 0x96,
    QuotaExceeded = 0x97,
    /// The device was deleted, or has other credentials.
    Administrative = 0x98,
    BadPayload = 0x99,
    ConnectionRate = 0x9f,
}

/// Why a CONNECT is refused (section 4.2 of the table of codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A user name or a password was given, and no device has them.
    Credentials,
    /// Neither was given, and no device goes by the client id alone.
    Identifier,
    /// Nothing was given at all, or a certificate that is nobody's.
    NotAuthorized,
    /// The core does not answer in time.
    Unavailable,
    /// Too many sessions were opened, of the tenant or of the device.
    RateLimited,
}

impl Refusal {
    /// The refusal of a CONNECT whose credentials are no device's.
    pub(super) fn of(connect: &Connect) -> Self {
        if connect.username.is_some() || connect.password.is_some() {
            Self::Credentials
        } else if connect.client_id.trim().is_empty() {
            Self::NotAuthorized
        } else {
            Self::Identifier
        }
    }

    /// Its code in MQTT 5, in CONNACK.
    pub(super) fn reason(self, release: Release) -> Reason {
        match self {
            Self::RateLimited if release >= Release::V3_7 => Reason::ConnectionRate,
            Self::Unavailable | Self::RateLimited => Reason::Unavailable,
            Self::Credentials => Reason::BadCredentials,
            Self::Identifier => Reason::BadIdentifier,
            Self::NotAuthorized => Reason::NotAuthorized,
        }
    }

    /// Its code in MQTT 5, in the DISCONNECT after the CONNACK.
    pub(super) fn farewell(self, release: Release) -> Reason {
        match self {
            Self::RateLimited => Reason::MessageRate,
            Self::Unavailable => Reason::Busy,
            other => other.reason(release),
        }
    }

    /// Its code in MQTT 3.1 and 3.1.1.
    pub(super) fn return_code(self, release: Release) -> ConnectReturnCode {
        match self {
            Self::Credentials if release == Release::V3_5 => ConnectReturnCode::BadUserNamePassword,
            Self::Credentials | Self::NotAuthorized => ConnectReturnCode::NotAuthorized,
            Self::Identifier => ConnectReturnCode::BadClientId,
            Self::Unavailable | Self::RateLimited => ConnectReturnCode::ServiceUnavailable,
        }
    }
}
