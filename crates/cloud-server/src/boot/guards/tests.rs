use super::*;
use open_cowork_config::load::load;
use open_cowork_config::source::{Sources, Surface};
use open_cowork_contracts::finding::Severity;

const KEY: &str = "Rk9xV2p1TmE3c0hmQ3ZLd1R5Ym1aUGxE";
const OTHER: &str = "b3VtZ2RqUXhXc0VhWmNWZlJidEhuWTVN";

fn check(vars: &[(&str, &str)]) -> Vec<Finding> {
    let loaded = load(&Sources::new(Surface::Cloud)).unwrap();
    let vars = vars
        .iter()
        .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()))
        .collect();
    let settings = Settings::read(&loaded, &vars).unwrap();
    guards(&settings, |key| key.expose_secret().len() >= KEY_BYTES)
}

fn refused(vars: &[(&str, &str)]) -> Vec<String> {
    let name = |finding: Finding| finding.path.replace("OPEN_COWORK_CLOUD_", "");
    let mut refused: Vec<_> = check(vars)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(name)
        .collect();
    refused.sort();
    refused
}

#[test]
fn nothing_stands_against_a_start_without_settings() {
    assert_eq!(check(&[]), []);
}

#[test]
fn without_sign_in_only_this_machine_may_reach_it() {
    for vars in [
        &[("HOST", "0.0.0.0")][..],
        &[("HOST", "192.168.1.5")],
        &[("PUBLIC_URL", "https://cowork.example.com")],
        &[("PUBLISHED_ADDR", "0.0.0.0")],
        // Not even the switch lets it be published.
        &[
            ("ALLOW_INSECURE_AUTH", "true"),
            ("PUBLISHED_ADDR", "192.168.1.5"),
        ],
        &[
            ("ALLOW_INSECURE_AUTH", "true"),
            ("PUBLIC_URL", "http://cowork.example.com"),
        ],
    ] {
        assert_eq!(refused(vars), ["AUTH_MODE"], "{vars:?}");
    }
    for vars in [
        &[
            ("HOST", "localhost"),
            ("PUBLIC_URL", "http://127.0.0.1:9000"),
        ][..],
        &[("HOST", "0.0.0.0"), ("ALLOW_INSECURE_AUTH", "true")],
        &[
            ("HOST", "0.0.0.0"),
            ("ALLOW_INSECURE_AUTH", "true"),
            ("PUBLISHED_ADDR", "127.0.0.1"),
        ],
    ] {
        assert_eq!(refused(vars), [""; 0], "{vars:?}");
    }
    let warned = check(&[("HOST", "0.0.0.0"), ("ALLOW_INSECURE_AUTH", "true")]);
    assert_eq!(warned.len(), 1);
}

#[test]
fn headers_of_a_proxy_are_signed_when_others_can_reach_it() {
    let header = ("AUTH_MODE", "header");
    assert_eq!(refused(&[header]), ["HEADER_AUTH_SECRET"]);
    assert_eq!(refused(&[header, ("HEADER_AUTH_SECRET", KEY)]), [""; 0]);
    let unsigned = ("HEADER_AUTH_ALLOW_UNSIGNED", "true");
    assert_eq!(
        refused(&[header, unsigned]),
        ["HEADER_AUTH_ALLOW_UNSIGNED", "HEADER_AUTH_SECRET"]
    );
    assert_eq!(refused(&[header, unsigned, ("HOST", "127.0.0.1")]), [""; 0]);
}

#[test]
fn an_openid_provider_sends_people_back_over_https() {
    let oidc = [
        ("AUTH_MODE", "oidc"),
        ("OIDC_ISSUER_URL", "https://id.example.com"),
        ("OIDC_CLIENT_ID", "cowork"),
        ("COOKIE_SECRET", KEY),
    ];
    assert_eq!(refused(&oidc), ["PUBLIC_URL"]);
    let with = |extra: &[(&'static str, &'static str)]| {
        refused(&oidc.iter().chain(extra).copied().collect::<Vec<_>>())
    };
    assert_eq!(
        with(&[("PUBLIC_URL", "https://cowork.example.com")]),
        [""; 0]
    );
    assert_eq!(
        with(&[("PUBLIC_URL", "http://cowork.example.com")]),
        ["PUBLIC_URL"]
    );
    assert_eq!(with(&[("HOST", "127.0.0.1")]), [""; 0]);
    assert_eq!(
        refused(&[("AUTH_MODE", "oidc"), ("HOST", "127.0.0.1")]),
        ["COOKIE_SECRET", "OIDC_CLIENT_ID", "OIDC_ISSUER_URL"]
    );
    assert_eq!(
        with(&[("HOST", "::1"), ("COOKIE_SECRET", "short")]),
        ["COOKIE_SECRET"]
    );
}

