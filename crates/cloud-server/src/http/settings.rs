//! Settings that travel with a user (03 §8.8).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::settings;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::settings::{PutSetting, SettingAnswer, Settings};

/// The routes.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get(
            "settings",
            CloudAction::SettingsRead,
            "The caller's settings",
            list,
        )
        .answers::<Settings>(),
        Route::get(
            "settings/:key",
            CloudAction::SettingsRead,
            "One of the caller's settings",
            read,
        )
        .answers::<SettingAnswer>(),
    ];
    for path in ["settings", "settings/:key"] {
        for method in [Route::post, Route::put, Route::patch] {
            let route = method(
                path,
                CloudAction::SettingsWrite,
                "Writes one of the caller's settings",
                write,
            );
            routes.push(route.takes::<PutSetting>().answers::<SettingAnswer>());
        }
    }
    routes
}

async fn list(call: Call) -> Answer {
    let settings = settings::list(&call.cloud, call.principal()?).await?;
    reply::ok(&Settings { settings })
}

async fn read(call: Call) -> Answer {
    let setting = settings::read(&call.cloud, call.principal()?, call.param("key")).await?;
    reply::ok(&SettingAnswer { setting })
}

async fn write(call: Call) -> Answer {
    let wish = call.json::<PutSetting>()?;
    let key = match call.param("key") {
        "" => wish.key.unwrap_or_default(),
        key => key.to_owned(),
    };
    let Some(value) = wish.value else {
        return Err(ApiError::invalid(
            "A setting needs `key` and `value`, and the value is an object.",
        ));
    };
    let setting = settings::write(&call.cloud, call.principal()?, &key, &value).await?;
    reply::ok(&SettingAnswer {
        setting: Some(setting),
    })
}
