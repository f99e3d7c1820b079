//! Attributes whose values the import turns into numbers, and columns of several types.

use super::cast::{Cast, Loss, cast, decimals};
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::columns::Kind;
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds columns that do not come back as they were written.
#[derive(Default)]
pub(super) struct Attributes(Vec<Column>);

/// What is in a column.
struct Column {
    at: usize,
    secret: bool,
    /// How many cells of each type, and the first of each.
    types: [(u64, Option<Place>); 4],
    /// How many cells lose something, the first, what it loses and its text.
    lossy: u64,
    first: Option<(Place, Loss, String)>,
    /// The same for zeros at the end, which matter only where the number of decimals varies.
    trailing: u64,
    first_trailing: Option<(Place, String)>,
    decimals: Option<usize>,
    varying: bool,
}

impl Lint for Attributes {
    fn begin(&mut self, list: &Opened<'_>, out: &mut Findings<'_>) {
        use ColumnType as C;
        self.0.clear();
        if !out.wants(Rule::AttributeType) {
            return;
        }
        let columns = (0..list.columns.width()).filter(|at| {
            matches!(
                list.columns.kind(*at),
                Kind::Attribute
                    | Kind::Import(C::SharedAttribute | C::ServerAttribute | C::Timeseries)
            )
        });
        self.0
            .extend(columns.map(|at| Column::new(at, &list.columns.headers()[at])));
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, _out: &mut Findings<'_>) {
        for column in &mut self.0 {
            let cell = record.cell(column.at);
            if !cell.is_empty() {
                column.take(cell, record);
            }
        }
    }

    fn end(&mut self, list: &Opened<'_>, out: &mut Findings<'_>) {
        for column in std::mem::take(&mut self.0) {
            let header = &list.columns.headers()[column.at];
            column.tell(header, out);
        }
    }
}

impl Column {
    fn new(at: usize, header: &str) -> Self {
        let header = header.to_lowercase();
        Self {
            at,
            secret: SECRET.iter().any(|word| header.contains(word)),
            types: [(0, None); 4],
            lossy: 0,
            first: None,
            trailing: 0,
            first_trailing: None,
            decimals: None,
            varying: false,
        }
    }

    fn take(&mut self, cell: &str, record: &Record<'_>) {
        let cast = cast(cell);
        let n = match cast {
            Cast::Text => TEXT,
            Cast::Number(_) => NUMBER,
            Cast::Boolean => BOOLEAN,
            Cast::Json => JSON,
        };
        let (count, first) = &mut self.types[n];
        *count += 1;
        if first.is_none() {
            *first = Some(record.place(self.at));
        }
        let Cast::Number(loss) = cast else {
            return;
        };
        let decimals = decimals(cell);
        self.varying |= *self.decimals.get_or_insert(decimals) != decimals;
        match loss {
            Loss::None => {}
            Loss::Trailing => {
                self.trailing += 1;
                if self.first_trailing.is_none() {
                    self.first_trailing = Some((record.place(self.at), self.told(cell)));
                }
            }
            loss => {
                self.lossy += 1;
                if self.first.is_none() {
                    self.first = Some((record.place(self.at), loss, self.told(cell)));
                }
            }
        }
    }

    /// A value for a message, unless its header says that it is secret.
    fn told(&self, cell: &str) -> String {
        if self.secret {
            "a value".to_owned()
        } else {
            shown(cell)
        }
    }

    fn tell(mut self, header: &str, out: &mut Findings<'_>) {
        // With several numbers of decimals it is a version, or was typed by hand.
        if self.varying && self.first.is_none() {
            let first = self.first_trailing.take();
            self.first = first.map(|(place, text)| (place, Loss::Trailing, text));
            self.lossy = self.trailing;
        }
        let mixed = self.mixed();
        if let Some((place, loss, text)) = &self.first {
            out.add(Rule::AttributeType, *place, || {
                let more = match self.lossy {
                    1 => String::new(),
                    count => format!(", and {} more such values", count - 1),
                };
                let mixed = mixed.map_or(String::new(), |_| format!("; {}", self.counts()));
                format!(
                    "{text} in the column {} becomes a number without its {}{more}{mixed}",
                    shown(header),
                    lost(*loss)
                )
            });
        } else if let Some(place) = mixed {
            out.add(Rule::AttributeType, place, || {
                format!("{} in the column {}", self.counts(), shown(header))
            });
        }
    }

    /// Where the rarest of several types is first.
    fn mixed(&self) -> Option<Place> {
        let present = self.types.iter().filter(|(count, _)| *count > 0);
        let several = present.clone().count() > 1;
        let rarest = present.min_by_key(|(count, _)| *count)?;
        rarest.1.filter(|_| several)
    }

    /// How many cells there are of each type.
    fn counts(&self) -> String {
        let words = ["text", "number", "truth value", "JSON value"];
        let counts = self.types.iter().zip(words);
        let counts: Vec<String> = counts
            .filter(|((count, _), _)| *count > 0)
            .map(|((count, _), word)| {
                let s = if *count == 1 { "" } else { "s" };
                format!("{count} {word}{s}")
            })
            .collect();
        counts.join(" and ")
    }
}

fn lost(loss: Loss) -> &'static str {
    match loss {
        Loss::None => "text",
        Loss::Zeros => "leading zeros",
        Loss::Exponent => "exponent",
        Loss::Comma => "comma",
        Loss::Plus => "plus sign",
        Loss::Digits => "last digits",
        Loss::Trailing => "last zero",
    }
}

const TEXT: usize = 0;
const NUMBER: usize = 1;
const BOOLEAN: usize = 2;
const JSON: usize = 3;

/// Words in headers whose values are told to nobody.
const SECRET: [&str; 7] = ["pass", "pwd", "secret", "token", "key", "psk", "pin"];
