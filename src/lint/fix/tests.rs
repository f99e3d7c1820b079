use std::fs;

use proptest::prelude::*;

use super::*;
use crate::lint::{Checked, Options, Repair, Rule, Severity};

/// A list's path in a directory of its own.
pub(in crate::lint) fn list(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// The list repaired, as text, the changes, and the rest.
fn fixed(bytes: &[u8]) -> Result<(String, String, Fixed), FixError> {
    let (list, changes, fixed) = repaired(bytes)?;
    Ok((String::from_utf8(list).unwrap(), changes, fixed))
}

fn repaired(bytes: &[u8]) -> Result<(Vec<u8>, String, Fixed), FixError> {
    let (dir, path) = list(bytes);
    let to = dir.path().join("out.csv");
    let fixed = fix(&path, &to, &Options::default(), false)?;
    assert_eq!(fs::read(&path).unwrap(), bytes, "the input is left alone");
    Ok((
        fs::read(&to).unwrap(),
        fs::read_to_string(&fixed.changes).unwrap(),
        fixed,
    ))
}

/// The rules with findings that `--fix` was to leave nothing of.
fn left(checked: &Checked) -> Vec<Rule> {
    let rules = checked.rules().into_iter();
    rules
        .filter(|rule| rule.repair() == Repair::Automatic)
        .collect()
}

#[test]
fn a_spreadsheets_export_becomes_a_list() {
    let (text, changes, fixed) = fixed(
        "\u{feff} NAME;Access Token;note\r\n\r\nA1;t1;\"two\r\nlines\"\r\n;;\r\nA2,t2,x\nA3;t3"
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(
        text,
        "NAME,ACCESS_TOKEN,note\nA1,t1,two lines\nA2,t2,x\nA3,t3\n"
    );
    assert_eq!(
        changes,
        "line,record,column,old,new,rule\n\
         1,, NAME, NAME,NAME,header-spelling\n\
         1,,Access Token,Access Token,ACCESS_TOKEN,header-spelling\n\
         3,1,note,\"two\nlines\",two lines,cell-line-break\n\
         5,2,,,(row removed),blank-row\n\
         6,3,,\",\",;,delimiter\n"
    );
    assert_eq!(fixed.changed, 5);
    assert_eq!(left(&fixed.checked), []);
    // Two cells where the header has three: somebody must decide.
    assert_eq!(fixed.checked.total(Rule::Cells), 1);
}

#[test]
fn a_mark_below_blank_lines_does_not_become_one() {
    let (text, _, fixed) = fixed("\n\u{feff}\u{feff}serial,name\nx,A1\n".as_bytes()).unwrap();
    assert_eq!(text, "serial,name\nx,A1\n");
    assert_eq!(fixed.by_rule.get(&Rule::Bom), Some(&1));
}

#[test]
fn the_changes_hide_secrets_and_only_the_owner_reads_them() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = list(b"name,ACCESS_TOKEN\nA1,\"secret\nword\"\n");
    let to = dir.path().join("out.csv");
    let fixed = fix(&path, &to, &Options::default(), false).unwrap();
    let changes = fs::read_to_string(&fixed.changes).unwrap();
    assert!(changes.contains("2,1,ACCESS_TOKEN,***,***,cell-line-break"));
    for file in [&to, &fixed.changes] {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn nothing_is_written_over_or_left_out() {
    let (dir, path) = list(b"name,note\nA1,x\n");
    let options = Options::default();
    let to = dir.path().join("out.csv");
    let same = fix(&path, &path, &options, true).unwrap_err();
    assert!(matches!(same, FixError::Same(_)), "{same}");
    fs::write(&to, "precious").unwrap();
    let there = fix(&path, &to, &options, false).unwrap_err();
    assert!(matches!(there, FixError::Unwritable(..)), "{there}");
    assert_eq!(fs::read(&to).unwrap(), b"precious");
    fix(&path, &to, &options, true).unwrap();

    let (dir, path) = list(b"name,note\nA1,\"x\nA2,y\n");
    let unclosed = fix(&path, &dir.path().join("out.csv"), &options, false).unwrap_err();
    assert!(
        matches!(unclosed, FixError::Unreadable(_, 2, _)),
        "{unclosed}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "half a list");
    let (text, _, _) = fixed(b"name;note\nA1;x\"y\nA2;z\n").unwrap();
    assert_eq!(text, "name;note\nA1;x\"y\nA2;z\n");
}

#[test]
fn a_list_too_large_for_a_request_is_written_in_parts() {
    let (dir, path) = list(b"name\nA1\nA2\nA3\nA4\nA5\n");
    let options = Options {
        body_limit: 14,
        ..Options::default()
    };
    let to = dir.path().join("out.csv");
    let fixed = fix(&path, &to, &options, false).unwrap();
    let parts: Vec<_> = fixed
        .outputs
        .iter()
        .map(|part| fs::read_to_string(part).unwrap())
        .collect();
    assert_eq!(parts, ["name\nA1\nA2\n", "name\nA3\nA4\n", "name\nA5\n"]);
    assert!(fixed.outputs[1].ends_with("out.2.csv"));
    assert_eq!(left(&fixed.checked), []);
}

#[test]
fn rows_go_apart_and_none_is_lost() {
    let text = b"name,note\nA1,x\n\nA2,y,z\nA3,\"a\nb\"\nA4,q\"q\nA5,z\nA6,\"open\nA7,x\n";
    let (dir, path) = list(text);
    let to = dir.path().join("out.csv");
    let parted = split(&path, &to, Severity::Damage, &Options::default(), false).unwrap();
    assert_eq!(
        fs::read_to_string(&parted.clean).unwrap(),
        "name,note\nA1,x\nA5,z\n"
    );
    assert_eq!(
        fs::read_to_string(&parted.rejected).unwrap(),
        "name,note\nA2,y,z\nA3,\"a\nb\"\nA4,q\"q\nA6,\"open\nA7,x\n\n"
    );
    assert_eq!((parted.clean_rows, parted.rejected_rows), (2, 4));
}

#[test]
fn no_row_is_called_clean_that_was_not_judged() {
    let (dir, path) = list(b"na\"me,note\nA1,x\nA2\n");
    let to = dir.path().join("out.csv");
    let error = split(&path, &to, Severity::Damage, &Options::default(), false).unwrap_err();
    assert!(matches!(error, FixError::Unreadable(_, 1, _)), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Texts such as lists have, good and bad.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u8..6, 0u8..5).prop_map(|(unit, notation)| match notation {
            0 => format!("00:1B:C5:00:00:{unit:02X}"),
            1 => format!("00-1B-C5-00-00-{unit:02X}"),
            2 => format!("001b.c500.00{unit:02x}"),
            3 => format!("001BC50000{unit:02X}"),
            _ => format!(" 00:1b:c5:00:00:{unit:02x}\u{a0}"),
        }),
        2 => "[a-zA-Z0-9]{0,6}",
        1 => prop::sample::select(vec![
            "", " ", "true", "yes", "1", "FALSE ", "'0012", "=\"0012\"", "=1+1", "<b>x</b>",
            "{{x}}", "a\u{200b}b", "\u{feff}x", "x\u{7}y", "8.96E+19", "x\ty", "a,b", "a;b", "a|b",
            "\u{ff21}1", "АВ", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "name", "a\"b", "line\nbreak", "\0", "'='1", "<<b>>", "{{{{x}}}}", "\t'x",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,5}",
    ]
}

fn header() -> impl Strategy<Value = Vec<String>> {
    let names = [
        "name",
        " NAME",
        "Name\u{a0}",
        "type",
        "label",
        "Access Token",
        "access_token",
        "serial",
        "IS_GATEWAY",
        "is gateway",
        "X509",
        "mac",
        "",
        "a;b",
        "two\nlines",
        "mqtt_user_name",
    ];
    prop::collection::vec(prop::sample::select(names.to_vec()), 1..5)
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn written(header: &[String], rows: &[Vec<String>], delimiter: u8, crlf: bool) -> Vec<u8> {
    let ends = if crlf {
        csv::Terminator::CRLF
    } else {
        csv::Terminator::Any(b'\n')
    };
    let mut writer = csv::WriterBuilder::new()
        .terminator(ends)
        .delimiter(delimiter)
        .flexible(true)
        .from_writer(Vec::new());
    writer.write_record(header).unwrap();
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

/// Lists that may have anything wrong, or anything at all.
pub(in crate::lint) fn lists() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => made(),
        2 => mutated(),
        1 => prop::collection::vec(prop_oneof![
            prop::sample::select(b"\",;\n\r\t|= a1:".to_vec()), any::<u8>()
        ], 0..120),
    ]
}

/// Lists of the repository with bytes taken out, put in or repeated.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/lists");
    let files = fs::read_dir(dir).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    paths.sort_unstable();
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\"",
            "\"\"",
            ",",
            ";",
            "\n",
            "\r",
            "\r\n",
            "\0",
            "\u{feff}",
            "\u{a0}",
            "=",
            "'",
            "name",
            " ",
            "\u{1b}[31m",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    let at = any::<prop::sample::Index>;
    let edits = prop::collection::vec((at(), 0usize..12, piece, any::<bool>()), 0..6);
    (prop::sample::select(paths), edits).prop_map(|(path, edits)| {
        let mut bytes = fs::read(path).unwrap();
        for (at, length, piece, again) in edits {
            let at = at.index(bytes.len() + 1);
            let to = bytes.len().min(at + length);
            let mut new = piece;
            if again {
                new.extend_from_slice(&bytes[at..to].repeat(2));
            }
            bytes.splice(at..to, new);
        }
        bytes
    })
}

fn made() -> impl Strategy<Value = Vec<u8>> {
    let rows = prop::collection::vec(prop::collection::vec(cell(), 1..5), 0..12);
    let delimiter = prop::sample::select(vec![b',', b';', b'\t', b'|']);
    let hits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (
        header(),
        rows,
        delimiter,
        any::<bool>(),
        any::<bool>(),
        hits,
    )
        .prop_map(|(header, mut rows, delimiter, crlf, odd, hits)| {
            if !odd {
                for row in &mut rows {
                    row.resize(header.len(), "x".to_owned());
                }
            }
            let mut bytes = written(&header, &rows, delimiter, crlf);
            for (at, byte) in hits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

/// Repairs, and holds what every repair must hold.
fn hold(bytes: &[u8]) {
    let Ok((list, _, first)) = repaired(bytes) else {
        return;
    };
    let text = String::from_utf8_lossy(&list);
    let unreadable = first.checked.total(Rule::Quote) + first.checked.total(Rule::NotUtf8) > 0;
    let left: Vec<_> = left(&first.checked)
        .into_iter()
        // A row that cannot be read stays as it is, and with another delimiter would be another.
        .filter(|rule| !(unreadable && matches!(rule, Rule::DelimiterOther | Rule::LineEnds)))
        .collect();
    assert!(left.is_empty(), "{left:?} is left in {text:?}");
    let (again, changes, _) = repaired(&list).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(String::from_utf8_lossy(&again), text, "{changes}");
}

proptest! {
    #[test]
    fn what_was_repaired_has_nothing_to_repair(bytes in lists()) {
        hold(&bytes);
    }

    #[test]
    fn every_row_goes_to_one_side(bytes in lists()) {
        let (dir, path) = list(&bytes);
        let to = dir.path().join("out.csv");
        let options = Options::default();
        if let Ok(parted) = split(&path, &to, Severity::Warning, &options, false) {
            let again = crate::lint::check(std::slice::from_ref(&parted.clean), &options).unwrap();
            let of_rows = again.findings.iter().filter(|f| f.place.record.is_some());
            let lost: Vec<_> = of_rows
                .filter(|f| f.rule == Rule::Cells || f.rule == Rule::Quote)
                .collect();
            prop_assert!(lost.is_empty(), "{lost:?}");
            let decoded = crate::lint::file::open(&path).unwrap().text;
            let mut input = lines(decoded);
            let mut output = lines(fs::File::open(parted.clean).unwrap());
            // Both have the header, which may have several lines.
            let rejected = lines(fs::File::open(parted.rejected).unwrap());
            output.extend(rejected);
            let mut rows = crate::inventory::Rows::new(crate::lint::file::open(&path).unwrap().text);
            rows.read().unwrap();
            input.extend(lines(rows.raw()));
            input.sort_unstable();
            output.sort_unstable();
            prop_assert_eq!(input, output);
        }
    }
}

/// Lines with something in them, without their ends.
fn lines(mut text: impl std::io::Read) -> Vec<String> {
    let mut bytes = Vec::new();
    text.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        .map(|line| line.trim_end_matches('\r').to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}
