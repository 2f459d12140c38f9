//! One figure: what was measured, what it stands against, whether that is good enough.

use serde::Serialize;

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

/// Whether the target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It is.
    Met,
    /// It isn't.
    Missed,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    /// The same measured on a limit in the same run: a bare loop, a bare relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<f64>,
    /// What the baseline is, and what else the reader must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Figure {
            name: name.into(),
            value,
            unit,
            target: None,
            baseline: None,
            note: None,
        }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// The value against its baseline, else against its target.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let against = self.baseline.or(match self.target {
            Some(Target::AtLeast(limit) | Target::AtMost(limit)) => Some(limit),
            None => None,
        })?;
        Some(self.value / against)
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let met = match self.target? {
            Target::AtLeast(limit) => self.value >= limit,
            Target::AtMost(limit) => self.value <= limit,
        };
        Some(if met { Verdict::Met } else { Verdict::Missed })
    }
}

/// The value below which `share` (0 to 1) of all values lie; `None` of nothing. Sorts its input.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    // Rank of the nearest value at or above the share.
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_limit_and_missed_beyond() {
        let verdict = |value, target| Figure::new("f", value, "ms").target(target).verdict();
        assert_eq!(verdict(3.0, Target::AtMost(3.0)), Some(Verdict::Met));
        assert_eq!(verdict(3.1, Target::AtMost(3.0)), Some(Verdict::Missed));
        assert_eq!(verdict(3.0, Target::AtLeast(3.0)), Some(Verdict::Met));
        assert_eq!(verdict(2.9, Target::AtLeast(3.0)), Some(Verdict::Missed));
        assert_eq!(Figure::new("f", 1.0, "ms").verdict(), None);
    }

    #[test]
    fn a_figure_without_a_number_is_missed() {
        let target = Target::AtMost(3.0);
        assert_eq!(
            Figure::new("f", f64::NAN, "ms").target(target).verdict(),
            Some(Verdict::Missed)
        );
    }

    #[test]
    fn the_ratio_is_to_the_baseline_of_the_same_run_if_there_is_one() {
        let figure = Figure::new("f", 6.0, "ms").target(Target::AtMost(3.0));
        assert_eq!(figure.ratio(), Some(2.0));
        assert_eq!(figure.baseline(12.0).ratio(), Some(0.5));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.5), Some(50.0));
        assert_eq!(percentile(&mut values, 0.99), Some(99.0));
        assert_eq!(percentile(&mut values, 1.0), Some(100.0));
        assert_eq!(percentile(&mut [7.0], 0.01), Some(7.0));
        assert_eq!(percentile(&mut [], 0.5), None);
    }
}
