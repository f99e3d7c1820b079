use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Vec<Result<Vec<String>, Misplaced>> {
    let mut rows = Rows::new(bytes);
    let mut all = Vec::new();
    while let Some(row) = rows.read().unwrap() {
        all.push(row.map(|row| row.cells().map(str::to_owned).collect()));
    }
    all
}

fn cells(rows: &[&[&str]]) -> Vec<Result<Vec<String>, Misplaced>> {
    let row = |row: &&[&str]| Ok(row.iter().map(|c| (*c).to_owned()).collect());
    rows.iter().map(row).collect()
}

#[test]
fn reads_what_spreadsheets_write() {
    for (what, bytes, expected) in [
        (
            "plain",
            &b"a,b\n1,2\n"[..],
            cells(&[&["a", "b"], &["1", "2"]]),
        ),
        (
            "no last line end",
            b"a,b\n1,2",
            cells(&[&["a", "b"], &["1", "2"]]),
        ),
        (
            "bom and crlf",
            b"\xef\xbb\xbfa;b\r\n1;2\r\n",
            cells(&[&["a", "b"], &["1", "2"]]),
        ),
        (
            "tabs",
            b"a\tb\tc,d\n1\t2\t3\n",
            cells(&[&["a", "b", "c,d"], &["1", "2", "3"]]),
        ),
        ("blank lines", b"\n\na\n\r\n1\n\n", cells(&[&["a"], &["1"]])),
        (
            "quotes",
            b"a,\"b;;;\"\n\"1\"\"\",\"\"\n",
            cells(&[&["a", "b;;;"], &["1\"", ""]]),
        ),
        (
            "lines in a cell",
            b"a,b\n1,\"x\ny\"\n",
            cells(&[&["a", "b"], &["1", "x\ny"]]),
        ),
        ("empty cells", b"a,b\n,\n", cells(&[&["a", "b"], &["", ""]])),
    ] {
        assert_eq!(read(bytes), expected, "{what}");
    }
}

#[test]
fn a_malformed_row_has_its_place_and_the_next_row_is_read() {
    for (bytes, line, column, why) in [
        (&b"a,b\n1,x\"y\n3,4\n"[..], 2, 4, Malformed::QuoteInside),
        (b"a,b\n\"1\"2,2\n3,4\n", 2, 4, Malformed::TextAfterQuote),
        (b"a,b\n\xc3\xa9,\xe9\n3,4\n", 2, 3, Malformed::NotUtf8(0xe9)),
    ] {
        let rows = read(bytes);
        assert_eq!(rows[1], Err(Misplaced { line, column, why }));
        assert_eq!(rows[2..], cells(&[&["3", "4"]]));
    }
}

#[test]
fn a_quote_that_is_never_closed_is_found_where_it_opens() {
    let rows = read(b"a,b\n1,\"2\n3,4\n5,6\n");
    let why = Malformed::Unclosed;
    assert_eq!(
        rows[1..],
        [Err(Misplaced {
            line: 2,
            column: 3,
            why
        })]
    );
}

#[test]
fn a_line_without_end_is_not_read_into_memory() {
    let endless = vec![b'x'; 3 * LIMIT];
    let mut rows = Rows::new(&endless[..]);
    let Some(Err(fault)) = rows.read().unwrap() else {
        panic!("read")
    };
    assert_eq!(fault.why, Malformed::TooLong);
    assert!(rows.raw.len() <= LIMIT + 1);
}

#[test]
fn a_cell_after_a_cell_of_two_lines_has_its_own_line() {
    let mut rows = Rows::new(&b"\n\xc3\xa9,\"x\ny\",z\n"[..]);
    let Some(Ok(row)) = rows.read().unwrap() else {
        panic!("no row")
    };
    assert_eq!(
        [row.place(0), row.place(1), row.place(2), row.place(3)],
        [(2, 1), (2, 3), (3, 4), (3, 5)]
    );
}

proptest! {
    #[test]
    fn reads_back_what_the_csv_crate_writes(
        rows in prop::collection::vec(prop::collection::vec("[a-z\",;\t\n\r é]{0,8}", 3), 1..20),
        bom: bool, crlf: bool,
    ) {
        let ends = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(ends).from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let mut bytes = if bom { BOM.to_vec() } else { Vec::new() };
        bytes.extend(writer.into_inner().unwrap());
        let read: Vec<_> = read(&bytes).into_iter().skip(1).map(Result::unwrap).collect();
        // A line end within a cell is a line feed, whichever the file has.
        let expected: Vec<Vec<_>> = rows.iter().map(|row| {
            row.iter().map(|cell| cell.replace("\r\n", "\n")).collect()
        }).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(prop_oneof![
        Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()
    ], 0..80)) {
        read(&bytes);
    }
}
