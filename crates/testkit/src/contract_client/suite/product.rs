//! Workflows, threads, settings, capabilities, launchpad, billing (03 §8.6 to §8.13).

use super::super::transport::encode;
use super::{Run, ask, get, post, text};
use serde_json::json;

impl Run {
    pub(super) async fn workflows(&mut self) {
        let draft = json!({
            "title": "Report", "instructions": "Write a report", "agentName": "build", "steps": [{"title": "One"}],
            "triggers": [{"type": "schedule", "schedule": {"type": "daily", "timezone": "UTC", "runAtHour": 3, "runAtMinute": 0}}],
        });
        let made = post("/api/workflows", draft)
            .status(201)
            .is("$WorkflowMade");
        let made = self.check("createWorkflow", made).await;
        let id = encode(text(&made, "/workflow/id"));
        let path = format!("/api/workflows/{id}");
        let first = text(&made, "/workflow/triggers/0/type").to_owned();
        self.rule(
            "createWorkflow: a manual trigger comes first",
            first == "manual",
            || first.clone(),
        );
        self.check("listWorkflows", get("/api/workflows").is("$Workflows"))
            .await;
        self.check("getWorkflow", get(&path).is("{workflow:$Workflow}"))
            .await;
        self.check(
            "pauseWorkflow",
            post(format!("{path}/pause"), json!({})).is("{workflow:$Workflow}"),
        )
        .await;
        self.check(
            "resumeWorkflow",
            post(format!("{path}/resume"), json!({})).is("{workflow:$Workflow}"),
        )
        .await;
        let run = post(format!("{path}/run"), json!({}))
            .status(202)
            .is("$RunStarted");
        let run = self.check("runWorkflow", run).await;
        let session = text(&run, "/sessionId").to_owned();
        self.rule(
            "runWorkflow: session id",
            session.starts_with("workflow_session_"),
            || session.clone(),
        );
        let again = post(format!("{path}/run"), json!({})).status(409);
        self.refused("runWorkflow: while it runs", again, None)
            .await;
        self.check(
            "archiveWorkflow",
            post(format!("{path}/archive"), json!({})).is("{workflow:$Workflow}"),
        )
        .await;
        let hook = json!({"title": "Hook", "instructions": "x", "triggers": [{"type": "webhook"}]});
        let hook = post("/api/workflows", hook).status(201).is("$WorkflowMade");
        let hook = self.check("createWorkflow with a webhook", hook).await;
        let revealed = hook["webhookSecretReveal"].is_object();
        self.rule("createWorkflow: the secret is shown once", revealed, || {
            hook.to_string()
        });
        let path = format!("/api/workflows/{}", encode(text(&hook, "/workflow/id")));
        let rotate = post(format!("{path}/rotate-webhook-secret"), json!({})).is("$WorkflowMade");
        let rotated = self.check("rotateWorkflowWebhookSecret", rotate).await;
        let read = self
            .check(
                "getWorkflow with a webhook",
                get(&path).is("{workflow:$Workflow}"),
            )
            .await;
        let secret = text(&rotated, "/webhookSecretReveal/secret").to_owned();
        let hidden = !secret.is_empty() && !read.to_string().contains(&secret);
        self.rule("getWorkflow: no secret", hidden, || {
            "the secret is in the answer".to_owned()
        });
        self.refused(
            "getWorkflow: absent",
            get("/api/workflows/nope").status(404),
            None,
        )
        .await;
        self.refused(
            "createWorkflow: no title",
            post("/api/workflows", json!({"instructions": "x"})).status(400),
            None,
        )
        .await;
        let cursor = get("/api/workflows")
            .query(json!({"cursor": "x"}))
            .status(400);
        self.refused(
            "listWorkflows: broken cursor",
            cursor,
            Some("workflows.cursor.invalid"),
        )
        .await;
    }

