use super::*;
use async_trait::async_trait;
use serde_json::Value;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

/// Names as told, and which were asked for.
#[derive(Default)]
struct Names {
    known: BTreeMap<&'static str, Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(known: &[(&'static str, &[&str])]) -> Self {
        let known = known.iter().map(|(name, addresses)| {
            (
                *name,
                addresses.iter().map(|text| text.parse().unwrap()).collect(),
            )
        });
        Self {
            known: known.collect(),
            asked: Mutex::default(),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, _: u16) -> std::io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let found = self.known.get(host).cloned();
        found.ok_or_else(|| std::io::Error::other("no such name"))
    }
}

struct Case {
    folder: tempfile::TempDir,
    places: Places,
    settings: ServerSettings,
    mcp: Action,
    own_permitted: bool,
}

fn program(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "#!/bin/true\n").unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

impl Case {
    /// A machine with `node` in PATH, a shipped `acme-mcp` and one bundled package.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        program(&root.join("path/node"));
        program(&root.join("path/other"));
        program(&root.join("shipped/acme-mcp"));
        program(&root.join("content/mcps/charts/dist/index.js"));
        std::fs::write(root.join("server.js"), "").unwrap();
        Self {
            places: Places {
                shipped: vec![root.join("shipped")],
                search_path: vec![root.join("path")],
                content_roots: vec![root.join("content")],
                project: Some(root.join("project")),
            },
            folder,
            settings: ServerSettings::default(),
            mcp: Action::Ask,
            own_permitted: true,
        }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    async fn run(&self, product: Value, own: &[OwnServer], names: &Names) -> Servers {
        let product: Vec<Mcp> = serde_json::from_value(product).unwrap();
        let input = McpInput {
            product: &product,
            own,
            settings: &self.settings,
            mcp: self.mcp,
            own_permitted: self.own_permitted,
            places: &self.places,
        };
        evaluate(&input, names).await
    }

    async fn one(&self, server: Value, names: &Names) -> Server {
        self.run(json!([server]), &[], names).await.rows.remove(0)
    }
}

fn reason(server: &Server) -> Option<Reason> {
    match server.state {
        State::Ready(_) => None,
        State::Off(reason) => Some(reason),
    }
}

fn entry(server: &Server) -> &Value {
    match &server.state {
        State::Ready(entry) => &entry.value,
        State::Off(reason) => panic!("{reason}: {:?}", server.remark),
    }
}

#[allow(clippy::needless_pass_by_value)] // json!(…) is handed over
fn local(name: &str, more: Value) -> Value {
    let mut server = json!({"name": name, "type": "local", "description": "d", "authMode": "none"});
    server
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    server
}

#[allow(clippy::needless_pass_by_value)] // json!(…) is handed over
fn remote(name: &str, more: Value) -> Value {
    let mut server = local(name, more);
    server["type"] = json!("remote");
    server
}

fn own_http(name: &str, url: &str) -> OwnServer {
    OwnServer {
        name: name.into(),
        scope: Scope::Machine,
        transport: OwnTransport::Http {
            url: url.into(),
            headers: BTreeMap::new(),
        },
        permission: Action::Allow,
        allow_private_network: false,
        google_auth: false,
    }
}

fn own_stdio(scope: Scope, command: &str, args: &[&str]) -> OwnServer {
    OwnServer {
        scope,
        transport: OwnTransport::Stdio {
            command: command.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            environment: BTreeMap::new(),
        },
        ..own_http("mine", "")
    }
}

#[tokio::test]
async fn a_bundled_package_and_a_shipped_program_become_entries() {
    let case = Case::new();
    let names = Names::default();
    let charts = case
        .one(local("charts", json!({"packageName": "charts"})), &names)
        .await;
    let script = case.root().join("content/mcps/charts/dist/index.js");
    assert_eq!(
        entry(&charts),
        &json!({
            "type": "local", "command": ["node", script], "enabled": true, "timeout": 10000,
            "environment": {"OPENCODE_SERVER_PASSWORD": "", "OPENCODE_SERVER_USERNAME": ""},
        })
    );
    let acme = case
        .one(
            local("acme", json!({"command": ["acme-mcp", "--x"]})),
            &names,
        )
        .await;
    let shipped = case.root().join("shipped/acme-mcp");
    assert_eq!(entry(&acme)["command"], json!([shipped, "--x"]));
    assert_eq!(entry(&acme)["timeout"], 15000);
}

