//! What is wrong with a scenario, drawn as rustc draws it. Secrets in the text are masked.

use std::cell::RefCell;
use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::mask::{self, Masked};
use super::tree::{Spot, Table};

/// One thing that is wrong. Its words say no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) spot: Spot,
    /// What is wrong, and what was found.
    pub(super) title: String,
    /// Stands below the place, may be empty.
    pub(super) label: String,
    /// The way out, may be empty.
    pub(super) help: String,
}

/// Gathers faults, so that one reading of a scenario finds all of them.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    /// Adds a fault with the way out.
    pub(super) fn add(&self, spot: &Spot, title: impl Into<String>, help: impl Into<String>) {
        self.add_labelled(spot, title, "", help);
    }

    /// Adds a fault with a word below its place.
    pub(super) fn add_labelled(
        &self,
        spot: &Spot,
        title: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (title, label, help) = (title.into(), label.into(), help.into());
        self.0.borrow_mut().push(Fault {
            spot: spot.clone(),
            title,
            label,
            help,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them, in the order of the texts.
    pub(super) fn into_sorted(self) -> Vec<Fault> {
        let mut faults = self.0.into_inner();
        faults.sort_by_key(|fault| (fault.spot.text, fault.spot.range.start));
        faults
    }
}

/// A text that takes part in a scenario, with its secrets masked.
#[derive(Debug)]
pub(super) struct Source {
    /// What the text is called: the file's path, or `--set`.
    name: String,
    text: Masked,
}

impl Source {
    /// Masks what was parsed: the values of secret keys in this text.
    pub(super) fn parsed(name: &str, text: &str, number: usize, table: &Table) -> Self {
        let text = mask::values(text, number, table);
        Self {
            name: name.to_owned(),
            text,
        }
    }

    /// Masks what could not be parsed: whatever follows a secret key.
    pub(super) fn broken(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: mask::lines(text),
        }
    }
}

/// All faults of a scenario, as they are shown: with line, column and the line itself.
#[derive(Debug)]
pub struct Diagnostics {
    sources: Vec<Source>,
    faults: Vec<Fault>,
}

impl Diagnostics {
    pub(super) fn new(sources: Vec<Source>, faults: Faults) -> Self {
        let faults = faults.into_sorted();
        Self { sources, faults }
    }

    /// How many faults there are, at least 1.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    /// Draws all of them, with the colours of a terminal if wanted.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let draw = |fault| self.draw(fault, &renderer);
        self.faults
            .iter()
            .map(draw)
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    fn draw(&self, fault: &Fault, renderer: &Renderer) -> String {
        let Source { name, text } = &self.sources[fault.spot.text];
        let range = text.visible(fault.spot.range.clone());
        let text = text.text.as_str();
        let start = range.start.min(text.len());
        let end = range.end.clamp(start, text.len());
        // Of a value of several lines, the first is enough.
        let line_end = text[start..end].find('\n').map_or(end, |n| start + n);
        let mut annotation = AnnotationKind::Primary.span(start..line_end);
        if !fault.label.is_empty() {
            annotation = annotation.label(fault.label.as_str());
        }
        let snippet = Snippet::source(text)
            .path(name.as_str())
            .annotation(annotation);
        let mut group = Level::ERROR
            .primary_title(fault.title.as_str())
            .element(snippet);
        if !fault.help.is_empty() {
            group = group.element(Level::HELP.message(fault.help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A masked value leaves blanks at a line's end.
        let text = self.render(false);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        f.write_str(&lines.join("\n"))
    }
}
