//! How a DTLS handshake begins, as anybody can see it: enough to tell a client from a stranger.

use std::ops::Range;

/// What a client makes anew for each handshake.
pub(super) type Random = [u8; 32];

/// The random of the ClientHello that a datagram begins with, if it does (RFC 6347, section 4.2.2).
pub(super) fn hello(datagram: &[u8]) -> Option<Random> {
    let first = kind(datagram)? == CLIENT_HELLO && *datagram.get(FRAGMENT_OFFSET)? == [0; 3];
    let random = datagram.get(RANDOM)?;
    first.then(|| random.try_into().expect("is 32 bytes long"))
}

/// Whether a datagram tells a client to come back with a cookie (RFC 6347, section 4.2.1).
pub(super) fn is_verify(datagram: &[u8]) -> bool {
    kind(datagram) == Some(HELLO_VERIFY_REQUEST)
}

/// The type of the handshake message in the open that a datagram begins with.
fn kind(datagram: &[u8]) -> Option<u8> {
    let header = datagram.get(..RECORD_HEADER)?;
    let open = header[0] == HANDSHAKE_RECORD && header[3..5] == [0, 0];
    open.then(|| datagram.get(RECORD_HEADER).copied()).flatten()
}

// RFC 6347, sections 4.1 and 4.2.2.
const RECORD_HEADER: usize = 13;
const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
const FRAGMENT_OFFSET: Range<usize> = RECORD_HEADER + 6..RECORD_HEADER + 9;
const RANDOM: Range<usize> = RECORD_HEADER + 14..RECORD_HEADER + 46;
