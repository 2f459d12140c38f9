//! Started, watched, ended, and nothing left of it.

use super::support::*;
use open_cowork_opencode::{Directory, OpenCodeRuntime};
use open_cowork_policy::Dimensions;
use open_cowork_runtime_host::breaker::BreakerLimits;
use open_cowork_runtime_host::environment::{self, EnvironmentOptions};
use open_cowork_runtime_host::error::HostError;
use open_cowork_runtime_host::home::{HomePaths, RuntimeHome};
use open_cowork_runtime_host::launch::Launcher;
use open_cowork_runtime_host::probe::VerdictLevel;
use open_cowork_runtime_host::supervise::{LaunchSpec, Supervisor};
use open_cowork_testkit::model::ScriptedModel;
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[tokio::test]
async fn real_opencode_is_ready_private_and_leaves_nothing() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let model = ScriptedModel::start().await.unwrap();
    let mut spec = spec(data.path(), &model.base_url(), Dimensions::desktop());
    spec.host_environment.extend(
        [
            ("OPENAI_API_KEY", "sk-foreign"),
            ("GITHUB_TOKEN", "foreign"),
            ("OPENCODE_CONFIG", "/foreign"),
        ]
        .map(|(name, value)| (OsString::from(name), OsString::from(value))),
    );
    let paths = spec.home.paths().clone();
    let running = Supervisor::default().start(&spec).await.unwrap();
    assert_eq!(
        running.verdict().level,
        VerdictLevel::Ok,
        "{:?}",
        running.verdict()
    );

    // The password is needed and works.
    assert!(running.client().rejects_unauthenticated().await.unwrap());
    turn(&running, workspace.path(), "[[script:hello]] hi").await;
    let requests = model.requests();
    assert!(!requests.is_empty());
    assert!(
        requests
            .iter()
            .all(|request| request.headers["authorization"] == format!("Bearer {KEY}"))
    );

    // Environment: exactly ours, no key; argument list: no password.
    let names: BTreeSet<String> = nul_separated(&format!("/proc/{}/environ", running.pid()))
        .into_iter()
        .map(|entry| {
            assert!(
                !entry.contains("foreign") && !entry.contains(KEY),
                "{entry}"
            );
            entry.split_once('=').unwrap().0.to_owned()
        })
        .collect();
    let expected = environment::compose(
        spec.host_environment.clone(),
        &paths,
        "opencode",
        running.password(),
        EnvironmentOptions::default(),
    );
    assert_eq!(names, expected.into_keys().collect());
    let password = running.password().expose_secret().to_owned();
    let launcher = parent(running.pid());
    for pid in [running.pid(), launcher] {
        let arguments = nul_separated(&format!("/proc/{pid}/cmdline")).join(" ");
        assert!(
            !arguments.contains(&password) && !arguments.contains(KEY),
            "{arguments}"
        );
    }
    assert_eq!(
        nul_separated(&format!("/proc/{launcher}/environ")),
        Vec::<String>::new()
    );

    // Files.
    assert_eq!(mode(&paths.opencode_config_dir()), 0o700);
    assert_eq!(
        mode(&paths.opencode_config_dir().join("opencode.json")),
        0o600
    );
    let database = paths.database();
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(
            mode(Path::new(&format!("{}{suffix}", database.display()))),
            0o600,
            "{suffix}"
        );
    }

    // Memory is reported.
    let memory = running.memory();
    assert!(memory.rss_bytes.unwrap() > 100_000_000, "{memory:?}");

    // The home is taken.
    assert!(matches!(
        RuntimeHome::open(data.path()),
        Err(HostError::HomeLocked { .. })
    ));

    let exit = running.stop().await.unwrap();
    assert!(exit.requested);
    assert_eq!(processes_of(paths.root()), Vec::<i32>::new());
    assert!(!alive(launcher) || parent(launcher) == std::process::id().cast_signed());
    assert_eq!(
        std::fs::read_dir(paths.opencode_config_dir())
            .unwrap()
            .count(),
        0,
        "the key must not stay on disk"
    );
}

