//! Provider keys, policy, tokens, administration (03 §8.14 to §8.17).

use super::super::transport::encode;
use super::{Ask, Run, ask, get, post, text};
use serde_json::json;

/// Must never be seen again.
const CANARY: &str = "sk-canary-4f1d9b27c8e0a653";

impl Run {
    pub(super) async fn byok(&mut self) {
        let set = post("/api/byok/anthropic", json!({"apiKey": CANARY}))
            .status(201)
            .is("{secret:$ByokSecret}");
        let set = self.check("setByokSecret", set).await;
        let last4 = text(&set, "/secret/last4").to_owned();
        self.rule(
            "setByokSecret: last4",
            last4 == CANARY[CANARY.len() - 4..],
            || last4.clone(),
        );
        let listed = self
            .check(
                "listByokSecrets",
                get("/api/byok").is("{secrets:[$ByokSecret]}"),
            )
            .await;
        let one = get("/api/byok/anthropic").is("{secret:$ByokSecret|null}");
        let one = self.check("getByokSecret", one).await;
        let hidden = !format!("{set}{listed}{one}").contains(CANARY);
        self.rule("a provider key is never returned", hidden, || {
            "the key is in an answer".to_owned()
        });
        let validate = post("/api/byok/anthropic/validate", json!({}))
            .is("{secret:$ByokSecret|null, validated:b}");
        self.check("validateByokSecret", validate).await;
        let over = post("/api/byok/anthropic/override", json!({"reason": "trusted"}));
        self.check(
            "overrideByokSecretValidation",
            over.is("{secret:$ByokSecret|null, overridden:b}"),
        )
        .await;
        let delete =
            ask("DELETE", "/api/byok/anthropic").is("{secret:$ByokSecret|null, disabled:b}");
        self.check("deleteByokSecret", delete).await;
        let absent = get("/api/byok/openai").is("{secret:$ByokSecret|null}");
        self.check("getByokSecret: absent", absent).await;
        for (name, body) in [
            ("none", json!({})),
            ("two", json!({"apiKey": "a", "plaintext": "b"})),
        ] {
            let bad = post("/api/byok/anthropic", body).status(400);
            self.refused(&format!("setByokSecret: {name}"), bad, None)
                .await;
        }
    }

    pub(super) async fn policy(&mut self) {
        let shape = "{policy:$Policy|null, view:$Policy}";
        self.check("getManagedPolicy", get("/api/policy").is(shape))
            .await;
        let put = Ask {
            method: "PUT",
            ..post(
                "/api/policy",
                json!({"permissionCeilings": {"bash": "ask"}}),
            )
        };
        let put = self.check("setManagedPolicy", put.is(shape)).await;
        let bash = text(&put, "/view/permissionCeilings/bash").to_owned();
        self.rule("setManagedPolicy: merges", bash == "ask", || bash.clone());
        self.check(
            "getAdminPolicy, effective",
            get("/api/policy/effective").is("{policy:$Policy}"),
        )
        .await;
        let wrong = Ask {
            method: "PUT",
            ..post("/api/policy", json!({"permissionCeilings": {"bash": 1}}))
        };
        self.refused("setManagedPolicy: wrong type", wrong.status(400), None)
            .await;
    }

    pub(super) async fn tokens(&mut self) {
        let body = json!({"name": "contract", "scopes": ["desktop", "desktop"]});
        let issued = post("/api/api-tokens", body)
            .status(201)
            .is("{token:$Token, plaintext:s}");
        let issued = self.check("issueApiToken", issued).await;
        let (id, plain) = (
            text(&issued, "/token/tokenId").to_owned(),
            text(&issued, "/plaintext").to_owned(),
        );
        let form = id.starts_with("tok_") && plain.starts_with(&format!("occ_{id}_"));
        self.rule("issueApiToken: form", form, || {
            format!("{id}, {} characters", plain.len())
        });
        let bearer = Run {
            transport: match super::Transport::new(
                &self.transport.base,
                &[("authorization", &format!("Bearer {plain}"))],
            ) {
                Ok(transport) => transport,
                Err(error) => return self.rule("a bearer", false, || error.to_string()),
            },
            shapes: self.shapes.clone(),
            report: super::Report::default(),
        };
        let mut bearer = bearer;
        bearer
            .check("a token signs in", get("/api/workspace").is("$Workspace"))
            .await;
        let me = bearer
            .check("me of a token", get("/auth/me").is("$Me"))
            .await;
        let source = text(&me, "/principal/authSource").to_owned();
        bearer.rule("a token's principal", source == "api_token", || {
            source.clone()
        });
        bearer
            .refused(
                "a desktop token doesn't administer",
                get("/api/api-tokens").status(403),
                None,
            )
            .await;
        let listed = self
            .check(
                "listApiTokens",
                get("/api/api-tokens").is("{tokens:[$Token]}"),
            )
            .await;
        self.rule(
            "listApiTokens: no secret",
            !listed.to_string().contains(&plain),
            || "the token is listed".into(),
        );
        let revoke = ask("DELETE", format!("/api/api-tokens/{}", encode(&id)))
            .is("{token:$Token, revoked:b}");
        self.check("revokeApiToken", revoke).await;
        self.report.checks.append(&mut bearer.report.checks);
        for (name, body) in [
            ("no name", json!({"scopes": ["desktop"]})),
            ("unknown scope", json!({"name": "x", "scopes": ["root"]})),
            (
                "long name",
                json!({"name": "x".repeat(97), "scopes": ["desktop"]}),
            ),
            (
                "past",
                json!({"name": "x", "scopes": ["desktop"], "expiresAt": "2001-01-01T00:00:00.000Z"}),
            ),
        ] {
            let bad = post("/api/api-tokens", body).status(400);
            self.refused(&format!("issueApiToken: {name}"), bad, None)
                .await;
        }
        let absent = ask("DELETE", "/api/api-tokens/nope").status(404);
        self.refused("revokeApiToken: absent", absent, None).await;
    }

