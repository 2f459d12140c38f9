//! Every action, every kind of principal, features on and off: the table's decision against a second statement
//! of the rules, written from the class table of the cloud API (03 §7) and not from the code.

#![allow(clippy::unwrap_used, clippy::panic)] // a test file: failing is its job

use open_cowork_contracts::access::{BuiltInRole, CloudAction, DenialCode, Feature, Permission};
use open_cowork_policy::capability::{CustomRole, Features, Principal, default_features, evaluate};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Class, permissions and features of an action, as 03 §7 lists them.
fn class(action: &str) -> (&'static str, &'static str, &'static str) {
    let (area, _) = action.split_once('.').unwrap();
    match action {
        "workspace.read" | "coordination.read" | "coordination.write" | "billing.read" => {
            ("D", "", "")
        }
        "workspace.events" | "launchpad.read" => ("D", "", "chat"),
        "sessions.projectionRead" | "sessions.projectionRepair" | "operator.runtimeRead" => {
            ("OPW", "", "")
        }
        "workflows.createWebhook" | "workflows.rotateWebhookSecret" => {
            ("D", "", "workflows webhooks")
        }
        "workflows.schedulerTick" => ("WI", "", "workflows"),
        "workflows.webhookInvoke" => ("HOOK", "", "workflows webhooks"),
        "channels.directory.read" | "channels.manage.read" | "channels.manage.write" => {
            ("CA", "org:manage", "channels")
        }
        "channels.service.identity" | "channels.deliveries.read" | "channels.deliveries.write" => {
            ("CG", "org:manage", "channels")
        }
        "channels.service.artifact" => ("CS", "", "channels artifacts"),
        "coordination.watches.read" | "coordination.watches.write" => ("D", "", "channels"),
        "knowledge.read" | "knowledge.propose" => ("D", "", "knowledge"),
        "knowledge.adminWrite" => ("RA", "org:manage", "knowledge"),
        "knowledge.agentPropose" => ("AGENT", "", "knowledge"),
        "billing.write" => ("RA", "billing:manage", ""),
        "billing.webhookApply" => ("BILL", "", ""),
        "usage.read" => ("P+op", "operations:view billing:manage", ""),
        "byok.read" | "byok.write" => ("P", "policy:manage", "byok"),
        "capabilities.read" => ("D", "", "any"),
        "policy.effectiveRead" | "admin.read" => ("DA", "", ""),
        "policy.read" | "policy.write" => ("P", "policy:manage", ""),
        "apiTokens.read" => ("RA", "api_tokens:read", ""),
        "apiTokens.write" => ("RA", "api_tokens:manage", ""),
        "admin.audit.read" => ("P", "audit:read", ""),
        "admin.roles.read" | "admin.roles.write" => ("P", "roles:manage", ""),
        "admin.sso.read" | "admin.sso.write" => ("P", "sso:manage", ""),
        "admin.members.read" => ("P", "members:read org:manage members:manage", ""),
        "admin.members.write" => ("P", "org:manage members:manage", ""),
        "admin.workers.read" | "admin.workers.write" => ("RAO", "org:manage", ""),
        "operator.metricsRead" => ("OP", "operations:view", ""),
        "operator.diagnosticsRead" => ("OP", "diagnostics:view", ""),
        "worker.heartbeat" => ("WK", "", ""),
        _ => match area {
            "projectSources" | "sessions" => ("D", "", "chat"),
            "artifacts" => ("D", "", "artifacts"),
            "workflows" => ("D", "", "workflows"),
            "channels" => ("CS", "", "channels"),
            "settings" => ("D", "", "settings"),
            "threads" => ("D", "", "threadIndex"),
            other => panic!("{other} is not in the class table"),
        },
    }
}

/// A principal in the words of the specification.
#[derive(Clone, Debug)]
struct Who {
    source: &'static str,
    scopes: Vec<&'static str>,
    role: Option<&'static str>,
    custom: CustomRole,
    permissions: Option<Vec<&'static str>>,
    binding: bool,
}

impl Who {
    fn principal(&self) -> Principal {
        let permissions = self.permissions.as_ref().map(|list| {
            list.iter()
                .map(|name| Permission::parse(name).unwrap())
                .collect()
        });
        Principal::new(self.source, &self.scopes).with_account(
            self.role.map(|name| BuiltInRole::parse(name).unwrap()),
            self.custom,
            permissions,
        )
    }
}

