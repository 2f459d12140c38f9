//! Settings, usage, billing, diagnostics, the audit log.

use crate::{OWNER, ok, refused, settled, status};
use open_cowork_providers::store::GovernanceStore;
use serde_json::{Value, json};

#[tokio::test]
async fn settings_are_the_callers_own() {
    let world = settled().await;
    let none = ok(&world, "GET", "/api/settings/theme", json!({})).await;
    assert_eq!(none["setting"], Value::Null);
    let odd = "/api/settings/a%2Fb%20%25";
    for (method, n) in [("POST", 1), ("PUT", 2), ("PATCH", 3)] {
        let set = ok(&world, method, odd, json!({"value": {"n": n}})).await;
        assert_eq!(
            (&set["setting"]["key"], &set["setting"]["value"]["n"]),
            (&json!("a/b %"), &json!(n))
        );
    }
    ok(
        &world,
        "PUT",
        "/api/settings",
        json!({"key": "theme", "value": {}}),
    )
    .await;
    let all = ok(&world, "GET", "/api/settings", json!({})).await;
    assert_eq!(all["settings"].as_array().unwrap().len(), 2);
    assert_eq!(all["settings"][1]["userId"], "user-own");
    for wrong in [
        json!({"key": "theme"}),
        json!({"value": {}}),
        json!({"key": "k", "value": [1]}),
        json!({"key": "x".repeat(257), "value": {}}),
    ] {
        assert_eq!(refused(&world, "PUT", "/api/settings", wrong).await.0, 400);
    }
    let elsewhere = world
        .call("owner@foreign", "GET", "/api/settings", None)
        .await;
    assert_eq!(elsewhere.json()["settings"], json!([]));
}

#[tokio::test]
async fn usage_billing_and_diagnostics_have_the_contracts_shape() {
    let world = settled().await;
    let usage = ok(&world, "GET", "/api/usage/summary?limit=5", json!({})).await;
    assert_eq!(
        (&usage["totalsScope"], &usage["eventSampleLimit"]),
        (&json!("recent_events"), &json!(5))
    );
    assert_eq!(usage["quotas"].as_array().unwrap().len(), 6);
    assert_eq!(usage["quotas"][0]["quotaKey"], "prompts:hour");
    assert_eq!(
        ok(&world, "GET", "/api/usage/events", json!({})).await["events"],
        json!([])
    );
    let billing = ok(&world, "GET", "/api/billing/subscription", json!({})).await;
    assert_eq!(
        (&billing["enabled"], &billing["mode"]),
        (&json!(false), &json!("self-host"))
    );
    let plan = ok(&world, "GET", "/api/billing/entitlements", json!({})).await;
    assert_eq!(
        (
            &plan["provider"],
            &plan["features"]["byok"],
            &plan["limits"]
        ),
        (&json!("none"), &json!(true), &json!({}))
    );
    assert_eq!(
        refused(&world, "POST", "/api/billing/checkout", json!({})).await,
        (404, "billing.disabled".into())
    );
    let bundle = world
        .call("token:operator@own", "GET", "/api/diagnostics", None)
        .await;
    let bundle = match status(&bundle) {
        200 => bundle.json(),
        _ => world
            .call("local@own", "GET", "/api/diagnostics", None)
            .await
            .json(),
    };
    assert_eq!(bundle["redaction"], "secrets-redacted");
    assert_eq!(bundle["usage"]["eventSampleLimit"], 200);
    assert_eq!(bundle["runtime"]["heartbeatCount"], 0);
}