#[tokio::test]
async fn the_first_thing_in_the_way_is_the_reason() {
    let names = Names::new(&[("mcp.example.test", &["93.184.216.34"])]);
    let google = Some(GoogleLogin {
        credentials_file: "/g.json".into(),
        access_token: None,
    });
    let credential = json!([{"key": "token", "label": "l", "description": "d"}]);
    for (server, on, reason_code) in [
        (
            local("semantic-ui", json!({"command": ["node"]})),
            None,
            Reason::McpDisabledByUser,
        ),
        (
            local("a", json!({"command": ["node"]})),
            Some(false),
            Reason::McpDisabledByUser,
        ),
        (
            local("a b", json!({"command": ["node"]})),
            None,
            Reason::McpInvalid,
        ),
        (
            local("a__b", json!({"command": ["node"]})),
            None,
            Reason::McpInvalid,
        ),
        (local("a", json!({})), None, Reason::McpInvalid),
        (remote("a", json!({})), None, Reason::McpInvalid),
        (local("a", json!({"command": []})), None, Reason::McpInvalid),
        (
            local("a", json!({"command": ["gone"]})),
            None,
            Reason::McpCommandNotInstalled,
        ),
        (
            local("a", json!({"command": ["./server"]})),
            None,
            Reason::McpCommandNotInstalled,
        ),
        (
            local("a", json!({"packageName": "gone"})),
            None,
            Reason::McpCommandNotInstalled,
        ),
        (
            local("a", json!({"packageName": "../charts"})),
            None,
            Reason::McpCommandNotInstalled,
        ),
        (
            local("a", json!({"command": ["node", "/gone.js"]})),
            None,
            Reason::McpCommandNotInstalled,
        ),
        (
            local("a", json!({"command": ["node", "-e", "x"]})),
            None,
            Reason::McpStdioPolicyBlocked,
        ),
        (
            local("a", json!({"command": ["node", "server.js"]})),
            None,
            Reason::McpStdioPolicyBlocked,
        ),
        (
            remote(
                "a",
                json!({"url": "https://mcp.example.test", "authMode": "oauth"}),
            ),
            None,
            Reason::McpAwaitingOauthOptIn,
        ),
        (
            local("a", json!({"command": ["gone"], "authMode": "oauth"})),
            None,
            Reason::McpCommandNotInstalled,
        ),
        (
            remote(
                "a",
                json!({"url": "https://mcp.example.test", "googleAuth": true}),
            ),
            None,
            Reason::McpNotSignedInGoogle,
        ),
        (
            remote(
                "a",
                json!({"url": "https://mcp.example.test", "credentials": credential}),
            ),
            None,
            Reason::McpNotConfigured,
        ),
        (
            remote("a", json!({"url": "http://10.0.0.1/"})),
            None,
            Reason::McpUrlPolicyBlocked,
        ),
        (
            remote("a", json!({"url": "https://gone.example.test/"})),
            None,
            Reason::McpUrlPolicyBlocked,
        ),
        (
            remote(
                "a",
                json!({"url": "https://mcp.example.test", "headers": {"a b": "c"}}),
            ),
            None,
            Reason::McpInvalid,
        ),
        (
            remote(
                "a",
                json!({"url": "https://mcp.example.test", "headers": {"a": "b\r\nc"}}),
            ),
            None,
            Reason::McpInvalid,
        ),
    ] {
        let mut case = Case::new();
        case.settings.semantic_ui_disabled = true;
        let name = server["name"].as_str().unwrap().to_owned();
        case.settings.enabled.extend(on.map(|on| (name, on)));
        let row = case.one(server.clone(), &names).await;
        assert_eq!(
            reason(&row),
            Some(reason_code),
            "{server}: {:?}",
            row.remark
        );
    }
    // What was missing is there: the same servers are ready.
    let mut case = Case::new();
    case.settings.google = google;
    case.settings.enabled.insert("a".into(), true);
    case.settings.credentials.insert(
        "a".into(),
        BTreeMap::from([("token".to_owned(), "t".into())]),
    );
    for server in [
        remote(
            "a",
            json!({"url": "https://mcp.example.test", "authMode": "oauth"}),
        ),
        remote(
            "a",
            json!({"url": "https://mcp.example.test", "googleAuth": true}),
        ),
        remote(
            "a",
            json!({"url": "https://mcp.example.test", "credentials": credential}),
        ),
    ] {
        assert_eq!(reason(&case.one(server, &names).await), None);
    }
}

