//! How a token can be guessed. Nothing here keeps or tells one.

/// Why a token is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weakness {
    /// Fewer than 10 characters.
    Short,
    /// At most three different characters.
    Monotonous,
    /// Digits alone, and fewer than 16.
    Digits,
    /// The one of the row before, counted on.
    Counted,
}

impl Weakness {
    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Short => "fewer than 10 characters",
            Self::Monotonous => "made of three different characters or fewer",
            Self::Digits => "fewer than 16 digits, and nothing else",
            Self::Counted => "the token of the row before, but for a counter",
        }
    }
}

/// Why a token is weak, if it is; `last` is that of the row before.
pub(super) fn weakness(token: &str, last: &str) -> Option<Weakness> {
    let length = token.chars().count();
    if length < 10 {
        Some(Weakness::Short)
    } else if is_monotonous(token) {
        Some(Weakness::Monotonous)
    } else if length < 16 && token.bytes().all(|b| b.is_ascii_digit()) {
        Some(Weakness::Digits)
    } else {
        is_counted(token, last).then_some(Weakness::Counted)
    }
}

fn is_monotonous(token: &str) -> bool {
    let mut met = ['\0'; 3];
    let mut count = 0;
    for c in token.chars() {
        if !met[..count].contains(&c) {
            if count == met.len() {
                return false;
            }
            met[count] = c;
            count += 1;
        }
    }
    true
}

/// Whether a token is the one before, with another number or a few other characters in it.
fn is_counted(token: &str, last: &str) -> bool {
    if token == last || last.is_empty() {
        return false;
    }
    let (a, b) = (token.as_bytes(), last.as_bytes());
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let end = a.iter().rev().zip(b.iter().rev());
    let end = end.take_while(|(a, b)| a == b).count();
    if a.len() == b.len() && start + end + VARYING >= a.len() {
        return true;
    }
    // A counter that has grown by a digit: 9, 10.
    let digits = |text: &[u8]| text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (heads, tails) = (a.len() - digits(a), b.len() - digits(b));
    let number = |text: &str, head: usize| text[head..].parse::<u64>().ok();
    heads == tails
        && a[..heads] == b[..tails]
        && number(token, heads)
            .zip(number(last, tails))
            .is_some_and(|(a, b)| a.abs_diff(b) <= STEP)
}

/// Whether a token is the name but for notation, capitals, marks and a short addition.
pub(super) fn is_name(token: &str, name: &str) -> bool {
    // Nothing but the marks of a notation may be longer in a name than in the token.
    if name.is_empty() || token.len() > 2 * name.len() + ADDED {
        return false;
    }
    if token == name {
        return true;
    }
    let letters = |text: &'_ str| -> Option<usize> {
        let count = text.chars().filter(|c| c.is_alphanumeric()).count();
        (count > 0).then_some(count)
    };
    let (Some(of_token), Some(of_name)) = (letters(token), letters(name)) else {
        return false;
    };
    let added = match of_token.checked_sub(of_name) {
        Some(0) => 0,
        Some(added) if added <= ADDED && of_name >= LONG => added,
        _ => return false,
    };
    // Before it, or after it.
    matches(plain(token), plain(name))
        || added > 0 && matches(plain(token).skip(added), plain(name))
}

fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.map(|c| c.to_ascii_lowercase())
}

fn matches(mut token: impl Iterator<Item = char>, name: impl Iterator<Item = char>) -> bool {
    name.into_iter().all(|c| token.next() == Some(c))
}

/// What the tokens of a list have in common, so that the rest is all that must be guessed.
#[derive(Default)]
pub(super) struct Alike {
    first: String,
    start: usize,
    end: usize,
    longest: usize,
    digits: bool,
    hex: bool,
    count: u64,
    /// They differ in enough, and more of them cannot change that.
    apart: bool,
}

impl Alike {
    /// Takes a token into account.
    pub(super) fn take(&mut self, token: &str) {
        if self.apart {
            return;
        }
        let (a, b) = (self.first.as_bytes(), token.as_bytes());
        self.count += 1;
        if self.count == 1 {
            *self = Self {
                first: token.to_owned(),
                start: token.len(),
                end: token.len(),
                longest: token.len(),
                digits: true,
                hex: true,
                count: 1,
                apart: false,
            };
            return;
        }
        if self.start > 0 {
            let pairs = a[..self.start].iter().zip(b);
            self.start = pairs.take_while(|(a, b)| a == b).count();
        }
        if self.end > 0 {
            let pairs = a.iter().rev().take(self.end).zip(b.iter().rev());
            self.end = pairs.take_while(|(a, b)| a == b).count();
        }
        self.longest = self.longest.max(b.len());
        if self.digits || self.hex {
            let rest = &b[self.start.min(b.len())..b.len() - self.end.min(b.len() - self.start)];
            self.digits &= rest.iter().all(u8::is_ascii_digit);
            self.hex &= rest.iter().all(u8::is_ascii_hexdigit);
        }
        self.apart = self.count >= FEW && self.bits() >= 40.0;
    }

