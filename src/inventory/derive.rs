//! Tokens that follow from a device's name and a secret, so that whoever holds the secret can work
//! out a device's token again: a lost answer loses no credential.
//!
//! The token is 20 characters of `[A-Za-z0-9]`. Bytes are drawn from HMAC-SHA256(secret, block ||
//! name), where `block` is one byte that counts from 0; a byte of 248 or more is passed over (62
//! would not divide it evenly), of any other the remainder by 62 picks the character. That is 119
//! bits of the secret's strength.

use std::fmt;

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// A secret, ready to derive tokens from.
pub struct Derivation(hmac::Key);

impl Derivation {
    /// Takes the secret's UTF-8 bytes as the key.
    pub fn new(secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The token of a device.
    pub fn token(&self, name: &str) -> SecretString {
        let mut token = String::with_capacity(LENGTH);
        for block in 0u8..=u8::MAX {
            let mut context = hmac::Context::with_key(&self.0);
            context.update(&[block]);
            context.update(name.as_bytes());
            for byte in context.sign().as_ref() {
                if token.len() == LENGTH {
                    return token.into();
                }
                if *byte < EVEN {
                    token.push(char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
                }
            }
        }
        unreachable!("256 blocks of 32 bytes hold 20 that are below 248")
    }
}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is the secret.
        f.debug_struct("Derivation").finish_non_exhaustive()
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// As long as ThingsBoard's own tokens.
const LENGTH: usize = 20;

/// The greatest multiple of 62 that a byte can be below.
const EVEN: u8 = 248;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn token(secret: &str, name: &str) -> String {
        let derivation = Derivation::new(&secret.into());
        derivation.token(name).expose_secret().to_owned()
    }

    /// Worked out by Python's `hmac`, by the words of this module's head.
    #[test]
    fn another_program_derives_the_same_token() {
        for (secret, name, expected) in [
            ("key", "AA:BB:CC:00:11:22", "X4u2PCTz3onVsSnK8kLu"),
            (
                "a secret of this scenario",
                "device-0001",
                "C0ofmgMnz3UtBUEN0EYV",
            ),
            ("", "ünïcode", "LG38b6AeXCFHqs8U3gVm"),
        ] {
            assert_eq!(token(secret, name), expected, "{secret} {name}");
        }
    }

    #[test]
    fn each_name_and_each_secret_has_its_own_token() {
        let names: HashSet<String> = (0..10_000).map(|n| token("s", &format!("d{n}"))).collect();
        assert_eq!(names.len(), 10_000);
        assert_ne!(token("s", "d"), token("t", "d"));
        let derivation = Derivation::new(&"SECRET".into());
        assert!(!format!("{derivation:?}").contains("SECRET"));
    }
}
