//! TLS records in and out of a rustls connection that holds no buffers.

use bytes::BytesMut;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use crate::model::FaultKind;

use super::fault::tls_kind;

/// What is to be encrypted.
#[derive(Clone, Copy)]
pub(super) enum Say<'a> {
    /// Nothing of ours.
    Nothing,
    /// Application bytes, at most a record of them.
    Bytes(&'a [u8]),
    /// That nothing more will come (close_notify).
    GoodBye,
}

/// Where the connection stands after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The peer has to answer before anything can be said.
    Handshaking,
    /// Application bytes can travel.
    Established,
    /// The peer said that nothing more will come.
    PeerClosed,
}

/// Takes whole records from the front of `records`, and puts what they say behind `plain` and what
/// is to be sent behind `outbound`. How many bytes are done with, whatever else is returned: the
/// others must come again, as they were left, with more behind them.
///
/// After an error no more records may be given.
pub(super) fn turn(
    tls: &mut UnbufferedClientConnection,
    records: &mut [u8],
    plain: &mut BytesMut,
    outbound: &mut BytesMut,
    say: Say<'_>,
) -> (usize, Result<Turn, FaultKind>) {
    let mut used = 0;
    loop {
        let UnbufferedStatus { discard, state } = tls.process_tls_records(&mut records[used..]);
        let mut also = 0;
        let turned = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        also += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    Some(Err(e)) => break Some(Err(tls_kind(&e))),
                    None => break None,
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => append(outbound, 0, |room| {
                data.encode(room).map_err(|e| match e {
                    EncodeError::InsufficientSize(e) => Some(e.required_size),
                    EncodeError::AlreadyEncoded => None,
                })
            })
            .err()
            .map(Err),
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It stands in `outbound`, in order.
                data.done();
                None
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let size = |e| match e {
                    EncryptError::InsufficientSize(e) => Some(e.required_size),
                    EncryptError::EncryptExhausted => None,
                };
                let said = match say {
                    Say::Nothing => Ok(()),
                    Say::Bytes(bytes) => append(outbound, bytes.len() + OVERHEAD, |room| {
                        traffic.encrypt(bytes, room).map_err(size)
                    }),
                    Say::GoodBye => append(outbound, OVERHEAD, |room| {
                        traffic.queue_close_notify(room).map_err(size)
                    }),
                };
                Some(said.map(|()| Turn::Established))
            }
            Ok(ConnectionState::BlockedHandshake) => Some(Ok(Turn::Handshaking)),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Ok(Turn::PeerClosed)),
            Ok(_) => Some(Err(FaultKind::TlsProtocol)),
            Err(e) => Some(Err(tls_kind(&e))),
        };
        used += discard + also;
        match turned {
            None => {}
            Some(Err(kind)) => {
                encode_alert(tls, &mut records[used..], outbound);
                return (used, Err(kind));
            }
            Some(turned) => return (used, turned),
        }
    }
}

/// Fetches the alert that rustls made of an error, if it made one: it stands before anything else.
fn encode_alert(tls: &mut UnbufferedClientConnection, records: &mut [u8], outbound: &mut BytesMut) {
    if let Ok(ConnectionState::EncodeTlsData(mut data)) = tls.process_tls_records(records).state {
        let _ = append(outbound, ALERT, |room| data.encode(room).map_err(|_| None));
    }
}

/// Makes room behind a buffer and lets it be filled; tried again with as much room as is asked for.
fn append(
    buffer: &mut BytesMut,
    room: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), FaultKind> {
    let (start, mut room) = (buffer.len(), room);
    loop {
        buffer.resize(start + room, 0);
        match fill(&mut buffer[start..]) {
            Ok(filled) => {
                buffer.truncate(start + filled);
                return Ok(());
            }
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => {
                buffer.truncate(start);
                return Err(FaultKind::TlsProtocol);
            }
        }
    }
}

/// The bytes that a record costs beside its content, in any version and suite, rounded up.
const OVERHEAD: usize = 64;

/// Room for an encrypted alert, rounded up.
const ALERT: usize = 128;
