//! Where the provider key may be, and where it never is: not even when the agent prints it.

use crate::program::{Place, Served, command, eventually, finish};
use crate::support::{opencode, processes_of};
use crate::web::Page;
use open_cowork_testkit::model::{Scenario, ScriptedModel};
use open_cowork_testkit::workspace::GitWorkspace;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// Like no token that a pattern knows, so that only knowing it can hide it.
const FIRST: &str = "canary.first+Zq7/x";
const SECOND: &str = "canary.second+Wp3/y";

/// The agent prints its own config, environment and the key file, with approval.
fn prints_everything(page: &Page, key_file: &Path) -> String {
    let command = format!(
        "cat $OPENCODE_CONFIG_DIR/opencode.json {}; env; echo $OPENCODE_SERVER_PASSWORD",
        key_file.display()
    );
    let steps = serde_json::json!([
        { "tool_calls": [{ "name": "bash", "arguments": { "command": command, "description": "Print" } }] },
        { "repeat": { "unit": "Printed! ", "count": 2 } },
    ]);
    let chat = page.chat(&format!("print [[steps:{steps}]]"));
    let path = format!("/chats/{chat}");
    // One ask for the command, perhaps one for the folder outside.
    eventually("the turn ends", || {
        let shown = page.get(&path).body;
        for ask in shown
            .split(&format!("{path}/asks/"))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            page.post(&format!("{path}/asks/{ask}"), &[("answer", "allow")]);
        }
        shown.contains("Printed! Printed!")
    });
    chat
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_stored_key_is_in_its_file_and_the_running_config_and_nowhere_else() {
    let model = ScriptedModel::start_with(Scenario::builtin().unwrap().requiring_key(FIRST), 0)
        .await
        .unwrap();
    let (folder, place) = (GitWorkspace::new().unwrap(), Place::new());
    let data = place.data();
    let key_file = data.join("keys/custom.key");
    let endpoint = model.base_url();
    let mut set = command(&[
        "--log",
        "trace",
        "config",
        "set",
        "--provider",
        "custom",
        "--model",
        "fake-model",
    ]);
    set.args([
        "--base-url",
        &endpoint,
        "--key-stdin",
        "--test",
        "--data-dir",
    ])
    .arg(&data);
    let saved = finish(set, FIRST.as_bytes());
    assert_eq!(saved.code, Some(0), "{saved:?}");
    assert!(!format!("{saved:?}").contains("canary"), "{saved:?}");

    // A provider with a header of its own kind, on an endpoint of ours: also not in the finest log.
    let mut anthropic = command(&[
        "--log",
        "trace",
        "config",
        "set",
        "--provider",
        "anthropic",
        "--model",
        "m",
    ]);
    anthropic
        .args([
            "--base-url",
            &endpoint,
            "--key-stdin",
            "--test",
            "--data-dir",
        ])
        .arg(place.path().join("other"));
    let refused = finish(anthropic, b"canary.anthropic");
    for ended in [&saved, &refused] {
        assert!(!format!("{ended:?}").contains("canary"), "{ended:?}");
        assert!(
            !ended.err.contains("ureq"),
            "a dump of the request holds the key: {ended:?}"
        );
    }

    let (work, program) = (folder.path(), opencode());
    let arguments = [
        "--log",
        "trace",
        "--workspace",
        work.to_str().unwrap(),
        "--opencode",
        program.to_str().unwrap(),
    ];
    let mut served = Served::start(&data, &arguments);
    let page = served.page.clone();
    let first = prints_everything(&page, &key_file);
    let config = data.join("runtime-home/.open-cowork/config/opencode.json");
    assert!(
        std::fs::read_to_string(&config).unwrap().contains(FIRST),
        "the only other place"
    );
    assert_eq!(
        std::fs::metadata(&config).unwrap().permissions().mode() & 0o777,
        0o600
    );

    // A key that is entered while everything runs is as secret.
    model.set_scenario(Scenario::builtin().unwrap().requiring_key(SECOND));
    let fields = [
        ("provider", "custom"),
        ("base_url", endpoint.as_str()),
        ("model", "fake-model"),
        ("key", SECOND),
    ];
    let tested = page.post("/settings/test", &fields);
    assert!(
        tested.status == 200 && !tested.body.contains("canary"),
        "{tested:?}"
    );
    let saved = page.post("/settings", &fields);
    assert!(
        saved.status == 200 && !saved.body.contains("canary"),
        "{saved:?}"
    );
    eventually("OpenCode has the new key", || {
        std::fs::read_to_string(&config).is_ok_and(|text| text.contains(SECOND))
            && page.get("/health").body.contains("Runs and answers")
    });
    let second = prints_everything(&page, &key_file);

    let mut seen = vec![served.log()];
    for chat in [&first, &second] {
        let shown = page.get(&format!("/chats/{chat}")).body;
        let link = format!("/chats/{chat}/calls/");
        let calls = shown
            .split(&link)
            .skip(1)
            .filter_map(|rest| rest.split(['"', '#']).next());
        for call in calls {
            seen.push(page.get(&format!("/chats/{chat}/calls/{call}")).body);
        }
        let stream = page.listen(&format!("/chats/{chat}/events"), Duration::from_millis(500));
        let all = format!("{stream}{shown}{}", seen.join("\n"));
        assert!(
            all.contains("REDACTED_SECRET"),
            "the command did print it: {shown}"
        );
        seen.extend([shown, stream]);
    }
    seen.extend(["/", "/chats", "/settings", "/health"].map(|path| page.get(path).body));
    let mut passwords = Vec::new();
    for (pid, arguments) in processes_of(&data) {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        passwords.extend(
            environment
                .split('\0')
                .filter_map(|pair| pair.strip_prefix("OPENCODE_SERVER_PASSWORD="))
                .map(str::to_owned),
        );
        assert!(!environment.contains("canary"), "{arguments}");
        seen.push(arguments);
    }
    assert!(!passwords.is_empty());
    for name in [
        "threads.sqlite",
        "threads.sqlite-wal",
        "threads.sqlite-shm",
        "settings.json",
        "workspace-trust.json",
    ] {
        seen.push(
            String::from_utf8_lossy(&std::fs::read(data.join(name)).unwrap_or_default())
                .into_owned(),
        );
    }
    for (text, secret) in seen.iter().flat_map(|text| {
        passwords
            .iter()
            .map(String::as_str)
            .chain(["canary"])
            .map(move |secret| (text, secret))
    }) {
        if let Some(at) = text.find(secret) {
            panic!(
                "a secret is shown: {}",
                String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(300)..at])
            );
        }
    }
    assert_eq!(served.stop(), Some(0));
    assert!(!config.exists(), "gone with the process");
    assert_eq!(std::fs::read_to_string(&key_file).unwrap(), SECOND);
}
