//! The properties of a server's MQTT 5 packets (section 2.2.2.2), read to the letter: a block that
//! is cut, overruns its packet, repeats a property or has one that does not belong there is
//! malformed. Nothing is kept but the numbers that somebody asks for.

use bytes::{Buf, Bytes};

use crate::model::FaultKind;

/// The properties of one packet that are numbers.
pub(super) struct Properties(Vec<(u8, u32)>);

impl Properties {
    /// Takes a property block off the front of `body`, which may hold the `allowed` ones.
    pub(super) fn read(body: &mut Bytes, allowed: &[u8]) -> Result<Self, FaultKind> {
        let length = variable(body)?;
        if length > body.len() {
            return Err(MALFORMED);
        }
        let mut block = body.split_to(length);
        let (mut numbers, mut seen) = (Vec::new(), 0_u64);
        while block.has_remaining() {
            let id = block.try_get_u8().map_err(|_| MALFORMED)?;
            if !allowed.contains(&id) {
                return Err(MALFORMED);
            }
            let repeated = seen & 1 << id != 0;
            if repeated && !matches!(id, USER_PROPERTY | SUBSCRIPTION_IDENTIFIER) {
                return Err(MALFORMED);
            }
            seen |= 1 << id;
            match value(id, &mut block)? {
                Some(number) if !repeated => numbers.push((id, number)),
                _ => {}
            }
        }
        Ok(Self(numbers))
    }

    /// The value of a property that is a number.
    pub(super) fn number(&self, id: u8) -> Option<u32> {
        let found = self.0.iter().find(|(found, _)| *found == id);
        found.map(|(_, number)| *number)
    }
}

/// A Variable Byte Integer (section 1.5.5), which has no needless bytes.
pub(super) fn variable(bytes: &mut Bytes) -> Result<usize, FaultKind> {
    let mut value = 0;
    for place in 0..4 {
        let byte = bytes.try_get_u8().map_err(|_| MALFORMED)?;
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let needless = place > 0 && byte == 0;
            return if needless { Err(MALFORMED) } else { Ok(value) };
        }
    }
    Err(MALFORMED)
}

/// A text with its length before it; U+0000 has no place in one (section 1.5.4).
pub(super) fn text(bytes: &mut Bytes) -> Result<String, FaultKind> {
    let text = String::from_utf8(binary(bytes)?.into()).map_err(|_| MALFORMED)?;
    if text.contains('\0') {
        return Err(MALFORMED);
    }
    Ok(text)
}

fn binary(bytes: &mut Bytes) -> Result<Bytes, FaultKind> {
    let length = usize::from(bytes.try_get_u16().map_err(|_| MALFORMED)?);
    if length > bytes.len() {
        return Err(MALFORMED);
    }
    Ok(bytes.split_to(length))
}

/// Takes one property's value off; `None` for what is no number.
fn value(id: u8, block: &mut Bytes) -> Result<Option<u32>, FaultKind> {
    let number = match id {
        1 | MAXIMUM_QOS | 37 | 40..=42 => {
            let byte = block.try_get_u8().map_err(|_| MALFORMED)?;
            if byte > 1 {
                return Err(MALFORMED);
            }
            byte.into()
        }
        SERVER_KEEP_ALIVE | RECEIVE_MAXIMUM | 34 | TOPIC_ALIAS => {
            block.try_get_u16().map_err(|_| MALFORMED)?.into()
        }
        2 | 17 | MAXIMUM_PACKET_SIZE => block.try_get_u32().map_err(|_| MALFORMED)?,
        SUBSCRIPTION_IDENTIFIER => u32::try_from(variable(block)?).map_err(|_| MALFORMED)?,
        3 | 8 | 18 | 21 | 26 | 28 | 31 => return text(block).map(|_| None),
        9 | 22 => return binary(block).map(|_| None),
        USER_PROPERTY => return text(block).and_then(|_| text(block)).map(|_| None),
        _ => return Err(MALFORMED),
    };
    let never_zero = [
        SUBSCRIPTION_IDENTIFIER,
        RECEIVE_MAXIMUM,
        TOPIC_ALIAS,
        MAXIMUM_PACKET_SIZE,
    ];
    if number == 0 && never_zero.contains(&id) {
        return Err(MALFORMED);
    }
    Ok(Some(number))
}

const MALFORMED: FaultKind = FaultKind::MalformedPacket;

const SUBSCRIPTION_IDENTIFIER: u8 = 11;
pub(super) const SERVER_KEEP_ALIVE: u8 = 19;
pub(super) const RECEIVE_MAXIMUM: u8 = 33;
pub(super) const TOPIC_ALIAS: u8 = 35;
pub(super) const MAXIMUM_QOS: u8 = 36;
const USER_PROPERTY: u8 = 38;
pub(super) const MAXIMUM_PACKET_SIZE: u8 = 39;

/// What CONNACK may have.
pub(super) const OF_CONNACK: [u8; 17] = [
    17, 18, 19, 21, 22, 26, 28, 31, 33, 34, 36, 37, 38, 39, 40, 41, 42,
];
/// What PUBLISH may have.
pub(super) const OF_PUBLISH: [u8; 8] = [1, 2, 3, 8, 9, 11, 35, 38];
/// What PUBACK and SUBACK may have.
pub(super) const OF_ACKS: [u8; 2] = [31, 38];
/// What DISCONNECT of a server may have.
pub(super) const OF_DISCONNECT: [u8; 3] = [28, 31, 38];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &'static [u8], allowed: &[u8]) -> Result<Properties, FaultKind> {
        let mut body = Bytes::from_static(block);
        let read = Properties::read(&mut body, allowed)?;
        assert_eq!(body, "rest");
        Ok(read)
    }

    #[test]
    fn numbers_are_found_among_all_other_kinds() {
        let block =
            b"\x1c\x24\0\x13\0\x05\x1f\0\x02ok\x26\0\x01k\0\x01v\x26\0\x01k\0\0\x27\0\0\x01\0rest";
        let found = read(block, &OF_CONNACK).unwrap();
        assert_eq!(found.number(MAXIMUM_QOS), Some(0));
        assert_eq!(found.number(SERVER_KEEP_ALIVE), Some(5));
        assert_eq!(found.number(MAXIMUM_PACKET_SIZE), Some(256));
        assert_eq!(found.number(RECEIVE_MAXIMUM), None);
    }

    #[test]
    fn a_block_that_breaks_a_rule_is_malformed() {
        let cases: [&[u8]; 12] = [
            b"",
            // Longer than the packet, endless, or with needless bytes.
            b"\x05\x24\0",
            b"\xff\xff\xff\xff\x7f",
            b"\x80\0",
            // Unknown, of another packet, twice.
            b"\x02\x07\0",
            b"\x03\x23\0\x01",
            b"\x04\x24\0\x24\0",
            // A value cut by the end of the block, though the packet goes on.
            b"\x02\x27\0\0\0\x01",
            b"\x04\x1f\0\x09abcdefghi",
            // Values out of range, text with U+0000.
            b"\x02\x24\x02",
            b"\x03\x21\0\0",
            b"\x04\x1f\0\x01\0",
        ];
        for case in cases {
            assert_eq!(
                read(case, &OF_CONNACK).err(),
                Some(FaultKind::MalformedPacket),
                "{}",
                case.escape_ascii()
            );
        }
    }
}
