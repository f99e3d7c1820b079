//! What somebody probably meant to write.

/// The candidate nearest to a word that was not found, if any is near enough to be meant.
///
/// Case and surrounding blanks do not count; else up to a third of the letters may differ.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.trim().to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let plain = candidate.trim().to_lowercase();
            (strsim::damerau_levenshtein(&word, &plain), candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far_fetched() {
        for (word, meant) in [
            ("intervall", Some("interval")),
            ("Interval ", Some("interval")),
            ("qso", Some("qos")),
            ("duration", None),
            ("", None),
        ] {
            assert_eq!(
                nearest(word, ["interval", "qos", "payload"]),
                meant,
                "{word:?}"
            );
        }
    }
}