#[tokio::test]
async fn real_agents_have_our_permissions_and_one_provider() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let spec = spec(data.path(), "http://127.0.0.1:9/v1", Dimensions::desktop());
    let running = Supervisor::default().start(&spec).await.unwrap();
    let directory = Directory::open(workspace.path()).unwrap();
    let agents = get_json(&running, &format!("/agent?directory={directory}")).await;
    // What OpenCode itself makes of our config: the last rule whose permission and pattern match.
    let action = |agent: &str, tool: &str, subject: &str| -> String {
        let agents = agents.as_array().unwrap();
        let agent = agents.iter().find(|found| found["name"] == agent).unwrap();
        let matches = |pattern: &serde_json::Value, text| {
            open_cowork_policy::pattern::matches(pattern.as_str().unwrap(), text)
        };
        let rules = agent["permission"].as_array().unwrap().iter().rev();
        let mut rules = rules.filter(|rule| {
            matches(&rule["permission"], tool) && matches(&rule["pattern"], subject)
        });
        rules.next().unwrap()["action"].as_str().unwrap().to_owned()
    };
    let scratch = spec.home.paths().scratch().join("x");
    let tool_output = spec.home.paths().tool_output().join("x");
    for (agent, tool, subject, expected) in [
        ("build", "bash", "ls", "ask"),
        ("build", "edit", "a.txt", "ask"),
        ("build", "webfetch", "https://a.test", "ask"),
        ("build", "websearch", "x", "deny"),
        ("build", "question", "*", "allow"),
        ("build", "todowrite", "*", "allow"),
        ("build", "task", "explore", "allow"),
        ("build", "task", "plan", "deny"),
        ("build", "read", "src/main.rs", "allow"),
        ("build", "read", ".env", "ask"),
        ("build", "external_directory", "/etc/*", "ask"),
        (
            "build",
            "external_directory",
            scratch.to_str().unwrap(),
            "allow",
        ),
        (
            "build",
            "external_directory",
            tool_output.to_str().unwrap(),
            "allow",
        ),
        ("build", "doom_loop", "*", "ask"),
        ("plan", "edit", "a.txt", "deny"),
        ("plan", "bash", "ls", "ask"),
        ("plan", "question", "*", "deny"),
        ("general", "task", "explore", "deny"),
        ("general", "bash", "ls", "ask"),
        ("explore", "bash", "ls", "deny"),
        ("explore", "edit", "a.txt", "deny"),
        ("explore", "grep", "x", "allow"),
    ] {
        assert_eq!(
            action(agent, tool, subject),
            expected,
            "{agent} {tool} {subject}"
        );
    }
    let providers = running
        .client()
        .providers(&directory)
        .await
        .unwrap()
        .providers;
    let ids: Vec<&str> = providers
        .iter()
        .map(|provider| provider.id.as_str())
        .collect();
    assert_eq!(ids, ["acme"], "no provider but the chosen one");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn real_crash_is_told_once_and_counts_in_the_breaker() {
    let data = TempDir::new().unwrap();
    let spec = spec(data.path(), "http://127.0.0.1:9/v1", Dimensions::desktop());
    let supervisor = Supervisor::new(BreakerLimits {
        failures: 1,
        ..BreakerLimits::default()
    });
    let running = supervisor.start(&spec).await.unwrap();
    let pid = rustix::process::Pid::from_raw(running.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let exit = running.wait().await;
    assert_eq!((exit.signal, exit.requested), (Some(9), false));
    supervisor.note_exit(&exit).await;
    drop(running);
    let refused = supervisor.start(&spec).await.unwrap_err();
    assert!(
        matches!(refused, HostError::BreakerOpen { failures: 1, .. }),
        "{refused}"
    );
    supervisor.reset().await;
    let again = supervisor.start(&spec).await.unwrap();
    again.stop().await.unwrap();
}

#[tokio::test]
async fn real_opencode_of_another_kind_is_refused_at_once() {
    let data = TempDir::new().unwrap();
    let supervisor = Supervisor::default();
    let base = spec(data.path(), "http://127.0.0.1:9/v1", Dimensions::desktop());
    let fails = LaunchSpec {
        opencode: "/bin/false".into(),
        ..base.clone()
    };
    let refused = supervisor.start(&fails).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("OpenCode did not start: Server exited with code"),
        "{refused}"
    );
    let config = base.home.paths().opencode_config_dir();
    assert_eq!(
        std::fs::read_dir(config).unwrap().count(),
        0,
        "a failed start must not leave the key"
    );
    // A launcher that is no launcher.
    let wrong = LaunchSpec {
        launcher: Launcher::Program("/bin/true".into()),
        ..base
    };
    let refused = Supervisor::default().start(&wrong).await.unwrap_err();
    assert!(
        matches!(refused, HostError::Start { .. } | HostError::Io { .. }),
        "{refused}"
    );
}

