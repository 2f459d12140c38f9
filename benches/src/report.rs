//! The table for people and the JSON for programs.

use crate::figure::{Figure, Target, Verdict};
use crate::machine::Machine;
use serde_json::{Value, json};

/// All figures of a run.
pub(crate) struct Report {
    machine: Machine,
    quick: bool,
    figures: Vec<(&'static str, Figure)>,
}

impl Report {
    pub(crate) fn new(machine: Machine, quick: bool) -> Self {
        Report {
            machine,
            quick,
            figures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, bench: &'static str, figures: Vec<Figure>) {
        self.figures
            .extend(figures.into_iter().map(|figure| (bench, figure)));
    }

    /// `{machine, quick, figures: [{bench, name, value, unit, target?, baseline?, ratio?, verdict?, note?}]}`.
    pub(crate) fn json(&self) -> String {
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|(bench, figure)| {
                let mut entry = json!({ "bench": bench });
                if let (Value::Object(entry), Ok(Value::Object(fields))) =
                    (&mut entry, serde_json::to_value(figure))
                {
                    entry.extend(fields);
                    let ratio = figure
                        .ratio()
                        .map(|ratio| ("ratio".to_owned(), json!(ratio)));
                    let verdict = figure
                        .verdict()
                        .map(|verdict| ("verdict".to_owned(), json!(verdict)));
                    entry.extend(ratio.into_iter().chain(verdict));
                }
                entry
            })
            .collect();
        json!({ "machine": self.machine, "quick": self.quick, "figures": figures }).to_string()
    }

    /// One row per figure, its note below it.
    pub(crate) fn table(&self) -> String {
        let machine = &self.machine;
        let mut out = format!(
            "{} · {} cores · {} · {} · load {:.2}{}\n\n",
            machine.cpu,
            machine.cores,
            machine.kernel,
            machine.date,
            machine.load,
            if self.quick { " · quick run" } else { "" }
        );
        let header = [
            "figure", "value", "unit", "target", "baseline", "ratio", "verdict",
        ]
        .map(str::to_owned);
        let mut rows = vec![header];
        let mut bench = "";
        for (of, figure) in &self.figures {
            if bench != *of {
                bench = of;
                rows.push([
                    of.to_uppercase(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                ]);
            }
            rows.push(row(figure));
        }
        let width = |at: usize| {
            rows.iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        for row in &rows {
            let [w0, w1, w2, w3, w4, w5, _] = widths;
            let [name, value, unit, target, baseline, ratio, verdict] = row;
            let line = format!(
                "{name:<w0$}  {value:>w1$}  {unit:<w2$}  {target:>w3$}  {baseline:>w4$}  {ratio:>w5$}  {verdict}"
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
        let notes = self
            .figures
            .iter()
            .filter_map(|(_, figure)| Some((&figure.name, figure.note.as_ref()?)));
        for (at, (name, note)) in notes.enumerate() {
            out.push_str(if at == 0 { "\n" } else { "" });
            out.push_str(&format!("{}: {note}\n", name.trim_start()));
        }
        out
    }
}

fn row(figure: &Figure) -> [String; 7] {
    let target = match figure.target {
        Some(Target::AtLeast(limit)) => format!("≥ {}", number(limit)),
        Some(Target::AtMost(limit)) => format!("≤ {}", number(limit)),
        None => String::new(),
    };
    let verdict = match figure.verdict() {
        Some(Verdict::Met) => "met",
        Some(Verdict::Missed) => "MISSED",
        None => "",
    };
    [
        format!("  {}", figure.name),
        number(figure.value),
        figure.unit.to_owned(),
        target,
        figure.baseline.map(number).unwrap_or_default(),
        figure
            .ratio()
            .map(|ratio| format!("{ratio:.2}"))
            .unwrap_or_default(),
        verdict.to_owned(),
    ]
}

/// Three digits that say something; thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) = plain
        .split_once('.')
        .map_or((plain.as_str(), None), |(w, f)| (w, Some(f)));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && grouped != "-" {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let machine = Machine {
            cpu: "C".into(),
            cores: 2,
            kernel: "linux 6".into(),
            date: "2026-01-01T00:00:00Z".into(),
            load: 0.0,
        };
        let mut report = Report::new(machine, false);
        let slow = Figure::new("p50", 4.0, "ms")
            .target(Target::AtMost(3.0))
            .note("why");
        report.add(
            "latency",
            vec![
                slow,
                Figure::new("rows", 1234567.0, "rows").baseline(2469134.0),
            ],
        );
        report
    }

    #[test]
    fn the_table_shows_each_figure_with_its_verdict_and_the_machine() {
        let table = report().table();
        let p50 = table.lines().find(|line| line.contains("p50")).unwrap();
        assert!(
            p50.contains("4.00")
                && p50.contains("≤ 3.00")
                && p50.contains("1.33")
                && p50.ends_with("MISSED"),
            "{p50}"
        );
        let rows = table.lines().find(|line| line.contains("rows")).unwrap();
        assert!(
            rows.contains("1 234 567") && rows.trim_end().ends_with("0.50"),
            "{rows}"
        );
        assert!(table.starts_with("C · 2 cores · linux 6") && table.contains("p50: why"));
    }

    #[test]
    fn the_json_is_one_object_with_the_same() {
        let json: Value = serde_json::from_str(&report().json()).unwrap();
        let first = &json["figures"][0];
        assert_eq!(first["bench"], "latency");
        assert_eq!(first["verdict"], "missed");
        assert_eq!(first["target"]["atMost"], 3.0);
        assert_eq!(json["machine"]["cores"], 2);
        assert!(json["figures"][1].get("verdict").is_none());
    }
}
