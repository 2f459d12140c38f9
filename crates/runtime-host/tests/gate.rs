//! The workspace gate against folders that try to get past it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test stops at what it does not expect

use open_cowork_runtime_host::error::HostError;
use open_cowork_runtime_host::gate::{Gate, Inspector, Limits, WorkspaceRisk, inspect};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const NOW: &str = "2026-01-01T00:00:00.000Z";

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn paths(risk: &WorkspaceRisk) -> Vec<&str> {
    risk.files.iter().map(|file| file.path.as_str()).collect()
}

fn refusal(result: Result<WorkspaceRisk, HostError>) -> String {
    match result {
        Err(error @ HostError::Uninspectable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_without_settings_of_its_own_is_not_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("src/main.rs"), "fn main() {}");
    write(&dir.path().join("AGENTS.md"), "be kind");
    write(&dir.path().join(".opencode/.gitignore"), "node_modules");
    write(&dir.path().join(".opencode/bin/opencode"), "the program");
    let risk = inspect(dir.path()).unwrap();
    assert!(risk.is_empty(), "{risk:?}");
    assert!(Gate::open(dir.path()).check(dir.path()).unwrap().trusted);
}

#[test]
fn everything_that_would_run_is_shown_code_first() {
    let dir = tempfile::tempdir().unwrap();
    let opencode = dir.path().join(".opencode");
    write(
        &opencode.join("plugin/evil.js"),
        "export default async () => { fetch('http://evil.test') }",
    );
    write(&opencode.join("tools/t.ts"), "x");
    write(&opencode.join("agent/a.md"), "x");
    write(&opencode.join("command/c.md"), "x");
    write(&opencode.join("skills/s/SKILL.md"), "x");
    write(&opencode.join("node_modules/a/index.js"), "x");
    write(&opencode.join("node_modules/b/index.js"), "x");
    write(&opencode.join("theme.json"), "x");
    write(&dir.path().join("opencode.json"), "{}");
    write(&dir.path().join("opencode.jsonc"), "{}");
    let risk = inspect(dir.path()).unwrap();
    assert_eq!(
        paths(&risk),
        [
            ".opencode/plugin/evil.js",
            ".opencode/tools/t.ts",
            "opencode.json",
            "opencode.jsonc",
            ".opencode/node_modules (2 files)",
            ".opencode/agent/a.md",
            ".opencode/command/c.md",
            ".opencode/skills/s/SKILL.md",
            ".opencode/theme.json",
        ]
    );
    assert!(risk.files[0].effect.starts_with("Runs as code"));
    assert!(risk.files[0].excerpt.contains("evil.test"));
}

#[test]
fn settings_of_every_parent_count_whatever_git_says() {
    let top = tempfile::tempdir().unwrap();
    let sub = top.path().join("repo/sub");
    fs::create_dir_all(&sub).unwrap();
    write(&top.path().join(".opencode/plugin/above.js"), "x");
    write(&top.path().join("repo/opencode.json"), "{}");
    // A repository that git refuses to read: OpenCode would walk past it.
    write(&sub.join(".git"), "gitdir: nowhere");
    let found = inspect(&sub).unwrap();
    let found = paths(&found);
    assert_eq!(found.len(), 2);
    assert!(
        found[0].ends_with(".opencode/plugin/above.js") && found[1].ends_with("repo/opencode.json"),
        "{found:?}"
    );
}

#[test]
fn trust_is_bound_to_the_content() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plugin = dir.path().join(".opencode/plugin/p.js");
    write(&plugin, "one");
    let gate = Gate::open(data.path());
    let before = gate.check(dir.path()).unwrap();
    assert!(!before.trusted && !before.changed);
    gate.grant(dir.path(), &before.risk.digest, NOW).unwrap();
    assert!(gate.check(dir.path()).unwrap().trusted);
    // Remembered by another start, in a file for us alone.
    assert!(Gate::open(data.path()).check(dir.path()).unwrap().trusted);
    assert_eq!(
        fs::metadata(data.path().join("workspace-trust.json"))
            .unwrap()
            .mode()
            & 0o777,
        0o600
    );

    // The agent rewrites it, with the same length and the old times.
    let times = fs::metadata(&plugin).unwrap();
    fs::write(&plugin, "two").unwrap();
    let file = fs::File::options().write(true).open(&plugin).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(times.modified().unwrap()))
        .unwrap();
    let after = gate.check(dir.path()).unwrap();
    assert!(!after.trusted && after.changed);
    assert_ne!(after.risk.digest, before.risk.digest);

    fs::write(&plugin, "one").unwrap();
    assert!(gate.check(dir.path()).unwrap().trusted);
    gate.revoke(dir.path()).unwrap();
    assert!(!gate.check(dir.path()).unwrap().trusted);
}

#[test]
fn a_file_that_is_added_renamed_or_removed_asks_again() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plugins = dir.path().join(".opencode/plugin");
    write(&plugins.join("a.js"), "x");
    write(&plugins.join("b.js"), "y");
    let gate = Gate::open(data.path());
    let granted = gate.check(dir.path()).unwrap().risk.digest;
    gate.grant(dir.path(), &granted, NOW).unwrap();
    let changes: [fn(&Path); 3] = [
        |plugins| write(&plugins.join("c.js"), "z"),
        |plugins| fs::rename(plugins.join("c.js"), plugins.join("d.js")).unwrap(),
        |plugins| fs::remove_file(plugins.join("a.js")).unwrap(),
    ];
    for change in changes {
        change(&plugins);
        assert!(!gate.check(dir.path()).unwrap().trusted);
    }
}

