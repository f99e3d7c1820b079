//! The words that `errors` counts by, and what each means for the person who reads them.

use crate::model::{Cause, FaultKind, Phase};

/// Where causes are counted that are too many to be told apart.
pub const OTHER_CAUSES: &str = "other_causes";

/// What a cause means and where to look, in plain words of at most 60 characters, so that they
/// fit beside it on 100 columns.
pub fn cause_hint(cause: &Cause) -> &'static str {
    match cause {
        Cause::NotStarted => "the run ended before the device's turn",
        Cause::At(_, kind) => kind_hint(*kind),
    }
}

/// The hint for a word as it stands in `errors` of a summary, read back from a file.
pub fn word_hint(word: &str) -> &'static str {
    match word.parse() {
        Ok(cause) => cause_hint(&cause),
        Err(_) if word == OTHER_CAUSES => "more distinct causes than are told apart",
        Err(_) => "a cause that this version does not know",
    }
}

/// Every word without a server's code, for suggestions.
pub(super) fn plain_words() -> impl Iterator<Item = String> {
    let at = |phase| {
        FaultKind::PLAIN
            .into_iter()
            .map(move |kind| Cause::At(phase, kind))
    };
    std::iter::once(Cause::NotStarted)
        .chain(Phase::ALL.into_iter().flat_map(at))
        .map(|cause| cause.to_string())
        .chain([OTHER_CAUSES.to_owned()])
}

fn kind_hint(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::LocalPortsExhausted => "no free local port: widen the port range, slow down",
        FaultKind::LocalFilesExhausted => "no free file descriptor: raise `ulimit -n`",
        FaultKind::CutOff => "the run ended before this step did",
        FaultKind::CredentialsUnusable => "the credentials do not fit this transport",
        FaultKind::PayloadUnusable => "the scenario's payload has no value for this message",
        FaultKind::ConnectionRefused => "nobody listens there: check address and port",
        FaultKind::Unreachable => "no route to the target: check network and address",
        FaultKind::Timeout => "no answer in time: target overloaded or packets lost",
        FaultKind::ConnectionReset => "the target or a middlebox cut the connection",
        FaultKind::ConnectionClosed => "the target closed the connection early",
        FaultKind::Io => "another input/output error: see run.log",
        FaultKind::TlsAlert(number) => tls_alert_hint(number),
        FaultKind::TlsServerUntrusted => "the server's certificate is not trusted: check `ca`",
        FaultKind::TlsProtocol => "the target does not speak TLS here, or wrongly",
        FaultKind::Connack(code) => connack_hint(code),
        FaultKind::ConnackReason(code)
        | FaultKind::PubackReason(code)
        | FaultKind::DisconnectReason(code) => reason_hint(code),
        FaultKind::SubackReason(_) => "the server did not grant the subscription",
        FaultKind::HttpStatus(status) => http_hint(status),
        FaultKind::CoapCode(code) => coap_hint(code),
        FaultKind::CoapReset => "the target rejected the CoAP message (RST)",
        FaultKind::MalformedPacket => "the target sent bytes that are not the protocol",
        FaultKind::PacketTooLarge => "the target sent more than fleetcall accepts",
        FaultKind::UnexpectedPacket => "the target sent a message out of place",
        FaultKind::MalformedAnswer => "the answer is not of the provisioning API's form",
        FaultKind::AnswerWithoutCredentials => "SUCCESS without credentials: a server fault",
        FaultKind::UnknownStatus => "the answer has a status that the API does not know",
        FaultKind::NotFound => "wrong provision key or secret, or provisioning disabled",
        FaultKind::Failure => "name taken, not listed, or provisioned before",
        FaultKind::NotObserved => "the server answers and will not notify (no Observe)",
        FaultKind::Undelivered => "the server took it, and the device never read it",
        FaultKind::RpcTimeout => "the server says that nobody answered the call",
        FaultKind::ForeignAnswer => "the answer is not the one that the device gave",
        FaultKind::GatewayIgnored => "no gateway to the server (3.8 makes one; else by hand)",
        FaultKind::PubacksMissing => "fewer PUBACKs than devices; brokers: pubacks = \"one\"",
    }
}

