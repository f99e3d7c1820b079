//! Status line and headers of an answer, and what they say of its body (RFC 9112 section 6.3).
//!
//! The parser is httparse. Only framing and persistence are looked at; everything else in a head is
//! none of a device's business.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use httparse::{Error, Header, ParserConfig, Response, Status};

use crate::model::FaultKind;

/// The head of a final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// 100..=999.
    pub(super) status: u16,
    /// Whether the connection may carry another request.
    pub(super) keeps: bool,
    pub(super) framing: Framing,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Sized(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Takes a final head off the front, and any interim ones before it; `None` needs more bytes.
pub(super) fn take(received: &mut BytesMut) -> Result<Option<Head>, FaultKind> {
    while !received.is_empty() {
        let within = &received[..received.len().min(HEAD_LIMIT)];
        let Some((length, head)) = parse(within)? else {
            let full = received.len() >= HEAD_LIMIT;
            return if full {
                Err(FaultKind::PacketTooLarge)
            } else {
                Ok(None)
            };
        };
        received.advance(length);
        // They are not counted: each is forgotten, and the wait for the answer has an end.
        if !matches!(head.status, 100 | 102..=199) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn parse(bytes: &[u8]) -> Result<Option<(usize, Head)>, FaultKind> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut headers,
    );
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(Error::TooManyHeaders) => return Err(FaultKind::PacketTooLarge),
        Err(_) => return Err(FaultKind::MalformedPacket),
    };
    let (Some(status @ 100..), Some(version)) = (response.code, response.version) else {
        return Err(FaultKind::MalformedPacket);
    };
    let said = Said::of(response.headers, version == 1);
    let framing = said.framing(status)?;
    // What is framed in two ways may have been framed otherwise by somebody on the way
    // (RFC 9112 section 6.1), and whoever changes protocols does not speak this one any more.
    let alone = said.coding.is_none() || said.length.is_none();
    let keeps = said.keeps && alone && framing != Framing::UntilClose && status != 101;
    let head = Head {
        status,
        keeps,
        framing,
    };
    Ok(Some((length, head)))
}

/// What the headers say that matters.
struct Said {
    http_1_1: bool,
    keeps: bool,
    /// Content-Length; a fault where its values differ or are none.
    length: Option<Result<u64, FaultKind>>,
    /// Whether chunked is the last of the transfer codings.
    coding: Option<bool>,
}

