//! A device that gets a new certificate in mid-run: it connects with it, and goes on with it.
//!
//! The server takes the new one within the TLS handshake and says so at CONNACK (section 5 of the
//! wire specification). Until then the device keeps its old one: where the new one is turned down,
//! it goes back to it; where nothing is said, it tries the new one again, which can do no harm.

use std::borrow::Cow;

use tokio::time::Instant;

use super::super::alive::Alive;
use super::super::shutdown::{Stop, reached};
use super::provisioning::is_rejection;
use super::{Device, Told, Unopened};
use crate::ledger::{Entry, Issued, Rotation as Entered, RotationState};
use crate::life::Event;
use crate::metrics::RotationCounts;
use crate::model::{Credentials, DeviceIx, Phase};
use crate::transport::Connection;

/// A new certificate on its way into use.
#[derive(Debug)]
pub(super) struct Rotation {
    new: Issued,
    /// What the server can have heard of it.
    told: Told,
    /// How it stands.
    state: RotationState,
    /// How the ledger knows it to stand.
    noted: Option<RotationState>,
    /// The credentials until now, once they are replaced.
    old: Option<Credentials>,
    check_old: bool,
}

impl Device<'_> {
    /// An event brings the device its next certificate, if it is one of those that rotate theirs.
    pub(super) async fn rotate(&mut self, event: &Event, at: Instant) {
        let Some(new) = self.worker.fleet.fresh(self.ix, event.number) else {
            return;
        };
        self.give_up_rotation().await;
        self.count_rotations(&RotationCounts {
            due: 1,
            ..RotationCounts::default()
        });
        self.rotation = Some(Box::new(Rotation {
            new,
            told: Told::Nothing,
            state: RotationState::Begun,
            noted: None,
            old: None,
            check_old: event.check_old,
        }));
        self.keep_rotation().await;
        // Without a session, its next attempt is made with the new one.
        if self.connection.is_some() {
            self.disconnect().await;
            self.rounds = self.rounds.wrapping_add(1);
            self.come_back(at).await;
        }
    }

    /// The certificate that is being tried, if one is, and the phase of its attempts.
    pub(super) fn tried(&self) -> (Option<&Credentials>, Phase) {
        match &self.rotation {
            Some(rotation) if rotation.state == RotationState::Begun => {
                (Some(&rotation.new.credentials), Phase::Rotate)
            }
            _ => (self.credentials.as_deref(), Phase::Reconnect),
        }
    }

    /// An attempt begins: from here on, the server may see what it shows. Returns what it can have
    /// heard before.
    pub(super) fn shows_new(&mut self) -> Option<Told> {
        let rotation = self.rotation.as_mut()?;
        Some(std::mem::replace(&mut rotation.told, Told::Perhaps))
    }

    /// The new certificate's attempt failed.
    pub(super) async fn rotation_failed(&mut self, before: Told, broken: &Unopened) {
        let Some(rotation) = &mut self.rotation else {
            return;
        };
        if broken.step == Phase::TcpConnect {
            rotation.told = before;
        }
        if is_rejection(broken.kind) {
            self.settle_rotation(RotationState::Failed);
            self.keep_rotation().await;
        }
    }

    /// The server took the new certificate.
    pub(super) async fn rotation_done(&mut self) {
        self.settle_rotation(RotationState::Done);
        if let Some(rotation) = self.rotation.as_ref().filter(|rotation| rotation.check_old)
            && let Some(old) = &rotation.old
        {
            // Beside the device, whose own messages must not wait for it.
            let (worker, old) = (self.worker.again(), old.clone());
            tokio::task::spawn_local(check_old(worker, self.ix, old));
        }
        self.keep_rotation().await;
    }

    /// Nothing more comes of a rotation that is still open.
    pub(super) async fn give_up_rotation(&mut self) {
        if let Some(rotation) = &self.rotation {
            self.settle_rotation(match rotation.told {
                Told::Nothing => RotationState::Failed,
                Told::Perhaps => RotationState::InDoubt,
            });
        }
        self.keep_rotation().await;
    }

    /// Counted before anything is awaited: a cut-off cannot take it back.
    fn settle_rotation(&mut self, state: RotationState) {
        let Some(rotation) = &mut self.rotation else {
            return;
        };
        if rotation.state != RotationState::Begun {
            return;
        }
        rotation.state = state;
        let none = RotationCounts::default();
        let counts = match state {
            RotationState::Begun => none,
            RotationState::Done => {
                let new = rotation.new.credentials.clone();
                rotation.old = self.credentials.as_deref().cloned();
                self.credentials = Some(Cow::Owned(new));
                RotationCounts { done: 1, ..none }
            }
            RotationState::Failed => RotationCounts { failed: 1, ..none },
            RotationState::InDoubt => RotationCounts {
                in_doubt: 1,
                ..none
            },
        };
        self.count_rotations(&counts);
    }

    /// Tells the ledger how the rotation stands, and forgets one that is over. As with credentials,
    /// the device's end asks for it again.
    async fn keep_rotation(&mut self) {
        let Some(rotation) = &self.rotation else {
            return;
        };
        let state = rotation.state;
        if rotation.noted != Some(state) {
            let old = rotation.old.as_ref().or(self.credentials.as_deref());
            let files = match old {
                Some(Credentials::X509 { certificate }) => {
                    self.worker.fleet.files_of(self.ix, certificate)
                }
                _ => None,
            };
            let entry = Entry::Rotated(Entered {
                state,
                old: files,
                new: Issued {
                    credentials: rotation.new.credentials.clone(),
                    files: rotation.new.files.clone(),
                },
            });
            self.worker.note(self.ix, None, entry).await;
        }
        if state == RotationState::Begun {
            if let Some(rotation) = &mut self.rotation {
                rotation.noted = Some(state);
            }
            return;
        }
        self.rotation = None;
    }

    fn count_rotations(&self, counts: &RotationCounts) {
        let mut recorder = self.worker.recorder_of(self.ix);
        recorder.rotations(self.cohort, counts);
    }
}

/// Shows a replaced certificate once more, which must not let the device in any more. Alone: with
/// its chain it would be the device's new one again. What is no judgement says nothing.
async fn check_old(worker: Alive, ix: DeviceIx, old: Credentials) {
    let mut now = worker.stop.clone();
    let judged = tokio::select! {
        biased;
        () = reached(&mut now, Stop::Now) => None,
        judged = lets_in(&worker, ix, &old) => judged,
    };
    let Some(accepted) = judged else { return };
    let counts = RotationCounts {
        old_accepted: u64::from(accepted),
        old_refused: u64::from(!accepted),
        ..RotationCounts::default()
    };
    let cohort = worker.fleet.cohort_ix(ix);
    worker.recorder.borrow_mut().rotations(cohort, &counts);
    if accepted {
        worker.note(ix, None, Entry::OldAccepted).await;
    }
}

/// Whether the server lets a device in by its certificate alone.
async fn lets_in(worker: &Alive, ix: DeviceIx, credentials: &Credentials) -> Option<bool> {
    let Credentials::X509 { certificate } = credentials else {
        return None;
    };
    let fleet = &worker.fleet;
    let alone = fleet.identity_with(ix, certificate)?.alone();
    let login = fleet.dialect(ix).device_login(fleet.name(ix), credentials);
    let _turn = worker.checking.acquire().await;
    // Not the device's ordinal, under which its sessions are kept to be resumed.
    match Connection::open(fleet.dial(ix), &login, Some(&alone), !ix.0).await {
        Ok(opened) => {
            opened.connection.close().await;
            Some(true)
        }
        Err(fault) => is_rejection(fault.kind).then_some(false),
    }
}
