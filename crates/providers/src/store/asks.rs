//! Which approvals and questions of a session wait for an answer.
//!
//! The thread list must say "waiting" for threads that nobody has loaded. The reducer changes its pending
//! lists through exactly four event types (01 §5), so the set of open asks is a function of the log, and a
//! store keeps it in the same transaction as the event; `SessionRow::waiting` is its size. The thread log has
//! a property test that it always equals the pending lists of the view.

use open_cowork_contracts::{EventType, JsonObject, SessionId};

/// What kind of ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AskKind {
    /// A permission.
    Approval,
    /// A question.
    Question,
}

impl AskKind {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            AskKind::Approval => "approval",
            AskKind::Question => "question",
        }
    }
}

/// One change of the set of open asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskChange {
    /// Approval or question.
    pub kind: AskKind,
    /// Id of the ask.
    pub id: String,
    /// True: it waits now. False: it doesn't any more.
    pub open: bool,
}

const APPROVAL_KEYS: [&str; 4] = ["permissionId", "id", "requestId", "requestID"];
const QUESTION_KEYS: [&str; 3] = ["requestId", "requestID", "id"];

/// How an event changes the set, if it does (the ids of 01 §2.1 with the defaults of 01 §5).
pub fn change(
    session: &SessionId,
    sequence: u64,
    kind: &EventType,
    payload: &JsonObject,
) -> Option<AskChange> {
    let (ask, open, keys, word): (_, _, &[&str], _) = match kind {
        EventType::PermissionRequested => (AskKind::Approval, true, &APPROVAL_KEYS, "permission"),
        EventType::PermissionResolved => (AskKind::Approval, false, &APPROVAL_KEYS, "permission"),
        EventType::QuestionAsked => (AskKind::Question, true, &QUESTION_KEYS, "question"),
        EventType::QuestionResolved => (AskKind::Question, false, &QUESTION_KEYS, "question"),
        _ => return None,
    };
    let id = match (first_id(payload, keys), open) {
        (Some(id), _) => id.to_owned(),
        (None, true) => format!("{session}:{word}:{sequence}"),
        (None, false) => return None,
    };
    Some(AskChange {
        kind: ask,
        id,
        open,
    })
}

/// The first of these keys that holds a string with something in it (01 §4.1 `idOf`).
pub(crate) fn first_id<'a>(payload: &'a JsonObject, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .filter_map(|key| payload.get(*key)?.as_str())
        .find(|id| !is_blank(id))
}

/// Blank as JavaScript's `trim` sees it: it strips U+FEFF and keeps U+0085 (01 §4.1).
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change_of(kind: &EventType, payload: &serde_json::Value) -> Option<AskChange> {
        change(&"s".into(), 7, kind, payload.as_object().unwrap())
    }

    #[test]
    fn an_ask_without_an_id_opens_under_its_default_and_a_resolution_without_one_closes_nothing() {
        let opened = change_of(
            &EventType::PermissionRequested,
            &json!({ "id": " \u{feff}" }),
        )
        .unwrap();
        assert_eq!((opened.id.as_str(), opened.open), ("s:permission:7", true));
        assert_eq!(change_of(&EventType::QuestionResolved, &json!({})), None);
        assert_eq!(change_of(&EventType::ToolCall, &json!({ "id": "x" })), None);
    }

    #[test]
    fn the_id_keys_are_tried_in_the_order_of_the_contract() {
        let approval = change_of(
            &EventType::PermissionResolved,
            &json!({ "requestId": "r", "id": "i" }),
        )
        .unwrap();
        assert_eq!((approval.id.as_str(), approval.open), ("i", false));
        let question = change_of(
            &EventType::QuestionAsked,
            &json!({ "requestId": "r", "id": "i" }),
        )
        .unwrap();
        assert_eq!(question.id, "r");
    }
}
