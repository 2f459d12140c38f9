//! Keeps OpenCode running: starts it when a provider is set up, starts it again when it dies, starts it anew
//! when the settings changed and no turn runs.

use crate::engine::{RuntimeFacts, Shared};
use crate::error::DesktopError;
use crate::offer::key_credential;
use crate::settings::ProviderSettings;
use crate::sink::key;
use open_cowork_contracts::{RuntimeSessionId, SessionStatus};
use open_cowork_providers::store::{SessionQuery, SessionRow};
use open_cowork_runtime_host::binary;
use open_cowork_runtime_host::config::{
    ComposeInput, ComposedConfig, ModelCost, ModelEntry, ModelLimit, ProviderChoice, compose,
};
use open_cowork_runtime_host::gate::GateState;
use open_cowork_runtime_host::mcp::{self, McpInput, Places, ServerSettings, SystemResolver};
use open_cowork_runtime_host::sink::ThreadSink as _;
use open_cowork_runtime_host::supervise::{LaunchSpec, Running, Supervisor};
use open_cowork_runtime_host::translate::Translator;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// While settings wait for running turns, we look that often.
const TURN_BOUNDARY: Duration = Duration::from_millis(500);
/// The memory of OpenCode is measured that often.
const MEASURE: Duration = Duration::from_secs(15);

/// Shorter values of the configuration are words, not keys: removing them would damage what people write.
const SHORTEST_KEY: usize = 8;
/// What this program is among the product's modes (05 §12).
const PRODUCT_MODE: &str = "desktop-local";

/// State of the managed OpenCode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No provider is set up.
    NotConfigured,
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It ended and is being started again.
    Restarting,
    /// It failed at its start more than once in a row, and is tried again by itself; the sentence says why.
    Struggling(String),
    /// It can't be started; the sentence says why.
    Failed(String),
}

/// What made a manager leave its running OpenCode.
enum Change {
    Closing,
    Restart,
    Exited(open_cowork_runtime_host::supervise::Exit),
}

/// Runs until the desktop closes.
pub(crate) async fn manage(shared: Arc<Shared>) {
    let supervisor = Supervisor::default();
    let mut failed_starts = 0_u32;
    while !shared.closing.is_cancelled() {
        let spec = match launch_spec(&shared).await {
            Ok(Some(spec)) => spec,
            Ok(None) => {
                shared.phase.send_replace(Phase::NotConfigured);
                mark_interrupted(&shared).await;
                wait_for_restart(&shared).await;
                continue;
            }
            Err(error) => {
                give_up(&shared, &supervisor, &error.to_string()).await;
                continue;
            }
        };
        let started = tokio::select! {
            started = supervisor.start(&spec) => started,
            () = shared.closing.cancelled() => break,
            // Other settings may be what helps; no reason to wait for the backoff.
            () = shared.restart.notified() => {
                failed_starts = 0;
                supervisor.reset().await;
                continue;
            }
        };
        match started {
            Ok(running) => {
                failed_starts = 0;
                attend(&shared, &supervisor, running, &spec.config).await;
            }
            Err(error) if error.is_retryable() => {
                tracing::info!(%error, "OpenCode did not start");
                failed_starts += 1;
                shared.phase.send_replace(match failed_starts {
                    1 => Phase::Restarting,
                    _ => Phase::Struggling(error.to_string()),
                });
            }
            Err(error) => {
                failed_starts = 0;
                give_up(&shared, &supervisor, &error.to_string()).await;
            }
        }
    }
    forget_config(&shared);
}

/// The composed config holds the key: it is on disk only while an OpenCode runs that reads it.
fn forget_config(shared: &Shared) {
    if let Err(error) = shared.home.forget_config() {
        tracing::warn!(%error, "the config of an ended OpenCode stays on disk");
    }
}

/// Follows a running OpenCode to its end.
async fn attend(
    shared: &Arc<Shared>,
    supervisor: &Supervisor,
    running: Running,
    config: &ComposedConfig,
) {
    let remarks = running.verdict().reasons.clone();
    let inputs = config.diagnostics(Some(running.version()), PRODUCT_MODE);
    set_facts(
        shared,
        RuntimeFacts {
            memory: Some(running.memory()),
            remarks,
            inputs: Some(Arc::new(inputs)),
        },
    );
    // Keys that the configuration brought along; those of the settings are known already.
    let secrets = config.secrets().iter().map(|secret| secret.expose_secret());
    shared
        .sink
        .redactor
        .learn(secrets.filter(|secret| secret.len() >= SHORTEST_KEY));
    // The agent's shell has it in its environment, and it opens OpenCode's door.
    shared
        .sink
        .redactor
        .learn([running.password().expose_secret()]);
    shared.host.attach_process(&running);
    shared.phase.send_replace(Phase::Running);
    let catching_up = tokio::spawn(catch_up(shared.clone()));
    // Made once: a wish for a restart that waits for its turn boundary must outlive a measurement.
    let mut restart = std::pin::pin!(settled_restart(shared));
    let change = loop {
        tokio::select! {
            exit = running.wait() => break Change::Exited(exit),
            () = shared.closing.cancelled() => break Change::Closing,
            () = &mut restart => break Change::Restart,
            () = tokio::time::sleep(MEASURE) => measure(shared, &running),
        }
    };
    catching_up.abort();
    shared.host.detach();
    match change {
        Change::Exited(exit) => {
            tracing::warn!(code = ?exit.code, signal = ?exit.signal, "OpenCode ended; starting it again");
            supervisor.note_exit(&exit).await;
            forget_config(shared);
            shared.phase.send_replace(Phase::Restarting);
        }
        Change::Closing | Change::Restart => {
            shared.phase.send_replace(Phase::Starting);
            if let Err(error) = running.stop().await {
                tracing::warn!(%error, "OpenCode did not stop cleanly");
            }
        }
    }
}

