//! A file as UTF-8 text, whatever a spreadsheet saved it as.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// How the file is encoded, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lint) enum Encoded {
    /// UTF-8, or what is taken for it.
    Utf8,
    /// UTF-8 with a byte order mark.
    Marked,
    /// UTF-16.
    Utf16(&'static Encoding),
    /// UTF-32, and whether its low byte comes first.
    Utf32 { little: bool },
}

/// A list's text.
pub(in crate::lint) struct Source {
    /// UTF-8 with LF or CRLF; without a byte order mark, unless it has two.
    pub(in crate::lint) text: Box<dyn BufRead>,
    /// What the file itself is.
    pub(in crate::lint) encoded: Encoded,
    /// Whether its lines ended with carriage returns alone.
    pub(in crate::lint) carriage_returns: bool,
}

/// Opens a file.
pub(in crate::lint) fn open(path: &Path) -> io::Result<Source> {
    let mut file = File::open(path)?;
    let mut head = Vec::with_capacity(HEAD);
    (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
    let encoded = encoding(&head);
    let rest = Cursor::new(head).chain(file);
    let mut text: Box<dyn BufRead> = match encoded {
        Encoded::Utf8 => Box::new(BufReader::with_capacity(HEAD, rest)),
        Encoded::Marked => {
            let mut text = BufReader::with_capacity(HEAD, rest);
            text.read_exact(&mut [0; 3])?;
            Box::new(text)
        }
        Encoded::Utf16(encoding) => {
            let decoder = DecodeReaderBytesBuilder::new()
                .encoding(Some(encoding))
                .strip_bom(true)
                .build(rest);
            Box::new(BufReader::with_capacity(HEAD, decoder))
        }
        Encoded::Utf32 { little } => Box::new(BufReader::with_capacity(
            HEAD,
            Utf32 {
                input: BufReader::new(rest),
                little,
                begun: false,
                left: Vec::new(),
            },
        )),
    };
    let begin = text.fill_buf()?;
    let carriage_returns = begin.contains(&b'\r') && !begin.contains(&b'\n');
    if carriage_returns {
        text = Box::new(BufReader::with_capacity(HEAD, LineFeeds(text)));
    }
    Ok(Source {
        text,
        encoded,
        carriage_returns,
    })
}

fn encoding(head: &[u8]) -> Encoded {
    match head {
        [0xff, 0xfe, 0, 0, ..] => return Encoded::Utf32 { little: true },
        [0, 0, 0xfe, 0xff, ..] => return Encoded::Utf32 { little: false },
        [0xff, 0xfe, ..] => return Encoded::Utf16(UTF_16LE),
        [0xfe, 0xff, ..] => return Encoded::Utf16(UTF_16BE),
        [0xef, 0xbb, 0xbf, ..] => return Encoded::Marked,
        _ => {}
    }
    // Without a mark: a list is mostly ASCII, whose other bytes are NUL.
    let begin = &head[..head.len().min(400) / 4 * 4];
    let nul = |at: usize, of: usize| {
        let bytes = begin.iter().skip(at).step_by(of);
        let all = begin.len() / of;
        all > 0 && bytes.filter(|byte| **byte == 0).count() * 10 >= all * 9
    };
    match [nul(0, 4), nul(1, 4), nul(2, 4), nul(3, 4)] {
        [true, true, true, false] => Encoded::Utf32 { little: false },
        [false, true, true, true] => Encoded::Utf32 { little: true },
        [true, false, true, false] => Encoded::Utf16(UTF_16BE),
        [false, true, false, true] => Encoded::Utf16(UTF_16LE),
        _ => Encoded::Utf8,
    }
}

/// UTF-32 to UTF-8; what is no character becomes U+FFFD.
struct Utf32<R> {
    input: R,
    little: bool,
    begun: bool,
    /// Of a character that did not fit.
    left: Vec<u8>,
}

impl<R: Read> Read for Utf32<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            if self.left.is_empty() {
                let mut unit = [0; 4];
                match self.input.read_exact(&mut unit) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
                    Err(e) => return Err(e),
                }
                let code = if self.little {
                    u32::from_le_bytes(unit)
                } else {
                    u32::from_be_bytes(unit)
                };
                let mark = !std::mem::replace(&mut self.begun, true) && code == 0xfeff;
                if mark {
                    continue;
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.left
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            let taken = self.left.len().min(out.len() - filled);
            out[filled..filled + taken].copy_from_slice(&self.left[..taken]);
            self.left.drain(..taken);
            filled += taken;
        }
        Ok(filled)
    }
}

/// Carriage returns to line feeds.
struct LineFeeds<R>(R);

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(out)?;
        for byte in &mut out[..read] {
            if *byte == b'\r' {
                *byte = b'\n';
            }
        }
        Ok(read)
    }
}

/// What is looked at before reading begins, bytes.
const HEAD: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (String, Encoded, bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::write(&path, bytes).unwrap();
        let mut source = open(&path).unwrap();
        let mut text = String::new();
        source.text.read_to_string(&mut text).unwrap();
        (text, source.encoded, source.carriage_returns)
    }

    fn utf16(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        mark.into_iter()
            .chain(text.encode_utf16())
            .flat_map(bytes)
            .collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "name,label\nAA:BB,Zähler 🌡\n";
        let utf32 = |mark: bool, bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            let mark = mark.then_some(0xfeff);
            mark.into_iter()
                .chain(text.chars().map(u32::from))
                .flat_map(bytes)
                .collect()
        };
        for (bytes, encoded) in [
            (text.as_bytes().to_vec(), Encoded::Utf8),
            (format!("\u{feff}{text}").into_bytes(), Encoded::Marked),
            (
                utf16(text, true, u16::to_le_bytes),
                Encoded::Utf16(UTF_16LE),
            ),
            (
                utf16(text, true, u16::to_be_bytes),
                Encoded::Utf16(UTF_16BE),
            ),
            (
                utf16(text, false, u16::to_le_bytes),
                Encoded::Utf16(UTF_16LE),
            ),
            (
                utf16(text, false, u16::to_be_bytes),
                Encoded::Utf16(UTF_16BE),
            ),
            (
                utf32(true, u32::to_le_bytes),
                Encoded::Utf32 { little: true },
            ),
            (
                utf32(true, u32::to_be_bytes),
                Encoded::Utf32 { little: false },
            ),
            (
                utf32(false, u32::to_le_bytes),
                Encoded::Utf32 { little: true },
            ),
            (
                utf32(false, u32::to_be_bytes),
                Encoded::Utf32 { little: false },
            ),
        ] {
            assert_eq!(read(&bytes), (text.to_owned(), encoded, false));
        }
    }

    #[test]
    fn a_long_file_in_utf_32_is_read_whole() {
        let text = "ä🌡x\n".repeat(100_000);
        let bytes: Vec<u8> = text
            .chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect();
        let marked: Vec<u8> = [0xff, 0xfe, 0, 0].into_iter().chain(bytes).collect();
        assert!(read(&marked).0 == text);
    }

    #[test]
    fn carriage_returns_alone_become_line_feeds() {
        assert_eq!(
            read(b"name\ra\rb\r"),
            ("name\na\nb\n".to_owned(), Encoded::Utf8, true)
        );
        assert!(!read(b"name\r\na\rb\r\n").2);
        assert_eq!(read(b"").0, "");
    }
}
