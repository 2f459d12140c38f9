//! Pictures of a brand: files of its own folder, served from our own address (02 §8.1).

use std::fmt;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Largest picture, bytes. It is held in memory and sent to every visitor.
pub const LARGEST: u64 = 2 * 1024 * 1024;
/// Longest relative path, characters (02 §8.1).
const LONGEST_PATH: usize = 512;

/// A picture with its media type.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    kind: Kind,
    bytes: Arc<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Svg,
    Png,
    Jpeg,
    Webp,
    Gif,
}

/// Why a picture can't be shown. Whoever shows a page goes on without it (02 §8.1).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The path leads out of the branding folder.
    #[error(
        "the picture {0:?} is not inside the branding folder; write a relative path without \"..\" to a file there"
    )]
    Outside(String),
    /// Its ending names no kind of picture that is served.
    #[error(
        "the picture {0:?} has none of the endings .svg .png .jpg .jpeg .webp .gif; convert or rename it"
    )]
    Kind(String),
    /// Its content is something else than its ending says.
    #[error("the picture {0:?} is not what its ending says; save it again in that format")]
    Content(String),
    /// It is larger than [`LARGEST`].
    #[error("the picture {0:?} is larger than 2 MiB; make it smaller")]
    TooLarge(String),
    /// It isn't there or can't be read.
    #[error("the picture {path:?} can't be read ({reason}); check that the file is there")]
    Unreadable {
        /// The path as it was written.
        path: String,
        /// The system's reason.
        reason: String,
    },
}

impl Picture {
    /// Reads a picture of a branding folder. `name` is relative to it and may begin with `branding/`, which is then
    /// the folder itself.
    ///
    /// # Errors
    /// [`PictureError`], one sentence; also for links that lead out of the folder.
    pub fn read(folder: &Path, name: &str) -> Result<Picture, PictureError> {
        let relative = relative(name)?;
        let kind = Kind::of(name)?;
        let unreadable = |error: std::io::Error| PictureError::Unreadable {
            path: name.to_owned(),
            reason: error.to_string(),
        };
        let root = folder.canonicalize().map_err(unreadable)?;
        let path = root.join(relative).canonicalize().map_err(unreadable)?;
        if !path.starts_with(&root) {
            return Err(PictureError::Outside(name.to_owned()));
        }
        // Not a pipe, which would be waited for; asked of the opened file, so that it can't be exchanged in between.
        if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(PictureError::Unreadable {
                path: name.to_owned(),
                reason: "it is no file".to_owned(),
            });
        }
        let file = std::fs::File::open(&path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(PictureError::TooLarge(name.to_owned()));
        }
        if !kind.fits(&bytes) {
            return Err(PictureError::Content(name.to_owned()));
        }
        Ok(Picture {
            kind,
            bytes: bytes.into(),
        })
    }

    /// Its media type.
    pub fn mime(&self) -> &'static str {
        match self.kind {
            Kind::Svg => "image/svg+xml",
            Kind::Png => "image/png",
            Kind::Jpeg => "image/jpeg",
            Kind::Webp => "image/webp",
            Kind::Gif => "image/gif",
        }
    }

    /// Ending of its address.
    pub(crate) fn extension(&self) -> &'static str {
        match self.kind {
            Kind::Svg => "svg",
            Kind::Png => "png",
            Kind::Jpeg => "jpg",
            Kind::Webp => "webp",
            Kind::Gif => "gif",
        }
    }

    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}, {} bytes)", self.mime(), self.bytes.len())
    }
}

impl Kind {
    fn of(name: &str) -> Result<Kind, PictureError> {
        let ending = name.rsplit('.').next().unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "svg" => Ok(Kind::Svg),
            "png" => Ok(Kind::Png),
            "jpg" | "jpeg" => Ok(Kind::Jpeg),
            "webp" => Ok(Kind::Webp),
            "gif" => Ok(Kind::Gif),
            _ => Err(PictureError::Kind(name.to_owned())),
        }
    }

    /// Whether the content begins as such a picture does.
    fn fits(self, bytes: &[u8]) -> bool {
        match self {
            Kind::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            Kind::Jpeg => bytes.starts_with(b"\xff\xd8\xff"),
            Kind::Gif => bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
            Kind::Webp => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
            Kind::Svg => std::str::from_utf8(bytes).is_ok_and(|text| text.contains("<svg")),
        }
    }
}

