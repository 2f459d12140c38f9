//! Text of a model, a tool or a file never becomes active content.

use crate::html;
use crate::support::Fake;
use crate::visitor::{Browser, options, text};
use open_cowork_workbench::{TrustFile, TrustState, WorkspaceError};
use serde_json::json;

/// Text that would do harm if it became markup. `k` makes each unique.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "[x](javascript:alert(1)) ![y](javascript:alert(2)) <javascript:alert(3)>",
    "<a href=\"javascript:alert(1)\">x</a><iframe src=//evil.example></iframe><form action=//evil.example>",
];

/// Panics when the page's own elements are not the only active ones.
fn assert_inert(page: &str, what: &str) {
    for (name, attributes) in html::tags(page) {
        assert!(
            !matches!(
                name.as_str(),
                "svg" | "iframe" | "object" | "embed" | "style" | "base"
            ),
            "{what}: <{name}>"
        );
        for (key, value) in &attributes {
            assert!(
                !key.starts_with("on") && key != "style" && key != "srcdoc",
                "{what}: <{name} {key}>"
            );
            let value = value.trim().to_ascii_lowercase();
            if matches!(key.as_str(), "href" | "src" | "action" | "formaction") {
                assert!(
                    !value.starts_with("javascript") && !value.starts_with("//"),
                    "{what}: {key}={value}"
                );
            }
            if name == "form" && key == "action" {
                assert!(value.starts_with('/'), "{what}: {value}");
            }
        }
        let source = attributes
            .iter()
            .find(|(key, _)| key == "src")
            .map_or("", |(_, value)| value.as_str());
        if name == "script" {
            assert!(source.starts_with("/assets/"), "{what}: a foreign script");
        }
        if name == "img" {
            assert!(
                source.starts_with("data:image/png;base64,"),
                "{what}: an image"
            );
        }
    }
}

#[tokio::test]
async fn no_text_becomes_active_content() {
    for x in HOSTILE {
        let fake = Fake::new();
        fake.thread("t1", x);
        let id = format!("id{x}");
        fake.emit(
            "t1",
            "prompt.submitted",
            json!({"messageId": format!("u{x}"), "text": x, "attachments": [{"filename": x}]}),
        );
        fake.emit("t1", "assistant.message", json!({"messageId": id, "content": format!("{x}\n\n- {x}\n\n| {x} |\n|-|\n| {x} |\n\n```{x}\n{x}\n```\n"), "mode": "append"}));
        for (tool, input) in [
            ("bash", json!({"command": x})),
            (
                "edit",
                json!({"filePath": x, "oldString": x, "newString": format!("{x}{x}")}),
            ),
            ("read", json!({"filePath": x})),
            ("grep", json!({"pattern": x})),
            (x, json!({x: x})),
        ] {
            let call = format!("c{tool}{x}");
            fake.emit("t1", "tool.call", json!({"id": call, "name": tool, "status": "complete", "input": input, "output": x, "subject": x, "error": x,
                "attachments": [{"mime": "image/svg+xml", "url": format!("data:image/svg+xml,{x}"), "filename": x}, {"mime": "image/png", "url": format!("data:image/png;base64,{x}"), "filename": x}]}));
        }
        fake.emit("t1", "task.run", json!({"taskRunId": format!("k{x}"), "title": x, "agent": x, "status": "error", "error": x, "merge": true}));
        fake.emit("t1", "task.message", json!({"taskRunId": format!("k{x}"), "messageId": "tm", "content": x, "mode": "append"}));
        fake.emit(
            "t1",
            "todos.updated",
            json!({"todos": [{"content": x, "status": x, "priority": x}]}),
        );
        fake.emit(
            "t1",
            "artifact.created",
            json!({"artifactId": x, "filename": x}),
        );
        fake.emit("t1", "permission.requested", json!({"permissionId": format!("p{x}"), "tool": x, "subject": x, "patterns": [x], "description": x, "input": {"workdir": x, x: x}}));
        fake.emit(
            "t1",
            "permission.requested",
            json!({"permissionId": format!("r{x}"), "tool": x, "description": x, "input": {}}),
        );
        fake.emit(
            "t1",
            "permission.resolved",
            json!({"permissionId": format!("r{x}"), "allowed": false, "reason": x}),
        );
        fake.emit("t1", "question.asked", json!({"requestId": format!("q{x}"), "questions": [{"header": x, "question": x, "options": [{"label": x, "description": x}], "custom": true}]}));
        fake.emit("t1", "question.asked", json!({"requestId": format!("s{x}"), "questions": [{"header": x, "question": x, "options": []}]}));
        fake.emit(
            "t1",
            "question.resolved",
            json!({"requestId": format!("s{x}"), "answers": [[x]]}),
        );
        fake.emit("t1", "runtime.error", json!({"message": x}));
        {
            let mut state = fake.state();
            let files = vec![TrustFile {
                path: x.into(),
                effect: x.into(),
                excerpt: x.into(),
            }];
            state.trust = TrustState {
                directory: x.into(),
                trusted: false,
                digest: x.into(),
                files,
                changed: true,
            };
            state.overview.workspace = x.into();
            state.overview.default_directory = x.into();
            state.overview.models = vec![x.into()];
            state.overview.coworkers[0].name = x.into();
            state.overview.coworkers[0].description = x.into();
            state.settings.model = x.into();
            state.settings.base_url = Some(x.into());
            state.settings.key_storage = x.into();
            state.settings.providers.push((x.into(), x.into()));
            state.health[0].name = x.into();
            state.health[0].detail = x.into();
        }
        let mut options = options();
        options.branding = crate::brand::said_everywhere(x);
        let browser = Browser::open(fake.clone(), options).await;
        assert_inert(&browser.before_login("/").await, &format!("door with {x}"));
        for path in ["/", "/chats", "/chats/t1", "/settings", "/health"] {
            assert_inert(&browser.page(path).await, &format!("{path} with {x}"));
        }
        let encoded = percent_encoding::utf8_percent_encode(
            &format!("cbash{x}"),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        assert_inert(
            &browser.page(&format!("/chats/t1/calls/{encoded}")).await,
            x,
        );
        fake.state().fail = Some(WorkspaceError::Invalid(x.into()));
        for (path, fields) in [
            ("/chats", vec![("text", x), ("directory", x)]),
            ("/chats/t1/prompt", vec![("text", x), ("agent", x)]),
            ("/chats/t1/stop", vec![]),
            ("/settings", vec![("model", x), ("provider", x)]),
            ("/settings/test", vec![("model", x)]),
        ] {
            assert_inert(
                &text(browser.post(path, &fields).await).await,
                &format!("{path} with {x}"),
            );
        }
    }
}
