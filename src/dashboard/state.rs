//! What the user chose to see, and what is still to be confirmed.

use std::sync::Arc;

use super::keys::Key;
use super::log::LogView;
use crate::metrics::{PhaseRow, Snapshot};
use crate::model::Phase;

/// A page of the dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// All that matters most.
    #[default]
    Overview,
    /// Times of each phase, and the distribution of one.
    Latency,
    /// Causes.
    Errors,
    /// A row per cohort and per transport.
    Cohorts,
    /// The last lines of `run.log`.
    Log,
}

impl Tab {
    /// All of them, in the order of their keys.
    pub const ALL: [Self; 5] = [
        Self::Overview,
        Self::Latency,
        Self::Errors,
        Self::Cohorts,
        Self::Log,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Cohorts => "cohorts",
            Self::Log => "log",
        }
    }

    fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

/// What the user wants of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// One step further to the end: wind down, then stop at once. What Ctrl-C means.
    Interrupt,
    /// Start nobody any more, and let what is under way finish.
    Stop,
    /// Cut off what is under way.
    StopNow,
    /// Devices arrive faster.
    Faster,
    /// They arrive more slowly.
    Slower,
    /// They arrive as the plan says.
    AsPlanned,
    /// Nobody arrives, or arrivals go on.
    PauseOrResume,
}

/// How the dashboard looks, and what it may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Off when `NO_COLOR` is set. Colours never carry a meaning of their own.
    pub color: bool,
    /// Nothing but ASCII is drawn.
    pub ascii: bool,
    /// The keys are a person's, who may steer the run.
    pub steers: bool,
}

/// What lies over a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The help.
    Help,
    /// The question whether the run is to end.
    End,
}

/// The dashboard's own state; all of it is changed by keys.
#[derive(Debug)]
pub struct State {
    pub(super) options: Options,
    /// What lies over the rest.
    pub(super) over: Option<Over>,
    /// How far the user asked the run to end: 1 to wind down, 2 to stop.
    pub(super) stops: u8,
    /// The page.
    pub(super) tab: Tab,
    /// How far a list was scrolled from where it begins; of a log, from its end.
    pub(super) scroll: usize,
    /// The lines of `run.log` to draw.
    pub(super) log: LogView,
    frozen: bool,
    shown: Option<Arc<Snapshot>>,
    chosen: Option<Phase>,
}

