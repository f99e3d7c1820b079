//! Causes read back from the words that reports count by.

use std::str::FromStr;

use super::outcome::{Cause, FaultKind, Phase};

/// No cause is written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCause;

impl FromStr for Cause {
    type Err = NoCause;

    fn from_str(word: &str) -> Result<Self, NoCause> {
        if word == Self::NotStarted.to_string() {
            return Ok(Self::NotStarted);
        }
        let (phase, kind) = word.split_once('.').ok_or(NoCause)?;
        let phase = Phase::ALL.into_iter().find(|p| p.as_str() == phase);
        let kind = FaultKind::from_word(kind);
        phase
            .zip(kind)
            .map(|(phase, kind)| Self::At(phase, kind))
            .ok_or(NoCause)
    }
}

impl FaultKind {
    /// The kinds without a server's code.
    pub const PLAIN: [Self; 28] = [
        Self::LocalPortsExhausted,
        Self::LocalFilesExhausted,
        Self::CutOff,
        Self::CredentialsUnusable,
        Self::PayloadUnusable,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::Timeout,
        Self::ConnectionReset,
        Self::ConnectionClosed,
        Self::Io,
        Self::TlsServerUntrusted,
        Self::TlsProtocol,
        Self::CoapReset,
        Self::MalformedPacket,
        Self::PacketTooLarge,
        Self::UnexpectedPacket,
        Self::MalformedAnswer,
        Self::AnswerWithoutCredentials,
        Self::UnknownStatus,
        Self::NotFound,
        Self::Failure,
        Self::NotObserved,
        Self::Undelivered,
        Self::RpcTimeout,
        Self::ForeignAnswer,
        Self::GatewayIgnored,
        Self::PubacksMissing,
    ];

    fn from_word(word: &str) -> Option<Self> {
        let plain = Self::PLAIN
            .into_iter()
            .find(|kind| kind.to_string() == word);
        let coded = || {
            let (family, code) = word.split_once('_')?;
            match family {
                "tls" => {
                    let number = code.strip_prefix("alert_")?;
                    number.parse().ok().map(Self::TlsAlert)
                }
                "connack" => reason(code)
                    .map(Self::ConnackReason)
                    .or_else(|| code.parse().ok().map(Self::Connack)),
                "puback" => reason(code).map(Self::PubackReason),
                "suback" => reason(code).map(Self::SubackReason),
                "disconnect" => reason(code).map(Self::DisconnectReason),
                "http" => code.parse().ok().map(Self::HttpStatus),
                "coap" => {
                    let (class, detail) = code.split_once('.')?;
                    let (class, detail): (u8, u8) = (class.parse().ok()?, detail.parse().ok()?);
                    (class < 8 && detail < 32).then_some(Self::CoapCode(class << 5 | detail))
                }
                _ => None,
            }
        };
        // Only the form that reports write: `http_0404` and `coap_4.4` are no words.
        plain.or_else(coded).filter(|kind| kind.to_string() == word)
    }
}

/// A reason code of MQTT 5, as `0x87`.
fn reason(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_found_again_by_its_word() {
        let codes = (0..=u8::MAX).flat_map(|c| {
            [
                FaultKind::TlsAlert(c),
                FaultKind::ConnackReason(c),
                FaultKind::PubackReason(c),
                FaultKind::DisconnectReason(c),
                FaultKind::Connack(c),
                FaultKind::CoapCode(c),
                FaultKind::HttpStatus(u16::from(c) * 257),
            ]
        });
        for kind in FaultKind::PLAIN.into_iter().chain(codes) {
            for phase in Phase::ALL {
                let cause = Cause::At(phase, kind);
                assert_eq!(cause.to_string().parse(), Ok(cause));
            }
        }
        assert_eq!("not_started".parse(), Ok(Cause::NotStarted));
    }

    #[test]
    fn what_is_no_cause_is_not_taken_for_one() {
        for word in [
            "",
            "timeout",
            "provision",
            "provision.",
            "provision.nonsense",
            "tls.timeout",
            "provision.http_0404",
            "provision.http_99999",
            "provision.coap_4.4",
            "provision.coap_8.00",
            "provision.connack_256",
            "other_causes",
        ] {
            assert_eq!(word.parse::<Cause>(), Err(NoCause), "{word}");
        }
    }
}
