//! Rules about the other cells: texts, types, attributes, credentials, certificates, settings.

use super::check::LintError;
use super::mend::Mend;
use super::options::Options;
use super::record::Lint;

/// The rules about cells.
pub(super) fn lints(_options: &Options) -> Result<Vec<Box<dyn Lint>>, LintError> {
    Ok(Vec::new())
}

/// What of it is repaired.
pub(super) const MENDS: &[Mend] = &[];

/// A certificate on one line.
pub(super) fn on_one_line(_text: &str) -> Option<String> {
    None
}
