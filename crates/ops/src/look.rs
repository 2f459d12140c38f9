//! What a page will not show as a configuration asks for it: pictures that aren't there, colours that can't be read,
//! a theme that nobody knows (02 §8). The desktop says the same when it starts; nothing of it keeps it from starting.

use open_cowork_config::load::{Layer, Loaded};
use open_cowork_contracts::finding::{Finding, Severity};
use open_cowork_theme::Theme;
use open_cowork_theme::apply::Remark;
use open_cowork_theme::look::look;
use open_cowork_workbench::Picture;
use serde_json::Value;
use std::path::{Path, PathBuf};

const PUBLIC_THEME: &str = "/cloud/publicBranding/theme";

/// Where a document names pictures (02 §4.2).
pub(crate) const PICTURES: [&str; 2] = ["/branding/sidebar/top/logoAsset", "/branding/appIcon"];

/// The way out that all pictures have.
pub(crate) const PICTURE_HELP: &str =
    "Put the picture into the folder `branding` beside the file that names it.";

/// The theme, and what its author should know.
pub(crate) fn theme(loaded: &Loaded) -> (Theme, Vec<Remark>) {
    look(
        &loaded.value()["branding"],
        // What somebody wrote: every resolved document has the built-in tokens too.
        loaded
            .written()
            .pointer(PUBLIC_THEME)
            .and_then(Value::as_object),
    )
}

/// All of it as warnings, each at the place where somebody said it. Names of layers are relative to `folder`.
pub(crate) fn findings(loaded: &Loaded, folder: &Path) -> Vec<Finding> {
    let remarks = theme(loaded).1;
    let about_colours = remarks.iter().map(|remark| of_remark(remark, loaded));
    let roots = open_cowork_desktop::config::asset_folders();
    let pictures = PICTURES.iter().filter_map(|pointer| {
        let (layer, name) = said(loaded, pointer)?;
        let name = name.as_str()?;
        let beside = folder.join(layer.file());
        let folders = beside.parent().map(Path::to_owned).into_iter();
        let why = picture(folders.chain(roots.iter().cloned()), name).err()?;
        Some(
            layer
                .document()
                .finding(
                    "BRANDING_PICTURE",
                    Severity::Warning,
                    pointer,
                    sentence(&why),
                )
                .with_help(PICTURE_HELP),
        )
    });
    about_colours.chain(pictures).collect()
}

/// Whether one of these folders has the picture in its folder `branding`, as the page reads it (02 §8.1). Otherwise
/// what is wrong in the folder that came nearest.
pub(crate) fn picture(
    folders: impl IntoIterator<Item = PathBuf>,
    name: &str,
) -> Result<(), String> {
    let mut why = None;
    for folder in folders {
        let folder = folder.join("branding");
        match Picture::read(&folder, name) {
            Ok(_) => return Ok(()),
            // The first folder is where it belongs.
            Err(error) if folder.is_dir() && why.is_none() => why = Some(error.to_string()),
            Err(_) => {}
        }
    }
    Err(why.unwrap_or_else(|| {
        format!(
            "the picture {name:?} is named, and there is no folder `branding` that could have it"
        )
    }))
}

/// As a sentence.
pub(crate) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

fn of_remark(remark: &Remark, loaded: &Loaded) -> Finding {
    let (code, pointer) = match remark {
        Remark::Contrast(warning) => (
            "BRANDING_CONTRAST",
            format!("{PUBLIC_THEME}/{}", warning.token),
        ),
        Remark::NotAColor { token } => ("BRANDING_NOT_A_COLOR", format!("{PUBLIC_THEME}/{token}")),
        Remark::UnknownTheme { .. } => (
            "BRANDING_THEME_UNKNOWN",
            "/branding/defaultTheme".to_owned(),
        ),
    };
    // A token that follows from others has its place where the theme is.
    let around = pointer.rsplit_once('/').map_or("", |(around, _)| around);
    let place = [pointer.as_str(), around]
        .into_iter()
        .find_map(|pointer| Some((said(loaded, pointer)?.0, pointer)));
    match place {
        Some((layer, pointer)) => {
            layer
                .document()
                .finding(code, Severity::Warning, pointer, remark.to_string())
        }
        None => Finding::error(code, "branding", remark.to_string()).into_warning(),
    }
}

/// The highest layer that says something there; its word counts.
fn said<'a>(loaded: &'a Loaded, pointer: &str) -> Option<(&'a Layer, &'a Value)> {
    loaded
        .layers()
        .iter()
        .rev()
        .find_map(|layer| Some((layer, layer.document().value().pointer(pointer)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_picture_is_looked_for_in_every_folder_and_its_faults_are_told() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = || [here.path().to_owned(), there.path().to_owned()];
        let why = |name: &str| picture(folders(), name).unwrap_err();
        assert!(why("a.svg").contains("no folder `branding`"));
        fs::create_dir(there.path().join("branding")).unwrap();
        let put = |name: &str, bytes: &[u8]| {
            fs::write(there.path().join("branding").join(name), bytes).unwrap();
        };
        put("a.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
        put("b.png", b"<svg/>");
        put("c.bmp", b"BM");
        put("d.gif", &vec![b'G'; 3 << 20]);
        picture(folders(), "branding/a.svg").unwrap();
        assert!(why("b.png").contains("not what its ending says"));
        assert!(why("c.bmp").contains("endings"));
        assert!(why("d.gif").contains("larger than 2 MiB"));
        assert!(why("../a.svg").contains("not inside"));
        assert!(why("missing.svg").contains("can't be read"));
    }

    #[test]
    fn words_become_a_sentence() {
        assert_eq!(sentence("the logo"), "The logo.");
        assert_eq!(sentence(""), ".");
    }
}
