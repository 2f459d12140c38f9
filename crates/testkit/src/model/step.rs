//! One step of a script: what the model says in one call.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Upper bound of one answer's text; a larger `repeat` is cut there.
const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;
/// Upper bound of any pause.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// What one model call answers. Every field is optional in JSON; an unknown field is an error,
/// so that a typing mistake in a test shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// The text to stream, or a list of strings that become the exact chunks.
    pub text: Option<Text>,
    /// Text made of one unit repeated, appended to `text`.
    pub repeat: Option<Repeat>,
    /// Answers with the first N words of the last user text instead of a fixed text.
    pub echo_words: Option<usize>,
    /// Sent as `reasoning_content` before the text.
    pub reasoning: Option<String>,
    /// Tool calls, sent after the text.
    pub tool_calls: Vec<ToolCall>,
    /// Characters per text chunk; 0 puts all in one chunk.
    pub chunk_chars: usize,
    /// Characters per chunk of tool arguments; 0 puts all in one chunk.
    pub args_chunk_chars: usize,
    /// Milliseconds before the answer starts.
    #[serde(alias = "model_delay")]
    pub delay_ms: u64,
    /// Milliseconds from one chunk to the next, kept against the clock: 5 means 200 chunks a
    /// second however long sending takes.
    pub chunk_delay_ms: f64,
    /// After N chunks: keep the connection open and send nothing more.
    pub hang_after: Option<usize>,
    /// After N chunks: end the response without a finish reason and without `[DONE]`.
    pub drop_after: Option<usize>,
    /// After N chunks: break the connection in the middle of the response.
    pub reset_after: Option<usize>,
    /// Token counts, merged over the default ones.
    pub usage: Option<Map<String, Value>>,
    /// Overrides the finish reason (`stop`, `length`, `content_filter`, `tool_calls`).
    pub finish_reason: Option<String>,
    /// Answers with an HTTP error.
    pub error: Option<HttpError>,
    /// An error object inside a stream that began with status 200.
    pub stream_error: Option<Value>,
    /// Raw lines sent instead of everything else.
    pub raw_lines: Option<Vec<String>>,
    /// Repeats this step for ever when it is the last one, even if it calls a tool.
    #[serde(rename = "loop")]
    pub repeat_for_ever: bool,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            text: None,
            repeat: None,
            echo_words: None,
            reasoning: None,
            tool_calls: Vec::new(),
            chunk_chars: 24,
            args_chunk_chars: 0,
            delay_ms: 0,
            chunk_delay_ms: 0.0,
            hang_after: None,
            drop_after: None,
            reset_after: None,
            usage: None,
            finish_reason: None,
            error: None,
            stream_error: None,
            raw_lines: None,
            repeat_for_ever: false,
        }
    }
}

/// Text of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// Cut into chunks of `chunk_chars` characters.
    Whole(String),
    /// Sent exactly in these chunks.
    Chunks(Vec<String>),
}

/// A unit of text, repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// What is repeated.
    pub unit: String,
    /// How often.
    pub count: usize,
}

/// One tool call of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// The arguments: an object, or a string that is sent as it is (for broken JSON).
    #[serde(default)]
    pub arguments: Value,
    /// The call's id; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// An HTTP error answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpError {
    /// The status code.
    #[serde(default = "internal_server_error")]
    pub status: u16,
    /// The JSON body.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// Extra response headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Only the first N calls of this step of this conversation fail; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

fn internal_server_error() -> u16 {
    500
}

