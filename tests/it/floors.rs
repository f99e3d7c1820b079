//! Holds the import table of docs/architecture.md: who may import whom.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Module → what it may import, read from the table behind the `floors:` mark.
fn table() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, rest) = text
        .split_once("<!-- floors:")
        .expect("the mark above the table");
    rest.lines()
        .skip(1)
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let may = cells[1]
                .split(", ")
                .filter(|word| *word != "–")
                .map(str::to_owned);
            (cells[0].to_owned(), may.collect())
        })
        .collect()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Each module that a line names behind `crate::`, `use crate::{a, b}` included.
fn named(line: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    line.match_indices("crate::")
        .filter(|(at, _)| {
            // `fleetcall::` in a doc example and `$crate::` are not ours to judge.
            !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
        })
        .flat_map(|(at, mark)| {
            let rest = &line[at + mark.len()..];
            match rest.strip_prefix('{') {
                Some(list) => list.split(',').map(|part| word(part.trim())).collect(),
                None => vec![word(rest)],
            }
        })
        .collect()
}

#[test]
fn every_module_imports_only_what_the_architecture_allows() {
    let table = table();
    let src = root().join("src");
    let mut wrong = Vec::new();
    for (module, may) in &table {
        for path in sources(&src.join(module)) {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                if line.trim_start().starts_with("//") {
                    continue;
                }
                for name in named(line) {
                    if table.contains_key(&name) && name != *module && !may.contains(&name) {
                        let place = path.strip_prefix(root()).unwrap().display();
                        wrong.push(format!("{place}:{}: {module} imports {name}", number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_names_every_module_and_nothing_else() {
    let modules: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let table = table();
    for module in &modules {
        assert!(
            table.contains_key(module),
            "docs/architecture.md does not know `{module}`"
        );
    }
    assert_eq!(table.len(), modules.len());
}

#[test]
fn no_source_file_has_grown_beyond_five_hundred_lines() {
    let long: Vec<String> = sources(&root().join("src"))
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(
        long.is_empty(),
        "two rooms in one file?\n{}",
        long.join("\n")
    );
}
