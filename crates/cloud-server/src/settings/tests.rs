use super::*;
use open_cowork_config::load::load;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use proptest::prelude::*;
use secrecy::ExposeSecret;

fn read_with(file: &str, vars: &[(&str, &str)]) -> Result<Settings, Vec<Finding>> {
    let sources = Sources::new(Surface::Cloud).with(LayerKind::Base, "config", file);
    let vars = vars
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(&load(&sources).unwrap(), &vars.collect())
}

fn read(vars: &[(&str, &str)]) -> Result<Settings, Vec<Finding>> {
    let full: Vec<_> = vars
        .iter()
        .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), *value))
        .collect();
    let full: Vec<_> = full
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    read_with("{}", &full)
}

fn places(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.path.as_str()).collect()
}

#[test]
fn without_any_setting_it_serves_one_owner_on_this_machine() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.role, CloudRole::AllInOne);
    assert_eq!(settings.auth_mode, CloudAuthMode::None);
    assert_eq!(settings.listen.host, "127.0.0.1");
    assert_eq!(settings.listen.port, 8787);
    assert!(settings.listen.is_loopback());
    assert_eq!(settings.root, PathBuf::from(".open-cowork-cloud"));
    assert!(settings.records.postgres.is_none() && settings.single_org.is_none());
    assert_eq!(settings.http.shutdown_grace, Duration::from_secs(30));
    assert_eq!(settings.worker.lease_ttl, Duration::from_secs(10));
    assert_eq!(settings.retention.session_events, None);
    assert_eq!(
        settings.retention.stale_throttles,
        Some(Duration::from_secs(3600))
    );
    assert_eq!(settings.telemetry.otlp_endpoint, None);
    assert_eq!(settings.link(8787), "http://127.0.0.1:8787/");
    assert_eq!(settings.warnings, []);
}

#[test]
fn with_sign_in_it_listens_everywhere_unless_told_otherwise() {
    let settings = read(&[("AUTH_MODE", "header"), ("HEADER_AUTH_SECRET", "x")]).unwrap();
    assert_eq!(settings.listen.host, "0.0.0.0");
    assert_eq!(settings.link(1), "http://127.0.0.1:1/");
    let settings = read(&[("AUTH_MODE", "oidc"), ("HOST", "::1")]).unwrap();
    assert_eq!(settings.listen.host, "::1");
    assert_eq!(settings.link(1), "http://[::1]:1/");
    assert!(settings.listen.is_loopback());
}

#[test]
fn plain_names_of_host_and_port_win() {
    let settings = read_with(
        "{}",
        &[
            ("HOST", "localhost"),
            ("OPEN_COWORK_CLOUD_HOST", "0.0.0.0"),
            ("PORT", "0"),
            ("OPEN_COWORK_CLOUD_PORT", "9999"),
        ],
    )
    .unwrap();
    assert_eq!(
        (settings.listen.host.as_str(), settings.listen.port),
        ("localhost", 0)
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_name_and_without_its_value() {
    let found = read(&[
        ("ROLE", "king"),
        ("PORT", "http"),
        ("COOKIE_SECURE", "perhaps"),
        ("SHUTDOWN_GRACE_MS", "0"),
        ("MAX_PROMPTS_PER_HOUR", "-1"),
        ("CORS_ORIGIN", "*"),
        ("TRUSTED_PROXY_CIDRS", "10.0.0.0/8, home"),
        ("WORKER_ID", "../etc"),
        ("OTLP_HEADERS", "{\"authorization\": 7}"),
        (
            "SECRET_KEY_REF",
            "gcp-sm://projects/p/secrets/hunter2/versions/1",
        ),
        ("INTERNAL_TOKEN_REF", "env:hunter2_missing"),
        ("OBJECT_STORE_KIND", "s3"),
        ("OBJECT_STORE_BUCKET", "b"),
        ("EXECUTION_ISOLATION_MODE", "sandbox"),
        ("PROGRESS_WATCHDOG_STALLED_MS", "3000"),
        ("LOG_FORMAT", "xml"),
        ("PUBLIC_URL", "hunter3.example.org"),
    ])
    .unwrap_err();
    let mut told: Vec<_> = places(&found)
        .iter()
        .map(|name| name.replace("OPEN_COWORK_CLOUD_", ""))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "COOKIE_SECURE",
            "CORS_ORIGIN",
            "EXECUTION_ISOLATION_MODE",
            "INTERNAL_TOKEN_REF",
            "LOG_FORMAT",
            "MAX_PROMPTS_PER_HOUR",
            "OBJECT_STORE_KIND",
            "OTLP_HEADERS",
            "PORT",
            "PROGRESS_WATCHDOG_STALLED_MS",
            "PUBLIC_URL",
            "ROLE",
            "SECRET_KEY_REF",
            "SHUTDOWN_GRACE_MS",
            "TRUSTED_PROXY_CIDRS",
            "WORKER_ID",
        ]
    );
    for finding in &found {
        let text = format!("{finding:?}");
        assert!(finding.help.is_some(), "{text}");
        for value in ["king", "perhaps", "projects/p", "../etc", "hunter3"] {
            assert!(!text.contains(value), "{text}");
        }
    }
}

