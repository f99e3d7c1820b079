//! SNMP settings as the import reads them: only beside a host, a port as a Java integer, a version
//! in any case.

use super::{columns_of, text};
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::finding::Findings;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds ports and versions that are none, and settings without a host.
#[derive(Default)]
pub(super) struct Snmp {
    host: Option<usize>,
    port: Option<usize>,
    version: Option<usize>,
    community: Option<usize>,
}

impl Lint for Snmp {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        use ColumnType as C;
        let wanted = [
            C::SnmpHost,
            C::SnmpPort,
            C::SnmpVersion,
            C::SnmpCommunityString,
        ];
        [self.host, self.port, self.version, self.community] = columns_of(list, wanted);
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, out: &mut Findings<'_>) {
        if text(record, self.host).is_empty() {
            let others = [self.port, self.version, self.community];
            let lost = others
                .into_iter()
                .flatten()
                .find(|column| !record.cell(*column).trim().is_empty());
            if let Some(column) = lost {
                out.add(Rule::Snmp, record.place(column), || {
                    "settings without a host: none of them is used".to_owned()
                });
            }
            return;
        }
        if let Some(column) = self.port {
            let cell = record.cell(column);
            if !cell.is_empty() && !is_port(cell) {
                out.add(Rule::Snmp, record.place(column), || {
                    format!("the port {}", shown(cell))
                });
            }
        }
        if let Some(column) = self.version {
            let cell = record.cell(column);
            let known = ["v1", "v2c", "v3"];
            if !cell.is_empty() && !known.iter().any(|known| cell.eq_ignore_ascii_case(known)) {
                out.add(Rule::Snmp, record.place(column), || {
                    format!("the version {}", shown(cell))
                });
            }
        }
    }
}

/// As `Integer.parseInt` takes it, within the range of ports.
fn is_port(cell: &str) -> bool {
    cell.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_and_nothing_else() {
        for (cell, port) in [
            ("161", true),
            ("65535", true),
            ("+161", true),
            ("0161", true),
            ("0", false),
            ("65536", false),
            ("-1", false),
            (" 161", false),
            ("161.0", false),
            ("snmp", false),
        ] {
            assert_eq!(is_port(cell), port, "{cell:?}");
        }
    }
}
