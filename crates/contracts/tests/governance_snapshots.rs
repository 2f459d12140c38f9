//! The records of governance as the wire has them: each reads and writes the same JSON, nulls included.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test that fails panics"
)]

use open_cowork_contracts::api::{admin, billing, byok, identity, policy, settings, tokens, usage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn same<T: Serialize + DeserializeOwned>(wire: Value) {
    let read: T = serde_json::from_value(wire.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), wire);
}

const AT: &str = "2026-01-02T03:04:05.678Z";

fn token() -> Value {
    json!({
        "tokenId": "tok_AbCdEfGhIjKlMnOp", "orgId": "acme", "accountId": null, "name": "ci",
        "scopes": ["desktop", "worker-internal"], "channelBindingIds": [], "last4": "abcd", "expiresAt": AT,
        "revokedAt": null, "lastUsedAt": null, "createdAt": AT, "updatedAt": AT,
    })
}

#[test]
fn identity_reads_and_writes_the_wire() {
    same::<identity::PrincipalRecord>(json!({
        "tenantId": "acme", "tenantName": "Acme", "orgId": "acme", "userId": "u", "accountId": "u",
        "email": "ann@acme.test", "role": "owner", "permissions": ["org:read"], "customRoleKey": null,
        "authSource": "api_token", "ssoVerified": true, "tokenId": "tok_x", "tokenScopes": ["admin"],
    }));
    same::<identity::Org>(json!({
        "orgId": "acme", "tenantId": "acme", "name": "Acme", "planKey": null, "status": "active",
        "createdAt": AT, "updatedAt": AT,
    }));
    same::<identity::AuthSession>(json!({
        "principal": {"tenantId": "t", "userId": "u", "email": "a@b"}, "csrfToken": null, "expiresAt": null,
    }));
}

#[test]
fn tokens_read_and_write_the_wire() {
    same::<tokens::ApiTokens>(json!({"tokens": [token()], "nextCursor": null}));
    same::<tokens::IssuedApiToken>(json!({"token": token(), "plaintext": "occ_x"}));
    same::<tokens::GrantedChannelBinding>(json!({
        "grant": {"orgId": "acme", "tokenId": "tok_x", "channelBindingId": "b", "createdAt": AT}, "token": token(),
    }));
}

#[test]
fn administration_reads_and_writes_the_wire() {
    let member = json!({
        "orgId": "acme", "accountId": "u", "email": "ann@acme.test", "displayName": null, "role": "admin",
        "customRoleKey": null, "status": "invited", "createdAt": AT, "updatedAt": AT,
    });
    same::<admin::InvitedMember>(
        json!({"member": member, "inviteToken": "a.b", "inviteExpiresAt": null}),
    );
    same::<admin::CustomRoles>(json!({"roles": [{
        "orgId": "acme", "roleKey": "auditor", "name": "Auditor", "description": null, "baseRole": "member",
        "permissions": ["audit:read"], "createdAt": AT, "updatedAt": AT,
    }]}));
    same::<admin::AdminAccessAnswer>(json!({"access": {
        "role": null, "customRoleKey": null, "permissions": [], "email": null, "ssoVerified": false,
    }}));
    same::<admin::AuditEvents>(json!({"events": [{
        "eventId": "e", "orgId": "acme", "accountId": null, "actorType": "api_token", "actorId": null,
        "eventType": "api_token.created", "targetType": null, "targetId": null, "metadata": {"result": "success"},
        "createdAt": AT,
    }], "nextCursor": "c"}));
    same::<admin::SsoAnswer>(json!({"sso": {
        "orgId": "acme", "protocol": "saml", "enabled": true, "enforced": false, "displayName": null,
        "verifiedDomains": ["acme.test"], "domainVerificationToken": "ocw-sso-verify-x", "oidcIssuer": null,
        "oidcClientId": null, "samlEntityId": null, "samlAcsUrl": null, "samlSloUrl": null, "samlIdpEntityId": null,
        "samlIdpSsoUrl": null, "samlIdpMetadataUrl": null, "scimEnabled": false, "createdAt": AT, "updatedAt": AT,
        "hasOidcClientSecret": false, "hasSamlIdpCertificate": true, "hasScimToken": false,
    }}));
    same::<admin::AdminOverview>(json!({
        "org": {"orgId": "acme", "tenantId": "acme", "name": "Acme", "planKey": null, "status": "active"},
        "signup": {"mode": "domain", "allowSelfServiceSignup": true, "allowedEmailDomains": ["acme.test"], "invitesEnabled": false},
        "profile": {"name": "full", "label": null, "description": null},
        "features": {"chat": true}, "allowedAgents": null, "allowedTools": [], "allowedMcps": null,
        "runtime": {"configSource": "app", "machineRuntimeConfig": "disabled", "localStdioMcps": "disabled",
            "hostProjectDirectories": "enabled", "remoteApprovalResponses": "allowlisted"},
        "projectSources": {}, "gateway": {"channelsEnabled": true, "webhooksEnabled": false},
        "providerKeys": {"allowedProviderIds": null, "kmsRefsEnabled": false, "kmsRefPrefixesConfigured": false, "envRefsEnabled": false},
    }));
}

