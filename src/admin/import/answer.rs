//! What `Line N: …` says: which row, and why.

/// The row of a part, from 0, and the server's words. Line 1 is the header (section 8.5).
pub(super) fn row_of(error: &str) -> Option<(usize, &str)> {
    let (line, words) = error.strip_prefix("Line ")?.split_once(':')?;
    let line: usize = line.trim().parse().ok()?;
    Some((line.checked_sub(2)?, words.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_rows_and_nonsense_is_none() {
        let words = "DataValidationException: Device name should be specified!";
        assert_eq!(row_of(&format!("Line 2: {words}")), Some((0, words)));
        assert_eq!(row_of("Line 17: X: y: z"), Some((15, "X: y: z")));
        for odd in [
            "Line 1: the header",
            "Line x: y",
            "Line 3",
            "",
            "line 3: y",
            "Line 99999999999999999999: y",
        ] {
            assert_eq!(row_of(odd), None, "{odd}");
        }
    }
}