impl State {
    /// Nothing chosen yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            over: None,
            stops: 0,
            tab: Tab::Overview,
            scroll: 0,
            log: LogView::default(),
            frozen: false,
            shown: None,
            chosen: None,
        }
    }

    /// Takes a new snapshot and the log of that moment, unless the picture is frozen; whether there
    /// is something new to draw.
    pub(super) fn show(&mut self, snapshot: Arc<Snapshot>, log: impl FnOnce() -> LogView) -> bool {
        if self.frozen && self.shown.is_some() {
            return false;
        }
        self.shown = Some(snapshot);
        self.log = log();
        true
    }

    /// The snapshot to draw.
    pub(super) fn shown(&self) -> Option<Arc<Snapshot>> {
        self.shown.clone()
    }

    /// The picture stands; the run goes on.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Reacts to a key; what is wanted of the run, if anything.
    pub fn press(&mut self, key: Key) -> Option<Wish> {
        if key == Key::Interrupt {
            self.over = None;
            self.stops = (self.stops + 1).min(2);
            return Some(Wish::Interrupt);
        }
        if self.over == Some(Over::End) {
            self.over = None;
            return self.answer(key);
        }
        match key {
            Key::Quit if self.stops < 2 => self.over = Some(Over::End),
            Key::Freeze => self.frozen = !self.frozen,
            Key::Tab(n) => self.turn_to(Tab::ALL[n.min(Tab::ALL.len() - 1)]),
            Key::NextTab => self.turn_to(self.tab.step(1)),
            Key::PreviousTab => self.turn_to(self.tab.step(Tab::ALL.len() - 1)),
            Key::NextPhase => self.step(1),
            Key::PreviousPhase => self.step(-1),
            Key::Up => self.move_by(-1),
            Key::Down => self.move_by(1),
            Key::PageUp => self.move_by(-PAGE),
            Key::PageDown => self.move_by(PAGE),
            Key::Help if self.over.is_none() => self.over = Some(Over::Help),
            Key::Help | Key::Close => self.over = None,
            Key::Faster => return self.steer(Wish::Faster),
            Key::Slower => return self.steer(Wish::Slower),
            Key::AsPlanned => return self.steer(Wish::AsPlanned),
            Key::Pause => return self.steer(Wish::PauseOrResume),
            Key::Interrupt | Key::Quit | Key::Yes | Key::Cut => {}
        }
        None
    }

    /// Passes a wish on, where wishes may come from these keys. Whoever steers must see what it does.
    fn steer(&mut self, wish: Wish) -> Option<Wish> {
        let may = self.options.steers && self.stops == 0;
        self.frozen &= !may;
        may.then_some(wish)
    }

    /// The answer to whether the run is to end.
    fn answer(&mut self, key: Key) -> Option<Wish> {
        let wish = match key {
            Key::Yes if self.stops == 0 => Wish::Stop,
            Key::Cut => Wish::StopNow,
            _ => return None,
        };
        self.stops = if wish == Wish::Stop { 1 } else { 2 };
        Some(wish)
    }

    fn turn_to(&mut self, tab: Tab) {
        if self.tab != tab {
            (self.tab, self.scroll) = (tab, 0);
        }
    }

    /// Up and down: through a list where there is one, else through the phases.
    fn move_by(&mut self, by: isize) {
        let length = self.shown.as_ref().map_or(0, |shown| match self.tab {
            Tab::Errors => shown.errors.len(),
            Tab::Cohorts => shown.cohorts.len(),
            Tab::Log => self.log.lines.len(),
            Tab::Overview | Tab::Latency => 0,
        });
        match self.tab {
            Tab::Overview | Tab::Latency => self.step(by.signum()),
            // A log is read from its end.
            Tab::Log => self.scroll_to(self.scroll.saturating_add_signed(-by), length),
            Tab::Errors | Tab::Cohorts => {
                self.scroll_to(self.scroll.saturating_add_signed(by), length);
            }
        }
    }

    fn scroll_to(&mut self, to: usize, length: usize) {
        self.scroll = to.min(length.saturating_sub(1));
    }

    /// The phase whose distribution is drawn: the chosen one if it occurred, else the time to
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

