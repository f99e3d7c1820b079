//! The devices that exist, by name and by credentials id. A device is created at most once
//! however many requests race for its name.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashTable;

use super::credentials::{Fit, Stored, certificate_id, client_and_user_id};
use super::device::Device;
use super::downlink::Ending;
use super::store::Store;

/// Why a device cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Name,
    Credentials,
}

/// Why a device keeps its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreplaced {
    /// They are no certificate.
    OtherKind,
    /// The new ones are another device's.
    Taken,
}

/// All devices.
pub(super) struct Registry {
    hasher: RandomState,
    names: Vec<Mutex<HashSet<ByName>>>,
    /// Under their current ids, which change only while the tables concerned are held.
    ids: Vec<Mutex<HashTable<Arc<Device>>>>,
    /// By serial; those that were deleted leave a gap.
    all: Mutex<Vec<Option<Arc<Device>>>>,
    alive: AtomicU64,
    /// Where it outlives the target.
    store: Option<Store>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            names: (0..SHARDS).map(|_| Mutex::default()).collect(),
            ids: (0..SHARDS).map(|_| Mutex::default()).collect(),
            all: Mutex::default(),
            alive: AtomicU64::new(0),
            store: None,
        }
    }

    /// Every change from here on is kept.
    pub(super) fn keep_in(&mut self, store: Store) {
        self.store = Some(store);
    }

    /// Marks a device as provisioned; whether it was not before.
    pub(super) fn mark_provisioned(&self, device: &Device) -> bool {
        let marked = device.mark_provisioned();
        if marked {
            self.kept(device);
        }
        marked
    }

    fn kept(&self, device: &Device) {
        if let Some(store) = &self.store {
            store.keep(device);
        }
    }

    /// Adds a device unless its name or credentials id is taken; all or nothing.
    pub(super) fn create(&self, mut device: Device) -> Result<Arc<Device>, Taken> {
        // Always names before ids before devices, so nobody waits for one another.
        let mut names = shard(&self.names, self.hash(&device.name));
        if names.contains(&*device.name) {
            return Err(Taken::Name);
        }
        let hash = self.id_hash(&device);
        let mut ids = shard(&self.ids, hash);
        if find(&ids, hash, device.live().credentials.id()).is_some() {
            return Err(Taken::Credentials);
        }
        let mut all = lock(&self.all);
        device.serial = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let device = Arc::new(device);
        all.push(Some(Arc::clone(&device)));
        drop(all);
        self.alive.fetch_add(1, Relaxed);
        ids.insert_unique(hash, Arc::clone(&device), |other| self.id_hash(other));
        names.insert(ByName(Arc::clone(&device)));
        self.kept(&device);
        Ok(device)
    }

    /// Gives a device that has X.509 credentials others; at no moment has it both or none.
    pub(super) fn replace_certificate(
        &self,
        device: &Arc<Device>,
        credentials: Stored,
    ) -> Result<(), Unreplaced> {
        // Two replacements of one device's credentials come one after the other.
        let _name = shard(&self.names, self.hash(&device.name));
        if !device.live().credentials.is_certificate() {
            return Err(Unreplaced::OtherKind);
        }
        self.replace(device, credentials)
    }

    /// Gives a device other credentials, of whatever kind.
    pub(super) fn replace_credentials(
        &self,
        device: &Arc<Device>,
        credentials: Stored,
    ) -> Result<(), Unreplaced> {
        let _name = shard(&self.names, self.hash(&device.name));
        self.replace(device, credentials)
    }

    /// The name's table is held.
    fn replace(&self, device: &Arc<Device>, credentials: Stored) -> Result<(), Unreplaced> {
        let (old, new) = (self.id_hash(device), self.hash(credentials.id()));
        let (from, to) = (shard_of(old), shard_of(new));
        // The lower first, so two replacements cannot wait for one another.
        let mut low = lock(&self.ids[from.min(to)]);
        let mut high = (from != to).then(|| lock(&self.ids[from.max(to)]));
        let (source, target) = match &mut high {
            None => (&mut *low, None),
            Some(high) if from < to => (&mut *low, Some(&mut **high)),
            Some(high) => (&mut **high, Some(&mut *low)),
        };
        let there = target.as_deref().unwrap_or(source);
        if let Some(holder) = find(there, new, credentials.id()) {
            if !Arc::ptr_eq(holder, device) {
                return Err(Unreplaced::Taken);
            }
            device.live().credentials = credentials;
            self.kept(device);
            return Ok(());
        }
        if let Ok(entry) = source.find_entry(old, |other| Arc::ptr_eq(other, device)) {
            entry.remove();
        }
        device.live().credentials = credentials;
        let target = target.unwrap_or(source);
        target.insert_unique(new, Arc::clone(device), |other| self.id_hash(other));
        self.kept(device);
        Ok(())
    }

    /// Removes a device; whether it was still there.
    pub(super) fn remove(&self, device: &Arc<Device>) -> bool {
        let mut names = shard(&self.names, self.hash(&device.name));
        let same = |found: &ByName| Arc::ptr_eq(&found.0, device);
        if !names.get(&*device.name).is_some_and(same) {
            return false;
        }
        names.remove(&*device.name);
        let hash = self.id_hash(device);
        let mut ids = shard(&self.ids, hash);
        if let Ok(entry) = ids.find_entry(hash, |other| Arc::ptr_eq(other, device)) {
            entry.remove();
        }
        lock(&self.all)[device.serial as usize] = None;
        self.alive.fetch_sub(1, Relaxed);
        if let Some(store) = &self.store {
            store.forget(device);
        }
        device.dismiss(Ending::Administered);
        true
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.alive.load(Relaxed)
    }

    /// The device of a serial.
    pub(super) fn by_serial(&self, serial: u32) -> Option<Arc<Device>> {
        lock(&self.all).get(serial as usize)?.clone()
    }

    /// All devices, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Device>> {
        lock(&self.all).iter().flatten().cloned().collect()
    }

    /// The device of a name, byte for byte.
    pub(super) fn by_name(&self, name: &str) -> Option<Arc<Device>> {
        let shard = shard(&self.names, self.hash(name));
        shard.get(name).map(|found| Arc::clone(&found.0))
    }

    /// The device of an access token.
    pub(super) fn by_token(&self, token: &str) -> Option<Arc<Device>> {
        self.by_id(token)
            .filter(|device| device.live().credentials.token().is_some())
    }

    /// The device whose X.509 credentials a certificate (DER) is.
    pub(super) fn by_certificate(&self, der: &[u8]) -> Option<Arc<Device>> {
        self.by_certificate_id(&certificate_id(der))
    }

    /// The device whose X.509 credentials have an id.
    pub(super) fn by_certificate_id(&self, id: &str) -> Option<Arc<Device>> {
        self.by_id(id)
            .filter(|device| device.live().credentials.is_certificate())
    }

    fn by_id(&self, id: &str) -> Option<Arc<Device>> {
        let hash = self.hash(id);
        find(&shard(&self.ids, hash), hash, id).map(Arc::clone)
    }

    /// The device that an MQTT CONNECT without client certificate is from.
    pub(super) fn login(
        &self,
        client: &str,
        user: &str,
        password: Option<&[u8]>,
    ) -> Option<Arc<Device>> {
        let fit = |device: &Arc<Device>| device.live().credentials.fit(client, user, password);
        let combined = self.by_id(&client_and_user_id(client, user));
        match combined.as_ref().and_then(fit) {
            Some(Fit::Fits) => return combined,
            Some(Fit::WrongPassword) => return None,
            Some(Fit::Other) | None if user.is_empty() => return None,
            Some(Fit::Other) | None => {}
        }
        let found = self.by_id(user)?;
        let token = found.live().credentials.token().is_some();
        (token || fit(&found) == Some(Fit::Fits)).then_some(found)
    }

    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    fn id_hash(&self, device: &Device) -> u64 {
        self.hash(device.live().credentials.id())
    }
}

