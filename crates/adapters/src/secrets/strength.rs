//! What a deployment's key must be like (04 §7.1): long, varied, and not a placeholder of an example file.

use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;

const MIN_BYTES: usize = 32;
const MIN_DISTINCT: usize = 16;
const MIN_BITS: f64 = 3.5;
/// A run of characters that are equal, or each the next one, is a keyboard's work from this length on.
const MAX_RUN: usize = 8;
const WORDS: [&str; 9] = [
    "change-me",
    "local",
    "demo",
    "dev",
    "example",
    "test",
    "password",
    "secret",
    "cookie",
];

/// Why a key is not taken. Names no part of it but a word of the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// Too short.
    #[error("The key has fewer than {MIN_BYTES} bytes; make one with `openssl rand -base64 48`.")]
    Short,
    /// Too few different characters, or too regular ones.
    #[error(
        "The key has too little variety to be random; make one with `openssl rand -base64 48`."
    )]
    Regular,
    /// A placeholder.
    #[error(
        "The key contains the word `{0}`, as placeholders do; make one with `openssl rand -base64 48`."
    )]
    Word(&'static str),
}

/// Checks a key.
///
/// # Errors
/// [`WeakKey`], the first reason found.
pub fn check_key(material: &SecretString) -> Result<(), WeakKey> {
    let key = material.expose_secret();
    if key.len() < MIN_BYTES {
        return Err(WeakKey::Short);
    }
    let lower = key.to_lowercase();
    if let Some(word) = WORDS.into_iter().find(|word| lower.contains(word)) {
        return Err(WeakKey::Word(word));
    }
    let characters: Vec<char> = key.chars().collect();
    if is_regular(&characters) || repeats(&characters) || runs(&characters) {
        return Err(WeakKey::Regular);
    }
    Ok(())
}

/// Few different characters, or little entropy per character.
fn is_regular(characters: &[char]) -> bool {
    let mut counts: HashMap<char, u32> = HashMap::new();
    for character in characters {
        *counts.entry(*character).or_default() += 1;
    }
    let length = characters.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    let bits: f64 = counts
        .values()
        .map(share)
        .map(|share| -share * share.log2())
        .sum();
    counts.len() < MIN_DISTINCT || bits < MIN_BITS
}

/// A shorter text, over and over.
fn repeats(characters: &[char]) -> bool {
    (1..=characters.len() / 2).any(|period| {
        let later = characters.iter().skip(period);
        characters.iter().zip(later).all(|(a, b)| a == b)
    })
}

/// `abcdefgh`, `87654321`, `aaaaaaaa` somewhere inside.
fn runs(characters: &[char]) -> bool {
    let steps: Vec<i64> = characters
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(i64::from(u32::from(*b)) - i64::from(u32::from(*a))),
            _ => None,
        })
        .collect();
    steps.windows(MAX_RUN - 1).any(|steps| {
        [-1, 0, 1]
            .iter()
            .any(|step| steps.iter().all(|it| it == step))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str) -> Result<(), WeakKey> {
        check_key(&key.into())
    }

    #[test]
    fn random_keys_pass() {
        for key in [
            "0VQ9mB1xH7cT3nZ5rL8yW2kJ6pF4sD0aGuXe",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "q3LxTn5bAaVYp0c2Hh7mKe9wRzUuJj1sGgOoIi4FfXx8PpDd+/==",
        ] {
            assert_eq!(check(key), Ok(()), "{key}");
        }
    }

    #[test]
    fn placeholders_patterns_and_short_keys_do_not() {
        for (key, why) in [
            ("", WeakKey::Short),
            ("0VQ9mB1xH7cT3nZ5rL8yW2kJ6pF4s", WeakKey::Short),
            (
                "please-CHANGE-ME-0VQ9mB1xH7cT3nZ5rL8y",
                WeakKey::Word("change-me"),
            ),
            (
                "0VQ9mB1xH7cT3nZ5rMySecretL8yW2kJ6pF4",
                WeakKey::Word("secret"),
            ),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", WeakKey::Regular),
            (
                "0VQ9mB1xH7cT3nZ50VQ9mB1xH7cT3nZ50VQ9mB1xH7cT3nZ5",
                WeakKey::Regular,
            ),
            ("0123456789abcdefghijklmnopqrstuvwxyz", WeakKey::Regular),
            ("abababababababababababababababababab", WeakKey::Regular),
        ] {
            assert_eq!(check(key), Err(why), "{key}");
        }
    }

    #[test]
    fn no_reason_shows_the_key() {
        let key = "canary-password-canary-0VQ9mB1xH7cT3nZ5";
        let reason = check(key).unwrap_err().to_string();
        assert!(!reason.contains("canary"), "{reason}");
    }
}
