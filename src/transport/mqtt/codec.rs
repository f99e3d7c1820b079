//! Packets to bytes and back, in the version that the device speaks.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use secrecy::{ExposeSecret, SecretString};

use crate::model::{FaultKind, Login, MqttVersion, Qos};

use super::packet::Incoming;
use super::{v3, v5};

/// Takes the next whole packet off the front; `None` needs more bytes.
pub(super) fn decode(
    version: MqttVersion,
    received: &mut BytesMut,
) -> Result<Option<Incoming>, FaultKind> {
    match version {
        MqttVersion::V3 => v3::decode(received),
        MqttVersion::V5 => v5::decode(received),
    }
}

/// A CONNECT with clean session. A text over 65,535 bytes does not fit into one.
pub(super) fn connect(
    version: MqttVersion,
    login: &Login,
    keep_alive: Duration,
    out: &mut BytesMut,
) -> Result<(), FaultKind> {
    let text = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map_or_else(String::new, |s| s.expose_secret().to_owned())
    };
    let (username, password) = (text(&login.username), text(&login.password));
    let texts = [&login.client_id, &username, &password];
    if texts.iter().any(|text| text.len() > usize::from(u16::MAX)) {
        return Err(FaultKind::CredentialsUnusable);
    }
    let keep_alive = announced_seconds(keep_alive);
    match version {
        // A password without a user name is not MQTT 3.1.1 (section 3.1.2.9).
        MqttVersion::V3 if username.is_empty() && !password.is_empty() => {
            Err(FaultKind::CredentialsUnusable)
        }
        MqttVersion::V3 => v3::connect(&login.client_id, username, password, keep_alive, out),
        MqttVersion::V5 => v5::connect(&login.client_id, username, password, keep_alive, out),
    }
}

/// A SUBSCRIBE of one topic with `QoS` 1.
pub(super) fn subscribe(version: MqttVersion, topic: &str, pkid: u16, out: &mut BytesMut) {
    match version {
        MqttVersion::V3 => v3::subscribe(topic, pkid, out),
        MqttVersion::V5 => v5::subscribe(topic, pkid, out),
    }
}

/// A PUBLISH; `pkid` is not used with `QoS` 0.
pub(super) fn publish(
    version: MqttVersion,
    topic: &str,
    qos: Qos,
    pkid: u16,
    payload: &Bytes,
    out: &mut BytesMut,
) -> Result<(), FaultKind> {
    match version {
        MqttVersion::V3 => v3::publish(topic, qos, pkid, payload, out),
        MqttVersion::V5 => v5::publish(topic, qos, pkid, payload, out),
    }
}

/// A PUBACK of success, which both versions write alike.
pub(super) fn puback(pkid: u16, out: &mut BytesMut) {
    out.extend_from_slice(&[0x40, 2]);
    out.extend_from_slice(&pkid.to_be_bytes());
}

/// PINGREQ, whole.
pub(super) const PINGREQ: [u8; 2] = [0xc0, 0];

/// DISCONNECT, whole: normal, without properties.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

/// Whole seconds, rounded up so that a server never expects more than it gets.
fn announced_seconds(keep_alive: Duration) -> u16 {
    let up = keep_alive.as_secs() + u64::from(keep_alive.subsec_nanos() > 0);
    u16::try_from(up).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_is_written_as_the_specifications_draw_it() {
        let login = Login {
            client_id: "c1".into(),
            username: Some("provision".into()),
            password: None,
        };
        for (version, expected) in [
            (
                MqttVersion::V3,
                &b"\x10\x19\0\x04MQTT\x04\x82\0\x3c\0\x02c1\0\x09provision"[..],
            ),
            (
                MqttVersion::V5,
                b"\x10\x1a\0\x04MQTT\x05\x82\0\x3c\0\0\x02c1\0\x09provision",
            ),
        ] {
            let mut out = BytesMut::new();
            connect(version, &login, Duration::from_millis(59_001), &mut out).unwrap();
            assert_eq!(out[..], *expected);
        }
    }

    #[test]
    fn a_password_alone_is_for_mqtt_5() {
        let login = Login {
            client_id: "c".into(),
            username: None,
            password: Some("p".into()),
        };
        let mut out = BytesMut::new();
        let refused = connect(MqttVersion::V3, &login, Duration::ZERO, &mut out);
        assert_eq!(refused, Err(FaultKind::CredentialsUnusable));
        assert!(out.is_empty());
        connect(MqttVersion::V5, &login, Duration::ZERO, &mut out).unwrap();
        assert_eq!(
            out[..],
            b"\x10\x11\0\x04MQTT\x05\x42\0\0\0\0\x01c\0\x01p"[..]
        );
    }
}