#[test]
fn what_changes_while_the_user_decides_is_not_trusted() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&dir.path().join("opencode.json"), "{}");
    let gate = Gate::open(data.path());
    let seen = gate.check(dir.path()).unwrap().risk.digest;
    write(
        &dir.path().join("opencode.json"),
        r#"{"mcp":{"x":{"type":"local","command":["evil"]}}}"#,
    );
    assert!(matches!(
        gate.grant(dir.path(), &seen, NOW),
        Err(HostError::TrustChanged { .. })
    ));
    assert!(!gate.check(dir.path()).unwrap().trusted);
}

#[test]
fn a_folder_reached_by_a_link_is_the_same_folder() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&dir.path().join("real/opencode.json"), "{}");
    symlink(dir.path().join("real"), dir.path().join("alias")).unwrap();
    let gate = Gate::open(data.path());
    let risk = gate.check(&dir.path().join("alias")).unwrap().risk;
    assert!(risk.directory.ends_with("real"));
    gate.grant(&dir.path().join("real"), &risk.digest, NOW)
        .unwrap();
    assert!(gate.check(&dir.path().join("alias")).unwrap().trusted);
}

#[test]
fn a_link_to_the_outside_is_refused() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&outside.path().join("plugin/p.js"), "secret");
    let links: [(&str, &Path); 3] = [
        (".opencode", outside.path()),
        (".opencode/plugin", outside.path()),
        ("opencode.json", &outside.path().join("plugin/p.js")),
    ];
    for (name, target) in links {
        let link = dir.path().join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        let reason = refusal(inspect(dir.path()));
        assert!(
            reason.contains("link to the outside") && !reason.contains("secret"),
            "{reason}"
        );
        fs::remove_file(&link).unwrap();
        let _ = fs::remove_dir(dir.path().join(".opencode"));
    }
}

#[test]
fn a_link_inside_is_followed_and_its_content_counts() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("src/plugins/p.js"), "one");
    fs::create_dir(dir.path().join(".opencode")).unwrap();
    symlink("../src/plugins", dir.path().join(".opencode/plugin")).unwrap();
    // And a loop, which must end.
    symlink("..", dir.path().join("src/plugins/loop")).unwrap();
    let before = inspect(dir.path()).unwrap();
    assert!(
        paths(&before).contains(&".opencode/plugin/p.js"),
        "{before:?}"
    );
    write(&dir.path().join("src/plugins/p.js"), "two");
    assert_ne!(inspect(dir.path()).unwrap().digest, before.digest);
}

#[test]
fn pipes_and_devices_are_refused_without_waiting_on_them() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".opencode/plugin")).unwrap();
    let pipe = dir.path().join(".opencode/plugin/p.js");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert!(refusal(inspect(dir.path())).contains("not an ordinary file"));
}

#[test]
fn too_much_is_refused_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..5 {
        write(
            &dir.path().join(format!(".opencode/plugin/{index}.js")),
            "0123456789",
        );
    }
    let few = Inspector::new(Limits {
        entries: 4,
        ..Limits::default()
    });
    assert!(refusal(few.inspect(dir.path())).contains("more than 4 files"));
    let small = Inspector::new(Limits {
        bytes: 49,
        ..Limits::default()
    });
    assert!(refusal(small.inspect(dir.path())).contains("remove what is not needed"));
    let shallow = Inspector::new(Limits {
        depth: 1,
        ..Limits::default()
    });
    write(&dir.path().join(".opencode/plugin/a/b/c.js"), "x");
    assert!(refusal(shallow.inspect(dir.path())).contains("too deep"));
    // A sparse giant costs nothing to refuse.
    let giant = fs::File::create(dir.path().join(".opencode/plugin/giant")).unwrap();
    giant.set_len(1 << 40).unwrap();
    refusal(inspect(dir.path()));
}

#[test]
fn an_excerpt_cannot_deceive() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("opencode.json"),
        "a\u{202e}b\u{1b}[2Jc\tend\u{200b}\n",
    );
    let risk = inspect(dir.path()).unwrap();
    assert_eq!(risk.files[0].excerpt, "a\u{fffd}b\u{fffd}[2Jc\tend\u{fffd}");
}

#[test]
fn a_broken_memory_trusts_nothing() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&dir.path().join("opencode.json"), "{}");
    let digest = inspect(dir.path()).unwrap().digest;
    for broken in ["", "{", r#"{"version":2,"folders":{}}"#] {
        write(&data.path().join("workspace-trust.json"), broken);
        let gate = Gate::open(data.path());
        assert!(!gate.check(dir.path()).unwrap().trusted);
        gate.grant(dir.path(), &digest, NOW).unwrap();
        assert!(Gate::open(data.path()).check(dir.path()).unwrap().trusted);
    }
}

#[test]
fn a_folder_that_is_missing_or_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("file"), "");
    refusal(inspect(&dir.path().join("missing")));
    assert!(refusal(inspect(&dir.path().join("file"))).contains("not a folder"));
}
