//! The desktop program: parses, opens the engine, serves the page or runs one turn in the terminal.

mod arguments;

use anyhow::{anyhow, bail};
use arguments::{Arguments, Command, ConfigCommand, EngineArguments};
use clap::Parser as _;
use open_cowork_config::load::Loaded;
use open_cowork_desktop::chat::{self, ChatOptions, Outcome};
use open_cowork_desktop::data::DataDir;
use open_cowork_desktop::offer::Offer;
use open_cowork_desktop::serve::Page;
use open_cowork_desktop::settings::{ProviderSettings, SettingsStore};
use open_cowork_desktop::{Desktop, DesktopError, DesktopOptions, config, connection};
use open_cowork_workbench::WorkspaceError;
use secrecy::SecretString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, BufReader, stdin};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // The launcher of OpenCode is this program executed once more.
    open_cowork_runtime_host::launch::run_if_launcher();
    let arguments = Arguments::parse();
    let filter = match tracing_subscriber::EnvFilter::try_new(&arguments.log) {
        Ok(filter) => filter,
        Err(error) => {
            complain(&format!(
                "--log {:?} is not a filter ({error}); write one such as info",
                arguments.log
            ));
            return ExitCode::from(2);
        }
    };
    // A closed standard error is no reason to end: such failures are not reported anywhere.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let log = log
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    // Not `init`, which also takes in what HTTP libraries tell the `log` crate: at `trace` the bytes of their
    // requests, with the provider key.
    let _ = tracing::subscriber::set_global_default(log); // it is the first and only one
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(run(arguments));
    runtime.shutdown_background(); // a read of the terminal may still wait
    done.unwrap_or_else(|error| fail(&error))
}

fn fail(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::FAILURE
}

/// To standard error; where nobody reads it, nothing is lost.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "error: {text}");
}

/// To standard output.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = config::find(config::environment(), arguments.config)?;
    for warning in config.warnings() {
        tracing::warn!(at = warning.path, "{}", warning.message);
    }
    match arguments.command {
        Command::Serve { engine, port } => serve(options(engine, config)?, port).await,
        Command::Chat {
            engine,
            text,
            thread,
            agent,
            json,
        } => {
            let directory = engine
                .workspace
                .clone()
                .map(std::path::absolute)
                .transpose()?;
            let options = ChatOptions {
                text,
                thread: thread.map(Into::into),
                directory,
                agent,
                json,
            };
            terminal(self::options(engine, config)?, options).await
        }
        Command::Config { data_dir, command } => {
            settings(data_folder(data_dir, &config)?, &config, command).await
        }
    }
}

async fn serve(options: DesktopOptions, port: u16) -> anyhow::Result<ExitCode> {
    let stop = stopped()?;
    let page = Page::bind(port).await?;
    let desktop = Desktop::open(options).await?;
    let served = match say(&format!("open {}", page.url())) {
        Ok(()) => {
            page.serve(&desktop, stop).await;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(anyhow!(
            "the address of the page can't be printed ({error}); it is not served"
        )),
    };
    desktop.close().await;
    served
}

async fn terminal(options: DesktopOptions, chat_options: ChatOptions) -> anyhow::Result<ExitCode> {
    let stop = stopped()?;
    let desktop = Desktop::open(options).await?;
    let workspace = desktop.workspace();
    let mut out = std::io::stdout();
    let turn = chat::run(&workspace, chat_options, BufReader::new(stdin()), &mut out);
    let code = tokio::select! {
        outcome = turn => match outcome {
            Ok(Outcome::Done) => ExitCode::SUCCESS,
            Ok(Outcome::Failed) => ExitCode::from(1),
            Ok(Outcome::Stopped) => ExitCode::from(3),
            Err(error @ (WorkspaceError::Invalid(_) | WorkspaceError::TooLarge(_) | WorkspaceError::NotFound(_))) => {
                complain(&error.to_string());
                ExitCode::from(2)
            }
            Err(error) => {
                complain(&error.to_string());
                ExitCode::from(1)
            }
        },
        () = stop => ExitCode::from(130),
    };
    desktop.close().await;
    Ok(code)
}

/// The folder that was named, else the product's.
fn data_folder(named: Option<PathBuf>, config: &Loaded) -> Result<PathBuf, DesktopError> {
    let product = || DataDir::default_path(&config.config().branding.data_dir_name);
    named.map_or_else(product, Ok)
}

async fn settings(
    root: PathBuf,
    config: &Loaded,
    command: ConfigCommand,
) -> anyhow::Result<ExitCode> {
    let store = SettingsStore::new(&root, Offer::of(config.config()));
    match command {
        ConfigCommand::Show { json } => {
            let settings = store.load()?;
            let has_key = match &settings {
                Some(settings) => store.key(&settings.provider)?.is_some(),
                None => false,
            };
            match settings {
                _ if json => say(
                    &serde_json::json!({ "settings": settings, "hasKey": has_key }).to_string(),
                )?,
                None => say("No provider is set up; see `config set --help`.")?,
                Some(settings) => say(&format!(
                    "provider  {}\nendpoint  {}\nmodel     {}\nkey       {}",
                    settings.provider,
                    settings.endpoint(store.offer()),
                    settings.model,
                    if has_key { "stored" } else { "none" }
                ))?,
            }
        }
        ConfigCommand::Set {
            provider,
            model,
            base_url,
            key_stdin,
            test,
        } => {
            // A running desktop would not notice; its settings page is the way there.
            let _held = DataDir::open(&root)?;
            let settings = ProviderSettings {
                provider,
                base_url,
                model,
            };
            let key = match key_stdin {
                true => Some(read_key().await?),
                false => None,
            };
            if test {
                let stored = store.key(&settings.provider)?;
                let report = {
                    let key = key.as_ref().or(stored.as_ref());
                    connection::test(&settings, store.offer(), key).await
                };
                if !report.ok {
                    bail!("{} Nothing was saved.", report.message);
                }
                say(&report.message)?;
            }
            store.save(&settings, key.as_ref())?;
            say(&format!("Saved in {}.", store.path().display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn read_key() -> anyhow::Result<SecretString> {
    let mut key = Vec::new();
    stdin().take(64 * 1024).read_to_end(&mut key).await?; // more is refused as no key
    let key = String::from_utf8(key)
        .map_err(|_| anyhow!("the key on standard input is not text; copy it again"))?;
    Ok(SecretString::from(key.trim().to_owned()))
}

fn options(engine: EngineArguments, config: Arc<Loaded>) -> anyhow::Result<DesktopOptions> {
    let mut options = DesktopOptions::new(data_folder(engine.data_dir, &config)?);
    options.config = Some(config);
    options.opencode = engine.opencode;
    options.demo_endpoint = engine.demo_endpoint;
    options.workspace = engine.workspace;
    options.allow_untested = engine.allow_untested;
    Ok(options)
}

/// Done at Ctrl-C or SIGTERM, which are caught from this call on. A second one ends the program at once; OpenCode
/// ends with it, and what was stored is stored.
fn stopped() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(130);
        });
    })
}
