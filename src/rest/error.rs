//! What can go wrong with a server's REST API.

use hyper::StatusCode;

use crate::model::FaultKind;

/// Why a request had no use. No text of it has a secret.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The address is none.
    #[error("{0:?} is no address of a server\nhelp: write it as http://HOST:PORT or https://HOST")]
    Url(String),
    /// The certificates to trust cannot be read.
    #[error(
        "{0}: no certificate can be read from it\nhelp: give the authority's certificate in PEM"
    )]
    Trust(String),
    /// Nobody is there.
    #[error("{server}: {why}\nhelp: check the address, and that the server runs")]
    Unreachable {
        /// Its address.
        server: String,
        /// In a few words.
        why: String,
        /// The same in the words that reports count by.
        kind: FaultKind,
    },
    /// It does not let this user in.
    #[error("{server}: {message}\nhelp: {help}")]
    Unauthorized {
        /// Its address.
        server: String,
        /// Its words.
        message: String,
        /// The way out.
        help: &'static str,
    },
    /// It said no.
    #[error("{request}: {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
    /// It answered something else than ThingsBoard does.
    #[error(
        "{request}: {why}\nhelp: is a ThingsBoard there, or a proxy in front of it that answers?"
    )]
    Garbled {
        /// Method and path.
        request: String,
        /// In a few words.
        why: String,
    },
}

impl RestError {
    /// Whether the server said that a request is too large.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// The word that reports count it by.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Url(_) | Self::Trust(_) => FaultKind::Io,
            Self::Unreachable { kind, .. } => *kind,
            Self::Unauthorized { .. } => FaultKind::HttpStatus(StatusCode::UNAUTHORIZED.as_u16()),
            Self::Refused { status, .. } => FaultKind::HttpStatus(status.as_u16()),
            Self::Garbled { .. } => FaultKind::MalformedAnswer,
        }
    }

    /// Whether the server said that something is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }
}
