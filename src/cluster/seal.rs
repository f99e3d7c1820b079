//! What keeps the bodies of records from whoever reads the servers' files: devices' credentials are
//! in them.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};

use super::RunId;

/// A key that all processes of a run derive by themselves, from secrets that they have anyway and
/// that never travel (HKDF-SHA-256, RFC 5869; ChaCha20-Poly1305, RFC 8439).
pub struct Seal {
    key: LessSafeKey,
    check: String,
    random: SystemRandom,
}

impl Seal {
    /// The place of the list.
    pub const LIST: u32 = u32::MAX;

    /// That of a run; `secrets` in an order that all agree on.
    pub fn new<'a>(run: &RunId, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut material = Vec::new();
        for secret in secrets {
            // With its length, so that no two lists come to the same.
            material.extend((secret.len() as u64).to_be_bytes());
            material.extend(secret.as_bytes());
        }
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, run.as_str().as_bytes());
        let root = salt.extract(&material);
        let derived = |what: &'static [u8]| {
            let mut bytes = [0; 32];
            let info = [what];
            let okm = root.expand(&info, hkdf::HKDF_SHA256);
            let okm = okm.expect("32 bytes are no more than there may be");
            okm.fill(&mut bytes).expect("a hash is 32 bytes");
            bytes
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derived(b"fleetcall records"));
        let check = derived(b"fleetcall check");
        Self {
            key: LessSafeKey::new(key.expect("a key is 32 bytes")),
            check: STANDARD_NO_PAD.encode(&check[..8]),
            random: SystemRandom::new(),
        }
    }

    /// Whether two have the same secrets, and nothing else about them.
    pub fn check(&self) -> &str {
        &self.check
    }

    /// Shortens and seals bytes; they open as `place`'s only, a shard's number or [`Seal::LIST`].
    ///
    /// # Panics
    /// When the system has no random bytes.
    pub fn close(&self, place: u32, body: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .expect("the system has random bytes");
        let short = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut text = deflated(short, body);
        let sealing = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .key
            .seal_in_place_append_tag(sealing, aad(place), &mut text);
        sealed.expect("nothing is longer than 256 GB");
        [&nonce[..], &text].concat()
    }

    /// The body again; `None` when it was sealed with another key, for another place, or changed.
    pub fn open(&self, place: u32, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let short = self.key.open_in_place(nonce, aad(place), &mut text).ok()?;
        let mut body = Vec::new();
        let read = ZlibDecoder::new(&*short)
            .take(LONGEST)
            .read_to_end(&mut body);
        read.ok().map(|_| body)
    }
}

fn deflated(mut encoder: ZlibEncoder<Vec<u8>>, body: &[u8]) -> Vec<u8> {
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("memory takes what is written")
}

fn aad(place: u32) -> Aad<[u8; 4]> {
    Aad::from(place.to_be_bytes())
}

/// No list is longer than that, and no record.
const LONGEST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(run: &str, secrets: &[&str]) -> Seal {
        Seal::new(&run.parse().unwrap(), secrets.iter().copied())
    }

    #[test]
    fn a_body_opens_with_the_same_secrets_for_its_run_and_shard_alone() {
        let body = br#"{"token":"A1_TEST_TOKEN"}"#;
        let ours = seal("run-1", &["key", "secret"]);
        let sealed = ours.close(3, body);
        let again = seal("run-1", &["key", "secret"]);
        assert_eq!(again.open(3, &sealed).unwrap(), body);
        assert_eq!(ours.check(), again.check());
        assert!(ours.open(4, &sealed).is_none());
        for other in [
            seal("run-2", &["key", "secret"]),
            seal("run-1", &["keys", "ecret"]),
            seal("run-1", &["key"]),
        ] {
            assert!(other.open(3, &sealed).is_none());
            assert_ne!(ours.check(), other.check());
        }
    }

    #[test]
    fn nothing_of_a_body_shows_and_nothing_of_it_can_be_changed() {
        let ours = seal("run-1", &["secret"]);
        let body = "A1_TEST_TOKEN".repeat(50);
        let sealed = ours.close(0, body.as_bytes());
        assert!(!sealed.windows(5).any(|part| part == b"TOKEN"));
        assert_ne!(sealed, ours.close(0, body.as_bytes()), "each has its nonce");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ours.open(0, &changed).is_none());
            assert!(ours.open(0, &sealed[..at]).is_none());
        }
    }
}
