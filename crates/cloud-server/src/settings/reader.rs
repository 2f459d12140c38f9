//! Reads variables by the table and collects everything that is wrong with them (04 §14). No finding holds a value.

use super::table::VARIABLES;
use super::variable::{Kind, Variable};
use open_cowork_config::cloud::{PREFIX, SecretSource};
use open_cowork_contracts::finding::Finding;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::time::Duration;

/// Nobody waits longer, and nothing is kept longer.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads an environment.
pub(super) struct Reader<'a> {
    vars: &'a BTreeMap<String, String>,
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(vars: &'a BTreeMap<String, String>) -> Self {
        Reader {
            vars,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The text of a variable, trimmed; an empty one counts as unset.
    pub(super) fn set(&self, variable: &Variable) -> Option<&'a str> {
        self.plain(&variable.full_name())
    }

    /// The same of any name.
    pub(super) fn plain(&self, name: &str) -> Option<&'a str> {
        let text = self.vars.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// A text, or the default if there is one.
    pub(super) fn text(&self, variable: &Variable) -> Option<String> {
        let default = Some(variable.default).filter(|text| !text.is_empty());
        self.set(variable).or(default).map(str::to_owned)
    }

    /// A switch.
    pub(super) fn flag(&mut self, variable: &Variable) -> bool {
        let default = variable.default == "true";
        let Some(text) = self.set(variable) else {
            return default;
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => true,
            "0" | "false" | "no" | "off" => false,
            _ => {
                self.wrong(variable);
                default
            }
        }
    }

    /// A number that the table bounds; the default when it is unset, and when it is wrong, which is noted.
    pub(super) fn whole(&mut self, variable: &Variable) -> u64 {
        self.number(variable).unwrap_or_default()
    }

    /// The same as a port, a count or anything smaller than 64 bits.
    pub(super) fn small<T: TryFrom<u64> + Default>(&mut self, variable: &Variable) -> T {
        T::try_from(self.whole(variable)).unwrap_or_default()
    }

    /// A number that is written in digits alone: `parse` takes a sign too.
    pub(super) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain)
    }

    /// Milliseconds, at most a hundred years: a time that long after or before now is one.
    pub(super) fn millis(&mut self, variable: &Variable) -> Duration {
        Duration::from_millis(self.whole(variable)).min(LONGEST)
    }

    /// Milliseconds; `None` is off.
    pub(super) fn millis_or_off(&mut self, variable: &Variable) -> Option<Duration> {
        self.number(variable)
            .filter(|number| *number > 0)
            .map(|millis| Duration::from_millis(millis).min(LONGEST))
    }

    /// One of the table's words.
    pub(super) fn choice(&mut self, variable: &Variable) -> &'static str {
        let Kind::Choice(words) = variable.kind else {
            return variable.default;
        };
        let Some(text) = self.set(variable) else {
            return variable.default;
        };
        let known = words.iter().find(|word| **word == text);
        known.copied().unwrap_or_else(|| {
            self.wrong(variable);
            variable.default
        })
    }

    /// Entries between commas, trimmed, without blanks.
    pub(super) fn list(&self, variable: &Variable) -> Vec<String> {
        let text = self.set(variable).unwrap_or(variable.default);
        let entries = text.split(',').map(str::trim);
        entries
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// A JSON object of texts.
    pub(super) fn headers(&mut self, variable: &Variable) -> BTreeMap<String, SecretString> {
        let Some(text) = self.set(variable) else {
            return BTreeMap::new();
        };
        match serde_json::from_str::<BTreeMap<String, String>>(text) {
            Ok(headers) => headers
                .into_iter()
                .map(|(name, value)| (name, SecretString::from(value)))
                .collect(),
            Err(_) => {
                self.wrong(variable);
                BTreeMap::new()
            }
        }
    }

    /// A secret: itself, or what its reference leads to.
    pub(super) fn secret(&mut self, own: &Variable, reference: &Variable) -> Option<SecretString> {
        if let Some(text) = self.set(own) {
            return Some(SecretString::from(text));
        }
        let name = self.set(reference)?;
        self.resolve(name, &reference.full_name())
    }

    /// Secrets between commas, then those of references between commas.
    pub(super) fn secrets(&mut self, own: &Variable, references: &Variable) -> Vec<SecretString> {
        let mut all: Vec<SecretString> =
            self.list(own).into_iter().map(SecretString::from).collect();
        for name in self.list(references) {
            all.extend(self.resolve(&name, &references.full_name()));
        }
        all
    }

    /// The secret that a configuration names.
    pub(super) fn source(
        &mut self,
        source: Option<&SecretSource>,
        place: &str,
    ) -> Option<SecretString> {
        match source? {
            SecretSource::Inline(secret) => Some(SecretString::from(secret.expose().clone())),
            SecretSource::Reference(name) => self.resolve(name.expose(), place),
        }
    }

    /// What a reference leads to: `env:NAME` or a bare name. Other stores of secrets need an adapter that this
    /// program doesn't have.
    fn resolve(&mut self, reference: &str, place: &str) -> Option<SecretString> {
        let scheme = reference.split_once(':').map(|(scheme, _)| scheme);
        let name = match scheme {
            Some("env") => reference.trim_start_matches("env:"),
            Some(_) => {
                self.note(
                    place,
                    "refers to a secret manager that this program has no adapter for",
                    "Write env:NAME and let the secret manager fill that variable.",
                );
                return None;
            }
            None => reference,
        };
        let shaped = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(shaped) {
            self.note(
                place,
                "is no reference to a secret",
                "Write env:NAME, the name of a variable that holds it.",
            );
            return None;
        }
        let Some(text) = self.plain(name) else {
            // A secret that was written in the place of its name must not be repeated.
            let shown = if name.len() <= 64 && name.contains('_') {
                format!("the variable {name}")
            } else {
                "a variable".to_owned()
            };
            self.note(
                place,
                &format!("refers to {shown}, which is not set"),
                "Set that variable.",
            );
            return None;
        };
        Some(SecretString::from(text))
    }

    /// Names of the prefix that no program of ours reads: most likely a typing error.
    pub(super) fn strangers(&mut self) {
        let strangers: Vec<_> = self
            .vars
            .keys()
            .filter_map(|name| Some((name, name.strip_prefix(PREFIX)?)))
            .filter(|(_, rest)| VARIABLES.iter().all(|known| known.name != *rest))
            .collect();
        for (name, rest) in strangers {
            let nearest = VARIABLES
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known.name, rest), known))
                .filter(|(distance, _)| *distance <= 3)
                .min_by_key(|(distance, _)| *distance);
            let help = match nearest {
                Some((_, known)) => format!("Did you mean {}?", known.full_name()),
                None => "Remove it, or look it up in docs/cloud.md.".to_owned(),
            };
            let message = format!("{name} is not a variable of this program, so it does nothing.");
            let finding = Finding::error("CLOUD_ENV_UNKNOWN", name.as_str(), message);
            self.warnings.push(finding.into_warning().with_help(help));
        }
    }

    /// Something that is wrong with a place.
    pub(super) fn note(&mut self, place: &str, what: &str, help: &str) {
        let finding = Finding::error("CLOUD_ENV", place, format!("{place} {what}."));
        self.errors.push(finding.with_help(help));
    }

    fn wrong(&mut self, variable: &Variable) {
        let help = format!("Write {}, or unset it.", variable.kind.wanted());
        self.note(
            &variable.full_name(),
            "holds something that can't be understood",
            &help,
        );
    }

    fn number(&mut self, variable: &Variable) -> Option<u64> {
        let default = variable.default.parse().ok();
        let Some(text) = self.set(variable) else {
            return default;
        };
        let (least, most) = match variable.kind {
            Kind::Whole(least, most) => (least, most),
            Kind::OrOff(most) => (0, most),
            _ => (0, u64::MAX),
        };
        let number = Self::digits(text);
        if let Some(number) = number.filter(|number| (least..=most).contains(number)) {
            return Some(number);
        }
        self.wrong(variable);
        default
    }
}
