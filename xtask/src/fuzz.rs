//! The fuzz targets of `fuzz/`: built with coverage on the stable compiler, run by libFuzzer.

use anyhow::{Context as _, bail};
use open_cowork_testkit::process::find_program;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The targets, in the order in which they share the time.
const TARGETS: [&str; 2] = ["loader", "document"];

/// What `cargo fuzz` passes on the nightly compiler, in the spelling that the stable one takes.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    --cfg fuzzing";

/// An input may take this long, seconds, before it counts as a hang.
const HANG: u32 = 10;

/// How to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long, in all.
    #[arg(long, default_value_t = 600, value_name = "N")]
    seconds: u64,
    /// Only this target: loader or document.
    #[arg(long, value_name = "TARGET", value_parser = TARGETS)]
    target: Option<String>,
}

/// Builds the targets and runs each for its share of the time. What they learn stays in
/// `target/fuzz/corpus`; an input that breaks one is written to `fuzz/regressions`, where the ordinary
/// tests find it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if find_program("g++").is_none() && find_program("c++").is_none() {
        bail!("libFuzzer needs a C++ compiler; install g++");
    }
    let targets: Vec<&str> = TARGETS
        .into_iter()
        .filter(|target| {
            options
                .target
                .as_deref()
                .is_none_or(|wanted| wanted == *target)
        })
        .collect();
    let root = crate::root();
    let output = root.join("target/fuzz");
    eprintln!("fuzz: building with coverage; the first time takes minutes");
    let binaries = build(&root, &output)?;
    let share = (options.seconds / targets.len() as u64).max(1);
    for target in targets {
        eprintln!("fuzz: {target} for {share} s");
        fuzz(&root, &output, &binaries.join(target), target, share)?;
    }
    eprintln!("fuzz: nothing broke");
    Ok(())
}

fn build(root: &Path, output: &Path) -> anyhow::Result<PathBuf> {
    let host = host()?;
    let status = crate::cargo()
        .current_dir(root.join("fuzz"))
        .args(["build", "--release", "--target", &host])
        .env("CARGO_TARGET_DIR", output)
        .env("RUSTFLAGS", COVERAGE)
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the fuzz targets could not be built ({status}); the lines above say why");
    }
    Ok(output.join(host).join("release"))
}

/// The compiler's own platform. It is named so that build scripts are not built with coverage.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc could not be started")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc -vV names no host")
}

fn fuzz(
    root: &Path,
    output: &Path,
    binary: &Path,
    target: &str,
    seconds: u64,
) -> anyhow::Result<()> {
    let learned = output.join("corpus").join(target);
    let regressions = root.join("fuzz/regressions").join(target);
    for folder in [&learned, &regressions] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} can't be made", folder.display()))?;
    }
    let status = Command::new(binary)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={HANG}"))
        .args([
            "-max_len=8192",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ])
        .arg(format!("-artifact_prefix={}/", regressions.display()))
        .arg(&learned)
        .arg(root.join("fuzz/corpus").join(target))
        .status()
        .with_context(|| format!("{} could not be started", binary.display()))?;
    if !status.success() {
        bail!(
            "{target} broke; the input is in {}, and `cargo test -p open-cowork-config --test fuzz` runs it",
            regressions.display()
        );
    }
    // An empty folder says nothing; git wouldn't keep it either.
    let _ = std::fs::remove_dir(&regressions);
    Ok(())
}
