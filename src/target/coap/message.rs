//! Datagrams to requests, answers to datagrams. The codec is coap-lite's; what it lets through and
//! RFC 7252 does not (a wrong version, an empty payload after its marker) is sorted out here.

use bytes::Bytes;
use coap_lite::{CoapOption, MessageType, Packet};

/// What a datagram is to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Request(Request),
    /// An acknowledgement of a message of ours, by its id.
    Acknowledged(u16),
    /// A reset of a message of ours, by its id.
    Rejected(u16),
    /// To be answered with a reset: a ping, or a confirmable message that is none of ours.
    Reset(u16),
    /// To be ignored.
    Noise,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) confirmable: bool,
    pub(super) id: u16,
    pub(super) token: Vec<u8>,
    /// The code's number: 1 GET, 2 POST, 3 PUT, 4 DELETE …
    pub(super) method: u8,
    /// Split at slashes, whether or not the options were.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<String>,
    pub(super) observe: Option<u32>,
    pub(super) format: Option<u16>,
    pub(super) block1: Option<Block>,
    pub(super) block2: Option<Block>,
    pub(super) payload: Vec<u8>,
}

/// A block option's value (RFC 7959, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) number: u32,
    pub(super) more: bool,
    /// 0..=6: blocks of 16 << exponent bytes.
    pub(super) exponent: u8,
}

/// An answer, before it is known how it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Class << 5 | detail.
    pub(super) code: u8,
    pub(super) payload: Bytes,
    pub(super) format: Option<u16>,
    pub(super) observe: Option<u32>,
    pub(super) block1: Option<Block>,
    pub(super) block2: Option<Block>,
    /// Sent as a message of its own even if it could ride on the acknowledgement.
    pub(super) separate: bool,
}

impl Answer {
    /// A code and nothing else.
    pub(super) fn code(code: u8) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carriage {
    Acknowledgement,
    Confirmable,
    NonConfirmable,
}

impl Block {
    /// Bytes per block.
    pub(super) fn size(self) -> usize {
        16 << self.exponent
    }

    fn read(value: &[u8]) -> Option<Self> {
        let whole = uint(value).filter(|_| value.len() <= 3)?;
        let exponent = (whole & 7) as u8;
        (exponent < 7).then_some(Self {
            number: whole >> 4,
            more: whole & 8 != 0,
            exponent,
        })
    }

    fn value(self) -> u32 {
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.exponent)
    }
}

/// Sorts a datagram.
pub(super) fn read(datagram: &[u8]) -> Incoming {
    let [first, code, high, low, ..] = *datagram else {
        return Incoming::Noise;
    };
    if first >> 6 != 1 {
        return Incoming::Noise;
    }
    let id = u16::from_be_bytes([high, low]);
    let kind = first >> 4 & 3;
    let confirmable = kind == 0;
    let rejected = if confirmable {
        Incoming::Reset(id)
    } else {
        Incoming::Noise
    };
    match kind {
        2 => return Incoming::Acknowledged(id),
        3 => return Incoming::Rejected(id),
        _ => {}
    }
    if !(1..32).contains(&code) {
        return rejected;
    }
    let Ok(packet) = Packet::from_bytes(datagram) else {
        return rejected;
    };
    if packet.payload.is_empty() && ends_with_marker(datagram, &packet) {
        return rejected;
    }
    match request(packet, confirmable, id, code) {
        Some(request) => Incoming::Request(request),
        None => rejected,
    }
}

/// A payload marker with nothing after it is a format error. Without a payload the last byte of a
/// datagram belongs to an option or token, unless the encoded rest is one byte shorter.
fn ends_with_marker(datagram: &[u8], packet: &Packet) -> bool {
    datagram.last() == Some(&0xff)
        && packet
            .to_bytes_unlimited()
            .is_ok_and(|bytes| bytes.len() < datagram.len())
}

fn request(packet: Packet, confirmable: bool, id: u16, method: u8) -> Option<Request> {
    let texts = |option| -> Option<Vec<String>> {
        let values = packet.get_option(option);
        values
            .into_iter()
            .flatten()
            .map(|value| String::from_utf8(value.clone()).ok())
            .collect()
    };
    let path = texts(CoapOption::UriPath)?;
    let number = |option| {
        packet
            .get_first_option(option)
            .and_then(|value| uint(value))
    };
    let block = |option| packet.get_first_option(option).map(|v| Block::read(v));
    Some(Request {
        confirmable,
        id,
        method,
        path: path
            .iter()
            .flat_map(|option| option.split('/'))
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
        query: texts(CoapOption::UriQuery)?,
        observe: number(CoapOption::Observe),
        format: number(CoapOption::ContentFormat).and_then(|n| n.try_into().ok()),
        block1: block(CoapOption::Block1).map_or(Some(None), |b| b.map(Some))?,
        block2: block(CoapOption::Block2).map_or(Some(None), |b| b.map(Some))?,
        token: packet.get_token().to_vec(),
        payload: packet.payload,
    })
}

