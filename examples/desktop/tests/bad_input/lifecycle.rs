//! Ends and starts at bad moments: signals, closed pipes, many starts. Nothing is lost, nothing accumulates.

use crate::program::{Place, Served, command, eventually, finish, run, signal, wait};
use crate::support::{Rig, opencode, processes_of};
use crate::web::encoded;
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::workspace::GitWorkspace;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn chat(place: &Path, model: &ScriptedModel, folder: &GitWorkspace, text: &str) -> Command {
    let mut chat = command(&[
        "chat",
        text,
        "--demo-endpoint",
        &model.base_url(),
        "--data-dir",
    ]);
    chat.arg(place)
        .arg("--opencode")
        .arg(opencode())
        .arg("--workspace")
        .arg(folder.path());
    chat
}

/// Files that must not pile up: all of the data folder but OpenCode's own database and caches.
fn files(data: &Path) -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.ends_with("runtime-home/.local/share/opencode")
                || path.ends_with("runtime-home/.cache")
            {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => walk(&path, found),
                false => drop(found.insert(path.to_string_lossy().into_owned())),
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(data, &mut found);
    found
}

fn config_files(data: &Path) -> usize {
    std::fs::read_dir(data.join("runtime-home/.open-cowork/config")).map_or(0, |entries| {
        entries
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains("opencode.json")
            })
            .count()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_sigterm_in_mid_turn_ends_in_time_and_the_turn_is_marked_at_the_next_start() {
    let (model, folder, place) = (
        ScriptedModel::start().await.unwrap(),
        GitWorkspace::new().unwrap(),
        Place::new(),
    );
    let data = place.data();
    let (endpoint, work, program) = (model.base_url(), folder.path(), opencode());
    let arguments = [
        "--demo-endpoint",
        &endpoint,
        "--workspace",
        work.to_str().unwrap(),
        "--opencode",
        program.to_str().unwrap(),
    ];
    let mut served = Served::start(&data, &arguments);
    let page = served.page.clone();
    let chat = page.chat("slowly [[script:slow]]");
    eventually("the answer streams", || {
        page.get(&format!("/chats/{chat}"))
            .body
            .contains("tick tick")
    });
    assert_eq!(config_files(&data), 1);
    // Somebody is still sending a form, and somebody listens.
    let mut slow = TcpStream::connect(&page.address).unwrap();
    let head = page
        .request("POST", "/chats", &[], "")
        .replace("Length: 0", "Length: 50");
    slow.write_all(format!("{head}csrf={}", encoded("x")).as_bytes())
        .unwrap();
    let mut listener = TcpStream::connect(&page.address).unwrap();
    listener
        .write_all(
            page.request("GET", &format!("/chats/{chat}/events"), &[], "")
                .as_bytes(),
        )
        .unwrap();
    assert_eq!(served.stop(), Some(0), "{}", served.log());
    eventually("no process is left", || processes_of(&data).is_empty());
    assert_eq!(
        config_files(&data),
        0,
        "the key is not on disk while nothing runs"
    );
    drop((slow, listener));

    let mut first = None;
    for start in 0..5 {
        let mut served = Served::start(&data, &arguments);
        let page = served.page.clone();
        eventually("it is ready again", || {
            page.get("/health").body.contains("Runs and answers")
        });
        if start == 0 {
            let shown = || page.get(&format!("/chats/{chat}")).body;
            eventually("the turn is marked", || {
                !shown().contains("class=\"stop\"") && shown().contains("nterrupted")
            });
            assert!(shown().contains("tick tick"), "what was shown is kept");
        }
        assert_eq!(served.stop(), Some(0), "{}", served.log());
        eventually("no process is left", || processes_of(&data).is_empty());
        let found = files(&data);
        let first = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, first, "start {start}: nothing accumulates");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_closed_pipes_and_signals_end_a_terminal_turn_properly() {
    let (model, folder) = (
        ScriptedModel::start().await.unwrap(),
        GitWorkspace::new().unwrap(),
    );
    let (one, two) = (Place::new(), Place::new());

    // Two programs at once, each on its own data folder; nobody answers, so what is asked is denied.
    let run = |place: &Place| {
        finish(
            chat(&place.data(), &model, &folder, "run [[script:bash]]"),
            b"",
        )
    };
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| run(&one));
        let b = scope.spawn(|| run(&two));
        (a.join().unwrap(), b.join().unwrap())
    });
    for ended in [a, b] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(
            ended.out.contains("    echo scripted-tool-output\n")
                && ended.out.contains("bash failed"),
            "{ended:?}"
        );
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    }

    // `chat | head -1`, with an approval that nobody can see any more; both streams closed.
    let mut child = chat(&one.data(), &model, &folder, "run [[script:bash]]")
        .arg("--json")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    drop(child.stderr.take());
    assert!(line.starts_with('{'), "{line}");
    assert_eq!(
        wait(&mut child),
        Some(0),
        "denied, although the keyboard is still there"
    );
    drop(stdin);

    // Ctrl-C once ends in order; twice ends at once. Both leave no process and no key.
    for twice in [false, true] {
        let mut child = chat(&one.data(), &model, &folder, "slowly [[script:slow]]")
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("tick tick") {
            let bytes = out.fill_buf().unwrap();
            assert!(!bytes.is_empty(), "it ended early");
            seen.extend_from_slice(bytes);
            let count = bytes.len();
            out.consume(count);
        }
        let begun = Instant::now();
        signal(&child, "-INT");
        if twice {
            std::thread::sleep(Duration::from_millis(100));
            signal(&child, "-INT");
        }
        assert_eq!(wait(&mut child), Some(130));
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
        let data = one.data();
        eventually("no process is left", || processes_of(&data).is_empty());
        if !twice {
            assert_eq!(config_files(&data), 0);
        }
    }
}