#[tokio::test]
async fn the_audit_log_knows_every_change_and_exports_without_formulas() {
    let world = settled().await;
    ok(
        &world,
        "POST",
        "/api/api-tokens",
        json!({"name": "=cmd|' /C calc'!A0", "scopes": ["desktop"]}),
    )
    .await;
    ok(&world, "PUT", "/api/policy", json!({"deniedModels": ["m"]})).await;
    let wish = json!({"roleKey": "quiet", "name": "Quiet", "permissions": []});
    ok(&world, "POST", "/api/admin/roles", wish).await;
    ok(
        &world,
        "POST",
        "/api/byok/acme",
        json!({"key": "a-key-of-somebody"}),
    )
    .await;
    let all = ok(
        &world,
        "GET",
        "/api/admin/audit?actorId=user-own",
        json!({}),
    )
    .await;
    let mut kinds: Vec<&str> = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["eventType"].as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "api_token.created",
            "byok_secret.created",
            "role.created",
            "workspace.policy.updated"
        ]
    );
    let first = ok(&world, "GET", "/api/admin/audit?limit=1", json!({})).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let path = format!("/api/admin/audit?limit=1&cursor={cursor}");
    let second = ok(&world, "GET", &path, json!({})).await;
    assert_ne!(
        first["events"][0]["eventId"],
        second["events"][0]["eventId"]
    );
    let foreign = format!("/api/admin/audit?action=role&cursor={cursor}");
    assert_eq!(
        refused(&world, "GET", &foreign, json!({})).await,
        (400, "audit.cursor.invalid".into())
    );
    for wrong in ["actorType=king", "from=yesterday", "result=maybe"] {
        let path = format!("/api/admin/audit?{wrong}");
        assert_eq!(
            refused(&world, "GET", &path, json!({})).await.0,
            400,
            "{wrong}"
        );
    }
    let csv = world
        .call(OWNER, "GET", "/api/admin/audit/export?format=csv", None)
        .await;
    assert!(
        csv.headers["content-disposition"]
            .to_str()
            .unwrap()
            .contains("audit-export-own.csv")
    );
    let header = "eventId,createdAt,orgId,actorType,actorId,accountId,eventType,targetType,targetId,result,metadata";
    assert!(csv.body.starts_with(header), "{}", csv.body);
    assert!(!csv.body.contains(",=cmd"));
    let json = world
        .call(OWNER, "GET", "/api/admin/audit/export", None)
        .await
        .json();
    let events = json["events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|event| event["eventType"] == "audit.exported"),
        "{json}"
    );
    assert_eq!(
        refused(
            &world,
            "GET",
            "/api/admin/audit/export?format=xml",
            json!({})
        )
        .await
        .0,
        400
    );
}

#[tokio::test]
async fn an_export_of_many_entries_is_whole() {
    let world = settled().await;
    for n in 0..13 {
        let wish = json!({"roleKey": format!("role{n}"), "name": "n", "permissions": []});
        ok(&world, "POST", "/api/admin/roles", wish).await;
    }
    let mut events = Vec::new();
    for n in 0..1200 {
        let mut event = serde_json::from_value::<open_cowork_contracts::api::admin::AuditEvent>(json!({
            "eventId": format!("e{n}"), "orgId": "own", "accountId": null, "actorType": "system", "actorId": null,
            "eventType": "x", "targetType": null, "targetId": null, "metadata": {}, "createdAt": world.cloud.now_iso(),
        }))
        .unwrap();
        event
            .metadata
            .insert("path".into(), "/home/ann/secret".into());
        events.push(event);
    }
    world
        .store
        .record_audit(&"own".into(), &events)
        .await
        .unwrap();
    let export = world
        .call(OWNER, "GET", "/api/admin/audit/export?action=x", None)
        .await;
    assert_eq!(export.json()["events"].as_array().unwrap().len(), 1200);
    assert!(!export.body.contains("/home/ann"));
    let open = world
        .call(
            OWNER,
            "GET",
            "/api/admin/audit/export?action=x&unredacted=true",
            None,
        )
        .await;
    assert!(open.body.contains("/home/ann"));
    let noted = ok(
        &world,
        "GET",
        "/api/admin/audit?action=audit.exported",
        json!({}),
    )
    .await;
    assert_eq!(noted["events"][0]["metadata"]["unredacted"], true);
}
