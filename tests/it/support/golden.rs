//! The golden messages of `fixtures/wire/`, for every test that looks at bytes.

use super::root;

/// A whole message from its `.hex` file.
pub(crate) fn hex(name: &str) -> Vec<u8> {
    let text = read(&format!("{name}.hex"));
    let digits: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect();
    assert!(digits.len().is_multiple_of(2), "{name}: half a byte");
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|e| panic!("{name}: {e}"))
        })
        .collect()
}

/// A text without the line feed at its end; `name` has the extension.
pub(crate) fn text(name: &str) -> String {
    read(name).trim_end_matches('\n').to_owned()
}

fn read(file: &str) -> String {
    let path = root().join("fixtures/wire").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
