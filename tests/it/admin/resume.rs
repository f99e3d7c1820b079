//! Imports that are broken off and begun again: every row once.

use super::*;
use crate::support::eventually;

/// The rows that the journal says are being sent, part by part.
fn parts(desk: &Desk) -> usize {
    let journal = fs::read_to_string(desk.path("lot.csv.import.jsonl")).unwrap_or_default();
    journal
        .lines()
        .filter(|line| line.starts_with("{\"done\""))
        .count()
}

const ROWS: u32 = 4000;

fn with_a_lot() -> Desk {
    // The server's refusals slow the import down enough to be caught in its middle.
    let desk = Desk::new("[rest]\nunavailable = 0.01\n");
    desk.put("lot.csv", &list(ROWS));
    desk
}

const IMPORT: [&str; 4] = ["import", "lot.csv", "--chunk-rows", "200"];

fn complete(desk: &Desk) {
    let said = desk.passes(&IMPORT);
    assert!(said.out.starts_with("lot.csv: 4000 rows: "), "{said:?}");
    assert!(said.out.contains("done before"), "{said:?}");
    let count = |what: &str| -> u64 {
        let part = said
            .out
            .trim()
            .split([':', ','])
            .find(|part| part.ends_with(what));
        part.map_or(0, |part| {
            part.split_whitespace().next().unwrap().parse().unwrap()
        })
    };
    assert_eq!(
        count("created") + count("done before"),
        u64::from(ROWS),
        "{said:?}"
    );
    assert_eq!(desk.devices(), u64::from(ROWS));
    desk.passes(&[
        "verify",
        "lot.csv",
        "--profile",
        "default",
        "--expect",
        "imported",
    ]);
}

#[test]
fn an_import_that_was_killed_goes_on_and_sends_no_row_twice() {
    let desk = with_a_lot();
    let mut child = desk.command(&IMPORT).spawn().unwrap();
    eventually(|| parts(&desk) >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = parts(&desk);
    assert!(before < 20, "it was to be caught in its middle");
    complete(&desk);
}

#[test]
fn an_interrupt_finishes_the_part_and_says_how_to_go_on() {
    let desk = with_a_lot();
    let child = desk.command(&IMPORT).spawn().unwrap();
    eventually(|| parts(&desk) >= 2);
    let pid = child.id().to_string();
    succeed(Command::new("kill").args(["-INT", &pid]));
    let stopped = Said::by(child);
    assert_eq!(stopped.code, Some(130), "{stopped:?}");
    assert!(
        stopped.out.contains("stopped; the same command goes on"),
        "{stopped:?}"
    );
    let journal = desk.text("lot.csv.import.jsonl");
    assert!(
        journal.lines().last().unwrap().starts_with("{\"done\""),
        "no part is in doubt"
    );
    complete(&desk);
}

#[test]
fn an_answer_that_was_lost_is_no_second_import() {
    let desk = Desk::new("");
    desk.put("lot.csv", &list(3));
    desk.passes(&["import", "lot.csv"]);
    let token = desk.token("00:1B:C5:00:00:01");
    // As if the answer had been lost: the journal ends with what was sent.
    let journal = desk.text("lot.csv.import.jsonl");
    let sent: Vec<&str> = journal.lines().take(2).collect();
    desk.put("lot.csv.import.jsonl", &(sent.join("\n") + "\n"));
    let said = desk.passes(&["import", "lot.csv"]);
    assert_eq!(said.out, "lot.csv: 3 rows: 3 created\n");
    assert_eq!(
        desk.token("00:1B:C5:00:00:01"),
        token,
        "it was not written anew"
    );
}