    pub(super) async fn threads(&mut self, session: &str) {
        let made = post(
            "/api/threads/tags",
            json!({"name": "Urgent", "color": "nonsense"}),
        )
        .status(201);
        let made = self.check("createThreadTag", made.is("{tag:$Tag}")).await;
        let color = text(&made, "/tag/color").to_owned();
        self.rule(
            "createThreadTag: default colour",
            color == "#64748b",
            || color.clone(),
        );
        let tag = text(&made, "/tag/tagId").to_owned();
        let path = format!("/api/threads/tags/{}", encode(&tag));
        self.check(
            "listThreadTags",
            get("/api/threads/tags").is("{tags:[$Tag]}"),
        )
        .await;
        let update = super::Ask {
            method: "PATCH",
            ..post(&path, json!({"name": "Later", "color": "#112233"}))
        };
        self.check("updateThreadTag", update.is("{tag:$Tag}")).await;
        let apply = post(format!("{path}/apply"), json!({"sessionIds": [session]}));
        self.check("applyThreadTags", apply.is("{ok:b}")).await;
        let listed = get("/api/threads")
            .query(json!({"tagId": [tag], "limit": 500}))
            .is("$Threads");
        let listed = self.check("searchThreads", listed).await;
        let found = text(&listed, "/threads/0/sessionId") == session;
        self.rule("searchThreads: by tag", found, || listed.to_string());
        let remove = post(format!("{path}/remove"), json!({"sessionIds": [session]}));
        self.check("removeThreadTags", remove.is("{ok:b}")).await;
        let unknown = post(format!("{path}/apply"), json!({"sessionIds": ["nope"]})).status(404);
        self.refused("applyThreadTags: absent session", unknown, None)
            .await;
        for (name, status) in [
            ("Later", 409),
            ("", 400),
            (" ", 400),
            (&*"x".repeat(49), 400),
        ] {
            let again = post("/api/threads/tags", json!({ "name": name })).status(status);
            self.refused(&format!("createThreadTag `{name}`"), again, None)
                .await;
        }
        self.check("deleteThreadTag", ask("DELETE", &path).is("{deleted:b}"))
            .await;
        let filter = post(
            "/api/threads/smart-filters",
            json!({"name": "Mine", "query": {"text": "x"}}),
        );
        let filter = self
            .check(
                "createThreadSmartFilter",
                filter.status(201).is("{filter:$Filter}"),
            )
            .await;
        let path = format!(
            "/api/threads/smart-filters/{}",
            encode(text(&filter, "/filter/filterId"))
        );
        self.check(
            "listThreadSmartFilters",
            get("/api/threads/smart-filters").is("{filters:[$Filter]}"),
        )
        .await;
        let update = super::Ask {
            method: "PATCH",
            ..post(&path, json!({"name": "Ours"}))
        };
        self.check("updateThreadSmartFilter", update.is("{filter:$Filter}"))
            .await;
        self.check(
            "deleteThreadSmartFilter",
            ask("DELETE", &path).is("{deleted:b}"),
        )
        .await;
        let search = post("/api/threads/search", json!({"text": "hello"}));
        self.check(
            "shim: searchThreads",
            search.is("{threads:[o], nextCursor:s|null, totalEstimate:i}"),
        )
        .await;
        self.check(
            "shim: threadFacets",
            post("/api/threads/facets", json!({})).is("$Facets"),
        )
        .await;
    }

    pub(super) async fn settings(&mut self) {
        let path = format!("/api/settings/{}", encode("ui.theme/ü"));
        let set = super::Ask {
            method: "PUT",
            ..post(&path, json!({"value": {"dark": true}}))
        };
        self.check("setSetting", set.is("{setting:$Setting}")).await;
        let read = self
            .check("getSetting", get(&path).is("{setting:$Setting|null}"))
            .await;
        let value = &read["setting"]["value"];
        self.rule("getSetting: value", *value == json!({"dark": true}), || {
            value.to_string()
        });
        self.check(
            "getSetting: never set",
            get("/api/settings/never").is("{setting:null}"),
        )
        .await;
        self.check(
            "listSettings",
            get("/api/settings").is("{settings:[$Setting]}"),
        )
        .await;
        let body = post("/api/settings", json!({"key": "b", "value": {}})).is("{setting:$Setting}");
        self.check("setSetting by body", body).await;
        let wrong = super::Ask {
            method: "PUT",
            ..post(&path, json!({"value": 3}))
        };
        self.refused("setSetting: no object", wrong.status(400), None)
            .await;
    }

    pub(super) async fn capabilities(&mut self) {
        let all = get("/api/capabilities").is("{tools:[$Tool], skills:[$Skill]}");
        let all = self.check("listCapabilities", all).await;
        self.check(
            "listCapabilityTools",
            get("/api/capabilities/tools").is("{tools:[$Tool]}"),
        )
        .await;
        self.check(
            "listCapabilitySkills",
            get("/api/capabilities/skills").is("{skills:[$Skill]}"),
        )
        .await;
        if let Some(id) = all["tools"][0]["id"].as_str() {
            let path = format!("/api/capabilities/tools/{}", encode(id));
            self.check("getCapabilityTool", get(path).is("{tool:$Tool}"))
                .await;
        }
        if let Some(name) = all["skills"][0]["name"].as_str() {
            let path = format!("/api/capabilities/skills/{}/bundle", encode(name));
            self.check("getCapabilitySkillBundle", get(path).is("{bundle:$Bundle}"))
                .await;
        }
        let absent = get("/api/capabilities/tools/nope").status(404);
        self.refused("getCapabilityTool: absent", absent, None)
            .await;
    }

    pub(super) async fn launchpad(&mut self) {
        let feed = get("/api/launchpad/feed").query(json!({"limit": 5, "waitingLimit": 50}));
        self.check("launchpadFeed", feed.is("$Launchpad")).await;
        for limit in ["0", "51", "x", "-1"] {
            let bad = get("/api/launchpad/feed")
                .query(json!({ "limit": limit }))
                .status(400);
            self.refused(&format!("launchpadFeed: limit {limit}"), bad, None)
                .await;
        }
    }

    pub(super) async fn billing(&mut self) {
        self.check(
            "listUsageEvents",
            get("/api/usage/events").is("{events:[$UsageEvent]}"),
        )
        .await;
        self.check(
            "getUsageSummary",
            get("/api/usage/summary").is("$UsageSummary"),
        )
        .await;
        self.check(
            "getDiagnosticsBundle",
            get("/api/diagnostics").is("$Diagnostics"),
        )
        .await;
        self.check(
            "getBillingSubscription",
            get("/api/billing/subscription").is("$Billing"),
        )
        .await;
        self.check(
            "getEntitlements",
            get("/api/billing/entitlements").is("$Entitlements"),
        )
        .await;
    }
}
