//! Letters that look like others (Unicode Technical Standard 39).

use unicode_security::skeleton;

/// A name as it looks: full-width forms and letters of other scripts as the ASCII characters that
/// they look like, without what cannot be seen. Only for names that are not ASCII.
pub(super) fn looks(name: &str) -> String {
    let mut looks = String::with_capacity(name.len());
    for c in super::blanks::seen(name).as_deref().unwrap_or(name).chars() {
        match c {
            c if c.is_ascii() => looks.push(c),
            '\u{ff01}'..='\u{ff5e}' => {
                let ascii = u32::from(c) - 0xfee0;
                looks.push(char::from_u32(ascii).expect("ASCII"));
            }
            c => looks.extend(skeleton(c.encode_utf8(&mut [0; 4]))),
        }
    }
    looks
}

/// The first letter or digit of a name that looks like another one in it could: a full-width
/// form, or a letter of another script that looks like an ASCII one among ASCII letters.
pub(super) fn deceptive(name: &str) -> Option<char> {
    if name.is_ascii() {
        return None;
    }
    let latin = name.chars().any(|c| c.is_ascii_alphabetic());
    name.chars().find(|c| match c {
        c if c.is_ascii() => false,
        '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => true,
        c => {
            let mut looks = skeleton(c.encode_utf8(&mut [0; 4]))
                .collect::<Vec<_>>()
                .into_iter();
            let first = looks.next();
            latin
                && c.is_alphanumeric()
                && first.is_some_and(|first| first.is_ascii_alphanumeric())
                && looks.next().is_none()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_letters_of_another_script_and_leaves_languages_alone() {
        for (name, found) in [
            ("Pump 1", None),
            ("Pumр 1", Some('р')),
            ("ΑB:CD", Some('Α')),
            ("７00", Some('７')),
            ("Насос 1", None),
            ("Zähler", None),
            ("温度 Sensor", None),
        ] {
            assert_eq!(deceptive(name), found, "{name}");
        }
        assert_eq!(looks("АВ１"), "AB1");
    }
}
