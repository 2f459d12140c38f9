//! Health, config, sessions, artifacts, and how refusals look (03 §2, §4, §8.1 to §8.5).

use super::super::transport::encode;
use super::{Run, ask, get, post, text};
use serde_json::{Value, json};

impl Run {
    pub(super) async fn health(&mut self) {
        self.check("livez", get("/livez").is("$Livez")).await;
        self.check("readyz", get("/readyz").is("$Readyz")).await;
        self.check("progressz", get("/progressz").is("$Progressz"))
            .await;
        self.check("getConfig", get("/api/config").is("$Config"))
            .await;
        self.check("getWorkspace", get("/api/workspace").is("$Workspace"))
            .await;
        self.check(
            "getRuntimeStatus",
            get("/api/runtime/status").is("$RuntimeStatus"),
        )
        .await;
        self.check(
            "heartbeats",
            get("/api/workers/heartbeats").is("$Heartbeats"),
        )
        .await;
        self.check("me", get("/auth/me").is("$Me")).await;
    }

    /// The id of a session that exists.
    pub(super) async fn sessions(&mut self) -> String {
        let made = post("/api/sessions", json!({}))
            .status(201)
            .is("$SessionView");
        let made = self.check("createSession", made).await;
        let session = text(&made, "/session/sessionId").to_owned();
        let title = text(&made, "/projection/view/title").to_owned();
        self.rule(
            "createSession: default title",
            title == "New session",
            || format!("`{title}`"),
        );
        let bare = ask("POST", "/api/sessions").status(201).is("$SessionView");
        let other = self.check("createSession without a body", bare).await;
        let other = text(&other, "/session/sessionId").to_owned();
        let id = encode(&session);
        let path = format!("/api/sessions/{id}");

        self.check("getSession", get(&path).is("$SessionView"))
            .await;
        self.check(
            "getSession with slashes",
            get(format!("/api//sessions/{id}/")).is("$SessionView"),
        )
        .await;
        let activate = ask("POST", format!("{path}/activate")).is("$SessionView");
        self.check("activate", activate).await;
        self.check("view", get(format!("{path}/view")).is("$RenderedView"))
            .await;
        self.check(
            "projection-status",
            get(format!("{path}/projection-status")).is("$ProjectionStatus"),
        )
        .await;
        let repair = ask("POST", format!("{path}/projection-repair")).is("$ProjectionRepair");
        self.check("projection-repair", repair).await;

        let listed = self
            .check("listSessions", get("/api/sessions").is("$Sessions"))
            .await;
        let ids: Vec<&str> = listed["sessions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| text(row, "/sessionId"))
            .collect();
        let has_both = ids.contains(&session.as_str()) && ids.contains(&other.as_str());
        self.rule("listSessions: lists what was made", has_both, || {
            format!("{ids:?}")
        });
        let first = get("/api/sessions")
            .query(json!({"limit": 1}))
            .is("$Sessions");
        let first = self.check("listSessionsPage", first).await;
        let cursor = text(&first, "/nextCursor").to_owned();
        let second = get("/api/sessions")
            .query(json!({"limit": 1, "cursor": cursor.clone()}))
            .is("$Sessions");
        let second = self.check("listSessionsPage: next", second).await;
        let differs = first["sessions"][0]["sessionId"] != second["sessions"][0]["sessionId"];
        self.rule("listSessionsPage: pages differ", differs, || {
            "the same session twice".to_owned()
        });
        let bad = |query: Value| get("/api/sessions").query(query).status(400);
        let foreign = bad(json!({"cursor": cursor, "q": "other"}));
        self.refused(
            "listSessionsPage: cursor of other filters",
            foreign,
            Some("sessions.cursor.invalid"),
        )
        .await;
        let broken = bad(json!({"cursor": "x"}));
        self.refused(
            "listSessionsPage: broken cursor",
            broken,
            Some("sessions.cursor.invalid"),
        )
        .await;
        let status = bad(json!({"status": "asleep"}));
        self.refused(
            "listSessionsPage: unknown status",
            status,
            Some("sessions.status.invalid"),
        )
        .await;
        let query = get("/api/sessions")
            .query(json!({"q": session.to_uppercase(), "limit": "x"}))
            .is("$Sessions");
        let found = self.check("listSessionsPage: query", query).await;
        let found = found["sessions"].as_array().map_or(0, Vec::len);
        self.rule(
            "listSessionsPage: a query finds by id in any case",
            found == 1,
            || format!("{found} found"),
        );

        self.mutations(&path).await;
        self.import().await;
        self.sources().await;
        session
    }

    async fn mutations(&mut self, path: &str) {
        let mutation = |verb: &str, body: Value| {
            post(format!("{path}/{verb}"), body)
                .status(202)
                .is("$Mutation")
        };
        let sent = mutation("prompt", json!({"text": "Say hello", "agent": "build"}));
        let sent = self.check("promptSession", sent).await;
        let kind = text(&sent, "/command/kind").to_owned();
        self.rule("promptSession: kind", kind == "prompt", || kind.clone());
        self.check("abortSession", mutation("abort", json!({})))
            .await;
        let reply = json!({"requestId": "que_1", "answers": [["yes"]]});
        self.check("replyToQuestion", mutation("question-reply", reply))
            .await;
        let reject = json!({"requestId": "que_1"});
        self.check("rejectQuestion", mutation("question-reject", reject))
            .await;
        let respond = json!({"permissionId": "per_1", "response": {"allowed": false}});
        self.check(
            "respondToPermission",
            mutation("permission-respond", respond),
        )
        .await;
        for (verb, body) in [
            ("prompt", json!({})),
            ("prompt", json!({"text": " "})),
            ("prompt", json!(["text"])),
            ("question-reply", json!({"answers": []})),
            ("question-reply", json!({"requestId": "x"})),
            ("question-reject", json!({"requestId": 7})),
            ("permission-respond", json!({"response": true})),
        ] {
            let name = format!("{verb} {body}");
            self.refused(
                &name,
                post(format!("{path}/{verb}"), body).status(400),
                None,
            )
            .await;
        }
    }

    async fn import(&mut self) {
        let body = json!({
            "source": {"kind": "local-session", "fingerprint": "f1", "title": "Old"}, "title": "Imported",
            "selection": {"includeMessages": true},
            "itemCounts": {"messages": 2, "artifacts": 0, "attachments": 0, "projectSource": 0, "excluded": 0},
            "messages": [
                {"id": "m1", "role": "user", "content": "Hi", "order": 1},
                {"id": "m2", "role": "assistant", "content": "Hello", "order": 2},
            ],
        });
        let made = post("/api/import/sessions", body)
            .status(201)
            .is("$SessionView");
        let made = self.check("importSession", made).await;
        let roles: Vec<&str> = made["projection"]["view"]["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|message| text(message, "/role"))
            .collect();
        self.rule(
            "importSession: messages",
            roles == ["user", "assistant"],
            || format!("{roles:?}"),
        );
        let paths = json!({
            "source": {"kind": "local-session", "fingerprint": "f2", "title": "Old"},
            "messages": [{"id": "m1", "role": "user", "content": "see file:///home/me/x", "order": 1}],
        });
        self.refused(
            "importSession: local path",
            post("/api/import/sessions", paths).status(400),
            None,
        )
        .await;
        let sourceless = post("/api/import/sessions", json!({"title": "x"})).status(400);
        self.refused("importSession: no source", sourceless, None)
            .await;
    }

    async fn sources(&mut self) {
        let git = json!({"kind": "git", "repositoryUrl": "https://github.com/example/repo"});
        let wrapped = post(
            "/api/project-sources/validate",
            json!({"projectSource": git.clone()}),
        );
        self.check("validateProjectSource", wrapped.is("$SourceVerdict"))
            .await;
        let bare = post("/api/project-sources/validate", git).is("$SourceVerdict");
        self.check("validateProjectSource, unwrapped", bare).await;
        let snapshot = json!({"files": [{"path": "a.txt", "dataBase64": "aGk="}]});
        let snapshot = post("/api/project-sources/snapshots", snapshot)
            .status(201)
            .is("$Snapshot");
        self.check("uploadProjectSnapshot", snapshot).await;
    }

    pub(super) async fn artifacts(&mut self, session: &str) {
        let path = format!("/api/sessions/{}/artifacts", encode(session));
        let body =
            json!({"filename": "ünï 1.txt", "contentType": "text/plain", "dataBase64": "aGVsbG8="});
        let made = post(&path, body).status(201).is("{artifact:$Artifact}");
        let made = self.check("uploadArtifact", made).await;
        let id = text(&made, "/artifact/artifactId").to_owned();
        let one = format!("{path}/{}", encode(&id));
        let expected = format!("cloud-artifact://{}/{}", encode(&id), encode("ünï 1.txt"));
        let url = text(&made, "/artifact/filePath").to_owned();
        self.rule("uploadArtifact: filePath", url == expected, || {
            format!("{url} instead of {expected}")
        });
        self.rule(
            "uploadArtifact: no storage key",
            made["artifact"].get("key").is_none(),
            || "`key` is sent".into(),
        );
        self.check("listArtifacts", get(&path).is("{artifacts:[$Artifact]}"))
            .await;
        let read = self
            .check(
                "readArtifactAttachment",
                get(&one).is("{artifact:$ArtifactData}"),
            )
            .await;
        let data = text(&read, "/artifact/dataBase64").to_owned();
        self.rule("readArtifactAttachment: bytes", data == "aGVsbG8=", || {
            data.clone()
        });
        let index =
            get("/api/artifacts").query(json!({"sessionId": session, "taskIds": ["a", "b"]}));
        self.check("indexArtifacts", index.is("$ArtifactIndex"))
            .await;
        let index = get("/api/artifacts").query(json!({"sessionId": session}));
        let index = self
            .check("indexArtifacts of a session", index.is("$ArtifactIndex"))
            .await;
        let listed = index["artifacts"].as_array().map_or(0, Vec::len);
        self.rule(
            "indexArtifacts: lists what was uploaded",
            listed == 1,
            || format!("{listed} listed"),
        );
        let status = |status: &str| {
            post(
                format!("{one}/status"),
                json!({"status": status, "updatedBy": "me"}),
            )
        };
        self.check(
            "updateArtifactStatus",
            status("in-review").is("{artifact:$Artifact}"),
        )
        .await;
        self.refused(
            "updateArtifactStatus: backward",
            status("draft").status(409),
            None,
        )
        .await;
        self.refused(
            "updateArtifactStatus: unknown",
            status("done").status(400),
            None,
        )
        .await;
        for filename in ["../x", "a/b", "", ".."] {
            let body = json!({"filename": filename, "dataBase64": "aGk="});
            self.refused(
                &format!("uploadArtifact `{filename}`"),
                post(&path, body).status(400),
                None,
            )
            .await;
        }
        let begin = json!({
            "artifactId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "filename": "x.txt", "contentType": "text/plain",
            "checksumSha256": "a".repeat(64), "expectedSize": 1,
        });
        let begin = self
            .check(
                "beginDirectUpload",
                post(format!("{path}?transfer=presigned"), begin),
            )
            .await;
        let unsupported = begin == json!({"upload": {"transfer": "unsupported"}});
        self.rule(
            "beginDirectUpload: says that it is off",
            unsupported,
            || begin.to_string(),
        );
    }

    pub(super) async fn errors(&mut self) {
        let absent = get("/api/sessions/nope").status(404);
        self.refused("a session that isn't there", absent, None)
            .await;
        for (name, ask, status) in [
            ("an unknown path", get("/api/nothing/here"), 404),
            ("a wrong method", ask("DELETE", "/api/config"), 405),
            ("outside of the API", get("/nothing"), 404),
            ("healthz", get("/healthz"), 404),
        ] {
            self.refused(name, ask.status(status), None).await;
        }
        let sent = self
            .transport
            .http
            .post(format!("{}/api/sessions", self.transport.base));
        let mut sent = sent.body("{\"x\":");
        for (name, value) in &self.transport.headers {
            sent = sent.header(name, value);
        }
        let answered = match sent.header("x-request-id", "contract-1").send().await {
            Ok(response) => {
                let id = response.headers().get("x-request-id").cloned();
                let status = response.status().as_u16();
                Some((status, id, response.text().await.unwrap_or_default()))
            }
            Err(_) => None,
        };
        let holds = answered.as_ref().is_some_and(|(status, id, body)| {
            *status == 400
                && id.as_ref().is_some_and(|id| id == "contract-1")
                && body.contains("Request body must be valid JSON")
        });
        self.rule("malformed JSON", holds, || format!("{answered:?}"));
    }
}
