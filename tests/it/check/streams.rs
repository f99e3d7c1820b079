//! Where lists come from and findings go to: files, pipes, terminals, and a user who has seen
//! enough.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{BAD, Desk, GOOD, said};
use crate::support::{Process, program, python, root, succeed};

#[test]
fn findings_go_to_a_file_that_is_never_a_list_nor_another_file() {
    let desk = Desk::new(&[("bad.csv", BAD), ("precious.txt", "precious")]);
    let said = desk.check(&["bad.csv", "--format", "json", "-o", "out.json"]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (Some(2), "", "")
    );
    let report: Value = serde_json::from_str(&desk.text("out.json")).unwrap();
    assert_eq!(report["summary"]["error"], 1);

    for args in [
        ["bad.csv", "-o", "precious.txt"],
        ["bad.csv", "-o", "out.json"],
    ] {
        let said = desk.check(&args);
        assert_eq!(said.code, Some(2));
        assert!(said.err.contains("--force"), "{said:?}");
    }
    assert_eq!(desk.text("precious.txt"), "precious");
    let forced = desk.check(&["bad.csv", "-o", "precious.txt", "--force"]);
    assert_eq!(forced.code, Some(2));
    assert!(desk.text("precious.txt").starts_with("1 list, 2 devices"));

    std::os::unix::fs::symlink("bad.csv", desk.path("link.csv")).unwrap();
    for output in ["bad.csv", "./bad.csv", "link.csv"] {
        let said = desk.check(&["bad.csv", "--force", "-o", output]);
        assert_eq!(said.code, Some(2));
        assert!(said.err.contains("is one of the lists"), "{said:?}");
    }
    assert_eq!(desk.text("bad.csv"), BAD);
    let said = desk.check(&["bad.csv", "-o", "no/such/place.txt"]);
    assert!(
        said.code == Some(2) && said.err.contains("no/such/place.txt"),
        "{said:?}"
    );
    let nothing = desk.check(&["bad.csv", "-o", "/dev/null"]);
    assert_eq!((nothing.code, nothing.err.as_str()), (Some(2), ""));
}

#[test]
fn standard_input_is_a_list_as_well() {
    let desk = Desk::new(&[("bad.csv", BAD), ("empty.csv", "")]);
    let piped = |args: &str| {
        let fleetcall = env!("CARGO_BIN_EXE_fleetcall");
        let line = format!("cat bad.csv | {fleetcall} check {args}");
        let mut shell = Command::new("bash");
        said(shell.args(["-c", &line]).current_dir(desk.path("")))
    };
    let of_pipe = piped("-");
    assert_eq!(of_pipe.code, Some(2));
    assert!(of_pipe.out.contains("stdin:4:"), "{of_pipe:?}");
    assert_eq!(
        of_pipe.out,
        desk.check(&["bad.csv"]).out.replace("bad.csv", "stdin")
    );
    // A list that is read to be compared with another would be gone.
    let of_two = piped("--fail-on never - empty.csv <(cat bad.csv)");
    assert!(of_two.out.starts_with("3 lists, 4 devices"), "{of_two:?}");
    for option in ["--fix", "--split"] {
        let refused = piped(&format!("- {option} out.csv"));
        assert_eq!(refused.code, Some(2));
        assert!(
            refused.err.contains("standard input") && refused.err.contains("help:"),
            "{refused:?}"
        );
    }
    let refused = piped("--fix out.csv <(cat bad.csv)");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused
            .err
            .contains("not a file, and the list must be read twice"),
        "{refused:?}"
    );
    assert_eq!(desk.files(), ["bad.csv", "empty.csv"]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_fault() {
    let desk = Desk::new(&[]);
    desk.put(
        "bad.csv",
        format!("name\n{}", "a;b\n".repeat(100_000)).as_bytes(),
    );
    for format in ["text", "json", "sarif", "junit"] {
        let mut child = desk
            .command(&["bad.csv", "--format", format, "--max-findings", "100000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        drop(output);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{format}");
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "{format}");
    }
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let desk = Desk::new(&[]);
    let fifo = desk.path("fifo.csv");
    succeed(program("mkfifo").arg(&fifo));
    let child = desk
        .command(&["fifo.csv", "-o", "out.txt"])
        .spawn()
        .unwrap();
    let mut child = Process(child);
    // Opens once the other side reads.
    let mut list = OpenOptions::new().write(true).open(&fifo).unwrap();
    list.write_all(GOOD.as_bytes()).unwrap();
    kill(
        Pid::from_raw(i32::try_from(child.0.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let status = child.0.wait().unwrap();
    // A shell says 130.
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32));
    drop(list);
    assert_eq!(desk.files(), ["fifo.csv"]);
}

#[test]
fn text_is_coloured_on_a_terminal_alone_and_fits_it() {
    let desk = Desk::new(&[("bad.csv", BAD)]);
    let on_terminal = |columns: &str, no_color: bool| {
        let mut command = python();
        command.current_dir(desk.path("")).env_remove("NO_COLOR");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command.arg(root().join("tests/peers/terminal.py"));
        command.args([
            columns,
            "24",
            "-",
            "nothing",
            env!("CARGO_BIN_EXE_fleetcall"),
        ]);
        command.args(["check", "bad.csv"]);
        let seen: Value = serde_json::from_slice(&succeed(&mut command).stdout).unwrap();
        assert_eq!(seen["code"], 2);
        seen["drawn"].as_str().unwrap().replace("\r\n", "\n")
    };
    assert!(on_terminal("80", false).contains("\x1b[1;38;5;208merror cells\x1b[0m (1): "));
    for (columns, wide) in [("80", 80), ("118", 118), ("60", 60), ("300", 120)] {
        let drawn = on_terminal(columns, true);
        assert!(!drawn.contains('\x1b'), "{drawn:?}");
        let longest = drawn
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        assert!(
            longest <= wide && longest > wide / 2,
            "{longest} of {wide}:\n{drawn}"
        );
    }
    // Off a terminal its width does not count, whatever the environment says.
    let piped = desk.check(&["bad.csv"]).out;
    let mut other = desk.command(&["bad.csv"]);
    assert_eq!(
        said(other.env("COLUMNS", "60").env("TERM", "dumb")).out,
        piped
    );
    assert!(!piped.contains('\x1b'));
    fs::remove_file(desk.path("bad.csv")).unwrap();
}
