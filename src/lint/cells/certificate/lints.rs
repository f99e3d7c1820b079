//! The rules about certificates.

use fancy_regex::Regex;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::judge::{When, common_name, weak, when};
use super::read::{Held, read};
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::cells::seen::{Lines, Seen};
use crate::lint::cells::{columns_of, text};
use crate::lint::check::LintError;
use crate::lint::finding::{Findings, Place};
use crate::lint::options::Options;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds certificates that no device can log in by, or not for long.
pub(in crate::lint::cells) struct Certificates {
    column: Option<usize>,
    pattern: Option<Regex>,
    whole: Seen<()>,
    keys: Seen<()>,
    lines: Lines,
}

impl Certificates {
    /// Fails if the name pattern is none.
    pub(in crate::lint::cells) fn new(options: &Options) -> Result<Self, LintError> {
        let pattern = options.name_pattern.as_deref().map(compiled).transpose()?;
        Ok(Self {
            column: None,
            pattern,
            whole: Seen::default(),
            keys: Seen::default(),
            lines: Lines::default(),
        })
    }
}

fn compiled(pattern: &str) -> Result<Regex, LintError> {
    let wrong = |what: String| LintError::Pattern(pattern.to_owned(), what);
    let regex = Regex::new(pattern).map_err(|e| wrong(e.to_string()))?;
    if regex.captures_len() < 2 {
        return Err(wrong("it has no group".to_owned()));
    }
    Ok(regex)
}

impl Lint for Certificates {
    fn begin(&mut self, list: &Opened<'_>, out: &mut Findings<'_>) {
        [self.column] = columns_of(list, [ColumnType::X509]);
        if !RULES.iter().any(|rule| out.wants(*rule)) {
            self.column = None;
        }
        self.lines.begin(list.path);
    }

    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        let Some(column) = self.column else {
            return;
        };
        let cell = record.cell(column);
        if cell.trim().is_empty() {
            return;
        }
        let der = match read(cell) {
            Held::One(der) => der,
            Held::Several(count) => {
                let place = record.place(column);
                out.add(Rule::CertificateSeveral, place, || {
                    format!("{count} certificates")
                });
                return;
            }
            Held::Not(why) => {
                let place = record.place(column);
                out.add(Rule::CertificateInvalid, place, || why.to_owned());
                return;
            }
        };
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
            return;
        };
        let place = record.place(column);
        dates(&certificate, place, out);
        if let Some(what) = weak(&certificate) {
            out.add(Rule::CertificateWeak, place, || what);
        }
        let name = text(record, list.columns.name());
        let line = self.lines.number(record.line());
        self.again(&der, &certificate, name, (line, place), out);
        if let Some(pattern) = self.pattern.as_ref().filter(|_| !name.trim().is_empty()) {
            chain_name(pattern, &certificate, name, place, out);
        }
    }
}

impl Certificates {
    /// Whether another device has the certificate or its key.
    fn again(
        &mut self,
        der: &[u8],
        certificate: &X509Certificate<'_>,
        name: &str,
        (line, place): (u32, Place),
        out: &mut Findings<'_>,
    ) {
        let key = certificate.public_key().raw;
        let whole = self.whole.meet(der, name, (), line);
        let key = self.keys.meet(key, name, (), line);
        let (what, earlier) = match (whole, key) {
            (Some(earlier), _) => ("certificate", earlier),
            (None, Some(earlier)) => ("key", earlier),
            (None, None) => return,
        };
        // A row that comes again is a duplicate name's matter.
        if earlier.same_name && !name.is_empty() {
            return;
        }
        out.add(Rule::CertificateDuplicate, place, || {
            format!("the {what} of {}", self.lines.told(earlier.line))
        });
    }
}

fn dates(certificate: &X509Certificate<'_>, place: Place, out: &mut Findings<'_>) {
    match when(certificate, out.options().now) {
        When::Valid => {}
        When::Expired(date) => out.add(Rule::CertificateExpired, place, || {
            format!("valid until {date}")
        }),
        When::NotYet(date) => out.add(Rule::CertificateNotYet, place, || {
            format!("valid from {date} on")
        }),
    }
}

/// Compares the name with what the server would make of the certificate: group 1 of the pattern
/// where it is first found in the common name (spec section 5).
fn chain_name(
    pattern: &Regex,
    certificate: &X509Certificate<'_>,
    name: &str,
    place: Place,
    out: &mut Findings<'_>,
) {
    let Some(common_name) = common_name(certificate) else {
        out.add(Rule::ChainName, place, || {
            "a certificate without a common name".to_owned()
        });
        return;
    };
    // A pattern that backtracks without end finds nothing.
    let captures = pattern.captures(common_name).ok().flatten();
    let given = captures
        .as_ref()
        .and_then(|captures| captures.get(1))
        .map(|group| group.as_str())
        .filter(|given| !given.is_empty());
    if given == Some(name) {
        return;
    }
    out.add(Rule::ChainName, place, || match given {
        Some(given) => format!(
            "the common name {} gives {}, and the row is {}",
            shown(common_name),
            shown(given),
            shown(name)
        ),
        None => format!("the pattern finds no name in {}", shown(common_name)),
    });
}

const RULES: [Rule; 7] = [
    Rule::CertificateInvalid,
    Rule::CertificateExpired,
    Rule::CertificateNotYet,
    Rule::CertificateWeak,
    Rule::CertificateDuplicate,
    Rule::CertificateSeveral,
    Rule::ChainName,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_can_give_no_name_is_refused() {
        assert!(compiled("(.*)").is_ok());
        assert!(compiled("(?<=-)(\\w+)").is_ok());
        for pattern in ["(", ".*", "(?:a)"] {
            let error = compiled(pattern).unwrap_err().to_string();
            assert!(error.contains("name pattern"), "{error}");
        }
    }
}
