//! Numbers as JavaScript has them: one kind, f64, written without a needless `.0`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A finite f64 whose JSON has no fraction when the value is integral (01 §4.1).
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
    fn add_assign(&mut self, other: f64) {
        self.0 += other;
    }
}
