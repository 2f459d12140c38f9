//! The configuration that the program runs on: found, loaded, or refused with everything that is wrong with it.

use crate::error::DesktopError;
use open_cowork_config::load::{Loaded, load};
use open_cowork_config::source::{Environment, LayerKind, Sources, Surface, discover};
use std::path::PathBuf;
use std::sync::Arc;

/// The base document that is compiled in: what makes the product Open Cowork (02 §2.1, layer 1).
pub const BASE: &str = include_str!("../assets/open-cowork.config.json");

/// The product's own configuration, without any file of this machine.
///
/// # Errors
/// Only if the compiled-in document is wrong, which its test rules out.
pub fn product() -> Result<Arc<Loaded>, DesktopError> {
    let sources = Sources::new(Surface::Desktop).with(LayerKind::Base, "bundled config", BASE);
    load(&sources).map(Arc::new).map_err(DesktopError::Config)
}

/// Finds and loads the layers of 02 §2.1 in an environment. `named` are files of the command line, which must be
/// there; relative ones start at the working directory.
///
/// The base file is looked for beside the program, not in the working directory: that is often a folder somebody
/// else filled, and a configuration can make OpenCode run programs.
///
/// # Errors
/// [`DesktopError::Config`] with all findings.
pub fn find(environment: Environment, named: Vec<PathBuf>) -> Result<Arc<Loaded>, DesktopError> {
    let environment = Environment {
        bundled: Some(BASE.to_owned()),
        named,
        ..environment
    };
    discover(&environment, Surface::Desktop)
        .and_then(|sources| load(&sources))
        .map(Arc::new)
        .map_err(DesktopError::Config)
}

/// The environment of this process; the package is where the program lies.
pub fn environment() -> Environment {
    Environment {
        // Without a place of its own there is no base file: a folder that can't exist has none.
        packaged: Some(packaged().unwrap_or_else(|| PathBuf::from("/dev/null"))),
        ..Environment::of_process()
    }
}

/// Roots that may hold a folder `branding` besides the place of a configuration file: the downstream root, and where
/// the program lies (02 §8.1, §10.2).
pub fn asset_folders() -> Vec<PathBuf> {
    let downstream = std::env::var_os("OPEN_COWORK_DOWNSTREAM_ROOT")
        .filter(|root| !root.is_empty())
        .and_then(|root| std::path::absolute(root).ok());
    downstream.into_iter().chain(packaged()).collect()
}

fn packaged() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.parent().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    /// A machine that is one folder.
    fn machine(root: &Path) -> Environment {
        for folder in ["home", "work", "package", "etc"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        Environment {
            vars: BTreeMap::new(),
            working_directory: root.join("work"),
            home: Some(root.join("home")),
            packaged: Some(root.join("package")),
            managed: Some(root.join("etc")),
            ..environment()
        }
    }

    fn named(name: &str) -> String {
        format!(r#"{{"branding": {{"name": "{name}"}}}}"#)
    }

    #[test]
    fn without_any_file_the_product_is_open_cowork() {
        let product = product().unwrap();
        let branding = &product.config().branding;
        assert_eq!(branding.name, "Open Cowork");
        assert_eq!(branding.data_dir_name, "open-cowork");
        assert_eq!(product.warnings(), []);
        let root = tempfile::tempdir().unwrap();
        let found = find(machine(root.path()), Vec::new()).unwrap();
        assert_eq!(found.value(), product.value());
    }

    #[test]
    fn a_file_beside_the_program_replaces_the_compiled_base_and_the_user_s_comes_above() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path());
        let base = r#"{"branding": {"name": "Acme", "dataDirName": "acme"}}"#;
        fs::write(root.path().join("package/open-cowork.config.json"), base).unwrap();
        let user = root.path().join("home/.config/acme");
        fs::create_dir_all(&user).unwrap();
        fs::write(
            user.join("config.json"),
            r#"{"branding": {"helpUrl": "https://acme.example/"}}"#,
        )
        .unwrap();
        let found = find(machine, Vec::new()).unwrap();
        let branding = &found.config().branding;
        assert_eq!(branding.name, "Acme");
        assert_eq!(branding.help_url, "https://acme.example/");
    }

    #[test]
    fn a_folder_that_is_worked_in_configures_nothing() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path());
        fs::write(
            root.path().join("work/open-cowork.config.json"),
            named("Trap"),
        )
        .unwrap();
        let found = find(machine, Vec::new()).unwrap();
        assert_eq!(found.config().branding.name, "Open Cowork");
    }

    #[test]
    fn files_of_the_command_line_stand_above_the_user_s_and_below_the_administrator_s() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path());
        let user = root.path().join("home/.config/open-cowork");
        fs::create_dir_all(&user).unwrap();
        fs::write(user.join("config.json"), named("User")).unwrap();
        fs::write(root.path().join("work/a.json"), named("Line")).unwrap();
        let line = vec![PathBuf::from("a.json")];
        let found = find(machine.clone(), line.clone()).unwrap();
        assert_eq!(found.config().branding.name, "Line");
        let managed = root.path().join("etc/open-cowork");
        fs::create_dir_all(&managed).unwrap();
        fs::write(managed.join("config.json"), named("Managed")).unwrap();
        let found = find(machine, line).unwrap();
        assert_eq!(found.config().branding.name, "Managed");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_with_its_place() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path());
        let wrong = "{\n  \"branding\": {\"nam\": \"Acme\", \"shortName\": 5},\n  \"contractVersion\": 2\n}";
        fs::write(root.path().join("work/a.json"), wrong).unwrap();
        let error = find(machine.clone(), vec!["a.json".into()])
            .unwrap_err()
            .to_string();
        for place in ["a.json:2:16: ", "a.json:2:44: ", "a.json:3:22: "] {
            assert!(error.contains(place), "{place} in {error}");
        }
        let error = find(machine, vec!["missing.json".into()])
            .unwrap_err()
            .to_string();
        assert!(error.contains("missing.json isn't there"), "{error}");
    }
}
