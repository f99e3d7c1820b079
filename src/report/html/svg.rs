//! A chart as a picture within the page: what is seen without JavaScript, and on paper.
//!
//! No style attributes, which the page's content security policy forbids: colours are classes.

use std::fmt::Write as _;

use super::chart::{Chart, Series};
use super::scale::{X, decades, linear, moments};

/// The picture; everything in it is ours but the labels, which are escaped.
pub(super) fn svg(chart: &Chart) -> String {
    let frame = Frame::of(chart);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escaped(&chart.alt)
    );
    frame.axes(chart, &mut out);
    for mark in &chart.marks {
        let x = frame.x(mark.at);
        let _ = write!(
            out,
            "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 2.0,
            TOP + 8.0,
            mark.number
        );
    }
    for series in &chart.series {
        let dashed = if series.dashed { " dashed" } else { "" };
        let path = frame.path(chart, series);
        if !path.is_empty() {
            let _ = write!(
                out,
                "<path class=\"line s{}{dashed}\" d=\"{path}\"/>",
                series.colour
            );
        }
    }
    out.push_str("</svg>");
    out
}

/// Where values lie in the picture.
struct Frame {
    from: f64,
    to: f64,
    x_log: bool,
    low: f64,
    high: f64,
    y_log: bool,
    x_ticks: Vec<f64>,
    y_ticks: Vec<f64>,
}

impl Frame {
    fn of(chart: &Chart) -> Self {
        let begin = chart.x.first().copied().unwrap_or(0.0);
        let end = chart.x.last().copied().unwrap_or(1.0);
        let (least, most) = chart.y_range().unwrap_or((0.0, 1.0));
        let (y_ticks, low, high) = if chart.y_log {
            decades(least, most)
        } else {
            let (ticks, high) = linear(most);
            (ticks, 0.0, high)
        };
        let (x_ticks, from, to) = match chart.x_kind {
            X::Time => (moments(end), 0.0, end),
            X::Latency => decades(begin, end),
            X::Rate => {
                let (ticks, end) = linear(end);
                (ticks, 0.0, end)
            }
            X::Percentile => {
                let end = end.max(1.0);
                let whole = (0..100).map(f64::from);
                (whole.take_while(|n| *n <= end).collect(), 0.0, end)
            }
        };
        Self {
            from,
            to: if to > from { to } else { from + 1.0 },
            x_log: chart.x_kind == X::Latency,
            low,
            high,
            y_log: chart.y_log,
            x_ticks,
            y_ticks,
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * share(value, self.from, self.to, self.x_log)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * share(value, self.low, self.high, self.y_log)
    }

    fn axes(&self, chart: &Chart, out: &mut String) {
        for tick in &self.y_ticks {
            let (y, text) = (self.y(*tick), chart.y_unit.text(*tick));
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                LEFT - 5.0,
                y + 3.5,
            );
        }
        for tick in &self.x_ticks {
            let (x, text) = (self.x(*tick), chart.x_kind.text(*tick));
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{BOTTOM}\" y2=\"{:.1}\"/>\
                 <text class=\"tick mid\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>",
                BOTTOM + 4.0,
                BOTTOM + 16.0,
            );
        }
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{BOTTOM}\" y2=\"{BOTTOM}\"/>"
        );
    }

    fn path(&self, chart: &Chart, series: &Series) -> String {
        let mut path = String::new();
        // Whether the pen is down.
        let mut drawing = false;
        let mut before = LEFT;
        for (x, y) in chart.x.iter().zip(&series.y) {
            let at = self.x(*x);
            let Some(y) = y.filter(|y| !chart.y_log || *y > 0.0) else {
                (drawing, before) = (false, at);
                continue;
            };
            let y = self.y(y);
            if !drawing {
                // A first step begins where the one before it ended.
                let start = if chart.stepped { before } else { at };
                let _ = write!(path, "M{start:.1} {y:.1}");
            } else if chart.stepped {
                let _ = write!(path, "V{y:.1}");
            }
            let _ = if chart.stepped {
                write!(path, "H{at:.1}")
            } else {
                write!(path, "L{at:.1} {y:.1}")
            };
            (drawing, before) = (true, at);
        }
        path
    }
}

/// How far a value is on the way, from 0 to 1.
fn share(value: f64, from: f64, to: f64, log: bool) -> f64 {
    let share = if log {
        (value.max(from) / from).log10() / (to / from).log10()
    } else {
        (value - from) / (to - from)
    };
    if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// For text and for attributes in double quotes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 628.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 194.0;
