//! The scan of a folder: which files, in which order, and what the baseline does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_cli::hygiene::baseline::{BASELINE_FILE, Baseline};
use open_cowork_cli::hygiene::{self, Options, Scan};
use open_cowork_contracts::finding::Severity;
use std::path::Path;
use tempfile::TempDir;

/// Assembled, so that nobody takes it for real.
fn token() -> String {
    format!("gh{}_{}", "p", "k9f8e7d6c5b4a3928170")
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

fn scan(dir: &Path) -> Scan {
    hygiene::scan(dir, &Options::default()).unwrap()
}

fn found(scan: &Scan) -> Vec<(String, &str)> {
    scan.findings
        .iter()
        .map(|finding| (finding.path.clone(), finding.code.as_str()))
        .collect()
}

fn pair<'a>(path: &str, code: &'a str) -> (String, &'a str) {
    (path.to_owned(), code)
}

#[test]
fn hidden_files_count_ignored_and_binary_ones_do_not() {
    let line = format!("TOKEN={}\n", token());
    let binary = [b"\0\x01".as_slice(), line.as_bytes()].concat();
    let dir = folder(&[
        (".gitignore", b"local.env\n"),
        (".env.shared", line.as_bytes()),
        ("local.env", line.as_bytes()),
        (".git/config", line.as_bytes()),
        ("a.bin", &binary),
        ("b/c.txt", line.as_bytes()),
    ]);
    let scan = scan(dir.path());
    assert_eq!(
        found(&scan),
        [
            pair(".env.shared:1", "HYGIENE_GIT_HOST_TOKEN"),
            pair("b/c.txt:1", "HYGIENE_GIT_HOST_TOKEN")
        ]
    );
    assert_eq!((scan.files, scan.binaries), (4, 1));
}

#[test]
fn the_order_is_the_same_with_any_number_of_threads() {
    let line = format!("x\nTOKEN={0} {0}\n", token());
    let files: Vec<(String, Vec<u8>)> = (0..40)
        .map(|n| (format!("d{}/f{n}.env", n % 7), line.clone().into_bytes()))
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    let dir = folder(&files);
    let with = |threads| {
        hygiene::scan(
            dir.path(),
            &Options {
                threads,
                ..Options::default()
            },
        )
        .unwrap()
        .findings
    };
    assert_eq!(with(1), with(8));
    assert_eq!(with(1).len(), 80);
}

#[test]
fn a_large_text_is_a_finding_not_a_silence() {
    let dir = folder(&[("big.txt", &[b'a'; 3000])]);
    let options = Options {
        max_file_bytes: 2000,
        ..Options::default()
    };
    let scan = hygiene::scan(dir.path(), &options).unwrap();
    assert_eq!(found(&scan), [pair("big.txt", "HYGIENE_FILE_TOO_LARGE")]);
    assert_eq!(scan.findings[0].severity, Severity::Warning);
}

#[test]
fn wide_and_broken_encodings_are_read() {
    let line = format!("TOKEN={}\n", token());
    let mut wide = vec![0xff, 0xfe];
    wide.extend(line.encode_utf16().flat_map(u16::to_le_bytes));
    let broken = [b"\xc3\x28 ".as_slice(), line.as_bytes()].concat();
    let dir = folder(&[("a.ps1", &wide), ("b.env", &broken)]);
    assert_eq!(scan(dir.path()).findings.len(), 2);
}

#[test]
fn a_baseline_accepts_what_was_there_and_nothing_else() {
    let line = format!("TOKEN={}\n", token());
    let dir = folder(&[("a.env", line.as_bytes())]);
    let first = scan(dir.path());
    assert_eq!(
        hygiene::write_baseline(dir.path(), &first, "a fake for a test").unwrap(),
        1
    );
    let second = scan(dir.path());
    assert!(
        second.findings.is_empty() && second.accepted == 1,
        "{:?}",
        second.findings
    );

    // It moves with the line; another value in its place is new.
    std::fs::write(dir.path().join("a.env"), format!("# moved\n\n{line}")).unwrap();
    assert!(scan(dir.path()).findings.is_empty());
    std::fs::write(dir.path().join("a.env"), line.replace("k9f8", "q7w6")).unwrap();
    assert_eq!(
        found(&scan(dir.path())),
        [
            pair("a.env:1", "HYGIENE_GIT_HOST_TOKEN"),
            pair(BASELINE_FILE, "HYGIENE_BASELINE_STALE")
        ]
    );
    let without = Options {
        use_baseline: false,
        ..Options::default()
    };
    assert_eq!(
        hygiene::scan(dir.path(), &without).unwrap().findings.len(),
        1
    );
}

