//! What text search finds: the same on every database, because text is cut into words here and not there.
//!
//! A text is folded to lower case and cut into words: runs of letters and digits; a letter of a script that
//! writes without spaces is a word by itself. The text to look for is cut at white space into **terms**; a
//! document is found when it has every term:
//!
//! - a term that is one word is there when a word begins with it (one of one or two letters: when a word equals
//!   it);
//! - any other term, such as `50%`, `a_b` or `こんにちは`, is there when its words are and the folded text contains
//!   it as it stands. A term without any word, such as `*`, is looked for as it stands.
//!
//! So no character is a wildcard.

use super::super::workflows::cut;
use super::MAX_INDEXED;
use std::collections::BTreeSet;

/// Longest word that is kept, in characters; longer ones are found by their beginning.
const MAX_WORD: usize = 64;

/// A text as it is compared.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// The words of a document, each once, in order of bytes. Only the first [`MAX_INDEXED`] characters count.
pub fn words(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each_word(&fold(&cut(text, MAX_INDEXED)), |word| {
        found.insert(word.to_owned());
    });
    found
}

/// Scripts that write without spaces: kana, Han, Thai, Lao, Khmer, Burmese.
fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn each_word(folded: &str, mut found: impl FnMut(&str)) {
    let mut start = None;
    let mut length = 0;
    for (at, letter) in folded.char_indices() {
        let alone = stands_alone(letter);
        let inside = letter.is_alphanumeric() && !alone;
        if inside && start.is_none() {
            (start, length) = (Some(at), 0);
        }
        if inside {
            length += 1;
            if length <= MAX_WORD {
                continue;
            }
            // The rest of a word that is too long belongs to no word.
            if length == MAX_WORD + 1
                && let Some(from) = start
            {
                found(&folded[from..at]);
            }
            continue;
        }
        if let Some(from) = start.take()
            && length <= MAX_WORD
        {
            found(&folded[from..at]);
        }
        if alone && letter.is_alphanumeric() {
            found(&folded[at..at + letter.len_utf8()]);
        }
    }
    if let Some(from) = start
        && length <= MAX_WORD
    {
        found(&folded[from..]);
    }
}

/// One word that a document must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Folded.
    pub word: String,
    /// A word that begins with it is enough.
    pub prefix: bool,
}

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needle {
    /// Every one of these words; empty when the text holds none.
    pub words: Vec<Sought>,
    /// And every one of these pieces, as they stand in the folded text.
    pub pieces: Vec<String>,
    /// Where a snippet begins: the folded terms in their order.
    terms: Vec<String>,
}

impl Needle {
    /// What a text looks for; `None` for a blank one.
    pub fn parse(text: &str) -> Option<Self> {
        let folded = fold(text);
        let mut needle = Needle::default();
        for term in folded.split_whitespace() {
            needle.add(term);
        }
        needle.words.dedup();
        (!needle.terms.is_empty()).then_some(needle)
    }

    fn add(&mut self, term: &str) {
        let mut words = Vec::new();
        each_word(term, |word| words.push(word.to_owned()));
        let simple = words.len() == 1 && words[0] == term;
        let last = words.len().saturating_sub(1);
        for (at, word) in words.into_iter().enumerate() {
            // Only a word at the end of a term may go on in the text.
            let open = at == last && term.ends_with(&word) && !word.chars().all(stands_alone);
            let prefix = open && word.chars().count() >= 3;
            // A short open word of a piece may begin any word: the piece itself decides.
            if simple || !open || prefix {
                self.words.push(Sought { word, prefix });
            }
        }
        if !simple {
            self.pieces.push(term.to_owned());
        }
        self.terms.push(term.to_owned());
    }

    /// True when a text, folded, has every piece.
    pub fn has_pieces(&self, text: &str) -> bool {
        if self.pieces.is_empty() {
            return true;
        }
        let folded = fold(text);
        self.pieces.iter().all(|piece| folded.contains(piece))
    }

    /// True when a document would be found: what a database must answer, for tests and small lists.
    pub fn finds(&self, text: &str) -> bool {
        let words = words(text);
        let has = |sought: &Sought| match sought.prefix {
            false => words.contains(&sought.word),
            true => words
                .range(sought.word.clone()..)
                .next()
                .is_some_and(|word| word.starts_with(&sought.word)),
        };
        self.words.iter().all(has) && self.has_pieces(text)
    }

