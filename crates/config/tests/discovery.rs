//! Finding the layers: names, order, one file per layer, named sources that must exist (02 §2.1, §7).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too

use open_cowork_config::load::load;
use open_cowork_config::placeholder::Inserted;
use open_cowork_config::source::{
    Environment, LayerKind, Sources, Surface, discover, insert, option_files,
};
use open_cowork_contracts::finding::Finding;
use std::collections::BTreeMap;
use std::path::Path;

struct Machine {
    root: tempfile::TempDir,
    environment: Environment,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let environment = Environment {
            vars: BTreeMap::new(),
            working_directory: root.path().join("cwd"),
            home: Some(root.path().join("home")),
            packaged: None,
            bundled: None,
            managed: Some(root.path().join("etc")),
            named: Vec::new(),
        };
        std::fs::create_dir(root.path().join("cwd")).unwrap();
        Machine { root, environment }
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// `~` in the value is the machine's root.
    fn var(mut self, name: &str, value: &str) -> Self {
        let value = value.replace('~', &self.root.path().display().to_string());
        self.environment.vars.insert(name.to_owned(), value);
        self
    }

    fn discover(&self, surface: Surface) -> Result<Sources, Vec<Finding>> {
        discover(&self.environment, surface)
    }

    /// The layers as `kind path`, paths below the machine's root.
    fn layers(&self, surface: Surface) -> Vec<(LayerKind, String)> {
        let sources = self
            .discover(surface)
            .unwrap_or_else(|findings| panic!("{findings:#?}"));
        let below = |file: &str| {
            Path::new(file)
                .strip_prefix(self.root.path())
                .map_or(file.to_owned(), |path| path.display().to_string())
        };
        sources
            .layers
            .iter()
            .map(|layer| (layer.kind, below(&layer.file)))
            .collect()
    }
}

fn all_layers() -> Machine {
    Machine::new()
        .file(
            "cwd/open-cowork.config.json",
            r#"{"branding": {"dataDirName": "base"}}"#,
        )
        .file("path.json", "{}")
        .file(
            "dir/config.json",
            r#"{"branding": {"dataDirName": "sample"}}"#,
        )
        .file("dir/open-cowork.config.json", "{}")
        .file("root/config.json", "{}")
        .file(
            "home/.config/sample/config.json",
            r#"{"branding": {"dataDirName": "elsewhere"}}"#,
        )
        .file("etc/sample/config.json", "{}")
        .file("etc/elsewhere/config.json", "{}")
        .file("named.json", "{}")
        .var("OPEN_COWORK_CONFIG_PATH", " ~/path.json ")
        .var("OPEN_COWORK_CONFIG_DIR", "~/dir")
        .var("OPEN_COWORK_DOWNSTREAM_ROOT", "~/root")
}

#[test]
fn layers_are_found_in_order_and_a_users_file_cannot_redirect_the_managed_one() {
    let mut machine = all_layers();
    machine
        .environment
        .named
        .push(machine.root.path().join("named.json"));
    assert_eq!(
        machine.layers(Surface::Desktop),
        [
            (LayerKind::Base, "cwd/open-cowork.config.json".to_owned()),
            (LayerKind::ConfigPath, "path.json".to_owned()),
            (LayerKind::ConfigDirectory, "dir/config.json".to_owned()),
            (
                LayerKind::User,
                "home/.config/sample/config.json".to_owned()
            ),
            (LayerKind::CommandLine, "named.json".to_owned()),
            (LayerKind::Managed, "etc/sample/config.json".to_owned()),
        ]
    );
}

#[test]
fn the_gateway_puts_the_path_over_the_directory_and_has_two_more_layers() {
    let machine = all_layers()
        .file("gateway.jsonc", "{}")
        .var("OPEN_COWORK_GATEWAY_CONFIG", "~/gateway.json")
        .var(
            "OPEN_COWORK_GATEWAY_CONFIG_JSON",
            r#"{"gateway": {"server": {"port": 1}}}"#,
        );
    let kinds: Vec<_> = machine
        .layers(Surface::Gateway)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    use LayerKind::*;
    assert_eq!(
        kinds,
        [
            Base,
            ConfigDirectory,
            ConfigPath,
            User,
            Managed,
            GatewayFile,
            GatewayInline
        ]
    );
    assert_eq!(
        load(&machine.discover(Surface::Gateway).unwrap())
            .unwrap()
            .value()["gateway"]["server"]["port"],
        1
    );
}

