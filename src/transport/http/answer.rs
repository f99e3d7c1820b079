//! An answer, read as its bytes come.
//!
//! Where the bytes are cut is of no matter, and what follows an answer is left where it is. No length
//! that a server announces is waited for or allocated beyond the limits.

use bytes::{Buf, Bytes, BytesMut};

use crate::model::FaultKind;

use super::chunks::Chunks;
use super::head::{Framing, Head, take};

/// A final answer, whole.
#[derive(PartialEq, Eq)]
pub(super) struct Answer {
    /// 100..=999.
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// Whether the connection may carry another request, as far as this answer says.
    pub(super) keeps: bool,
}

/// How far an answer has been read.
#[derive(Debug)]
pub(super) enum Reading {
    /// Not all of its head, or nothing.
    Head,
    /// So many bytes of a body.
    Sized(Head, usize),
    Chunked(Head, Chunks),
    UntilClose(Head),
}

impl Reading {
    /// Takes off the front what belongs to the answer; `None` needs more bytes.
    pub(super) fn advance(&mut self, received: &mut BytesMut) -> Result<Option<Answer>, FaultKind> {
        loop {
            match self {
                Self::Head => {
                    let Some(head) = take(received)? else {
                        return Ok(None);
                    };
                    *self = match head.framing {
                        Framing::Sized(length) => {
                            let length = usize::try_from(length).ok();
                            let length = length.filter(|length| *length <= BODY_LIMIT);
                            Self::Sized(head, length.ok_or(FaultKind::PacketTooLarge)?)
                        }
                        Framing::Chunked => Self::Chunked(head, Chunks::default()),
                        Framing::UntilClose => Self::UntilClose(head),
                    };
                }
                Self::Sized(_, length) if received.len() < *length => return Ok(None),
                Self::Sized(head, length) => {
                    // A copy, since a part would share the allocation of all that was received.
                    let body = Bytes::copy_from_slice(&received[..*length]);
                    received.advance(*length);
                    return Ok(Some(head.with(body)));
                }
                Self::Chunked(head, chunks) => {
                    let body = chunks.advance(received, BODY_LIMIT)?;
                    return Ok(body.map(|body| head.with(body)));
                }
                Self::UntilClose(_) if received.len() > BODY_LIMIT => {
                    return Err(FaultKind::PacketTooLarge);
                }
                Self::UntilClose(_) => return Ok(None),
            }
        }
    }

    /// What has been read is all that comes, for this reason.
    pub(super) fn end(self, received: BytesMut, kind: FaultKind) -> Result<Answer, FaultKind> {
        match (self, kind) {
            (Self::UntilClose(head), FaultKind::ConnectionClosed) => {
                Ok(head.with(received.freeze()))
            }
            (_, kind) => Err(kind),
        }
    }
}

impl Head {
    fn with(&self, body: Bytes) -> Answer {
        Answer {
            status: self.status,
            body,
            keeps: self.keeps,
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may carry credentials.
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("keeps", &self.keeps)
            .finish()
    }
}

/// The longest body of an answer, in bytes.
const BODY_LIMIT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Outcome = Result<Option<(Answer, usize)>, FaultKind>;

    /// What comes of a stream that arrives in pieces which end at these places, and then closes: an answer and how
    /// many bytes were its own, or `None` where they are not enough.
    fn read(stream: &[u8], cuts: &[usize], closes: bool) -> Outcome {
        let (mut reading, mut received, mut from) = (Reading::Head, BytesMut::new(), 0);
        for to in cuts.iter().copied().chain([stream.len()]) {
            received.extend_from_slice(&stream[from..to]);
            from = to;
            if let Some(answer) = reading.advance(&mut received)? {
                return Ok(Some((answer, from - received.len())));
            }
        }
        if closes {
            let answer = reading.end(received, FaultKind::ConnectionClosed)?;
            return Ok(Some((answer, from)));
        }
        Ok(None)
    }

