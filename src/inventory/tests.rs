//! Whole lists: the bad ones against the faults that stand beside them, the good ones against
//! what they hold.

use std::fs;
use std::path::Path;

use super::*;
use crate::model::DeviceIx;

fn load(path: &Path) -> Result<Inventory, ListError> {
    let keep = ["token".to_owned()];
    load_csv(
        path,
        &ListOptions {
            name_column: "name",
            keep: &keep,
            keep_if_there: &[],
        },
    )
}

/// `UPDATE_GOLDEN=1` writes what is found, for a look at the difference.
#[test]
fn each_bad_list_is_told_all_its_faults() {
    let entries = fs::read_dir("fixtures/lists-bad")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut lists: Vec<_> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "csv"))
        .collect();
    lists.sort();
    assert!(lists.len() > 10);
    for path in lists {
        let (found, golden) = (load(&path).unwrap_err(), path.with_extension("txt"));
        assert!(matches!(found, ListError::Faulty(_)), "{found}");
        let found = format!("{found}\n");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{}", golden.display());
    }
}

#[test]
fn what_programs_write_is_read_as_it_is_meant() {
    for (list, expected) in [
        (
            "excel.csv",
            &[
                ("AA:BB:CC:00:00:01", "t-1"),
                ("AA:BB:CC:00:00:02", "t-2"),
                ("Zähler 3", "t-3"),
            ][..],
        ),
        ("tabs.csv", &[("a,b", "t,1"), ("c", "t,2")]),
        ("blank-lines.csv", &[("a", "t-1"), ("b", "t-2")]),
        ("all-quoted.csv", &[("a, b", "t-1"), ("c", "t-2")]),
    ] {
        let list = load(&Path::new("fixtures/lists-good").join(list)).unwrap();
        let rows = (0..list.len() as u32).map(DeviceIx);
        let rows: Vec<_> = rows.map(|ix| (list.name(ix), list.value(ix, 0))).collect();
        assert_eq!(rows, expected);
    }
}

#[test]
fn a_list_that_is_not_there_is_told() {
    let error = load(Path::new("no/such.csv")).unwrap_err();
    assert!(matches!(error, ListError::Unreadable(..)));
    assert!(
        error
            .to_string()
            .starts_with("no/such.csv: cannot be read: "),
        "{error}"
    );
}