#[test]
fn jsonc_comes_before_json_and_what_it_hides_is_told() {
    let machine = Machine::new()
        .file("a.json", "{}")
        .file("a.jsonc", "// x\n{}")
        .var("OPEN_COWORK_CONFIG_PATH", "~/a.json");
    assert_eq!(
        machine.layers(Surface::Desktop),
        [(LayerKind::ConfigPath, "a.jsonc".to_owned())]
    );
    assert_eq!(
        machine.discover(Surface::Desktop).unwrap().warnings[0].code,
        "CONFIG_SOURCE_SHADOWED"
    );
}

#[test]
fn a_path_without_extension_gets_both_and_the_literal_one_is_never_read() {
    let machine = Machine::new()
        .file("conf", "broken")
        .file("conf.json", "{}")
        .var("OPEN_COWORK_CONFIG_PATH", "~/conf");
    assert_eq!(
        machine.layers(Surface::Desktop),
        [(LayerKind::ConfigPath, "conf.json".to_owned())]
    );
}

#[test]
fn a_compiled_in_base_gives_way_to_a_file() {
    let mut machine = Machine::new();
    machine.environment.bundled = Some(r#"{"branding": {"dataDirName": "sample"}}"#.to_owned());
    let machine = machine.file("etc/sample/config.json", "{}");
    assert_eq!(
        machine.layers(Surface::Desktop),
        [
            (LayerKind::Base, "bundled config".to_owned()),
            (LayerKind::Managed, "etc/sample/config.json".to_owned()),
        ]
    );
    let machine = machine.file("cwd/open-cowork.config.json", "{}");
    assert_eq!(
        machine.layers(Surface::Desktop),
        [(LayerKind::Base, "cwd/open-cowork.config.json".to_owned())]
    );
}

#[test]
fn the_same_file_is_one_layer() {
    let machine = Machine::new()
        .file("dir/config.json", "{}")
        .var("OPEN_COWORK_CONFIG_PATH", "~/dir/config.json")
        .var("OPEN_COWORK_CONFIG_DIR", "~/dir");
    assert_eq!(
        machine.layers(Surface::Desktop),
        [(LayerKind::ConfigPath, "dir/config.json".to_owned())]
    );
}

#[test]
fn everything_that_is_named_but_missing_is_told_at_once() {
    let mut machine = Machine::new()
        .file("empty/readme", "")
        .var("OPEN_COWORK_CONFIG_PATH", "~/gone.json")
        .var("OPEN_COWORK_CONFIG_DIR", "~/empty")
        .var("OPEN_COWORK_DOWNSTREAM_ROOT", "~/nowhere")
        .var("OPEN_COWORK_GATEWAY_CONFIG", "~/gateway.json");
    machine.environment.named.push("named.json".into());
    let findings = machine.discover(Surface::Gateway).unwrap_err();
    let codes: Vec<_> = findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert_eq!(codes, ["CONFIG_SOURCE_MISSING"; 5]);
    for name in [
        "OPEN_COWORK_CONFIG_PATH",
        "OPEN_COWORK_CONFIG_DIR",
        "OPEN_COWORK_DOWNSTREAM_ROOT",
        "OPEN_COWORK_GATEWAY_CONFIG",
        "named.json",
    ] {
        assert!(
            findings
                .iter()
                .any(|finding| finding.message.contains(name)),
            "{name}: {findings:#?}"
        );
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let machine = Machine::new()
        .var("OPEN_COWORK_CONFIG_PATH", "  ")
        .var("OPEN_COWORK_CONFIG_DIR", "");
    assert_eq!(machine.layers(Surface::Desktop), []);
}

#[test]
fn a_downstream_root_needs_no_configuration_of_its_own() {
    let machine = Machine::new()
        .file("root/skills/x", "")
        .var("OPEN_COWORK_DOWNSTREAM_ROOT", "~/root");
    assert_eq!(machine.layers(Surface::Desktop), []);
}

#[test]
fn a_data_folder_name_cannot_lead_elsewhere() {
    let machine = Machine::new().file(
        "cwd/open-cowork.config.json",
        r#"{"branding": {"dataDirName": "../../etc"}}"#,
    );
    let findings = machine.discover(Surface::Desktop).unwrap_err();
    assert_eq!(findings[0].code, "CONFIG_SOURCE_DATA_DIR");
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_refused() {
    let big = " ".repeat(4 * 1024 * 1024 + 1);
    let machine = Machine::new()
        .file("big.json", &big)
        .var("OPEN_COWORK_CONFIG_PATH", "~/big.json");
    let findings = machine.discover(Surface::Desktop).unwrap_err();
    assert_eq!(findings[0].code, "CONFIG_SOURCE_UNREADABLE");
    assert!(findings[0].message.ends_with("is too large."));

    let machine = Machine::new().var("OPEN_COWORK_CONFIG_PATH", "~/bytes.json");
    std::fs::write(machine.root.path().join("bytes.json"), [0xff, 0xfe, 0x00]).unwrap();
    let findings = machine.discover(Surface::Desktop).unwrap_err();
    assert!(findings[0].message.ends_with("is no UTF-8 text."));
}

#[test]
fn inserted_files_are_read_relative_to_the_document_and_bounded() {
    let machine = Machine::new()
        .file(
            "dir/config.json",
            r#"{"branding": {"name": "{file:./n.txt}", "home": {"greeting": "{file:~/g.txt}"}}}"#,
        )
        .file("dir/n.txt", "Name\n")
        .file("home/g.txt", "Hello")
        .var("OPEN_COWORK_CONFIG_DIR", "~/dir");
    let loaded = load(&machine.discover(Surface::Desktop).unwrap()).unwrap();
    assert_eq!(loaded.value()["branding"]["name"], "Name\n");
    assert_eq!(loaded.value()["branding"]["home"]["greeting"], "Hello");

    let machine = machine.file("dir/n.txt", &"x".repeat(64 * 1024 + 1));
    std::fs::remove_file(machine.root.path().join("home/g.txt")).unwrap();
    std::fs::create_dir(machine.root.path().join("home/g.txt")).unwrap();
    let findings = load(&machine.discover(Surface::Desktop).unwrap()).unwrap_err();
    let told: Vec<_> = findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "The file of `{file:./n.txt}` is too large.",
            "The file of `{file:~/g.txt}` is a directory."
        ]
    );
}

#[test]
fn files_of_provider_options_are_found_beside_their_document_and_read_when_asked() {
    let machine = Machine::new()
        .file(
            "dir/config.json",
            r#"{"allowedEnvPlaceholders": ["WHICH"], "providers": {"custom": {"acme": {"npm": "n", "name": "Acme",
                "models": {}, "options": {"apiKey": "{file:./key}", "headers": {"a": ["{file:~/{env:WHICH}}"]}}}}}}"#,
        )
        .file("dir/key", "first")
        .file("home/other", "second")
        .var("WHICH", "other")
        .var("OPEN_COWORK_CONFIG_DIR", "~/dir");
    let loaded = load(&machine.discover(Surface::Cloud).unwrap()).unwrap();
    let files = option_files(&loaded, &machine.environment);
    let root = machine.root.path();
    let texts: Vec<_> = files
        .iter()
        .map(|(named, path)| (named.as_str(), insert(path)))
        .collect();
    let expected = [
        ("./key", Inserted::Text("first".to_owned())),
        ("~/other", Inserted::Text("second".to_owned())),
    ];
    assert_eq!(texts, expected);
    std::fs::write(root.join("dir/key"), "renewed").unwrap();
    assert_eq!(
        insert(&files["./key"]),
        Inserted::Text("renewed".to_owned())
    );
    std::fs::remove_file(root.join("dir/key")).unwrap();
    assert_eq!(insert(&files["./key"]), Inserted::Missing);
}

#[test]
fn inline_configuration_of_the_gateway_is_strict_json() {
    let machine = Machine::new().var(
        "OPEN_COWORK_GATEWAY_CONFIG_JSON",
        r#"{"gateway": {"server": {"adminToken": "hunter2"},}}"#,
    );
    let findings = machine.discover(Surface::Gateway).unwrap_err();
    assert_eq!(findings[0].code, "CONFIG_SYNTAX");
    assert!(!format!("{findings:?}").contains("hunter2"));
}
