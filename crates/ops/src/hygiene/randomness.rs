//! How random a value looks.

/// Shannon entropy of the value's bytes, bits per byte.
pub(super) fn bits_per_byte(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    let share = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(share).sum()
}

/// Bits in the whole value, as far as the mix of its bytes tells.
pub(super) fn bits(value: &str) -> f64 {
    bits_per_byte(value) * value.len() as f64
}

/// Whether this looks drawn, not written: 16 characters or more, letters and digits mixed, and not a list of
/// words with numbers.
pub(super) fn is_random(value: &str) -> bool {
    if value.len() < 16 || value.contains(char::is_whitespace) {
        return false;
    }
    let has = |test: fn(&u8) -> bool| value.bytes().any(|byte| test(&byte));
    if !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic) {
        return false;
    }
    bits_per_byte(value) >= 3.0 && !is_words(value)
}

/// `task-runner-config`, `v1.2.3-beta4`, `app_2_worker`, `someCamelCase2`: segments that a person would write.
pub(super) fn is_words(value: &str) -> bool {
    let words: Vec<&str> = value
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|segment| !segment.is_empty())
        .flat_map(humps)
        .collect();
    let letters: usize = words.iter().map(|word| word.len()).sum();
    // Drawn text changes its case all the time, written text seldom.
    letters * 2 >= words.len() * 5 && words.iter().all(|word| is_word(word))
}

/// A word, a capitalized word, an acronym, or a number, with a short number behind.
fn is_word(word: &str) -> bool {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = word.len() - letters.len();
    let bytes = letters.as_bytes();
    let is_lower = bytes.iter().skip(1).all(u8::is_ascii_lowercase);
    let is_acronym = bytes.len() <= 12 && bytes.iter().all(u8::is_ascii_uppercase);
    digits <= 4 && bytes.len() <= 20 && (is_lower || is_acronym)
}

/// Splits camel case; a run of capitals stays together.
fn humps(segment: &str) -> Vec<&str> {
    let bytes = segment.as_bytes();
    let mut cuts = vec![0];
    for at in 1..bytes.len() {
        if bytes[at].is_ascii_uppercase() && !bytes[at - 1].is_ascii_uppercase() {
            cuts.push(at);
        }
    }
    cuts.push(bytes.len());
    cuts.windows(2)
        .map(|cut| &segment[cut[0]..cut[1]])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_names_are_not_random() {
        for name in [
            "task-runner-config-2024",
            "open-cowork-cloud-web-1",
            "someCamelCaseName2Here",
            "aaaaaaaaaaaaaaaaaaa1",
            "short1",
            "only-letters-and-hyphens",
            "v1.2.3-beta4-linux64",
        ] {
            assert!(!is_random(name), "{name}");
        }
    }

    #[test]
    fn drawn_values_are() {
        for value in [
            "9f8e7d6c5b4a392817069f8e7d6c",
            "Zm9vYmFyYmF6cXV4MTIzNA",
            "kT9-vQ2x_Lm4pR7sWz8Y",
            "a1b2c3d4e5f6a7b8c9d0",
            "xqVbwYewpUQOgXLVWvicwIv0Pl1XRDSEOlZieTX8",
        ] {
            assert!(is_random(value), "{value}");
        }
    }
}
