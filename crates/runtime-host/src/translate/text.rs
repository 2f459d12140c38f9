//! Accumulators of streamed text. OpenCode stores no text before a part ends and gives deltas no offset
//! (08 §0.4, §9.1), so what was shown is kept here, per message and part.

use std::fmt::Write as _;

/// Kind of a streamed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// Answer text: shown.
    Text,
    /// Thinking, synthetic text: never shown.
    Hidden,
}

/// One streamed part.
#[derive(Clone, Debug)]
pub(crate) struct TextPart {
    pub(crate) id: String,
    pub(crate) kind: PartKind,
    /// What was shown so far.
    pub(crate) text: String,
    /// Its final text is known.
    pub(crate) closed: bool,
    /// A delta was missed: further deltas don't fit; one replace closes it (decision 9).
    pub(crate) frozen: bool,
}

/// The shown text of one message: its parts in order of appearance.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageText {
    parts: Vec<TextPart>,
}

impl MessageText {
    /// The part of that id, made when it is new.
    pub(crate) fn part(&mut self, id: &str, kind: PartKind) -> &mut TextPart {
        let index = match self.parts.iter().position(|part| part.id == id) {
            Some(index) => index,
            None => {
                self.parts.push(TextPart {
                    id: id.to_owned(),
                    kind,
                    text: String::new(),
                    closed: false,
                    frozen: false,
                });
                self.parts.len() - 1
            }
        };
        &mut self.parts[index]
    }

    /// The part of that id.
    pub(crate) fn find(&mut self, id: &str) -> Option<&mut TextPart> {
        self.parts.iter_mut().find(|part| part.id == id)
    }

    /// The text of the message as it was shown: all its text parts joined (01 §16 #2).
    pub(crate) fn joined(&self) -> String {
        let mut text = String::new();
        for part in self.shown() {
            text.push_str(&part.text);
        }
        text
    }

    /// Drops what open parts showed; true when that changes the shown text.
    pub(crate) fn discard_open(&mut self) -> bool {
        let mut changed = false;
        for part in self
            .parts
            .iter_mut()
            .filter(|part| part.kind == PartKind::Text && !part.closed)
        {
            changed |= !part.text.is_empty();
            part.text.clear();
            part.frozen = true;
        }
        changed
    }

    /// Forgets texts of a finished turn, keeping which parts are known and closed.
    pub(crate) fn forget(&mut self) {
        self.parts.retain(|part| part.closed);
    }

    fn shown(&self) -> impl Iterator<Item = &TextPart> {
        self.parts.iter().filter(|part| part.kind == PartKind::Text)
    }
}

/// Largest text in one event: below the sanitizer's cut of 65,536 bytes (01 §6), so that a long answer is
/// never cut silently (01 §16 #6).
const CHUNK_BYTES: usize = 60_000;

/// Splits a long text at character boundaries.
pub(crate) fn chunks(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut out = Vec::new();
    while rest.len() > CHUNK_BYTES {
        let mut at = CHUNK_BYTES;
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = rest.split_at(at);
        out.push(head);
        rest = tail;
    }
    out.push(rest);
    out
}

/// Id of an event that stands for a finished thing, the same live and in recovery (decision 10).
pub(crate) fn stable_id(
    session: &str,
    message: &str,
    part: &str,
    kind: &str,
    index: usize,
) -> String {
    let mut id = format!("opencode:{session}:{message}:{part}:{kind}");
    if index > 0 {
        let _ = write!(id, ":{index}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_text_parts_of_a_message_are_joined_and_thinking_is_left_out() {
        let mut message = MessageText::default();
        message.part("p1", PartKind::Text).text.push_str("one ");
        message
            .part("p2", PartKind::Hidden)
            .text
            .push_str("secret thought");
        message.part("p3", PartKind::Text).text.push_str("two");
        assert_eq!(message.joined(), "one two");
    }

    #[test]
    fn a_long_text_is_cut_only_at_character_boundaries_and_loses_nothing() {
        let text = "ä".repeat(100_000);
        let pieces = chunks(&text);
        assert!(pieces.iter().all(|piece| piece.len() <= CHUNK_BYTES));
        assert_eq!(pieces.concat(), text);
    }
}