/// The path below the branding folder: no scheme, not absolute, never upwards (02 §8.1).
fn relative(name: &str) -> Result<PathBuf, PictureError> {
    let outside = || PictureError::Outside(name.to_owned());
    let has_scheme = name.split_once(':').is_some();
    if name.is_empty() || name.chars().count() > LONGEST_PATH || has_scheme || name.contains('\0') {
        return Err(outside());
    }
    // Windows writes them so, and documents are carried between machines.
    let path = name.replace('\\', "/");
    let mut plain = PathBuf::new();
    for part in Path::new(&path).components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(outside());
            }
        }
    }
    Ok(match plain.strip_prefix("branding") {
        Ok(rest) if rest.components().next().is_some() => rest.to_owned(),
        _ => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>"#;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let branding = folder.path().join("branding");
        fs::create_dir_all(branding.join("deep")).unwrap();
        fs::write(branding.join("logo.svg"), SVG).unwrap();
        fs::write(branding.join("deep/LOGO.PNG"), b"\x89PNG\r\n\x1a\n....").unwrap();
        fs::write(branding.join("fake.png"), SVG).unwrap();
        fs::write(folder.path().join("secret.svg"), SVG).unwrap();
        folder
    }

    #[test]
    fn a_file_of_the_folder_is_read_by_its_relative_path() {
        let folder = folder();
        let root = folder.path().join("branding");
        for name in [
            "logo.svg",
            "branding/logo.svg",
            "./logo.svg",
            r"deep\LOGO.PNG",
        ] {
            Picture::read(&root, name).unwrap();
        }
        let logo = Picture::read(&root, "logo.svg").unwrap();
        assert_eq!(
            (logo.mime(), logo.bytes()),
            ("image/svg+xml", SVG.as_bytes())
        );
        assert_eq!(
            format!("{logo:?}"),
            format!("Picture(image/svg+xml, {} bytes)", SVG.len())
        );
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let folder = folder();
        let root = folder.path().join("branding");
        std::os::unix::fs::symlink(folder.path().join("secret.svg"), root.join("link.svg"))
            .unwrap();
        std::os::unix::fs::symlink(root.join("logo.svg"), root.join("inside.svg")).unwrap();
        let absolute = root.join("logo.svg").display().to_string();
        for name in [
            "../secret.svg",
            "deep/../../secret.svg",
            "branding/../../secret.svg",
            r"..\secret.svg",
            "link.svg",
            absolute.as_str(),
            "/logo.svg",
            "https://x/logo.svg",
            "file:logo.svg",
            "C:logo.svg",
            "",
            "a\0.svg",
        ] {
            let error = Picture::read(&root, name).unwrap_err();
            assert!(matches!(error, PictureError::Outside(_)), "{name}: {error}");
        }
        Picture::read(&root, "inside.svg").unwrap();
    }

    #[test]
    fn what_is_no_picture_is_refused_with_the_way_out() {
        let folder = folder();
        let root = folder.path().join("branding");
        fs::create_dir(root.join("folder.svg")).unwrap();
        fs::write(root.join("big.gif"), vec![b'G'; LARGEST as usize + 1]).unwrap();
        let error = |name: &str| Picture::read(&root, name).unwrap_err().to_string();
        assert!(error("page.html").contains(".svg .png"));
        assert!(error("fake.png").contains("not what its ending says"));
        assert!(error("missing.svg").contains("check that the file is there"));
        assert!(error("folder.svg").contains("it is no file"));
        assert!(error("big.gif").contains("2 MiB"));
    }
}
