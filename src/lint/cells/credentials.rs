//! Which credentials a row gives: two kinds, half of one, or those of another device.

use super::gathered::Gathered;
use super::given::{Given, Kind};
use super::seen::{Lines, Seen};
use super::text;
use crate::inventory::shown;
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds rows whose credentials are none, two, or given before.
#[derive(Default)]
pub(super) struct Credentials {
    given: Given,
    rows: u64,
    two: Gathered<(Kind, Kind)>,
    /// Rows without any, and whether others have some.
    empty: Gathered<()>,
    some: bool,
    ids: Seen<Kind>,
    lines: Lines,
}

impl Lint for Credentials {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        self.given = Given::of(list);
        self.rows = 0;
        self.two = Gathered::default();
        self.empty = Gathered::default();
        self.some = false;
        self.lines.begin(list.path);
    }

    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        if !self.given.any() {
            return;
        }
        self.rows += 1;
        let Some(taken) = self.given.taken(record) else {
            self.empty(record);
            return;
        };
        self.some = true;
        if let Some((dropped, column)) = self.given.dropped(taken, record) {
            self.two.add(record.place(column), (taken, dropped));
        }
        if taken == Kind::Basic {
            self.basic(record, out);
        }
        if ASKED.iter().any(|rule| out.wants(*rule)) {
            self.id(taken, record, list, out);
        }
    }

    fn end(&mut self, _list: &Opened<'_>, out: &mut Findings<'_>) {
        let drops =
            |(taken, dropped): (Kind, Kind)| format!("{} and {}", taken.words(), dropped.words());
        std::mem::take(&mut self.two).tell(
            (Rule::CredentialsTwoKinds, self.rows),
            out,
            |kinds| format!("{}: the latter is dropped", drops(kinds)),
            |count, kinds| {
                format!(
                    "{} in this row, and two kinds in {count} of {} rows",
                    drops(kinds),
                    self.rows
                )
            },
        );
        let empty = std::mem::take(&mut self.empty);
        if self.some {
            empty.each(Rule::TokenEmpty, out, |()| {
                "no credentials, where other rows have some".to_owned()
            });
        }
    }
}

impl Credentials {
    fn empty(&mut self, record: &Record<'_>) {
        // Half a kind of credentials is found as such.
        let half = [self.given.identity, self.given.mode];
        let half = half.into_iter().flatten().any(|column| {
            let cell = record.cell(column);
            !cell.is_empty() && cell != "NO_SEC"
        });
        if let Some(column) = self.given.first().filter(|_| !half) {
            self.empty.add(record.place(column), ());
        }
    }

    fn basic(&self, record: &Record<'_>, out: &mut Findings<'_>) {
        let given = |column| !text(record, column).is_empty();
        let what = match (given(self.given.client), given(self.given.user)) {
            (false, false) => "a password without a user name",
            (true, false) if given(self.given.password) => {
                "a client id and a password, but no user name"
            }
            _ => return,
        };
        let column = self.given.password.or(self.given.user);
        if let Some(column) = column {
            out.add(Rule::BasicIncomplete, record.place(column), || {
                what.to_owned()
            });
        }
    }

    fn id(&mut self, taken: Kind, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        let Some(id) = self.given.id(taken, record) else {
            return;
        };
        let name = text(record, list.columns.name());
        let line = self.lines.number(record.line());
        let Some(earlier) = self.ids.meet(&id, name, taken, line) else {
            return;
        };
        // A row that comes again overwrites its own device; that is a duplicate name's matter.
        if earlier.same_name && !name.is_empty() {
            return;
        }
        let place = |kind| -> Place {
            let column = self.given.place(kind, record).unwrap_or(0);
            record.place(column)
        };
        let told = self.lines.told(earlier.line);
        match (earlier.tag, taken) {
            (Kind::Token, Kind::Token) => out.add(Rule::TokenDuplicate, place(taken), || {
                format!("the token of {told}")
            }),
            (Kind::Token, _) => out.add(Rule::TokenShared, place(taken), || {
                format!("the token of {told} as the id of {}", taken.words())
            }),
            (other, Kind::Token) => out.add(Rule::TokenShared, place(taken), || {
                format!("the token is the id of {} on {told}", other.words())
            }),
            (_, _) => out.add(Rule::CredentialsDuplicate, place(taken), || {
                let column = self.given.place(taken, record).unwrap_or(0);
                if list.columns.is_secret(column) {
                    format!("the credentials of {told}")
                } else {
                    format!("{}, the credentials of {told}", shown(record.cell(column)))
                }
            }),
        }
    }
}

/// What the remembered ids are for.
const ASKED: [Rule; 3] = [
    Rule::TokenDuplicate,
    Rule::TokenShared,
    Rule::CredentialsDuplicate,
];
