//! Valid automation events (01 §8.3). Their data and their terminal line live in `contracts`.

use crate::fence::{FenceError, Identity, check_fence, check_ids, exact_identifier};
use open_cowork_contracts::automation::{AUTOMATION_VERSION, AutomationEvent};

/// Checks an automation event: `createCloudAutomationEventEnvelope`. A blank `createdAt` becomes `now`
/// (ISO-8601).
///
/// # Errors
/// [`FenceError`] naming the field; [`FenceError::ForeignFence`] when the fence is about something else.
pub fn check_event(mut event: AutomationEvent, now: &str) -> Result<AutomationEvent, FenceError> {
    event.version = AUTOMATION_VERSION;
    event.event_id = exact_identifier("eventId", &event.event_id)?;
    event.kind = exact_identifier("type", &event.kind)?;
    check_ids(event.scope, &mut event.ids)?;
    if let Some(fence) = event.fence.take() {
        let fence = check_fence(fence, now)?;
        if Identity::of(fence.scope, &fence.ids) != Identity::of(event.scope, &event.ids) {
            return Err(FenceError::ForeignFence);
        }
        event.fence = Some(fence);
    }
    if event.created_at.is_empty() {
        now.clone_into(&mut event.created_at);
    }
    Ok(event)
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(extra: Value) -> AutomationEvent {
        let mut value = json!({
            "version": 1, "eventId": "e1", "type": "run.finished", "source": "workflow", "scope": "session",
            "tenantId": "a:b", "sessionId": "c", "sequence": 1, "payload": {}, "createdAt": ""
        });
        for (key, field) in extra.as_object().unwrap() {
            value[key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn ids_and_types_are_exact() {
        assert_eq!(
            check_event(event(json!({})), "now").unwrap().created_at,
            "now"
        );
        let error = check_event(event(json!({"eventId": "a b"})), "now").unwrap_err();
        assert_eq!(
            error.to_string(),
            "eventId must be an exact canonical identifier."
        );
        assert_eq!(
            check_event(event(json!({"type": ""})), "now")
                .unwrap_err()
                .to_string(),
            "type is required."
        );
    }

    #[test]
    fn a_fence_is_about_the_event_itself() {
        let fence = |tenant: &str, session: &str| json!({"fence": {"version": 1, "scope": "session", "tenantId": tenant, "sessionId": session, "sequence": 1, "issuedAt": ""}});
        assert!(check_event(event(fence("a:b", "c")), "now").is_ok());
        // The same joined key, another identity.
        assert_eq!(
            check_event(event(fence("a", "b:c")), "now"),
            Err(FenceError::ForeignFence)
        );
    }
}
