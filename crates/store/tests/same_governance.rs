//! Random operations of governance on SQLite and on PostgreSQL: every answer and every state is the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, Permission, TokenScope};
use open_cowork_contracts::api::byok::{ByokSecret, ByokStatus, CredentialKind};
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::{AccountId, JsonObject, TenantId};
use open_cowork_providers::store::browser::{IdempotencyScope, KeptAnswer, RateClaim, Reservation};
use open_cowork_providers::store::governance::{AuditQuery, ByokVerdict, QuotaClaim, StoredByok};
use open_cowork_providers::store::identity::{
    Bootstrap, CustomRoleChange, Invitation, MemberChange, MemberQuery, NewCustomRole, NewToken,
    PrincipalLookup,
};
use open_cowork_providers::store::{Actor, ControlPlane, Stamp};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName, SqliteOptions, SqliteStore};
use open_cowork_testkit::postgres::Postgres;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// One operation; the numbers choose among few people, roles, keys.
#[derive(Clone, Debug)]
enum Step {
    Bootstrap {
        who: u8,
        role: BuiltInRole,
        create: bool,
    },
    Invite {
        by: u8,
        who: u8,
        role: BuiltInRole,
    },
    Accept {
        who: u8,
    },
    Change {
        by: u8,
        who: u8,
        role: Option<BuiltInRole>,
        status: Option<MembershipStatus>,
        custom: Option<Option<u8>>,
    },
    MakeRole {
        by: u8,
        role: u8,
        permissions: Vec<Permission>,
    },
    ChangeRole {
        by: u8,
        role: u8,
        permissions: Option<Vec<Permission>>,
    },
    DeleteRole {
        by: u8,
        role: u8,
    },
    Token {
        who: u8,
    },
    Revoke {
        token: u8,
    },
    Policy {
        stale: bool,
        n: u8,
    },
    AddKey {
        provider: u8,
    },
    JudgeKey {
        key: u8,
        active: bool,
    },
    DisableKey {
        provider: u8,
    },
    Consume {
        amount: u8,
        later: u16,
    },
    Reserve {
        key: u8,
        body: u8,
    },
    Complete {
        key: u8,
    },
    Take {
        cost: u8,
    },
    Setting {
        key: u8,
        n: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let role = || select(BuiltInRole::ALL);
    let permissions = || proptest::sample::subsequence(Permission::ALL, 0..=4);
    prop_oneof![
        4 => (0u8..4, role(), any::<bool>()).prop_map(|(who, role, create)| Step::Bootstrap { who, role, create }),
        2 => (0u8..4, 0u8..5, role()).prop_map(|(by, who, role)| Step::Invite { by, who, role }),
        1 => (0u8..5).prop_map(|who| Step::Accept { who }),
        6 => (0u8..4, 0u8..5, proptest::option::of(role()), proptest::option::of(select(MembershipStatus::ALL)), proptest::option::of(proptest::option::of(0u8..2)))
            .prop_map(|(by, who, role, status, custom)| Step::Change { by, who, role, status, custom }),
        2 => (0u8..4, 0u8..2, permissions()).prop_map(|(by, role, permissions)| Step::MakeRole { by, role, permissions }),
        2 => (0u8..4, 0u8..2, proptest::option::of(permissions())).prop_map(|(by, role, permissions)| Step::ChangeRole { by, role, permissions }),
        1 => (0u8..4, 0u8..2).prop_map(|(by, role)| Step::DeleteRole { by, role }),
        3 => (0u8..5).prop_map(|who| Step::Token { who }),
        1 => (0u8..6).prop_map(|token| Step::Revoke { token }),
        1 => (any::<bool>(), 0u8..9).prop_map(|(stale, n)| Step::Policy { stale, n }),
        2 => (0u8..2).prop_map(|provider| Step::AddKey { provider }),
        3 => (0u8..6, any::<bool>()).prop_map(|(key, active)| Step::JudgeKey { key, active }),
        1 => (0u8..2).prop_map(|provider| Step::DisableKey { provider }),
        2 => (0u8..5, any::<u16>()).prop_map(|(amount, later)| Step::Consume { amount, later }),
        2 => (0u8..2, 0u8..2).prop_map(|(key, body)| Step::Reserve { key, body }),
        1 => (0u8..2).prop_map(|key| Step::Complete { key }),
        2 => (0u8..4).prop_map(|cost| Step::Take { cost }),
        1 => (0u8..3, 0u8..9).prop_map(|(key, n)| Step::Setting { key, n }),
    ]
}

fn person(n: u8) -> AccountId {
    AccountId::from(format!("p{n}"))
}

/// One store, and what must be remembered between steps.
struct Side {
    store: Box<dyn ControlPlane>,
    tokens: u32,
    keys: u32,
    /// The reservations that were given out; their numbers are random.
    reserved: [Option<u64>; 2],
}

impl Side {
    fn new(store: impl ControlPlane) -> Self {
        Side {
            store: Box::new(store),
            tokens: 0,
            keys: 0,
            reserved: [None; 2],
        }
    }

