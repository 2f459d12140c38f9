//! OpenCode asks nothing of the outside that nobody asked for (08 §1.3, decision 19).

use super::support::*;
use open_cowork_opencode::{Directory, OpenCodeRuntime};
use open_cowork_policy::Dimensions;
use open_cowork_runtime_host::environment::{self, EnvironmentOptions};
use open_cowork_runtime_host::supervise::Supervisor;
use open_cowork_testkit::model::ScriptedModel;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Accepts and counts; whatever comes here wanted to leave the machine.
async fn outside() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((_connection, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, count)
}

/// Remote ends of a process's TCP sockets that are not loopback.
fn foreign_connections(pid: i32) -> Vec<String> {
    let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let inodes: BTreeSet<String> = fds
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    let tables = ["tcp", "tcp6"].map(|table| {
        std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default()
    });
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let (remote, inode) = (fields.get(2)?.split(':').next()?, *fields.get(9)?);
        let loopback = remote.ends_with("7F") || remote == "0000000000000000FFFF00000100007F";
        let unset = remote.bytes().all(|byte| byte == b'0');
        let own = remote == "00000000000000000000000001000000";
        (inodes.contains(inode) && !loopback && !unset && !own).then(|| row.to_owned())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_opencode_asks_nothing_of_the_outside() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    std::fs::create_dir(workspace.path().join(".opencode")).unwrap();
    let model = ScriptedModel::start().await.unwrap();
    let (proxy, attempts) = outside().await;
    let mut spec = spec(data.path(), &model.base_url(), everything());
    spec.host_environment.extend(
        [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ]
        .map(|name| (OsString::from(name), OsString::from(&proxy))),
    );
    let running = Supervisor::default().start(&spec).await.unwrap();
    let (pid, done) = (running.pid(), Arc::new(AtomicBool::new(false)));
    let stop = done.clone();
    let sampler = std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !stop.load(Ordering::SeqCst) {
            seen.extend(foreign_connections(pid));
            std::thread::sleep(Duration::from_millis(5));
        }
        seen
    });
    turn(&running, workspace.path(), "[[script:hello]] hi").await;
    // Its package install starts in the background at the first boot of a folder: the second turn, in another
    // folder, leaves it time, and the end of the process ends the window.
    let other = TempDir::new().unwrap();
    turn(&running, other.path(), "[[script:bash]] hi").await;
    running.stop().await.unwrap();
    done.store(true, Ordering::SeqCst);
    assert_eq!(sampler.join().unwrap(), BTreeSet::new());
    assert_eq!(
        attempts.load(Ordering::SeqCst),
        0,
        "something went to the proxy; loopback must not either"
    );
    assert!(!model.requests().is_empty());
    assert!(!workspace.path().join(".opencode/node_modules").exists());
}

/// The counterpart of the test above: without our environment the same watch does see attempts.
#[tokio::test(flavor = "multi_thread")]
async fn real_opencode_without_our_environment_would_install_packages() {
    let data = TempDir::new().unwrap();
    let (registry, attempts) = outside().await;
    let spec = spec(data.path(), "http://127.0.0.1:9/v1", Dimensions::desktop());
    let paths = spec.home.paths();
    spec.config.write(&paths.opencode_config_dir()).unwrap();
    let password = secrecy::SecretString::from("pw");
    let mut environment = environment::compose(
        spec.host_environment.clone(),
        paths,
        "opencode",
        &password,
        EnvironmentOptions::default(),
    );
    environment.remove("npm_config_offline");
    // Wherever it wants to go, it ends at our door.
    for name in [
        "npm_config_registry",
        "npm_config_proxy",
        "npm_config_https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
    ] {
        environment.insert(name.to_owned(), registry.clone());
    }
    let mut child = tokio::process::Command::new(&spec.opencode)
        .args([
            "serve",
            "--hostname=127.0.0.1",
            "--port=0",
            "--log-level=ERROR",
        ])
        .env_clear()
        .envs(environment)
        .current_dir(paths.root())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    use tokio::io::AsyncBufReadExt;
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let url = loop {
        let line = lines.next_line().await.unwrap().expect("it ended");
        if let Some((_, url)) = line.split_once("listening on ") {
            break url.trim().to_owned();
        }
    };
    let client =
        open_cowork_opencode::Client::new(open_cowork_opencode::ClientConfig::new(url, password))
            .unwrap();
    // Boots an instance, which starts the install.
    client
        .providers(&Directory::open(data.path()).unwrap())
        .await
        .unwrap();
    wait_until("the watch sees nothing", || {
        attempts.load(Ordering::SeqCst) > 0
    });
    child.kill().await.unwrap();
}
