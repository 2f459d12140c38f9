//! Wake-ups through a NATS server (04 §9), in a program that was built with the feature `nats`.

use open_cowork_cloud_server::settings::{NatsSettings, Settings};
use open_cowork_contracts::finding::Finding;
use open_cowork_providers::bus::EventBus;
use std::sync::Arc;

/// What stands against waking through NATS where that is asked for.
pub(crate) fn missing(settings: &Settings) -> Vec<Finding> {
    settings.nats.as_ref().map(wrong).unwrap_or_default()
}

#[cfg(feature = "nats")]
mod built {
    use super::{Arc, EventBus, Finding, NatsSettings};
    use open_cowork_adapters::nats::{NatsAddress, NatsBus, NatsOptions, SubjectPrefix};

    pub(super) fn wrong(said: &NatsSettings) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut wrong = |place: &str, error: String| {
            let place = format!("OPEN_COWORK_CLOUD_{place}");
            found.push(Finding::error(
                "CLOUD_BOOT",
                place.as_str(),
                format!("{place}: {error}."),
            ));
        };
        if let Err(error) = NatsAddress::parse(&said.url) {
            wrong("NATS_URL", error.to_string());
        }
        if let Err(error) = SubjectPrefix::parse(&said.subject_prefix) {
            wrong("NATS_SUBJECT_PREFIX", error.to_string());
        }
        found
    }

    /// The bus; it connects by itself.
    pub(crate) fn bus(said: &NatsSettings) -> anyhow::Result<Arc<dyn EventBus>> {
        let options = NatsOptions {
            prefix: SubjectPrefix::parse(&said.subject_prefix)?,
            ..NatsOptions::new(NatsAddress::parse(&said.url)?)
        };
        Ok(Arc::new(NatsBus::start(options)))
    }
}

#[cfg(not(feature = "nats"))]
mod built {
    use super::{Arc, EventBus, Finding, NatsSettings};

    const ABSENT: &str =
        "OPEN_COWORK_CLOUD_NATS_URL is set, but this program was built without NATS.";
    const HELP: &str = "Build it with `cargo build --release -p open-cowork-cloud-example --features nats`, or unset it.";

    pub(super) fn wrong(_: &NatsSettings) -> Vec<Finding> {
        let place = "OPEN_COWORK_CLOUD_NATS_URL";
        vec![Finding::error("CLOUD_BOOT", place, ABSENT).with_help(HELP)]
    }

    /// Never reached: [`wrong`] has ended the start.
    pub(crate) fn bus(_: &NatsSettings) -> anyhow::Result<Arc<dyn EventBus>> {
        anyhow::bail!("{ABSENT} {HELP}")
    }
}

pub(crate) use built::bus;
use built::wrong;

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{Sources, Surface};

    fn found(vars: &[(&str, &str)]) -> Vec<Finding> {
        let vars = vars
            .iter()
            .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
        let loaded = load(&Sources::new(Surface::Cloud)).unwrap();
        missing(&Settings::read(&loaded, &vars.collect()).unwrap())
    }

    #[test]
    fn nothing_is_missed_where_nobody_asks_for_it() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[("NATS_SUBJECT_PREFIX", "acme")]), []);
    }

    #[cfg(not(feature = "nats"))]
    #[test]
    fn a_program_without_it_says_how_to_get_it() {
        let found = found(&[("NATS_URL", "nats://me:canary@host")]);
        assert_eq!(found[0].path, "OPEN_COWORK_CLOUD_NATS_URL");
        let help = found[0].help.as_deref().unwrap();
        assert!(help.contains("--features nats"), "{help}");
        assert!(!format!("{found:?}").contains("canary"));
    }

    #[cfg(feature = "nats")]
    #[test]
    fn what_is_wrong_with_its_settings_is_said_at_once_and_without_the_password() {
        assert_eq!(found(&[("NATS_URL", "nats://me:canary@host")]), []);
        let found = found(&[
            ("NATS_URL", "nats://me:canary@host/path"),
            ("NATS_SUBJECT_PREFIX", "a b"),
        ]);
        let places: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(
            places,
            [
                "OPEN_COWORK_CLOUD_NATS_URL",
                "OPEN_COWORK_CLOUD_NATS_SUBJECT_PREFIX"
            ]
        );
        assert!(!format!("{found:?}").contains("canary"));
    }
}
