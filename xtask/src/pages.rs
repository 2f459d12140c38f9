//! The documentation holds together: links resolve, every page can be reached from the README,
//! and nothing points outside the repository.

use anyhow::{Context as _, bail};
use pulldown_cmark::{Event, Parser, Tag};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Paths that exist on one machine only. In two pieces, so that this file doesn't hold them.
const FOREIGN: [&str; 3] = [
    concat!("../", "shared"),
    concat!("/work/", "main"),
    concat!("/work/", "shared"),
];
/// Recorded or generated data, which may hold anything.
const UNREAD: [&str; 2] = ["fixtures/", "Cargo.lock"];

/// Checks all pages of the repository at `root`.
///
/// # Errors
/// Every broken link, unreachable page and foreign path, with its file.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let files = tracked(root)?;
    let mut wrong = foreign_paths(root, &files);
    if !root.join("README.md").is_file() {
        wrong.push("README.md is missing".to_owned());
    }
    let pages: Vec<&PathBuf> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|ext| ext == "md"))
        .collect();
    let mut links = Vec::new();
    for page in &pages {
        for target in links_of(root, page) {
            if root.join(&target).exists() {
                links.push(((*page).clone(), target));
            } else {
                wrong.push(format!(
                    "{} links to {}, which is missing",
                    page.display(),
                    target.display()
                ));
            }
        }
    }
    let reached = reachable(Path::new("README.md"), &links);
    for page in pages.iter().filter(|page| page.starts_with("docs")) {
        if !reached.contains(*page) {
            wrong.push(format!(
                "{} is linked from nowhere; link it from docs/README.md",
                page.display()
            ));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(format!("{} pages, {} links", pages.len(), links.len()))
}

/// The files of the repository, relative to `root`: what git knows or would add.
fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("git could not be started")?;
    if !output.status.success() {
        bail!(
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let names = String::from_utf8_lossy(&output.stdout);
    let files = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    Ok(files.filter(|file| root.join(file).is_file()).collect())
}

fn foreign_paths(root: &Path, files: &[PathBuf]) -> Vec<String> {
    let mut wrong = Vec::new();
    let read = |file: &&PathBuf| {
        !UNREAD
            .iter()
            .any(|name| file.to_string_lossy().starts_with(name))
    };
    for file in files.iter().filter(read) {
        let Ok(text) = fs::read_to_string(root.join(file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if FOREIGN.iter().any(|path| holds_path(line, path)) {
                let number = number + 1;
                wrong.push(format!(
                    "{}:{number} names a path outside the repository",
                    file.display()
                ));
            }
        }
    }
    wrong
}

/// Whether the line holds this path from its beginning, not as the end of a longer one.
fn holds_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "-_./}>".contains(before))
    })
}

/// The files that a page links to, relative to `root`; addresses on the web are left out.
fn links_of(root: &Path, page: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join(page)).unwrap_or_default();
    let folder = page.parent().unwrap_or(Path::new(""));
    let target = |event: Event<'_>| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.to_string())
        }
        _ => None,
    };
    Parser::new(&text)
        .filter_map(target)
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            (!path.is_empty()).then(|| normal(&folder.join(path)))
        })
        .collect()
}

/// `a/b/../c` as `a/c`, without looking at the disk.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !parts.pop() {
                    parts.push("..");
                }
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

fn reachable(start: &Path, links: &[(PathBuf, PathBuf)]) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::from([start.to_owned()]);
    let mut open = vec![start.to_owned()];
    while let Some(page) = open.pop() {
        for (_, target) in links.iter().filter(|(from, _)| *from == page) {
            if reached.insert(target.clone()) {
                open.push(target.clone());
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let git = Command::new("git")
            .args(["init", "-q"])
            .current_dir(folder.path())
            .status();
        assert!(git.unwrap().success());
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn complaint(files: &[(&str, &str)]) -> String {
        check(repository(files).path()).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn linked_pages_pass_with_and_without_anchors() {
        let files = [
            (
                "README.md",
                "[docs](docs/a.md#top) [web](https://example.com) [here](#here)",
            ),
            ("docs/a.md", "[b](./sub/../b.md) `[no](link.md)`"),
            ("docs/b.md", "[up](../README.md)"),
        ];
        assert_eq!(complaint(&files), "");
    }

    #[test]
    fn a_broken_link_is_named_with_its_page() {
        let wrong = complaint(&[("README.md", "[gone](docs/gone.md)")]);
        assert_eq!(wrong, "README.md links to docs/gone.md, which is missing");
    }

    #[test]
    fn a_page_that_nobody_links_is_found() {
        let wrong = complaint(&[("README.md", "hello"), ("docs/lonely.md", "alone")]);
        assert!(
            wrong.contains("docs/lonely.md is linked from nowhere"),
            "{wrong}"
        );
    }

    #[test]
    fn a_path_outside_the_repository_is_found() {
        for path in FOREIGN {
            let wrong = complaint(&[
                ("README.md", "ok"),
                ("src/a.rs", &format!("x\n// see {path}")),
            ]);
            assert!(wrong.contains("src/a.rs:2"), "{wrong}");
        }
        assert!(!holds_path("/home/me/work/main", concat!("/work/", "main")));
    }
}