/// Nothing can be started until someone changes something.
async fn give_up(shared: &Arc<Shared>, supervisor: &Supervisor, why: &str) {
    // Whoever prompts or looks is told the reason; the log needn't say it twice.
    tracing::info!(reason = why, "OpenCode can't be started");
    shared.phase.send_replace(Phase::Failed(why.to_owned()));
    mark_interrupted(shared).await;
    wait_for_restart(shared).await;
    supervisor.reset().await;
}

async fn wait_for_restart(shared: &Shared) {
    tokio::select! {
        () = shared.restart.notified() => {}
        () = shared.closing.cancelled() => {}
    }
}

/// A restart that was asked for waits for a turn boundary: turns run on to their end with the old settings.
async fn settled_restart(shared: &Shared) {
    shared.restart.notified().await;
    while running_threads(shared)
        .await
        .iter()
        .any(|row| row.session.status == SessionStatus::Running)
    {
        tokio::time::sleep(TURN_BOUNDARY).await;
    }
}

fn measure(shared: &Shared, running: &Running) {
    let memory = running.memory();
    if memory.over() {
        tracing::warn!(
            rss = memory.rss_bytes,
            budget = memory.budget_bytes,
            "OpenCode is above its memory budget"
        );
    }
    let mut facts = shared
        .runtime_facts
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    facts.memory = Some(memory);
}

fn set_facts(shared: &Shared, facts: RuntimeFacts) {
    *shared
        .runtime_facts
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = facts;
}

/// Threads whose turn was cut short, or that wait for an answer, catch up with OpenCode's history.
async fn catch_up(shared: Arc<Shared>) {
    for row in running_threads(&shared).await {
        let thread = &row.session.session_id;
        if shared.host.is_open(thread) {
            continue; // recovers by itself when the stream is there
        }
        let folder = row.directory.clone().unwrap_or_default();
        let opened = match check_folder(&shared, Path::new(&folder))
            .await
            .is_ok_and(|state| state.trusted)
        {
            true => {
                let session =
                    Some(&row.session.opencode_session_id).filter(|session| !session.is_empty());
                match session {
                    Some(session) => shared
                        .host
                        .open(thread, Some(session), Path::new(&folder))
                        .await
                        .map(drop)
                        .is_ok(),
                    None => false,
                }
            }
            // What the folder would run is not trusted: nothing of it is opened, also not to catch up.
            false => false,
        };
        if !opened {
            interrupt(&shared, &row).await;
        }
    }
}

/// What opening the folder would run, and whether the user trusted exactly that.
pub(crate) async fn check_folder(shared: &Shared, folder: &Path) -> Result<GateState, String> {
    let (gate, folder) = (shared.gate.clone(), folder.to_owned());
    let checked = tokio::task::spawn_blocking(move || gate.check(&folder)).await;
    checked
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

/// Every turn that the store shows as running is marked: OpenCode can't be asked.
async fn mark_interrupted(shared: &Arc<Shared>) {
    shared.host.lost().await;
    for row in running_threads(shared).await {
        interrupt(shared, &row).await;
    }
}

async fn interrupt(shared: &Shared, row: &SessionRow) {
    let thread = &row.session.session_id;
    let root: &RuntimeSessionId = &row.session.opencode_session_id;
    let Ok((view, sequence)) = shared.sink.view(thread).await else {
        return;
    };
    let mut translator = Translator::new(
        root.as_str(),
        Some(thread.as_str()),
        row.directory.as_deref(),
    );
    let events = translator.interrupt_view(&view, sequence);
    if !events.is_empty()
        && let Err(error) = shared.log.append(&key(thread), events).await
    {
        tracing::error!(%thread, %error, "a turn that was cut short could not be marked");
    }
}

/// Threads with a running turn or an open ask.
async fn running_threads(shared: &Shared) -> Vec<SessionRow> {
    let mut rows = Vec::new();
    let mut query = SessionQuery {
        status: Some(SessionStatus::Running),
        ..SessionQuery::new(shared.scope())
    };
    loop {
        let page = match shared.log.page_sessions(&query).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the thread list can't be read");
                return rows;
            }
        };
        rows.extend(page.rows);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return rows,
        }
    }
}

