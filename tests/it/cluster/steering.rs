//! A run over workers that is steered by keys at its coordinator.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Field, ended};
use crate::nats::Servers;
use crate::steering::Steered;
use crate::terminal::command_on_terminal;

const LIST: &str = "generate = { count = 2000, kind = \"mac\" }";

/// 20 devices a second.
const ARRIVAL: &str =
    "[arrival]\nstages = [{ duration = \"100s\", rate = 20 }]\n[telemetry]\ninterval = \"1s\"\n";

/// Leads a run on a terminal and does each action so many seconds after the one before, the first after a text.
fn led(field: &Field, out: &str, text: &str, steps: &[(f64, &str)]) -> Value {
    let script = format!("script:{}", json!(steps));
    let command = field.leading(out, "steered", 2);
    command_on_terminal(&command, ((80, 24), text, &script))
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_follow_the_keys_and_a_coordinator_that_is_started_again_knows_of_them() {
    let field = Field::of(Servers::one(""), LIST, ARRIVAL).await;
    let _workers = ["a", "b"].map(|name| field.worker(name, "steered"));
    let faster = [(1.0, "key:+"), (1.0, "key:p"), (1.5, "signal:SIGKILL")];
    led(&field, "killed", "time_to_provision", &faster);
    // The workers keep the pause without it: at 40 a second these would be 80.
    let at_the_kill = field.target.counts().provisioned;
    sleep(Duration::from_secs(2)).await;
    let meanwhile = field.target.counts().provisioned - at_the_kill;
    assert!(meanwhile < 20, "{meanwhile} in the pause");

    let on = [(2.5, "key:p"), (4.0, "key:q"), (0.3, "key:y")];
    let seen = led(&field, "again", "PAUSED", &on);
    let ran = Steered::left(seen, &field.out("again"));
    let changes = ran.changes();
    let words: Vec<&str> = changes.iter().map(|(_, word)| *word).collect();
    assert_eq!(words, ["rate", "pause", "resume", "stop"]);
    let told = "steered before this process led the run: arrivals paused";
    assert!(ran.log.contains(told), "{}", ran.log);
    let (pause, resume, stop) = (changes[1].0, changes[2].0, changes[3].0);
    let (due, seconds) = ran.per_second("due", (resume, stop));
    assert!(seconds > 1 && (due - 40.0).abs() < 1.1, "{due} a second");
    let (started, _) = ran.per_second("started", (resume, stop));
    assert!((started - 40.0).abs() < 14.0, "{started} a second");
    // Nobody is late for it.
    let latest = ran.summary["lag_us"]["max"].as_f64().unwrap() / 1e6;
    assert!(latest < (resume - pause) / 2.0, "{latest} s late");

    // Who reads the log again is told of it, too.
    ended(field.coordinator("read", "steered", 2), 130);
    let read = field.summary("read");
    for key in ["steering", "schedule_digest", "devices", "histograms"] {
        assert_eq!(read[key], ran.summary[key], "{key}");
    }
    assert!(
        read["notes"].to_string().contains("steered by hand"),
        "{}",
        read["notes"]
    );
}
