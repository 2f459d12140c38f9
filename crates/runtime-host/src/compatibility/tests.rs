use super::*;
use crate::probe::ROUTES;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn data(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("compat")
        .join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn this_repository_keeps_what_it_relies_on() {
    let report = prove(&root(), ProofOptions::default());
    assert_eq!(report.issues, [], "{:#?}", report.issues);
    assert!(report.ok);
    assert_eq!(report.opencode_version.as_deref(), Some(TESTED_VERSION));
    assert_eq!(report.unknown_count + report.private_assumption_count, 0);
    assert_eq!(report.checked_categories, CATEGORIES);
}

#[test]
fn the_data_files_follow_their_schemas_and_the_types_lose_nothing() {
    for (file, schema) in [
        ("registry.json", "registry.schema.json"),
        ("runtime-contract.json", "runtime-contract.schema.json"),
    ] {
        let validator = jsonschema::draft202012::new(&data(schema)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&data(file))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
    for (file, typed) in [
        ("registry.json", serde_json::to_value(registry()).unwrap()),
        (
            "runtime-contract.json",
            serde_json::to_value(runtime_contract()).unwrap(),
        ),
    ] {
        let mut raw = data(file);
        raw.as_object_mut().unwrap().shift_remove("$schema");
        assert_eq!(typed, raw);
    }
}

#[test]
fn the_registry_is_the_pinned_one() {
    let ids = |status: Option<&str>| {
        let rows = registry().assumptions.iter();
        let mut ids: Vec<&str> = rows
            .filter(|row| status.is_none_or(|status| row.status == status))
            .map(|row| row.id.as_str())
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(
        data("registry-fixture.json"),
        json!({
            "formatVersion": 1,
            "requiredCategories": REQUIRED_CATEGORIES,
            "assumptionIds": ids(None),
            "blockedPolicyIds": ids(Some("blocked")),
        })
    );
}

#[test]
fn the_contract_names_exactly_the_routes_that_the_probe_asks_for() {
    let routes: Vec<String> = runtime_contract()
        .http_routes
        .iter()
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    assert_eq!(routes, ROUTES);
}

#[test]
fn no_route_of_the_second_generation_is_called() {
    assert!(ROUTES.iter().all(|route| !route.contains("/api")));
    let sources = root().join("crates/opencode/src");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("\"/api"), "{}", path.display());
    }
}

#[test]
fn a_report_names_the_real_version() {
    let report = report();
    assert!(
        report
            .assumptions
            .iter()
            .all(|row| row.source_version == TESTED_VERSION)
    );
    assert_eq!(report.assumptions.len(), registry().assumptions.len());
}

/// A small tree in which a small registry and contract hold.
fn small() -> (tempfile::TempDir, Registry, RuntimeContract) {
    let tree = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(tree.path().join(name), text).unwrap();
    write("opencode.version", "1.2.3\n");
    write("opencode.lock.json", r#"{"version":"1.2.3"}"#);
    write(
        "test.rs",
        "#[test] fn it_holds() {} const KEY: &str = \"provider\"; fn helper() {}\n\
         #[test] #[ignore] fn it_is_ignored() {}\n// #[test] fn it_is_a_comment() {}\n",
    );
    write(
        "stream.jsonl",
        "{\"payload\":{\"type\":\"session.idle\"}}\n{\"type\":\"plain\"}\n",
    );
    write("broken.jsonl", "{\n");
    let tests = vec!["test.rs::it_holds".to_owned()];
    let assumptions: Vec<Assumption> = REQUIRED_CATEGORIES
        .iter()
        .map(|category| Assumption {
            id: format!("about-{category}"),
            category: (*category).to_owned(),
            status: "supported".into(),
            owner: "me".into(),
            source_version: "bundled".into(),
            reason: "because".into(),
            tests: tests.clone(),
            removal_condition: None,
            product_modes: vec!["desktop-local".into()],
        })
        .collect();
    let contract = RuntimeContract {
        format_version: 1,
        opencode_version: "1.2.3".into(),
        required_assumption_ids: assumptions.iter().map(|row| row.id.clone()).collect(),
        runtime_config: vec![ConfigKey {
            id: "config".into(),
            owner: "me".into(),
            key: "provider".into(),
            evidence: "test.rs".into(),
            tests: tests.clone(),
        }],
        sdk_events: vec![StreamEvents {
            id: "events".into(),
            owner: "me".into(),
            fixture_path: "stream.jsonl".into(),
            events: vec!["session.idle".into()],
            tests: tests.clone(),
        }],
        http_routes: vec![HttpRoute {
            id: "route".into(),
            owner: "me".into(),
            method: "GET".into(),
            path: "/x".into(),
            tests: tests.clone(),
        }],
        client_methods: vec![ClientMethod {
            id: "method".into(),
            owner: "me".into(),
            method: "it_holds".into(),
            evidence: "test.rs".into(),
            tests,
        }],
    };
    let registry = Registry {
        format_version: 1,
        assumptions,
    };
    (tree, registry, contract)
}

type Breakage = fn(&Path, &mut Registry, &mut RuntimeContract);

/// Each code, and the one thing that must be wrong for exactly it to appear.
const BROKEN: &[(&str, Breakage)] = &[
    ("opencode_version_missing", |tree, _, _| {
        for file in ["opencode.version", "opencode.lock.json"] {
            std::fs::remove_file(tree.join(file)).unwrap();
        }
    }),
    ("compatibility_category_missing", |_, registry, _| {
        registry.assumptions[0].category = "event".into();
    }),
    ("compatibility_registry_empty", |_, registry, contract| {
        registry.assumptions.clear();
        contract.required_assumption_ids.clear();
    }),
    ("compatibility_id_invalid", |_, registry, contract| {
        registry.assumptions[0].id = "Not-Kebab".into();
        contract.required_assumption_ids[0] = "Not-Kebab".into();
    }),
    ("compatibility_id_duplicate", |_, registry, _| {
        let twin = registry.assumptions[0].clone();
        registry.assumptions.push(twin);
    }),
    ("compatibility_status_invalid", |_, registry, _| {
        registry.assumptions[0].status = "fine".into();
    }),
    ("compatibility_status_invalid", |_, registry, _| {
        registry.assumptions[0].status = String::new();
    }),
    ("compatibility_unknown_blocked", |_, registry, _| {
        registry.assumptions[0].status = "unknown".into();
    }),
    (
        "compatibility_private_assumption_blocked",
        |_, registry, _| {
            registry.assumptions[0].status = "private-assumption".into();
        },
    ),
    (
        "compatibility_removal_condition_missing",
        |_, registry, _| {
            registry.assumptions[0].status = "shim".into();
        },
    ),
    (
        "compatibility_removal_condition_missing",
        |_, registry, _| {
            registry.assumptions[0].status = "blocked".into();
            registry.assumptions[0].removal_condition = Some(" ".into());
        },
    ),
    ("compatibility_owner_missing", |_, registry, _| {
        registry.assumptions[0].owner = " ".into();
    }),
    ("compatibility_reason_missing", |_, registry, _| {
        registry.assumptions[0].reason = String::new();
    }),
    ("compatibility_product_modes_missing", |_, registry, _| {
        registry.assumptions[0].product_modes.clear();
    }),
    ("compatibility_tests_missing", |_, registry, _| {
        registry.assumptions[0].tests.clear();
    }),
    ("compatibility_test_path_invalid", |_, registry, _| {
        registry.assumptions[0].tests = vec!["../test.rs".into()];
    }),
    ("compatibility_test_path_invalid", |_, registry, _| {
        registry.assumptions[0].tests = vec!["/etc/passwd".into()];
    }),
    ("compatibility_test_missing", |_, registry, _| {
        registry.assumptions[0].tests = vec!["gone.rs".into()];
    }),
    ("compatibility_test_missing", |_, registry, _| {
        registry.assumptions[0].tests = vec!["test.rs::it_is_gone".into()];
    }),
    // What is no test, doesn't run or names none proves nothing.
    ("compatibility_test_missing", |_, registry, _| {
        registry.assumptions[0].tests = vec!["test.rs".into()];
    }),
    ("compatibility_test_missing", |_, registry, _| {
        registry.assumptions[0].tests = vec!["test.rs::helper".into()];
    }),
    ("compatibility_test_missing", |_, registry, _| {
        registry.assumptions[0].tests = vec!["test.rs::it_is_ignored".into()];
    }),
    ("compatibility_test_missing", |_, registry, _| {
        registry.assumptions[0].tests = vec!["test.rs::it_is_a_comment".into()];
    }),
    ("compatibility_registry_empty", |_, registry, _| {
        registry.format_version = 2;
    }),
    ("compatibility_product_modes_missing", |_, registry, _| {
        registry.assumptions[0].product_modes = vec!["moon".into()];
    }),
    ("compatibility_test_missing", |tree, registry, _| {
        std::os::unix::fs::symlink("/etc/hostname", tree.join("link.rs")).unwrap();
        registry.assumptions[0].tests = vec!["link.rs".into()];
    }),
    ("compatibility_source_version_drift", |_, registry, _| {
        registry.assumptions[0].source_version = "1.2.2".into();
    }),
    ("compatibility_source_version_drift", |tree, _, _| {
        std::fs::write(tree.join("opencode.lock.json"), r#"{"version":"1.2.4"}"#).unwrap();
    }),
    ("runtime_contract_format_invalid", |_, _, contract| {
        contract.format_version = 2
    }),
    ("runtime_contract_version_drift", |_, _, contract| {
        contract.opencode_version = "1.2.4".into();
    }),
    ("runtime_contract_assumption_missing", |_, _, contract| {
        contract.required_assumption_ids.pop();
    }),
    ("runtime_contract_assumption_unknown", |_, _, contract| {
        contract.required_assumption_ids.push("stranger".into());
    }),
    ("runtime_contract_section_empty", |_, _, contract| {
        contract.http_routes.clear()
    }),
    ("runtime_contract_config_key_invalid", |_, _, contract| {
        contract.runtime_config[0].key = "teleport".into();
    }),
    ("runtime_contract_route_invalid", |_, _, contract| {
        contract.http_routes[0].method = "FETCH".into();
    }),
    ("runtime_contract_route_invalid", |_, _, contract| {
        contract.http_routes[0].path = "x".into();
    }),
    (
        "runtime_contract_client_method_invalid",
        |_, _, contract| {
            contract.client_methods[0].method = "it_is_a_comment".into();
        },
    ),
    ("runtime_contract_id_invalid", |_, _, contract| {
        contract.http_routes[0].id = "a--b".into();
    }),
    ("runtime_contract_id_duplicate", |_, _, contract| {
        contract.http_routes[0].id = "method".into();
    }),
    ("runtime_contract_owner_missing", |_, _, contract| {
        contract.http_routes[0].owner.clear();
    }),
    ("runtime_contract_tests_missing", |_, _, contract| {
        contract.http_routes[0].tests.clear();
    }),
    ("runtime_contract_test_path_invalid", |_, _, contract| {
        contract.http_routes[0].tests = vec!["a/../test.rs".into()];
    }),
    ("runtime_contract_test_missing", |_, _, contract| {
        contract.http_routes[0].tests = vec!["gone.rs".into()];
    }),
    (
        "runtime_contract_event_fixture_path_invalid",
        |_, _, contract| {
            contract.sdk_events[0].fixture_path = "../stream.jsonl".into();
        },
    ),
    (
        "runtime_contract_event_fixture_missing",
        |_, _, contract| {
            contract.sdk_events[0].fixture_path = "gone.jsonl".into();
        },
    ),
    (
        "runtime_contract_event_fixture_parse_failed",
        |_, _, contract| {
            contract.sdk_events[0].fixture_path = "broken.jsonl".into();
        },
    ),
    ("runtime_contract_event_missing", |_, _, contract| {
        contract.sdk_events[0].events = vec!["session.error".into()];
    }),
    ("runtime_contract_event_missing", |_, _, contract| {
        contract.sdk_events[0].events.clear()
    }),
];

#[test]
fn the_small_tree_holds() {
    let (tree, registry, contract) = small();
    let report = prove_with(&registry, &contract, tree.path(), ProofOptions::default());
    assert!(report.ok, "{:?}", report.issues);
    assert_eq!(
        (report.assumption_count, report.runtime_contract_count),
        (5, 4)
    );
}

#[test]
fn each_breakage_gives_exactly_its_code() {
    for (number, (code, breakage)) in BROKEN.iter().enumerate() {
        let (tree, mut registry, mut contract) = small();
        breakage(tree.path(), &mut registry, &mut contract);
        let report = prove_with(&registry, &contract, tree.path(), ProofOptions::default());
        assert!(!report.ok, "{number}: {code}");
        let codes: Vec<&str> = report
            .issues
            .iter()
            .map(|issue| issue.code.as_str())
            .collect();
        assert!(codes.contains(code), "{number}: {code}: {codes:?}");
        let mut distinct = codes.clone();
        distinct.dedup();
        assert_eq!(distinct, [*code], "{number}: {:?}", report.issues);
    }
}

#[test]
fn what_the_caller_lets_pass_only_warns() {
    for (code, options) in [
        (
            "opencode_version_missing",
            ProofOptions {
                allow_missing_runtime_version: true,
                ..ProofOptions::default()
            },
        ),
        (
            "compatibility_private_assumption_blocked",
            ProofOptions {
                allow_private_assumptions: true,
                ..ProofOptions::default()
            },
        ),
    ] {
        let (tree, mut registry, mut contract) = small();
        let (_, breakage) = BROKEN.iter().find(|(listed, _)| *listed == code).unwrap();
        breakage(tree.path(), &mut registry, &mut contract);
        let report = prove_with(&registry, &contract, tree.path(), options);
        assert!(report.ok, "{:?}", report.issues);
        assert_eq!(report.issues.len(), 1);
        assert_eq!(report.issues[0].severity, IssueSeverity::Warning);
    }
}

/// A registry that can't be read parses to nothing, and nothing proves nothing.
#[test]
fn an_empty_folder_proves_nothing() {
    let empty = tempfile::tempdir().unwrap();
    let report = prove(empty.path(), ProofOptions::default());
    assert!(!report.ok);
    let report = prove_with(
        &Registry::default(),
        &RuntimeContract::default(),
        &root(),
        ProofOptions::default(),
    );
    assert!(!report.ok);
}