fn connack_hint(code: u8) -> &'static str {
    match code {
        1 => "the server does not accept MQTT 3.1.1",
        2 => "the server does not accept the client id",
        3 => "the server says that it is unavailable",
        4 => "the server says: bad user name or password",
        5 => "not authorized: the credentials are not accepted",
        _ => "the server refused the MQTT session",
    }
}

/// RFC 8446 section 6.
fn tls_alert_hint(number: u8) -> &'static str {
    match number {
        40 => "no common TLS version, cipher or signature (handshake)",
        42..=44 | 46 => "the server does not accept the client certificate",
        45 => "the client certificate is expired, says the server",
        48 => "the server does not know the certificate's authority",
        49 => "the server accepts the certificate, not the client",
        51 => "the client's certificate and key do not fit together",
        70 => "the server does not speak this TLS version",
        80 => "an error inside the server: see its log",
        112 => "the server does not know the name it was called by",
        116 => "the server wants a client certificate",
        _ => "the server ended TLS with a fatal alert",
    }
}

/// MQTT 5 section 2.4, as ThingsBoard uses the codes.
fn reason_hint(code: u8) -> &'static str {
    match code {
        0x81 => "malformed or too large for the server",
        0x83 => "the server could not process it: its limits or its log",
        0x85 => "the server does not accept the client id",
        0x86 => "the server says: bad user name or password",
        0x87 => "not authorized: the credentials are not accepted",
        0x88 => "the server says that it is unavailable",
        0x89 => "the server says that it is busy",
        0x8b => "the server is shutting down, or failed inside",
        0x8e => "another connection took the device's session over",
        0x90 => "the server does not know this topic",
        0x96 | 0x97 | 0x9f => "the server limits the rate or the quota",
        0x98 => "an administrator's action closed the session",
        0x99 => "the server cannot read the payload",
        0xa0 => "the server closed a session that was silent too long",
        _ => "the server refused, with an MQTT 5 reason code",
    }
}

fn http_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "not authorized: the credentials are not accepted",
        404 => "no such path: is this ThingsBoard's HTTP API?",
        408 | 504 => "the server itself gave up waiting",
        413 => "the message is too large for the server",
        429 => "the server limits the rate",
        500..=599 => "an error inside the server: see its log",
        _ => "an HTTP status that provisioning does not expect",
    }
}

