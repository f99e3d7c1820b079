//! What `--fix` and `--split` did, for people.

use std::io::{self, Write};
use std::path::Path;

use super::text::{phrase, wrapped};
use super::{Look, text};
use crate::lint::check::Checked;
use crate::lint::fix::{Fixed, Parted};
use crate::lint::options::Options;
use crate::lint::rule::{Repair, Rule};
use crate::model::units::count;
use crate::model::{Paint as _, printable};

/// Writes what was repaired, by rule, and the files that there are now.
pub fn fixed(list: &Path, fixed: &Fixed, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let gone = |rule: &Rule| fixed.before.total(*rule) > 0 && fixed.checked.total(*rule) == 0;
    let whole = OF_FILES.iter().copied().filter(gone);
    let whole: Vec<&str> = whole
        .filter(|rule| !fixed.by_rule.contains_key(rule))
        .map(Rule::id)
        .collect();
    let head = match (fixed.changed, whole.is_empty()) {
        (0, true) => "nothing to repair".to_owned(),
        (0, false) => "repaired".to_owned(),
        (n, _) => format!("{} repaired", phrase(n, "place")),
    };
    writeln!(out, "{}: {}", path(list), look.bold(&head))?;
    let ids = fixed.by_rule.keys().map(|rule| rule.id().len());
    let width = ids.max().unwrap_or(0);
    for (rule, n) in &fixed.by_rule {
        writeln!(out, "  {:width$}  {}", rule.id(), count(*n))?;
    }
    if !whole.is_empty() {
        let words = format!("  in the file as a whole: {}", whole.join(", "));
        for line in wrapped(&words, look.columns(), 4) {
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out)?;
    let devices = phrase(fixed.checked.rows(), "device");
    match &fixed.outputs[..] {
        [output] => writeln!(out, "{}: the list, {devices}", path(output))?,
        parts => {
            let parts_count = count(parts.len() as u64);
            writeln!(
                out,
                "The list in {parts_count} parts, each fit for a request; {devices}:"
            )?;
            for part in parts {
                writeln!(out, "  {}", path(part))?;
            }
        }
    }
    let changes = path(&fixed.changes);
    writeln!(out, "{changes}: {}", phrase(fixed.changed, "change"))
}

/// Writes what is left after repairs, and to whom.
pub fn left(
    checked: &Checked,
    options: &Options,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    text(checked, options, look, out)?;
    let of = |repair| {
        let rules = checked.rules().into_iter();
        let rules: Vec<String> = rules
            .filter(|rule| rule.repair() == repair)
            .map(|rule| format!("{rule} ({})", count(checked.total(rule))))
            .collect();
        rules.join(", ")
    };
    let mut gap = "\n";
    for (whose, rules) in [
        ("Left for somebody to decide: ", of(Repair::Decision)),
        ("Left for the list's source: ", of(Repair::Source)),
        (
            "Left by --fix until rows can be read: ",
            of(Repair::Automatic),
        ),
    ] {
        if rules.is_empty() {
            continue;
        }
        out.write_all(gap.as_bytes())?;
        gap = "";
        for line in wrapped(&format!("{whose}{rules}"), look.columns(), 4) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Writes how many rows went where.
pub fn parted(list: &Path, parted: &Parted, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let (clean, rejected) = (parted.clean_rows, parted.rejected_rows);
    let head = match (clean, rejected) {
        (_, 0) => "no row is rejected".to_owned(),
        (0, _) => "every row is rejected".to_owned(),
        _ => format!(
            "{} of {} rejected",
            count(rejected),
            phrase(clean + rejected, "row")
        ),
    };
    writeln!(out, "{}: {}", path(list), look.bold(&head))?;
    writeln!(out, "{}: {}", path(&parted.clean), phrase(clean, "row"))?;
    writeln!(
        out,
        "{}: {}",
        path(&parted.rejected),
        phrase(rejected, "row")
    )
}

fn path(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// The rules whose repair changes no cell.
const OF_FILES: [Rule; 8] = [
    Rule::Bom,
    Rule::Utf16,
    Rule::Utf32,
    Rule::DelimiterOther,
    Rule::LineNumbers,
    Rule::ListLarge,
    Rule::LineEnds,
    Rule::LastLineEnd,
];