#[tokio::test]
async fn a_hidden_or_optional_credential_is_not_asked_for() {
    let names = Names::new(&[("mcp.example.test", &["93.184.216.34"])]);
    let case = Case::new();
    for credentials in [
        json!([{"key": "t", "label": "l", "description": "d", "required": false}]),
        json!([{"key": "t", "label": "l", "description": "d",
            "when": {"key": "mode", "op": "eq", "value": "token"}}]),
    ] {
        let server = remote(
            "a",
            json!({"url": "https://mcp.example.test", "credentials": credentials}),
        );
        assert_eq!(reason(&case.one(server, &names).await), None);
    }
    let shown = json!([{"key": "t", "label": "l", "description": "d",
        "when": {"key": "mode", "op": "neq", "value": "token"}}]);
    let server = remote(
        "a",
        json!({"url": "https://mcp.example.test", "credentials": shown}),
    );
    assert_eq!(
        reason(&case.one(server, &names).await),
        Some(Reason::McpNotConfigured)
    );
}

#[tokio::test]
async fn credentials_become_variables_and_headers_and_are_known_as_secrets() {
    let names = Names::new(&[("mcp.example.test", &["93.184.216.34"])]);
    let mut case = Case::new();
    let credential = json!([{"key": "token", "label": "l", "description": "d"}]);
    case.settings.credentials.insert(
        "a".into(),
        BTreeMap::from([("token".to_owned(), "hunter2".into())]),
    );
    let web = case
        .one(
            remote("a", json!({
                "url": "http://mcp.example.test:81/x",
                "headers": {"X-Fixed": "f", "Host": "evil.test"},
                "headerSettings": [{"header": "Authorization", "key": "token", "prefix": "Bearer "}],
                "credentials": credential,
            })),
            &names,
        )
        .await;
    assert_eq!(
        entry(&web),
        &json!({
            "type": "remote", "url": "http://93.184.216.34:81/x", "enabled": true,
            "headers": {"X-Fixed": "f", "Authorization": "Bearer hunter2", "Host": "mcp.example.test:81"},
            "oauth": false,
        })
    );
    let program = case
        .one(
            local(
                "a",
                json!({"command": ["acme-mcp"], "credentials": credential, "envSettings": [
                {"env": "ACME_TOKEN", "key": "token"}, {"env": "OTHER", "key": "gone"}]}),
            ),
            &names,
        )
        .await;
    assert_eq!(entry(&program)["environment"]["ACME_TOKEN"], "hunter2");
    assert!(entry(&program)["environment"].get("OTHER").is_none());
    for server in [&web, &program] {
        assert!(!format!("{server:?}").contains("hunter2"));
        assert!(!json!(server.evidence).to_string().contains("hunter2"));
        let State::Ready(entry) = &server.state else {
            panic!()
        };
        assert!(
            entry
                .secrets
                .iter()
                .any(|secret| secret.expose_secret() == "hunter2")
        );
        // An ordinary header is no secret: it would be torn out of what people write.
        assert!(
            entry
                .secrets
                .iter()
                .all(|secret| secret.expose_secret() != "f")
        );
    }
}

