//! Servers that stall, lie, are out of order or let nobody in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

/// A server that answers each connection so; its address.
fn server(answer: impl Fn(&mut TcpStream, &str) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = request(&mut stream).unwrap_or_default();
            answer(&mut stream, &request);
        }
    });
    url
}

/// A whole request: closing with some of it unread would reset the connection.
fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {
        let line = head.lines().last().unwrap_or_default().to_lowercase();
        if let Some(told) = line.strip_prefix("content-length: ") {
            length = told.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(head)
}

fn ask(url: &str, args: &[&str]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lot.csv"), list(1)).unwrap();
    fs::set_permissions(
        dir.path().join("lot.csv"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let mut command = admin(dir.path(), &["import", "lot.csv", "--url", url]);
    Said::by(command.args(args).spawn().unwrap())
}

#[test]
fn nobody_there_or_nobody_who_answers_is_exit_code_5() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let stalled = server(|_, _| std::thread::park());
    let closing = server(|_, _| ());
    for url in [format!("http://{free}"), stalled, closing] {
        let said = ask(&url, &["--timeout", "300ms"]);
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(
            said.err.contains(&url) && said.err.contains("help: "),
            "{said:?}"
        );
    }
}

#[test]
fn what_is_no_thingsboard_is_said_to_be_none() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n<html>Sign in</html>\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        // An answer without an end.
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
            " ".repeat(40 << 20)
        ),
    ] {
        let url = server(move |stream, _| drop(stream.write_all(answer.as_bytes())));
        let said = ask(&url, &[]);
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(said.err.lines().count() < 5, "{said:?}");
    }
}

#[test]
fn a_servers_words_move_no_cursor_and_have_an_end() {
    let words = format!("{{\"message\":\"\\u001b[2Jgone{}\"}}", "x".repeat(5000));
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{words}",
        words.len()
    );
    let url = server(move |stream, _| drop(stream.write_all(answer.as_bytes())));
    let said = ask(&url, &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("403 Forbidden") && said.err.contains("gone"),
        "{said:?}"
    );
    assert!(
        !said.err.contains('\u{1b}') && said.err.len() < 1000,
        "{said:?}"
    );
}

/// A server without devices that lets anybody in; an import is answered so, or cut off.
fn importing(answer: Option<&'static str>) -> String {
    server(move |stream, request| {
        let (status, body) = match request {
            login if login.starts_with("POST /api/auth") => {
                ("200 OK", r#"{"token":"t","refreshToken":"r"}"#)
            }
            import if import.starts_with("POST /api/device/bulk_import") => match answer {
                Some(answer) => ("200 OK", answer),
                None => return,
            },
            _ => (
                "404 Not Found",
                r#"{"status":404,"message":"none","errorCode":32}"#,
            ),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        drop(stream.write_all(answer.as_bytes()));
    })
}

#[test]
fn an_import_whose_answer_is_wrong_or_missing_is_not_believed_and_can_go_on() {
    for (answer, code, words) in [
        (
            Some(r#"{"created":2,"updated":0,"errors":0,"errorsList":[]}"#),
            1,
            "tells what became of 2 rows, and was sent 1",
        ),
        (
            Some(r#"{"created":"many"}"#),
            5,
            "not what ThingsBoard says",
        ),
        (None, 5, "gave no answer"),
    ] {
        let said = ask(&importing(answer), &[]);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
        let help = "lot.csv.import.jsonl knows how far it is: the same command goes on";
        assert!(said.err.contains(help), "{said:?}");
        assert!(!said.out.contains("created"), "{said:?}");
    }
    let errors = r#"{"created":0,"updated":0,"errors":1,"errorsList":["what \u001b[2J is this"]}"#;
    let said = ask(&importing(Some(errors)), &[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("lot.csv:2: what [2J is this"), "{said:?}");
}

#[test]
fn a_wrong_password_is_told_and_shown_nowhere() {
    let desk = Desk::new("");
    let mut command = desk.command(&["setup", "--profile", "p", "--strategy", "allow", "--print"]);
    let wrong = Said::by(
        command
            .env("FLEETCALL_TB_PASSWORD", "not-it-at-all")
            .spawn()
            .unwrap(),
    );
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.err.contains("FLEETCALL_TB_PASSWORD") && !wrong.err.contains("not-it-at-all"),
        "{wrong:?}"
    );
    desk.put("password", &format!("{PASSWORD}\n"));
    let mut command = desk.command(&["setup", "--profile", "p", "--strategy", "allow", "--print"]);
    command.env_remove("FLEETCALL_TB_PASSWORD");
    let none = Said::by(command.spawn().unwrap());
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("--password-file"), "{none:?}");
    command.args(["--password-file", "password"]);
    assert_eq!(Said::by(command.spawn().unwrap()).code, Some(0));
}

#[test]
fn a_key_lets_in_where_the_server_has_one() {
    let desk = Desk::new("[rest]\napi_key = \"tb_Kf93kd\"\n");
    let mut command = desk.command(&["setup", "--profile", "p", "--strategy", "allow", "--print"]);
    command
        .env_remove("FLEETCALL_TB_PASSWORD")
        .env_remove("FLEETCALL_TB_USER");
    command.env("FLEETCALL_TB_API_KEY", "tb_Kf93kd");
    assert_eq!(Said::by(command.spawn().unwrap()).code, Some(0));
    command.env("FLEETCALL_TB_API_KEY", "tb_other");
    let wrong = Said::by(command.spawn().unwrap());
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.err.contains("FLEETCALL_TB_API_KEY") && !wrong.err.contains("tb_other"),
        "{wrong:?}"
    );
}

#[test]
fn tokens_that_end_in_mid_import_and_refusals_that_pass_lose_no_row() {
    let desk = Desk::new("[rest]\ntoken_life = \"1s\"\nunavailable = 0.2\n");
    desk.put("lot.csv", &list(300));
    let said = desk.passes(&["import", "lot.csv", "--chunk-rows", "50"]);
    assert_eq!(said.out, "lot.csv: 300 rows: 300 created\n");
    desk.passes(&[
        "verify",
        "lot.csv",
        "--profile",
        "default",
        "--expect",
        "imported",
    ]);
    desk.passes(&["clean", "lot.csv", "--yes"]);
}
