//! A body that comes in chunks (RFC 9112 section 7.1), put together.
//!
//! Sizes are read by httparse, which is more lenient than its use here: a line feed without its
//! carriage return is refused, for others on the way may see the end of a line in it.

use bytes::{Buf, Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Status, parse_chunk_size, parse_headers};

use crate::model::FaultKind;

use super::head::HEADERS;

/// A body of which the last chunk has not come.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    body: BytesMut,
    part: Part,
    /// Bytes of chunk extensions so far.
    extensions: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Size,
    /// So many bytes of a chunk.
    Data(usize),
    /// What ends a chunk.
    DataEnd,
    Trailers,
}

impl Chunks {
    /// Takes off the front what belongs to the body; all of it once its end is there. No longer than
    /// `limit` bytes.
    pub(super) fn advance(
        &mut self,
        received: &mut BytesMut,
        limit: usize,
    ) -> Result<Option<Bytes>, FaultKind> {
        loop {
            let Some(next) = (match self.part {
                Part::Size => self.size(received, limit)?,
                Part::Data(left) => self.data(received, left),
                Part::DataEnd => data_end(received)?,
                Part::Trailers => {
                    let ended = trailers(received)?;
                    return Ok(ended.then(|| std::mem::take(&mut self.body).freeze()));
                }
            }) else {
                return Ok(None);
            };
            self.part = next;
        }
    }

    fn size(&mut self, received: &mut BytesMut, limit: usize) -> Result<Option<Part>, FaultKind> {
        let longest = DIGITS + EXTENSIONS - self.extensions + END.len();
        let line = &received[..received.len().min(longest)];
        if line.first().is_some_and(|b| !b.is_ascii_hexdigit()) {
            return Err(FaultKind::MalformedPacket);
        }
        let parsed = parse_chunk_size(line).map_err(|_| FaultKind::MalformedPacket)?;
        let Status::Complete((length, size)) = parsed else {
            return partial(line, longest);
        };
        if has_bare_newline(&line[..length]) {
            return Err(FaultKind::MalformedPacket);
        }
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        self.extensions += length - END.len() - digits;
        if self.extensions > EXTENSIONS {
            return Err(FaultKind::MalformedPacket);
        }
        let room = limit - self.body.len();
        let size = usize::try_from(size).ok().filter(|size| *size <= room);
        let size = size.ok_or(FaultKind::PacketTooLarge)?;
        received.advance(length);
        Ok(Some(match size {
            0 => Part::Trailers,
            size => Part::Data(size),
        }))
    }

    fn data(&mut self, received: &mut BytesMut, left: usize) -> Option<Part> {
        let came = received.len().min(left);
        self.body.extend_from_slice(&received[..came]);
        received.advance(came);
        match left - came {
            0 => Some(Part::DataEnd),
            left => {
                self.part = Part::Data(left);
                None
            }
        }
    }
}

fn data_end(received: &mut BytesMut) -> Result<Option<Part>, FaultKind> {
    let came = received.len().min(END.len());
    if received[..came] != END[..came] {
        return Err(FaultKind::MalformedPacket);
    }
    if came < END.len() {
        return Ok(None);
    }
    received.advance(came);
    Ok(Some(Part::Size))
}

/// Takes the trailers and the empty line behind them; whether they are all there.
fn trailers(received: &mut BytesMut) -> Result<bool, FaultKind> {
    let section = &received[..received.len().min(TRAILERS)];
    let mut fields = [EMPTY_HEADER; HEADERS];
    match parse_headers(section, &mut fields) {
        Ok(Status::Complete((length, _))) if !has_bare_newline(&section[..length]) => {
            received.advance(length);
            Ok(true)
        }
        Ok(Status::Partial) => partial::<bool>(section, TRAILERS).map(|_| false),
        Ok(_) | Err(_) => Err(FaultKind::MalformedPacket),
    }
}

/// What is not whole may become so, unless something is wrong with it already.
fn partial<T>(text: &[u8], longest: usize) -> Result<Option<T>, FaultKind> {
    if text.len() >= longest || has_bare_newline(text) {
        return Err(FaultKind::MalformedPacket);
    }
    Ok(None)
}

/// Whether a line feed follows anything but a carriage return.
fn has_bare_newline(text: &[u8]) -> bool {
    text.first() == Some(&b'\n') || text.windows(2).any(|w| w[1] == b'\n' && w[0] != b'\r')
}

const END: &[u8] = b"\r\n";

/// The most digits of a chunk's size.
const DIGITS: usize = 16;

/// The most bytes of all chunk extensions of a body.
const EXTENSIONS: usize = 16 * 1024;

/// The longest trailers, in bytes, with the empty line behind them.
const TRAILERS: usize = 16 * 1024;
