//! What a file is, by its path: which rules look at it depends on that (09 §14.3, "Where").

/// The language that assignments are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// `NAME=value`, also shell and systemd units.
    Env,
    /// YAML; Compose, Helm, Kubernetes.
    Yaml,
    /// JSON and JSONC.
    Json,
    /// TOML and INI.
    Toml,
    /// Terraform.
    Hcl,
    /// A container build file.
    Dockerfile,
    /// Markdown and other text for people.
    Prose,
    /// A programming language, a style sheet, a page.
    Source,
    /// Anything else, files without extension included.
    Other,
}

/// Where a file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Path from the root of the scan, with `/`.
    pub(super) path: String,
    /// Its language.
    pub(super) language: Language,
    /// Whether somebody copies or deploys it as it is.
    pub(super) is_template: bool,
    /// Whether a tool wrote it: only tokens with a known prefix count there.
    pub(super) is_generated: bool,
}

/// Folders whose files are templates whatever their language.
const TEMPLATE_FOLDERS: [&str; 12] = [
    "deploy",
    "docs",
    "helm",
    "charts",
    "examples",
    "templates",
    "compose",
    "k8s",
    "kubernetes",
    "terraform",
    "values",
    "smoke",
];

/// Folders that hold inputs of tests, or other people's files.
const TEST_FOLDERS: [&str; 9] = [
    "fixtures",
    "testdata",
    "tests",
    "__tests__",
    "snapshots",
    "__snapshots__",
    "vendor",
    "third_party",
    "node_modules",
];

const GENERATED: [&str; 12] = [
    "Cargo.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "go.sum",
    "flake.lock",
    "poetry.lock",
    "uv.lock",
    "composer.lock",
    "Gemfile.lock",
    "bun.lock",
    "npm-shrinkwrap.json",
];

const LICENCES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "NOTICE",
    "THIRD_PARTY",
    "THIRD-PARTY",
];

impl Place {
    /// The place of a path that is relative to the root of the scan.
    pub(super) fn of(path: &str) -> Place {
        let mut folders: Vec<&str> = path.split('/').collect();
        let name = folders.pop().unwrap_or_default();
        let language = language(name);
        let is_test = folders.iter().any(|folder| TEST_FOLDERS.contains(folder));
        // A folder of templates below `src` is part of a program.
        let mut above = folders.iter().take_while(|folder| **folder != "src");
        let in_template_folder = above.any(|folder| TEMPLATE_FOLDERS.contains(folder));
        let is_generated = GENERATED.contains(&name)
            || name.ends_with(".min.js")
            || name.ends_with(".map")
            || name.ends_with(".snap");
        // Texts of licences are other people's words.
        let upper = name.to_ascii_uppercase();
        let is_licence = LICENCES.iter().any(|start| upper.starts_with(start));
        let is_template = match language {
            Language::Source => in_template_folder,
            _ => true,
        };
        Place {
            path: path.to_owned(),
            language,
            is_template: is_template && !is_test && !is_generated && !is_licence,
            is_generated,
        }
    }

    pub(super) fn is_prose(&self) -> bool {
        self.language == Language::Prose
    }

    /// Notes about moving from an older product or version.
    pub(super) fn is_migration(&self) -> bool {
        self.path.to_ascii_lowercase().contains("migrat")
    }
}

fn language(name: &str) -> Language {
    let lower = name.to_ascii_lowercase();
    // `values.yaml.example` is YAML.
    let inner = [
        ".example",
        ".template",
        ".tmpl",
        ".tpl",
        ".sample",
        ".dist",
        ".j2",
    ]
    .iter()
    .find_map(|suffix| lower.strip_suffix(suffix))
    .unwrap_or(&lower);
    if inner.starts_with("dockerfile")
        || inner.starts_with("containerfile")
        || inner.ends_with(".dockerfile")
    {
        return Language::Dockerfile;
    }
    if inner.starts_with(".env") || inner == "env" {
        return Language::Env;
    }
    match inner
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
    {
        "env" | "sh" | "bash" | "zsh" | "fish" | "service" | "conf" | "cfg" | "properties"
        | "envrc" | "bat" | "cmd" | "ps1" => Language::Env,
        "yaml" | "yml" => Language::Yaml,
        "json" | "jsonc" | "json5" | "jsonl" | "ndjson" | "webmanifest" => Language::Json,
        "toml" | "ini" => Language::Toml,
        "tf" | "tfvars" | "hcl" => Language::Hcl,
        "md" | "mdx" | "markdown" | "txt" | "rst" | "adoc" | "html" | "htm" => Language::Prose,
        "rs" | "ts" | "tsx" | "js" | "jsx" | "mjs" | "cjs" | "py" | "go" | "java" | "kt"
        | "swift" | "c" | "h" | "cc" | "cpp" | "cs" | "rb" | "php" | "scala" | "css" | "scss"
        | "vue" | "svelte" | "sql" | "svg" | "lua" | "dart" => Language::Source,
        _ => Language::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_what_somebody_copies() {
        for path in [
            "docs/setup.md",
            "deploy/smoke.py",
            "helm/app/values.yaml",
            "docker-compose.yml",
            ".env.example",
            "main.tf",
            "Procfile",
            "README.md",
            "a/b/open-cowork.config.json",
            "examples/x/main.rs",
            "systemd/app.service.template",
        ] {
            assert!(Place::of(path).is_template, "{path}");
        }
        for path in [
            "crates/a/src/lib.rs",
            "tests/a.rs",
            "fixtures/a.json",
            "Cargo.lock",
            "a/src/templates/main.rs",
            "crates/a/tests/b.yaml",
        ] {
            assert!(!Place::of(path).is_template, "{path}");
        }
    }

    #[test]
    fn the_language_looks_through_example_suffixes() {
        assert_eq!(Place::of("values.yaml.example").language, Language::Yaml);
        assert_eq!(Place::of("worker.env.template").language, Language::Env);
        assert_eq!(Place::of("Dockerfile.cloud").language, Language::Dockerfile);
        assert_eq!(Place::of("LICENSE").language, Language::Other);
    }
}
