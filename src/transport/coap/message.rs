//! Datagrams to messages and back, on coap-lite's codec.

use std::time::Duration;

use bytes::Bytes;
use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType};

use crate::model::FaultKind;

use super::blocks::Block;

/// A message from the server, as far as a client looks at it.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) kind: MessageType,
    pub(super) id: u16,
    /// Class << 5 | detail; 0 is the empty message.
    pub(super) code: u8,
    /// `None` unless it has the length of ours.
    pub(super) token: Option<u32>,
    pub(super) block1: Option<Block>,
    pub(super) block2: Option<Block>,
    pub(super) etag: Option<Bytes>,
    /// Its place in the order of notifications (RFC 7641, section 2).
    pub(super) observe: Option<u32>,
    /// How long it holds.
    pub(super) max_age: Duration,
    pub(super) payload: Bytes,
}

impl Incoming {
    /// Whether it is an answer: class 2, 4 or 5.
    pub(super) fn is_response(&self) -> bool {
        matches!(self.code >> 5, 2 | 4 | 5)
    }
}

/// A datagram that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// When its header can be read as an acknowledgement: of which message.
    pub(super) acknowledges: Option<u16>,
}

/// Reads a datagram. Messages of other versions are no messages (RFC 7252, section 3).
pub(super) fn decode(datagram: &[u8]) -> Result<Incoming, Malformed> {
    let malformed = Malformed {
        acknowledges: match datagram {
            [first, _, high, low, ..] if first >> 4 == 0b0110 => {
                Some(u16::from_be_bytes([*high, *low]))
            }
            _ => None,
        },
    };
    let packet = Packet::from_bytes(datagram).map_err(|_| malformed)?;
    let code = u8::from(packet.header.code);
    let empty_with_more = code == 0 && datagram.len() > 4;
    if packet.header.get_version() != 1 || empty_with_more {
        return Err(malformed);
    }
    let block = |option| match packet.get_first_option(option) {
        None => Ok(None),
        Some(value) => Block::from_option(value).map(Some).ok_or(malformed),
    };
    let (block1, block2) = (block(CoapOption::Block1)?, block(CoapOption::Block2)?);
    let etag = packet
        .get_first_option(CoapOption::ETag)
        .map(|tag| Bytes::copy_from_slice(tag));
    let number = |option, longest| {
        let value = packet.get_first_option(option)?;
        // Both options are elective: one of another form is as good as none.
        (value.len() <= longest).then(|| value.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    };
    let max_age = number(CoapOption::MaxAge, 4).unwrap_or(MAX_AGE);
    Ok(Incoming {
        observe: number(CoapOption::Observe, 3),
        max_age: Duration::from_secs(max_age.into()),
        kind: packet.header.get_type(),
        id: packet.header.message_id,
        code,
        token: packet.get_token().try_into().ok().map(u32::from_be_bytes),
        block1,
        block2,
        etag,
        payload: packet.payload.into(),
    })
}

/// A request, without what differs from one message of it to the next.
#[derive(Clone)]
pub(super) struct Draft {
    method: RequestType,
    segments: Vec<Vec<u8>>,
    has_body: bool,
}

impl Draft {
    /// A POST to a path in the form of a URI's (RFC 7252, section 6.4): `%2F` is a slash inside a
    /// segment. A `%` that begins no code stands for itself. Segments are at most 255 bytes long.
    pub(super) fn post(path: &str, body: &[u8]) -> Result<Self, FaultKind> {
        Self::new(RequestType::Post, path, !body.is_empty())
    }

    /// A GET, likewise.
    pub(super) fn get(path: &str) -> Result<Self, FaultKind> {
        Self::new(RequestType::Get, path, false)
    }

    fn new(method: RequestType, path: &str, has_body: bool) -> Result<Self, FaultKind> {
        let segments: Vec<_> = path
            .strip_prefix('/')
            .ok_or(FaultKind::CredentialsUnusable)?
            .split('/')
            .map(|segment| decode_percent(segment.as_bytes()))
            .collect();
        let usable =
            |segment: &Vec<u8>| segment.len() <= 255 && segment != b"." && segment != b"..";
        if !segments.iter().all(usable) {
            return Err(FaultKind::CredentialsUnusable);
        }
        Ok(Self {
            method,
            segments,
            has_body,
        })
    }

    /// Asks to be notified (RFC 7641, section 3.1).
    pub(super) fn observing(&self, id: u16, token: u32) -> Vec<u8> {
        let mut packet = self.packet(id, token);
        packet.add_option(CoapOption::Observe, Vec::new());
        bytes(&packet)
    }

    /// Asks not to be notified any more, and for no acknowledgement (section 3.6).
    pub(super) fn leaving(&self, id: u16, token: u32) -> Vec<u8> {
        let mut packet = self.packet(id, token);
        packet.header.set_type(MessageType::NonConfirmable);
        packet.add_option(CoapOption::Observe, vec![1]);
        bytes(&packet)
    }

    /// One datagram of it.
    pub(super) fn datagram(
        &self,
        id: u16,
        token: u32,
        payload: &[u8],
        block1: Option<Block>,
        block2: Option<Block>,
    ) -> Vec<u8> {
        let mut packet = self.packet(id, token);
        // Also where a follow-up asks for the next block of an answer and has no payload: servers
        // know by equal options which request it goes on with (RFC 7959, section 2.4).
        if self.has_body {
            packet.add_option(CoapOption::ContentFormat, vec![JSON]);
        }
        if let Some(block) = block1 {
            packet.add_option(CoapOption::Block1, block.to_option());
        }
        if let Some(block) = block2 {
            packet.add_option(CoapOption::Block2, block.to_option());
        }
        packet.payload = payload.to_vec();
        bytes(&packet)
    }

    /// Confirmable, without what is particular to a message of it.
    fn packet(&self, id: u16, token: u32) -> Packet {
        let mut packet = Packet::new();
        packet.header.set_type(MessageType::Confirmable);
        packet.header.code = MessageClass::Request(self.method);
        packet.header.message_id = id;
        packet.set_token(token.to_be_bytes().to_vec());
        for segment in &self.segments {
            packet.add_option(CoapOption::UriPath, segment.clone());
        }
        packet
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its path may hold a token.
        f.debug_struct("Draft").finish_non_exhaustive()
    }
}

fn bytes(packet: &Packet) -> Vec<u8> {
    packet
        .to_bytes_unlimited()
        .expect("a header of four bytes always fits into a vector")
}

/// An empty acknowledgement.
pub(super) fn acknowledgement(id: u16) -> [u8; 4] {
    empty(0b10, id)
}

/// A reset.
pub(super) fn reset(id: u16) -> [u8; 4] {
    empty(0b11, id)
}

/// An empty confirmable message: a living server answers with a reset (section 4.3).
pub(super) fn ping(id: u16) -> [u8; 4] {
    empty(0b00, id)
}

fn empty(kind: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0b0100_0000 | kind << 4, 0, high, low]
}

