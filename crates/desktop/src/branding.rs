//! From the configuration to the brand of the page: `branding` gives name, words, links and pictures (02 §4.2);
//! `cloud.publicBranding`, as far as somebody wrote it, gives description, sign-in texts and colour tokens (02 §4.12).

use open_cowork_config::load::Loaded;
use open_cowork_config::model::branding::{
    Home as HomeWords, MediaAlign, MediaFit, SidebarVariant,
};
use open_cowork_theme::look::look;
use open_cowork_workbench::branding::{
    Align, Branding, Fit, Home, Link, Links, Lower, SignIn, Top, Variant,
};
use open_cowork_workbench::{Picture, Theme};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How the page looks, and what could not be done as it was asked for.
#[derive(Clone, Debug)]
pub struct Look {
    /// Name, words, links and pictures.
    pub branding: Branding,
    /// Colours.
    pub theme: Theme,
    /// One sentence each; none of them keeps the program from starting.
    pub remarks: Vec<String>,
}

/// The look that a configuration asks for. Reads the pictures that it names: they lie in a folder `branding` beside
/// the file that named them, or in one of the roots (02 §8.1).
pub fn look_of(loaded: &Loaded, roots: &[PathBuf]) -> Look {
    let mut remarks = Vec::new();
    let branding = branding(loaded, roots, &mut remarks);
    let tokens = written(loaded, "/cloud/publicBranding/theme").and_then(Value::as_object);
    let (theme, more) = look(&loaded.value()["branding"], tokens);
    remarks.extend(more.iter().map(|remark| format!("branding: {remark}")));
    Look {
        branding,
        theme,
        remarks,
    }
}

fn branding(loaded: &Loaded, roots: &[PathBuf], remarks: &mut Vec<String>) -> Branding {
    let said = &loaded.config().branding;
    let sidebar = said.sidebar.clone().unwrap_or_default();
    let (top, lower) = (
        sidebar.top.unwrap_or_default(),
        sidebar.lower.unwrap_or_default(),
    );
    let mut picture = |pointer: &str, name: &Option<String>| {
        let name = name.as_deref()?;
        let folders = folders(loaded, pointer, roots);
        match read_picture(&folders, name) {
            Ok(picture) => Some(picture),
            Err(why) => {
                remarks.push(format!("{}: {why}", dotted(pointer)));
                None
            }
        }
    };
    let logo = picture("/branding/sidebar/top/logoAsset", &top.logo_asset);
    let favicon = picture("/branding/appIcon", &said.app_icon);
    let mut link = |key: &str, address: Option<&str>| {
        let address = address
            .map(str::trim)
            .filter(|address| !address.is_empty())?;
        let link = Link::parse(address);
        if link.is_none() {
            remarks.push(format!(
                "branding.{key} is no address that a page may link to, so the link is left out; write https://… or, \
                 for support, mailto:…"
            ));
        }
        link
    };
    let links = Links {
        help: link("helpUrl", Some(&said.help_url)),
        docs: link("docsBaseUrl", said.docs_base_url.as_deref()),
        support: link("supportUrl", said.support_url.as_deref()),
        privacy: link("privacyUrl", said.privacy_url.as_deref()),
        security: link("securityUrl", said.security_url.as_deref()),
        legal: link("legalUrl", said.legal_url.as_deref()),
    };
    let lower_link = link("sidebar.lower.linkUrl", lower.link_url.as_deref());
    let text = |pointer: &str| {
        let text = written(loaded, pointer).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    Branding {
        name: said.name.clone(),
        description: text("/cloud/publicBranding/description").unwrap_or_default(),
        favicon: favicon.or_else(|| logo.clone()),
        top: Top {
            variant: top.variant.map(|variant| match variant {
                SidebarVariant::Icon => Variant::Icon,
                SidebarVariant::Text => Variant::Text,
                SidebarVariant::IconText => Variant::IconText,
                SidebarVariant::Logo => Variant::Logo,
                SidebarVariant::LogoText => Variant::LogoText,
            }),
            icon: top.icon,
            logo,
            size: top
                .media_size
                .and_then(|size| u8::try_from(size.get()).ok()),
            fit: match top.media_fit {
                None | Some(MediaFit::Bounded) => Fit::Bounded,
                Some(MediaFit::Vertical) => Fit::Vertical,
                Some(MediaFit::Horizontal) => Fit::Horizontal,
            },
            align: top.media_align.map(|align| match align {
                MediaAlign::Start => Align::Start,
                MediaAlign::Center => Align::Center,
                MediaAlign::End => Align::End,
            }),
            title: top.title,
            subtitle: top.subtitle,
            aria_label: top.aria_label,
        },
        lower: Lower {
            text: lower.text,
            secondary: lower.secondary_text,
            link: lower_link.map(|link| {
                let words = lower.link_label.unwrap_or_else(|| link.as_str().to_owned());
                (words, link)
            }),
        },
        links,
        home: home(said.home.clone().unwrap_or_default()),
        sign_in: SignIn {
            title: text("/cloud/publicBranding/dashboard/signInTitle"),
            body: text("/cloud/publicBranding/dashboard/signInBody"),
        },
    }
}

fn home(said: HomeWords) -> Home {
    let default = Home::default();
    Home {
        greeting: said.greeting.unwrap_or(default.greeting),
        subtitle: said.subtitle,
        placeholder: said.composer_placeholder.unwrap_or(default.placeholder),
        ready: said.status_ready_label.unwrap_or(default.ready),
    }
}

/// What a layer says there; defaults don't count.
fn written<'a>(loaded: &'a Loaded, pointer: &str) -> Option<&'a Value> {
    loaded.written().pointer(pointer)
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// Where a picture may be, first choice first.
fn folders(loaded: &Loaded, pointer: &str, roots: &[PathBuf]) -> Vec<PathBuf> {
    // The last layer that says it is the one whose word counts.
    let said = loaded
        .layers()
        .iter()
        .rev()
        .find(|layer| layer.document().value().pointer(pointer).is_some());
    let beside = said.and_then(|layer| Path::new(layer.file()).parent());
    beside
        .into_iter()
        .filter(|folder| folder.is_absolute())
        .chain(roots.iter().map(PathBuf::as_path))
        .map(|folder| folder.join("branding"))
        .collect()
}

