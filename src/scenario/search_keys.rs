//! `[search]` as it is typed.

use super::leaf::Span;
use super::section::section;

section! {
    /// Finds the highest arrival rate at which the thresholds hold; takes the place of [arrival].
    struct Search as "[search]" {
        /// The first rate, in devices per second: one that holds.
        from: f64,
        /// The highest rate that is tried, in devices per second.
        to: f64,
        /// From one rate to the next on the way up: a factor above 1, up to 10.
        #[schemars(default, extend("default" = 2))]
        step: f64,
        /// How far the lowest rate that broke may be above the highest that held, as a share of it.
        #[schemars(default, extend("default" = 0.05))]
        precision: f64,
        /// How long a trial's rate is on before its devices count.
        #[schemars(default, extend("default" = "3s"))]
        warm_up: Span,
        /// For how long a trial's devices count; a confirmation takes twice as long.
        #[schemars(default, extend("default" = "10s"))]
        hold: Span,
        /// From the end of a trial's last device to the next trial.
        #[schemars(default, extend("default" = "2s"))]
        cool_down: Span,
        /// How often the rate that was found must hold again, for the longer time.
        #[schemars(default, extend("default" = 2))]
        confirm: u32,
        /// The rate that is needed: what is found is held against it.
        #[schemars(default)]
        need: f64,
        /// The most trials.
        #[schemars(default, extend("default" = 40))]
        trials: u32,
    }
}
