//! The turn watchdog (08 §15.8): OpenCode has no step limit that holds and loops for ever on a broken
//! model stream (08 §0.7), so a turn ends at these limits, with a reason.
//!
//! Pure: the caller tells the time and what it saw. Time in which a person is asked doesn't count.

use open_cowork_opencode::event::{Event, Frame};
use open_cowork_opencode::model::{PartBody, Role};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Limits of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Answers (model steps) of the whole tree.
    pub steps: u32,
    /// Model calls in any 60 seconds, retries included.
    pub calls_per_minute: u32,
    /// Equal tool calls (name and input) one after another.
    pub repeated_calls: u32,
    /// Longest time without any progress.
    pub no_progress: Duration,
    /// Longest turn.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            steps: 100,
            calls_per_minute: 60,
            repeated_calls: 5,
            no_progress: Duration::from_secs(5 * 60),
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Too many model steps.
    Steps(u32),
    /// Too many model calls in a minute.
    Calls(u32),
    /// The same tool call again and again.
    Repeated(u32),
    /// Nothing happened for that long.
    NoProgress(Duration),
    /// The turn took that long.
    Total(Duration),
}

impl Breach {
    /// Reason code of the ending.
    pub fn code(self) -> &'static str {
        match self {
            Breach::Steps(_) => "watchdog.steps",
            Breach::Calls(_) => "watchdog.model_calls",
            Breach::Repeated(_) => "watchdog.repeated_tool",
            Breach::NoProgress(_) => "watchdog.no_progress",
            Breach::Total(_) => "watchdog.wall_time",
        }
    }

    /// One sentence for people.
    pub fn message(self) -> String {
        match self {
            Breach::Steps(n) => format!("Stopped after {n} model steps, the limit of one turn."),
            Breach::Calls(n) => format!(
                "Stopped after {n} model calls within a minute; the model's answers break off."
            ),
            Breach::Repeated(n) => format!("Stopped: the same tool call came {n} times in a row."),
            Breach::NoProgress(time) => {
                format!("Stopped: nothing happened for {}.", minutes(time))
            }
            Breach::Total(time) => format!("Stopped: the turn took longer than {}.", minutes(time)),
        }
    }
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

/// Watches one turn.
#[derive(Debug)]
pub struct Watchdog {
    limits: Limits,
    /// Start of the turn, moved by the time spent waiting for people.
    started: Instant,
    progress: Instant,
    /// Since when a person is asked.
    waiting: Option<Instant>,
    steps: u32,
    calls: VecDeque<Instant>,
    last_call: Option<(String, String)>,
    last_call_id: Option<String>,
    repeated: u32,
}

impl Watchdog {
    /// Watches a turn that starts now.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Watchdog {
            limits,
            started: now,
            progress: now,
            waiting: None,
            steps: 0,
            calls: VecDeque::new(),
            last_call: None,
            last_call_id: None,
            repeated: 0,
        }
    }

    /// People are asked (or no longer): their time doesn't count.
    pub fn waiting(&mut self, asked: bool, now: Instant) {
        match (asked, self.waiting) {
            (true, None) => self.waiting = Some(now),
            (false, Some(since)) => {
                self.waiting = None;
                self.started += now.saturating_duration_since(since);
                self.progress = now;
            }
            _ => {}
        }
    }

    /// Looks at a frame of the thread's tree; `new_message` tells that its message was not known before.
    pub fn observe(&mut self, frame: &Frame, new_message: bool, now: Instant) -> Option<Breach> {
        if is_progress(&frame.event) {
            self.progress = now;
        }
        match &frame.event {
            Event::MessageUpdated(info) if info.role == Role::Assistant && new_message => {
                self.steps += 1;
                if self.steps > self.limits.steps {
                    return Some(Breach::Steps(self.limits.steps));
                }
            }
            Event::PartUpdated(part) => match &part.body {
                PartBody::StepStart { .. } => return self.model_call(now),
                PartBody::Tool {
                    tool,
                    call_id,
                    state,
                    ..
                } if state.status != "pending" => {
                    let input = state
                        .input
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    return self.tool_call(call_id, tool, input);
                }
                _ => {}
            },
            _ => {}
        }
        None
    }

    fn model_call(&mut self, now: Instant) -> Option<Breach> {
        let minute = Duration::from_secs(60);
        while self
            .calls
            .front()
            .is_some_and(|call| now.saturating_duration_since(*call) >= minute)
        {
            self.calls.pop_front();
        }
        self.calls.push_back(now);
        (self.calls.len() > self.limits.calls_per_minute as usize)
            .then_some(Breach::Calls(self.limits.calls_per_minute))
    }

    fn tool_call(&mut self, id: &str, tool: &str, input: String) -> Option<Breach> {
        if self.last_call_id.as_deref() == Some(id) {
            return None;
        }
        self.last_call_id = Some(id.to_owned());
        let call = (tool.to_owned(), input);
        self.repeated = if self.last_call.as_ref() == Some(&call) {
            self.repeated + 1
        } else {
            1
        };
        self.last_call = Some(call);
        (self.repeated >= self.limits.repeated_calls).then_some(Breach::Repeated(self.repeated))
    }

    /// Looks at the clock.
    pub fn check(&self, now: Instant) -> Option<Breach> {
        if self.waiting.is_some() {
            return None;
        }
        if now.saturating_duration_since(self.progress) >= self.limits.no_progress {
            return Some(Breach::NoProgress(self.limits.no_progress));
        }
        (now.saturating_duration_since(self.started) >= self.limits.total)
            .then_some(Breach::Total(self.limits.total))
    }

    /// When [`Watchdog::check`] may find something next; `None` while people are asked.
    pub fn deadline(&self) -> Option<Instant> {
        if self.waiting.is_some() {
            return None;
        }
        Some((self.progress + self.limits.no_progress).min(self.started + self.limits.total))
    }
}