/// The first folder that has it; otherwise what was wrong in the folder that came nearest.
fn read_picture(folders: &[PathBuf], name: &str) -> Result<Picture, String> {
    let mut why = String::from("there is no branding folder to look for it in");
    for folder in folders {
        match Picture::read(folder, name) {
            Ok(picture) => return Ok(picture),
            Err(error) if folder.is_dir() => return Err(error.to_string()),
            Err(_) => {
                why = format!(
                    "the picture {name:?} is looked for in {}, which is no folder; put it there",
                    folder.display()
                );
            }
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{LayerKind, Sources, Surface};
    use std::fs;

    const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";

    /// A distribution's folder with its file; the look that it gives.
    fn look(document: &str, pictures: &[&str]) -> Look {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("acme.json");
        fs::write(&file, document).unwrap();
        fs::create_dir(folder.path().join("branding")).unwrap();
        for picture in pictures {
            fs::write(folder.path().join("branding").join(picture), SVG).unwrap();
        }
        let sources = Sources::new(Surface::Desktop)
            .with_file(LayerKind::CommandLine, &file, None)
            .unwrap();
        look_of(&load(&sources).unwrap(), &[])
    }

    #[test]
    fn words_links_pictures_and_colours_reach_the_page() {
        let look = look(
            r##"{
              "branding": {
                "name": "Acme Desk", "helpUrl": "https://help.acme.example/", "supportUrl": "mailto:desk@acme.example",
                "sidebar": {
                  "top": {"logoAsset": "branding/logo.svg", "mediaSize": 40, "title": "Acme"},
                  "lower": {"text": "For {{brand}} people", "linkLabel": "Status", "linkUrl": "https://status.acme.example"}
                },
                "home": {"greeting": "What can {{brand}} do?", "statusReadyLabel": "Here"}
              },
              "cloud": {"publicBranding": {
                "description": "Agents at Acme", "theme": {"accent": "#0f6b4b"},
                "dashboard": {"signInBody": "Acme people only."}
              }}
            }"##,
            &["logo.svg"],
        );
        assert_eq!(look.remarks, Vec::<String>::new());
        let brand = look.branding;
        assert_eq!(brand.name, "Acme Desk");
        assert_eq!(brand.description, "Agents at Acme");
        assert_eq!(brand.top.size, Some(40));
        assert!(brand.top.logo.is_some() && brand.favicon == brand.top.logo);
        assert_eq!(brand.links.support, Link::parse("mailto:desk@acme.example"));
        assert_eq!(brand.lower.link.unwrap().0, "Status");
        assert_eq!(brand.home.ready, "Here");
        assert_eq!(brand.home.placeholder, Home::default().placeholder);
        assert_eq!(brand.sign_in.body.as_deref(), Some("Acme people only."));
        assert_eq!(look.theme.light.accent.to_string(), "#0f6b4b");
        assert_eq!(look.theme.dark.accent.to_string(), "#0f6b4b");
    }

    #[test]
    fn without_a_word_of_it_nothing_changes() {
        let look = look("{\"branding\": {\"name\": \"Open Cowork\"}}", &[]);
        assert_eq!(look.branding, Branding::default());
        assert_eq!(look.theme, Theme::default());
        assert_eq!(look.remarks, Vec::<String>::new());
    }

    #[test]
    fn what_can_t_be_shown_is_left_out_and_told() {
        let look = look(
            r#"{"branding": {
              "name": "Acme", "helpUrl": "http://help.acme.example/", "defaultTheme": "nothing",
              "sidebar": {"top": {"logoAsset": "missing.svg"}}
            }}"#,
            &[],
        );
        assert_eq!(
            (look.branding.top.logo, look.branding.links.help),
            (None, None)
        );
        let remarks = look.remarks.join("\n");
        for told in [
            "branding.sidebar.top.logoAsset: the picture \"missing.svg\" can't be read",
            "branding.helpUrl is no address that a page may link to",
            "no theme has the id \"nothing\"",
        ] {
            assert!(remarks.contains(told), "{told} in {remarks}");
        }
    }

    #[test]
    fn a_preset_and_a_whole_theme_give_both_schemes() {
        let preset = look(r#"{"branding": {"defaultTheme": "teal"}}"#, &[]);
        assert_eq!(preset.theme, Theme::preset("teal").unwrap());
        let tokens = open_cowork_theme::brand::BrandTokens::REQUIRED
            .map(|key| {
                format!(
                    "\"{key}\": \"{}\"",
                    if key == "text" { "#f0f0f0" } else { "#203040" }
                )
            })
            .join(", ");
        let theme = look(
            &format!(
                r#"{{"branding": {{"defaultTheme": "ours", "themes": [{{"id": "ours", "label": "Ours", "dark": {{{tokens}}}}}]}}}}"#
            ),
            &[],
        );
        assert_eq!(theme.theme.dark.background.to_string(), "#203040");
        assert_eq!(theme.theme.light.background.to_string(), "#203040");
    }
}