impl Step {
    /// A step that answers with this text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(Text::Whole(text.into())),
            ..Self::default()
        }
    }

    /// The text in the chunks in which it is streamed.
    #[must_use]
    pub fn text_chunks(&self, last_user_text: &str) -> Vec<String> {
        if let (Some(Text::Chunks(chunks)), None) = (&self.text, &self.repeat) {
            return chunks.clone();
        }
        let mut text = match &self.text {
            Some(Text::Whole(text)) => text.clone(),
            Some(Text::Chunks(chunks)) => chunks.concat(),
            None => String::new(),
        };
        if let Some(count) = self.echo_words {
            text.push_str(&first_words(last_user_text, count));
        }
        if let Some(Repeat { unit, count }) = &self.repeat {
            let room = MAX_TEXT_BYTES / unit.len().max(1);
            text.push_str(&unit.repeat((*count).min(room)));
        }
        split(&text, self.chunk_chars)
    }

    /// The reasoning in the chunks in which it is streamed.
    #[must_use]
    pub fn reasoning_chunks(&self) -> Vec<String> {
        self.reasoning
            .as_deref()
            .map_or_else(Vec::new, |text| split(text, self.chunk_chars))
    }

    /// The pause before the answer.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms).min(MAX_PAUSE)
    }

    /// The pause between chunks.
    #[must_use]
    pub fn chunk_delay(&self) -> Duration {
        Duration::try_from_secs_f64(self.chunk_delay_ms / 1000.0)
            .unwrap_or_default()
            .min(MAX_PAUSE)
    }

    /// The token counts: the default ones, with the step's own on top.
    #[must_use]
    pub fn full_usage(&self) -> Value {
        let mut usage = Map::new();
        usage.insert("prompt_tokens".into(), 100.into());
        usage.insert("completion_tokens".into(), 20.into());
        usage.extend(self.usage.clone().unwrap_or_default());
        if !usage.contains_key("total_tokens") {
            let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
            let total = count("prompt_tokens").saturating_add(count("completion_tokens"));
            usage.insert("total_tokens".into(), total.into());
        }
        Value::Object(usage)
    }

    /// Why the model stopped: the override, else what the content says.
    #[must_use]
    pub fn finish(&self) -> &str {
        match &self.finish_reason {
            Some(reason) => reason,
            None if self.tool_calls.is_empty() => "stop",
            None => "tool_calls",
        }
    }
}

/// Cuts text into pieces of `size` characters; 0 keeps it whole.
pub(crate) fn split(text: &str, size: usize) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    if size == 0 {
        return vec![text.to_owned()];
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .nth(size)
            .map_or(rest.len(), |(at, _)| at);
        pieces.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    pieces
}

fn first_words(text: &str, count: usize) -> String {
    text.split_whitespace()
        .take(count)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_cut_by_characters_not_bytes() {
        let step = Step {
            chunk_chars: 2,
            ..Step::text("äöü€😀")
        };
        assert_eq!(step.text_chunks(""), ["äö", "ü€", "😀"]);
    }

    #[test]
    fn a_list_of_strings_is_sent_in_exactly_these_chunks() {
        let step: Step = serde_json::from_value(json!({"text": ["a", "", "bc"]})).unwrap();
        assert_eq!(step.text_chunks(""), ["a", "", "bc"]);
    }

    #[test]
    fn the_total_follows_the_counts_unless_given() {
        let step: Step = serde_json::from_value(json!({"usage": {"prompt_tokens": 2000}})).unwrap();
        assert_eq!(step.full_usage()["total_tokens"], 2020);
        let step: Step = serde_json::from_value(json!({"usage": {"total_tokens": 7}})).unwrap();
        assert_eq!(step.full_usage()["total_tokens"], 7);
    }

    #[test]
    fn nonsense_numbers_neither_panic_nor_hang() {
        for delay in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            let step = Step {
                chunk_delay_ms: delay,
                ..Step::default()
            };
            assert!(step.chunk_delay() <= MAX_PAUSE);
        }
        let step = Step {
            repeat: Some(Repeat {
                unit: "0123456789".into(),
                count: usize::MAX,
            }),
            chunk_chars: 0,
            ..Step::default()
        };
        assert!(step.text_chunks("").concat().len() <= MAX_TEXT_BYTES);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_value::<Step>(json!({"chunk_char": 3})).is_err());
    }
}