    /// Does it and says what came of it, in words that are equal on both sides.
    async fn run(&mut self, step: &Step, now: Timestamp, nth: usize) -> String {
        let store = &self.store;
        let tenant = TenantId::from("t1");
        let stamp = |by: u8| Stamp::new(Actor::user(person(by), None), now, format!("a{nth}"));
        match step.clone() {
            Step::Bootstrap { who, role, create } => {
                let wish = Bootstrap {
                    tenant_id: tenant,
                    org_id: None,
                    tenant_name: "T".into(),
                    account_id: person(who),
                    idp_subject: (who % 2 == 0).then(|| format!("s{who}")),
                    email: format!("P{who}@x.test"),
                    display_name: nth.is_multiple_of(3).then(|| format!("Person {who}")),
                    role,
                    create_membership: create,
                    accept_invite: nth.is_multiple_of(2),
                };
                format!("{:?}", store.bootstrap(&wish, &stamp(who)).await)
            }
            Step::Invite { by, who, role } => {
                let wish = Invitation {
                    account_id: person(who),
                    email: format!("p{who}@x.test"),
                    role,
                };
                format!(
                    "{:?}",
                    store.invite_member(&tenant, &wish, &stamp(by)).await
                )
            }
            Step::Accept { who } => {
                format!(
                    "{:?}",
                    store
                        .accept_invite(&tenant, &person(who), &stamp(who))
                        .await
                )
            }
            Step::Change {
                by,
                who,
                role,
                status,
                custom,
            } => {
                let change = MemberChange {
                    role,
                    status,
                    custom_role_key: custom.map(|key| key.map(|key| format!("r{key}"))),
                };
                let changed = store
                    .update_member(&tenant, &person(who), &change, &stamp(by))
                    .await;
                format!("{changed:?}")
            }
            Step::MakeRole {
                by,
                role,
                permissions,
            } => {
                let wish = NewCustomRole {
                    role_key: format!("r{role}"),
                    name: "Role".into(),
                    description: None,
                    base_role: BuiltInRole::Member,
                    permissions,
                };
                format!(
                    "{:?}",
                    store.create_custom_role(&tenant, &wish, &stamp(by)).await
                )
            }
            Step::ChangeRole {
                by,
                role,
                permissions,
            } => {
                let change = CustomRoleChange {
                    permissions,
                    ..CustomRoleChange::default()
                };
                let key = format!("r{role}");
                let changed = store
                    .update_custom_role(&tenant, &key, &change, &stamp(by))
                    .await;
                format!("{changed:?}")
            }
            Step::DeleteRole { by, role } => {
                let deleted = store
                    .delete_custom_role(&tenant, &format!("r{role}"), &stamp(by))
                    .await;
                format!("{deleted:?}")
            }
            Step::Token { who } => {
                self.tokens += 1;
                let wish = NewToken {
                    token_id: format!("tok_{:016}", self.tokens).into(),
                    account_id: person(who),
                    name: "n".into(),
                    hash: "sha256-v1:x".into(),
                    scopes: vec![TokenScope::Desktop],
                    last4: "0000".into(),
                    expires_at: None,
                    channel_binding_ids: vec!["b\u{0}ä".into(); usize::from(who % 2)],
                };
                format!(
                    "{:?}",
                    store.create_token(&tenant, &wish, &stamp(who)).await
                )
            }
            Step::Revoke { token } => {
                let id = format!("tok_{token:016}").into();
                format!("{:?}", store.revoke_token(&tenant, &id, &stamp(0)).await)
            }
            Step::Policy { stale, n } => {
                let read = store.policy(&tenant).await.unwrap().map(|it| it.updated_at);
                let read = read.filter(|_| !stale);
                let policy = JsonObject::from_iter([("n".to_owned(), n.into())]);
                let put = store
                    .put_policy(&tenant, &policy, read.as_deref(), &stamp(0))
                    .await;
                format!("{put:?}")
            }
            Step::AddKey { provider } => {
                self.keys += 1;
                let wish = key(self.keys, provider);
                format!("{:?}", store.add_byok(&tenant, &wish, &stamp(0)).await)
            }
            Step::JudgeKey { key, active } => {
                let verdict = ByokVerdict {
                    status: if active {
                        ByokStatus::Active
                    } else {
                        ByokStatus::Invalid
                    },
                    validated: active,
                    note: Some("note".into()),
                    event_type: "byok_secret.validated",
                };
                let judged = store
                    .judge_byok(&tenant, &format!("byok_{key}"), &verdict, &stamp(0))
                    .await;
                format!("{judged:?}")
            }
            Step::DisableKey { provider } => {
                let disabled = store
                    .disable_byok(&tenant, &format!("v{provider}"), &stamp(0))
                    .await;
                format!("{disabled:?}")
            }
            Step::Consume { amount, later } => {
                let claim = QuotaClaim {
                    key: QuotaKey::PromptsHour,
                    amount: amount.into(),
                    limit: Some(9),
                };
                let later = now + std::time::Duration::from_secs(later.into());
                format!("{:?}", store.consume_quota(&tenant, &claim, later).await)
            }
            Step::Reserve { key, body } => {
                let expires = now + std::time::Duration::from_secs(3600);
                let reserved = store
                    .reserve_idempotent(&scope(key), &format!("f{body}"), now, expires, 5000)
                    .await;
                match reserved.unwrap() {
                    Reservation::Reserved(token) => {
                        self.reserved[usize::from(key)] = Some(token);
                        "reserved".into()
                    }
                    other => format!("{other:?}"),
                }
            }
            Step::Complete { key } => {
                let Some(token) = self.reserved[usize::from(key)].take() else {
                    return "nothing".into();
                };
                let answer = KeptAnswer {
                    status: 200,
                    content_type: None,
                    body: vec![0, 1, 255, key],
                };
                format!(
                    "{:?}",
                    store.complete_idempotent(&scope(key), token, &answer).await
                )
            }
            Step::Take { cost } => {
                let claim = RateClaim {
                    bucket: "b".into(),
                    capacity: 5,
                    window_ms: 7000,
                    cost: cost.into(),
                };
                format!("{:?}", store.take_tokens(&[claim], now).await)
            }
            Step::Setting { key, n } => {
                let value = JsonObject::from_iter([("\u{0}".to_owned(), n.into())]);
                let name = format!("k{key}\u{1}");
                let written = store
                    .put_setting(&tenant, &"u".into(), &name, &value, now)
                    .await;
                format!("{written:?}")
            }
        }
    }