/// The second statement: the denial code, or nothing.
fn expected(action: &str, who: &Who, features: &Features) -> Option<&'static str> {
    let (class, permissions, needed) = class(action);
    let on = |name: &str| features.get(name).copied().unwrap_or(false);
    if needed == "any" {
        if !on("agents") && !on("customSkills") && !on("customMcps") {
            return Some("capabilities.disabled");
        }
    } else {
        for feature in needed.split_whitespace() {
            if !on(feature) {
                return Some(match feature {
                    "chat" => "chat.disabled",
                    "artifacts" => "artifacts.disabled",
                    "threadIndex" => "thread_index.disabled",
                    "workflows" => "workflows.disabled",
                    "webhooks" => "webhooks.disabled",
                    "channels" => "channels.disabled",
                    "settings" => "settings.disabled",
                    "knowledge" => "knowledge.disabled",
                    "byok" => "byok.disabled",
                    other => panic!("{other} has no code"),
                });
            }
        }
    }
    let holds = permissions.split_whitespace().any(|name| {
        who.permissions
            .as_ref()
            .is_some_and(|held| held.contains(&name))
    });
    let senior = matches!(who.role, Some("owner" | "admin"));
    let scope = |name: &str| who.scopes.contains(&name);
    let scopes_known = !who.scopes.is_empty()
        && who
            .scopes
            .iter()
            .all(|s| ["desktop", "gateway", "admin", "operator", "worker-internal"].contains(s));
    let passes = match who.source {
        "user" | "header" => {
            who.custom != CustomRole::Invalid
                && match class {
                    "D" | "DA" => true,
                    "RA" | "RAO" | "CA" | "CG" if who.custom == CustomRole::None => senior,
                    "RA" | "RAO" | "CA" | "CG" | "P" | "P+op" => holds,
                    _ => false,
                }
        }
        "local" => !matches!(class, "WI" | "WK" | "HOOK" | "AGENT" | "BILL"),
        "worker" => class == "WK",
        "signed_workflow_webhook" => class == "HOOK",
        "signed_knowledge_agent" => class == "AGENT",
        "verified_billing_webhook" => class == "BILL",
        "api_token" if scopes_known => {
            let holder = match who.custom {
                CustomRole::None => senior,
                CustomRole::Assigned => holds,
                CustomRole::Invalid => false,
            };
            match class {
                "D" => scope("desktop"),
                "DA" => scope("desktop") || scope("admin"),
                "RA" | "P" => scope("admin") && holder,
                "RAO" | "P+op" => (scope("admin") || scope("operator")) && holder,
                "CA" => (scope("admin") || scope("desktop")) && holder,
                "CG" => (scope("admin") || scope("gateway")) && holder,
                "CS" => scope("gateway") && holder,
                "OP" => scope("operator") && holder,
                "OPW" => scope("worker-internal") || (scope("operator") && holder),
                "WI" => scope("worker-internal"),
                _ => false,
            }
        }
        _ => false,
    };
    if !passes {
        let service = match who.source {
            "worker"
            | "signed_workflow_webhook"
            | "signed_knowledge_agent"
            | "verified_billing_webhook" => true,
            "api_token" => scopes_known,
            _ => false,
        };
        return Some(if service {
            "authorization.scope_required"
        } else {
            "authorization.principal_denied"
        });
    }
    let waived = class == "CG" && scope("admin");
    let needs_proof =
        matches!(class, "CG" | "CS") && who.source == "api_token" && scope("gateway") && !waived;
    if needs_proof && !who.binding {
        return Some("channels.binding_scope_required");
    }
    None
}

const SCOPES: [&str; 5] = ["desktop", "gateway", "admin", "operator", "worker-internal"];

/// Built-in role, custom role, permissions.
type Account = (Option<&'static str>, CustomRole, Option<Vec<&'static str>>);

/// Accounts: roles with their own permissions, and custom roles with none, each one, and unresolved ones.
fn accounts() -> Vec<Account> {
    let mut accounts = vec![(None, CustomRole::None, None)];
    for role in BuiltInRole::ALL {
        let own = open_cowork_policy::role::permissions_of(*role);
        let own = own.iter().map(|permission| permission.as_str()).collect();
        accounts.push((Some(role.as_str()), CustomRole::None, Some(own)));
        accounts.push((Some(role.as_str()), CustomRole::None, None));
        accounts.push((Some(role.as_str()), CustomRole::Assigned, None));
        accounts.push((
            Some(role.as_str()),
            CustomRole::Invalid,
            Some(vec!["org:manage"]),
        ));
    }
    for permission in Permission::ALL {
        accounts.push((
            Some("member"),
            CustomRole::Assigned,
            Some(vec![permission.as_str()]),
        ));
        accounts.push((
            Some("owner"),
            CustomRole::Assigned,
            Some(vec![permission.as_str()]),
        ));
    }
    accounts
}

