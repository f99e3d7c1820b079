//! The keys of each value model, as they are typed; docs/telemetry.md has the formulae.

use super::leaf::{Choice, Span, Text};
use super::models::{Json, ModelWord};
use super::section::section;
use crate::payload::{ColumnKind, Number};

section! {
    /// The same always.
    struct Constant as "a `constant`" {
        /// `constant`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "constant"))]
        model: Choice<ModelWord>,
        /// The value.
        value: Json,
    }
}

section! {
    /// start + t · step, t being the reading's number from 0.
    struct Counter as "a `counter`" {
        /// `counter`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "counter"))]
        model: Choice<ModelWord>,
        /// The first value.
        #[schemars(default, extend("default" = 0))]
        start: Number,
        /// What is added each time.
        #[schemars(default, extend("default" = 1))]
        step: Number,
        /// The first value that is not reached: the remainder by it is sent.
        #[schemars(default)]
        wrap: Number,
        /// Rounds to so many decimals.
        #[schemars(default)]
        decimals: u32,
    }
}

section! {
    /// Any value between two bounds.
    struct Uniform as "a `uniform`" {
        /// `uniform`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "uniform"))]
        model: Choice<ModelWord>,
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
        /// Rounds to so many decimals.
        #[schemars(default)]
        decimals: u32,
        /// Only whole numbers.
        #[schemars(default, extend("default" = false))]
        integer: bool,
    }
}

section! {
    /// Normally distributed.
    struct Normal as "a `normal`" {
        /// `normal`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "normal"))]
        model: Choice<ModelWord>,
        /// The mean.
        mean: f64,
        /// The standard deviation.
        sd: f64,
        /// The least value: what lies below is sent as it.
        #[schemars(default)]
        min: f64,
        /// The greatest value: what lies above is sent as it.
        #[schemars(default)]
        max: f64,
        /// Rounds to so many decimals.
        #[schemars(default)]
        decimals: u32,
        /// Only whole numbers.
        #[schemars(default, extend("default" = false))]
        integer: bool,
    }
}

section! {
    /// A random walk that turns back at its bounds.
    struct Walk as "a `walk`" {
        /// `walk`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "walk"))]
        model: Choice<ModelWord>,
        /// The first value.
        start: f64,
        /// The standard deviation of a step.
        step: f64,
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
        /// Rounds to so many decimals.
        #[schemars(default)]
        decimals: u32,
        /// Only whole numbers.
        #[schemars(default, extend("default" = false))]
        integer: bool,
    }
}

section! {
    /// A sine with noise.
    struct Sine as "a `sine`" {
        /// `sine`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "sine"))]
        model: Choice<ModelWord>,
        /// The middle.
        mean: f64,
        /// From the middle to the top.
        amplitude: f64,
        /// The length of one round.
        period: Span,
        /// The share of a round at the first reading, 0 to 1; without it each device has its own.
        #[schemars(default)]
        phase: f64,
        /// Standard deviation of what is added.
        #[schemars(default, extend("default" = 0))]
        noise: f64,
        /// Rounds to so many decimals.
        #[schemars(default)]
        decimals: u32,
        /// Only whole numbers.
        #[schemars(default, extend("default" = false))]
        integer: bool,
    }
}

section! {
    /// A straight line with noise.
    struct Drift as "a `drift`" {
        /// `drift`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "drift"))]
        model: Choice<ModelWord>,
        /// The first value, without noise.
        start: f64,
        /// What an hour adds.
        per_hour: f64,
        /// Standard deviation of what is added.
        #[schemars(default, extend("default" = 0))]
        noise: f64,
        /// Rounds to so many decimals.
        #[schemars(default)]
        decimals: u32,
        /// Only whole numbers.
        #[schemars(default, extend("default" = false))]
        integer: bool,
    }
}

section! {
    /// One of a few.
    struct OneOf as "a `choice`" {
        /// `choice`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "choice"))]
        model: Choice<ModelWord>,
        /// What is chosen from.
        values: Vec<Json>,
        /// How often each comes, in proportion; without them all come alike.
        #[schemars(default)]
        weights: Vec<f64>,
    }
}

section! {
    /// A point that goes round a centre; sent as `latitude` and `longitude`.
    struct Round as "a `track`" {
        /// `track`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "track"))]
        model: Choice<ModelWord>,
        /// The centre's latitude, degrees from -85 to 85.
        latitude: f64,
        /// The centre's longitude, degrees from -180 to 180.
        longitude: f64,
        /// The distance from the centre, metres, up to 100000.
        radius: f64,
        /// The length of one round.
        #[schemars(default, extend("default" = "10min"))]
        period: Span,
        /// Rounds to so many decimals of a degree.
        #[schemars(default, extend("default" = 6))]
        decimals: u32,
    }
}

section! {
    /// The cell of a column of the list.
    struct CellOf as "a `column`" {
        /// `column`.
        #[expect(dead_code, reason = "it chose this section")]
        #[schemars(extend("const" = "column"))]
        model: Choice<ModelWord>,
        /// The column's header.
        column: Text,
        /// What the cell is sent as.
        #[schemars(default, extend("default" = "string"))]
        kind: Choice<ColumnKind>,
    }
}
