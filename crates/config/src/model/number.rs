//! Whole numbers as JSON Schema counts them: `28`, `28.0` and `2.8e1` are the same (02 §12.2, §12.13).

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Numbers with a fraction are read as JavaScript numbers; they are written back without a needless `.0`.
pub use open_cowork_contracts::JsNumber;

/// A whole number from 0 to 2^53 − 1. A larger one, which the schema allows where it names no
/// maximum, becomes [`Whole::MAX`]: no limit of this document means anything beyond that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Whole(u64);

impl Whole {
    /// The largest integer that every JSON reader keeps exactly.
    pub const MAX: Whole = Whole((1 << 53) - 1);

    /// At most [`Whole::MAX`].
    pub const fn new(value: u64) -> Self {
        if value > Self::MAX.0 {
            Self::MAX
        } else {
            Self(value)
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<Whole> for u64 {
    fn from(value: Whole) -> u64 {
        value.0
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that isn't negative")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                Ok(Whole::new(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                u64::try_from(value)
                    .map(Whole::new)
                    .map_err(|_| E::custom("a negative number"))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
                if value.fract() != 0.0 || value < 0.0 {
                    return Err(E::custom("a negative number or one with a fraction"));
                }
                Ok(Whole::new(value as u64)) // `as` saturates
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The constant version of a document: only the number 1 (`1.0` is the same number) reads (02 §1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContractVersion;

impl ContractVersion {
    /// The only version there is.
    pub const SUPPORTED: u64 = 1;
}

impl Serialize for ContractVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::SUPPORTED)
    }
}

impl<'de> Deserialize<'de> for ContractVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Whole::deserialize(deserializer)?.get() {
            Self::SUPPORTED => Ok(Self),
            _ => Err(D::Error::custom("a version other than 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_spelled_with_a_fraction_or_an_exponent() {
        for text in ["28", "28.0", "2.8e1"] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole::new(28));
        }
        assert_eq!(serde_json::from_str::<Whole>("-0").unwrap(), Whole::new(0));
        for text in ["28.5", "-1", "-1.0", "\"28\"", "null"] {
            assert!(serde_json::from_str::<Whole>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_beyond_exact_integers_is_the_largest_one() {
        for text in ["1e300", "18446744073709551615"] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole::MAX);
        }
    }

    #[test]
    fn only_version_one_reads() {
        assert!(serde_json::from_str::<ContractVersion>("1.0").is_ok());
        for text in ["2", "0", "\"1\"", "1.5"] {
            assert!(
                serde_json::from_str::<ContractVersion>(text).is_err(),
                "{text}"
            );
        }
    }
}