#[test]
fn a_token_s_usual_life_is_within_its_longest() {
    let longer = [
        ("API_TOKEN_DEFAULT_TTL_MS", "120000"),
        ("API_TOKEN_MAX_TTL_MS", "60000"),
    ];
    assert_eq!(refused(&longer), ["API_TOKEN_DEFAULT_TTL_MS"]);
}

#[test]
fn nobody_is_billed_by_a_provider_that_is_not_there() {
    let stripe = ("BILLING_PROVIDER", "stripe");
    assert_eq!(refused(&[stripe]), [""; 0], "it is off");
    assert_eq!(
        refused(&[stripe, ("BILLING_ENABLED", "true")]),
        ["BILLING_PROVIDER"]
    );
    assert_eq!(
        refused(&[
            ("ENTITLEMENTS_PROVIDER", "custom"),
            ("ENTITLEMENTS_ENABLED", "true")
        ]),
        ["ENTITLEMENTS_PROVIDER"]
    );
}

#[test]
fn who_signs_in_behind_a_proxy_that_is_not_trusted_shares_its_address() {
    let header = [("AUTH_MODE", "header"), ("HEADER_AUTH_SECRET", KEY)];
    let warned = |vars: &[(&str, &str)]| -> Vec<String> {
        check(vars).into_iter().map(|found| found.path).collect()
    };
    assert_eq!(warned(&header), ["OPEN_COWORK_CLOUD_TRUST_PROXY_HEADERS"]);
    let mut trusted = header.to_vec();
    trusted.extend([
        ("TRUST_PROXY_HEADERS", "true"),
        ("TRUSTED_PROXY_CIDRS", "10.0.0.0/8"),
    ]);
    assert_eq!(warned(&trusted), [""; 0]);
}

#[test]
fn split_roles_share_a_database() {
    for role in ["web", "worker", "scheduler"] {
        assert_eq!(refused(&[("ROLE", role)]), ["CONTROL_PLANE_URL"], "{role}");
        let url = ("CONTROL_PLANE_URL", "postgresql://h/d");
        assert_eq!(refused(&[("ROLE", role), url]), [""; 0], "{role}");
    }
}

#[test]
fn beyond_one_s_own_machine_coworkers_are_kept_apart() {
    for tier in ["self_host_beta", "private_beta"] {
        let tier = ("DEPLOYMENT_TIER", tier);
        assert_eq!(refused(&[tier]), ["EXECUTION_ISOLATION_MODE", "WORKER_ID"]);
    }
}

#[test]
fn public_production_says_everything_that_it_lacks() {
    let production = ("DEPLOYMENT_TIER", "public_production");
    assert_eq!(
        refused(&[
            production,
            ("COOKIE_SECURE", "no"),
            ("ALLOW_INSECURE_AUTH", "yes")
        ]),
        [
            "ALLOW_INSECURE_AUTH",
            "AUTH_MODE",
            "AUTO_PROCESS_COMMANDS",
            "CHECKPOINTS_ENABLED",
            "CONTROL_PLANE_URL",
            "COOKIE_SECRET",
            "COOKIE_SECURE",
            "EXECUTION_ISOLATION_MODE",
            "OBJECT_STORE_KIND",
            "PUBLIC_URL",
            "RETENTION_SESSION_EVENT_MS",
            "RETENTION_WORKSPACE_EVENT_MS",
            "ROLE",
            "RUN_MIGRATIONS",
            "SECRET_KEY",
            "SIGNUP_MODE",
            "WORKER_ID",
        ]
    );
    let web = [
        production,
        ("ROLE", "web"),
        ("CONTROL_PLANE_URL", "postgresql://h/d"),
        ("RUN_MIGRATIONS", "false"),
        ("AUTH_MODE", "oidc"),
        ("OIDC_ISSUER_URL", "https://id.example.com"),
        ("OIDC_CLIENT_ID", "cowork"),
        ("PUBLIC_URL", "https://cowork.example.com"),
        ("SIGNUP_MODE", "invite"),
        ("SECRET_KEY", KEY),
        ("COOKIE_SECRET", OTHER),
        ("AUTO_PROCESS_COMMANDS", "false"),
        ("RETENTION_SESSION_EVENT_MS", "1000"),
        ("RETENTION_WORKSPACE_EVENT_MS", "1000"),
    ];
    // This program has no adapter for an object store, and says so instead of starting.
    assert_eq!(refused(&web), ["OBJECT_STORE_KIND"]);
    let mut same = web;
    same[10].1 = KEY;
    assert_eq!(refused(&same), ["COOKIE_SECRET", "OBJECT_STORE_KIND"]);
    let mut scheduler = web;
    scheduler[1].1 = "scheduler";
    scheduler[11].1 = "true";
    assert_eq!(
        refused(&scheduler),
        ["OBJECT_STORE_KIND"],
        "it serves no browser"
    );
}
