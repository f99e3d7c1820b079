//! All rules about cells on lists of their columns.

use std::fmt::Write as _;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use crate::dialect::ColumnType;
use crate::lint::{Checked, Options, Rule, check};

fn checked(lists: &[&str], options: &Options) -> Checked {
    let dir = tempfile::tempdir().unwrap();
    let path = |(n, text): (usize, &&str)| -> PathBuf {
        let path = dir.path().join(format!("{n}.csv"));
        fs::write(&path, text).unwrap();
        path
    };
    let paths: Vec<PathBuf> = lists.iter().enumerate().map(path).collect();
    check(&paths, options).unwrap()
}

fn messages(lists: &[&str], rule: Rule) -> Vec<String> {
    let checked = checked(lists, &Options::default());
    let of_rule = checked.findings.into_iter().filter(|f| f.rule == rule);
    of_rule.map(|finding| finding.message).collect()
}

/// A list of `count` rows.
fn list(header: &str, count: u64, row: impl Fn(u64) -> String) -> String {
    let rows = (0..count).map(|n| format!("unit-{n:04},{}\n", row(n)));
    format!("name,{header}\n{}", rows.collect::<String>())
}

/// Twenty characters that nobody guesses.
fn token(n: u64) -> String {
    let random = |salt: u64| (n + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{:016x}{:04x}", random(1), random(977) >> 48)
}

#[test]
fn a_list_whose_tokens_are_its_names_is_told_once() {
    let names = list("access_token", 1000, |n| format!("UNIT{n:04}"));
    let found = messages(&[&names], Rule::TokenGuessable);
    assert_eq!(
        found,
        ["1000 of 1000 tokens are the names of their devices"]
    );
    assert!(messages(&[&names], Rule::TokenWeak).is_empty());
}

#[test]
fn a_list_whose_tokens_are_counted_is_told_once() {
    let counted = list("access_token", 1000, |n| {
        format!("lot-17-device-{:06}", n + 1)
    });
    assert_eq!(messages(&[&counted], Rule::TokenWeak).len(), 1);
    // In no order.
    let apart = list("access_token", 1000, |n| {
        format!("lot-17-device-{:06}", n * 7919)
    });
    let found = messages(&[&apart], Rule::TokenWeak);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("differ in"), "{found:?}");
    let random = list("access_token", 1000, token);
    assert!(messages(&[&random], Rule::TokenWeak).is_empty());
}

#[test]
fn a_token_of_another_list_is_told_with_its_path() {
    let (a, b) = (
        list("access_token", 3, token),
        list("access_token", 3, |n| token(n + 2)).replace("unit-", "part-"),
    );
    let found = messages(&[&a, &b], Rule::TokenDuplicate);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("line 4 of") && found[0].ends_with("0.csv"));
}

#[test]
fn rows_that_come_again_are_no_shared_tokens() {
    let twice = format!("{}unit-0001,{}\n", list("access_token", 3, token), token(1));
    assert!(messages(&[&twice], Rule::TokenDuplicate).is_empty());
}

#[test]
fn a_list_with_two_kinds_throughout_is_told_once() {
    let two = list("access_token,mqtt_user_name", 9, |n| {
        format!("{},u{n}", token(n))
    });
    assert_eq!(messages(&[&two], Rule::CredentialsTwoKinds).len(), 1);
}

#[test]
fn rows_without_credentials_count_only_beside_others() {
    let none = list("access_token,label", 9, |_| ",x".to_owned());
    assert!(messages(&[&none], Rule::TokenEmpty).is_empty());
    let some = list("access_token,label", 9, |n| {
        if n < 4 {
            ",x".into()
        } else {
            format!("{},x", token(n))
        }
    });
    assert_eq!(messages(&[&some], Rule::TokenEmpty).len(), 4);
}

#[test]
fn decimals_are_a_matter_only_where_they_vary() {
    let power = list("power", 3, |n| format!("1.{n}0"));
    assert!(messages(&[&power], Rule::AttributeType).is_empty());
    let firmware = list("firmware", 3, |n| format!("1.{}", n + 9));
    assert_eq!(messages(&[&firmware], Rule::AttributeType).len(), 1);
}

#[test]
fn values_of_secret_attributes_are_not_told() {
    for header in ["wifi_password", "apiKey", "PIN"] {
        let found = messages(
            &[&list(header, 3, |n| format!("00{n}1"))],
            Rule::AttributeType,
        );
        assert!(found.len() == 1 && !found[0].contains("0001"), "{found:?}");
    }
}

proptest! {
    #[test]
    fn any_cells_are_taken_and_no_secret_is_told(
        columns in prop::sample::subsequence(ColumnType::ALL[1..].to_vec(), 1..8),
        rows in prop::collection::vec(prop::collection::vec("[\\PC]{0,9}|[a-z0-9]{12,24}|PSK|1|-----BEGIN CERTIFICATE-----", 8), 0..8),
    ) {
        let header: Vec<&str> = columns.iter().map(|column| column.id()).collect();
        let mut text = format!("name,{}\n", header.join(","));
        for (n, row) in rows.iter().enumerate() {
            let cells: Vec<String> = columns.iter().zip(row).map(|(column, cell)| {
                let secret = if column.is_secret() { "hush" } else { "" };
                format!("\"{}{secret}\"", cell.replace('"', "\"\""))
            }).collect();
            writeln!(text, "unit-{n},{}", cells.join(",")).unwrap();
        }
        let options = Options { name_pattern: Some("(.*)".to_owned()), ..Options::default() };
        for finding in checked(&[&text, &text.replace('a', "b")], &options).findings {
            prop_assert!(!finding.message.contains("hush"), "{finding:?}");
        }
    }
}