fn decode_percent(segment: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let [first, tail @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    decoded
}

/// Content-Format `application/json` (RFC 7252, section 12.3).
const JSON: u8 = 50;

/// The Max-Age of an answer that has none, seconds (section 5.10.5).
const MAX_AGE: u32 = 60;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_written_as_the_specification_draws_it() {
        let draft = Draft::post("/api/v1", b"{}").unwrap();
        let datagram = draft.datagram(0x1234, 0xa1a2_a3a4, b"{}", None, None);
        let expected = b"\x44\x02\x12\x34\xa1\xa2\xa3\xa4\xb3api\x02v1\x11\x32\xff{}";
        assert_eq!(datagram[..], expected[..]);
    }

    #[test]
    fn an_observation_is_asked_for_and_ended_as_its_rfc_draws_it() {
        let draft = Draft::get("/rpc").unwrap();
        assert_eq!(
            draft.observing(0x1234, 0xa1a2_a3a4),
            b"\x44\x01\x12\x34\xa1\xa2\xa3\xa4\x60\x53rpc"
        );
        assert_eq!(
            draft.leaving(0x1235, 0xa1a2_a3a4),
            b"\x54\x01\x12\x35\xa1\xa2\xa3\xa4\x61\x01\x53rpc"
        );
    }

    #[test]
    fn a_percent_sign_that_begins_no_code_stands_for_itself() {
        for (segment, decoded) in [
            ("a%2Fb", "a/b"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
        ] {
            assert_eq!(decode_percent(segment.as_bytes()), decoded.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_datagram_is_a_message_or_malformed(
            datagram in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Err(malformed) = decode(&datagram) {
                prop_assert!(malformed.acknowledges.is_none() || datagram[0] >> 4 == 0b0110);
            }
        }

        #[test]
        fn a_damaged_answer_is_a_message_or_malformed(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let block = Block::at(2048, 6, true);
            let draft = Draft::post("/a/much-longer-segment-than-twelve-bytes", b"{}").unwrap();
            let mut datagram = draft.datagram(1, 2, b"{}", Some(block), Some(block));
            let at = at.index(datagram.len());
            datagram[at] = byte;
            datagram.truncate(cut.index(datagram.len() + 1));
            let _ = decode(&datagram);
        }
    }
}
