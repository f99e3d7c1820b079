//! Rules about the other cells: texts, types, attributes, credentials, certificates, settings.
//!
//! Tokens, passwords and keys are never told and never kept: what must be compared is hashed.

mod attribute;
mod cast;
mod certificate;
mod control;
mod credentials;
mod gateway;
mod gathered;
mod given;
mod lwm2m;
mod markup;
mod secrets;
mod seen;
mod snmp;
#[cfg(test)]
mod tests;
mod text_long;
mod token;
mod type_typo;
mod weak;

use super::check::LintError;
use super::mend::Mend;
use super::options::Options;
use super::record::{Lint, Opened, Record};
use crate::dialect::ColumnType;

pub(super) use certificate::on_one_line;

/// The rules about cells.
pub(super) fn lints(options: &Options) -> Result<Vec<Box<dyn Lint>>, LintError> {
    Ok(vec![
        Box::new(text_long::TextLong::default()),
        Box::new(markup::Markup::default()),
        Box::new(control::Control),
        Box::new(type_typo::TypeTypo::default()),
        Box::new(credentials::Credentials::default()),
        Box::new(token::Tokens::default()),
        Box::new(certificate::Certificates::new(options)?),
        Box::new(lwm2m::Lwm2m::default()),
        Box::new(gateway::Gateway::default()),
        Box::new(snmp::Snmp::default()),
        Box::new(attribute::Attributes::default()),
        Box::new(secrets::Secrets::default()),
    ])
}

/// What of it is repaired.
pub(super) const MENDS: &[Mend] = &[
    control::MEND_NAME,
    control::MEND_TEXT,
    control::MEND_VALUE,
    control::MEND_ATTRIBUTE,
    markup::MEND,
    gateway::MEND,
];

/// Where a list has columns of some types.
fn columns_of<const N: usize>(list: &Opened<'_>, wanted: [ColumnType; N]) -> [Option<usize>; N] {
    wanted.map(|column| list.columns.of(column))
}

/// A row's cell in a column that the list may have; empty without it.
fn text<'r>(record: &Record<'r>, column: Option<usize>) -> &'r str {
    column.map_or("", |column| record.cell(column))
}
