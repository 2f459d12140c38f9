//! What this process is told: configuration, environment, and what stands against starting with them.

use crate::arguments::Arguments;
use open_cowork_adapters::secrets::check_key;
use open_cowork_cloud_server::boot::guards::guards;
use open_cowork_cloud_server::settings::Settings;
use open_cowork_config::load::{Loaded, load};
use open_cowork_config::source::{Environment, Surface, discover};
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
    let loaded = load(&discover(&environment, Surface::Cloud)?)?;
    let settings = Settings::read(&loaded, &environment.vars)?;
    let mut found = guards(&settings, |key| check_key(key).is_ok());
    let filter = EnvFilter::try_new(&settings.telemetry.log_level).map_err(|_| {
        let place = "OPEN_COWORK_CLOUD_LOG_LEVEL";
        let wrong = Finding::error("CLOUD_ENV", place, format!("{place} is no filter."));
        wrong.with_help("Write a level such as info, or info,open_cowork_store=debug.")
    });
    let filter = match filter {
        Ok(filter) => filter,
        Err(wrong) => {
            found.push(wrong);
            EnvFilter::default()
        }
    };
    let (errors, more): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(errors);
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
