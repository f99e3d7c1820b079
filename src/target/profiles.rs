//! The device profiles as they are now: those of the configuration, and what was made, changed and
//! deleted over REST since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::ExposeSecret as _;

use super::config::Profile;
use crate::model::Strategy;

/// All profiles, by position; one that was deleted leaves a disabled one without a name.
pub(super) struct Profiles {
    list: Mutex<Arc<Vec<Profile>>>,
}

/// Why a profile is not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaved {
    /// Its name is another's.
    Name,
    /// Its provision key is another's.
    Key,
    /// There are too many.
    Full,
}

impl Profiles {
    pub(super) fn new(profiles: Vec<Profile>) -> Self {
        Self {
            list: Mutex::new(Arc::new(profiles)),
        }
    }

    /// As they are now.
    pub(super) fn now(&self) -> Arc<Vec<Profile>> {
        Arc::clone(&self.lock())
    }

    /// Adds a profile, or puts it in the place of one; its position.
    pub(super) fn save(&self, profile: Profile, at: Option<u16>) -> Result<u16, Unsaved> {
        let mut list = self.lock();
        let key = profile.key.expose_secret();
        let others = (0..).zip(list.iter()).filter(|(n, _)| Some(*n) != at);
        for (_, other) in others {
            if other.name == profile.name {
                return Err(Unsaved::Name);
            }
            if !key.is_empty() && other.key.expose_secret() == key {
                return Err(Unsaved::Key);
            }
        }
        let mut changed = Vec::clone(&list);
        let position = if let Some(at) = at {
            changed[usize::from(at)] = profile;
            at
        } else {
            let at = u16::try_from(changed.len()).map_err(|_| Unsaved::Full)?;
            changed.push(profile);
            at
        };
        *list = Arc::new(changed);
        Ok(position)
    }

    /// The position of the profile of a name, which is made if there is none.
    pub(super) fn named(&self, name: &str) -> Option<u16> {
        let profiles = self.now();
        let found = (0..).zip(profiles.iter()).find(|(_, p)| p.name == name);
        if let Some((position, _)) = found {
            Some(position)
        } else {
            let made = Profile {
                name: name.to_owned(),
                ..removed()
            };
            // Somebody else may have made it in the meantime.
            self.save(made, None).ok().or_else(|| {
                let profiles = self.now();
                (0..)
                    .zip(profiles.iter())
                    .find(|(_, p)| p.name == name)
                    .map(|(n, _)| n)
            })
        }
    }

    /// Deletes a profile that no device has.
    pub(super) fn remove(&self, at: u16) {
        let mut list = self.lock();
        let mut changed = Vec::clone(&list);
        changed[usize::from(at)] = removed();
        *list = Arc::new(changed);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Vec<Profile>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody can provision with it.
fn removed() -> Profile {
    Profile {
        name: String::new(),
        strategy: Strategy::Disabled,
        key: String::new().into(),
        secret: String::new().into(),
        chain: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_unique_and_a_deleted_profile_gives_them_back() {
        let profiles = Profiles::new(vec![Profile::default()]);
        let named = |name: &str, key: &str| Profile {
            name: name.to_owned(),
            key: key.into(),
            ..Profile::default()
        };
        assert_eq!(profiles.save(named("a", "k"), None), Ok(1));
        assert_eq!(profiles.save(named("a", "l"), None), Err(Unsaved::Name));
        assert_eq!(profiles.save(named("b", "k"), None), Err(Unsaved::Key));
        assert_eq!(profiles.save(named("a", "l"), Some(1)), Ok(1));
        profiles.remove(1);
        assert_eq!(profiles.save(named("a", "l"), None), Ok(2));
        assert_eq!(profiles.named("a"), Some(2));
        assert_eq!(profiles.named("made"), Some(3));
    }
}