/// How to start OpenCode with the settings in force; `None` when no provider is set up.
async fn launch_spec(shared: &Shared) -> Result<Option<LaunchSpec>, DesktopError> {
    let Some((settings, demo)) = shared.effective()? else {
        return Ok(None);
    };
    let input = compose_input(shared, settings, demo).await?;
    let config = compose(&input, shared.home.paths())?;
    for issue in config.inheritance_issues() {
        tracing::info!(path = %issue.path, "a sub-agent was held to what its caller may do");
    }
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let opencode = binary::resolve(shared.options.opencode.as_deref(), &search_path)?;
    let web_search = config.offers_web_search();
    let mut spec = LaunchSpec::new(opencode, shared.home.clone(), Arc::new(config));
    spec.environment.web_search = web_search;
    spec.launcher = shared.options.launcher.clone();
    spec.allow_untested = shared.options.allow_untested;
    Ok(Some(spec))
}

/// Settings, stored keys, the configuration and what this machine has, as one input.
async fn compose_input(
    shared: &Shared,
    settings: ProviderSettings,
    demo: bool,
) -> Result<ComposeInput, DesktopError> {
    let offer = shared.settings.offer();
    let key: Option<SecretString> = match demo {
        true => Some(SecretString::from("demo")),
        false => {
            settings.check(offer)?;
            shared.settings.key(&settings.provider)?
        }
    };
    let config = Arc::new(shared.config.config().clone());
    let mut credentials = BTreeMap::new();
    let mut api_key = None;
    let provider = match settings.provider.as_str() {
        // The demo's endpoint is nobody's choice, so no list has to name it.
        "custom" if demo || !offer.is_described() => {
            api_key = key;
            ProviderChoice::OpenAiCompatible {
                id: "custom".to_owned(),
                name: if demo {
                    "Scripted demo model"
                } else {
                    "Custom endpoint"
                }
                .to_owned(),
                base_url: settings.endpoint(offer),
                models: if demo {
                    vec![demo_model(&settings.model)]
                } else {
                    Vec::new()
                },
            }
        }
        id if offer.is_described() => {
            match (key, key_credential(&config, id)) {
                (Some(key), Some(credential)) => {
                    let stored = BTreeMap::from([(credential.key.clone(), key)]);
                    credentials.insert(id.to_owned(), stored);
                }
                (key, None) => api_key = key,
                (None, Some(_)) => {}
            }
            ProviderChoice::Configured { id: id.to_owned() }
        }
        id => {
            api_key = key;
            ProviderChoice::Known {
                id: id.to_owned(),
                options: base_url_option(&settings.base_url),
            }
        }
    };
    let chosen = !demo && shared.settings.load()?.is_some();
    let mut input = ComposeInput {
        api_key,
        credentials,
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| config.allowed_env_placeholders.contains(name))
            .collect(),
        selected_provider: chosen.then(|| settings.provider.clone()),
        selected_model: chosen.then(|| settings.model.clone()),
        product: Some(config.clone()),
        ..ComposeInput::new(provider, settings.model)
    };
    // The user of this desktop has no list of servers of their own yet; what the distribution ships is judged.
    input.servers = mcp::evaluate(
        &McpInput {
            product: &config.mcps,
            own: &[],
            settings: &ServerSettings::default(),
            mcp: input.effective_dimensions().mcp,
            own_permitted: input.managed.extensions.custom_mcps,
            places: &places(),
        },
        &SystemResolver,
    )
    .await;
    Ok(input)
}

/// Programs and scripts of the distribution are beside our own program and in the downstream root (02 §10.2).
fn places() -> Places {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let content_roots = crate::config::asset_folders();
    Places {
        shipped: content_roots.iter().map(|root| root.join("bin")).collect(),
        search_path: std::env::split_paths(&path).collect(),
        content_roots,
        project: None,
    }
}

fn base_url_option(url: &Option<String>) -> serde_json::Map<String, serde_json::Value> {
    let url = url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    url.map(|url| ("baseURL".to_owned(), serde_json::json!(url)))
        .into_iter()
        .collect()
}

fn demo_model(id: &str) -> ModelEntry {
    ModelEntry {
        id: id.to_owned(),
        name: Some("Scripted demo model".to_owned()),
        limit: Some(ModelLimit {
            context: 100_000,
            output: 8_192,
        }),
        cost: Some(ModelCost {
            input: 3.0,
            output: 15.0,
            cache_read: None,
            cache_write: None,
        }),
        reasoning: None,
    }
}

/// Writes and removes a small file.
pub(crate) fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(".write-probe");
    std::fs::write(&probe, b"ok")?;
    std::fs::remove_file(&probe)
}