struct ByName(Arc<Device>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        &self.0.name
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

fn find<'a>(ids: &'a HashTable<Arc<Device>>, hash: u64, id: &str) -> Option<&'a Arc<Device>> {
    ids.find(hash, |device| device.live().credentials.id() == id)
}

fn shard<T>(shards: &[Mutex<T>], hash: u64) -> MutexGuard<'_, T> {
    lock(&shards[shard_of(hash)])
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().expect("nothing panics while it is held")
}

/// By bits of the hash that a table does not go by, or it would find all its entries close.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

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
    fn a_replaced_certificate_finds_its_device_and_the_old_one_nobody() {
        let registry = Registry::new();
        let leaf = |device: usize, turn: usize| format!("{device} {turn}").into_bytes();
        let devices: Vec<_> = (0..100)
            .map(|n| {
                let credentials = Stored::certificate(&leaf(n, 0));
                let device = Device::new(&n.to_string(), credentials, false, 0, true);
                registry.create(device).ok().unwrap()
            })
            .collect();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (registry, devices) = (&registry, &devices);
                scope.spawn(move || {
                    for n in (worker..100).step_by(4) {
                        for turn in 1..20 {
                            let credentials = Stored::certificate(&leaf(n, turn));
                            let replaced = registry.replace_certificate(&devices[n], credentials);
                            assert_eq!(replaced, Ok(()));
                        }
                    }
                });
            }
        });
        for n in 0..100 {
            assert!(registry.by_certificate(&leaf(n, 0)).is_none());
            assert!(registry.by_certificate(&leaf(n, 18)).is_none());
            let holder = registry.by_certificate(&leaf(n, 19)).unwrap();
            assert_eq!(*holder.name, *n.to_string());
        }
        let taken = Stored::certificate(&leaf(1, 19));
        assert_eq!(
            registry.replace_certificate(&devices[0], taken.clone()),
            Err(Unreplaced::Taken)
        );
        assert_eq!(registry.replace_certificate(&devices[1], taken), Ok(()));
        assert!(registry.by_certificate(&leaf(0, 19)).is_some());
        let other = registry.create(token("t", "t")).ok().unwrap();
        assert_eq!(
            registry.replace_certificate(&other, Stored::certificate(b"new")),
            Err(Unreplaced::OtherKind)
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
