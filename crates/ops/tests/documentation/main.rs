//! docs/configuration.md and docs/command.md show what the program really prints. Regenerate: `UPDATE_DOCS=1`.
//!
//! A page marks what is generated:
//!
//! - `<!-- run FOLDER: ARGUMENTS -->` … `<!-- end -->`: what the program prints in that folder,
//! - `<!-- pipe LINE | ARGUMENTS -->` … `<!-- end -->`: the same with a line on standard input,
//! - `<!-- file PATH -->` … `<!-- end -->`: a file of the repository,
//! - `<!-- errors -->` … `<!-- end -->`: every document of fixtures/config/errors with what it gets,
//! - `<!-- keys -->` … `<!-- end -->`: the table of keys, from the schema.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that can't go on fails

mod keys;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use support::{Run, finish, program, repository};

const ERRORS: &str = "fixtures/config/errors";

#[test]
fn configuration_shows_real_output() {
    is_current("docs/configuration.md");
}

#[test]
fn command_shows_real_output() {
    is_current("docs/command.md");
}

/// Codes about the environment of the cloud's and the gateway's own programs, and of programs that change a document:
/// no document can cause them.
const OF_PROGRAMS: [&str; 5] = [
    "CONFIG_CREDENTIALS",
    "CONFIG_ENV",
    "CONFIG_GATEWAY",
    "CONFIG_READ",
    "CONFIG_WRITE",
];

#[test]
fn every_code_of_the_loader_is_shown() {
    let page = generate(&fs::read_to_string(repository().join("docs/configuration.md")).unwrap());
    let mut codes = BTreeSet::new();
    collect_codes(&repository().join("crates/config/src"), &mut codes);
    assert!(codes.len() > 20, "{codes:?}");
    let missing: Vec<&String> = codes
        .iter()
        .filter(|code| !OF_PROGRAMS.contains(&code.as_str()))
        .filter(|code| !page.contains(&format!("### {code}\n")))
        .collect();
    assert!(
        missing.is_empty(),
        "a document in fixtures/config/errors is needed for each of {missing:?}"
    );
}

/// Whole text literals that are codes.
fn collect_codes(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_codes(&path, codes);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for literal in text.split('"') {
            let plain = |c: char| c.is_ascii_uppercase() || c == '_';
            if literal.starts_with("CONFIG_")
                && !literal.ends_with('_')
                && literal.chars().all(plain)
            {
                codes.insert(literal.to_owned());
            }
        }
    }
}

fn is_current(page: &str) {
    let path = repository().join(page);
    let written = fs::read_to_string(&path).unwrap();
    let generated = generate(&written);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
    } else {
        assert!(
            written == generated,
            "{page}: run this test with UPDATE_DOCS=1 and read the difference\n{}",
            first_difference(&written, &generated)
        );
    }
}

fn first_difference(written: &str, generated: &str) -> String {
    let differs = written.lines().zip(generated.lines()).find(|(a, b)| a != b);
    differs.map_or_else(
        || "one is longer".to_owned(),
        |(a, b)| format!("- {a}\n+ {b}"),
    )
}

/// The page with its marked parts made anew.
fn generate(page: &str) -> String {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(marker) = line
            .trim()
            .strip_prefix("<!-- ")
            .and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let made = match marker.split_once(' ') {
            Some(("run", rest)) => {
                let (folder, arguments) = rest.split_once(": ").unwrap();
                shown_run(folder, arguments)
            }
            Some(("file", path)) => shown_file(path),
            Some(("pipe", rest)) => {
                let (input, arguments) = rest.split_once(" | ").unwrap();
                shown_pipe(input, arguments)
            }
            _ if marker == "errors" => errors(),
            _ if marker == "keys" => keys::tables(),
            _ => continue,
        };
        let old_end = lines.by_ref().find(|line| line.trim() == "<!-- end -->");
        assert!(old_end.is_some(), "no end of {marker}");
        out.push_str(&format!("\n{}\n\n<!-- end -->\n", made.trim_end()));
    }
    out
}

/// No two runs take equally long.
fn timeless(line: &str) -> String {
    match line.split_once("\"durationMs\": ") {
        Some((before, number)) => {
            let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}\"durationMs\": 1{rest}")
        }
        None => line.to_owned(),
    }
}

fn shown_pipe(input: &str, arguments: &str) -> String {
    let words: Vec<&str> = arguments.split(' ').collect();
    let run = support::run_with_input(&repository(), &words, format!("{input}\n").as_bytes());
    assert_eq!(run.code, Some(0), "{run:?}");
    let answer = run.stdout.trim_end();
    format!("```console\n$ echo '{input}' | open-cowork {arguments}\n{answer}\n```")
}

fn shown_file(path: &str) -> String {
    let text = fs::read_to_string(repository().join(path)).unwrap();
    format!("```jsonc\n{}\n```", text.trim_end())
}