fn coap_hint(code: u8) -> &'static str {
    match code {
        0x80 => "bad request: the server did not understand it",
        0x81 | 0x83 => "not authorized: the credentials are not accepted",
        0x84 => "no such path: is this ThingsBoard's CoAP API?",
        0xa0..=0xbf => "an error inside the server: see its log",
        _ => "a CoAP code that provisioning does not expect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../docs/metrics.md");

    /// The word under which a kind is documented. Without a wildcard: a new kind does not compile
    /// until it has its place here and in `PLAIN`.
    fn documented_word(kind: FaultKind) -> String {
        match kind {
            FaultKind::TlsAlert(_) => "tls_alert_<number>".to_owned(),
            FaultKind::Connack(_) => "connack_<code>".to_owned(),
            FaultKind::ConnackReason(_) => "connack_0x<code>".to_owned(),
            FaultKind::PubackReason(_) => "puback_0x<code>".to_owned(),
            FaultKind::SubackReason(_) => "suback_0x<code>".to_owned(),
            FaultKind::DisconnectReason(_) => "disconnect_0x<code>".to_owned(),
            FaultKind::HttpStatus(_) => "http_<status>".to_owned(),
            FaultKind::CoapCode(_) => "coap_<class>.<detail>".to_owned(),
            FaultKind::LocalPortsExhausted
            | FaultKind::LocalFilesExhausted
            | FaultKind::CutOff
            | FaultKind::CredentialsUnusable
            | FaultKind::PayloadUnusable
            | FaultKind::ConnectionRefused
            | FaultKind::Unreachable
            | FaultKind::Timeout
            | FaultKind::ConnectionReset
            | FaultKind::ConnectionClosed
            | FaultKind::Io
            | FaultKind::TlsServerUntrusted
            | FaultKind::TlsProtocol
            | FaultKind::CoapReset
            | FaultKind::MalformedPacket
            | FaultKind::PacketTooLarge
            | FaultKind::UnexpectedPacket
            | FaultKind::MalformedAnswer
            | FaultKind::AnswerWithoutCredentials
            | FaultKind::UnknownStatus
            | FaultKind::NotFound
            | FaultKind::Failure
            | FaultKind::NotObserved
            | FaultKind::Undelivered
            | FaultKind::RpcTimeout
            | FaultKind::GatewayIgnored
            | FaultKind::PubacksMissing
            | FaultKind::ForeignAnswer => {
                assert!(
                    FaultKind::PLAIN.contains(&kind),
                    "{kind:?} is missing in FaultKind::PLAIN"
                );
                kind.to_string()
            }
        }
    }

    #[test]
    fn every_kind_of_fault_is_documented_with_its_side_and_hint() {
        let coded = [
            FaultKind::TlsAlert(255),
            FaultKind::ConnackReason(255),
            FaultKind::PubackReason(255),
            FaultKind::SubackReason(255),
            FaultKind::DisconnectReason(255),
            FaultKind::Connack(255),
            FaultKind::HttpStatus(302),
            FaultKind::CoapCode(0x85),
        ];
        for kind in FaultKind::PLAIN.into_iter().chain(coded) {
            let side = format!("{:?}", kind.side()).to_lowercase();
            let row = format!(
                "| `{}` | {side} | {} |",
                documented_word(kind),
                kind_hint(kind)
            );
            assert!(DOC.contains(&row), "docs/metrics.md lacks the row\n{row}");
        }
    }

    #[test]
    fn hints_for_single_codes_are_documented() {
        let codes = (1..=5)
            .map(FaultKind::Connack)
            .chain([40, 42, 45, 48, 49, 51, 70, 80, 112, 116].map(FaultKind::TlsAlert))
            .chain(
                [
                    0x81, 0x83, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8b, 0x8e, 0x90, 0x96, 0x98, 0x99,
                    0xa0,
                ]
                .map(FaultKind::DisconnectReason),
            )
            .chain([401, 403, 404, 408, 413, 429, 500, 504].map(FaultKind::HttpStatus))
            .chain([0x80, 0x81, 0x83, 0x84, 0xa0].map(FaultKind::CoapCode));
        for kind in codes {
            let hint = kind_hint(kind);
            assert!(
                DOC.contains(hint),
                "docs/metrics.md lacks \"{hint}\" ({kind})"
            );
        }
    }

    #[test]
    fn hints_are_short_enough_to_stand_beside_their_cause() {
        for code in 0..=u8::MAX {
            for kind in [
                FaultKind::TlsAlert(code),
                FaultKind::DisconnectReason(code),
                FaultKind::Connack(code),
                FaultKind::CoapCode(code),
                FaultKind::HttpStatus(u16::from(code) * 3),
            ] {
                assert!(kind_hint(kind).len() <= 60, "{kind}");
            }
        }
        for kind in FaultKind::PLAIN {
            assert!(kind_hint(kind).len() <= 60, "{kind}");
        }
    }

    #[test]
    fn a_word_that_is_no_cause_is_said_to_be_unknown() {
        assert_eq!(
            word_hint("tls.timeout"),
            "a cause that this version does not know"
        );
        assert_eq!(
            word_hint(OTHER_CAUSES),
            "more distinct causes than are told apart"
        );
    }
}
