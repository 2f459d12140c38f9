//! `open-cowork cloud migrate | status | doctor`: the same settings as the server reads, and what its database says.

use super::{Place, layers};
use crate::arguments::Layers;
use crate::error::CommandError;
use crate::output::Reported;
use open_cowork_adapters::secrets::check_key;
use open_cowork_cloud_server::boot::guards::guards;
use open_cowork_cloud_server::settings::{PostgresSettings, Settings};
use open_cowork_config::source::Environment;
use open_cowork_contracts::finding::{Check, CheckStatus, Finding, Skipped};
use open_cowork_store::{
    Migrations, PostgresOptions, PostgresStore, SchemaName, SqliteOptions, SqliteStore,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The server's database file below its root.
const DATABASE: &str = "control-plane.db";

/// `cloud migrate`.
pub(super) fn migrate(place: &Place, named: &Layers) -> Result<Reported, CommandError> {
    let settings = match settings(place, named, "cloud:migrate")? {
        Ok(settings) => settings,
        Err(refused) => return Ok(*refused),
    };
    let started = Instant::now();
    let migrated = at(place, &settings)?.migrate()?;
    let mut reported = report("cloud:migrate", &settings);
    reported.checks.push(check(
        "migrations",
        started,
        &migrated,
        |migrations| match migrations.applied() {
            0 => format!("nothing to do at version {}", migrations.reached),
            applied => format!(
                "{applied} applied, version {} to {}",
                migrations.found, migrations.reached
            ),
        },
    ));
    reported.findings.extend(migrated.err());
    Ok(reported)
}

/// `cloud status`.
pub(super) fn status(place: &Place, named: &Layers) -> Result<Reported, CommandError> {
    let settings = match settings(place, named, "cloud:status")? {
        Ok(settings) => settings,
        Err(refused) => return Ok(*refused),
    };
    let mut reported = report("cloud:status", &settings);
    look_at_records(place, &settings, &mut reported)?;
    Ok(reported)
}

/// `cloud doctor`.
pub(super) fn doctor(place: &Place, named: &Layers) -> Result<Reported, CommandError> {
    let settings = match settings(place, named, "cloud:doctor")? {
        Ok(settings) => settings,
        Err(refused) => return Ok(*refused),
    };
    let mut reported = report("cloud:doctor", &settings);
    let started = Instant::now();
    let found = guards(&settings, |key| check_key(key).is_ok());
    reported.checks.push(done(
        "guards",
        started,
        found.is_empty(),
        "what a start is refused for",
    ));
    reported.findings.extend(settings.warnings.iter().cloned());
    reported.findings.extend(found);
    look_at_records(place, &settings, &mut reported)?;
    look_at_root(&place.open(&settings.root), &mut reported);
    look_for_opencode(&settings, &mut reported);
    Ok(reported)
}

/// The server's settings in this folder; a configuration that can't be used is a report.
fn settings(
    place: &Place,
    named: &Layers,
    command: &'static str,
) -> Result<Result<Settings, Box<Reported>>, CommandError> {
    let loaded = match layers::load(place, &named.config)? {
        Ok(loaded) => loaded,
        Err(refused) => return Ok(Err(Box::new(refused.into_report(command)))),
    };
    let read = Settings::read(&loaded, &Environment::of_process().vars);
    Ok(read.map_err(|findings| {
        Box::new(Reported {
            command,
            findings,
            looked_at: "the environment".to_owned(),
            ..Reported::default()
        })
    }))
}

fn report(command: &'static str, settings: &Settings) -> Reported {
    let records = match &settings.records.postgres {
        Some(postgres) => format!("PostgreSQL, schema {}", postgres.schema),
        None => format!("SQLite below {}", settings.root.display()),
    };
    Reported {
        command,
        lists_checks: true,
        looked_at: format!("role {}, {records}", settings.role),
        ..Reported::default()
    }
}

fn done(id: &str, started: Instant, passed: bool, detail: &str) -> Check {
    Check {
        id: id.to_owned(),
        status: match passed {
            true => CheckStatus::Pass,
            false => CheckStatus::Fail,
        },
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        detail: Some(detail.to_owned()),
    }
}

fn check(
    id: &str,
    started: Instant,
    migrations: &Result<Migrations, Finding>,
    words: impl Fn(&Migrations) -> String,
) -> Check {
    match migrations {
        Ok(found) => done(id, started, true, &words(found)),
        Err(finding) => done(id, started, false, &finding.message),
    }
}

/// Where the records are, and how far their schema is.
fn look_at_records(
    place: &Place,
    settings: &Settings,
    reported: &mut Reported,
) -> Result<(), CommandError> {
    let started = Instant::now();
    let found = at(place, settings)?.inspect()?;
    reported
        .checks
        .push(check("records", started, &found, |migrations| {
            format!("version {} of {}", migrations.reached, migrations.known)
        }));
    match found {
        Ok(migrations) if migrations.pending() > 0 => {
            let pending = migrations.pending();
            let message = match migrations.reached {
                0 => "The database is empty.".to_owned(),
                _ => format!("{pending} migrations are missing."),
            };
            let help = match settings.records.run_migrations {
                true => {
                    "The server applies them when it starts; or run `open-cowork cloud migrate`."
                }
                false => {
                    "Run `open-cowork cloud migrate`; with RUN_MIGRATIONS off the server refuses to start."
                }
            };
            let finding = Finding::error("CLOUD_MIGRATIONS_PENDING", "records", message);
            reported
                .findings
                .push(finding.into_warning().with_help(help));
        }
        Ok(_) => {}
        Err(finding) => reported.findings.push(finding),
    }
    Ok(())
}

/// Whether the folder can be written: what is above it, where it isn't there yet.
fn look_at_root(root: &Path, reported: &mut Reported) {
    let started = Instant::now();
    let there = root.ancestors().find(|folder| folder.is_dir());
    let there = there.unwrap_or_else(|| Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let written = tempfile::Builder::new()
        .prefix(".open-cowork-")
        .tempfile_in(there);
    reported.checks.push(done(
        "root",
        started,
        written.is_ok(),
        &format!("{} can be written", there.display()),
    ));
    if let Err(error) = written {
        let message = format!("{} can't be written ({error}).", there.display());
        let finding = Finding::error("CLOUD_ROOT", "OPEN_COWORK_CLOUD_ROOT", message);
        let help = "Set it to a folder of this user, or change the folder's owner.";
        reported.findings.push(finding.with_help(help));
    }
}

/// Whether OpenCode's program is there, for roles that run coworkers.
fn look_for_opencode(settings: &Settings, reported: &mut Reported) {
    let role = settings.role.as_str();
    if !matches!(role, "all-in-one" | "worker") {
        reported.skipped.push(Skipped {
            id: "opencode".to_owned(),
            reason: format!("role-{role}-runs-none"),
        });
        return;
    }
    let started = Instant::now();
    let found = match &settings.worker.opencode {
        Some(path) => Some(path.clone()).filter(|path| path.is_file()),
        None => in_path("opencode"),
    };
    let detail = match &found {
        Some(path) => format!("{} is there", path.display()),
        None => "it isn't there".to_owned(),
    };
    reported
        .checks
        .push(done("opencode", started, found.is_some(), &detail));
    if found.is_none() {
        let message = "OpenCode's program isn't there, so no coworker can be run.";
        let finding = Finding::error("CLOUD_OPENCODE", "OPEN_COWORK_CLOUD_OPENCODE_BIN", message);
        let help = "Install OpenCode, or set it to the program's path.";
        reported.findings.push(finding.with_help(help));
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A database that is asked once.
enum Database<'a> {
    File(PathBuf),
    Postgres(&'a PostgresSettings, PostgresOptions),
}

fn at<'a>(place: &Place, settings: &'a Settings) -> Result<Database<'a>, CommandError> {
    let Some(postgres) = &settings.records.postgres else {
        return Ok(Database::File(place.open(&settings.root).join(DATABASE)));
    };
    let schema = SchemaName::parse(&postgres.schema).ok_or_else(|| {
        let variable = "OPEN_COWORK_CLOUD_PG_SCHEMA";
        CommandError::Usage(format!(
            "{variable} is no name of a schema; write letters, digits and _ only"
        ))
    })?;
    let options = PostgresOptions {
        schema,
        connect_timeout: postgres.connect_timeout,
        ..PostgresOptions::default()
    };
    Ok(Database::Postgres(postgres, options))
}

impl Database<'_> {
    fn migrate(self) -> Result<Result<Migrations, Finding>, CommandError> {
        asked(async {
            match self {
                Database::File(path) => SqliteStore::migrate(path, SqliteOptions::default()).await,
                Database::Postgres(postgres, options) => {
                    PostgresStore::migrate(&postgres.url, options).await
                }
            }
        })
    }

    fn inspect(self) -> Result<Result<Migrations, Finding>, CommandError> {
        asked(async {
            match self {
                Database::File(path) => {
                    SqliteStore::migrations(path, &SqliteOptions::default()).await
                }
                Database::Postgres(postgres, options) => {
                    PostgresStore::migrations(&postgres.url, options).await
                }
            }
        })
    }
}

/// Runs one question to a database; its error is a finding.
fn asked<E: std::fmt::Display>(
    question: impl Future<Output = Result<Migrations, E>>,
) -> Result<Result<Migrations, Finding>, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::Internal(format!("no runtime can be started ({error})")))?;
    let answer = runtime.block_on(question);
    Ok(answer.map_err(|error| {
        Finding::error(
            "CLOUD_RECORDS",
            "OPEN_COWORK_CLOUD_CONTROL_PLANE_URL",
            error.to_string(),
        )
        .with_help("Check the address and that the database runs; nothing was changed.")
    }))
}
