//! A message as the processes of a deployment exchange it: who sent it, its number there, and topics. One without
//! topics is a sign of life.
//!
//! ```json
//! {"from":"5f0c…","n":17,"wake":[{"k":"s","t":"acme","s":"s1"},{"k":"w","t":"acme","u":"u1"}]}
//! ```

use open_cowork_providers::bus::{Topic, Wire};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::VecDeque;

/// A message's size when it is written; the server's limit may be lower.
pub(super) const WRITTEN_BYTES: usize = 32 * 1024;
/// What is read at all.
const READ_BYTES: usize = 256 * 1024;
/// Room for sender, number and brackets.
const FRAME_BYTES: usize = 128;

/// A message to send.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) number: u64,
    /// What it tells, to be told again if it gets lost.
    pub(super) topics: Vec<Topic>,
    pub(super) payload: String,
}

/// A message that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) from: String,
    pub(super) number: u64,
    pub(super) topics: Vec<Topic>,
}

/// Writes topics into as few messages of at most that many bytes as they need, at least one; `numbers` counts the
/// sender's messages.
pub(super) fn write(
    from: &str,
    numbers: &mut u64,
    topics: Vec<Topic>,
    most: usize,
) -> Vec<Outgoing> {
    let room = most.min(WRITTEN_BYTES).saturating_sub(FRAME_BYTES);
    let mut pieces: Vec<(Vec<Topic>, String)> = Vec::new();
    for topic in topics {
        let entry = Wire::from(topic.clone()).payload(room);
        match pieces.last_mut() {
            Some((told, wake)) if wake.len() + 1 + entry.len() <= room => {
                wake.push(',');
                wake.push_str(&entry);
                told.push(topic);
            }
            _ => pieces.push((vec![topic], entry)),
        }
    }
    if pieces.is_empty() {
        pieces.push((Vec::new(), String::new()));
    }
    let message = |(topics, wake)| {
        *numbers += 1;
        Outgoing {
            number: *numbers,
            topics,
            payload: format!(r#"{{"from":"{from}","n":{numbers},"wake":[{wake}]}}"#),
        }
    };
    pieces.into_iter().map(message).collect()
}

/// Reads a message; `None` for what none of ours has written. Topics of a kind that is newer than this program wake
/// nothing.
pub(super) fn read(payload: &[u8]) -> Option<Heard> {
    #[derive(Deserialize)]
    struct Message {
        from: String,
        n: u64,
        wake: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Known(Wire),
        Unknown(IgnoredAny),
    }
    if payload.len() > READ_BYTES {
        return None;
    }
    let message: Message = serde_json::from_slice(payload).ok()?;
    let topics = message.wake.into_iter().filter_map(|entry| match entry {
        Entry::Known(wire) => wire.topic(),
        Entry::Unknown(_) => None,
    });
    Some(Heard {
        from: message.from,
        number: message.n,
        topics: topics.collect(),
    })
}

/// What was sent and not yet heard: the server hands our own messages back, in order, so what it has handed back it
/// has handed to the others, too.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    messages: VecDeque<(u64, Vec<Topic>)>,
    topics: usize,
}

/// Topics that may be under way; more of them become one "look at everything".
const UNDER_WAY: usize = 4096;

impl Unheard {
    pub(super) fn sent(&mut self, message: &Outgoing) {
        self.topics += message.topics.len();
        let mut topics = message.topics.clone();
        if self.topics > UNDER_WAY {
            self.messages.clear();
            self.topics = 1;
            topics = vec![Topic::Everything];
        }
        self.messages.push_back((message.number, topics));
    }

    pub(super) fn heard(&mut self, number: u64) {
        while self
            .messages
            .front()
            .is_some_and(|(sent, _)| *sent <= number)
        {
            let topics = self
                .messages
                .pop_front()
                .map_or(0, |(_, topics)| topics.len());
            self.topics = self.topics.saturating_sub(topics);
        }
    }

