//! Each fault of a list, with its line and column.

use super::*;

fn load(bytes: &[u8], keep: &[&str]) -> Result<Inventory, ListFaults> {
    let keep: Vec<_> = keep.iter().map(|column| (*column).to_owned()).collect();
    let mut load = Load::new(Path::new("list.csv"));
    let list = load
        .read(
            bytes,
            &ListOptions {
                name_column: "name",
                keep: &keep,
                keep_if_there: &[],
            },
        )
        .unwrap();
    if load.faults.total() == 0 {
        Ok(list)
    } else {
        Err(load.faults)
    }
}

/// Line, column, what.
fn faults(bytes: &[u8], keep: &[&str]) -> Vec<(u64, u64, String)> {
    let faults = load(bytes, keep).unwrap_err();
    faults
        .first()
        .iter()
        .map(|f| (f.line, f.column, f.what.clone()))
        .collect()
}

#[test]
fn keeps_names_and_the_wanted_columns() {
    let list = load(b"serial,name,token\n1,a,t1\n2,b,t2\n", &["token", "name"]).unwrap();
    assert_eq!(
        (list.len(), list.columns()),
        (2, &["token".to_owned(), "name".to_owned()][..])
    );
    let row = |n| {
        [
            list.name(DeviceIx(n)),
            list.value(DeviceIx(n), 0),
            list.value(DeviceIx(n), 1),
        ]
    };
    assert_eq!([row(0), row(1)], [["a", "t1", "a"], ["b", "t2", "b"]]);
}

/// What is meant, the list, the kept column, line, column, and words of the message.
type Case = (
    &'static str,
    &'static [u8],
    &'static [&'static str],
    u64,
    u64,
    &'static str,
);

const FAULTS: &[Case] = &[
    ("empty file", b"", &[], 1, 1, "the file is empty"),
    ("blank lines", b"\n\r\n", &[], 1, 1, "the file is empty"),
    ("header only", b"name\n", &[], 2, 1, "no device"),
    (
        "no name column",
        b"id,Name\n1,a\n",
        &[],
        1,
        4,
        "no column `name`",
    ),
    (
        "no kept column",
        b"name,tokens\na,1\n",
        &["token"],
        1,
        6,
        "no column `token`",
    ),
    (
        "two name columns",
        b"name,x,name\na,b,c\n",
        &[],
        1,
        8,
        "two columns `name`",
    ),
    ("no name", b"x,name\n1,\n", &[], 2, 3, "empty device name"),
    (
        "blank name",
        b"x,name\n1,  \n",
        &[],
        2,
        3,
        "device name of blanks only",
    ),
    (
        "blanks around",
        b"name\na\n b\n",
        &[],
        3,
        1,
        "blanks around the device name \" b\"",
    ),
    (
        "no-break space",
        b"name\na\xc2\xa0\n",
        &[],
        2,
        1,
        "blanks around",
    ),
    (
        "long name",
        &LONG,
        &[],
        2,
        1,
        "device name of 256 characters",
    ),
    (
        "nul",
        b"name\na\0b\n",
        &[],
        2,
        1,
        "control character U+0000",
    ),
    (
        "duplicate",
        b"name\na\n\nb\na\n",
        &[],
        5,
        1,
        "the name \"a\" is already on line 2",
    ),
    (
        "too many cells",
        b"name,x\na,1\nb,2,3\n",
        &[],
        3,
        5,
        "3 cells, where the header has 2",
    ),
    (
        "too few cells",
        b"name,x\na\n",
        &[],
        2,
        2,
        "1 cell, where the header has 2",
    ),
    (
        "latin-1",
        b"name\nb\xe9\n",
        &[],
        2,
        2,
        "not UTF-8, found the byte 0xE9",
    ),
    ("utf-16", b"\xff\xfen\0a\0", &[], 1, 1, "the file is UTF-16"),
    (
        "cr only",
        b"name\ra\rb\r",
        &[],
        1,
        1,
        "lines end with a carriage return alone",
    ),
];

/// A header and a name of 256 characters.
const LONG: [u8; 261] = {
    let mut list = [b'x'; 261];
    let (header, _) = list.split_at_mut(5);
    header.copy_from_slice(b"name\n");
    list
};

#[test]
fn each_kind_of_fault_has_its_line_and_column() {
    for (what, bytes, keep, line, column, words) in FAULTS {
        let found = faults(bytes, keep);
        let [(at_line, at_column, found)] = &found[..] else {
            panic!("{what}: {found:?}")
        };
        assert_eq!((at_line, at_column), (line, column), "{what}: {found}");
        assert!(found.contains(words), "{what}: {found}");
    }
}

#[test]
fn names_the_line_of_the_first_of_two_after_rows_of_several_lines() {
    let found = faults(b"name,x\na,\"1\n2\n3\"\nb,1\nc,1\nb,1\n", &[]);
    assert_eq!(
        found,
        [(7, 1, "the name \"b\" is already on line 5".to_owned())]
    );
}

#[test]
fn all_faults_are_counted_and_twenty_are_told() {
    let list = format!("name\n{}", "x \n".repeat(23));
    let faults = load(list.as_bytes(), &[]).unwrap_err();
    assert_eq!((faults.first().len(), faults.total()), (20, 23));
    let text = faults.to_string();
    assert!(
        text.starts_with("list.csv:2:1: blanks around the device name \"x \"\nhelp: "),
        "{text}"
    );
    assert!(text.ends_with("\n... and 3 more"), "{text}");
}
