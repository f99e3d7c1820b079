//! What a chart shows, whoever draws it: the static picture in the page, or the script on a canvas.

use serde::Serialize;

use super::scale::{Unit, X};

/// One chart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Chart {
    /// Unique in the page.
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows, for whoever cannot see it.
    pub(super) alt: String,
    pub(super) x_kind: X,
    pub(super) y_unit: Unit,
    /// Whether equal steps up are equal factors.
    pub(super) y_log: bool,
    /// Whether a value holds until the next x, or lies on a line between the two.
    pub(super) stepped: bool,
    pub(super) x: Vec<f64>,
    pub(super) series: Vec<Series>,
    pub(super) marks: Vec<ChartMark>,
}

/// One line in it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Series {
    pub(super) label: String,
    /// Which of the palette's colours.
    pub(super) colour: u8,
    pub(super) dashed: bool,
    pub(super) y: Vec<Option<f64>>,
}

/// A line across.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChartMark {
    pub(super) at: f64,
    pub(super) number: usize,
}

impl Series {
    pub(super) fn new(label: &str, colour: u8, y: Vec<Option<f64>>) -> Self {
        Self {
            label: label.to_owned(),
            colour,
            dashed: false,
            y: y.into_iter().map(|y| y.map(short)).collect(),
        }
    }

    pub(super) fn dashed(self) -> Self {
        Self {
            dashed: true,
            ..self
        }
    }

    /// Whether there is anything to see.
    pub(super) fn shows(&self) -> bool {
        self.y.iter().flatten().any(|y| *y > 0.0)
    }
}

impl Chart {
    /// The least and the most of all lines, as far as they can be drawn.
    pub(super) fn y_range(&self) -> Option<(f64, f64)> {
        let all = self.series.iter().flat_map(|series| &series.y).flatten();
        let drawn = all
            .copied()
            .filter(|y| y.is_finite() && (!self.y_log || *y > 0.0));
        drawn.fold(None, |range, y| {
            let (least, most) = range.unwrap_or((y, y));
            Some((least.min(y), most.max(y)))
        })
    }
}

/// Four digits are enough for a picture, and a tenth of the bytes.
pub(super) fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 3.0 - value.abs().log10().floor();
    let scale = 10f64.powf(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_four_digits() {
        for (value, kept) in [
            (0.0, 0.0),
            (1.0 / 3.0, 0.3333),
            (12_345.6, 12_350.0),
            (0.000_012_345_6, 0.000_012_35),
            (f64::NAN, 0.0),
        ] {
            let got = short(value);
            assert!((got - kept).abs() <= kept * 1e-9, "{value}: {got}");
        }
    }
}