    /// Up to 160 characters of a text around the first term that it has, white space as single spaces.
    pub fn snippet(&self, text: &str) -> String {
        const BEFORE: usize = 40;
        const LENGTH: usize = 160;
        let plain: Vec<char> = text
            .split_whitespace()
            .flat_map(|word| word.chars().chain([' ']))
            .take(MAX_INDEXED)
            .collect();
        // Folding may change lengths, so character by character: good enough for a place to begin.
        let folded: Vec<char> = plain
            .iter()
            .map(|letter| letter.to_lowercase().next().unwrap_or(*letter))
            .collect();
        let starts_word = |at: usize| {
            at == 0 || !folded[at - 1].is_alphanumeric() || stands_alone(folded[at - 1])
        };
        let place = |term: &String| {
            let term: Vec<char> = term.chars().collect();
            let at = |at: &usize| folded[*at..].starts_with(&term);
            let places = 0..folded.len();
            places
                .clone()
                .find(|place| at(place) && starts_word(*place))
                .or_else(|| places.clone().find(at))
        };
        let found = self.terms.iter().filter_map(place).min().unwrap_or(0);
        let from = found.saturating_sub(BEFORE);
        let to = plain.len().min(from + LENGTH);
        let piece: String = plain[from..to].iter().collect();
        let piece = piece.trim();
        let before = if from > 0 { "…" } else { "" };
        let after = if to < plain.len() { "…" } else { "" };
        format!("{before}{piece}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finds(needle: &str, text: &str) -> bool {
        Needle::parse(needle).unwrap().finds(text)
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_without_case() {
        let found = words("Déploy v2, déploy! (x_y)");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["déploy", "v2", "x", "y"]
        );
    }

    #[test]
    fn a_word_is_found_by_its_beginning() {
        assert!(finds("plan", "The PLANNING of it"));
        assert!(!finds("plan", "An explanation"));
        assert!(!finds("the plan", "plans of that kind"));
        assert!(finds("a", "not a lot"));
        assert!(!finds("a", "another"));
    }

    #[test]
    fn no_character_is_a_wildcard() {
        assert!(finds("50%", "about 50% of it"));
        assert!(!finds("50%", "about 500 of it"));
        assert!(finds("a_b", "see a_b"));
        assert!(!finds("a_b", "see axb, a b"));
        assert!(finds("*", "2 * 3"));
        assert!(!finds("*", "2 x 3"));
        assert!(!finds("pl*n", "plan"));
        assert!(finds("\"quoted\"", "he \"quoted\" it"));
        assert!(!finds("\"quoted\"", "he quoted it"));
        assert!(finds("don't", "I don't know"));
        assert!(finds("foo.rs", "in foo.rs:3"));
        assert!(finds("foo.rust", "in foo.rusty"));
    }

    #[test]
    fn scripts_without_spaces_are_found_inside_a_run() {
        assert!(finds("世界", "你好世界"));
        assert!(!finds("界世", "你好世界"));
    }

    #[test]
    fn a_blank_text_looks_for_nothing() {
        assert_eq!(Needle::parse(" \n"), None);
    }

    #[test]
    fn a_word_that_is_too_long_is_found_by_its_beginning() {
        let long = "x".repeat(500);
        assert!(words(&long).iter().all(|word| word.chars().count() == 64));
        assert!(finds("xxxx", &long));
    }

    #[test]
    fn a_snippet_shows_the_place() {
        let needle = Needle::parse("needle").unwrap();
        let text = format!(
            "{} the Needle\n  is here {}",
            "hay ".repeat(60),
            "straw ".repeat(60)
        );
        let snippet = needle.snippet(&text);
        assert!(snippet.contains("the Needle is here"), "{snippet}");
        assert!(snippet.starts_with('…') && snippet.ends_with('…'));
        assert!(snippet.chars().count() <= 162);
        assert_eq!(needle.snippet("short"), "short");
    }

    proptest! {
        #[test]
        fn every_word_of_a_text_finds_it(text in "\\PC{0,80}") {
            for word in words(&text) {
                prop_assert!(finds(&word, &text), "{:?} in {:?}", word, text);
            }
        }

        #[test]
        fn a_piece_of_a_text_finds_it_when_it_starts_a_word(
            before in "[a-z_%*]{0,6}", piece in "[a-z_%*\"]{1,8}", after in "[a-z_%* ]{0,6}"
        ) {
            let text = format!("{before} {piece}{after}");
            let needle = Needle::parse(&piece).unwrap();
            // A piece that ends in a short word inside a longer one is only promised as a piece.
            let whole = needle.words.iter().all(|sought| sought.prefix || sought.word.chars().count() >= 3);
            prop_assume!(whole || after.is_empty());
            prop_assert!(needle.finds(&text), "{:?} in {:?}", needle, text);
        }

        #[test]
        fn what_is_found_contains_every_piece(needle in "[a-z%_*\" ]{1,8}", text in "[a-z%_*\" ]{0,30}") {
            if let Some(needle) = Needle::parse(&needle)
                && needle.finds(&text)
            {
                prop_assert!(needle.terms.iter().all(|term| fold(&text).contains(term)));
            }
        }

        #[test]
        fn a_snippet_never_fails(needle in "\\PC{1,8}", text in "\\PC{0,300}") {
            if let Some(needle) = Needle::parse(&needle) {
                prop_assert!(needle.snippet(&text).chars().count() <= 162);
            }
        }
    }
}
