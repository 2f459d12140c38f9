//! What this process is told: configuration, environment, and what stands against starting with them.

use crate::arguments::Arguments;
use crate::{nats, places};
use open_cowork_adapters::secrets::check_key;
use open_cowork_cloud_server::boot::guards::guards;
use open_cowork_cloud_server::settings::Settings;
use open_cowork_config::load::{Loaded, load};
use open_cowork_config::source::{Environment, Sources, Surface, discover};
use open_cowork_contracts::finding::{Finding, Severity};
use tracing_subscriber::EnvFilter;

/// Configuration and settings that a process may start with.
pub(crate) struct Told {
    pub(crate) loaded: Loaded,
    pub(crate) settings: Settings,
    /// What is logged.
    pub(crate) filter: EnvFilter,
    /// What deserves a look.
    pub(crate) warnings: Vec<Finding>,
}

/// Reads everything.
///
/// # Errors
/// All that is wrong, at once.
pub(crate) fn told(arguments: &Arguments) -> Result<Told, Vec<Finding>> {
    let environment = Environment {
        named: arguments.config.clone(),
        ..Environment::of_process()
    };
    let vars = &environment.vars;
    let document = discover(&environment, Surface::Cloud).and_then(|sources| load(&sources));
    let loaded = match document {
        Ok(loaded) => loaded,
        Err(mut wrong) => {
            // What the variables must be together with the file can't be told without it.
            if let Ok(empty) = load(&Sources::new(Surface::Cloud)) {
                wrong.extend(Settings::examine(&empty, vars).1);
            }
            return Err(wrong);
        }
    };
    let (settings, mut found) = Settings::examine(&loaded, vars);
    let Some(settings) = settings else {
        return Err(found);
    };
    let filter = EnvFilter::try_new(&settings.telemetry.log_level).map_err(|_| {
        let place = "OPEN_COWORK_CLOUD_LOG_LEVEL";
        let wrong = Finding::error("CLOUD_ENV", place, format!("{place} is no filter."));
        wrong.with_help("Write a level such as info, or info,open_cowork_store=debug.")
    });
    let filter = filter.unwrap_or_else(|wrong| {
        found.push(wrong);
        EnvFilter::default()
    });
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let mut more = places::missing(&settings, &search_path);
    more.extend(nats::missing(&settings));
    // What follows from a variable that wasn't understood isn't told: it may be another then.
    if !found
        .iter()
        .any(|finding| DECIDES.iter().any(|name| finding.path.ends_with(name)))
    {
        more.extend(guards(&settings, |key| check_key(key).is_ok()));
    }
    let known: Vec<_> = found.iter().map(|finding| finding.path.clone()).collect();
    more.retain(|finding| !known.contains(&finding.path));
    let (errors, more): (Vec<_>, Vec<_>) = more
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    found.extend(errors);
    if !found.is_empty() {
        return Err(found);
    }
    let mut warnings = loaded.warnings().to_vec();
    warnings.extend(settings.warnings.iter().cloned());
    warnings.extend(more);
    Ok(Told {
        loaded,
        settings,
        filter,
        warnings,
    })
}

/// Variables that decide what the others must be.
const DECIDES: [&str; 3] = ["_ROLE", "_AUTH_MODE", "_DEPLOYMENT_TIER"];

/// A finding as lines for a person.
pub(crate) fn line(finding: &Finding) -> String {
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        _ if finding.message.contains(&finding.path) => String::new(),
        _ => format!("{}: ", finding.path),
    };
    match &finding.help {
        Some(help) => format!("{place}{} {help}", finding.message),
        None => format!("{place}{}", finding.message),
    }
}