impl Said {
    fn of(headers: &[Header<'_>], http_1_1: bool) -> Self {
        let (mut close, mut keep) = (false, http_1_1);
        let (mut length, mut coding) = (None, None);
        for Header { name, value } in headers {
            if name.eq_ignore_ascii_case("content-length") {
                for part in list(value) {
                    let number = digits(part).ok_or(FaultKind::MalformedPacket);
                    length = Some(match length {
                        Some(before) if before != number => Err(FaultKind::MalformedPacket),
                        _ => number,
                    });
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                let last = list(value).next_back();
                coding = Some(last.is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")));
            } else if name.eq_ignore_ascii_case("connection") {
                close |= list(value).any(|token| token.eq_ignore_ascii_case(b"close"));
                keep |= list(value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        Self {
            http_1_1,
            keeps: keep && !close,
            length,
            coding,
        }
    }

    fn framing(&self, status: u16) -> Result<Framing, FaultKind> {
        if matches!(status, 100..=199 | 204 | 304) {
            return Ok(Framing::Sized(0));
        }
        match (self.coding, self.length) {
            // HTTP/1.0 has no transfer codings: its framing is not to be believed.
            (Some(_), _) if !self.http_1_1 => Err(FaultKind::MalformedPacket),
            (Some(true), _) => Ok(Framing::Chunked),
            (None, Some(length)) => length.map(Framing::Sized),
            (Some(false), _) | (None, None) => Ok(Framing::UntilClose),
        }
    }
}

/// The members of a comma-separated list.
fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

/// A number without sign; `None` also beyond 64 bits.
fn digits(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// The longest status line and headers of an answer, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// The most headers of an answer, and the most trailers.
pub(super) const HEADERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, FaultKind> {
        take(&mut BytesMut::from(text))
    }

    /// What of these headers a body's end and the connection's future are.
    fn framed(status: &str, headers: &str) -> Result<(Framing, bool), FaultKind> {
        let head = head(&format!("{status}\r\n{headers}\r\n"))?.expect("it is whole");
        Ok((head.framing, head.keeps))
    }

    use Framing::{Chunked, Sized, UntilClose};

    const MALFORMED: Result<(Framing, bool), FaultKind> = Err(FaultKind::MalformedPacket);
    const OK: &str = "HTTP/1.1 200 OK";
    const OLD: &str = "HTTP/1.0 200 OK";

    #[test]
    fn a_length_is_one_number_however_often_it_is_said() {
        for (values, expected) in [
            (&["0"][..], Ok((Sized(0), true))),
            (&["\t7 "], Ok((Sized(7), true))),
            (&["7, 7", "07"], Ok((Sized(7), true))),
            (&["7, 8"], MALFORMED),
            (&["7", "8"], MALFORMED),
            (&["8", "x", "8"], MALFORMED),
            (&["x", "8"], MALFORMED),
            (&[""], MALFORMED),
            (&["+7"], MALFORMED),
            (&["-7"], MALFORMED),
            (&["0x7"], MALFORMED),
            (&["7,"], MALFORMED),
            (&["18446744073709551616"], MALFORMED),
        ] {
            let line = |value: &&str| format!("content-LENGTH:{value}\r\n");
            let headers: String = values.iter().map(line).collect();
            assert_eq!(framed(OK, &headers), expected, "{values:?}");
        }
        assert_eq!(framed(OK, ""), Ok((UntilClose, false)));
    }

    #[test]
    fn a_transfer_coding_overrules_a_length_and_costs_the_connection() {
        for (codings, length, expected) in [
            (&["chunked"][..], "", Ok((Chunked, true))),
            (&["gzip,  CHUNKED"], "", Ok((Chunked, true))),
            (&["gzip", "chunked"], "", Ok((Chunked, true))),
            (&["chunked, gzip"], "", Ok((UntilClose, false))),
            (&["xchunked"], "", Ok((UntilClose, false))),
            (&["chunked"], "7", Ok((Chunked, false))),
            (&["chunked"], "x", Ok((Chunked, false))),
            (&["gzip"], "7", Ok((UntilClose, false))),
        ] {
            let line = |coding: &&str| format!("Transfer-Encoding: {coding}\r\n");
            let mut headers: String = codings.iter().map(line).collect();
            if !length.is_empty() {
                headers = headers + "Content-Length: " + length + "\r\n";
            }
            assert_eq!(framed(OK, &headers), expected, "{headers:?}");
            assert_eq!(framed(OLD, &headers), MALFORMED, "{headers:?}");
        }
    }

    #[test]
    fn a_connection_is_kept_as_its_version_and_its_options_say() {
        for (status, options, keeps) in [
            (OK, &[][..], true),
            (OLD, &[], false),
            (OLD, &["Keep-Alive"], true),
            (OK, &["x, Close"], false),
            (OK, &["close", "keep-alive"], false),
            (OLD, &["keep-alive", "close"], false),
        ] {
            let line = |option: &&str| format!("Connection: {option}\r\n");
            let headers: String = options.iter().map(line).collect();
            let headers = headers + "Content-Length: 7\r\n";
            assert_eq!(
                framed(status, &headers),
                Ok((Sized(7), keeps)),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn some_statuses_have_no_body_and_some_are_none() {
        for (status, expected) in [
            ("HTTP/1.1 204 No Content", Ok((Sized(0), true))),
            ("HTTP/1.1 304 Not Modified", Ok((Sized(0), true))),
            ("HTTP/1.1 101 Switching Protocols", Ok((Sized(0), false))),
            ("HTTP/1.1 099 What", MALFORMED),
            ("HTTP/2.0 200 OK", MALFORMED),
        ] {
            let outcome = framed(status, "Content-Length: 7\r\n");
            assert_eq!(outcome, expected, "{status}");
        }
    }

    #[test]
    fn interim_answers_are_none() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        assert_eq!(head(&interim.repeat(1_000)), Ok(None));
        let last = head(&format!("{interim}HTTP/1.1 200 OK\r\n\r\n")).unwrap();
        assert_eq!(last.map(|head| head.status), Some(200));
    }

    #[test]
    fn a_head_has_a_bound_for_its_bytes_and_one_for_its_headers() {
        let sized = |bytes: usize| {
            let rest = "HTTP/1.1 200 OK\r\nX: \r\n\r\n".len();
            head(&format!(
                "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
                "x".repeat(bytes - rest)
            ))
        };
        assert!(sized(HEAD_LIMIT).unwrap().is_some());
        assert_eq!(sized(HEAD_LIMIT + 1), Err(FaultKind::PacketTooLarge));
        let many = |count| {
            head(&format!(
                "HTTP/1.1 200 OK\r\n{}\r\n",
                "X: y\r\n".repeat(count)
            ))
        };
        assert!(many(HEADERS).unwrap().is_some());
        assert_eq!(many(HEADERS + 1), Err(FaultKind::PacketTooLarge));
    }
}
