//! `report.html`: the whole run in one file that needs nothing beside it.
//!
//! It loads nothing: its content security policy allows the style and the script that are in it, by
//! their hashes, and no address. Without JavaScript everything is there, with charts as pictures;
//! with it, the charts can be read and zoomed. Text from outside is escaped wherever it stands.
//! Long lists are cut, so that a page of a million devices is as large as one of a thousand.

mod chart;
mod knee;
mod lines;
mod page;
mod scale;
mod spread;
mod svg;
mod tables;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use ring::digest::{SHA256, digest};

use self::chart::Chart;
use super::results::Results;
use crate::metrics::CarriedError;

/// The page.
pub fn html(results: &Results) -> Result<String, CarriedError> {
    let lines = results.timeline.as_ref().map(lines::lines).transpose()?;
    let lines = lines.unwrap_or_default();
    let search = results.summary.search.as_ref();
    let knee = search.map(knee::knee).unwrap_or_default();
    let spreads = spread::spreads(&results.summary)?;
    let style = format!("{PLOT_STYLE}\n{STYLE}");
    let script = format!("/*\n{PLOT_LICENCE}\n*/\n{PLOT}\n{SCRIPT}");
    let of_phases = spreads.iter().flat_map(|s| [&s.histogram, &s.spectrum]);
    let data: Vec<&Chart> = knee.iter().chain(&lines).chain(of_phases).collect();
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, template) in [("page", PAGE), ("figure", FIGURE)] {
        let added = env.add_template(name, template);
        added.expect("the template is sound");
    }
    let template = env.get_template("page").expect("added");
    let figure = env.get_template("figure").expect("added");
    let drawn = |chart: &Chart| {
        let figure = figure.render(context! {
            id => chart.id.as_str(),
            title => chart.title.as_str(),
            picture => Value::from_safe_string(svg::svg(chart)),
            legend => Value::from(Serde(&chart.series)),
        });
        Value::from_safe_string(figure.expect("the template fits its values"))
    };
    let spreads: Vec<Value> = spreads
        .iter()
        .map(|spread| {
            context! {
                phase => spread.phase.as_str(),
                histogram => drawn(&spread.histogram),
                spectrum => drawn(&spread.spectrum),
            }
        })
        .collect();
    let page = template.render(context! {
        policy => policy(&style, &script),
        style => Value::from_safe_string(style),
        script => Value::from_safe_string(script),
        data => Value::from_safe_string(json(&data)),
        page => Value::from(Serde(page::page(results)?)),
        knee => knee.iter().map(drawn).collect::<Vec<_>>(),
        lines => lines.iter().map(drawn).collect::<Vec<_>>(),
        spreads,
    });
    Ok(page.expect("the template fits its values"))
}

/// What the page may do: nothing but what is in it.
fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{}'; \
         script-src 'sha256-{}'",
        hash(style),
        hash(script)
    )
}

/// JSON that can stand within a script element, whatever is in it.
fn json(data: &[&Chart]) -> String {
    let text = serde_json::to_string(data).expect("numbers and text");
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

const PAGE: &str = include_str!("html/page.html");
const FIGURE: &str = include_str!("html/figure.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// uPlot 1.6.32, MIT: its licence goes with it into each page.
const PLOT: &str = include_str!("html/vendor/uPlot.iife.min.js");
const PLOT_LICENCE: &str = include_str!("html/vendor/uPlot.LICENSE");
const PLOT_STYLE: &str = include_str!("html/vendor/uPlot.min.css");

#[cfg(test)]
mod tests;
