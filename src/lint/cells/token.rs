//! Tokens that can be guessed: from the name, from the row before, or by trying.

use super::gathered::Gathered;
use super::given::{Given, Kind};
use super::text;
use super::weak::{Alike, Weakness, is_name, weakness};
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds tokens that can be guessed.
#[derive(Default)]
pub(super) struct Tokens {
    given: Given,
    count: u64,
    guessable: Gathered<()>,
    weak: Gathered<Weakness>,
    alike: Alike,
    /// Where the first token that is not the name is.
    first: Option<Place>,
    /// The token of the row before, for a moment.
    last: String,
}

impl Lint for Tokens {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        *self = Self {
            given: Given::of(list),
            ..Self::default()
        };
    }

    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, _out: &mut Findings<'_>) {
        let Some(column) = self.given.token else {
            return;
        };
        if self.given.taken(record) != Some(Kind::Token) {
            return;
        }
        self.count += 1;
        let token = record.cell(column);
        if is_name(token, text(record, list.columns.name())) {
            self.guessable.add(record.place(column), ());
            return;
        }
        if self.first.is_none() {
            self.first = Some(record.place(column));
        }
        if let Some(weakness) = weakness(token, &self.last) {
            self.weak.add(record.place(column), weakness);
        }
        self.alike.take(token);
        self.last.clear();
        self.last.push_str(token);
    }

    fn end(&mut self, _list: &Opened<'_>, out: &mut Findings<'_>) {
        let tokens = self.count;
        let guessable = std::mem::take(&mut self.guessable);
        let others = tokens - guessable.count();
        guessable.tell(
            (Rule::TokenGuessable, tokens),
            out,
            |()| "the token is the name, but for its spelling".to_owned(),
            |count, ()| format!("{count} of {tokens} tokens are the names of their devices"),
        );
        if let (Some(varying), Some(first)) = (self.alike.varying(), self.first) {
            let s = if varying == 1 { "" } else { "s" };
            out.add(Rule::TokenWeak, first, || {
                format!("{others} tokens that differ in {varying} character{s} at most")
            });
            return;
        }
        std::mem::take(&mut self.weak).tell(
            (Rule::TokenWeak, tokens),
            out,
            |weakness| weakness.words().to_owned(),
            |count, weakness| {
                format!(
                    "{count} of {tokens} tokens; the first: {}",
                    weakness.words()
                )
            },
        );
    }
}