#[test]
fn a_baseline_tells_nothing_about_the_value_and_keeps_reasons() {
    let line = format!("TOKEN={}\nDB_PASSWORD=hunter2secret\n", token());
    let dir = folder(&[("a.env", line.as_bytes())]);
    hygiene::write_baseline(dir.path(), &scan(dir.path()), "first reason").unwrap();
    std::fs::write(dir.path().join("b.env"), "API_TOKEN=hunter2secret\n").unwrap();
    hygiene::write_baseline(dir.path(), &scan(dir.path()), "second reason").unwrap();
    let text = std::fs::read_to_string(dir.path().join(BASELINE_FILE)).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("k9f8"));
    let baseline: Baseline = serde_json::from_str(&text).unwrap();
    let reasons: Vec<_> = baseline
        .entries
        .iter()
        .map(|entry| entry.reason.as_str())
        .collect();
    assert_eq!(reasons, ["first reason", "first reason", "second reason"]);
}

#[test]
fn an_entry_or_an_exclusion_without_a_reason_does_not_count() {
    let baseline =
        r#"{"schemaVersion": 1, "exclude": [{"path": "/b/", "reason": " "}], "entries": []}"#;
    let line = format!("TOKEN={}\n", token());
    let dir = folder(&[
        (BASELINE_FILE, baseline.as_bytes()),
        ("b/a.env", line.as_bytes()),
    ]);
    assert_eq!(
        found(&scan(dir.path())),
        [
            pair("b/a.env:1", "HYGIENE_GIT_HOST_TOKEN"),
            pair(BASELINE_FILE, "HYGIENE_BASELINE_REASON")
        ]
    );
    assert!(hygiene::write_baseline(dir.path(), &scan(dir.path()), " ").is_err());
}

#[test]
fn excluded_folders_are_not_looked_at() {
    let baseline =
        r#"{"schemaVersion": 1, "exclude": [{"path": "/b/", "reason": "a corpus of fakes"}]}"#;
    let line = format!("TOKEN={}\n", token());
    let dir = folder(&[
        (BASELINE_FILE, baseline.as_bytes()),
        ("b/a.env", line.as_bytes()),
    ]);
    assert!(scan(dir.path()).findings.is_empty());
}

#[test]
fn a_missing_folder_and_a_broken_baseline_are_usage_errors() {
    assert!(hygiene::scan(Path::new("/no/such/folder"), &Options::default()).is_err());
    for text in [
        "{",
        r#"{"schemaVersion": 2}"#,
        r#"{"schemaVersion": 1, "entrys": []}"#,
    ] {
        let dir = folder(&[(BASELINE_FILE, text.as_bytes())]);
        let error = hygiene::scan(dir.path(), &Options::default()).unwrap_err();
        assert!(error.to_string().contains(BASELINE_FILE), "{error}");
    }
}

#[test]
fn progress_counts_every_file() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let dir = folder(&[("a", b"x"), ("b", b"x"), ("c", b"x")]);
    let calls = AtomicUsize::new(0);
    let progress = |_done: usize, of: usize| {
        assert_eq!(of, 3);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    hygiene::scan(
        dir.path(),
        &Options {
            progress: &progress,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(calls.into_inner(), 3);
}

#[test]
fn a_zero_byte_hides_nothing_in_a_file_that_is_text_by_its_name() {
    let line = format!("TOKEN={}\n", token());
    let stray = [b"a\0b\n".as_slice(), line.as_bytes()].concat();
    let wide: Vec<u8> = line.bytes().flat_map(|byte| [byte, 0]).collect();
    let dir = folder(&[("a.txt", &stray), ("b.env", &wide), ("c.bin", &stray)]);
    let scan = scan(dir.path());
    assert_eq!(
        found(&scan),
        [
            pair("a.txt:2", "HYGIENE_GIT_HOST_TOKEN"),
            pair("b.env:1", "HYGIENE_GIT_HOST_TOKEN"),
        ]
    );
    assert_eq!(scan.binaries, 1);
}

#[test]
fn a_token_in_a_path_is_found_and_not_shown() {
    let dir = folder(&[(format!("notes/{}.txt", token()).as_str(), b"fine\n")]);
    let scan = scan(dir.path());
    assert_eq!(found(&scan), [pair("notes/***.txt", "HYGIENE_PATH")]);
    assert!(!format!("{scan:?}").contains(&token()));
}

#[test]
fn a_reason_with_a_secret_is_not_written() {
    let line = format!("TOKEN={}\n", token());
    let dir = folder(&[("a.env", line.as_bytes())]);
    let scan = scan(dir.path());
    let reason = format!("because {} is old", token());
    let refused = hygiene::write_baseline(dir.path(), &scan, &reason).unwrap_err();
    assert!(!refused.to_string().contains(&token()), "{refused}");
    assert!(!dir.path().join(BASELINE_FILE).exists());
}

#[test]
fn a_file_is_no_folder_to_scan() {
    let dir = folder(&[("a.env", b"")]);
    let refused = hygiene::scan(&dir.path().join("a.env"), &Options::default()).unwrap_err();
    assert!(refused.to_string().contains("is a file"), "{refused}");
}
