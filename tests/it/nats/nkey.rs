//! Keys as NATS writes them, and the tokens that they sign, so that no tool of NATS's is needed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// The kinds of keys, by the letter that their names begin with.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Operator = 14 << 3,
    Account = 0,
    User = 20 << 3,
}

const SEED: u8 = 18 << 3;

pub(super) struct Nkey {
    pair: Ed25519KeyPair,
    secret: [u8; 32],
    kind: u8,
}

impl Nkey {
    pub(super) fn new(kind: Kind, secret: u8) -> Self {
        let secret = [secret; 32];
        Self {
            pair: Ed25519KeyPair::from_seed_unchecked(&secret).unwrap(),
            secret,
            kind: kind as u8,
        }
    }

    /// What the server knows it by.
    pub(super) fn public(&self) -> String {
        let mut raw = vec![self.kind];
        raw.extend_from_slice(self.pair.public_key().as_ref());
        encoded(raw)
    }

    /// What its owner keeps.
    pub(super) fn seed(&self) -> String {
        let mut raw = vec![SEED | (self.kind >> 5), (self.kind & 31) << 3];
        raw.extend_from_slice(&self.secret);
        encoded(raw)
    }

    /// A token that says something of another key.
    pub(super) fn token(&self, of: &Self, name: &str, nats: &Value) -> String {
        let head = json!({"typ": "JWT", "alg": "ed25519-nkey"});
        let claims = json!({
            "jti": name, "iat": 1_700_000_000, "iss": self.public(), "sub": of.public(),
            "name": name, "nats": nats,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let said = format!("{}.{}", part(&head), part(&claims));
        let signature = self.pair.sign(said.as_bytes());
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// With its check sum (CRC-16/XMODEM), in base 32.
fn encoded(mut raw: Vec<u8>) -> String {
    let sum = raw.iter().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            let carry = sum & 0x8000 != 0;
            (sum << 1) ^ if carry { 0x1021 } else { 0 }
        })
    });
    raw.extend(sum.to_le_bytes());
    let bits: Vec<u8> = raw
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let letter = |bits: &[u8]| {
        let value = (0..5).fold(0, |value, bit| {
            value << 1 | bits.get(bit).copied().unwrap_or(0)
        });
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(value)])
    };
    bits.chunks(5).map(letter).collect()
}
