//! The channels' directory and its services (03 §8.23).

use super::super::transport::encode;
use super::{Ask, Run, get, post, text};
use serde_json::json;

impl Run {
    pub(super) async fn channels(&mut self, session: &str) {
        self.check(
            "listChannelProviders",
            get("/api/channels/providers").is("{providers:[$Provider]}"),
        )
        .await;
        let agent = post("/api/channels/agents", json!({"name": "Helper"}))
            .status(201)
            .is("{agent:$Agent}");
        let agent = self.check("createHeadlessAgent", agent).await;
        let agent = text(&agent, "/agent/agentId").to_owned();
        self.check(
            "listHeadlessAgents",
            get("/api/channels/agents").is("{agents:[$Agent]}"),
        )
        .await;
        let path = format!("/api/channels/agents/{}", encode(&agent));
        let update = Ask {
            method: "PATCH",
            ..post(path, json!({"name": "Helper 2"}))
        };
        self.check("updateHeadlessAgent", update.is("{agent:$Agent}"))
            .await;

        let body = json!({
            "agentId": agent, "provider": "telegram", "displayName": "Bot", "credentialRef": "env:TELEGRAM_TOKEN",
            "externalWorkspaceId": "w1", "settings": {"a": 1},
        });
        let binding = post("/api/channels/bindings", body)
            .status(201)
            .is("{binding:$Binding}");
        let binding = self.check("createChannelBinding", binding).await;
        let hidden = !binding.to_string().contains("TELEGRAM_TOKEN");
        self.rule("a credential reference is never returned", hidden, || {
            binding.to_string()
        });
        let binding = text(&binding, "/binding/bindingId").to_owned();
        let path = format!("/api/channels/bindings/{}", encode(&binding));
        self.check(
            "listChannelBindings",
            get("/api/channels/bindings").is("{bindings:[$Binding]}"),
        )
        .await;
        let update = Ask {
            method: "PATCH",
            ..post(&path, json!({"displayName": "Bot 2"}))
        };
        self.check("updateChannelBinding", update.is("{binding:$Binding}"))
            .await;

        let person = json!({
            "provider": "telegram", "externalUserId": "u1", "externalWorkspaceId": "w1", "channelBindingId": binding,
            "role": "owner", "status": "active",
        });
        let identity = post("/api/channels/identities/resolve", person).is("{identity:$Identity}");
        let identity = self.check("resolveChannelIdentity", identity).await;
        let identity = text(&identity, "/identity/identityId").to_owned();
        self.check(
            "listChannelIdentities",
            get("/api/channels/identities").is("{identities:[$Identity]}"),
        )
        .await;

        let bind = json!({
            "channelBindingId": binding, "provider": "telegram", "externalChatId": "c1", "externalThreadId": "t1",
            "externalWorkspaceId": "w1", "sessionId": session, "identityId": identity,
        });
        let bound = post("/api/channels/sessions/bind", bind)
            .is("{binding:$SessionBinding, session:$SessionView}");
        let bound = self.check("bindChannelSession", bound).await;
        let place = text(&bound, "/binding/bindingId").to_owned();
        let query = json!({"provider": "telegram", "externalWorkspaceId": "w1", "externalChatId": "c1", "externalThreadId": "t1"});
        let by_thread = get("/api/channels/sessions/by-thread").query(query);
        self.check(
            "getChannelSessionByThread",
            by_thread.is("{binding:$SessionBinding, session:$SessionView}"),
        )
        .await;
        let absent =
            json!({"provider": "telegram", "externalChatId": "c9", "externalThreadId": "t9"});
        let absent = get("/api/channels/sessions/by-thread")
            .query(absent)
            .status(404);
        self.refused("getChannelSessionByThread: absent", absent, None)
            .await;
        let path = format!("/api/channels/sessions/{}", encode(&place));
        self.check(
            "getChannelSessionSnapshot",
            get(format!("{path}/snapshot")).is("$SessionView"),
        )
        .await;

        let prompt = json!({"bindingId": place, "text": "Hi", "idempotencyKey": "k1", "identityId": identity});
        let shape = "{binding:$SessionBinding, command:$Command, processed:i, view:$SessionView, projectionFence:$Fence|null}";
        let first = post("/api/channels/sessions/prompt", prompt.clone())
            .status(202)
            .is(shape);
        let first = self.check("promptChannelSession", first).await;
        let again = post("/api/channels/sessions/prompt", prompt)
            .status(202)
            .is(shape);
        let again = self.check("promptChannelSession again", again).await;
        let same = first["command"]["commandId"] == again["command"]["commandId"];
        self.rule("promptChannelSession: one command per key", same, || {
            "two commands".to_owned()
        });

        let cursor = |event: u64| {
            let body = json!({"bindingId": place, "lastEventSequence": event, "lastWorkspaceSequence": event});
            post("/api/channels/cursor", body)
                .is("{binding:$SessionBinding, result:{ok:b, binding:$SessionBinding}}")
        };
        self.check("updateChannelCursor", cursor(5)).await;
        let stale = self.check("updateChannelCursor: stale", cursor(4)).await;
        self.rule(
            "updateChannelCursor: reason",
            stale["result"]["reason"] == "stale",
            || stale.to_string(),
        );

        let event = json!({
            "provider": "telegram", "providerInstanceId": "i1", "providerEventId": "e1", "eventType": "message",
            "claimedBy": "g1", "channelBindingId": binding,
        });
        let shape = "{event:$ProviderEvent, claimed:b, duplicate:b}";
        let claim = post("/api/channels/provider-events/claim", event.clone()).is(shape);
        let claimed = self.check("claimChannelProviderEvent", claim).await;
        let twice = self
            .check(
                "claimChannelProviderEvent again",
                post("/api/channels/provider-events/claim", event).is(shape),
            )
            .await;
        let once = claimed["claimed"] == true && twice["duplicate"] == true;
        self.rule("claimChannelProviderEvent: once", once, || {
            twice.to_string()
        });
        let path = format!(
            "/api/channels/provider-events/{}/complete",
            encode(text(&claimed, "/event/eventId"))
        );
        let complete = post(
            path,
            json!({"claimedBy": "g1", "status": "processed", "channelBindingId": binding}),
        );
        self.check(
            "completeChannelProviderEvent",
            complete.is("{event:$ProviderEvent}"),
        )
        .await;

        let interaction = json!({
            "agentId": agent, "sessionBindingId": place, "sessionId": session, "provider": "telegram",
            "kind": "permission", "targetId": "per_1",
        });
        let interaction = post("/api/channels/interactions", interaction).status(201);
        self.check(
            "createChannelInteraction",
            interaction.is("{interaction:$Interaction, plaintextToken:s}"),
        )
        .await;
        let unknown = post(
            "/api/channels/interactions/resolve",
            json!({"token": "occi_x_y", "identityId": identity, "response": true}),
        );
        self.refused(
            "resolveChannelInteraction: unknown",
            unknown.status(404),
            None,
        )
        .await;

        let delivery = json!({
            "agentId": agent, "channelBindingId": binding, "provider": "telegram", "target": {"chatId": "c1"},
            "eventType": "message", "payload": {"text": "x"}, "sessionBindingId": place,
        });
        let delivery = post("/api/channels/deliveries", delivery)
            .status(201)
            .is("{delivery:$Delivery}");
        let delivery = self.check("createChannelDelivery", delivery).await;
        self.check(
            "listChannelDeliveries",
            get("/api/channels/deliveries").is("{deliveries:[$Delivery]}"),
        )
        .await;
        let path = format!(
            "/api/channels/deliveries/{}",
            encode(text(&delivery, "/delivery/deliveryId"))
        );
        let verb = |verb: &str| {
            post(
                format!("{path}/{verb}"),
                json!({"channelBindingId": binding}),
            )
            .is("{delivery:$Delivery}")
        };
        self.check("retryChannelDelivery", verb("retry")).await;
        self.check("deadLetterChannelDelivery", verb("dead-letter"))
            .await;
        let path = format!("/api/channels/bindings/{}", encode(&binding));
        let disconnect = Ask {
            method: "PATCH",
            ..post(path, json!({"status": "disabled"}))
        };
        self.check(
            "disconnectChannelBinding",
            disconnect.is("{binding:$Binding}"),
        )
        .await;
    }
}
