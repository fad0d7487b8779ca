//! Text from others: neither its length nor its characters are trusted.

/// The first `most` characters, with those escaped that a terminal or a log would act upon or not show. What is escaped
/// already stays as it is.
pub(super) fn printable(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(most) {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_escaped_and_quotes_stay() {
        let text = "\u{1b}[31m \"it's\" \\ \n\0 \u{202e} é";
        assert_eq!(
            printable(text, 300),
            r#"\u{1b}[31m "it's" \ \n\0 \u{202e} é"#
        );
    }

    #[test]
    fn what_is_cut_shows_it() {
        assert_eq!(printable("abc", 2), "ab…");
        assert_eq!(printable("abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn no_control_character_comes_through_and_twice_is_once(text: String) {
            let shown = printable(&text, 300);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.len() <= 300 * 10 + 3);
            prop_assert_eq!(printable(&shown, usize::MAX), shown);
        }
    }
}
