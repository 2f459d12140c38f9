//! The standard validator that ours is held against: the crate `jsonschema`, with the patterns in
//! the schema's dialect.

use jsonschema::{Keyword, ValidationError, Validator};
use open_cowork_config::schema::{self, Form};
use serde_json::Value;
use std::sync::LazyLock;

struct Pattern(regress::Regex);

impl<'i> Keyword<'i> for Pattern {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            Ok(())
        } else {
            Err(ValidationError::custom("has not the form of the pattern"))
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        instance
            .as_str()
            .is_none_or(|text| self.0.find(text).is_some())
    }
}

/// Compiles a schema as a standard validator does, meta-schema first.
pub fn compile(schema: &Value) -> Validator {
    jsonschema::meta::validate(schema).unwrap();
    jsonschema::options()
        .with_keyword("pattern", |_parent, value, _path| {
            let pattern = value.as_str().unwrap_or_default();
            let regex = regress::Regex::with_flags(pattern, "u")
                .map_err(|error| ValidationError::custom(error.to_string()))?;
            Ok(Box::new(Pattern(regex)) as Box<dyn for<'i> Keyword<'i>>)
        })
        .build(schema)
        .unwrap()
}

/// The reference for a published schema.
pub fn of(form: Form) -> &'static Validator {
    static FULL: LazyLock<Validator> = LazyLock::new(|| compile(schema::value(Form::Full)));
    static OVERLAY: LazyLock<Validator> = LazyLock::new(|| compile(schema::value(Form::Overlay)));
    match form {
        Form::Full => &FULL,
        Form::Overlay => &OVERLAY,
    }
}
