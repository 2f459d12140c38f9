//! From method and path to the action (07 §4.3). What isn't in the table has no action.

use super::table::{self, Row};
use open_cowork_contracts::access::CloudAction;
use serde_json::Value;

/// The action of a request. The method must be exact (`HEAD` is no `GET`); empty segments are dropped, so
/// `/api/config/` is `/api/config` (03 §2); `:x` takes exactly one segment. `POST /api/workflows` is answered as
/// a creation without a webhook; see [`create_workflow`].
#[must_use]
pub fn action_for(method: &str, path: &str) -> Option<CloudAction> {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    // A literal segment beats a parameter: `workflows/scheduler/tick` is no workflow called "scheduler".
    let best = |row: &'static Row| {
        row.routes
            .iter()
            .filter_map(|route| literals(route, method, &segments))
            .max()
            .map(|literals| (literals, row.action))
    };
    table::ACTIONS
        .iter()
        .filter_map(best)
        .max_by_key(|(literals, _)| *literals)
        .map(|(_, action)| action)
}

/// How many literal segments of a route a request matches; `None`: it doesn't match.
fn literals(route: &str, method: &str, segments: &[&str]) -> Option<usize> {
    let (route_method, pattern) = route.split_once(' ')?;
    if route_method != method {
        return None;
    }
    let below_api = (!pattern.starts_with('/')).then_some("api");
    let pattern: Vec<&str> = below_api
        .into_iter()
        .chain(pattern.split('/').filter(|part| !part.is_empty()))
        .collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut literals = 0;
    for (expected, given) in pattern.iter().zip(segments) {
        match expected.starts_with(':') {
            true => {}
            false if expected == given => literals += 1,
            false => return None,
        }
    }
    Some(literals)
}

/// The action of `POST /api/workflows`: the one decision that needs the body, because a webhook trigger needs
/// the webhook feature too.
#[must_use]
pub fn create_workflow(draft: &Value) -> CloudAction {
    let triggers = draft.get("triggers").and_then(Value::as_array);
    let webhook = triggers
        .into_iter()
        .flatten()
        .any(|trigger| trigger.get("type").and_then(Value::as_str) == Some("webhook"));
    match webhook {
        true => CloudAction::WorkflowsCreateWebhook,
        false => CloudAction::WorkflowsCreate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_route_leads_to_its_own_action() {
        for row in &table::ACTIONS {
            for route in row.routes {
                let (method, pattern) = route.split_once(' ').unwrap();
                let filled: Vec<&str> = pattern
                    .split('/')
                    .map(|part| if part.starts_with(':') { "x-1" } else { part })
                    .collect();
                let path = match pattern.starts_with('/') {
                    true => filled.join("/"),
                    false => format!("/api/{}", filled.join("/")),
                };
                assert_eq!(
                    action_for(method, &path),
                    Some(row.action),
                    "{method} {path}"
                );
                for wrong in [format!("{path}/a/b/c/d"), format!("/v2{path}")] {
                    let found = action_for(method, &wrong);
                    assert_ne!(found, Some(row.action), "{method} {wrong}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_in_the_table_has_no_action() {
        for (method, path) in [
            ("HEAD", "/api/config"),
            ("get", "/api/config"),
            ("DELETE", "/api/sessions/ses_1"),
            ("GET", "/api/sessions/a/b"),
            ("GET", "/config"),
            ("GET", "/"),
            ("GET", ""),
            ("POST", "/api/webhooks/billing"),
            ("POST", "/api/invites/accept"),
        ] {
            assert_eq!(action_for(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn a_literal_beats_a_parameter_and_empty_segments_do_not_count() {
        for (method, path, action) in [
            (
                "POST",
                "/api/workflows/scheduler/tick",
                CloudAction::WorkflowsSchedulerTick,
            ),
            ("GET", "//api/config/", CloudAction::WorkspaceRead),
            (
                "GET",
                "/api/channels/deliveries/stream",
                CloudAction::ChannelsServiceDelivery,
            ),
            (
                "GET",
                "/api/policy/effective",
                CloudAction::PolicyEffectiveRead,
            ),
        ] {
            assert_eq!(action_for(method, path), Some(action), "{path}");
        }
    }

    #[test]
    fn a_webhook_trigger_makes_another_action() {
        for (draft, action) in [
            (json!({"title": "a"}), CloudAction::WorkflowsCreate),
            (
                json!({"triggers": [{"type": "manual"}]}),
                CloudAction::WorkflowsCreate,
            ),
            (
                json!({"triggers": [{"type": "manual"}, {"type": "webhook"}]}),
                CloudAction::WorkflowsCreateWebhook,
            ),
            (json!({"triggers": "webhook"}), CloudAction::WorkflowsCreate),
            (json!(null), CloudAction::WorkflowsCreate),
        ] {
            assert_eq!(create_workflow(&draft), action, "{draft}");
        }
    }
}
