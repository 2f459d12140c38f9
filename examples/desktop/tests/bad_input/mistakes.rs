//! Mistakes on the command line and in the data folder.

use crate::program::{Ended, Place, command, finish, run, set_mode};
use open_cowork_testkit::unprivileged::rerun_as_ordinary_user;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Nothing listens there; good enough to get past the settings.
const NO_MODEL: &str = "http://127.0.0.1:9/v1";

fn chat(place: &Place, arguments: &[&str]) -> Ended {
    let mut chat = command(&["chat", "--demo-endpoint", NO_MODEL, "--data-dir"]);
    chat.arg(place.data()).args(arguments);
    finish(chat, b"")
}

fn config(place: &Place, arguments: &[&str], input: &[u8]) -> Ended {
    let mut config = command(&["config"]);
    config.args(arguments).arg("--data-dir").arg(place.data());
    finish(config, input)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn a_prompt_that_can_never_be_sent_is_refused_before_anything_is_made() {
    let place = Place::new();
    let long = "x".repeat(64 * 1024 + 1);
    chat(&place, &[&long]).complains(2, &["65 KiB", "at most 64 KiB", "file"]);
    chat(&place, &["  \n "]).complains(2, &["empty"]);
    chat(&place, &["hello", "--agent", "root"]).complains(2, &["\"root\"", "build or plan"]);
    for thread in [
        "nope",
        "../../etc/passwd",
        "a\u{202e}b",
        &"9".repeat(4000),
        "",
    ] {
        chat(&place, &["hello", "--thread", thread]).complains(2, &["no such chat"]);
    }
    assert_eq!(place.chats(), 0, "no empty chat stays");
}

#[test]
fn a_missing_opencode_is_named_with_the_way_to_get_it() {
    let place = Place::new();
    chat(&place, &["hello", "--opencode", "/nope/opencode"])
        .complains(1, &["/nope/opencode", "opencode-ai", "1.18.33"]);
    let mut without = command(&["chat", "hello", "--demo-endpoint", NO_MODEL, "--data-dir"]);
    without.arg(place.data()).env("PATH", "");
    finish(without, b"").complains(1, &["PATH", "opencode-ai"]);
    assert_eq!(place.chats(), 0);
}

#[test]
fn an_opencode_that_crashes_at_start_is_told_with_its_last_words_and_soon() {
    let place = Place::new();
    let crash = place.script("echo \"cannot open shared object\" >&2; exit 127");
    let ended = chat(&place, &["hello", "--opencode", crash.to_str().unwrap()]);
    ended.complains(1, &["did not start", "127", "cannot open shared object"]);
    assert!(ended.took.as_secs() < 30, "it took {:?}", ended.took);
    assert_eq!(place.chats(), 0);
    assert_eq!(
        names(&place.data().join("runtime-home/.open-cowork/config")),
        [""; 0],
        "no key stays on disk"
    );
}

#[test]
fn an_opencode_of_another_version_is_refused_with_the_tested_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 8192]);
            let body = r#"{"healthy":true,"version":"2.0.1"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
        }
    });
    let place = Place::new();
    let fake = place.script(&format!(
        "echo \"opencode server listening on http://{address}\"; exec sleep 600"
    ));
    chat(&place, &["hello", "--opencode", fake.to_str().unwrap()])
        .complains(1, &["2.0.1", "1.18.33"]);
    assert_eq!(place.chats(), 0);
}

#[test]
fn a_folder_that_can_not_be_worked_in_is_refused() {
    let place = Place::new();
    let file = place.path().join("file.txt");
    std::fs::write(&file, "x").unwrap();
    chat(&place, &["hello", "--workspace", file.to_str().unwrap()])
        .complains(1, &["file.txt", "is a file", "--workspace"]);
    let gone = place.path().join("gone");
    chat(&place, &["hello", "--workspace", gone.to_str().unwrap()])
        .complains(1, &["gone", "--workspace"]);
    assert_eq!(
        names(&place.path()),
        ["file.txt"],
        "not even a data folder was made"
    );
}

