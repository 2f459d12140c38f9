//! Where a plan says no, coworkers wait (04 §8).

use crate::support::{PATIENCE, Rig, TENANT, answers};
use crate::workflows::{due, scheduler_with, status};
use async_trait::async_trait;
use open_cowork_contracts::api::sessions::{CommandKind, CommandStatus};
use open_cowork_contracts::api::usage::{BillingPlan, BillingSubscription};
use open_cowork_contracts::api::workflows::{RunStatus, WorkflowStatus};
use open_cowork_contracts::{JsonObject, SessionStatus, TenantId};
use open_cowork_providers::billing::{Billing, BillingError, Checkout, CheckoutWish, Standing};
use open_cowork_providers::store::StoreError;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A provider whose one customer has paid, or not.
#[derive(Debug, Default)]
struct Paid {
    paid: AtomicBool,
    asked: AtomicU64,
    /// The only model provider of the plan.
    provider: Option<&'static str>,
}

#[async_trait]
impl Billing for Paid {
    fn provider_id(&self) -> &str {
        "test"
    }

    fn plans(&self) -> Vec<BillingPlan> {
        Vec::new()
    }

    async fn standing(&self, tenant: &TenantId) -> Result<Standing, StoreError> {
        assert_eq!(tenant.as_str(), TENANT);
        self.asked.fetch_add(1, Ordering::SeqCst);
        let status = match self.paid.load(Ordering::SeqCst) {
            true => "active",
            false => "past_due",
        };
        let subscription: BillingSubscription = serde_json::from_value(json!({
            "orgId": TENANT, "providerId": "test", "providerCustomerId": null, "providerSubscriptionId": null,
            "planKey": "p", "status": status, "seats": 1, "entitlements": {}, "currentPeriodEnd": null,
            "cancelAtPeriodEnd": false, "metadata": {}, "createdAt": "", "updatedAt": "",
        }))
        .unwrap();
        let mut plan = JsonObject::new();
        if let Some(provider) = self.provider {
            plan.insert("allowedProviders".to_owned(), json!([provider]));
        }
        Ok(Standing::new(Some(subscription), "p".into(), &plan))
    }

    async fn checkout(&self, _: CheckoutWish) -> Result<Checkout, BillingError> {
        Err(BillingError::Provider)
    }

    async fn portal(
        &self,
        _: Option<&BillingSubscription>,
        _: Option<String>,
    ) -> Result<String, BillingError> {
        Err(BillingError::Provider)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_waits_until_the_organisation_has_paid_and_can_be_stopped_meanwhile() {
    let billing = Arc::new(Paid::default());
    let given = billing.clone();
    let rig = Rig::start_with(|options| {
        options.billing = Some(given);
        options.poll = Duration::from_millis(100);
    })
    .await;
    let world = &rig.world;
    let (ann, bob) = (world.session("ann").await, world.session("bob").await);
    let waiting = world.prompt(&ann, "Hello [[script:hello]]").await;
    let stopped = world.prompt(&bob, "Hello [[script:hello]]").await;
    let looked = async {
        while billing.asked.load(Ordering::SeqCst) < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap();
    for (key, id) in [(&ann, &waiting), (&bob, &stopped)] {
        let command = world.command(key, id).await;
        assert_eq!(
            (command.status, command.attempt_count),
            (CommandStatus::Pending, 0)
        );
    }
    let abort = world.queue(&bob, CommandKind::Abort, json!({})).await;
    world.command_when(&bob, &abort, CommandStatus::Acked).await;
    assert_eq!(
        world.command(&bob, &stopped).await.status,
        CommandStatus::Failed
    );
    billing.paid.store(true, Ordering::SeqCst);
    world
        .view_when(&ann, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_provider_that_the_plan_does_not_include_is_not_used() {
    let billing = Paid {
        paid: AtomicBool::new(true),
        provider: Some("another"),
        ..Paid::default()
    };
    let rig = Rig::start_with(|options| {
        options.billing = Some(Arc::new(billing));
        options.demo_endpoint = None;
    })
    .await;
    let world = &rig.world;
    world.person("ann").await;
    world.key("openai", "canary-key-of-the-plans").await;
    let key = world.session("ann").await;
    let prompt = world.prompt(&key, "Hello [[script:hello]]").await;
    world
        .command_when(&key, &prompt, CommandStatus::Failed)
        .await;
    let view = world.view(&key).await;
    assert_eq!(view.status, SessionStatus::Errored);
    let said = &view.errors[0].message;
    assert!(said.contains("plan") && said.contains("openai"), "{said}");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_run_of_an_organisation_that_has_not_paid_fails_and_the_schedule_goes_on() {
    let rig = Rig::start().await;
    let world = &rig.world;
    world.person("ann").await;
    let workflow = due(world, "Write the report [[script:hello]]").await;
    let scheduler = scheduler_with(world, "sched", |options| {
        options.billing = Some(Arc::new(Paid::default()));
    });
    let report = scheduler.tick().await;
    assert_eq!((report.started.len(), report.refused), (0, 1), "{report:?}");
    let after = status(world, &workflow).await;
    assert_eq!(after.latest_run_status, Some(RunStatus::Failed));
    assert_eq!(after.status, WorkflowStatus::Active);
    assert!(after.next_run_at.is_some());
    let said = after.latest_run_summary.unwrap();
    assert!(said.contains("subscription"), "{said}");
    rig.close().await;
}