    /// Everything that can be read.
    async fn state(&self) -> String {
        let (store, tenant) = (&self.store, TenantId::from("t1"));
        let mut state = String::new();
        let members = store.page_members(&tenant, &MemberQuery::default()).await;
        state += &format!("{members:?}\n{:?}\n", store.custom_roles(&tenant).await);
        state += &format!("{:?}\n", store.page_tokens(&tenant, None, 3).await);
        state += &format!(
            "{:?}\n{:?}\n",
            store.policy(&tenant).await,
            store.byok_secrets(&tenant).await
        );
        state += &format!("{:?}\n", store.active_byoks(&tenant).await);
        state += &format!("{:?}\n", store.settings(&tenant, &"u".into()).await);
        for n in 0..5 {
            let lookup = PrincipalLookup {
                tenant_id: tenant.clone(),
                email: Some(format!("P{n}@X.test")),
                ..PrincipalLookup::default()
            };
            state += &format!("{:?}\n", store.principal_membership(&lookup).await);
        }
        let mut query = AuditQuery {
            limit: 7,
            ..AuditQuery::default()
        };
        loop {
            let page = store.page_audit(&tenant, &query).await.unwrap();
            state += &format!("{:?}\n", page.rows);
            match page.next {
                None => return state,
                cursor => query.cursor = cursor,
            }
        }
    }
}

fn key(n: u32, provider: u8) -> StoredByok {
    StoredByok {
        secret: ByokSecret {
            secret_id: format!("byok_{n}"),
            provider_id: format!("v{provider}"),
            status: ByokStatus::PendingValidation,
            credential_kind: CredentialKind::Plaintext,
            last4: "0000".into(),
            key_fingerprint: "0".repeat(24),
            last_validated_at: None,
            validation_error: None,
            created_at: String::new(),
            updated_at: String::new(),
        },
        ciphertext: Some(format!("enc:v1:{n}")),
        kms_ref: None,
        created_by: None,
        rotated_from: None,
    }
}

fn scope(key: u8) -> IdempotencyScope {
    IdempotencyScope {
        tenant_id: "t1".into(),
        principal: "p".into(),
        route: "POST /x".into(),
        key: format!("k{key}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_give_the_same_answers_to_random_operations() {
    let server = Postgres::shared().await.unwrap();
    let mut runner = TestRunner::deterministic();
    let (mut done, mut refused) = (0, 0);
    for case in 0..12 {
        let steps = proptest::collection::vec(step(), 60);
        let steps = steps.new_tree(&mut runner).unwrap().current();
        let options = PostgresOptions {
            schema: SchemaName::parse(&format!("governance_{case}")).unwrap(),
            ..PostgresOptions::default()
        };
        let postgres = PostgresStore::open(&server.url().into(), options)
            .await
            .unwrap();
        let sqlite = SqliteStore::in_memory(SqliteOptions::default())
            .await
            .unwrap();
        let mut sides = [Side::new(sqlite), Side::new(postgres)];
        for (nth, step) in steps.iter().enumerate() {
            let now = Timestamp::from_millisecond(1_800_000_000_000 + nth as i64 * 700).unwrap();
            let mut answers = Vec::new();
            for side in &mut sides {
                answers.push(side.run(step, now, nth).await);
            }
            assert_eq!(answers[0], answers[1], "case {case}, step {nth}: {step:?}");
            match answers[0].starts_with("Err") {
                true => refused += 1,
                false => done += 1,
            }
        }
        assert_eq!(
            sides[0].state().await,
            sides[1].state().await,
            "case {case}: {steps:#?}"
        );
    }
    // The operations reach both ends of the rules.
    assert!(
        done > 200 && refused > 100,
        "{done} done, {refused} refused"
    );
}