#[test]
fn a_data_folder_that_can_not_be_used_is_named() {
    let place = Place::new();
    std::fs::write(place.data(), "mine").unwrap();
    chat(&place, &["hello"]).complains(1, &["is a file", "--data-dir"]);
    assert_eq!(std::fs::read_to_string(place.data()).unwrap(), "mine");

    std::fs::remove_file(place.data()).unwrap();
    std::fs::create_dir(place.data()).unwrap();
    set_mode(&place.data(), 0o777);
    chat(&place, &["hello"]).complains(1, &["other users", "chmod go-w"]);
    assert_eq!(names(&place.data()), [""; 0]);
}

#[test]
fn a_read_only_data_folder_is_named() {
    let here = "mistakes::a_read_only_data_folder_is_named";
    // The copied program of the repeated run would not find ours in the target folder of root.
    if open_cowork_testkit::unprivileged::command(Path::new(crate::support::PROGRAM))
        .unwrap()
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: the program lies in a folder that only root can enter");
        return;
    }
    if rerun_as_ordinary_user(here).unwrap() {
        return;
    }
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    set_mode(&place.data(), 0o500);
    chat(&place, &["hello"]).complains(1, &["data", "Permission denied", "--data-dir"]);
    config(
        &place,
        &["set", "--provider", "openai", "--model", "m"],
        b"",
    )
    .complains(1, &["Permission denied"]);
    set_mode(&place.data(), 0o700);
    assert_eq!(names(&place.data()), [""; 0]);
}

#[test]
fn a_damaged_or_foreign_or_newer_database_is_kept_as_it_is() {
    let place = Place::new();
    let database = place.data().join("threads.sqlite");
    std::fs::create_dir(place.data()).unwrap();
    set_mode(&place.data(), 0o700);
    let garbage = b"not a database at all ".repeat(500);
    std::fs::write(&database, &garbage).unwrap();
    chat(&place, &["hello"]).complains(1, &["threads.sqlite", "damaged", "backup"]);
    assert_eq!(std::fs::read(&database).unwrap(), garbage);

    // A database of ours that was cut in the middle.
    std::fs::remove_file(&database).unwrap();
    chat(&place, &["hello", "--opencode", "/nope"]).complains(1, &["/nope"]);
    let whole = std::fs::read(&database).unwrap();
    std::fs::write(&database, &whole[..whole.len() / 2 - 100]).unwrap();
    let cut = chat(&place, &["hello", "--opencode", "/nope"]);
    cut.complains(1, &["threads.sqlite"]);

    // One that a later version made.
    std::fs::write(&database, &whole).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query("INSERT INTO schema_migrations (version) VALUES (999)")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
    });
    chat(&place, &["hello", "--opencode", "/nope"]).complains(1, &["threads.sqlite", "newer"]);
}

#[test]
fn a_folder_in_use_names_the_process_that_holds_it() {
    let place = Place::new();
    let served = crate::program::Served::start(&place.data(), &["--opencode", "/nope"]);
    let holder = format!("process {}", served.child.id());
    chat(&place, &["hello"]).complains(1, &["in use", &holder, "--data-dir"]);
    config(
        &place,
        &["set", "--provider", "openai", "--model", "m"],
        b"",
    )
    .complains(1, &["in use", &holder]);
}

#[test]
fn a_taken_port_is_named_and_nothing_is_made() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut serve = command(&["serve", "--port", &port, "--data-dir"]);
    serve.arg(place.data());
    finish(serve, b"").complains(1, &["port", &port, "--port"]);
    assert_eq!(names(&place.path()), [""; 0]);
}

