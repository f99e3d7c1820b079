//! The dashboard on a real pseudo-terminal: what it shows, and how it leaves the terminal.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{python, root, succeed};

pub(crate) const LONG: &str = r#"
    name = "on-a-terminal"
    [target]
    embedded = true
    [devices]
    generate = { count = 2000, kind = "mac" }
    [arrival]
    model = "open"
    stages = [{ duration = "60s", rate = 50 }]
    [telemetry]
    interval = "500ms"
"#;

/// Runs the scenario on a terminal of this size, acts once `text` was drawn, and tells the rest.
fn on_terminal(size: (u16, u16), text: &str, action: &str, extra: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    run_on_terminal(dir.path(), LONG, (size, text, action), extra)
}

/// Runs a scenario with its results in `out` below a directory; at a size, once a text was drawn, an
/// action.
pub(crate) fn run_on_terminal(
    dir: &Path,
    scenario: &str,
    (size, text, action): ((u16, u16), &str, &str),
    extra: &[&str],
) -> Value {
    let file = dir.join("scenario.toml");
    std::fs::write(&file, scenario).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.current_dir(root()).arg("run").arg(&file);
    command.arg("--out").arg(dir.join("out")).args(extra);
    command_on_terminal(&command, (size, text, action))
}

/// The same of any command of fleetcall's.
pub(crate) fn command_on_terminal(
    command: &Command,
    (size, text, action): ((u16, u16), &str, &str),
) -> Value {
    let mut peer = python();
    peer.current_dir(root()).arg("tests/peers/terminal.py");
    peer.args([size.0.to_string(), size.1.to_string()])
        .args([text, action]);
    peer.arg(command.get_program()).args(command.get_args());
    let set = command.get_envs();
    peer.envs(set.filter_map(|(name, value)| Some((name, value?))));
    peer.env_remove("NO_COLOR");
    serde_json::from_slice(&succeed(&mut peer).stdout).unwrap()
}

fn assert_left_sane(seen: &Value) {
    for promise in ["acted", "settings_kept", "entered", "left", "cursor"] {
        assert_eq!(seen[promise], true, "{promise}: {}", seen["drawn"]);
    }
}

#[test]
fn q_and_y_wind_down_report_and_give_the_terminal_back() {
    let seen = on_terminal((80, 24), "time_to_provision", "key:qy", &[]);
    assert_left_sane(&seen);
    assert_eq!(seen["code"], 130);
    let drawn = seen["drawn"].as_str().unwrap();
    // A screen that a killed run left is no part of the picture.
    assert!(drawn.contains("\x1b[?1049h\x1b[2J"), "{drawn}");
    let after = &drawn[drawn.rfind("\x1b[?1049l").unwrap()..];
    assert!(
        after.contains("INTERRUPTED") && after.contains("credentials.csv"),
        "{after}"
    );
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in ["SIGTERM", "SIGHUP", "SIGINT"] {
        let seen = on_terminal(
            (200, 50),
            "time_to_provision",
            &format!("signal:{signal}"),
            &[],
        );
        assert_left_sane(&seen);
        assert_eq!(seen["code"], 130, "{signal}");
    }
}

#[test]
fn plain_lines_are_plain() {
    let seen = on_terminal((80, 24), "provisioned", "signal:SIGINT", &["--ui", "plain"]);
    assert_eq!(seen["entered"], false);
    let drawn = seen["drawn"].as_str().unwrap();
    let progress = drawn.split("INTERRUPTED").next().unwrap();
    let before_verdict = progress.trim_end_matches("\x1b[1;31m");
    assert!(
        !before_verdict
            .trim_end_matches(|c: char| c != '\n')
            .contains('\x1b'),
        "{drawn}"
    );
}
