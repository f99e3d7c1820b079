//! The colours of text for a terminal, in one place so that all output looks alike.

/// Text that may be coloured. Colours never carry a meaning of their own.
pub trait Paint {
    /// Whether ANSI colours are wanted; off for `NO_COLOR`, files and pipes.
    fn color(&self) -> bool;

    /// What went well: bold blue.
    fn good(&self, text: &str) -> String {
        self.paint("1;38;5;33", text)
    }

    /// What wants attention: bold orange, told apart from blue by every kind of colour vision.
    fn bad(&self, text: &str) -> String {
        self.paint("1;38;5;208", text)
    }

    /// Headings.
    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Side remarks.
    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Text under an SGR code (ECMA-48, 8.3.117).
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color() && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