#[test]
fn a_secret_comes_from_its_variable_or_from_the_one_that_is_named() {
    let settings = read_with(
        r#"{"cloud": {"auth": {"mode": "oidc", "clientSecretRef": "env:CLIENT_SECRET"}}}"#,
        &[
            ("CLIENT_SECRET", "from the file's reference"),
            ("OPEN_COWORK_CLOUD_SECRET_KEY_REF", "env:THE_KEY"),
            ("THE_KEY", " the key "),
            ("OPEN_COWORK_CLOUD_SECRET_KEY_PREVIOUS", "one, two"),
            ("OPEN_COWORK_CLOUD_SECRET_KEY_PREVIOUS_REF", "OLD_KEY"),
            ("OLD_KEY", "three"),
        ],
    )
    .unwrap();
    let shown = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map(|secret| secret.expose_secret().to_owned())
    };
    let keys = &settings.keys;
    assert_eq!(shown(&keys.secret).as_deref(), Some("the key"));
    assert_eq!(
        shown(&keys.oidc_client).as_deref(),
        Some("from the file's reference")
    );
    assert_eq!(
        shown(&keys.cookie).as_deref(),
        Some("the key"),
        "it stands in"
    );
    assert!(!keys.cookie_is_own);
    let previous: Vec<_> = keys
        .previous
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(previous, ["one", "two", "three"]);
    let debug = format!("{settings:?}");
    for secret in ["the key", "from the file", "three"] {
        assert!(!debug.contains(secret));
    }
}

#[test]
fn the_password_is_not_carried_to_a_database_of_another_kind() {
    for url in ["mysql://u:hunter2@h/x", "h:5432/x", "http://u:hunter2@h"] {
        let found = read(&[("CONTROL_PLANE_URL", url)]).unwrap_err();
        assert_eq!(places(&found), ["OPEN_COWORK_CLOUD_CONTROL_PLANE_URL"]);
        assert!(!format!("{found:?}").contains("hunter2"));
    }
    for url in ["postgres://u@h/x", "postgresql://u:p@h/x"] {
        let settings = read(&[("CONTROL_PLANE_URL", url)]).unwrap();
        assert!(settings.records.postgres.is_some());
    }
}

#[test]
fn zero_means_off_where_the_table_says_so() {
    let settings = read(&[
        ("RETENTION_STALE_THROTTLE_MS", "0"),
        ("RETENTION_SESSION_EVENT_MS", "0"),
        ("LIVENESS_PORT", "0"),
        ("CONCURRENCY_RECONCILE_MS", "0"),
        ("PG_STATEMENT_TIMEOUT_MS", "0"),
        ("CONTROL_PLANE_URL", "postgresql://u:p@h/d"),
    ])
    .unwrap();
    assert_eq!(settings.retention.stale_throttles, None);
    assert_eq!(settings.retention.session_events, None);
    assert_eq!(settings.scheduler.reconcile, None);
    let postgres = settings.records.postgres.unwrap();
    assert_eq!(postgres.statement_timeout, None);
    assert_eq!(postgres.url.expose_secret(), "postgresql://u:p@h/d");
}

