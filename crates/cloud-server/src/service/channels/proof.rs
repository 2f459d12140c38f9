//! Binding proof (03 §7): a gateway's token must hold an active grant for what the request names.

use super::{Reach, reach};
use crate::call::Call;
use open_cowork_contracts::api::channels::ChannelBindingStatus;
use serde_json::{Map, Value};

/// What a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Channels.
    Channels(Vec<String>),
    /// A chat.
    Chat(String),
    /// Nothing: any active grant passes, and the handler checks the exact target.
    Any,
}

fn target(call: &Call) -> Target {
    let chat = call.param("bindingId");
    if !chat.is_empty() {
        return Target::Chat(chat.to_owned());
    }
    if !call.route.mutates() {
        return match call.query().all("channelBindingId") {
            named if named.is_empty() => Target::Any,
            named => Target::Channels(named),
        };
    }
    let body = call.object().unwrap_or_default();
    named_in(&body)
}

fn named_in(body: &Map<String, Value>) -> Target {
    let text = |key: &str| {
        let text = body.get(key).and_then(Value::as_str);
        text.filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
    };
    if let Some(channel) = text("channelBindingId") {
        return Target::Channels(vec![channel]);
    }
    match text("bindingId").or_else(|| text("sessionBindingId")) {
        Some(chat) => Target::Chat(chat),
        None => Target::Any,
    }
}

/// Whether the token of this request holds an active grant for what it names.
pub async fn holds(call: &Call) -> bool {
    let Ok(principal) = call.principal() else {
        return false;
    };
    let Ok(Reach::Granted(granted)) = reach(call).await else {
        return false;
    };
    let (tenant, store) = (&principal.tenant_id, &call.cloud.store);
    let named = match target(call) {
        Target::Channels(named) => named,
        Target::Chat(id) => match store.channel_session(tenant, &id).await {
            Ok(Some(row)) => vec![row.binding.channel_binding_id],
            _ => return false,
        },
        Target::Any => {
            for id in &granted {
                if is_active(call, id).await {
                    return true;
                }
            }
            return false;
        }
    };
    for id in &named {
        if !granted.contains(id) || !is_active(call, id).await {
            return false;
        }
    }
    true
}

async fn is_active(call: &Call, id: &str) -> bool {
    let Ok(principal) = call.principal() else {
        return false;
    };
    let found = call
        .cloud
        .store
        .channel_binding(&principal.tenant_id, id)
        .await;
    matches!(found, Ok(Some(row)) if row.binding.status == ChannelBindingStatus::Active)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_names_its_channel_before_its_chat() {
        let named = |body: Value| named_in(body.as_object().unwrap());
        let channel = Target::Channels(vec!["c".into()]);
        assert_eq!(
            named(json!({"channelBindingId": "c", "bindingId": "b"})),
            channel
        );
        assert_eq!(
            named(json!({"sessionBindingId": "b"})),
            Target::Chat("b".into())
        );
        assert_eq!(
            named(json!({"bindingId": " ", "channelBindingId": 3})),
            Target::Any
        );
    }
}
