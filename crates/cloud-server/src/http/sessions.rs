//! Threads (03 §8.3).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::sessions::{self, Order, Ordered};
use crate::sse;
use axum::http::StatusCode;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::sessions::{
    AbortRequest, CreateSession, Mutation, PermissionRespond, ProjectionRepair, ProjectionStatus,
    PromptRequest, QuestionReject, QuestionReply, SessionViewAnswer, SessionsPage,
};
use open_cowork_contracts::record::SessionEnvelope;
use open_cowork_contracts::{CommandId, SessionId, SessionStatus};
use open_cowork_providers::store::SessionQuery;
use open_cowork_providers::store::page::{DEFAULT_LIMIT, MAX_LIMIT};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "sessions",
            CloudAction::SessionsList,
            "The caller's threads, touched last first",
            list,
        )
        .query(&[
            ("limit", "Rows: 1 to 500, 100 when absent"),
            ("cursor", "`nextCursor` of the page before"),
            ("status", "Only `idle`, `running`, `closed` or `errored`"),
            ("profileName", "Only threads of this profile"),
            ("q", "Text in title, ids or profile"),
        ])
        .answers::<SessionsPage>(),
        Route::post(
            "sessions",
            CloudAction::SessionsCreate,
            "Starts a thread",
            create,
        )
        .takes::<CreateSession>()
        .answers::<SessionEnvelope>()
        .status(201),
        Route::get(
            "sessions/:id",
            CloudAction::SessionsGet,
            "A thread with its projection",
            read,
        )
        .answers::<SessionEnvelope>(),
        Route::post(
            "sessions/:id/activate",
            CloudAction::SessionsActivate,
            "Opens a thread",
            read,
        )
        .answers::<SessionEnvelope>(),
        Route::get(
            "sessions/:id/view",
            CloudAction::SessionsView,
            "A thread in the shape that renderers read",
            view,
        )
        .answers::<SessionViewAnswer>(),
        Route::get(
            "sessions/:id/projection-status",
            CloudAction::SessionsProjectionRead,
            "How far a projection is behind its log",
            projection_status,
        )
        .answers::<ProjectionStatus>(),
        Route::post(
            "sessions/:id/projection-repair",
            CloudAction::SessionsProjectionRepair,
            "Folds a log anew",
            projection_repair,
        )
        .answers::<ProjectionRepair>(),
        Route::get(
            "sessions/:id/events",
            CloudAction::SessionsEvents,
            "Follows the events of a thread",
            events,
        )
        .query(&[("after", "The last sequence that the caller has seen")])
        .streaming(),
        Route::post(
            "sessions/:id/prompt",
            CloudAction::SessionsPrompt,
            "Says something to an agent",
            prompt,
        )
        .takes::<PromptRequest>()
        .answers::<Mutation>()
        .status(202),
        Route::post(
            "sessions/:id/abort",
            CloudAction::SessionsAbort,
            "Stops the turn",
            abort,
        )
        .takes::<AbortRequest>()
        .answers::<Mutation>()
        .status(202),
        Route::post(
            "sessions/:id/question-reply",
            CloudAction::SessionsQuestionReply,
            "Answers a question",
            question_reply,
        )
        .takes::<QuestionReply>()
        .answers::<Mutation>()
        .status(202),
        Route::post(
            "sessions/:id/question-reject",
            CloudAction::SessionsQuestionReject,
            "Dismisses a question",
            question_reject,
        )
        .takes::<QuestionReject>()
        .answers::<Mutation>()
        .status(202),
        Route::post(
            "sessions/:id/permission-respond",
            CloudAction::SessionsPermissionRespond,
            "Answers an approval",
            permission_respond,
        )
        .takes::<PermissionRespond>()
        .answers::<Mutation>()
        .status(202),
    ]
}

async fn list(call: Call) -> Answer {
    let query = call.query();
    let status = match query.text("status") {
        None => None,
        Some(name) => Some(SessionStatus::parse(name.trim()).ok_or_else(|| {
            ApiError::policy(
                StatusCode::BAD_REQUEST,
                "sessions.status.invalid",
                "Query parameter `status` must be one of idle, running, closed, errored.",
            )
        })?),
    };
    let query = SessionQuery {
        scope: call.scope()?,
        status,
        profile_name: query.text("profileName"),
        text: query.text("q").or_else(|| query.text("query")),
        cursor: query.text("cursor"),
        limit: query.limit(DEFAULT_LIMIT, MAX_LIMIT),
    };
    reply::ok(&sessions::list(&call.cloud, &query).await?)
}

async fn create(call: Call) -> Answer {
    let request: CreateSession = call.json()?;
    match request.project_source {
        None | Some(serde_json::Value::Null) => {}
        Some(serde_json::Value::Object(_)) => {
            return Err(ApiError::not_implemented("Project sources"));
        }
        Some(_) => {
            return Err(ApiError::invalid(
                "Field `projectSource` must be an object.",
            ));
        }
    }
    let id = SessionId::new(call.new_id("session"));
    let scope = call.scope()?;
    let made = sessions::create(&call.cloud, &scope, id, request.profile_name, None).await?;
    reply::created(&made)
}

async fn read(call: Call) -> Answer {
    let key = call.session_key()?;
    let body = sessions::read_json(&call.cloud, &call.scope()?, &key).await?;
    Ok(reply::bytes(StatusCode::OK, body))
}

async fn view(call: Call) -> Answer {
    let key = call.session_key()?;
    reply::ok(&sessions::view(&call.cloud, &call.scope()?, &key).await?)
}

async fn projection_status(call: Call) -> Answer {
    reply::ok(&sessions::projection_status(&call.cloud, &call.session_key()?).await?)
}

async fn projection_repair(call: Call) -> Answer {
    reply::ok(&sessions::repair(&call.cloud, &call.session_key()?).await?)
}

async fn events(call: Call) -> Answer {
    sse::session(&call, &call.session_key()?).await
}

async fn prompt(call: Call) -> Answer {
    let request: PromptRequest = call.json()?;
    let order = Order::Prompt {
        text: request.text,
        agent: request.agent,
    };
    command(&call, order).await
}

async fn abort(call: Call) -> Answer {
    call.object()?;
    command(&call, Order::Abort).await
}

async fn question_reply(call: Call) -> Answer {
    let request: QuestionReply = call.json()?;
    let order = Order::Reply {
        id: request.request_id,
        answers: request.answers,
    };
    command(&call, order).await
}

async fn question_reject(call: Call) -> Answer {
    let request: QuestionReject = call.json()?;
    let order = Order::Reject {
        id: request.request_id,
    };
    command(&call, order).await
}

async fn permission_respond(call: Call) -> Answer {
    let request: PermissionRespond = call.json()?;
    let order = Order::Permission {
        id: request.permission_id,
        response: request.response,
    };
    command(&call, order).await
}

async fn command(call: &Call, order: Order) -> Answer {
    let ordered = Ordered {
        scope: call.scope()?,
        key: call.session_key()?,
        id: CommandId::new(call.new_id("command")),
        order,
        remote: call.principal()?.token_id.is_some(),
    };
    let minimal = call.wants_minimal();
    let done = sessions::command(&call.cloud, ordered, minimal).await?;
    let mut answer = reply::accepted(&done)?;
    if minimal {
        reply::note_minimal(&mut answer);
    }
    Ok(answer)
}
