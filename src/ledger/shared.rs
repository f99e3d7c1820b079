//! Credentials that more than one device was given: a fault of the server that no single device
//! can see.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use secrecy::ExposeSecret;

use crate::model::{Credentials, DeviceIx};

/// Which devices share credentials. Holds no secret: only positions in the list, at most one pair
/// for each time that a device was given credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared(Vec<(DeviceIx, DeviceIx)>);

impl Shared {
    /// Who had the credentials, and who was given them again.
    pub fn pairs(&self) -> impl Iterator<Item = (DeviceIx, DeviceIx)> {
        self.0.iter().copied()
    }
}

/// All credentials seen, 40 bytes each: two keyed 64-bit hashes take chance out of it.
#[derive(Default)]
pub(super) struct Seen {
    hashers: [RandomState; 2],
    owners: HashMap<[u64; 2], DeviceIx>,
    shared: Shared,
}

impl Seen {
    pub(super) fn look(&mut self, device: DeviceIx, credentials: &Credentials) {
        let identity = match credentials {
            Credentials::AccessToken(token) => (0, token.expose_secret(), ""),
            Credentials::MqttBasic(basic) => (1, basic.client_id.as_str(), basic.username.as_str()),
            Credentials::X509 { certificate } => (2, certificate.as_str(), ""),
        };
        let hash = [0, 1].map(|n: usize| self.hashers[n].hash_one(identity));
        let owner = *self.owners.entry(hash).or_insert(device);
        if owner != device {
            self.shared.0.push((owner, device));
        }
    }

    pub(super) fn shared(self) -> Shared {
        self.shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_of_another_device_are_shared() {
        let mut seen = Seen::default();
        let token = |text: &str| Credentials::AccessToken(text.into());
        let basic =
            |client_id: &str, username: &str| Credentials::mqtt_basic(client_id, username, "p");
        seen.look(DeviceIx(0), &token("a"));
        seen.look(DeviceIx(0), &token("a"));
        seen.look(DeviceIx(1), &token("b"));
        seen.look(DeviceIx(2), &basic("", "a"));
        seen.look(DeviceIx(3), &basic("a", ""));
        seen.look(DeviceIx(4), &token("a"));
        seen.look(DeviceIx(5), &token("a"));
        let shared: Vec<_> = seen.shared().pairs().collect();
        let pairs = [(0, 4), (0, 5)].map(|(a, b)| (DeviceIx(a), DeviceIx(b)));
        assert_eq!(shared, pairs);
    }
}