    /// All of them, to be told again.
    pub(super) fn take(&mut self) -> Vec<Topic> {
        self.topics = 0;
        let messages = self.messages.drain(..);
        messages.flat_map(|(_, topics)| topics).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_providers::store::SessionKey;
    use proptest::prelude::*;

    fn session(id: impl AsRef<str>) -> Topic {
        Topic::Session(SessionKey::new("acme", id.as_ref()))
    }

    fn written(topics: Vec<Topic>, most: usize) -> Vec<Outgoing> {
        write("me", &mut 0, topics, most)
    }

    #[test]
    fn a_message_holds_sender_number_and_topics() {
        let messages = written(vec![session("s1"), Topic::Credentials("acme".into())], 9999);
        assert_eq!(
            messages[0].payload,
            r#"{"from":"me","n":1,"wake":[{"k":"s","t":"acme","s":"s1"},{"k":"a","t":"acme"}]}"#
        );
        assert_eq!(messages.len(), 1);
        assert_eq!(
            written(vec![], 9999)[0].payload,
            r#"{"from":"me","n":1,"wake":[]}"#
        );
    }

    #[test]
    fn what_doesnt_fit_goes_into_the_next_message_and_what_never_fits_wakes_everybody() {
        let topics: Vec<_> = (0..1000).map(|n| session(format!("session-{n}"))).collect();
        let messages = written(topics.clone(), 4096);
        assert!(messages.len() > 5 && messages.iter().all(|message| message.payload.len() <= 4096));
        let heard = messages
            .iter()
            .flat_map(|message| read(message.payload.as_bytes()).unwrap().topics);
        assert_eq!(heard.collect::<Vec<_>>(), topics);
        let numbers: Vec<_> = messages.iter().map(|message| message.number).collect();
        assert_eq!(numbers, (1..=messages.len() as u64).collect::<Vec<_>>());
        let messages = written(vec![session("x".repeat(5000)), session("y")], 4096);
        let heard = read(messages[0].payload.as_bytes()).unwrap();
        assert_eq!(heard.topics, [Topic::Everything, session("y")]);
    }

    #[test]
    fn what_a_newer_program_says_wakes_nothing_and_harms_nothing() {
        let newer = r#"{"from":"me","n":1,"x":1,"wake":[{"k":"new"},7,{"k":"s","t":"a"},{"k":"*","y":[]}]}"#;
        assert_eq!(read(newer.as_bytes()).unwrap().topics, [Topic::Everything]);
    }

    #[test]
    fn what_is_no_message_is_none() {
        let deep = format!(r#"{{"from":"a","n":1,"wake":[{}"#, "[".repeat(200_000));
        let long = format!(
            r#"{{"from":"a","n":1,"wake":[],"x":"{}"}}"#,
            "x".repeat(READ_BYTES)
        );
        for payload in [
            "",
            "nonsense",
            "{}",
            "[]",
            "null",
            "\u{0}",
            r#"{"from":1,"n":1,"wake":[]}"#,
            r#"{"from":"a","n":-1,"wake":[]}"#,
            r#"{"from":"a","n":1,"wake":{}}"#,
            r#"{"k":"s","t":"a","s":"b"}"#,
            &deep,
            &long,
        ] {
            assert_eq!(read(payload.as_bytes()), None, "{payload:.80}");
        }
        assert_eq!(read(b"\xff\xfe"), None);
    }

    #[test]
    fn what_was_heard_is_not_told_again() {
        let mut unheard = Unheard::default();
        let mut numbers = 0;
        for n in 0..4 {
            for message in write("me", &mut numbers, vec![session(n.to_string())], 999) {
                unheard.sent(&message);
            }
        }
        unheard.heard(2);
        assert_eq!(unheard.take(), [session("2"), session("3")]);
        assert_eq!((unheard.take(), unheard.topics), (vec![], 0));
    }

    #[test]
    fn too_many_topics_under_way_become_one() {
        let mut unheard = Unheard::default();
        let topics = (0..=UNDER_WAY).map(|n| session(n.to_string())).collect();
        for message in written(topics, WRITTEN_BYTES) {
            unheard.sent(&message);
        }
        assert!(unheard.take().contains(&Topic::Everything));
        assert!(unheard.messages.is_empty());
    }

    proptest! {
        #[test]
        fn every_topic_arrives_or_everybody_is_woken(
            ids in prop::collection::vec(".{0,60}", 0..40), most in 200_usize..2000,
        ) {
            let topics: Vec<_> = ids.iter().map(session).collect();
            let mut heard = Vec::new();
            for message in written(topics.clone(), most) {
                prop_assert!(message.payload.len() <= most);
                heard.extend(read(message.payload.as_bytes()).unwrap().topics);
            }
            prop_assert!(heard == topics || heard.contains(&Topic::Everything));
        }

        #[test]
        fn no_payload_panics(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&payload);
        }
    }
}
