//! How names are made comparable for searching (`brig.md` §11): transliterated to Latin, folded to ASCII, lower-case,
//! and cut at white space.

use std::collections::BTreeSet;

/// Longest prefix in characters that the directory keeps of a word; more of a word than this does not narrow a search.
pub const MAX_PREFIX: usize = 30;

/// Most characters of a name or search term that count.
pub const MAX_TEXT: usize = 512;

/// Most words of a name or search term that count.
pub const MAX_WORDS: usize = 16;

/// The folded words of a name or search term, in order, each once.
pub fn words(text: &str) -> Vec<String> {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
    let folded = deunicode::deunicode(&text[..end]).to_ascii_lowercase();
    let mut seen = BTreeSet::new();
    let words = folded.split_ascii_whitespace().filter(|word| seen.insert(word.to_owned()));
    words.take(MAX_WORDS).map(str::to_owned).collect()
}

/// All prefixes of a folded word up to [`MAX_PREFIX`], shortest first.
pub fn prefixes(word: &str) -> impl Iterator<Item = &str> {
    // Folded words are ASCII, but this must hold for any text.
    word.char_indices().map(|(at, c)| &word[..at + c.len_utf8()]).take(MAX_PREFIX)
}

/// The longest prefix that the directory keeps of a folded word.
pub fn longest_prefix(word: &str) -> &str {
    prefixes(word).last().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding() {
        for (text, expected) in [
            ("Alice", vec!["alice"]),
            ("  Ärger  Ölgötz ", vec!["arger", "olgotz"]),
            ("Łukasz Straße", vec!["lukasz", "strasse"]),
            ("Анна", vec!["anna"]),
            ("Bob Bob bob", vec!["bob"]),
            ("O'Neil-Smith", vec!["o'neil-smith"]),
            ("", vec![]),
            ("\u{3000}\t", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        assert_eq!(words(&"ж".repeat(10_000))[0].len(), 2 * MAX_TEXT, "a long text costs no more than a short one");
        assert_eq!(words(&"a b c d e f g h i j k l m n o p q r".repeat(2)).len(), MAX_WORDS);
    }

    #[test]
    fn prefixes_of_words() {
        assert_eq!(prefixes("bob").collect::<Vec<_>>(), ["b", "bo", "bob"]);
        assert_eq!(longest_prefix(&"x".repeat(100)).len(), MAX_PREFIX);
        assert_eq!(longest_prefix(""), "");
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in ".{0,40}") {
            let once = words(&text);
            proptest::prop_assert_eq!(&words(&once.join(" ")), &once);
            for word in &once {
                proptest::prop_assert!(word.starts_with(longest_prefix(word)));
            }
        }
    }
}