#[tokio::test]
async fn a_denied_dimension_registers_nothing_and_asks_no_name_server() {
    let names = Names::new(&[("mcp.example.test", &["93.184.216.34"])]);
    let mut case = Case::new();
    case.mcp = Action::Deny;
    let product = json!([remote("a", json!({"url": "https://mcp.example.test"}))]);
    let servers = case
        .run(
            product,
            &[own_http("b", "https://mcp.example.test")],
            &names,
        )
        .await;
    for row in &servers.rows {
        assert_eq!(reason(row), Some(Reason::McpPolicyDenied));
    }
    assert_eq!(names.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_own_server_takes_the_place_of_a_built_in_one_where_that_is_permitted() {
    let names = Names::new(&[("mcp.example.test", &["93.184.216.34"])]);
    let mut case = Case::new();
    let product = json!([local("wiki", json!({"command": ["acme-mcp"]}))]);
    let own = [own_http("wiki", "https://mcp.example.test")];
    let servers = case.run(product.clone(), &own, &names).await;
    assert_eq!(servers.overridden, ["wiki"]);
    assert_eq!(servers.rows.len(), 1);
    assert_eq!(servers.rows[0].source, Source::Own(Scope::Machine));
    assert_eq!(
        servers.rows[0].permission,
        Action::Ask,
        "the dimension is the most"
    );
    assert_eq!(servers.rows[0].evidence["host"], "mcp.example.test");

    case.own_permitted = false;
    let servers = case.run(product, &own, &names).await;
    assert!(servers.overridden.is_empty());
    assert_eq!(reason(&servers.rows[0]), None, "the built-in one stays");
    assert_eq!(reason(&servers.rows[1]), Some(Reason::McpPolicyDenied));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_registered_and_opting_in_says_so() {
    let names = Names::new(&[
        ("inside.example.test", &["10.1.2.3"]),
        ("clever.example.test", &["93.184.216.34", "169.254.169.254"]),
    ]);
    let case = Case::new();
    for (url, private, expected) in [
        (
            "https://inside.example.test/",
            false,
            Some(Reason::McpUrlPolicyBlocked),
        ),
        ("https://inside.example.test/", true, None),
        (
            "https://clever.example.test/",
            true,
            Some(Reason::McpUrlPolicyBlocked),
        ),
    ] {
        let server = OwnServer {
            allow_private_network: private,
            ..own_http("a", url)
        };
        let servers = case.run(json!([]), &[server], &names).await;
        assert_eq!(reason(&servers.rows[0]), expected, "{url} {private}");
    }
}

#[tokio::test]
async fn links_are_followed_before_a_program_is_believed() {
    let names = Names::default();
    let case = Case::new();
    let root = case.root();
    std::os::unix::fs::symlink("/bin/sh", root.join("harmless")).unwrap();
    std::fs::create_dir_all(root.join("project")).unwrap();
    std::os::unix::fs::symlink(root.join("server.js"), root.join("project/out.js")).unwrap();
    std::fs::write(root.join("project/in.js"), "").unwrap();
    program(&root.join("project/tool"));
    let harmless = root.join("harmless").to_string_lossy().into_owned();
    let script = root.join("server.js").to_string_lossy().into_owned();
    for (server, expected) in [
        (
            own_stdio(Scope::Machine, &harmless, &["x"]),
            Some(Reason::McpStdioPolicyBlocked),
        ),
        (own_stdio(Scope::Machine, "node", &[&script]), None),
        (
            own_stdio(Scope::Machine, "acme-mcp", &[]),
            Some(Reason::McpStdioPolicyBlocked),
        ),
        (
            own_stdio(Scope::Machine, "node", &["in.js"]),
            Some(Reason::McpStdioPolicyBlocked),
        ),
        (own_stdio(Scope::Project, "node", &["in.js"]), None),
        (own_stdio(Scope::Project, "./tool", &[]), None),
        (
            own_stdio(Scope::Project, "node", &["out.js"]),
            Some(Reason::McpStdioPolicyBlocked),
        ),
        (
            own_stdio(Scope::Project, "node", &["gone.js"]),
            Some(Reason::McpCommandNotInstalled),
        ),
        (
            own_stdio(Scope::Machine, "uvx", &["a==1.2"]),
            Some(Reason::McpCommandNotInstalled),
        ),
    ] {
        let servers = case
            .run(json!([]), std::slice::from_ref(&server), &names)
            .await;
        assert_eq!(
            reason(&servers.rows[0]),
            expected,
            "{:?}",
            servers.rows[0].remark
        );
    }
    let servers = case
        .run(
            json!([]),
            &[own_stdio(Scope::Project, "./tool", &[])],
            &names,
        )
        .await;
    assert_eq!(
        entry(&servers.rows[0])["command"],
        json!([root.join("project/./tool")])
    );
}

/// A name server that never answers costs one deadline, not the start.
#[tokio::test(start_paused = true)]
async fn a_silent_name_server_is_not_waited_for() {
    struct Silent;
    #[async_trait]
    impl Resolve for Silent {
        async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }
    let case = Case::new();
    let product: Vec<Mcp> = serde_json::from_value(json!([remote(
        "a",
        json!({"url": "https://mcp.example.test"})
    )]))
    .unwrap();
    let input = McpInput {
        product: &product,
        own: &[],
        settings: &case.settings,
        mcp: Action::Ask,
        own_permitted: true,
        places: &case.places,
    };
    let servers = evaluate(&input, &Silent).await;
    assert_eq!(reason(&servers.rows[0]), Some(Reason::McpUrlPolicyBlocked));
}

/// `wiki` with a tool `admin_run` and `wiki_admin` with `run` are one name for OpenCode.
#[tokio::test]
async fn servers_whose_tools_could_be_confused_are_refused() {
    let case = Case::new();
    let names = Names::new(&[("mcp.example.test", &["93.184.216.34"])]);
    let product = |name: &str| remote(name, json!({"url": "https://mcp.example.test/x"}));
    let own = |name: &str| own_http(name, "https://mcp.example.test/x");
    for (products, owns, refused) in [
        (&["wiki", "wiki_admin"][..], &[][..], &["wiki_admin"][..]),
        (&["wiki_admin", "wiki"], &[], &["wiki_admin"]),
        (&["wiki", "wikis", "wiki-admin", "a_wiki"], &[], &[]),
        // The distribution's server stays, whichever name is the longer one.
        (&["wiki_admin"], &["wiki"], &["wiki"]),
        (&["wiki"], &["wiki_admin"], &["wiki_admin"]),
        (&[], &["wiki", "wiki_admin"], &["wiki_admin"]),
        // An own `wiki` in the place of the distribution's one.
        (&["wiki", "wiki_admin"], &["wiki"], &["wiki_admin"]),
    ] {
        let servers: Vec<Value> = products.iter().map(|name| product(name)).collect();
        let owns: Vec<OwnServer> = owns.iter().map(|name| own(name)).collect();
        let rows = case.run(json!(servers), &owns, &names).await.rows;
        let off: Vec<&str> = rows
            .iter()
            .filter(|row| reason(row) == Some(Reason::McpInvalid))
            .map(|row| row.name.as_str())
            .collect();
        assert_eq!(off, refused, "{products:?}");
        for row in rows
            .iter()
            .filter(|row| refused.contains(&row.name.as_str()))
        {
            assert!(row.remark.as_ref().unwrap().contains("rename one"));
        }
    }
    // One that is switched off counts: patterns may still name its tools.
    let mut off = Case::new();
    off.settings.enabled.insert("wiki".into(), false);
    let rows = off
        .run(json!([product("wiki"), product("wiki_admin")]), &[], &names)
        .await
        .rows;
    assert_eq!(reason(&rows[1]), Some(Reason::McpInvalid));
}
