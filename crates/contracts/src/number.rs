//! Numbers as JavaScript has them: one kind, f64, written without a needless `.0`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An f64 whose JSON has no fraction when the value is integral (01 §4.1).
///
/// ```
/// use open_cowork_contracts::JsNumber;
/// assert_eq!(serde_json::to_string(&JsNumber(3.0)).unwrap(), "3");
/// assert_eq!(serde_json::to_string(&JsNumber(0.25)).unwrap(), "0.25");
/// assert_eq!(serde_json::to_string(&JsNumber(-0.0)).unwrap(), "0");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, JsonSchema)]
#[schemars(transparent)]
pub struct JsNumber(pub f64);

/// Largest integer that f64 holds without a gap.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

impl JsNumber {
    /// The value as a JSON number (integral values without a fraction; not finite: null).
    pub fn to_value(self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }
}

impl Serialize for JsNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() <= MAX_SAFE {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for JsNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(JsNumber)
    }
}

impl From<f64> for JsNumber {
    fn from(value: f64) -> Self {
        JsNumber(value)
    }
}

impl From<u64> for JsNumber {
    fn from(value: u64) -> Self {
        JsNumber(value as f64)
    }
}

impl std::ops::AddAssign<f64> for JsNumber {
    /// Adds in IEEE order; a sum that overflows stays at the largest finite value, since JSON has no infinity.
    fn add_assign(&mut self, other: f64) {
        self.0 = (self.0 + other).clamp(f64::MIN, f64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_never_leaves_json() {
        let mut sum = JsNumber(f64::MAX);
        sum += f64::MAX;
        assert_eq!(sum, JsNumber(f64::MAX));
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<JsNumber>(&text).unwrap(), sum);
    }

    #[test]
    fn sums_are_those_of_ieee_addition_in_order() {
        let mut sum = JsNumber(0.1);
        sum += 0.2;
        assert_eq!(serde_json::to_string(&sum).unwrap(), "0.30000000000000004");
    }
}
