//! What the user chose to see.

use std::sync::Arc;

use super::keys::Key;
use crate::metrics::{PhaseRow, Snapshot};
use crate::model::Phase;

/// The dashboard's own state; all of it is changed by keys.
#[derive(Debug)]
pub struct State {
    /// Colours may be used.
    pub(super) color: bool,
    /// The help lies over the rest.
    pub(super) help: bool,
    /// How often the user asked the run to end.
    pub(super) stops: u32,
    paused: bool,
    shown: Option<Arc<Snapshot>>,
    chosen: Option<Phase>,
}

impl State {
    /// Nothing chosen yet.
    pub fn new(color: bool) -> Self {
        Self {
            color,
            help: false,
            stops: 0,
            paused: false,
            shown: None,
            chosen: None,
        }
    }

    /// Takes a new snapshot, unless drawing is paused; whether there is something new to draw.
    pub(super) fn show(&mut self, snapshot: Arc<Snapshot>) -> bool {
        if self.paused && self.shown.is_some() {
            return false;
        }
        self.shown = Some(snapshot);
        true
    }

    /// The snapshot to draw.
    pub(super) fn shown(&self) -> Option<Arc<Snapshot>> {
        self.shown.clone()
    }

    /// Drawing is paused; the run goes on.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Reacts to a key; `true` asks the run to end.
    pub fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Stop => self.stops = self.stops.saturating_add(1),
            Key::Pause => self.paused = !self.paused,
            Key::Next => self.step(1),
            Key::Previous => self.step(-1),
            Key::Help => self.help = !self.help,
            Key::Close => self.help = false,
        }
        key == Key::Stop
    }

    /// The phase whose histogram is drawn: the chosen one if it occurred, else the time to
    /// provision, else the first that occurred.
    pub(super) fn phase<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a PhaseRow> {
        let by_choice = self.chosen.and_then(|phase| snapshot.phase(phase));
        by_choice
            .or_else(|| snapshot.phase(Phase::TimeToProvision))
            .or_else(|| snapshot.phases.first())
    }

    fn step(&mut self, by: isize) {
        if let Some(snapshot) = self.shown.clone() {
            let rows = &snapshot.phases;
            let current = self.phase(&snapshot).map(|row| row.phase);
            let at = rows.iter().position(|row| Some(row.phase) == current);
            if let (Some(at), Ok(len)) = (at, isize::try_from(rows.len())) {
                let next = at.wrapping_add_signed(by.rem_euclid(len)) % rows.len();
                self.chosen = Some(rows[next].phase);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    fn watching() -> (State, Arc<Snapshot>) {
        let snapshot = Arc::new(fixture::half_way());
        let mut state = State::new(false);
        assert!(state.show(Arc::clone(&snapshot)));
        (state, snapshot)
    }

    #[test]
    fn each_wish_to_stop_is_passed_on_and_nothing_else_is() {
        let (mut state, _) = watching();
        assert!(state.press(Key::Stop));
        for other in [Key::Pause, Key::Next, Key::Previous, Key::Help, Key::Close] {
            assert!(!state.press(other), "{other:?}");
        }
        assert_eq!(state.stops, 1);
        assert!(state.press(Key::Stop));
        assert_eq!(state.stops, 2);
    }

    #[test]
    fn a_paused_dashboard_keeps_its_snapshot_until_it_goes_on() {
        let (mut state, first) = watching();
        let later = Arc::new(Snapshot::clone(&first));
        state.press(Key::Pause);
        assert!(state.is_paused());
        assert!(!state.show(Arc::clone(&later)));
        assert!(Arc::ptr_eq(&state.shown().expect("shown"), &first));
        state.press(Key::Pause);
        assert!(state.show(Arc::clone(&later)));
        assert!(Arc::ptr_eq(&state.shown().expect("shown"), &later));
    }

    #[test]
    fn phases_are_stepped_through_in_a_circle_both_ways() {
        let (mut state, snapshot) = watching();
        let chosen = |state: &State| state.phase(&snapshot).map(|row| row.phase);
        assert_eq!(chosen(&state), Some(Phase::TimeToProvision));
        state.press(Key::Next);
        assert_eq!(chosen(&state), Some(Phase::TimeToFirstTelemetry));
        state.press(Key::Next);
        assert_eq!(chosen(&state), Some(Phase::TcpConnect));
        state.press(Key::Previous);
        assert_eq!(chosen(&state), Some(Phase::TimeToFirstTelemetry));
        for _ in 0..snapshot.phases.len() {
            state.press(Key::Next);
        }
        assert_eq!(chosen(&state), Some(Phase::TimeToFirstTelemetry));
    }

    #[test]
    fn stepping_before_anything_happened_chooses_nothing() {
        let mut state = State::new(false);
        state.press(Key::Next);
        let mut empty = fixture::half_way();
        empty.phases.clear();
        state.show(Arc::new(empty.clone()));
        state.press(Key::Next);
        assert!(state.phase(&empty).is_none());
    }

    #[test]
    fn help_opens_and_closes() {
        let (mut state, _) = watching();
        for (key, open) in [
            (Key::Help, true),
            (Key::Help, false),
            (Key::Help, true),
            (Key::Close, false),
            (Key::Close, false),
        ] {
            state.press(key);
            assert_eq!(state.help, open, "{key:?}");
        }
    }
}
