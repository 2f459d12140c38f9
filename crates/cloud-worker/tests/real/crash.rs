//! Workers that die by `kill -9`, and what the next one makes of it.

use crate::support::{World, answers, count, opencodes_of, options, processes_of};
use open_cowork_cloud_worker::Worker;
use open_cowork_contracts::api::sessions::{CommandKind, CommandStatus};
use open_cowork_contracts::{EventType, SessionStatus};
use open_cowork_testkit::model::ScriptedModel;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the child: the root folder, and the model's address.
const ROOT: &str = "OPEN_COWORK_CRASH_ROOT";
const MODEL: &str = "OPEN_COWORK_CRASH_MODEL";
const ID: &str = "OPEN_COWORK_CRASH_WORKER";

/// The lease of these workers; a takeover may take two seconds longer.
const TTL: Duration = Duration::from_secs(3);

/// A worker in a process of its own.
struct Process(Child);

impl Process {
    fn start(id: &str, root: &Path, model: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "crash::the_child_works_until_it_is_killed",
                "--exact",
                "--nocapture",
            ])
            .env(ROOT, root)
            .env(MODEL, model)
            .env(ID, id)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("ready"));
        assert!(ready, "the worker started");
        Process(child)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_child_works_until_it_is_killed() {
    let Ok(root) = std::env::var(ROOT) else {
        return; // not a child
    };
    let root = Path::new(&root);
    let world = World::open(&root.join("control-plane.db")).await;
    let mut options = options(&std::env::var(ID).unwrap(), root, std::env::var(MODEL).ok());
    options.lease_ttl = TTL;
    options.poll = Duration::from_millis(500);
    let _worker = Worker::start(world.parts(), options).unwrap();
    println!("ready");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_a_turn_is_replaced_and_the_thread_goes_on() {
    let model = ScriptedModel::start().await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let world = World::open(&root.path().join("control-plane.db")).await;
    let key = world.session("ann").await;
    let mut first = Process::start("w1", root.path(), &model.base_url());
    let long = world.prompt(&key, "Take your time [[script:slow]]").await;
    world.command_when(&key, &long, CommandStatus::Acked).await;
    world
        .view_when(&key, "a running answer", |view| {
            answers(view).concat().len() > 20
        })
        .await;
    let queued = world.prompt(&key, "Hello there [[script:hello]]").await;
    let row = world.log.session(&key).await.unwrap();
    let scope = open_cowork_providers::store::Scope::of(&row.session);
    let mut own = options("w2", root.path(), Some(model.base_url()));
    own.lease_ttl = TTL;
    let second = Worker::start(world.parts(), own).unwrap();
    first.kill();
    let died = Instant::now();
    while !second.scopes().contains(&scope) {
        assert!(
            died.elapsed() < TTL + Duration::from_secs(2),
            "nobody took over"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let view = world
        .view_when(&key, "the answer of the queued prompt", |view| {
            view.status == SessionStatus::Idle
                && answers(view)
                    .last()
                    .is_some_and(|text| text.contains("Hello from"))
        })
        .await;
    assert_eq!(view.stops.len(), 1, "{:?}", view.stops);
    assert_eq!(view.stops[0].reason, "interrupted");
    world
        .command_when(&key, &queued, CommandStatus::Acked)
        .await;
    let events = world.events(&key).await;
    assert_eq!(
        count(&events, &EventType::PromptSubmitted),
        2,
        "no prompt twice"
    );
    let sent = model.requests();
    let asked = |text: &str| {
        let with = sent.iter().filter(|request| {
            let last = request.body["messages"]
                .as_array()
                .and_then(|all| all.last());
            last.is_some_and(|last| last.to_string().contains(text))
        });
        with.filter(|request| request.chosen != "title").count()
    };
    assert_eq!(asked("Hello there"), 1);
    world.assert_fold(&key).await;
    assert_eq!(
        opencodes_of(root.path()).len(),
        1,
        "the dead worker's OpenCode is gone"
    );
    second.drain(Duration::ZERO).await;
    gone(root.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_its_worker_took_along_is_withdrawn() {
    let model = ScriptedModel::start().await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let world = World::open(&root.path().join("control-plane.db")).await;
    let key = world.session("ann").await;
    let mut first = Process::start("w1", root.path(), &model.base_url());
    world.prompt(&key, "Please run it [[script:bash]]").await;
    let view = world
        .view_when(&key, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let ask = view.pending_approvals[0].id.clone();
    first.kill();
    let _second = Process::start("w2", root.path(), &model.base_url());
    let view = world
        .view_when(&key, "the end", |view| {
            view.pending_approvals.is_empty() && view.status == SessionStatus::Idle
        })
        .await;
    assert_eq!(
        view.stops.last().map(|stop| stop.reason.as_str()),
        Some("interrupted")
    );
    // Whoever answers now is too late, and nothing breaks by it.
    let payload = json!({ "permissionId": ask, "response": true });
    let late = world
        .queue(&key, CommandKind::PermissionRespond, payload)
        .await;
    world.command_when(&key, &late, CommandStatus::Acked).await;
    world.assert_fold(&key).await;
}

/// The clock of the worker jumps past its lease exactly between OpenCode's admission of a prompt and its
/// acknowledgement: what a crash at that moment leaves, and at no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_was_admitted_but_not_acknowledged_is_not_sent_again() {
    use open_cowork_providers::time::Timestamp;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    fn asked(model: &ScriptedModel) -> usize {
        let of_prompt = |body: &serde_json::Value| {
            let last = body["messages"].as_array().and_then(|all| all.last());
            last.is_some_and(|last| last.to_string().contains("Take your time"))
        };
        let sent = model.requests();
        sent.iter()
            .filter(|request| of_prompt(&request.body))
            .count()
    }
    let model = Arc::new(ScriptedModel::start().await.unwrap());
    let root = tempfile::tempdir().unwrap();
    let world = World::open(&root.path().join("control-plane.db")).await;
    let key = world.session("ann").await;
    let (armed, jumped) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut parts = world.parts();
    parts.clock = {
        let (armed, jumped, model) = (armed.clone(), jumped.clone(), model.clone());
        Arc::new(move || {
            // The request to the model is the proof that OpenCode has the prompt.
            let until = Instant::now() + Duration::from_millis(1500);
            while armed.load(Ordering::Acquire)
                && !jumped.load(Ordering::Acquire)
                && Instant::now() < until
            {
                if asked(&model) > 0 {
                    jumped.store(true, Ordering::Release);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let ahead = match jumped.load(Ordering::Acquire) {
                true => Duration::from_secs(3600),
                false => Duration::ZERO,
            };
            Timestamp::now() + ahead
        })
    };
    let mut own = options("w1", root.path(), Some(model.base_url()));
    // The clock below stands still now and then; that must not cost the lease.
    own.lease_ttl = Duration::from_secs(15);
    let worker = Worker::start(parts, own).unwrap();
    world.prompt(&key, "Hello there [[script:hello]]").await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && !answers(view).is_empty()
        })
        .await;
    armed.store(true, Ordering::Release);
    let second = world.prompt(&key, "Take your time [[script:slow]]").await;
    world
        .command_when(&key, &second, CommandStatus::Acked)
        .await;
    let view = world
        .view_when(&key, "the end", |view| view.status == SessionStatus::Idle)
        .await;
    assert!(jumped.load(Ordering::Acquire));
    let attempts = world.command(&key, &second).await.attempt_count;
    assert!(attempts > 1, "it was cut off before the acknowledgement");
    let events = world.events(&key).await;
    assert_eq!(count(&events, &EventType::PromptSubmitted), 2);
    assert_eq!(asked(&model), 1, "OpenCode was asked once");
    assert_eq!(
        view.stops.last().map(|stop| stop.reason.as_str()),
        Some("interrupted")
    );
    world.assert_fold(&key).await;
    worker.drain(Duration::ZERO).await;
    gone(root.path()).await;
}

/// The process stands still for longer than its lease lives, as on a machine that swaps or a suspended one.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_through_its_lease_adds_nothing_and_goes() {
    let model = ScriptedModel::start().await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let world = World::open(&root.path().join("control-plane.db")).await;
    let key = world.session("ann").await;
    let mut first = Process::start("w1", root.path(), &model.base_url());
    world.prompt(&key, "Take your time [[script:slow]]").await;
    world
        .view_when(&key, "a running answer", |view| {
            answers(view).concat().len() > 20
        })
        .await;
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &first.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    let mut own = options("w2", root.path(), Some(model.base_url()));
    own.lease_ttl = TTL;
    let second = Worker::start(world.parts(), own).unwrap();
    let taken = async {
        while second.scopes().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TTL * 3, taken).await.unwrap();
    let before = world.events(&key).await.len();
    signal("-CONT");
    // It gives up the home by itself; then the other one goes on.
    let queued = world.prompt(&key, "Hello there [[script:hello]]").await;
    world
        .command_when(&key, &queued, CommandStatus::Acked)
        .await;
    let view = world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle
                && answers(view)
                    .last()
                    .is_some_and(|text| text.contains("Hello from"))
        })
        .await;
    assert_eq!(view.stops.len(), 1, "{:?}", view.stops);
    let events = world.events(&key).await;
    let next = &events[before];
    assert_ne!(
        next.kind,
        EventType::AssistantMessage,
        "the sleeper's words are not in the log"
    );
    world.assert_fold(&key).await;
    first.kill();
    second.drain(Duration::ZERO).await;
    gone(root.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_random_moments_apply_every_prompt_once() {
    let model = ScriptedModel::start().await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let world = World::open(&root.path().join("control-plane.db")).await;
    let key = world.session("ann").await;
    let mut worker = Process::start("w0", root.path(), &model.base_url());
    let mut prompts = Vec::new();
    // From before the start of OpenCode to the middle of an answer.
    for (round, wait) in [0_u64, 900, 1800, 2600].into_iter().enumerate() {
        prompts.push(world.prompt(&key, "Hello there [[script:hello]]").await);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        worker.kill();
        worker = Process::start(&format!("w{}", round + 1), root.path(), &model.base_url());
    }
    for id in &prompts {
        world.command_when(&key, id, CommandStatus::Acked).await;
    }
    world
        .view_when(&key, "the end", |view| view.status == SessionStatus::Idle)
        .await;
    let events = world.events(&key).await;
    assert_eq!(count(&events, &EventType::PromptSubmitted), prompts.len());
    // In OpenCode, too: each prompt is one user message of the last conversation.
    let sent = model.requests();
    let longest = sent
        .iter()
        .filter(|request| request.chosen != "title")
        .filter_map(|request| request.body["messages"].as_array())
        .map(|messages| {
            let users = messages.iter().filter(|message| message["role"] == "user");
            users
                .filter(|message| message.to_string().contains("Hello there"))
                .count()
        })
        .max();
    assert!(longest <= Some(prompts.len()), "{longest:?}");
    world.assert_fold(&key).await;
    worker.kill();
    gone(root.path()).await;
}

/// Everything of the killed workers ends by itself.
async fn gone(root: &Path) {
    let wait = async {
        while !processes_of(root).is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(15), wait)
        .await
        .is_err()
    {
        panic!("left behind: {:?}", processes_of(root));
    }
}
