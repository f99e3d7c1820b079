//! Identities for many devices, made by several threads.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use super::{Authority, Identity, KeyKind, PkiError, Validity, self_signed};

/// How identities are made.
#[derive(Debug)]
pub enum Recipe {
    /// Each signs for itself.
    SelfSigned {
        /// The keys' kind.
        kind: KeyKind,
        /// How long the certificates hold.
        validity: Validity,
    },
    /// An authority signs.
    Chain {
        /// Which.
        authority: Arc<Authority>,
        /// The keys' kind.
        kind: KeyKind,
        /// How long the certificates hold.
        validity: Validity,
    },
}

impl Recipe {
    /// Makes an identity with this common name.
    pub fn make(&self, common_name: &str) -> Result<Identity, PkiError> {
        match self {
            Self::SelfSigned { kind, validity } => self_signed(common_name, *kind, *validity),
            Self::Chain {
                authority,
                kind,
                validity,
            } => authority.issue(common_name, *kind, *validity),
        }
    }
}

/// Makes an identity for each common name, in their order, on so many threads (at least 1).
///
/// `each` hears how many are done. The first failure ends it: its position, and why.
pub fn make_all<N: AsRef<str> + Sync>(
    recipe: &Recipe,
    names: &[N],
    threads: usize,
    each: impl Fn(usize) + Sync,
) -> Result<Vec<Identity>, (usize, PkiError)> {
    let done = AtomicUsize::new(0);
    make_each(recipe, names, threads, |_, identity| {
        each(done.fetch_add(1, Relaxed) + 1);
        Ok(identity)
    })
}

/// As [`make_all`], but `keep` is given each identity with its position, on the thread that made
/// it, and returns what is to be kept of it.
pub fn make_each<N: AsRef<str> + Sync, T: Send>(
    recipe: &Recipe,
    names: &[N],
    threads: usize,
    keep: impl Fn(usize, Identity) -> Result<T, PkiError> + Sync,
) -> Result<Vec<T>, (usize, PkiError)> {
    let failed = AtomicBool::new(false);
    let share = names.len().div_ceil(threads.max(1)).max(1);
    let make = |first: usize, names: &[N]| {
        let mut kept = Vec::with_capacity(names.len());
        for (name, at) in names.iter().zip(first..) {
            if failed.load(Relaxed) {
                break;
            }
            let made = recipe.make(name.as_ref());
            match made.and_then(|identity| keep(at, identity)) {
                Ok(one) => kept.push(one),
                Err(error) => {
                    failed.store(true, Relaxed);
                    return Err((at, error));
                }
            }
        }
        Ok(kept)
    };
    thread::scope(|scope| {
        let shares: Vec<_> = names
            .chunks(share)
            .enumerate()
            .map(|(n, names)| {
                let make = &make;
                scope.spawn(move || make(n * share, names))
            })
            .collect();
        let mut all = Vec::with_capacity(names.len());
        let mut first_error = None;
        for share in shares {
            match share
                .join()
                .unwrap_or_else(|cause| panic::resume_unwind(cause))
            {
                Ok(kept) => all.extend(kept),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(all), Err)
    })
}