    pub(super) async fn admin(&mut self) {
        self.check(
            "getAdminOverview",
            get("/api/admin").is("{policy:$Overview}"),
        )
        .await;
        self.check(
            "getAdminPolicy",
            get("/api/admin/policy").is("{policy:$Overview}"),
        )
        .await;
        self.check(
            "getAdminAccess",
            get("/api/admin/access").is("{access:$Access}"),
        )
        .await;
        let catalog = self
            .check(
                "listPermissionCatalog",
                get("/api/admin/permission-catalog").is("{permissions:[s]}"),
            )
            .await;
        let count = catalog["permissions"].as_array().map_or(0, Vec::len);
        self.rule("listPermissionCatalog: all", count == 16, || {
            count.to_string()
        });
        let role = json!({"roleKey": "auditor", "name": "Auditor", "permissions": ["audit:read"]});
        let made = post("/api/admin/roles", role.clone())
            .status(201)
            .is("{role:$CustomRole}");
        self.check("createCustomRole", made).await;
        self.check(
            "listCustomRoles",
            get("/api/admin/roles").is("{roles:[$CustomRole]}"),
        )
        .await;
        let update = post("/api/admin/roles/auditor/update", json!({"name": "Reader"}))
            .is("{role:$CustomRole}");
        self.check("updateCustomRole", update).await;
        self.refused(
            "createCustomRole: twice",
            post("/api/admin/roles", role).status(409),
            None,
        )
        .await;
        for (name, body) in [
            (
                "built in",
                json!({"roleKey": "owner", "name": "x", "permissions": []}),
            ),
            (
                "bad key",
                json!({"roleKey": "No!", "name": "x", "permissions": []}),
            ),
            (
                "unknown permission",
                json!({"roleKey": "x1", "name": "x", "permissions": ["root"]}),
            ),
        ] {
            let bad = post("/api/admin/roles", body).status(400);
            self.refused(&format!("createCustomRole: {name}"), bad, None)
                .await;
        }
        self.check(
            "deleteCustomRole",
            ask("DELETE", "/api/admin/roles/auditor").is("{deleted:b}"),
        )
        .await;
        let members = self
            .check(
                "listAdminMembers",
                get("/api/admin/members").is("{members:[$Member]}"),
            )
            .await;
        if let Some(account) = members["members"][0]["accountId"].as_str() {
            let path = format!("/api/admin/members/{}/update", encode(account));
            self.refused(
                "updateAdminMember: disabling needs a word",
                post(path, json!({"status": "disabled"})).status(400),
                None,
            )
            .await;
        }
        self.check("getSsoConfig", get("/api/admin/sso").is("{sso:$Sso|null}"))
            .await;
        let sso = post(
            "/api/admin/sso",
            json!({"verifiedDomains": ["B.example", "a.example", "a.example"]}),
        );
        let sso = self.check("setSsoConfig", sso.is("{sso:$Sso}")).await;
        let domains = sso["sso"]["verifiedDomains"].clone();
        self.rule(
            "setSsoConfig: domains",
            domains == json!(["a.example", "b.example"]),
            || domains.to_string(),
        );
        self.check(
            "deleteSsoConfig",
            ask("DELETE", "/api/admin/sso").is("{deleted:b}"),
        )
        .await;
        let audit = get("/api/admin/audit")
            .query(json!({"limit": 2}))
            .is("{events:[$AuditEvent], nextCursor:s|null}");
        self.check("listAdminAuditEvents", audit).await;
        let cursor = get("/api/admin/audit")
            .query(json!({"cursor": "x"}))
            .status(400);
        self.refused(
            "queryAudit: broken cursor",
            cursor,
            Some("audit.cursor.invalid"),
        )
        .await;
        let export = get("/api/admin/audit/export").query(json!({"format": "csv"}));
        let export = self.check("exportAudit", export).await;
        let head = "eventId,createdAt,orgId,actorType,actorId,accountId,eventType,targetType,targetId,result,metadata";
        let is_csv = export.as_str().is_some_and(|text| text.starts_with(head));
        self.rule("exportAudit: columns", is_csv, || {
            export.to_string().chars().take(200).collect()
        });
        let all = self
            .check(
                "exportAudit as JSON",
                get("/api/admin/audit/export").query(json!({"format": "json"})),
            )
            .await;
        self.rule(
            "no audit entry holds a key",
            !all.to_string().contains(CANARY),
            || "a key is in the audit log".into(),
        );
    }
}
