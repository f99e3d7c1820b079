use super::*;
use crate::report::fixture::{EVIL, hostile, results};

fn page(results: &Results) -> String {
    html(results).expect("own histograms")
}

#[test]
fn the_page_says_what_the_summary_says() {
    let results = results();
    let page = page(&results);
    for text in [
        "<title>line-3-night-shift: failed</title>",
        "990 of 1,000 devices provisioned",
        "<code>provision.failure</code>",
        "name taken, not listed, or provisioned before",
        "power loss: 30 % of the devices",
        "✗ crossed",
        "✓ held",
        "AA:BB:CC:00:00:1D",
        "id=\"histogram-time_to_provision\"",
        "id=\"latency-telemetry\"",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let row = &results.summary.phases[&crate::model::Phase::Provision];
    for us in [row.response_us.p99, row.service_us.p999] {
        let figure = format!("<td class=\"num\">{}</td>", crate::model::units::micros(us));
        assert!(page.contains(&figure), "{figure}");
    }
}

#[test]
fn nothing_from_outside_becomes_an_element_or_ends_its_place() {
    let page = page(&hostile());
    let outside = page.replace(SCRIPT, "").replace(PLOT, "");
    for evil in [
        "<script>alert",
        "]]><",
        "<![CDATA",
        "<!--",
        "\u{202e}",
        "\u{1b}",
        "\u{0}",
    ] {
        assert!(!outside.contains(evil), "{evil:?}");
    }
    // Three that are ours, and no more: the style, the data, the script.
    assert_eq!(outside.matches("</script").count(), 2);
    assert_eq!(outside.matches("</style").count(), 1);
    for evil in EVIL {
        let escaped = svg::escaped(&crate::model::printable(evil));
        assert!(!escaped.contains('<'));
    }
}

#[test]
fn the_page_allows_what_is_in_it_and_no_address() {
    let page = page(&results());
    let (_, style) = page.split_once("<style>").expect("has one");
    let (style, _) = style.split_once("</style>").expect("ends");
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    // Escaped as an attribute is.
    let policy = page.split("content=\"").nth(1).expect("has one");
    let policy = policy.split('"').next().expect("ends");
    let policy = policy.replace("&#x27;", "'").replace("&#x2f;", "/");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for loads in [
        "src=",
        "href=\"http",
        "url(",
        "@import",
        " style=",
        "onclick",
        "onload=",
    ] {
        let outside = page.replace(PLOT, "").replace(SCRIPT, "");
        assert!(!outside.contains(loads), "{loads}");
    }
}

#[test]
fn a_page_stays_small_whatever_the_run() {
    let mut results = hostile();
    let cohort = results
        .summary
        .cohorts
        .values()
        .next()
        .expect("some")
        .clone();
    for n in 0..3_000 {
        let name = "x".repeat(500) + &n.to_string();
        results.summary.errors.insert(name.clone(), n);
        results.summary.cohorts.insert(name, cohort.clone());
    }
    results.summary.scenario_toml = "a = \"b\"\n".repeat(100_000);
    let page = page(&results);
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("more, in summary.json"));
}

#[test]
fn a_search_stands_in_place_of_the_thresholds_with_its_knee() {
    let mut results = results();
    results.summary = crate::metrics::fixture::searched_summary();
    let page = page(&results);
    for text in [
        "<p>50.0 devices per second hold, 60.0 do not.</p>",
        " are needed: 25.0 % head-room.</p>",
        " (trial 3): provisioned per second &gt;= 98% of the rate, observed 50",
        "data-chart=\"knee-rates\"",
        "data-chart=\"knee-times\"",
        "<td class=\"bad\">broken</td>",
        "<a href=\"#search\">Search</a>",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(
        !page.contains("id=\"thresholds\""),
        "they are judged in each trial"
    );
}
