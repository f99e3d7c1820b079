//! Reads JSON as leniently as Gson's reader does, since that is what the platform reads with:
//! bare and single-quoted words, comments, `=` for `:`, `;` for `,`, missing list elements, `NaN`,
//! and the last of equal names winning. Numbers keep their text, so `1.50` stays `1.50` as a name.
//! It refuses nesting deeper than 255, as current Gson releases do.

use std::collections::HashMap;
use std::fmt::Write as _;

/// A JSON value; numbers as they were written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// What is wrong with a text, for people.
pub(super) type Fault = String;

/// Reads a whole text; an empty one is null.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    if reader.skip()?.is_none() {
        return Ok(Node::Null);
    }
    if reader.bytes[reader.at..].starts_with(b")]}'\n") {
        reader.at += 5;
    }
    let node = reader.value(0)?;
    if node != Node::Null && reader.skip()?.is_some() {
        return Err(reader.fault("Did not consume the entire document"));
    }
    Ok(node)
}

/// How a field that is not a plain value fails, when it is read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A list that does not have exactly one element.
    List,
    /// Null or an object.
    Shape,
}

impl Node {
    /// The value as text: numbers and booleans too, and the only element of a list.
    pub(super) fn as_text(&self) -> Result<String, Unreadable> {
        match self {
            Self::Text(text) | Self::Number(text) => Ok(text.clone()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::List(list) if list.len() == 1 => list[0].as_text(),
            Self::List(_) => Err(Unreadable::List),
            Self::Null | Self::Object(_) => Err(Unreadable::Shape),
        }
    }

    /// The value as a boolean: only `true` and a text that spells it are true.
    pub(super) fn as_flag(&self) -> Result<bool, Unreadable> {
        Ok(self.as_text()?.eq_ignore_ascii_case("true"))
    }

    /// An object's member.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The compact JSON text.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => quote(text, out),
            Self::List(list) => {
                out.push('[');
                for (i, node) in list.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    node.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (name, node)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    quote(name, out);
                    out.push(':');
                    node.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends a text as a JSON string.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn fault(&self, what: &str) -> Fault {
        format!("{what} at offset {}", self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes white space and comments; the next byte is not consumed.
    fn skip(&mut self) -> Result<Option<u8>, Fault> {
        while let Some(byte) = self.peek() {
            match (byte, self.bytes.get(self.at + 1)) {
                (b' ' | b'\n' | b'\r' | b'\t', _) => self.at += 1,
                (b'#', _) | (b'/', Some(b'/')) => self.skip_line(),
                (b'/', Some(b'*')) => {
                    let rest = &self.text[self.at + 2..];
                    let end = rest
                        .find("*/")
                        .ok_or_else(|| self.fault("Unterminated comment"))?;
                    self.at += 2 + end + 2;
                }
                _ => return Ok(Some(byte)),
            }
        }
        Ok(None)
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest
            .iter()
            .position(|b| matches!(b, b'\n' | b'\r'))
            .unwrap_or(rest.len());
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        let byte = self.skip()?.ok_or_else(|| self.fault("End of input"))?;
        match byte {
            b'{' | b'[' if depth == DEPTH => Err(self.fault("Nesting limit reached")),
            b'{' => self.object(depth + 1),
            b'[' => self.list(depth + 1),
            b'"' | b'\'' => Ok(Node::Text(self.quoted(byte)?)),
            _ => self.literal(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, Fault> {
        self.at += 1;
        let mut list = Vec::new();
        if self.skip()? == Some(b']') {
            self.at += 1;
            return Ok(Node::List(list));
        }
        loop {
            list.push(match self.skip()? {
                // A missing element is null.
                Some(b',' | b';' | b']') => Node::Null,
                _ => self.value(depth)?,
            });
            match self.skip()? {
                Some(b']') => {
                    self.at += 1;
                    return Ok(Node::List(list));
                }
                Some(b',' | b';') => self.at += 1,
                _ => return Err(self.fault("Unterminated array")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, Fault> {
        self.at += 1;
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        if self.skip()? == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            let name = match self.skip()? {
                Some(mark @ (b'"' | b'\'')) => self.quoted(mark)?,
                Some(_) => self.bare("Expected name")?.to_owned(),
                None => return Err(self.fault("End of input")),
            };
            match self.skip()? {
                Some(b':') => self.at += 1,
                Some(b'=') => {
                    self.at += 1 + usize::from(self.bytes.get(self.at + 1) == Some(&b'>'));
                }
                _ => return Err(self.fault("Expected ':'")),
            }
            let node = self.value(depth)?;
            if let Some(&at) = index.get(&name) {
                members[at].1 = node;
            } else {
                index.insert(name.clone(), members.len());
                members.push((name, node));
            }
            match self.skip()? {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Node::Object(members));
                }
                Some(b',' | b';') => self.at += 1,
                _ => return Err(self.fault("Unterminated object")),
            }
        }
    }

    fn quoted(&mut self, mark: u8) -> Result<String, Fault> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let run = rest
                .iter()
                .position(|&b| b == mark || b == b'\\')
                .ok_or_else(|| self.fault("Unterminated string"))?;
            out.push_str(&self.text[self.at..self.at + run]);
            self.at += run + 1;
            if rest[run] == mark {
                return Ok(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let byte = self
            .peek()
            .ok_or_else(|| self.fault("Unterminated escape sequence"))?;
        self.at += 1;
        Ok(match byte {
            b'u' => {
                let high = self.hex()?;
                return self.surrogate(high);
            }
            b't' => '\t',
            b'b' => '\u{8}',
            b'n' => '\n',
            b'r' => '\r',
            b'f' => '\u{c}',
            b'\n' | b'\'' | b'"' | b'\\' | b'/' => char::from(byte),
            _ => return Err(self.fault("Invalid escape sequence")),
        })
    }

    fn surrogate(&mut self, unit: u16) -> Result<char, Fault> {
        let high = (0xD800..0xDC00).contains(&unit);
        if high && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if let Some(Ok(whole)) = char::decode_utf16([unit, low]).next() {
                return Ok(whole);
            }
            self.at = back;
        }
        Ok(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u16, Fault> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .ok_or_else(|| self.fault("Malformed Unicode escape"))?;
        self.at += 4;
        Ok(digits.iter().fold(0, |value, &digit| {
            let nibble = char::from(digit).to_digit(16).expect("checked above");
            value << 4 | nibble as u16
        }))
    }

    /// A run of bytes that mean nothing to JSON.
    fn bare(&mut self, wanted: &str) -> Result<&str, Fault> {
        let rest = &self.bytes[self.at..];
        let run = rest
            .iter()
            .position(|b| b"/\\;#={}[]:, \t\x0c\r\n".contains(b))
            .unwrap_or(rest.len());
        if run == 0 {
            return Err(self.fault(wanted));
        }
        self.at += run;
        Ok(&self.text[self.at - run..self.at])
    }

    fn literal(&mut self) -> Result<Node, Fault> {
        let word = self.bare("Expected value")?;
        Ok(if word.eq_ignore_ascii_case("null") {
            Node::Null
        } else if word.eq_ignore_ascii_case("true") {
            Node::Bool(true)
        } else if word.eq_ignore_ascii_case("false") {
            Node::Bool(false)
        } else if is_number(word) {
            Node::Number(word.to_owned())
        } else {
            Node::Text(word.to_owned())
        })
    }
}

/// RFC 8259's number grammar; `007` is not a number but a bare word.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

const DEPTH: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compact(text: &str) -> String {
        let mut out = String::new();
        parse(text).unwrap().write(&mut out);
        out
    }

    #[test]
    fn reads_what_gson_reads_leniently() {
        for (text, meant) in [
            ("", "null"),
            ("  // nothing\n", "null"),
            (r#"{"a":1,'b':2,c:3}"#, r#"{"a":1,"b":2,"c":3}"#),
            ("{a=1;b=>2}", r#"{"a":1,"b":2}"#),
            ("{a:/*x*/hello # y\n}", r#"{"a":"hello"}"#),
            ("{a:NaN}", r#"{"a":"NaN"}"#),
            ("{a:1,a:2}", r#"{"a":2}"#),
            ("[1,,]", "[1,null,null]"),
            ("[,]", "[null,null]"),
            ("{a:TRUE,b:Null}", r#"{"a":true,"b":null}"#),
            ("{a:001122334455}", r#"{"a":"001122334455"}"#),
            ("{a:1.50,b:-0,c:1e+3}", r#"{"a":1.50,"b":-0,"c":1e+3}"#),
            (r#"{"a":"\u00e9\ud83d\ude00\/\'"}"#, r#"{"a":"é😀/'"}"#),
            ("\u{feff}{}", "{}"),
        ] {
            assert_eq!(compact(text), meant, "{text}");
        }
    }

    #[test]
    fn refuses_what_gson_refuses() {
        for text in [
            "{",
            "[1",
            "{a}",
            "{a:}",
            "{a:1,}",
            "{\"a\":1} x",
            "\"a",
            "{a:AA:BB}",
            "{:1}",
            "\"\\x\"",
            "\"\\u12g4\"",
            "/* no end",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn reads_values_as_text() {
        for (text, meant) in [
            ("5", Ok("5")),
            ("true", Ok("true")),
            ("[x]", Ok("x")),
            ("[[7]]", Ok("7")),
            ("[]", Err(Unreadable::List)),
            ("[1,2]", Err(Unreadable::List)),
            ("null", Err(Unreadable::Shape)),
            ("{}", Err(Unreadable::Shape)),
        ] {
            let node = parse(text).unwrap();
            assert_eq!(node.as_text().as_deref(), meant.as_ref().copied(), "{text}");
        }
        assert_eq!(parse("'TruE'").unwrap().as_flag(), Ok(true));
        assert_eq!(parse("1").unwrap().as_flag(), Ok(false));
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_structure(text in r#"[\[\]{}:,;="'\\/*# a1u\n-]{0,40}"#) {
            let _ = parse(&text);
        }

        #[test]
        fn agrees_with_serde_on_strict_json(texts in proptest::collection::vec(any::<String>(), 0..4)) {
            let strict = serde_json::to_string(&texts).unwrap();
            let meant = Node::List(texts.into_iter().map(Node::Text).collect());
            prop_assert_eq!(parse(&strict).unwrap(), meant);
        }
    }
}
