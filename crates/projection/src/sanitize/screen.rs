//! The first look at a string: can any redaction rule apply to it? Nearly every string says no, in one pass
//! and without a regular expression.
//!
//! A rule can only match around an anchor byte (`:` `=` `/` `\` `@` `_` `-` or one byte of a rare literal). The screen looks at the neighbours of each anchor. It may say yes too often, never
//! no wrongly: a property test compares it with the rules themselves.

/// Groups of rules that may match somewhere in the string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suspicions(u16);

impl Suspicions {
    /// `authorization` or a signature header with a value (step 3).
    pub(super) const HEADER: Suspicions = Suspicions(1);
    /// A well-known token shape (step 4).
    pub(super) const TOKEN: Suspicions = Suspicions(2);
    /// A secret-like key with a long value (step 5).
    pub(super) const KEYED: Suspicions = Suspicions(4);
    /// A sealed value or a secret reference (step 6).
    pub(super) const SEALED: Suspicions = Suspicions(8);
    /// Anything with `://` (steps 6 and 8).
    pub(super) const URL: Suspicions = Suspicions(16);
    /// An e-mail address (step 6).
    pub(super) const EMAIL: Suspicions = Suspicions(32);
    /// A home folder (step 7).
    pub(super) const HOME: Suspicions = Suspicions(64);
    /// An absolute path (step 9).
    pub(super) const PATH: Suspicions = Suspicions(128);
    /// Every rule.
    #[cfg(test)]
    pub(super) const ALL: Suspicions = Suspicions(255);

    /// True when nothing is suspected.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when `other` is suspected.
    pub(super) fn has(self, other: Suspicions) -> bool {
        self.0 & other.0 != 0
    }

    fn add(&mut self, other: Suspicions) {
        self.0 |= other.0;
    }
}

/// True at the bytes at which the screen stops to look. Comparisons instead of a table, so that the compiler
/// looks at sixteen bytes at once.
#[inline(always)]
fn is_anchor(b: u8) -> bool {
    (b == b':')
        | (b == b'=')
        | (b.wrapping_sub(b'-') <= 2) // - . /
        | (b == b'\\')
        | (b == b'@')
        | (b == b'_')
        | (b == b'9')
        | (b == b'p')
        | (b.wrapping_sub(b'I') <= 2) // I J K
}

const BLOCK: usize = 16;

/// Which rules may match in `text`.
pub(super) fn screen(text: &str) -> Suspicions {
    let bytes = text.as_bytes();
    let mut found = Suspicions::default();
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        look_at_anchors(bytes, number * BLOCK, block, &mut found);
    }
    let mut last = [0; BLOCK];
    last[..tail.len()].copy_from_slice(tail);
    look_at_anchors(bytes, bytes.len() - tail.len(), &last, &mut found);
    found
}

/// Looks at each anchor of the block that starts at `start`.
#[inline(always)]
fn look_at_anchors(bytes: &[u8], start: usize, block: &[u8; BLOCK], found: &mut Suspicions) {
    let mut flags = [0u8; BLOCK];
    for (flag, &byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is_anchor(byte));
    }
    let mut flags = u128::from_le_bytes(flags);
    while flags != 0 {
        look(bytes, start + flags.trailing_zeros() as usize / 8, found);
        flags &= flags - 1; // each flag is one bit
    }
}