#[test]
fn keys_policy_settings_and_usage_read_and_write_the_wire() {
    same::<byok::ValidatedByokSecret>(json!({"secret": {
        "secretId": "byok_1", "providerId": "acme", "status": "pending_validation", "credentialKind": "kms_ref",
        "last4": "abcd", "keyFingerprint": "0123456789abcdef01234567", "lastValidatedAt": null,
        "validationError": null, "createdAt": AT, "updatedAt": AT,
    }, "validated": false}));
    same::<policy::ManagedPolicyAnswer>(json!({
        "policy": {"orgId": "acme", "createdAt": AT, "updatedAt": AT, "allowedProviders": null, "laterField": [1]},
        "view": {"disabledByPolicy": {}},
    }));
    same::<policy::ManagedPolicyChange>(json!({"allowedModels": null, "deniedProviders": []}));
    same::<settings::SettingAnswer>(json!({"setting": {
        "tenantId": "acme", "userId": "u", "key": "theme", "value": {"a": [1]}, "updatedAt": AT,
    }}));
    same::<usage::UsageSummary>(json!({
        "enabled": true, "generatedAt": AT, "totalsScope": "recent_events", "eventSampleLimit": 100,
        "events": [{"eventId": "e", "orgId": "acme", "accountId": null, "eventType": "worker.minute", "quantity": 2,
            "unit": "minute", "metadata": {}, "createdAt": AT}],
        "totals": [{"eventType": "worker.minute", "unit": "minute", "quantity": 2}],
        "quotas": [{"quotaKey": "prompts:hour", "label": "Prompts per hour", "unit": "count", "enabled": false,
            "limit": null, "used": 0, "remaining": null, "windowMs": 3600000, "windowStartedAt": AT, "resetAt": AT,
            "policyCode": "quota.prompts_per_hour_exceeded"}],
    }));
    same::<usage::BillingState>(json!({
        "enabled": true, "mode": "managed", "providerId": "stub", "subscription": {
            "orgId": "acme", "providerId": "stub", "providerCustomerId": null, "providerSubscriptionId": null,
            "planKey": "team", "status": "past_due", "seats": 3, "entitlements": {}, "currentPeriodEnd": null,
            "cancelAtPeriodEnd": false, "metadata": {}, "createdAt": AT, "updatedAt": AT,
        }, "entitlements": {}, "active": false,
        "plans": [{"planKey": "team", "label": "Team", "default": true, "entitlements": {}}],
    }));
    same::<billing::CheckoutRequest>(json!({"planKey": "team", "successUrl": "https://a.test"}));
    same::<billing::CheckoutAnswer>(json!({
        "providerId": "stub", "providerSessionId": "stub_1", "url": "https://billing.local/checkout/stub_1",
        "subscription": {"planKey": "team", "status": "active"},
    }));
    same::<billing::PortalRequest>(json!({}));
    same::<billing::PortalAnswer>(
        json!({"providerId": "stub", "url": "https://billing.local/portal"}),
    );
    same::<usage::Entitlements>(json!({
        "provider": "none", "gatingEnabled": false, "billingEnabled": false, "planKey": null, "planLabel": null,
        "subscriptionStatus": null, "seats": null, "features": {"byok": true}, "limits": {"seats": null},
    }));
}

#[test]
fn requests_never_show_what_they_hold() {
    let key: byok::SetByokSecret = serde_json::from_value(json!({"apiKey": "canary"})).unwrap();
    let sso: admin::sso::UpdateSso =
        serde_json::from_value(json!({"oidcClientSecret": "canary"})).unwrap();
    let invite: admin::AcceptInvite = serde_json::from_value(json!({"token": "canary"})).unwrap();
    let issued: tokens::IssuedApiToken =
        serde_json::from_value(json!({"token": token(), "plaintext": "canary"})).unwrap();
    let shown = format!("{key:?}{sso:?}{invite:?}{issued:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(key.api_key.as_deref(), Some("canary"));
    assert_eq!(sso.oidc_client_secret, Some(Some("canary".to_owned())));
}