/// Writes an answer.
pub(super) fn write(carriage: Carriage, id: u16, token: &[u8], answer: &Answer) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.header.set_version(1);
    packet.header.set_type(match carriage {
        Carriage::Acknowledgement => MessageType::Acknowledgement,
        Carriage::Confirmable => MessageType::Confirmable,
        Carriage::NonConfirmable => MessageType::NonConfirmable,
    });
    packet.header.message_id = id;
    packet.header.code = answer.code.into();
    packet.set_token(token.to_vec());
    let options = [
        (CoapOption::Observe, answer.observe),
        (CoapOption::ContentFormat, answer.format.map(u32::from)),
        (CoapOption::Block2, answer.block2.map(Block::value)),
        (CoapOption::Block1, answer.block1.map(Block::value)),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            packet.add_option(option, shortest(value));
        }
    }
    packet.payload = answer.payload.to_vec();
    packet
        .to_bytes_unlimited()
        .expect("a token came in a request and so has at most 8 bytes")
}

/// An acknowledgement without an answer.
pub(super) fn empty_ack(id: u16) -> Vec<u8> {
    bare(0x60, id)
}

/// A reset.
pub(super) fn reset(id: u16) -> Vec<u8> {
    bare(0x70, id)
}

fn bare(first: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![first, 0, high, low]
}

/// A uint option (RFC 7252, section 3.2); longer ones are not numbers that anyone uses.
fn uint(value: &[u8]) -> Option<u32> {
    (value.len() <= 4).then(|| value.iter().fold(0, |n, &b| n << 8 | u32::from(b)))
}

fn shortest(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes[zeros..].to_vec()
}

/// Content-Format application/json.
pub(super) const JSON: u16 = 50;

/// 2.01
pub(super) const CREATED: u8 = 0x41;
/// 2.02
pub(super) const DELETED: u8 = 0x42;
/// 2.03
pub(super) const VALID: u8 = 0x43;
/// 2.05
pub(super) const CONTENT: u8 = 0x45;
/// 2.31
pub(super) const CONTINUE: u8 = 0x5f;
/// 4.00
pub(super) const BAD_REQUEST: u8 = 0x80;
/// 4.01
pub(super) const UNAUTHORIZED: u8 = 0x81;
/// 4.04
pub(super) const NOT_FOUND: u8 = 0x84;
/// 4.05
pub(super) const NOT_ALLOWED: u8 = 0x85;
/// 4.08
pub(super) const INCOMPLETE: u8 = 0x88;
/// 4.13
pub(super) const TOO_LARGE: u8 = 0x8d;
/// 5.00
pub(super) const SERVER_ERROR: u8 = 0xa0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_path_however_it_is_cut() {
        for options in [
            &b"\xb3api\x02v1\x09provision"[..],
            b"\xbd\x03api/v1/provision",
            b"\xbd\x04/api/v1/provision",
        ] {
            let mut datagram = b"\x42\x02\x12\x34tk".to_vec();
            datagram.extend_from_slice(options);
            datagram.extend_from_slice(b"\xff{}");
            let Incoming::Request(request) = read(&datagram) else {
                panic!("no request");
            };
            assert_eq!(request.path, ["api", "v1", "provision"]);
            assert_eq!((request.id, request.method), (0x1234, 2));
            assert_eq!(
                (&*request.token, &*request.payload),
                (&b"tk"[..], &b"{}"[..])
            );
        }
    }

    #[test]
    fn sorts_what_is_no_request() {
        for (datagram, sort) in [
            (&b"\x40\x00\x00\x07"[..], Incoming::Reset(7)),
            (b"\x60\x00\x00\x07", Incoming::Acknowledged(7)),
            (b"\x70\x00\x00\x07", Incoming::Rejected(7)),
            (b"\x40\x45\x00\x07", Incoming::Reset(7)),
            (b"\x50\x45\x00\x07", Incoming::Noise),
            (b"\x49\x02\x00\x07123456789", Incoming::Reset(7)),
            (b"\x59\x02\x00\x07123456789", Incoming::Noise),
            (b"\x40\x02\x00\x07\xff", Incoming::Reset(7)),
            (b"\x40\x02\x00\x07\xf0", Incoming::Reset(7)),
            (b"\x40\x02\x00\x07\xb3ap", Incoming::Reset(7)),
            (b"\x80\x02\x00\x07", Incoming::Noise),
            (b"\x40\x02\x00", Incoming::Noise),
            (b"", Incoming::Noise),
        ] {
            assert_eq!(read(datagram), sort, "{datagram:x?}");
        }
        // An option may end in 0xff.
        assert!(matches!(
            read(b"\x40\x01\x00\x07\x11\xff"),
            Incoming::Request(_)
        ));
    }

    #[test]
    fn writes_the_shortest_options() {
        let answer = Answer {
            code: CREATED,
            payload: Bytes::from_static(b"x"),
            format: Some(0),
            block2: Some(Block {
                number: 1,
                more: true,
                exponent: 6,
            }),
            ..Answer::default()
        };
        assert_eq!(
            write(Carriage::Acknowledgement, 0x1234, b"tk", &answer),
            b"\x62\x41\x12\x34tk\xc0\xb1\x1e\xffx"
        );
    }

    proptest! {
        #[test]
        fn never_panics(datagram in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&datagram);
        }

        #[test]
        fn never_panics_behind_a_good_head(
            rest in proptest::collection::vec(any::<u8>(), 0..100),
            token in 0u8..16,
        ) {
            let mut datagram = vec![0x40 | token, 2, 0, 1];
            datagram.extend(rest);
            let _ = read(&datagram);
        }
    }
}