/// Progress is a closed list (01 §14): reads and heartbeats are none.
fn is_progress(event: &Event) -> bool {
    matches!(
        event,
        Event::MessageUpdated(_)
            | Event::PartUpdated(_)
            | Event::PartDelta { .. }
            | Event::PermissionAsked(_)
            | Event::PermissionReplied { .. }
            | Event::QuestionAsked(_)
            | Event::QuestionReplied { .. }
            | Event::QuestionRejected { .. }
            | Event::TodoUpdated { .. }
            | Event::SessionStatus { .. }
            | Event::SessionCompacted { .. }
            | Event::SessionCreated(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_opencode::decode_frame;

    fn frame(json: &str) -> Frame {
        decode_frame(json.as_bytes()).unwrap()
    }

    fn answer(id: u32) -> Frame {
        frame(&format!(
            r#"{{"id":"evt_1","type":"message.updated","properties":{{"sessionID":"ses_1","info":{{"id":"msg_{id}","sessionID":"ses_1","role":"assistant","time":{{"created":1}}}}}}}}"#
        ))
    }

    fn step() -> Frame {
        frame(
            r#"{"id":"evt_1","type":"message.part.updated","properties":{"sessionID":"ses_1","part":{"id":"prt_1","sessionID":"ses_1","messageID":"msg_1","type":"step-start"},"time":1}}"#,
        )
    }

    fn tool(call: &str, command: &str) -> Frame {
        frame(&format!(
            r#"{{"id":"evt_1","type":"message.part.updated","properties":{{"sessionID":"ses_1","part":{{"id":"prt_1","sessionID":"ses_1","messageID":"msg_1","type":"tool","tool":"bash","callID":"{call}","state":{{"status":"running","input":{{"command":"{command}"}},"time":{{"start":1}}}}}},"time":1}}}}"#
        ))
    }

    #[test]
    fn the_hundred_and_first_step_ends_the_turn() {
        let now = Instant::now();
        let mut dog = Watchdog::new(Limits::default(), now);
        assert!((0..100).all(|n| dog.observe(&answer(n), true, now).is_none()));
        assert!(
            dog.observe(&answer(7), false, now).is_none(),
            "an update is no step"
        );
        assert_eq!(
            dog.observe(&answer(100), true, now),
            Some(Breach::Steps(100))
        );
    }

    #[test]
    fn sixty_calls_a_minute_are_allowed_in_any_minute() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Limits::default(), start);
        for n in 0..240 {
            assert_eq!(
                dog.observe(&step(), false, start + Duration::from_secs(n)),
                None
            );
        }
        let mut dog = Watchdog::new(Limits::default(), start);
        let breach = (0..61).find_map(|_| dog.observe(&step(), false, start));
        assert_eq!(breach, Some(Breach::Calls(60)));
    }

    #[test]
    fn five_equal_tool_calls_in_a_row_end_the_turn_and_others_reset_the_count() {
        let now = Instant::now();
        let mut dog = Watchdog::new(Limits::default(), now);
        for n in 0..4 {
            assert_eq!(dog.observe(&tool(&format!("c{n}"), "ls"), false, now), None);
            assert_eq!(
                dog.observe(&tool(&format!("c{n}"), "ls"), false, now),
                None,
                "an update is no call"
            );
        }
        assert_eq!(dog.observe(&tool("other", "pwd"), false, now), None);
        for n in 10..14 {
            assert_eq!(dog.observe(&tool(&format!("c{n}"), "ls"), false, now), None);
        }
        assert_eq!(
            dog.observe(&tool("c14", "ls"), false, now),
            Some(Breach::Repeated(5))
        );
    }

    #[test]
    fn an_open_ask_is_not_lack_of_progress() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Limits::default(), start);
        dog.waiting(true, start + Duration::from_secs(10));
        assert_eq!(dog.deadline(), None);
        let hour = start + Duration::from_secs(3600);
        assert_eq!(dog.check(hour), None);
        dog.waiting(false, hour);
        assert_eq!(dog.check(hour + Duration::from_secs(299)), None);
        assert!(matches!(
            dog.check(hour + Duration::from_secs(300)),
            Some(Breach::NoProgress(_))
        ));
    }

    #[test]
    fn a_busy_turn_ends_after_half_an_hour() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Limits::default(), start);
        for minute in 1..30 {
            let now = start + Duration::from_secs(minute * 60);
            assert_eq!(dog.observe(&step(), false, now).or(dog.check(now)), None);
        }
        assert!(matches!(
            dog.check(start + Duration::from_secs(1800)),
            Some(Breach::Total(_))
        ));
    }
}