fn everybody() -> Vec<Who> {
    let mut all = Vec::new();
    let mut sources: Vec<(&'static str, Vec<&'static str>)> = [
        "user",
        "header",
        "local",
        "worker",
        "signed_workflow_webhook",
        "signed_knowledge_agent",
        "verified_billing_webhook",
        "robot",
        "",
    ]
    .map(|source| (source, vec![]))
    .into();
    for bits in 0..32_u32 {
        let scopes = (0..5)
            .filter(|i| bits & (1 << i) != 0)
            .map(|i| SCOPES[i])
            .collect();
        sources.push(("api_token", scopes));
    }
    sources.push(("api_token", vec!["admin", "superuser"]));
    for (source, scopes) in sources {
        for (role, custom, permissions) in accounts() {
            for binding in [false, true] {
                all.push(Who {
                    source,
                    scopes: scopes.clone(),
                    role,
                    custom,
                    permissions: permissions.clone(),
                    binding,
                });
            }
        }
    }
    all
}

fn all_on() -> Features {
    Feature::ALL
        .iter()
        .map(|feature| (feature.as_str().to_owned(), true))
        .collect()
}

#[test]
fn every_decision_is_the_one_that_the_specification_states() {
    let everybody = everybody();
    let mut seen: BTreeSet<DenialCode> = BTreeSet::new();
    let mut profiles = vec![all_on(), default_features(), Features::new()];
    for feature in Feature::ALL {
        let mut off = all_on();
        off.insert(feature.as_str().to_owned(), false);
        profiles.push(off);
    }
    for (number, features) in profiles.iter().enumerate() {
        // All principals once; for the other profiles every 37th, which meets all classes.
        for who in everybody.iter().step_by(if number == 0 { 1 } else { 37 }) {
            let principal = who.principal();
            for action in CloudAction::ALL {
                let decision = evaluate(Some(*action), &principal, features, who.binding);
                let code = decision.denial.map(DenialCode::as_str);
                assert_eq!(
                    code,
                    expected(action.as_str(), who, features),
                    "{action} {who:?} {features:?}"
                );
                seen.extend(decision.denial);
            }
        }
    }
    let unknown = evaluate(None, &everybody[0].principal(), &profiles[0], true);
    seen.extend(unknown.denial);
    let all: BTreeSet<DenialCode> = DenialCode::ALL.iter().copied().collect();
    assert_eq!(seen, all, "every code can be reached");
}

fn several_scopes() -> Vec<Who> {
    let mut all = everybody();
    all.retain(|who| who.scopes.len() > 1 && !who.scopes.contains(&"superuser"));
    all
}

fn who() -> impl Strategy<Value = Who> {
    prop::sample::select(everybody())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn taking_something_away_never_allows_more(
        who in who(),
        action in prop::sample::select(CloudAction::ALL),
        off in prop::sample::select(Feature::ALL),
        features in prop::collection::btree_map(prop::sample::select(Feature::ALL).prop_map(|f| f.as_str().to_owned()), any::<bool>(), 0..13),
        drop in 0_usize..5,
    ) {
        let allowed = |who: &Who, features: &Features| {
            evaluate(Some(action), &who.principal(), features, who.binding).allowed()
        };
        for features in [features, all_on()] {
            let before = allowed(&who, &features);
            let mut fewer = features.clone();
            fewer.insert(off.as_str().to_owned(), false);
            let mut weaker = vec![
                (who.clone(), fewer),
                (Who { role: None, ..who.clone() }, features.clone()),
                (Who { permissions: None, ..who.clone() }, features.clone()),
                (Who { custom: CustomRole::Invalid, ..who.clone() }, features.clone()),
            ];
            if let Some(permissions) = who.permissions.as_ref().filter(|list| !list.is_empty()) {
                let mut permissions = permissions.clone();
                permissions.remove(drop % permissions.len());
                weaker.push((Who { permissions: Some(permissions), ..who.clone() }, features.clone()));
            }
            // Proof counts only for gateways; without it nothing more is allowed.
            weaker.push((Who { binding: false, ..who.clone() }, features.clone()));
            for (weaker, features) in weaker {
                prop_assert!(before || !allowed(&weaker, &features), "{:?} {:?}", weaker, features);
            }
        }
    }

    #[test]
    fn dropping_a_scope_never_allows_more(
        who in prop::sample::select(several_scopes()),
        action in prop::sample::select(CloudAction::ALL),
        drop in 0_usize..5,
    ) {
        let mut fewer = who.clone();
        fewer.scopes.remove(drop % fewer.scopes.len());
        let allowed = |who: &Who| evaluate(Some(action), &who.principal(), &all_on(), who.binding).allowed();
        // A wider token may need a proof that a narrower one doesn't; with the proof, more scopes are never less.
        let proven = Who { binding: true, ..who };
        let fewer = Who { binding: true, ..fewer };
        prop_assert!(allowed(&proven) || !allowed(&fewer));
    }
}
