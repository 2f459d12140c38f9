//! What a chat is told when a run has ended (04 §2.5, 07 §9.6).

use super::cut;
use crate::store::channels::stable_id;
use crate::time::{Timestamp, iso};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::channels::{
    ChannelDelivery, ChannelSessionBinding, ChannelSessionBindingStatus, DeliveryStatus,
};
use open_cowork_contracts::api::workflows::{RunStatus, WorkflowRun};
use serde_json::{Value, json};

/// Most characters of a workflow's title that a notice repeats.
const TITLE: usize = 160;

/// The notice of an ended run for a chat. Its id follows from run and chat, so that it is made once. `None` for a run
/// that goes on or was stopped by a person, who knows, and for a chat that is archived.
#[must_use]
pub fn notice(
    title: &str,
    run: &WorkflowRun,
    chat: &ChannelSessionBinding,
    now: Timestamp,
) -> Option<ChannelDelivery> {
    let title = cut(title.trim(), TITLE);
    let (event_type, text) = match run.status {
        RunStatus::Completed => {
            let summary = run.summary.as_deref().unwrap_or_default().trim();
            let text = match summary {
                "" => format!("{title} is done."),
                summary => format!("{title} is done:\n\n{summary}"),
            };
            ("workflow.completed", text)
        }
        RunStatus::Failed => {
            let error = run.error.as_deref().unwrap_or_default().trim();
            ("workflow.failed", format!("{title} failed: {error}"))
        }
        _ => return None,
    };
    if chat.status != ChannelSessionBindingStatus::Active {
        return None;
    }
    let parts = [
        chat.org_id.as_str(),
        event_type,
        run.id.as_str(),
        &chat.binding_id,
    ];
    let payload = json!({
        "text": text, "workflowId": run.workflow_id, "runId": run.id, "sessionId": run.session_id,
        "status": run.status, "title": title, "summary": run.summary, "error": run.error,
    });
    let target = json!({
        "externalChatId": chat.external_chat_id, "externalThreadId": chat.external_thread_id,
        "externalWorkspaceId": chat.external_workspace_id,
    });
    let at = iso(now);
    Some(ChannelDelivery {
        delivery_id: stable_id("channel_delivery", &parts),
        org_id: chat.org_id.clone(),
        agent_id: chat.agent_id.clone(),
        channel_binding_id: chat.channel_binding_id.clone(),
        session_binding_id: Some(chat.binding_id.clone()),
        provider: chat.provider.clone(),
        target: object(target),
        event_type: event_type.to_owned(),
        payload: object(payload),
        status: DeliveryStatus::Pending,
        attempt_count: 0,
        claimed_by: None,
        last_claimed_by: None,
        claim_expires_at: None,
        next_attempt_at: at.clone(),
        last_error: None,
        created_at: at.clone(),
        updated_at: at,
    })
}

/// Without the members that are null.
fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        _ => JsonObject::new(),
    }
}