#[test]
fn damaged_settings_and_exposed_keys_are_named_and_kept() {
    let place = Place::new();
    config(
        &place,
        &["set", "--provider", "openai", "--model", "m", "--key-stdin"],
        b"sk-canary-1\n",
    );
    let key = place.data().join("keys/openai.key");
    set_mode(&key, 0o644);
    for ended in [chat(&place, &["hello"]), config(&place, &["show"], b"")] {
        ended.complains(1, &["openai.key", "chmod 600"]);
    }
    set_mode(&key, 0o600);
    let shown = config(&place, &["show", "--json"], b"");
    assert!(
        shown.out.contains("\"hasKey\":true") && !shown.out.contains("canary"),
        "{shown:?}"
    );

    let file = place.data().join("settings.json");
    for damaged in [
        "{ \"provider\": ",
        "[]",
        "{\"provider\":\"openai\",\"model\":\"m\",\"apiKey\":\"sk-canary\"}",
        "\u{0}",
    ] {
        std::fs::write(&file, damaged).unwrap();
        for ended in [chat(&place, &["hello"]), config(&place, &["show"], b"")] {
            ended.complains(1, &["settings.json", "correct or remove it"]);
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged);
    }
}

#[test]
fn settings_that_can_not_work_are_refused_and_nothing_is_written() {
    let place = Place::new();
    let set = |arguments: &[&str], key: &[u8]| {
        let arguments = [&["set", "--key-stdin"], arguments].concat();
        config(&place, &arguments, key)
    };
    let openai = ["--provider", "openai", "--model", "m"];
    set(&openai, b"sk-canary\nsk-canary-2").complains(1, &["key", "one line"]);
    set(&openai, b"").complains(1, &["key", "one line"]);
    set(&openai, b"\xff\xfe\xfd").complains(1, &["key", "not text"]);
    set(&openai, &b"k".repeat(1024 * 1024)).complains(1, &["key", "one line"]);
    set(&["--provider", "acme", "--model", "m"], b"sk-canary")
        .complains(1, &["\"acme\"", "openai"]);
    set(&["--provider", "openai", "--model", " "], b"sk-canary").complains(1, &["model id"]);
    let custom = |url: &'static str| ["--provider", "custom", "--model", "m", "--base-url", url];
    set(&custom("nonsense"), b"sk-canary").complains(1, &["endpoint", "https://"]);
    set(&custom("http://models.example.com/v1"), b"sk-canary")
        .complains(1, &["https://", "this machine"]);
    set(&custom("https://u:canary@example.com/v1"), b"k").complains(1, &["user name or key"]);
    set(&custom("https://example.com/v1?api_key=canary"), b"k").complains(1, &["endpoint", "?"]);
    assert_eq!(names(&place.data()), ["desktop.lock"]);

    // A test that fails saves nothing either, and never shows the key.
    let local = [
        "--provider",
        "custom",
        "--model",
        "m",
        "--base-url",
        NO_MODEL,
        "--test",
    ];
    set(&local, b"sk-canary").complains(1, &["can't be reached", "Nothing was saved"]);
    assert_eq!(names(&place.data()), ["desktop.lock"]);
}

#[test]
fn the_command_line_explains_itself() {
    let help = run(&["--help"]);
    assert!(
        help.code == Some(0) && help.out.contains("Examples:") && help.out.contains("serve"),
        "{help:?}"
    );
    for wrong in [
        &["serve", "--nope"][..],
        &["serve", "--port", "80000"],
        &["chat"],
        &["dance"],
        &[],
    ] {
        let ended = run(wrong);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.err.contains("--help") || ended.err.contains("Usage"),
            "{ended:?}"
        );
    }
    run(&["--log", "=[", "serve"]).complains(2, &["--log", "info"]);
}

#[test]
fn a_full_disk_at_start_is_named_and_loses_nothing() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let mount = |arguments: &[&str]| {
        Command::new("mount")
            .args(arguments)
            .arg(place.data())
            .status()
            .is_ok_and(|s| s.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"]) {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    }
    let filler = place.data().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let full = chat(&place, &["hello", "--opencode", "/nope"]);
    std::fs::remove_file(&filler).unwrap();
    let again = chat(&place, &["hello", "--opencode", "/nope"]);
    Command::new("umount")
        .arg("-l")
        .arg(place.data())
        .status()
        .unwrap();
    full.complains(1, &["data"]);
    assert!(
        full.err.contains("full") || full.err.contains("space"),
        "{full:?}"
    );
    again.complains(1, &["/nope"]);
}
