//! A throw-away git folder for an agent to work in.

use crate::TestkitError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A temporary folder under git with one commit and a few Markdown files; removed on drop.
#[derive(Debug)]
pub struct GitWorkspace {
    folder: tempfile::TempDir,
}

/// The files that every new workspace holds.
const FILES: [(&str, &str); 3] = [
    (
        "README.md",
        "# Sample workspace\n\nhello from the sample workspace\n",
    ),
    (
        "notes/plan.md",
        "# Plan\n\n- say hello\n- write the report\n",
    ),
    ("notes/ideas.md", "# Ideas\n\nThe second one is better.\n"),
];

impl GitWorkspace {
    /// Makes the folder, the files and the commit.
    ///
    /// # Errors
    /// [`TestkitError::ProgramMissing`] without git, [`TestkitError::File`] when the temporary
    /// folder is not writable.
    pub fn new() -> Result<Self, TestkitError> {
        let folder = tempfile::Builder::new()
            .prefix("open-cowork-workspace-")
            .tempdir()
            .map_err(TestkitError::file(std::env::temp_dir()))?;
        fill(folder.path())?;
        Ok(Self { folder })
    }

    /// The folder, with symbolic links resolved, as OpenCode reports it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder
            .path()
            .canonicalize()
            .unwrap_or_else(|_| self.folder.path().to_owned())
    }

    /// Writes a file, making its folders.
    ///
    /// # Errors
    /// [`TestkitError::File`] when it cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf, TestkitError> {
        write(self.folder.path(), name, content)
    }

    /// Runs git in the folder and returns what it printed.
    ///
    /// # Errors
    /// [`TestkitError::Command`] with git's own message.
    pub fn git(&self, arguments: &[&str]) -> Result<String, TestkitError> {
        git(self.folder.path(), arguments)
    }
}

/// Makes the sample files and the first commit in an existing, empty folder.
///
/// # Errors
/// As [`GitWorkspace::new`].
pub fn fill(folder: &Path) -> Result<(), TestkitError> {
    for (name, content) in FILES {
        write(folder, name, content)?;
    }
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "--message", "First notes"])?;
    Ok(())
}

fn write(folder: &Path, name: &str, content: &str) -> Result<PathBuf, TestkitError> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(TestkitError::file(parent))?;
    }
    std::fs::write(&path, content).map_err(TestkitError::file(&path))?;
    Ok(path)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, TestkitError> {
    let missing = || TestkitError::ProgramMissing {
        program: "git",
        install: "apt-get install git",
    };
    // Neither the user's settings nor an outer repository's variables may change the outcome.
    let mut command = Command::new(crate::process::find_program("git").ok_or_else(missing)?);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .output()
        .map_err(TestkitError::file(folder))?;
    if !output.status.success() {
        return Err(TestkitError::Command {
            command: format!("git {}", arguments.join(" ")),
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_workspace_is_clean_and_has_one_commit() {
        let workspace = GitWorkspace::new().unwrap();
        assert_eq!(workspace.git(&["status", "--porcelain"]).unwrap(), "");
        assert_eq!(
            workspace
                .git(&["rev-list", "--count", "HEAD"])
                .unwrap()
                .trim(),
            "1"
        );
    }

    #[test]
    fn a_written_file_shows_as_a_change() {
        let workspace = GitWorkspace::new().unwrap();
        workspace.write("deep/er/new.txt", "x").unwrap();
        assert_eq!(
            workspace.git(&["status", "--porcelain"]).unwrap().trim(),
            "?? deep/"
        );
    }
}
