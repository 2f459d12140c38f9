//! Which folders an agent may work in.

use crate::error::DesktopError;
use open_cowork_workbench::WorkspaceError;
use std::path::{Path, PathBuf};

/// The folder of `--workspace`, in full: it must be there, or every new chat would fail.
pub(crate) fn existing(folder: &Path) -> Result<PathBuf, DesktopError> {
    let shown = folder.display();
    let full = folder.canonicalize().map_err(|error| {
        DesktopError::Workspace(format!(
            "the folder {shown} can't be opened ({error}); make it, or pass another --workspace"
        ))
    })?;
    match full.is_dir() {
        true => Ok(full),
        false => Err(DesktopError::Workspace(format!(
            "{shown} is a file; pass a folder as --workspace"
        ))),
    }
}

/// The folder of a new chat, as it is stored: all links resolved.
pub(crate) fn for_new_chat(folder: &Path, data: &Path) -> Result<String, WorkspaceError> {
    let shown = folder.display();
    if !folder.is_absolute() {
        let shown = shown.to_string();
        return Err(WorkspaceError::Invalid(format!(
            "The folder {shown:?} must be a full path, such as /home/me/project."
        )));
    }
    let full = folder.canonicalize().map_err(|error| {
        WorkspaceError::Invalid(format!(
            "The folder {shown} can't be opened ({error}); choose another."
        ))
    })?;
    if !full.is_dir() {
        return Err(WorkspaceError::Invalid(format!(
            "{} is a file; choose a folder.",
            full.display()
        )));
    }
    refuse_own_data(&full, data)?;
    full.to_str().map(str::to_owned).ok_or_else(|| {
        WorkspaceError::Invalid(format!(
            "The name of the folder {} is not UTF-8 text; rename it or choose another.",
            full.display()
        ))
    })
}

/// Reading and searching inside the folder never ask, so the folder must not hold our keys and chats: neither the
/// data folder itself nor a parent of it. The demo folder inside is meant to be worked in.
pub(crate) fn refuse_own_data(folder: &Path, data: &Path) -> Result<(), WorkspaceError> {
    let resolve = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (folder, data) = (resolve(folder), resolve(data));
    let apart = !folder.starts_with(&data) && !data.starts_with(&folder);
    if apart || folder.starts_with(data.join("demo-workspace")) {
        return Ok(());
    }
    Err(WorkspaceError::Invalid(format!(
        "The folder {} holds this program's own data, with keys and chats ({}); choose another folder.",
        folder.display(),
        data.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn our_own_data_is_no_workspace_whatever_leads_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let data = root.join("data");
        for made in ["data/demo-workspace/sub", "data/keys", "project", "data-2"] {
            std::fs::create_dir_all(root.join(made)).unwrap();
        }
        std::os::unix::fs::symlink(&data, root.join("link")).unwrap();
        for own in [
            "data",
            "data/keys",
            "link",
            "link/keys",
            ".",
            "project/../data",
            "data/demo-workspace/..",
        ] {
            let error = for_new_chat(&root.join(own), &data)
                .unwrap_err()
                .to_string();
            assert!(error.contains("own data"), "{own}: {error}");
        }
        for open in [
            "data/demo-workspace",
            "data/demo-workspace/sub",
            "project",
            "data-2",
        ] {
            for_new_chat(&root.join(open), &data).unwrap();
        }
    }

    #[test]
    fn what_is_no_folder_or_has_no_name_in_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = Path::new("/nonexistent/data");
        let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"a\xff"));
        std::fs::create_dir(&odd).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (folder, word) in [
            (odd.as_path(), "UTF-8"),
            (&file, "is a file"),
            (Path::new("here"), "full path"),
            (Path::new("/nope"), "can't be opened"),
        ] {
            let error = for_new_chat(folder, data).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