    /// How many characters differ at most.
    fn length(&self) -> usize {
        self.longest.saturating_sub(self.start + self.end)
    }

    /// How many characters differ, where these are too few for the list's tokens to be secret:
    /// fewer than 40 bits.
    pub(super) fn varying(&self) -> Option<usize> {
        let few = self.count < FEW || self.apart || self.length() == 0;
        (!few && self.bits() < 40.0).then(|| self.length())
    }

    /// How much there is to guess, at best. It only grows.
    fn bits(&self) -> f64 {
        let first = self.first.as_bytes();
        let first = &first[self.start..first.len() - self.end.min(first.len() - self.start)];
        let all = |of: fn(&u8) -> bool| first.iter().all(of);
        let digits = self.digits && all(u8::is_ascii_digit);
        let hex = self.hex && all(u8::is_ascii_hexdigit);
        let each = match (digits, hex) {
            (true, _) => 3.3,
            (_, true) => 4.0,
            _ => 6.0,
        };
        self.length() as f64 * each
    }
}

/// Fewer tokens may be alike by chance.
const FEW: u64 = 10;

/// How many characters of a counter may differ from row to row.
const VARYING: usize = 4;

/// How far a counter may have gone from row to row.
const STEP: u64 = 1000;

/// How many letters may be added to a name.
const ADDED: usize = 4;

/// Names shorter than this may be part of anything.
const LONG: usize = 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_in_another_spelling_is_no_secret() {
        let name = "00:1B:C5:00:00:01";
        for (token, found) in [
            ("00:1B:C5:00:00:01", true),
            ("001bc5000001", true),
            ("001B.C500.0001", true),
            ("tok-001bc5000001", true),
            ("001BC5000001_tb", true),
            ("001bc5000002", false),
            ("001bc500", false),
            ("Xk3Pq9ZsL0vBn7TrW2cY", false),
            ("001bc5000001Xk3Pq9ZsL0", false),
            ("", false),
        ] {
            assert_eq!(is_name(token, name), found, "{token}");
        }
        assert!(!is_name("ab1234", "ab"));
        assert!(!is_name("--", ":"));
    }

    #[test]
    fn tells_weak_tokens_from_strong_ones() {
        use Weakness as W;
        for (token, last, found) in [
            ("Xk3Pq9ZsL0vBn7TrW2cY", "", None),
            ("Xk3Pq9ZsL0vBn7TrW2cY", "Pq9ZsL0vBn7TrW2cYXk3", None),
            ("secret", "", Some(W::Short)),
            ("aaaaaaaaaaaaaaaaaaaa", "", Some(W::Monotonous)),
            ("004912345678", "", Some(W::Digits)),
            ("83920174650283746501", "10293847565748392011", None),
            ("device-token-0010", "device-token-0009", Some(W::Counted)),
            ("device-token-10", "device-token-9", Some(W::Counted)),
            ("0010-device-token", "0009-device-token", Some(W::Counted)),
            ("Xk3Pq9ZsL0vBn7TrW2cY", "Xk3Pq9ZsL0vBn7TrW2cY", None),
        ] {
            assert_eq!(weakness(token, last), found, "{token} after {last}");
        }
    }

    #[test]
    fn what_all_tokens_share_is_no_secret() {
        let mut alike = Alike::default();
        for n in 0..10 {
            alike.take(&format!("fleet-{:06}-lot7", n * 77_777));
        }
        assert_eq!(alike.varying(), Some(6));
        let mut apart = Alike::default();
        for n in 0..10u64 {
            let random = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            apart.take(&format!("fleet-{random:016x}"));
        }
        assert_eq!(apart.varying(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(a in "\\PC*", b in "\\PC*", c in "[a-c0-9é]{0,12}", d in "[a-c0-9é]{0,12}") {
            let mut alike = Alike::default();
            for token in [&a, &b, &c, &d] {
                for other in [&a, &b, &c, &d] {
                    weakness(token, other);
                    is_name(token, other);
                    alike.take(token);
                }
            }
            alike.varying();
        }
    }
}