/// Not a test of its own: the host that is killed by the next one.
#[tokio::test]
#[ignore = "started by real_killed_host_leaves_no_process_behind"]
async fn host_process() {
    let Some(data) = std::env::var_os("TEST_HOST_DATA") else {
        return;
    };
    let workspace = PathBuf::from(std::env::var_os("TEST_HOST_WORKSPACE").unwrap());
    let spec = spec(
        Path::new(&data),
        &std::env::var("TEST_HOST_MODEL").unwrap(),
        everything(),
    );
    let running = Supervisor::default().start(&spec).await.unwrap();
    let escape = "setsid sh -c 'echo $$ > escaped; exec sleep 1000' > /dev/null 2>&1 & while [ ! -s escaped ]; do sleep 0.01; done";
    let steps = serde_json::json!([
        {"tool_calls": [{"name": "bash", "arguments": {"command": escape, "description": "escape"}}]},
        {"text": "done"},
    ]);
    turn(&running, &workspace, &format!("[[steps:{steps}]] go")).await;
    std::fs::write(workspace.join("opencode-pid"), running.pid().to_string()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_killed_host_leaves_no_process_behind() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let model = ScriptedModel::start().await.unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "process::host_process",
            "--ignored",
            "--nocapture",
        ])
        .env("TEST_HOST_DATA", data.path())
        .env("TEST_HOST_WORKSPACE", workspace.path())
        .env("TEST_HOST_MODEL", model.base_url())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid_in = |name: &str| -> Option<i32> {
        std::fs::read_to_string(workspace.path().join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    wait_until("the host did not get ready", || {
        pid_in("opencode-pid").is_some()
    });
    let (opencode, shell) = (pid_in("opencode-pid").unwrap(), pid_in("escaped").unwrap());
    let launcher = parent(opencode);
    let home = HomePaths::new(data.path().canonicalize().unwrap().join("runtime-home"));
    assert!([opencode, shell, launcher].iter().all(|pid| alive(*pid)));
    assert!(processes_of(home.root()).contains(&shell));

    // A second host finds the home taken.
    assert!(matches!(
        RuntimeHome::open(data.path()),
        Err(HostError::HomeLocked { .. })
    ));

    host.kill().unwrap();
    host.wait().unwrap();
    wait_until("something outlived its host", || {
        ![opencode, shell, launcher].iter().any(|pid| alive(*pid))
            && processes_of(home.root()).is_empty()
    });
    // And the home is free again.
    RuntimeHome::open(data.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn real_shell_that_escaped_a_killed_launcher_is_ended_at_the_next_start() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let model = ScriptedModel::start().await.unwrap();
    let spec = spec(data.path(), &model.base_url(), everything());
    let running = Supervisor::default().start(&spec).await.unwrap();
    let escape = "setsid sh -c 'echo $$ > escaped; exec sleep 1000' > /dev/null 2>&1 & while [ ! -s escaped ]; do sleep 0.01; done";
    let steps = serde_json::json!([
        {"tool_calls": [{"name": "bash", "arguments": {"command": escape, "description": "escape"}}]},
        {"text": "done"},
    ]);
    turn(&running, workspace.path(), &format!("[[steps:{steps}]] go")).await;
    let shell: i32 = std::fs::read_to_string(workspace.path().join("escaped"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let (opencode, launcher) = (running.pid(), parent(running.pid()));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(launcher).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let exit = running.wait().await;
    assert_eq!(
        (exit.code, exit.signal, exit.requested),
        (None, None, false)
    );
    wait_until("OpenCode outlived its launcher", || !alive(opencode));
    assert!(
        alive(shell),
        "it has a session of its own and lost its reaper"
    );
    drop(running);
    let again = Supervisor::default().start(&spec).await.unwrap();
    assert!(!alive(shell));
    again.stop().await.unwrap();
}
