//! Every environment variable of the cloud as one table: it reads, it documents, it suggests (04 §14).

use open_cowork_config::cloud::PREFIX;

/// How a variable's text is understood (04 §14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A reference to a secret: `env:NAME`.
    Reference,
    /// `1 true yes on` or `0 false no off`.
    Flag,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A whole number up to that one; 0 is off.
    OrOff(u64),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Entries between commas.
    List,
    /// A JSON object of texts, such as headers.
    Headers,
}

impl Kind {
    /// What to write, for a person.
    #[must_use]
    pub fn wanted(self) -> String {
        match self {
            Kind::Text => "a text".to_owned(),
            Kind::Secret => "the secret itself".to_owned(),
            Kind::Reference => "`env:NAME`".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Whole(least, u64::MAX) => format!("a whole number, at least {least}"),
            Kind::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Kind::OrOff(u64::MAX) => "a whole number; 0 is off".to_owned(),
            Kind::OrOff(most) => format!("a whole number up to {most}; 0 is off"),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::List => "entries between commas".to_owned(),
            Kind::Headers => "a JSON object of texts".to_owned(),
        }
    }
}

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name after `OPEN_COWORK_CLOUD_`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What holds when it is unset; empty: nothing, or what the configuration file says.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The section of the documentation that it stands in.
    pub section: &'static str,
}

impl Variable {
    /// The name in the environment.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

/// Declares the variables, as constants of their names and as one list.
macro_rules! variables {
    ($($section:literal { $($name:ident: $kind:expr, $default:literal, $about:literal;)+ })+) => {
        $($(
            #[doc = $about]
            pub const $name: Variable = Variable {
                name: stringify!($name),
                kind: $kind,
                default: $default,
                about: $about,
                section: $section,
            };
        )+)+

        /// All of them, in the order of the documentation.
        pub const VARIABLES: &[Variable] = &[$($($name,)+)+];
    };
}

pub(crate) use variables;

#[cfg(test)]
mod tests {
    use crate::settings::table::VARIABLES;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_stands_once_and_every_default_is_one() {
        let names: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), VARIABLES.len());
        for variable in VARIABLES {
            let (text, name) = (variable.default, variable.name);
            if text.is_empty() {
                continue;
            }
            match variable.kind {
                super::Kind::Flag => assert!(matches!(text, "true" | "false"), "{name}"),
                super::Kind::Whole(least, most) => {
                    let number: u64 = text.parse().unwrap();
                    assert!((least..=most).contains(&number), "{name}");
                }
                super::Kind::OrOff(most) => assert!(text.parse::<u64>().unwrap() <= most, "{name}"),
                super::Kind::Choice(words) => assert!(words.contains(&text), "{name}"),
                super::Kind::Secret | super::Kind::Reference => panic!("{name} has a default"),
                _ => {}
            }
        }
    }
}
