//! What can go wrong on the way, as values: from the kernel's error numbers to stable words.

use std::io;

use nix::errno::Errno;

use crate::model::{FaultKind, Phase};

use super::Span;

/// Why a connection could not be opened. Nothing of any request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFault {
    /// `TcpConnect` (also for a UDP socket that could not be made), `TlsHandshake` or
    /// `MqttConnect`.
    pub phase: Phase,
    /// What went wrong.
    pub kind: FaultKind,
    /// The TCP handshake, when it succeeded.
    pub tcp: Option<Span>,
    /// The TLS handshake, when it succeeded.
    pub tls: Option<Span>,
}

/// Why an exchange has no reply, or why an idle session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// Whether any byte of the request itself may have reached the peer. `true` in doubt.
    pub sent: bool,
}

impl Fault {
    /// A fault that struck before the first byte of a request.
    pub(super) fn before(kind: FaultKind) -> Self {
        Self { kind, sent: false }
    }
}

/// The kind of an I/O error, by its number.
pub(super) fn io_kind(error: &io::Error) -> FaultKind {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED) => FaultKind::ConnectionRefused,
        Some(Errno::ETIMEDOUT) => FaultKind::Timeout,
        Some(Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ENETDOWN | Errno::EHOSTDOWN) => {
            FaultKind::Unreachable
        }
        Some(Errno::ECONNRESET | Errno::ECONNABORTED | Errno::EPIPE | Errno::ENOTCONN) => {
            FaultKind::ConnectionReset
        }
        Some(Errno::EMFILE | Errno::ENFILE) => FaultKind::LocalFilesExhausted,
        Some(Errno::EADDRNOTAVAIL | Errno::EADDRINUSE) => FaultKind::LocalPortsExhausted,
        Some(_) => FaultKind::Io,
        None => match error.kind() {
            io::ErrorKind::Other => carried(error).unwrap_or(FaultKind::Io),
            io::ErrorKind::UnexpectedEof => FaultKind::ConnectionClosed,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                FaultKind::ConnectionReset
            }
            _ => FaultKind::Io,
        },
    }
}

/// A fault on its way through those who only know I/O errors; [`io_kind`] takes it out again.
pub(super) fn as_io(kind: FaultKind) -> io::Error {
    io::Error::other(Carried(kind))
}

fn carried(error: &io::Error) -> Option<FaultKind> {
    let Carried(kind) = error.get_ref()?.downcast_ref()?;
    Some(*kind)
}

/// The kind of what rustls found wrong.
pub(super) fn tls_kind(error: &rustls::Error) -> FaultKind {
    use rustls::{AlertDescription, Error};
    match error {
        // A peer may leave in the middle of a handshake; that is no fatal alert.
        Error::AlertReceived(AlertDescription::CloseNotify) => FaultKind::ConnectionClosed,
        Error::AlertReceived(alert) => FaultKind::TlsAlert(u8::from(*alert)),
        Error::InvalidCertificate(_) | Error::UnsupportedNameType => FaultKind::TlsServerUntrusted,
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes => FaultKind::Io,
        _ => FaultKind::TlsProtocol,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Carried(FaultKind);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_number_has_its_word() {
        let cases = [
            (Errno::ECONNREFUSED, FaultKind::ConnectionRefused),
            (Errno::ETIMEDOUT, FaultKind::Timeout),
            (Errno::EHOSTUNREACH, FaultKind::Unreachable),
            (Errno::ENETUNREACH, FaultKind::Unreachable),
            (Errno::ECONNRESET, FaultKind::ConnectionReset),
            (Errno::EPIPE, FaultKind::ConnectionReset),
            (Errno::EMFILE, FaultKind::LocalFilesExhausted),
            (Errno::ENFILE, FaultKind::LocalFilesExhausted),
            (Errno::EADDRNOTAVAIL, FaultKind::LocalPortsExhausted),
            (Errno::EADDRINUSE, FaultKind::LocalPortsExhausted),
            (Errno::EACCES, FaultKind::Io),
        ];
        for (errno, kind) in cases {
            assert_eq!(io_kind(&io::Error::from_raw_os_error(errno as i32)), kind);
        }
    }

    #[test]
    fn what_rustls_finds_wrong_has_its_word() {
        use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
        let untrusted = FaultKind::TlsServerUntrusted;
        let cases = [
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                FaultKind::TlsAlert(48),
            ),
            (
                Error::AlertReceived(AlertDescription::CloseNotify),
                FaultKind::ConnectionClosed,
            ),
            (CertificateError::UnknownIssuer.into(), untrusted),
            (CertificateError::Expired.into(), untrusted),
            (CertificateError::NotValidForName.into(), untrusted),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                FaultKind::TlsProtocol,
            ),
            (Error::DecryptError, FaultKind::TlsProtocol),
            (Error::PeerSentOversizedRecord, FaultKind::TlsProtocol),
        ];
        for (error, kind) in cases {
            assert_eq!(tls_kind(&error), kind, "{error:?}");
            assert_eq!(io_kind(&as_io(kind)), kind, "on its way as an I/O error");
        }
    }
}
