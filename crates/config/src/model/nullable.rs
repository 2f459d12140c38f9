//! Absent, null and a value are three different things (02 §12.1).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key that may be left out, be null, or hold a value.
///
/// `cloud.abuse.maxPromptsPerHour`, for one, is 600 when absent and unlimited when null. A field of
/// this type carries `#[serde(default, skip_serializing_if = "Nullable::is_absent")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nullable<T> {
    /// The key isn't there.
    #[default]
    Absent,
    /// The key is there and null.
    Null,
    /// The key holds this.
    Value(T),
}

impl<T> Nullable<T> {
    /// Whether the key isn't there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, if there is one; absent and null look the same.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// What holds: the default when absent, nothing when null.
    pub fn or_default(self, default: T) -> Option<T> {
        match self {
            Self::Absent => Some(default),
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl<T: Serialize> Serialize for Nullable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            Some(value) => Self::Value(value),
            None => Self::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Limits {
        #[serde(default, skip_serializing_if = "Nullable::is_absent")]
        prompts: Nullable<u32>,
    }

    #[test]
    fn absent_null_and_a_value_survive_a_round_trip() {
        for (text, limit, held) in [
            ("{}", Nullable::Absent, Some(600)),
            (r#"{"prompts":null}"#, Nullable::Null, None),
            (r#"{"prompts":5}"#, Nullable::Value(5), Some(5)),
        ] {
            let limits: Limits = serde_json::from_str(text).unwrap();
            assert_eq!(limits.prompts, limit);
            assert_eq!(serde_json::to_string(&limits).unwrap(), text);
            assert_eq!(limit.or_default(600), held);
        }
    }
}
