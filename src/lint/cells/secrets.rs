//! Lists with secrets that others can read: by their mode, or by a repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds lists whose secrets are no longer.
#[derive(Default)]
pub(super) struct Secrets {
    /// The columns of secrets, until one was found to have some.
    columns: Vec<usize>,
    some: bool,
}

impl Lint for Secrets {
    fn begin(&mut self, list: &Opened<'_>, out: &mut Findings<'_>) {
        self.some = false;
        self.columns.clear();
        if out.wants(Rule::SecretsExposed) {
            let secret = (0..list.columns.width()).filter(|at| list.columns.is_secret(*at));
            self.columns.extend(secret);
        }
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, _out: &mut Findings<'_>) {
        if self.some {
            return;
        }
        let mut columns = self.columns.iter();
        self.some = columns.any(|column| !record.cell(*column).trim().is_empty());
    }

    fn end(&mut self, list: &Opened<'_>, out: &mut Findings<'_>) {
        if !self.some {
            return;
        }
        let readers = [readable(list.path), in_repository(list.path)];
        let readers: Vec<String> = readers.into_iter().flatten().collect();
        if !readers.is_empty() {
            out.add(Rule::SecretsExposed, Place::START, || readers.join("; "));
        }
    }
}

/// Who may read a file, if others than its owner may.
fn readable(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mode = metadata.permissions().mode() & 0o777;
    let who = match (mode & 0o040 != 0, mode & 0o004 != 0) {
        (_, true) => "everybody",
        (true, false) => "its group",
        (false, false) => return None,
    };
    Some(format!("{who} may read it: its mode is {mode:o}"))
}

/// The work tree that a file lies in without being ignored there.
fn in_repository(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    let root = path
        .ancestors()
        .skip(1)
        .find(|dir| dir.join(".git").exists())?;
    let mut patterns = Vec::new();
    let dirs = path.ancestors().skip(1);
    for dir in dirs.take_while(|dir| dir.starts_with(root)) {
        patterns.push((dir, dir.join(".gitignore")));
    }
    patterns.push((root, root.join(".git/info/exclude")));
    let ignored = patterns.iter().any(|(dir, file)| {
        let inner = path.strip_prefix(dir).ok().and_then(Path::to_str);
        let text = fs::read_to_string(file).unwrap_or_default();
        inner.is_some_and(|inner| text.lines().any(|pattern| ignores(pattern, inner)))
    });
    (!ignored).then(|| format!("it lies in the Git work tree {}", root.display()))
}

/// Whether a line of a `.gitignore` covers a path below it. Lines that take back others, and
/// signs other than `*`, cover nothing.
fn ignores(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_end();
    if pattern.is_empty() || pattern.starts_with(['#', '!']) {
        return false;
    }
    let directory = pattern.ends_with('/');
    let bare = pattern.trim_end_matches('/');
    let anchored = bare.contains('/');
    let bare = bare.trim_start_matches("**/").trim_start_matches('/');
    let anchored = anchored && !pattern.starts_with("**/");
    let parts: Vec<&str> = path.split('/').collect();
    let last = if directory {
        parts.len() - 1
    } else {
        parts.len()
    };
    if anchored || bare.contains('/') {
        (1..=last).any(|end| glob(bare, &parts[..end].join("/")))
    } else {
        parts[..last].iter().any(|part| glob(bare, part))
    }
}

/// Whether a text is as a pattern says, in which `*` stands for anything but a slash.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            let end = rest.find('/').unwrap_or(rest.len());
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .filter(|at| *at <= end)
                .any(|at| glob(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_lines_of_a_gitignore() {
        for (pattern, path, ignored) in [
            ("*.csv", "lists/a.csv", true),
            ("/*.csv", "lists/a.csv", false),
            ("lists/", "lists/a.csv", true),
            ("lists", "lists/a.csv", true),
            ("/lists/*.csv", "lists/a.csv", true),
            ("lists/a.csv", "lists/a.csv", true),
            ("**/a.csv", "lists/x/a.csv", true),
            ("a.csv/", "lists/a.csv", false),
            ("b.csv", "lists/a.csv", false),
            ("#*.csv", "a.csv", false),
            ("!*.csv", "a.csv", false),
            ("", "a.csv", false),
        ] {
            assert_eq!(ignores(pattern, path), ignored, "{pattern} {path}");
        }
    }

    #[test]
    fn a_list_in_a_work_tree_is_told_unless_it_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let lists = dir.path().join("lists");
        fs::create_dir_all(&lists).unwrap();
        let list = lists.join("a.csv");
        fs::write(&list, "name\n").unwrap();
        assert_eq!(in_repository(&list), None);
        fs::create_dir(dir.path().join(".git")).unwrap();
        assert!(in_repository(&list).unwrap().contains("Git work tree"));
        fs::write(dir.path().join(".gitignore"), "*.csv\n").unwrap();
        assert_eq!(in_repository(&list), None);
    }
}
