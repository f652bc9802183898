//! What strangers wrote, in our messages.

use std::fmt::{self, Display, Formatter, Write};

/// The largest number of characters that a text of a peer has in a message.
const SHOWN_CHARACTERS: usize = 256;

/// The largest number of names of a certificate that a message lists.
const SHOWN_NAMES: usize = 10;

/// A text from a certificate as it stands in messages and logs: on one line, of bounded length, and without characters
/// that a terminal would obey or not show. A certificate can be made by anybody and hold anything.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for char in self.0.chars().take(SHOWN_CHARACTERS) {
            match char {
                '"' | '\'' => f.write_char(char)?,
                _ => char.escape_debug().fmt(f)?,
            }
        }
        match self.0.chars().nth(SHOWN_CHARACTERS) {
            Some(_) => f.write_char('…'),
            None => Ok(()),
        }
    }
}

/// The names of a certificate, the first of them where there are many.
pub(crate) fn list(names: &[String]) -> String {
    let mut text =
        names.iter().take(SHOWN_NAMES).map(|name| Printable(name).to_string()).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN_NAMES);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["CN=Let's Encrypt, O=\"ISRG\"", "*.a.example", "Größe 中文", ""] {
            assert_eq!(Printable(name).to_string(), name);
        }
        assert_eq!(
            Printable("a\nb\\n").to_string(),
            "a\\nb\\\\n",
            "what was escaped can be told from what was written"
        );
    }

    #[test]
    fn lists_end() {
        let names: Vec<_> = (0..12).map(|n| format!("{n}.example")).collect();
        assert!(list(&names).ends_with("9.example and 2 more"));
        assert_eq!(list(&names[..2]), "0.example, 1.example");
    }

    proptest! {
        #[test]
        fn one_line_of_bounded_length(text in any::<String>(), times in 1usize..50) {
            let told = Printable(&text.repeat(times)).to_string();
            prop_assert!(!told.chars().any(char::is_control));
            // The longest escape is `\u{10ffff}`.
            prop_assert!(told.chars().count() <= SHOWN_CHARACTERS * 10 + 1);
        }
    }
}
