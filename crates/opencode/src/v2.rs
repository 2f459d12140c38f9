//! Events of the v2 generation as the variants that mean the same (docs/contract/08-opencode.md §10.3).
//!
//! Only what one event says by itself is mapped: text, reasoning, steps and asks. `tool.success` and `tool.failed`
//! don't name their tool, so tool events stay unknown as a family: half of them would be a call that never ends.

use crate::event::Event;
use crate::model::{ErrorInfo, Extra, Part, PartBody, PermissionRequest, Times, ToolRef};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value, json};

/// True for the types of the v2 generation, whichever stream carries them.
pub(crate) fn is_v2(kind: &str) -> bool {
    ["session.next.", "permission.v2.", "question.v2."]
        .iter()
        .any(|family| kind.starts_with(family))
}

/// `None` for a type that has no equal. Fails on a shape that we don't know.
pub(crate) fn decode(kind: &str, raw: &RawValue) -> Result<Option<Event>, serde_json::Error> {
    let json = raw.get();
    let event = match kind {
        "permission.v2.asked" => permission(serde_json::from_str(json)?),
        "session.next.text.started" => text(serde_json::from_str(json)?, Kind::Text),
        "session.next.text.ended" => text(serde_json::from_str(json)?, Kind::Text),
        "session.next.reasoning.started" => text(serde_json::from_str(json)?, Kind::Reasoning),
        "session.next.reasoning.ended" => text(serde_json::from_str(json)?, Kind::Reasoning),
        "session.next.text.delta" | "session.next.reasoning.delta" => {
            delta(serde_json::from_str(json)?)
        }
        "session.next.step.started" => step_started(serde_json::from_str(json)?),
        "session.next.step.ended" => step_ended(serde_json::from_str(json)?),
        "session.next.step.failed" => step_failed(serde_json::from_str(json)?),
        _ => return Ok(None),
    };
    Ok(Some(event))
}

/// Text and reasoning count their parts anew in each step: the key is (message, part).
fn part_id(message: &str, part: &str) -> String {
    format!("{message}/{part}")
}

#[derive(Deserialize)]
struct Asked {
    id: String,
    #[serde(rename = "sessionID")]
    session: String,
    action: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    save: Vec<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    /// `{type: "tool", messageID, callID}`; other sources have no call.
    #[serde(default)]
    source: Value,
}

fn permission(asked: Asked) -> Event {
    let mut extra = Extra::new();
    extra.insert("always".into(), asked.save.into());
    Event::PermissionAsked(PermissionRequest {
        id: asked.id,
        session_id: asked.session,
        permission: asked.action,
        patterns: asked.resources,
        metadata: asked.metadata,
        tool: serde_json::from_value::<ToolRef>(asked.source).ok(),
        extra,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Reasoning,
}

#[derive(Deserialize)]
struct Streamed {
    #[serde(rename = "sessionID")]
    session: String,
    #[serde(rename = "assistantMessageID")]
    message: String,
    #[serde(rename = "textID", alias = "reasoningID")]
    part: String,
    /// Absent at the start.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    timestamp: Value,
}

fn text(streamed: Streamed, kind: Kind) -> Event {
    let ended = streamed.text.is_some();
    // `/api/event` has milliseconds, the global stream ISO text; the end must be visible in either case.
    let at = match streamed.timestamp {
        Value::Number(milliseconds) => milliseconds,
        _ => Number::from(0),
    };
    let time = match ended {
        true => Times {
            end: Some(at),
            ..Times::default()
        },
        false => Times {
            start: Some(at),
            ..Times::default()
        },
    };
    let (text, time, extra) = (streamed.text.unwrap_or_default(), Some(time), Extra::new());
    let body = match kind {
        Kind::Text => PartBody::Text {
            text,
            synthetic: None,
            ignored: None,
            time,
            extra,
        },
        Kind::Reasoning => PartBody::Reasoning { text, time, extra },
    };
    let id = part_id(&streamed.message, &streamed.part);
    Event::PartUpdated(Part {
        id,
        session_id: streamed.session,
        message_id: streamed.message,
        body,
    })
}

#[derive(Deserialize)]
struct Delta {
    #[serde(rename = "sessionID")]
    session: String,
    #[serde(rename = "assistantMessageID")]
    message: String,
    #[serde(rename = "textID", alias = "reasoningID")]
    part: String,
    delta: String,
}

fn delta(delta: Delta) -> Event {
    let part = part_id(&delta.message, &delta.part);
    Event::PartDelta {
        session: delta.session,
        message: delta.message,
        part,
        field: "text".into(),
        delta: delta.delta,
    }
}

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "sessionID")]
    session: String,
    #[serde(rename = "assistantMessageID")]
    message: String,
    #[serde(default)]
    snapshot: Option<Value>,
    #[serde(default)]
    finish: Option<String>,
    #[serde(default)]
    cost: Option<Number>,
    #[serde(default)]
    tokens: Option<Value>,
    #[serde(default)]
    error: Option<StepError>,
}

#[derive(Deserialize)]
struct StepError {
    message: String,
}

impl Step {
    fn into_part(self, id: &str, body: impl FnOnce(&Step, Extra) -> PartBody) -> Event {
        let snapshot = self
            .snapshot
            .clone()
            .map(|snapshot| ("snapshot".to_owned(), snapshot));
        let body = body(&self, snapshot.into_iter().collect());
        let id = part_id(&self.message, id);
        Event::PartUpdated(Part {
            id,
            session_id: self.session,
            message_id: self.message,
            body,
        })
    }
}

fn step_started(step: Step) -> Event {
    step.into_part("step-start", |_, extra| PartBody::StepStart { extra })
}

fn step_ended(step: Step) -> Event {
    step.into_part("step-finish", |step, extra| PartBody::StepFinish {
        reason: step.finish.clone(),
        cost: step.cost.clone(),
        tokens: step.tokens.clone(),
        extra,
    })
}

fn step_failed(step: Step) -> Event {
    let error = step.error.map(|error| ErrorInfo {
        name: "UnknownError".into(),
        data: json!({ "message": error.message }),
        extra: Extra::new(),
    });
    Event::SessionError {
        session: Some(step.session),
        error,
    }
}
