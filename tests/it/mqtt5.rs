//! MQTT 5 on both sides: our device and the embedded target against golden bytes, bare sockets,
//! and peers that we did not write.

#![expect(
    clippy::unwrap_used,
    reason = "these helpers are tests too, though outside of test functions"
)]

mod device;
mod device_hostile;
mod mosquitto;
mod peers;
mod target;
mod target_ends;
mod together;

/// A packet of fixed header and body.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let byte = (left % 128) as u8;
        left /= 128;
        out.push(if left > 0 { byte | 128 } else { byte });
        if left == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// A text with its length before it.
fn field(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A PUBLISH without properties; packet id 0 is QoS 0.
fn publish(topic: &str, qos: u8, id: u16, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id = if qos > 0 { &id[..] } else { &[] };
    let parts = [&field(topic), id, &[0], payload.as_ref()];
    packet(0x30 | qos << 1, &parts)
}
