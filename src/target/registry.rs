//! The devices that exist, by name and by credentials id. A device is created at most once
//! however many requests race for its name, and its record stays small: a million must fit.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::attributes::Attributes;
use super::credentials::{Fit, Stored, certificate_id, client_and_user_id};

/// A device. What never changes is plain, the rest is atomic or behind `live`.
pub(super) struct Device {
    pub(super) name: Box<str>,
    pub(super) credentials: Stored,
    pub(super) gateway: bool,
    /// The position of its profile.
    pub(super) profile: u16,
    /// The server attribute `provisionState`: whether it is `provisioned`.
    pub(super) provisioned: AtomicBool,
    pub(super) telemetry_messages: AtomicU64,
    live: Mutex<Live>,
}

/// What a device has while it is there.
#[derive(Default)]
pub(super) struct Live {
    /// Wakes the MQTT session that is to close.
    pub(super) session: Option<Arc<Notify>>,
    /// Client attributes, once it sent some.
    pub(super) attributes: Option<Box<Attributes>>,
}

impl Device {
    pub(super) fn new(
        name: &str,
        credentials: Stored,
        gateway: bool,
        profile: u16,
        provisioned: bool,
    ) -> Self {
        Self {
            name: name.into(),
            credentials,
            gateway,
            profile,
            provisioned: AtomicBool::new(provisioned),
            telemetry_messages: AtomicU64::new(0),
            live: Mutex::default(),
        }
    }

    /// Its changing part; never held across an await.
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("nothing panics while it is held")
    }

    /// Marks it provisioned; true if it was not before. Exactly one of many callers sees true.
    pub(super) fn mark_provisioned(&self) -> bool {
        !self.provisioned.swap(true, Relaxed)
    }
}

/// Why a device cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Name,
    Credentials,
}

/// All devices.
pub(super) struct Registry {
    hasher: RandomState,
    names: Vec<Mutex<HashSet<ByName>>>,
    ids: Vec<Mutex<HashSet<ById>>>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            names: (0..SHARDS).map(|_| Mutex::default()).collect(),
            ids: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Adds a device unless its name or credentials id is taken; all or nothing.
    pub(super) fn create(&self, device: Device) -> Result<Arc<Device>, Taken> {
        // Always names before ids, so two creations cannot wait for one another.
        let mut names = self.shard(&self.names, &device.name);
        if names.contains(&*device.name) {
            return Err(Taken::Name);
        }
        let mut ids = self.shard(&self.ids, device.credentials.id());
        if ids.contains(device.credentials.id()) {
            return Err(Taken::Credentials);
        }
        let device = Arc::new(device);
        ids.insert(ById(Arc::clone(&device)));
        names.insert(ByName(Arc::clone(&device)));
        Ok(device)
    }

    /// The device of a name, byte for byte.
    pub(super) fn by_name(&self, name: &str) -> Option<Arc<Device>> {
        let shard = self.shard(&self.names, name);
        shard.get(name).map(|found| Arc::clone(&found.0))
    }

    /// The device of an access token.
    pub(super) fn by_token(&self, token: &str) -> Option<Arc<Device>> {
        self.by_id(token)
            .filter(|device| device.credentials.token().is_some())
    }

    /// The device whose X.509 credentials a certificate (DER) is.
    pub(super) fn by_certificate(&self, der: &[u8]) -> Option<Arc<Device>> {
        self.by_id(&certificate_id(der))
            .filter(|device| device.credentials.is_certificate())
    }

    fn by_id(&self, id: &str) -> Option<Arc<Device>> {
        let shard = self.shard(&self.ids, id);
        shard.get(id).map(|found| Arc::clone(&found.0))
    }

    /// The device that an MQTT CONNECT without client certificate is from.
    pub(super) fn login(
        &self,
        client: &str,
        user: &str,
        password: Option<&[u8]>,
    ) -> Option<Arc<Device>> {
        let fit = |device: &Arc<Device>| device.credentials.fit(client, user, password);
        let combined = self.by_id(&client_and_user_id(client, user));
        match combined.as_ref().and_then(fit) {
            Some(Fit::Fits) => return combined,
            Some(Fit::WrongPassword) => return None,
            Some(Fit::Other) | None if user.is_empty() => return None,
            Some(Fit::Other) | None => {}
        }
        self.by_id(user)
            .filter(|device| device.credentials.token().is_some() || fit(device) == Some(Fit::Fits))
    }

