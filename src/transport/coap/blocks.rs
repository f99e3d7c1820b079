//! Long bodies in blocks (RFC 7959): Block1 cuts a request, Block2 joins an answer.

use bytes::{Bytes, BytesMut};

use crate::model::FaultKind;

use super::message::Incoming;

/// The value of a Block1 or Block2 option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Which block, 0 to 2^20 - 1, counted in blocks of this size.
    pub(super) number: u32,
    /// Whether more follow.
    pub(super) more: bool,
    /// 0 to 6, for 16 to 1,024 bytes.
    pub(super) exponent: u8,
}

impl Block {
    /// The block of a size that starts at an offset, which must be a multiple of the size.
    pub(super) fn at(offset: usize, exponent: u8, more: bool) -> Self {
        Self {
            number: (offset >> (exponent + 4)) as u32,
            more,
            exponent,
        }
    }

    /// Bytes in a block.
    pub(super) fn size(self) -> usize {
        16 << self.exponent
    }

    /// Where it starts in the body.
    pub(super) fn offset(self) -> usize {
        self.number as usize * self.size()
    }

    /// Reads an option's value of at most three bytes; exponent 7 is reserved.
    pub(super) fn from_option(value: &[u8]) -> Option<Self> {
        if value.len() > 3 {
            return None;
        }
        let word = value
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        let block = Self {
            number: word >> 4,
            more: word & 0b1000 != 0,
            exponent: (word & 0b111) as u8,
        };
        (block.exponent <= LARGEST).then_some(block)
    }

    /// The option's value, without leading zeros.
    pub(super) fn to_option(self) -> Vec<u8> {
        let word = self.number << 4 | u32::from(self.more) << 3 | u32::from(self.exponent);
        let bytes = word.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    }
}

/// An answer that comes in blocks.
#[derive(Debug)]
pub(super) struct Joined {
    code: u8,
    etag: Option<Bytes>,
    body: BytesMut,
    last: Block,
}

impl Joined {
    /// Starts with the first answer, if it says that more follow.
    pub(super) fn start(first: &Incoming) -> Result<Option<Self>, FaultKind> {
        let Some(block) = first.block2.filter(|block| block.more) else {
            return Ok(None);
        };
        let mut joined = Self {
            code: first.code,
            etag: first.etag.clone(),
            body: BytesMut::new(),
            last: block,
        };
        joined.add(first)?;
        Ok(Some(joined))
    }

    /// The block to ask for next; `None` when all are there.
    pub(super) fn wanted(&self) -> Option<Block> {
        self.last
            .more
            .then(|| Block::at(self.body.len(), self.last.exponent, false))
    }

    /// Takes the next block. It must go on exactly where the last one ended, in the same
    /// representation (RFC 7959, section 2.4).
    pub(super) fn add(&mut self, answer: &Incoming) -> Result<(), FaultKind> {
        if answer.code != self.code {
            return Err(FaultKind::UnexpectedPacket);
        }
        let block = answer.block2.ok_or(FaultKind::MalformedPacket)?;
        let full = answer.payload.len() == block.size();
        let fits = block.offset() == self.body.len()
            && answer.etag == self.etag
            && (full || (!block.more && answer.payload.len() < block.size()));
        if !fits {
            return Err(FaultKind::MalformedPacket);
        }
        if self.body.len() + answer.payload.len() > BODY_LIMIT {
            return Err(FaultKind::PacketTooLarge);
        }
        self.body.extend_from_slice(&answer.payload);
        self.last = block;
        Ok(())
    }

    /// The whole body.
    pub(super) fn finish(self) -> Bytes {
        self.body.freeze()
    }
}

/// The exponent of the largest block, 1,024 bytes.
pub(super) const LARGEST: u8 = 6;

/// The longest body that is put together, in bytes.
const BODY_LIMIT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_options_read_as_the_rfc_writes_them() {
        // Number, more, exponent and the value's bytes, after RFC 7959, section 2.2.
        let cases: [(u32, bool, u8, &[u8]); 5] = [
            (0, false, 0, &[]),
            (0, true, 6, &[0x0e]),
            (1, true, 6, &[0x1e]),
            (16, false, 2, &[0x01, 0x02]),
            (0xf_ffff, true, 6, &[0xff, 0xff, 0xfe]),
        ];
        for (number, more, exponent, value) in cases {
            let block = Block {
                number,
                more,
                exponent,
            };
            assert_eq!(block.to_option(), value);
            assert_eq!(Block::from_option(value), Some(block));
        }
        assert_eq!(Block::from_option(&[0x07]), None);
        assert_eq!(Block::from_option(&[0, 0, 0, 0]), None);
    }
}
