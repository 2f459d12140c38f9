//! The health page: OpenCode, its memory, the provider, the data folder, alarms (07 §19.7).

use crate::engine::Shared;
use crate::runtime;
use crate::workspace::sentence;
use open_cowork_contracts::health::{CapabilityKind, CapabilityRow, CapabilityStatus};
use open_cowork_workbench::{Connection, HealthLevel, HealthRow};
use std::sync::PoisonError;

/// A tool server that is in use, or that is not and why. One that the user switched off is no news.
fn tool_server(row: &CapabilityRow) -> Option<HealthRow> {
    if row.kind != CapabilityKind::Mcp || row.status == CapabilityStatus::Disabled {
        return None;
    }
    let why = row
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.get("reason")?.as_str());
    Some(HealthRow {
        name: format!("Tool server {}", row.id),
        level: match row.status {
            CapabilityStatus::Active => HealthLevel::Ok,
            _ => HealthLevel::Warning,
        },
        detail: match (row.status, why) {
            (CapabilityStatus::Active, _) => "Is registered.".to_owned(),
            (_, Some(why)) => format!("Is not registered ({}): {why}", row.reason_code),
            (_, None) => format!("Is not registered ({}).", row.reason_code),
        },
    })
}

/// What works and what doesn't, one sentence each.
pub(crate) fn rows(shared: &Shared, connection: Connection) -> Vec<HealthRow> {
    let row = |name: &str, level, detail: String| HealthRow {
        name: name.to_owned(),
        level,
        detail,
    };
    let mut rows = Vec::new();
    rows.push(match connection {
        Connection::Online => row("OpenCode", HealthLevel::Ok, "Runs and answers.".to_owned()),
        Connection::Starting => row(
            "OpenCode",
            HealthLevel::Warning,
            "Is being started.".to_owned(),
        ),
        Connection::Reconnecting => row(
            "OpenCode",
            HealthLevel::Warning,
            "Ended and is being started again; nothing is lost.".to_owned(),
        ),
        Connection::Unavailable(why) => row("OpenCode", HealthLevel::Error, why),
    });
    let facts = shared
        .runtime_facts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if let Some(memory) = facts.memory
        && let Some(rss) = memory.rss_bytes
    {
        let level = if memory.over() {
            HealthLevel::Warning
        } else {
            HealthLevel::Ok
        };
        let mib = |bytes: u64| bytes / (1024 * 1024);
        let detail = format!(
            "{} MiB of a budget of {} MiB.",
            mib(rss),
            mib(memory.budget_bytes)
        );
        rows.push(row("Memory of OpenCode", level, detail));
    }
    rows.extend(
        facts
            .remarks
            .into_iter()
            .map(|remark| row("Compatibility", HealthLevel::Warning, remark)),
    );
    if let Some(inputs) = &facts.inputs {
        rows.extend(inputs.capabilities.iter().filter_map(tool_server));
        let assumptions = &inputs.compatibility.assumptions;
        let count = |status: &str| {
            assumptions
                .iter()
                .filter(|row| row.status == status)
                .count()
        };
        rows.push(row(
            "OpenCode contract",
            HealthLevel::Ok,
            format!(
                "{} assumptions about OpenCode {}: {} worked around, {} kept out.",
                assumptions.len(),
                inputs.compatibility.opencode_version,
                count("shim"),
                count("blocked"),
            ),
        ));
    }
    rows.push(match shared.effective() {
        Ok(Some((_, true))) => row(
            "Model provider",
            HealthLevel::Warning,
            "The scripted demo model answers; set up a provider in Settings.".to_owned(),
        ),
        Ok(Some((settings, false))) => {
            let offered = shared.settings.offer().find(&settings.provider);
            let name = offered.map_or("", |offered| offered.name.as_str());
            row(
                "Model provider",
                HealthLevel::Ok,
                format!("{name}, model {}.", settings.model),
            )
        }
        Ok(None) => row(
            "Model provider",
            HealthLevel::Error,
            "None is set up; open Settings.".to_owned(),
        ),
        Err(error) => row(
            "Model provider",
            HealthLevel::Error,
            sentence(&error.to_string()),
        ),
    });
    let folder = shared.data.root();
    rows.push(match runtime::writable(folder) {
        Ok(()) => row(
            "Data folder",
            HealthLevel::Ok,
            format!("{} can be written.", folder.display()),
        ),
        Err(error) => row(
            "Data folder",
            HealthLevel::Error,
            format!("{} can't be written ({error}).", folder.display()),
        ),
    });
    rows.extend(
        shared
            .sink
            .alarms()
            .into_iter()
            .map(|alarm| row("Alarm", HealthLevel::Error, alarm)),
    );
    rows
}