#[test]
fn a_stop_while_opencode_is_being_started_leaves_neither_process_nor_key() {
    let place = Place::new();
    let data = place.data();
    let silent = place.script("exec sleep 600");
    let silent = [
        "--opencode",
        silent.to_str().unwrap(),
        "--demo-endpoint",
        "http://127.0.0.1:9/v1",
    ];
    let mut served = Served::start(&data, &silent);
    eventually("it is being started", || {
        config_files(&data) == 1
            && processes_of(&data)
                .iter()
                .any(|(_, line)| line.contains("sleep 600"))
    });
    assert_eq!(served.stop(), Some(0), "{}", served.log());
    assert_eq!(config_files(&data), 0);
    eventually("no process is left", || processes_of(&data).is_empty());
}

#[test]
fn output_that_nobody_reads_is_no_panic() {
    let place = Place::new();
    for arguments in [&["config", "show"][..], &["serve", "--opencode", "/nope"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(arguments);
        command.arg("--data-dir").arg(place.data()).stdout(writer);
        let ended = finish(command, b"");
        ended.complains(1, &["roken pipe"]);
    }
    assert_eq!(run(&["--version"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_folder_that_changes_between_trust_and_prompt_is_asked_again() {
    use open_cowork_workbench::{PromptInput, Workspace as _, WorkspaceError};
    let rig = Rig::start().await;
    let marker = rig.data.path().join("ran");
    let code = |word: &str| {
        format!(
            "require('fs').writeFileSync({:?}, {word:?}); export default async () => ({{}})",
            marker.to_str().unwrap()
        )
    };
    let thread = rig.thread().await;
    rig.folder
        .write(".opencode/plugin/a.js", &code("one"))
        .unwrap();
    let trust = rig.workspace.trust(&thread).await.unwrap();
    assert!(!trust.trusted);
    rig.folder
        .write(".opencode/plugin/a.js", &code("two"))
        .unwrap();
    assert!(
        rig.workspace
            .grant_trust(&thread, &trust.digest)
            .await
            .is_err(),
        "not what was seen"
    );
    let trust = rig.workspace.trust(&thread).await.unwrap();
    rig.workspace
        .grant_trust(&thread, &trust.digest)
        .await
        .unwrap();
    rig.folder
        .write(".opencode/plugin/b.js", &code("three"))
        .unwrap();
    let prompt = PromptInput {
        text: "hello [[script:hello]]".into(),
        ..PromptInput::default()
    };
    let refused = rig
        .workspace
        .prompt(&thread, prompt.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, WorkspaceError::TrustRequired(_)),
        "{refused:?}"
    );

    // A linked folder of settings leads nowhere.
    let plain = GitWorkspace::new().unwrap();
    std::fs::create_dir_all(plain.path().join("elsewhere")).unwrap();
    let hidden = rig.folder.path().join(".opencode");
    std::os::unix::fs::symlink(&hidden, plain.path().join(".opencode")).unwrap();
    let directory = Some(plain.path().to_string_lossy().into_owned());
    let linked = rig
        .workspace
        .create_thread(open_cowork_workbench::NewThread { directory })
        .await
        .unwrap();
    let refused = rig
        .workspace
        .prompt(&linked, prompt.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, WorkspaceError::Conflict(why) if why.contains("link to the outside")),
        "{refused:?}"
    );

    // A parent's settings count for the folder below.
    let below = rig.folder.path().join("notes");
    let directory = Some(below.to_string_lossy().into_owned());
    let child = rig
        .workspace
        .create_thread(open_cowork_workbench::NewThread { directory })
        .await
        .unwrap();
    let refused = rig.workspace.prompt(&child, prompt).await.unwrap_err();
    assert!(
        matches!(refused, WorkspaceError::TrustRequired(_)),
        "{refused:?}"
    );
    assert!(!marker.exists(), "nothing of any of them ran");
    rig.desktop.close().await;
}