    fn shard<'a, T>(&self, shards: &'a [Mutex<T>], key: &str) -> MutexGuard<'a, T> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        shards[at].lock().expect("nothing panics while it is held")
    }
}

struct ByName(Arc<Device>);
struct ById(Arc<Device>);

macro_rules! keyed {
    ($index:ident, $device:ident => $key:expr) => {
        impl Borrow<str> for $index {
            fn borrow(&self) -> &str {
                let $device = &self.0;
                $key
            }
        }
        impl Hash for $index {
            fn hash<H: Hasher>(&self, state: &mut H) {
                Borrow::<str>::borrow(self).hash(state);
            }
        }
        impl PartialEq for $index {
            fn eq(&self, other: &Self) -> bool {
                Borrow::<str>::borrow(self) == Borrow::<str>::borrow(other)
            }
        }
        impl Eq for $index {}
    };
}

keyed!(ByName, device => &device.name);
keyed!(ById, device => device.credentials.id());

const SHARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::credentials::{Kind, Wanted};
    use super::*;

    fn device(name: &str, kind: Kind, wanted: &Wanted) -> Device {
        let credentials = Stored::settle(kind, wanted).unwrap();
        Device::new(name, credentials, false, 0, true)
    }

    fn token(name: &str, token: &str) -> Device {
        let wanted = Wanted {
            token: token.into(),
            ..Wanted::default()
        };
        device(name, Kind::AccessToken, &wanted)
    }

    fn basic(name: &str, client_id: &str, username: &str, password: &str) -> Device {
        let wanted = Wanted {
            client_id: client_id.into(),
            username: username.into(),
            password: password.into(),
            ..Wanted::default()
        };
        device(name, Kind::MqttBasic, &wanted)
    }

    #[test]
    fn a_race_for_one_name_has_one_winner() {
        let registry = Registry::new();
        let winners: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..16)
                .map(|n| {
                    let registry = &registry;
                    scope.spawn(move || registry.create(token("same", &format!("t{n}"))).is_ok())
                })
                .collect();
            racers
                .into_iter()
                .map(|racer| usize::from(racer.join().unwrap()))
                .sum()
        });
        assert_eq!(winners, 1);
        let known = (0..16).filter(|n| registry.by_token(&format!("t{n}")).is_some());
        assert_eq!(known.count(), 1);
    }

    #[test]
    fn a_taken_credentials_id_leaves_no_device() {
        let registry = Registry::new();
        registry.create(token("a", "t")).ok().unwrap();
        assert_eq!(
            registry.create(token("b", "t")).err(),
            Some(Taken::Credentials)
        );
        assert!(registry.by_name("b").is_none());
        // Ids are one space over all types: a user name may be somebody's token.
        assert_eq!(
            registry.create(basic("c", "", "t", "p")).err(),
            Some(Taken::Credentials)
        );
    }

    #[test]
    fn logins_are_checked_in_the_order_of_the_platform() {
        let registry = Registry::new();
        for device in [
            token("by-token", "tok"),
            basic("by-client", "c1", "", ""),
            basic("by-both", "c2", "u2", "p2"),
            basic("by-user", "", "u3", "p3"),
        ] {
            registry.create(device).ok().unwrap();
        }
        let who = |client: &str, user: &str, password: Option<&str>| {
            registry
                .login(client, user, password.map(str::as_bytes))
                .map(|device| device.name.to_string())
        };
        for (client, user, password, device) in [
            ("any", "tok", Some("any"), Some("by-token")),
            ("", "tok", None, Some("by-token")),
            ("c1", "", None, Some("by-client")),
            ("c1", "", Some("any"), Some("by-client")),
            ("", "c1", None, None),
            ("c2", "u2", Some("p2"), Some("by-both")),
            ("c2", "u2", Some("no"), None),
            ("c2", "u2", None, None),
            ("cX", "u2", Some("p2"), None),
            ("any", "u3", Some("p3"), Some("by-user")),
            ("any", "u3", Some("no"), None),
            ("tok", "", None, None),
            ("", "", None, None),
        ] {
            let found = who(client, user, password);
            assert_eq!(found.as_deref(), device, "{client} {user} {password:?}");
        }
    }
}
