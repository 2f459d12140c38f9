//! A real OpenCode with our config and a scripted model, and a look at its processes.

use futures::StreamExt;
use open_cowork_opencode::{Directory, Event, NewSession, OpenCodeRuntime, Prompt, StreamItem};
use open_cowork_policy::{Action, Dimensions};
use open_cowork_runtime_host::config::{
    ComposeInput, ModelEntry, ModelLimit, ProviderChoice, compose,
};
use open_cowork_runtime_host::home::RuntimeHome;
use open_cowork_runtime_host::launch::Launcher;
use open_cowork_runtime_host::supervise::{LaunchSpec, Running};
use secrecy::ExposeSecret;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const KEY: &str = "sk-real-test-key-0123456789";

pub(crate) fn opencode() -> PathBuf {
    open_cowork_testkit::opencode::provision().unwrap()
}

pub(crate) fn spec(data: &Path, model_url: &str, dimensions: Dimensions) -> LaunchSpec {
    let input = ComposeInput {
        dimensions,
        ..compose_input(model_url)
    };
    spec_of(data, &input)
}

/// A scripted model behind our own endpoint.
pub(crate) fn compose_input(model_url: &str) -> ComposeInput {
    let provider = ProviderChoice::OpenAiCompatible {
        id: "acme".into(),
        name: "Acme".into(),
        base_url: model_url.into(),
        models: vec![ModelEntry {
            id: "m".into(),
            limit: Some(ModelLimit {
                context: 100_000,
                output: 8192,
            }),
            ..ModelEntry::default()
        }],
    };
    ComposeInput {
        api_key: Some(KEY.into()),
        ..ComposeInput::new(provider, "m")
    }
}

/// How to start an OpenCode with this input in a fresh home.
pub(crate) fn spec_of(data: &Path, input: &ComposeInput) -> LaunchSpec {
    let home = Arc::new(RuntimeHome::open(data).unwrap());
    let config = Arc::new(compose(input, home.paths()).unwrap());
    LaunchSpec {
        launcher: Launcher::Program(env!("CARGO_BIN_EXE_open-cowork-launcher").into()),
        host_environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        ..LaunchSpec::new(opencode(), home, config)
    }
}

pub(crate) fn everything() -> Dimensions {
    Dimensions {
        bash: Action::Allow,
        file_write: Action::Allow,
        ..Dimensions::desktop()
    }
}

/// One turn from prompt to idle. Returns the session.
pub(crate) async fn turn(running: &Running, directory: &Path, text: &str) -> String {
    let directory = Directory::open(directory.canonicalize().unwrap()).unwrap();
    let client = running.client();
    let mut events = client.events();
    assert!(matches!(events.next().await, Some(StreamItem::Connected)));
    let session = client
        .create_session(&directory, NewSession::default())
        .await
        .unwrap()
        .id;
    client
        .prompt_async(&session, Prompt::text("msg_01", text))
        .await
        .unwrap();
    let idle = async {
        while let Some(item) = events.next().await {
            match item {
                StreamItem::Frame(frame) => match frame.event {
                    Event::SessionIdle { session: idle } if idle == session => return,
                    _ => {}
                },
                StreamItem::Connected => {}
                StreamItem::Broken(broken) => panic!("{broken}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), idle)
        .await
        .expect("the turn did not end");
    session
}

pub(crate) fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .starts_with('Z')
    })
}

pub(crate) fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn nul_separated(path: &str) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    bytes
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

/// Processes whose home this is: OpenCode and everything that it started.
pub(crate) fn processes_of(home: &Path) -> Vec<i32> {
    let home = format!("HOME={}", home.display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == home.as_bytes())
    })
    .collect()
}

pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(100);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks OpenCode as our client never does: any path, any answer.
pub(crate) async fn get_json(running: &Running, path: &str) -> serde_json::Value {
    // By length, not to the end of the connection: a server that OpenCode starts meanwhile inherits the socket.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .get(format!("{}{path}", running.base_url()))
        .basic_auth(running.username(), Some(running.password().expose_secret()))
        .timeout(Duration::from_secs(30))
        .send()
        .await
        .unwrap();
    answer.json().await.unwrap()
}
