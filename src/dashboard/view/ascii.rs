//! The same screen in ASCII, for terminals and locales that know nothing else.

use ratatui::buffer::Buffer;
use ratatui::text::Span;

/// Gives every cell an ASCII sign, whatever was drawn and wherever it came from.
pub(super) fn plainly(buffer: &mut Buffer) {
    let mut covered = 0;
    for cell in &mut buffer.content {
        if covered > 0 {
            // The rest of a wide sign.
            covered -= 1;
            cell.set_symbol(" ");
        } else if !cell.symbol().is_ascii() {
            covered = Span::raw(cell.symbol()).width().saturating_sub(1);
            let mut signs = cell.symbol().chars();
            let sign = match (signs.next(), signs.next()) {
                (Some(one), None) => of(one),
                _ => '?',
            };
            cell.set_char(sign);
        }
    }
}

fn of(sign: char) -> char {
    match sign {
        '█' | '▇' | '▆' => '#',
        '▅' | '▄' | '▃' => '=',
        '▂' | '▁' => '_',
        '░' | '·' => '.',
        '─' | '–' => '-',
        '│' => '|',
        '┌' | '┐' | '┘' | '└' | '✓' => '+',
        '✗' | '×' => 'x',
        '▸' | '→' => '>',
        '←' => '<',
        '↑' => '^',
        '↓' => 'v',
        '●' => '*',
        '○' => 'o',
        '◉' => '@',
        '…' => '~',
        'µ' => 'u',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_becomes_one_of_ascii_and_none_moves() {
        let mut buffer = Buffer::with_lines(["█ 5 µs 東京é…✗", "plain"]);
        plainly(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["# 5 us ? ? ?~x", "plain"]));
    }
}
