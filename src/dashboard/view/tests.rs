use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::super::keys::Key;
use super::super::log::LogTail;
use super::super::state::Options;
use super::*;
use crate::metrics::{Aggregate, DownlinkCounts, PushCounts, ReplyCounts, Setting, fixture};
use crate::model::Outcome;

fn state(color: bool) -> State {
    State::new(Options {
        color,
        ascii: false,
        steers: true,
    })
}

fn pressed(keys: &[Key]) -> State {
    let mut state = state(false);
    for key in keys {
        state.press(*key);
    }
    state
}

fn drawn(snapshot: &Snapshot, state: &State, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("in memory");
    terminal
        .draw(|frame| render(frame, snapshot, state))
        .expect("in memory");
    terminal
}

fn screen(snapshot: &Snapshot, state: &State, width: u16, height: u16) -> String {
    let terminal = drawn(snapshot, state, width, height);
    let cells = terminal.backend().buffer().content();
    let rows = cells.chunks(usize::from(width)).map(|row| {
        let text: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn half_way() -> Snapshot {
    fixture::half_way()
}

fn negative() -> Snapshot {
    fixture::negative().0.tick(Duration::from_secs(50))
}

/// Names that try to break out, counts as large as they get, many cohorts and causes.
fn hostile() -> Snapshot {
    let mut snapshot = half_way();
    let mut setting = Setting::clone(&snapshot.setting);
    let evil = "\x1b[31m\n\tname\u{202e}東京".to_owned() + &"x".repeat(300);
    setting.scenario.clone_from(&evil);
    setting.target.clone_from(&evil);
    setting.model.clone_from(&evil);
    setting.cohorts[0].name.clone_from(&evil);
    setting.cohorts[1].expect = Some(crate::model::Expectation::Refused);
    setting.notes = vec![evil.clone(); 3];
    setting.cohorts[0].credentials.clone_from(&evil);
    let (cohort, row) = (setting.cohorts[0].clone(), snapshot.cohorts[0]);
    setting.cohorts.extend(std::iter::repeat_n(cohort, 200));
    snapshot.cohorts.extend(std::iter::repeat_n(row, 200));
    snapshot.setting = Arc::new(setting);
    snapshot.devices.listed = u64::MAX;
    snapshot.devices.provisioned = u64::MAX / 8;
    snapshot.devices.refused = u64::MAX / 8;
    snapshot.live.waiting = u64::MAX;
    snapshot.live.live = u64::MAX;
    snapshot.telemetry.sent = u64::MAX;
    snapshot.telemetry.acked = u64::MAX;
    snapshot.telemetry.lost = u64::MAX;
    snapshot.starts.late = u64::MAX;
    snapshot.starts.dropped = u64::MAX;
    snapshot.provisioned_rate.now = 1e18;
    snapshot.verdict = crate::metrics::GeneratorVerdict::Invalid;
    snapshot.reasons = vec![evil.clone(); 3];
    snapshot.elapsed = Duration::from_hours(9_999);
    snapshot.remaining = None;
    for row in &mut snapshot.phases {
        (row.count, row.errors, row.alarming) = (u64::MAX, u64::MAX, u64::MAX);
        row.response.max = 3_600_000_000;
        row.bars.0[0] = u64::MAX / 2;
        row.bars.0[95] = u64::MAX / 2;
    }
    let row = snapshot.errors[0].clone();
    snapshot.errors.extend(std::iter::repeat_n(row, 200));
    snapshot.errors[0].count = u64::MAX;
    snapshot.errors[1].cause = "time_to_first_telemetry.answer_without_credentials".to_owned();
    snapshot
}

/// On a tab, with a log.
fn on(tab: usize) -> State {
    let log = LogTail::default();
    for n in 0..60 {
        let (level, text) = match n {
            57 => ("WARN", "asked to stop signal=\"SIGTERM\" stop=Winding"),
            58 => ("ERROR", "the ledger cannot write: no space left on device"),
            _ => ("INFO", "run starts scenario=line-3-night-shift seed=42"),
        };
        log.feed(
            &format!("2026-11-23T02:22:{n:02}.000Z {level:>5} {text}\n"),
            n != 58,
        );
    }
    let mut state = state(false);
    state.show(Arc::new(half_way()), || log.view());
    state.press(Key::Tab(tab));
    state
}

#[test]
fn each_tab_at_each_size() {
    for (n, tab) in Tab::ALL.into_iter().enumerate() {
        for (width, height) in [(60, 20), (80, 24), (120, 40), (200, 50)] {
            let name = format!("{}_at_{width}x{height}", tab.as_str());
            insta::assert_snapshot!(name, screen(&half_way(), &on(n), width, height));
        }
    }
}

#[test]
fn in_ascii_no_cell_is_beyond_it_whatever_is_drawn() {
    let state_of = |n| {
        let mut state = on(n);
        state.options.ascii = true;
        state
    };
    for n in 0..Tab::ALL.len() {
        for snapshot in [half_way(), hostile()] {
            for (width, height) in [(40, 10), (60, 20), (200, 50)] {
                let text = screen(&snapshot, &state_of(n), width, height);
                assert!(text.is_ascii(), "{text}");
            }
        }
    }
    insta::assert_snapshot!(
        "latency_in_ascii",
        screen(&half_way(), &state_of(1), 80, 24)
    );
    insta::assert_snapshot!(
        "overview_in_ascii",
        screen(&half_way(), &state_of(0), 80, 24)
    );
}

#[test]
fn thresholds_are_told_by_sign_and_word_and_those_that_are_broken_come_first() {
    let mut snapshot = half_way();
    let text = screen(&snapshot, &state(false), 80, 24);
    assert!(
        text.contains("✓ holding time_to_provision.p99 < 500ms"),
        "{text}"
    );
    assert!(
        text.contains("✗ broken  devices.provisioned >= 99.9%"),
        "{text}"
    );
    assert!(text.contains("thresholds ✗1 ✓1"), "{text}");
    let holding = snapshot.thresholds[0].clone();
    snapshot
        .thresholds
        .splice(0..0, std::iter::repeat_n(holding, 50));
    for (width, height) in [(60, 20), (80, 24), (200, 50)] {
        let text = screen(&snapshot, &state(false), width, height);
        assert!(text.contains("✗ broken  devices"), "{text}");
    }
}

#[test]
fn a_hostile_run_at_80x24() {
    insta::assert_snapshot!(screen(&hostile(), &state(false), 80, 24));
}

#[test]
fn a_hostile_run_at_200x50() {
    insta::assert_snapshot!(screen(&hostile(), &state(false), 200, 50));
}

#[test]
fn a_run_of_misbehaving_devices_at_80x38() {
    insta::assert_snapshot!(screen(&negative(), &state(false), 80, 38));
}

#[test]
fn a_run_of_misbehaving_devices_at_200x40() {
    insta::assert_snapshot!(screen(&negative(), &state(false), 200, 40));
}

#[test]
fn what_devices_hear_has_a_line_when_there_is_something() {
    let mut snapshot = half_way();
    assert!(!screen(&snapshot, &state(false), 80, 24).contains("heard"));
    let pushes = PushCounts {
        received: 1_200,
        lost: 3,
        ..PushCounts::default()
    };
    snapshot.downlink = DownlinkCounts {
        attributes: pushes,
        rpc: pushes,
        replies: ReplyCounts {
            acked: 1_199,
            ..ReplyCounts::default()
        },
        ..DownlinkCounts::default()
    };
    let shown = screen(&snapshot, &state(false), 80, 24);
    let line = shown.lines().find(|line| line.contains("heard"));
    assert_eq!(
        line,
        Some(" heard: attributes 1,200  calls 1,200  lost 6  refused 0  answers 1,199  lost 0")
    );
    assert!(shown.contains("Response times"));
}

/// The texts of the cells that want attention.
fn alarming(snapshot: &Snapshot) -> String {
    let terminal = drawn(snapshot, &state(true), 200, 40);
    let cells = terminal.backend().buffer().content().iter();
    let vermilion = |cell: &&ratatui::buffer::Cell| cell.fg == Color::Indexed(theme::BAD);
    cells
        .filter(vermilion)
        .map(ratatui::buffer::Cell::symbol)
        .collect()
}

#[test]
fn devices_that_are_refused_as_expected_do_not_alarm() {
    let mut snapshot = negative();
    let mut setting = Setting::clone(&snapshot.setting);
    setting.notes.clear();
    snapshot.setting = Arc::new(setting.clone());
    // The one that was barred.
    snapshot.cohorts[2].devices.refused = 0;
    snapshot.errors.retain(|row| row.expected);
    let expected: Vec<&str> = snapshot.errors.iter().map(|e| e.cause.as_str()).collect();
    assert_eq!(
        expected,
        [
            "provision.not_found",
            "provision.failure",
            "tls_handshake.tls_alert_45"
        ]
    );
    assert_eq!(alarming(&snapshot), "");
    // The same figures of devices that were to be provisioned.
    for cohort in &mut setting.cohorts {
        cohort.misbehaviour = None;
    }
    snapshot.setting = Arc::new(setting);
    let text = alarming(&snapshot);
    assert!(
        text.contains("refused") && text.contains("failed"),
        "{text}"
    );
}

#[test]
fn a_wrong_secret_that_is_accepted_alarms() {
    let mut snapshot = negative();
    snapshot.cohorts[1].devices.refused -= 1;
    snapshot.cohorts[1].devices.provisioned += 1;
    let text = alarming(&snapshot);
    assert!(text.contains("provisioned"), "{text}");
}

#[test]
fn a_refusal_elsewhere_makes_refusals_alarming() {
    let (mut aggregate, _) = fixture::negative();
    let mut recorder = crate::metrics::Recorder::new(5);
    let cause = crate::model::Cause::At(
        crate::model::Phase::Provision,
        crate::model::FaultKind::Failure,
    );
    recorder.outcome(fixture::METERS, Outcome::Refused, Some(cause));
    aggregate.add(&recorder);
    let snapshot = aggregate.tick(Duration::ZERO);
    for row in &snapshot.errors {
        let alarms = row.cause.starts_with("provision.");
        assert_eq!(row.expected, !alarms, "{}", row.cause);
    }
    assert_eq!(snapshot.alarming(Outcome::Refused), 2);
}

#[test]
fn help_over_a_run_that_winds_down() {
    insta::assert_snapshot!(screen(
        &half_way(),
        &pressed(&[Key::Quit, Key::Yes, Key::Help]),
        80,
        24
    ));
}

#[test]
fn a_steered_run_says_so_in_its_title_and_what_is_left_of_it() {
    let mut snapshot = half_way();
    let title = |snapshot: &Snapshot| {
        let text = screen(snapshot, &state(false), 80, 24);
        let mut lines = text.lines();
        (
            lines.next().unwrap().to_owned(),
            lines.next().unwrap().to_owned(),
        )
    };
    snapshot.steering.factor = 2.0;
    assert!(title(&snapshot).0.ends_with("running ×2"));
    snapshot.steering.factor = 0.0625;
    assert!(title(&snapshot).0.ends_with("running ×0.0625"));
    (snapshot.steering.paused, snapshot.remaining) = (true, None);
    let (first, second) = title(&snapshot);
    assert!(first.ends_with("arrivals PAUSED"), "{first}");
    assert!(second.ends_with("paused"), "{second}");
    snapshot.steering.winding = true;
    assert!(title(&snapshot).0.ends_with("winding down"));
}

#[test]
fn the_end_is_asked_for() {
    insta::assert_snapshot!(screen(&half_way(), &pressed(&[Key::Quit]), 80, 24));
    let text = screen(&half_way(), &pressed(&[Key::Interrupt, Key::Quit]), 60, 20);
    assert!(
        text.contains("stop now") && !text.contains("wind down:"),
        "{text}"
    );
}

#[test]
fn before_the_first_device() {
    let snapshot = Aggregate::new(fixture::setting()).tick(Duration::ZERO);
    insta::assert_snapshot!(screen(&snapshot, &state(false), 80, 24));
}

#[test]
fn a_terminal_too_small_shows_what_matters_and_how_large_it_must_be() {
    let text = screen(&half_way(), &state(false), 40, 10);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let expected = [
        "495/1,000 ok, 5 not, 30 s left",
        "running",
        "generator ✓ valid",
        "✗ 1 thresholds broken",
        "too small: 40x10, needs 60x20",
        "Ctrl-C ends the run",
    ];
    assert_eq!(lines, expected);
    assert_eq!(
        screen(&half_way(), &state(false), 20, 1).trim_end(),
        "495/1,000 ok, 5 not,"
    );
}

#[test]
fn every_number_that_matters_is_on_80x24() {
    let text = screen(&half_way(), &state(false), 80, 24);
    for part in [
        "line-3-night-shift",
        "mqtts 127.0.0.1:8883",
        "open",
        "running",
        "30 s left",
        "not started",
        "bringing up",
        "live",
        "provisioned",
        "refused",
        "failed",
        "unknown",
        "unfinished",
        "late 2",
        "dropped 0",
        "lag p99",
        "sent ",
        "acked ",
        "lost ",
        "p99.9",
        "max",
        "time_to_provision",
        "provision.failure",
        "reconnect.connack_5",
        "q end",
        "? help",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn no_size_makes_it_panic_and_nothing_acts_on_the_terminal() {
    let mut states = vec![
        pressed(&[Key::Help]),
        pressed(&[Key::Quit]),
        pressed(&[Key::Freeze, Key::Interrupt, Key::Interrupt]),
    ];
    states.extend((0..Tab::ALL.len()).map(on));
    for snapshot in [half_way(), hostile()] {
        for width in [1, 2, 59, 60, 79, 80, 139, 140, 220] {
            for height in [1, 2, 19, 20, 24, 35, 36, 60] {
                for state in &states {
                    let text = screen(&snapshot, state, width, height);
                    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
                    assert!(!text.contains('\u{202e}'));
                }
            }
        }
    }
}

#[test]
fn without_colour_not_a_cell_has_one() {
    for (color, expected) in [(false, false), (true, true)] {
        let terminal = drawn(&half_way(), &state(color), 80, 24);
        let cells = terminal.backend().buffer().content();
        let any = cells
            .iter()
            .any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset));
        assert_eq!(any, expected);
    }
}

#[test]
fn the_title_says_what_the_keys_did() {
    for (keys, word) in [
        (&[Key::Freeze][..], "FROZEN at 30 s"),
        (&[Key::Quit], "running"),
        (&[Key::Quit, Key::Yes], "winding down"),
        (&[Key::Interrupt, Key::Interrupt], "stopping"),
        (&[Key::Freeze, Key::Freeze], "running"),
    ] {
        let text = screen(&half_way(), &pressed(keys), 80, 24);
        let title = text.lines().next().expect("a title");
        assert!(title.ends_with(word), "{title}");
    }
}

#[test]
fn what_is_behind_gateways_is_told_beside_the_devices() {
    let mut snapshot = half_way();
    (snapshot.gateway.sub_devices, snapshot.gateway.connected) = (20_000, 19_998);
    let title = |snapshot: &Snapshot| {
        let screen = screen(snapshot, &state(false), 80, 24);
        screen.lines().nth(3).unwrap().to_owned()
    };
    assert!(title(&snapshot).starts_with("─ Devices: 1,000, behind them 20,000 ──"));
    snapshot.gateway.connects.sent = 20_100;
    assert!(title(&snapshot).starts_with("─ Devices: 1,000, behind 19,998/20,000 ──"));
}