fn look(bytes: &[u8], at: usize, found: &mut Suspicions) {
    let (before, rest) = (&bytes[..at], &bytes[at + 1..]);
    match bytes[at] {
        b':' => {
            if rest.starts_with(b"//") {
                found.add(Suspicions::URL);
                found.add(Suspicions::SEALED);
            }
            if rest.first().is_some_and(|b| matches!(b, b'\\' | b'/')) {
                if let Some((drive, before)) = before.split_last()
                    && drive.is_ascii_alphabetic()
                    && starts_a_path(before)
                {
                    found.add(Suspicions::PATH);
                }
                if is_folder(rest, b"Users") {
                    found.add(Suspicions::HOME);
                }
            }
            if before.len() >= 5 && before[before.len() - 5..].iter().all(u8::is_ascii_digit) {
                found.add(Suspicions::TOKEN);
            }
            if rest.len() >= 3 && rest[..3].eq_ignore_ascii_case(b"v1:") {
                found.add(Suspicions::SEALED);
            }
            assignment(before, rest, found);
        }
        b'=' => assignment(before, rest, found),
        b'/' => {
            if starts_a_path(before) && is_root(rest) {
                found.add(Suspicions::PATH);
            }
            if before.ends_with(b"slack.com") || before.ends_with(b"/webhooks") {
                found.add(Suspicions::TOKEN);
            }
            if rest.starts_with(b"Users/") || rest.starts_with(b"home/") {
                found.add(Suspicions::HOME);
            }
        }
        b'\\' if rest.first() == Some(&b'\\') && starts_a_path(before) => {
            found.add(Suspicions::PATH)
        }
        b'@' => {
            let name = before
                .last()
                .is_some_and(|b| b.is_ascii_alphanumeric() || b"._%+-".contains(b));
            if name
                && rest
                    .first()
                    .is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'-')
            {
                found.add(Suspicions::EMAIL);
            }
        }
        b'_' => {
            let token = match before {
                [.., b'g', b'h', kind] => b"pousr".contains(kind),
                _ => false,
            };
            let token = token
                || match before.last() {
                    Some(b'b') => before.ends_with(b"github"),
                    Some(b'f') => before.ends_with(b"hf"),
                    Some(b'c') => before.ends_with(b"occ") || before.ends_with(b"whsec"),
                    Some(b'w') => before.ends_with(b"ocw") || before.ends_with(b"ocgw"),
                    Some(b'k') => before.ends_with(b"gsk"),
                    Some(b'8') => before.ends_with(b"r8"),
                    Some(b'm') => before.ends_with(b"npm"),
                    Some(b'a') => before.ends_with(b"glsa"),
                    Some(b't') => [&b"k_test"[..], b"r_pat", b"r_oat"]
                        .iter()
                        .any(|end| before.ends_with(end)),
                    Some(b'e') => before.ends_with(b"k_live"),
                    Some(b'1') => before.ends_with(b"_v1"),
                    _ => false,
                };
            if token {
                found.add(Suspicions::TOKEN);
            }
        }
        b'-' => {
            let token = match before {
                // `task-list` is no key: one begins at a word boundary and is long.
                [.., before, b's', b'k'] => {
                    !(before.is_ascii_alphanumeric() || *before == b'_') && rest.len() >= 20
                }
                [b's', b'k'] => true,
                [.., b'x', b'o', b'x', _] | [.., b'C', b'S', b'P', b'X'] => true,
                [.., b'l', b'p', b'a', b't']
                | [.., b'x', b'a', b'i']
                | [.., b'v', b'a', b'p', b'i'] => rest.len() >= 20,
                [.., b't', b'v', b'l', b'y'] | [.., b'p', b'p', b'l', b'x'] => rest.len() >= 20,
                [.., b'x', b'a', b'p', b'p'] | [.., b'p', b'y', b'p', b'i'] => rest.len() >= 20,
                _ => false,
            };
            if token {
                found.add(Suspicions::TOKEN);
            }
        }
        b'9' if before.ends_with(b"ya2") && rest.starts_with(b".") => found.add(Suspicions::TOKEN),
        b'J' if before.ends_with(b"ey") => found.add(Suspicions::TOKEN),
        b'I' if before.ends_with(b"A") && rest.starts_with(b"za") => found.add(Suspicions::TOKEN),
        b'K' if before.ends_with(b"A") && rest.starts_with(b"IA") => found.add(Suspicions::TOKEN),
        b'I' if before.ends_with(b"AS") && rest.starts_with(b"A") => found.add(Suspicions::TOKEN),
        b'.' if rest.len() >= 16 && (before.ends_with(b"SG") || before.ends_with(b"hvs")) => {
            found.add(Suspicions::TOKEN)
        }
        b'p' if before.ends_with(b"da") && rest.first() == Some(&b'i') && rest.len() > 32 => {
            found.add(Suspicions::TOKEN)
        }
        _ => {}
    }
}

/// Looks at `key : value` and `key = value`.
fn assignment(before: &[u8], rest: &[u8], found: &mut Suspicions) {
    let key = trim_key(before);
    if ends_with_ignoring_case(key, b"authorization") || ends_with_ignoring_case(key, b"signature")
    {
        found.add(Suspicions::HEADER);
        found.add(Suspicions::TOKEN);
    }
    if ends_with_ignoring_case(key, b"accountkey")
        || ends_with_ignoring_case(key, b"sharedaccesskey")
    {
        found.add(Suspicions::TOKEN);
    }
    let value = rest
        .iter()
        .position(|&b| !is_gap(b))
        .map_or(&[][..], |start| &rest[start..]);
    let long = value.len() >= 32 && value[..32].iter().all(|&b| is_value_byte(b));
    if long {
        found.add(Suspicions::KEYED);
    }
}

/// Bytes between a key, its sign and its value. Every non-ASCII byte counts, since some are white space.
fn is_gap(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b' ' | 0x09..=0x0d) || !b.is_ascii()
}

fn trim_key(mut key: &[u8]) -> &[u8] {
    while let Some((&last, head)) = key.split_last() {
        if !is_gap(last) {
            break;
        }
        key = head;
    }
    key
}

fn is_value_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-')
}

fn ends_with_ignoring_case(text: &[u8], end: &[u8]) -> bool {
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// True when a path may begin after `before` (step 9); a non-ASCII byte may end a white space.
fn starts_a_path(before: &[u8]) -> bool {
    match before.last() {
        None => true,
        Some(&b) => {
            matches!(b, b'(' | b'"' | b'\'' | b'`' | b'=' | b' ' | 0x09..=0x0d) || !b.is_ascii()
        }
    }
}

fn is_folder(rest: &[u8], name: &[u8]) -> bool {
    let inner = &rest[1.min(rest.len())..];
    let inner = if inner.first() == Some(&b'\\') {
        &inner[1..]
    } else {
        inner
    };
    inner.len() >= name.len() && inner[..name.len()].eq_ignore_ascii_case(name)
}

fn is_root(rest: &[u8]) -> bool {
    super::patterns::POSIX_ROOTS
        .iter()
        .any(|root| rest.starts_with(root.as_bytes()))
}