/// `latest-image` stands for a folder that can't be in the repository, because the repository is scanned too.
fn shown_run(folder: &str, arguments: &str) -> String {
    if folder == "latest-image" {
        let compose = format!("services:\n  web:\n    image: nginx:{}\n", "latest");
        return shown_on(&[("docker-compose.yml", &compose)], &[], arguments);
    }
    console(
        "",
        arguments,
        &finish(&mut prepared(&repository().join(folder), arguments)),
    )
}

/// The same in a folder with these files and variables, which is then gone.
fn shown_on(files: &[(&str, &str)], variables: &[(&str, &str)], arguments: &str) -> String {
    let folder = support::folder_with(files);
    let run = finish(prepared(folder.path(), arguments).envs(variables.iter().copied()));
    let shown: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value} "))
        .collect();
    console(&shown.concat(), arguments, &run)
}

fn prepared(folder: &Path, arguments: &str) -> std::process::Command {
    let mut command = program(folder);
    command.args(arguments.split(' '));
    command
}

fn console(variables: &str, arguments: &str, run: &Run) -> String {
    let mut text = format!(
        "$ {variables}open-cowork {arguments}\n{}{}",
        run.stdout, run.stderr
    );
    if run.code != Some(0) {
        text.push_str(&format!("$ echo $?\n{}\n", run.code.unwrap()));
    }
    // Trailing blanks would be noise in the page.
    let text: Vec<String> = text.lines().map(|line| timeless(line.trim_end())).collect();
    format!("```console\n{}\n```", text.join("\n"))
}

/// What is wrong with the place of documents, not with their text.
struct Machine {
    code: &'static str,
    title: &'static str,
    files: &'static [(&'static str, &'static str)],
    variables: &'static [(&'static str, &'static str)],
    arguments: &'static str,
}

const MACHINES: &[Machine] = &[
    Machine {
        code: "CONFIG_SOURCE_MISSING",
        title: "A file is named that isn't there.",
        files: &[],
        variables: &[],
        arguments: "config validate no-such-file.json",
    },
    Machine {
        code: "CONFIG_SOURCE_MISSING",
        title: "A variable names a file that isn't there.",
        files: &[],
        variables: &[("OPEN_COWORK_CONFIG_PATH", "overlay.json")],
        arguments: "config validate",
    },
    Machine {
        code: "CONFIG_SOURCE_UNREADABLE",
        title: "A folder is named, or a file that isn't text, is too large or may not be read.",
        files: &[("overlays/team.json", "{}")],
        variables: &[],
        arguments: "config validate overlays",
    },
    Machine {
        code: "CONFIG_SOURCE_SHADOWED",
        title: "Two files of one layer stand side by side; only the first is read.",
        files: &[("overlay.json", "{}"), ("overlay.jsonc", "{}")],
        variables: &[("OPEN_COWORK_CONFIG_PATH", "overlay.json")],
        arguments: "config validate",
    },
    Machine {
        code: "CONFIG_SOURCE_DATA_DIR",
        title: "The name of the folder of the user's layer is no folder name.",
        files: &[(
            "open-cowork.config.json",
            "{ \"branding\": { \"dataDirName\": \"acme/cowork\" } }",
        )],
        variables: &[],
        arguments: "config validate",
    },
];

/// Each document below the code that it shows first.
fn errors() -> String {
    let folder = repository().join(ERRORS);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut by_code: BTreeMap<String, String> = BTreeMap::new();
    for name in &names {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let (code, shown) = error_case(&folder, name, &text);
        by_code.entry(code).or_default().push_str(&shown);
    }
    for machine in MACHINES {
        let shown = shown_on(machine.files, machine.variables, machine.arguments);
        assert!(shown.contains(machine.code), "{shown}");
        let case = format!("{}\n\n{shown}\n\n", machine.title);
        by_code
            .entry(machine.code.into())
            .or_default()
            .push_str(&case);
    }
    by_code
        .iter()
        .map(|(code, cases)| format!("### {code}\n\n{cases}"))
        .collect()
}

/// The first comment of a document says what is wrong in it, an optional second one how it is checked.
fn error_case(folder: &Path, name: &str, text: &str) -> (String, String) {
    let mut lines = text.lines();
    let title = lines.next().unwrap().strip_prefix("// ").unwrap();
    let how = lines
        .next()
        .and_then(|line| line.strip_prefix("// open-cowork "))
        .unwrap_or("config validate FILE");
    let arguments = how.replace("FILE", name);
    let json = support::run(folder, format!("{arguments} --format json").split(' '));
    let report = json.json();
    let findings = report["findings"].as_array().unwrap();
    let error = findings
        .iter()
        .find(|finding| finding["severity"] == "error");
    let first = error.or(findings.first());
    let first = first.unwrap_or_else(|| panic!("{name} has no finding"));
    let document: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("//"))
        .collect();
    let shown = format!(
        "{title}\n\n```jsonc\n{}\n```\n\n{}\n\n",
        document.join("\n"),
        shown_run(ERRORS, &arguments)
    );
    (first["code"].as_str().unwrap().to_owned(), shown)
}