    /// The body of a stream that came at once.
    fn body(stream: &str) -> Result<String, FaultKind> {
        let (answer, _) = read(stream.as_bytes(), &[], true)?.expect("it closes");
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    const MALFORMED: Result<String, FaultKind> = Err(FaultKind::MalformedPacket);
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn chunks_are_put_together_or_are_none() {
        let long = "x".repeat(16 * 1024 + 1);
        let within = &long[..16 * 1024];
        let fine = |text: &str| Ok(text.to_owned());
        for (chunks, expected) in [
            ("0\r\n\r\n", fine("")),
            ("4\r\nfine\r\n0\r\n\r\n", fine("fine")),
            (
                "02\r\nfi\r\n2;x=\"y\"\r\nne\r\n000\r\nX: y\r\n\r\n",
                fine("fine"),
            ),
            ("A \r\n0123456789\r\n0 ;x\r\n\r\n", fine("0123456789")),
            ("\r\n\r\n", MALFORMED),
            (";x\r\n\r\n", MALFORMED),
            (" 4\r\nfine\r\n0\r\n\r\n", MALFORMED),
            ("+4\r\nfine\r\n0\r\n\r\n", MALFORMED),
            ("0x4\r\nfine\r\n0\r\n\r\n", MALFORMED),
            ("4\nfine\r\n0\r\n\r\n", MALFORMED),
            ("4;x\ny\r\nfine\r\n0\r\n\r\n", MALFORMED),
            ("4\r\nfineness\r\n0\r\n\r\n", MALFORMED),
            ("4\r\nfine\n0\r\n\r\n", MALFORMED),
            ("5\r\nfine\r\n0\r\n\r\n", MALFORMED),
            ("4\r\nfine\r\n0\r\n\n", MALFORMED),
            ("4\r\nfine\r\n0\r\nX: y\n\r\n", MALFORMED),
            ("4\r\nfine\r\n0\r\nno field\r\n\r\n", MALFORMED),
            ("00000000000000004\r\nfine\r\n0\r\n\r\n", MALFORMED),
            ("ffffffffffffffff\r\nfine", Err(FaultKind::PacketTooLarge)),
            ("40000\r\nfine", Err(FaultKind::ConnectionClosed)),
            ("40001\r\nfine", Err(FaultKind::PacketTooLarge)),
            ("4\r\nfine\r\n3fffd\r\n", Err(FaultKind::PacketTooLarge)),
            ("4\r\nfine\r\n0\r\n", Err(FaultKind::ConnectionClosed)),
            (
                &format!("4;{}\r\nfine\r\n0\r\n\r\n", &within[1..]),
                fine("fine"),
            ),
            (&format!("4;{}\r\nfine\r\n0\r\n\r\n", &long[1..]), MALFORMED),
            (&format!("4;{long}{long}"), MALFORMED),
            (
                &format!("2;{0}\r\nfi\r\n2;{0}\r\nne\r\n0\r\n\r\n", &long[..9_000]),
                MALFORMED,
            ),
            (
                &format!("0\r\nX: {}\r\n\r\n", &within[..16 * 1024 - 7]),
                fine(""),
            ),
            (
                &format!("0\r\nX: {}\r\n\r\n", &within[..16 * 1024 - 6]),
                MALFORMED,
            ),
            (&format!("0\r\n{}\r\n", "X: y\r\n".repeat(100)), fine("")),
            (&format!("0\r\n{}\r\n", "X: y\r\n".repeat(101)), MALFORMED),
        ] {
            let shown = &chunks[..chunks.len().min(60)];
            assert_eq!(body(&format!("{CHUNKED}{chunks}")), expected, "{shown:?}");
        }
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection_and_has_a_bound() {
        let until_close = "HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(body(&format!("{until_close}fine")).unwrap(), "fine");
        let long = "x".repeat(BODY_LIMIT);
        assert_eq!(body(&format!("{until_close}{long}")).unwrap(), long);
        let longer = body(&format!("{until_close}{long}x"));
        assert_eq!(longer, Err(FaultKind::PacketTooLarge));
        let reset = Reading::Head.end(BytesMut::new(), FaultKind::ConnectionReset);
        assert_eq!(reset, Err(FaultKind::ConnectionReset));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_by_its_header_alone() {
        let sized = |n: usize| body(&format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n"));
        assert_eq!(sized(BODY_LIMIT), Err(FaultKind::ConnectionClosed));
        assert_eq!(sized(BODY_LIMIT + 1), Err(FaultKind::PacketTooLarge));
    }

    /// Answers of every form, each with something behind it that is not its own.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: x\r\n\r\nfineHTTP/1.1 500 No\r\n\r\n"
                .to_owned(),
            "\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\nContent-Length: 4\n\nfine\r\n"
                .to_owned(),
            "HTTP/1.1 204 No Content\r\n\r\nextra".to_owned(),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it".to_owned(),
            format!("{CHUNKED}2;a=b\r\nfi\r\n02 \r\nne\r\n0\r\nX: y\r\nZ:\r\n\r\nextra"),
            format!("{CHUNKED}1\r\nx\r\n0\r\n\r\n\r\n"),
        ])
        .prop_map(String::into_bytes)
    }

    /// Places to cut at, in order.
    fn cuts(stream: &[u8], at: &[prop::sample::Index]) -> Vec<usize> {
        let mut cuts: Vec<_> = at.iter().map(|at| at.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        cuts
    }

    proptest! {
        #[test]
        fn an_answer_is_the_same_however_it_is_cut(
            stream in streams(),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            closes in any::<bool>(),
        ) {
            let cut = read(&stream, &cuts(&stream, &at), closes);
            prop_assert_eq!(&cut, &read(&stream, &[], closes));
            let each: Vec<_> = (1..stream.len()).collect();
            prop_assert_eq!(&cut, &read(&stream, &each, closes));
        }

        #[test]
        fn a_damaged_answer_is_the_same_however_it_is_cut(
            stream in streams(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            closes in any::<bool>(),
        ) {
            let mut stream = stream;
            for (at, byte) in damage {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            let cut = read(&stream, &cuts(&stream, &at), closes);
            prop_assert_eq!(&cut, &read(&stream, &[], closes));
            let each: Vec<_> = (1..stream.len()).collect();
            prop_assert_eq!(&cut, &read(&stream, &each, closes));
        }

        #[test]
        fn any_bytes_are_an_answer_or_a_fault_however_they_are_cut(
            stream in prop::collection::vec(any::<u8>(), 0..200),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            for before in ["", "HTTP/1.1 200 ", CHUNKED] {
                let stream = [before.as_bytes(), &stream].concat();
                let cut = read(&stream, &cuts(&stream, &at), true);
                prop_assert_eq!(&cut, &read(&stream, &[], true));
            }
        }
    }
}
