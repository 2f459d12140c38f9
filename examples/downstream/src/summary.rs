//! What the distribution looks like, read through the same loader as every program of the product.

use anyhow::{Context as _, bail};
use open_cowork_config::load::{Loaded, load};
use open_cowork_config::source::{LayerKind, Sources, Surface};
use open_cowork_config::view::{self, View};
use serde_json::Value;
use std::path::Path;

/// The document of this distribution.
pub const DOCUMENT: &str = "open-cowork.config.json";

/// Loads the distribution in a folder, with overlays on top in this order.
///
/// # Errors
/// Everything that is wrong with the documents, a line each.
pub fn read(folder: &Path, overlays: &[&Path]) -> anyhow::Result<Loaded> {
    let mut sources = Sources::new(Surface::Every);
    // Secrets are not needed to show a name; a program takes them from its environment.
    for name in [
        "EXAMPLE_COWORK_GATEWAY_ADMIN_TOKEN",
        "EXAMPLE_COWORK_SLACK_BOT_TOKEN",
        "EXAMPLE_COWORK_SLACK_SIGNING_SECRET",
    ] {
        sources = sources.with_env(name, "set by the operator");
    }
    let documents = std::iter::once(folder.join(DOCUMENT))
        .chain(overlays.iter().map(|overlay| folder.join(overlay)));
    for document in documents {
        let shown = document.display().to_string();
        sources = match sources.with_file(LayerKind::CommandLine, &document, None) {
            Ok(sources) => sources,
            Err(finding) => bail!("{shown}: {}", finding.message),
        };
    }
    load(&sources).map_err(|findings| {
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| format!("{}: {}", finding.path, finding.message))
            .collect();
        anyhow::anyhow!(lines.join("\n"))
    })
}

/// The lines that `main` prints, from the view that a browser may see.
///
/// # Errors
/// When a line is missing from the view.
pub fn lines(loaded: &Loaded) -> anyhow::Result<Vec<String>> {
    let web = view::of(loaded, View::Web);
    let branding = web
        .get("publicBranding")
        .context("the web view has no publicBranding")?;
    let text = |pointer: &str| branding.pointer(pointer).and_then(Value::as_str);
    let line = |label: &str, pointer: &str| format!("{label:<10}{}", text(pointer).unwrap_or("-"));
    Ok(vec![
        line("name", "/productName"),
        line("logo", "/logoUrl"),
        line("support", "/supportUrl"),
        line("privacy", "/privacyUrl"),
        line("accent", "/theme/accent"),
        line("on it", "/theme/accentForeground"),
    ])
}