#[test]
fn a_name_that_nothing_reads_is_told_with_the_nearest_one() {
    let settings = read(&[("RETENTON_INTERVAL_MS", "5"), ("XYZZY", "1")]).unwrap();
    let warned: Vec<_> = settings
        .warnings
        .iter()
        .map(|finding| finding.help.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(
        warned,
        [
            "Did you mean OPEN_COWORK_CLOUD_RETENTION_INTERVAL_MS?",
            "Remove it, or look it up in docs/cloud.md.",
        ]
    );
}

#[test]
fn a_nats_server_is_named_by_itself_or_by_a_reference_and_never_shown() {
    assert!(read(&[]).unwrap().nats.is_none());
    for url in [
        "nats://me:hunter2@one:4222, nats://two",
        "tls://hunter2@one",
    ] {
        let nats = read(&[("NATS_URL", url)]).unwrap().nats.unwrap();
        assert_eq!(nats.url.expose_secret(), url);
        assert_eq!(nats.subject_prefix, "open-cowork");
        assert!(!format!("{nats:?}").contains("hunter2"));
    }
    let vars = [
        ("OPEN_COWORK_CLOUD_NATS_URL_REF", "env:WAKE"),
        ("OPEN_COWORK_CLOUD_NATS_SUBJECT_PREFIX", "acme"),
        ("WAKE", "nats://one"),
    ];
    let nats = read_with("{}", &vars).unwrap().nats.unwrap();
    assert_eq!(
        (nats.url.expose_secret(), nats.subject_prefix.as_str()),
        ("nats://one", "acme")
    );
    for url in [
        "hunter2",
        "http://hunter2",
        "nats://one,hunter2",
        "nats://me:hun,ter2@one",
    ] {
        let found = read(&[("NATS_URL", url)]).unwrap_err();
        assert_eq!(places(&found), ["OPEN_COWORK_CLOUD_NATS_URL"], "{url}");
        assert!(!format!("{found:?}").contains("ter2"));
    }
    assert_eq!(in_vain(&[("NATS_URL", "nats://one")]), ["NATS_URL"]);
}

/// Names without their prefix of what is set in vain.
fn in_vain(vars: &[(&str, &str)]) -> Vec<String> {
    let settings = read(vars).unwrap();
    let idle = settings
        .warnings
        .iter()
        .filter(|finding| finding.code == "CLOUD_ENV_IDLE");
    idle.map(|finding| finding.path.replace("OPEN_COWORK_CLOUD_", ""))
        .collect()
}

#[test]
fn what_is_set_in_vain_is_told_with_the_reason() {
    assert_eq!(
        in_vain(&[
            ("CONCURRENCY_RECONCILE_MS", "60000"),
            ("CHECKPOINTS_ENABLED", "true"),
            ("ISOLATION_IMAGE", "cowork"),
            ("OBJECT_STORE_SECRET_ACCESS_KEY", "hunter2"),
            ("PG_LOCK_TIMEOUT_MS", "5"),
            ("RETENTION_CHANNEL_DELIVERY_MS", "5"),
            ("PROGRESS_WATCHDOG_MODE", "enforce"),
            ("PROGRESS_WATCHDOG_OPERATOR_OWNER", "ana"),
        ]),
        [
            "OBJECT_STORE_SECRET_ACCESS_KEY",
            "CHECKPOINTS_ENABLED",
            "ISOLATION_IMAGE",
            "CONCURRENCY_RECONCILE_MS",
            "RETENTION_CHANNEL_DELIVERY_MS",
            "PROGRESS_WATCHDOG_MODE",
            "PG_LOCK_TIMEOUT_MS",
        ]
    );
    let settings = read(&[("OBJECT_STORE_SECRET_ACCESS_KEY", "hunter2")]).unwrap();
    assert!(!format!("{:?}", settings.warnings).contains("hunter2"));
    assert_eq!(
        in_vain(&[
            ("CONTROL_PLANE_URL", "postgresql://h/d"),
            ("PG_LOCK_TIMEOUT_MS", "5"),
            ("RETENTION_CHANNEL_DELIVERY_MS", "5"),
            ("RETENTION_CHANNEL_INTERACTION_MS", "7"),
            ("PROGRESS_WATCHDOG_MODE", "enforce"),
            ("PROGRESS_WATCHDOG_OPERATOR_OWNER", "ana"),
            ("PROGRESS_WATCHDOG_OBSERVE_EVIDENCE_REF", "report 7"),
            ("PROGRESS_WATCHDOG_ROLLBACK_MODE", "observe"),
        ]),
        [""; 0]
    );
}

#[test]
fn the_watchdog_ends_runs_only_with_evidence_an_owner_and_a_way_back() {
    let all = [
        ("PROGRESS_WATCHDOG_OPERATOR_OWNER", "ana"),
        ("PROGRESS_WATCHDOG_OBSERVE_EVIDENCE_REF", "report 7"),
        ("PROGRESS_WATCHDOG_ROLLBACK_MODE", "off"),
    ];
    assert!(read(&all).unwrap().worker.watchdog.may_enforce());
    for missing in 0..all.len() {
        let mut some = all.to_vec();
        some.remove(missing);
        assert!(!read(&some).unwrap().worker.watchdog.may_enforce());
    }
}

#[test]
fn a_number_has_digits_only_and_an_address_a_port_that_exists() {
    for (name, odd) in [
        ("PORT", "+80"),
        ("PORT", "65536"),
        ("MAX_CONNECTIONS", "+5"),
        ("OTLP_ENDPOINT", "http://127.0.0.1:99999"),
        ("CORS_ORIGIN", "https://app.example.com:99999"),
        ("CONTROL_PLANE_URL", "postgresql://u:hunter2@h:99999/d"),
        ("PUBLISHED_ADDR", "127.0.0.1:99999"),
        ("PUBLISHED_ADDR", "a/b"),
        ("WORKER_SESSION_CONCURRENCY", "33"),
    ] {
        let found = read(&[(name, odd)]).unwrap_err();
        assert_eq!(places(&found), [format!("OPEN_COWORK_CLOUD_{name}")]);
        assert!(!format!("{found:?}").contains("hunter2"));
    }
    let found = read_with("{}", &[("PORT", "+80")]).unwrap_err();
    assert_eq!(places(&found), ["PORT"]);
    for fine in [
        "127.0.0.1",
        "127.0.0.1:8787",
        "::1",
        "[::1]:80",
        "host.example",
    ] {
        assert!(read(&[("PUBLISHED_ADDR", fine)]).is_ok(), "{fine}");
    }
}

#[test]
fn a_time_beyond_all_measure_is_a_hundred_years() {
    let endless = u64::MAX.to_string();
    let settings = read(&[
        ("RETENTION_AUDIT_EVENT_MS", &endless),
        ("WORKER_POLL_MS", &endless),
    ])
    .unwrap();
    let years = Duration::from_secs(100 * 365 * 24 * 3600);
    assert_eq!(settings.retention.audit_events, Some(years));
    assert_eq!(settings.worker.poll, years);
}

#[test]
fn whoever_looks_on_has_what_was_understood() {
    let sources = Sources::new(Surface::Cloud);
    let vars = [
        ("ROLE", "king"),
        ("MAX_PROMPTS_PER_HOUR", "-1"),
        ("PORT", "http"),
        ("HOST", "0.0.0.0"),
    ];
    let vars = vars
        .iter()
        .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
    let (settings, errors) = Settings::examine(&load(&sources).unwrap(), &vars.collect());
    let settings = settings.unwrap();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert_eq!(settings.listen.host, "0.0.0.0");
    assert_eq!(settings.role, CloudRole::AllInOne, "as if it were unset");
}

#[test]
fn postgresql_is_told_our_name_unless_the_address_says_another() {
    let name = |url: &str, vars: &[(&str, &str)]| {
        let mut all = vec![("CONTROL_PLANE_URL", url)];
        all.extend(vars);
        let postgres = read(&all).unwrap().records.postgres.unwrap();
        postgres.named_url().expose_secret().to_owned()
    };
    let url = "postgresql://u:p%40x@h:5433/d?sslmode=disable";
    assert_eq!(
        name(url, &[]),
        format!("{url}&application_name=open-cowork-cloud")
    );
    assert_eq!(
        name("postgresql://h/d", &[("PG_APP_NAME", "two words")]),
        "postgresql://h/d?application_name=two+words"
    );
    let own = "postgresql://h/d?application_name=own";
    assert_eq!(name(own, &[("PG_APP_NAME", "other")]), own);
}

#[test]
fn every_variable_of_the_table_is_understood_at_its_default() {
    let vars: Vec<_> = table::VARIABLES
        .iter()
        .filter(|variable| !variable.default.is_empty())
        .map(|variable| (variable.name, variable.default))
        .collect();
    let settings = read(&vars).unwrap();
    assert_eq!(settings.warnings, []);
    assert_eq!(
        settings.link(settings.listen.port),
        "http://127.0.0.1:8787/"
    );
}

#[test]
fn a_wrong_value_of_any_kind_is_told_by_whoever_reads_it() {
    use variable::Kind;
    for variable in table::VARIABLES {
        let wrong = match variable.kind {
            Kind::Flag | Kind::Whole(..) | Kind::OrOff(_) | Kind::Choice(_) | Kind::Headers => "?!",
            Kind::Reference => "aws-sm://x",
            _ => continue,
        };
        // Nothing reads these yet: a bad one changes nothing.
        let unread = variable.name.starts_with("ISOLATION_")
            || variable.name.starts_with("STRIPE_")
            || variable.name.starts_with("ARTIFACT_DIRECT_UPLOAD_CLEANUP");
        if unread {
            continue;
        }
        let found = read(&[(variable.name, wrong)]);
        assert!(found.is_err(), "{} takes {wrong}", variable.name);
    }
}

proptest! {
    #[test]
    fn no_environment_makes_it_panic_and_no_secret_is_repeated(
        picks in proptest::collection::vec((0..table::VARIABLES.len(), "[ -~]{0,24}"), 0..12)
    ) {
        let canary = "c4n4ry-Zx9";
        let vars: Vec<_> = picks
            .iter()
            .map(|(at, value)| {
                let variable = &table::VARIABLES[*at];
                let secret = matches!(variable.kind, variable::Kind::Secret | variable::Kind::Reference);
                let value = if secret { format!("{canary}{value}") } else { value.clone() };
                (variable.name, value)
            })
            .collect();
        let vars: Vec<_> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let told = match read(&vars) {
            Ok(settings) => format!("{settings:?}"),
            Err(found) => format!("{found:?}"),
        };
        prop_assert!(!told.contains(canary), "{told}");
    }

    #[test]
    fn only_this_machine_is_loopback(a in 0_u8.., b in 0_u8.., c in 0_u8.., d in 0_u8.., port in 0_u16..) {
        let ip = std::net::Ipv4Addr::new(a, b, c, d);
        prop_assert_eq!(is_loopback(&ip.to_string()), a == 127);
        prop_assert_eq!(is_loopback(&format!("{ip}:{port}")), a == 127);
    }
}

#[test]
fn what_only_looks_like_this_machine_is_not() {
    for host in [
        "",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "0.0.0.0",
        "::",
        "[::]:80",
        "127.0.0.1@evil",
    ] {
        assert!(!is_loopback(host), "{host}");
    }
    for host in ["localhost", "LOCALHOST:80", "127.9.9.9", "[::1]:80", "::1"] {
        assert!(is_loopback(host), "{host}");
    }
}