/// Lines of a page key.
const PAGE: isize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    const STEERS: Options = Options {
        color: false,
        ascii: false,
        steers: true,
    };

    fn watching() -> (State, Arc<Snapshot>) {
        let snapshot = Arc::new(fixture::half_way());
        let mut state = State::new(STEERS);
        assert!(state.show(Arc::clone(&snapshot), LogView::default));
        (state, snapshot)
    }

    #[test]
    fn an_end_is_asked_for_and_confirmed_and_ctrl_c_is_not() {
        let (mut state, _) = watching();
        assert_eq!(state.press(Key::Yes), None, "nothing was asked");
        assert_eq!(state.press(Key::Cut), None, "nothing was asked");
        assert_eq!(state.press(Key::Quit), None);
        assert_eq!(state.over, Some(Over::End));
        assert_eq!(state.press(Key::Quit), None, "a held key confirms nothing");
        assert_eq!((state.over, state.stops), (None, 0));
        state.press(Key::Quit);
        assert_eq!(state.press(Key::Yes), Some(Wish::Stop));
        assert_eq!((state.over, state.stops), (None, 1));
        state.press(Key::Quit);
        assert_eq!(state.press(Key::Yes), None, "it winds down already");
        state.press(Key::Quit);
        assert_eq!(state.press(Key::Cut), Some(Wish::StopNow));
        state.press(Key::Quit);
        assert_eq!(state.over, None, "there is nothing further");
        let (mut state, _) = watching();
        for stops in [1, 2, 2] {
            assert_eq!(state.press(Key::Interrupt), Some(Wish::Interrupt));
            assert_eq!(state.stops, stops);
        }
    }

    #[test]
    fn a_run_is_steered_only_by_a_persons_keys_while_it_goes_on_and_seen() {
        let all = [
            (Key::Faster, Wish::Faster),
            (Key::Slower, Wish::Slower),
            (Key::AsPlanned, Wish::AsPlanned),
            (Key::Pause, Wish::PauseOrResume),
        ];
        for (key, wish) in all {
            let (mut state, _) = watching();
            state.press(Key::Freeze);
            assert_eq!(state.press(key), Some(wish));
            assert!(!state.is_frozen(), "what it does must be seen");
            state.press(Key::Interrupt);
            assert_eq!(state.press(key), None, "no device starts any more");
            let mut state = State::new(Options::default());
            assert_eq!(state.press(key), None, "keys that are nobody's");
        }
    }

    #[test]
    fn a_frozen_picture_stands_until_it_goes_on() {
        let (mut state, first) = watching();
        let later = Arc::new(Snapshot::clone(&first));
        state.press(Key::Freeze);
        assert!(state.is_frozen());
        assert!(!state.show(Arc::clone(&later), || panic!("not read")));
        assert!(Arc::ptr_eq(&state.shown().expect("shown"), &first));
        state.press(Key::Freeze);
        assert!(state.show(Arc::clone(&later), LogView::default));
        assert!(Arc::ptr_eq(&state.shown().expect("shown"), &later));
    }

    #[test]
    fn tabs_are_chosen_by_number_and_stepped_through_in_a_circle() {
        let (mut state, _) = watching();
        let mut seen = Vec::new();
        for _ in 0..=Tab::ALL.len() {
            seen.push(state.tab.as_str());
            state.press(Key::NextTab);
        }
        let all = Tab::ALL.map(Tab::as_str);
        assert_eq!(seen[..5], all);
        assert_eq!(seen[5], all[0]);
        for (n, tab) in Tab::ALL.into_iter().enumerate() {
            state.press(Key::Tab(n));
            assert_eq!(state.tab, tab);
        }
        state.press(Key::PreviousTab);
        assert_eq!(state.tab, Tab::Cohorts);
    }

    #[test]
    fn lists_scroll_within_themselves_and_begin_anew_on_another_tab() {
        let (mut state, snapshot) = watching();
        state.press(Key::Tab(2));
        state.press(Key::Up);
        assert_eq!(state.scroll, 0);
        state.press(Key::PageDown);
        assert_eq!(state.scroll, snapshot.errors.len() - 1);
        state.press(Key::Tab(3));
        assert_eq!(state.scroll, 0);
        state.press(Key::Tab(4));
        state.press(Key::PageUp);
        assert_eq!(state.scroll, 0, "an empty log");
    }

    #[test]
    fn phases_are_stepped_through_in_a_circle_both_ways() {
        let (mut state, snapshot) = watching();
        let chosen = |state: &State| state.phase(&snapshot).map(|row| row.phase);
        assert_eq!(chosen(&state), Some(Phase::TimeToProvision));
        state.press(Key::NextPhase);
        assert_eq!(chosen(&state), Some(Phase::TimeToFirstTelemetry));
        state.press(Key::Down);
        assert_eq!(chosen(&state), Some(Phase::TcpConnect));
        state.press(Key::PreviousPhase);
        assert_eq!(chosen(&state), Some(Phase::TimeToFirstTelemetry));
        for _ in 0..snapshot.phases.len() {
            state.press(Key::NextPhase);
        }
        assert_eq!(chosen(&state), Some(Phase::TimeToFirstTelemetry));
    }

    #[test]
    fn stepping_before_anything_happened_chooses_nothing() {
        let mut state = State::new(STEERS);
        state.press(Key::NextPhase);
        let mut empty = fixture::half_way();
        empty.phases.clear();
        state.show(Arc::new(empty.clone()), LogView::default);
        state.press(Key::NextPhase);
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
            assert_eq!(state.over.is_some(), open, "{key:?}");
        }
    }
}
