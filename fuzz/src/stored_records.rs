//! A control record as a bad disk, another version or a careless restore leaves it: its key on the first line, its value
//! on the rest. The server starts or says in a sentence why not; nobody's rights grow.

use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, BrokerLimits, WallClock};
use domain::Timestamp;
use functions::{AwsCallError, AwsCalls, Functions};
use serde_json::json;
use services::{Caller, Checkpoints, Clock, Config, Error, RootCredentials, Services};
use store::{Expect, KEY_BYTES_MAX, Store, Write};

use crate::parts::line;

const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);

pub fn stored_records(data: &[u8]) {
    let (key, value) = line(data);
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(folder.path()).expect("a store");
        let write = Write { key: key.to_vec(), value: Some(value.to_vec().into()), expect: Expect::Anything };
        store.commit(vec![write]).await.expect("the store knows no records");
        match opened(&store) {
            Ok(services) => {
                let _ = services.settle_identity().await;
                read_everything(&services, key).await;
            }
            Err(error) => check_sentence(&error),
        }
    });
}

fn check_sentence(error: &Error) {
    assert!(!error.message.is_empty() && error.message.len() < 4096, "{error}");
}

fn opened(store: &Store) -> Result<Services, Error> {
    let runner = functions::Config {
        program: "/nonexistent".into(),
        worker_args: Vec::new(),
        idle_timeout: Duration::from_secs(60),
        environments_max: 1,
    };
    let no_calls = AwsCalls(Arc::new(|_| {
        Box::pin(async {
            let (code, message) = ("NotHere".to_owned(), "no function runs".to_owned());
            Err(AwsCallError { code, message, status: 500, request_id: String::new() })
        })
    }));
    let config = Config {
        region: "us-east-1".parse().expect("a region"),
        account: "123456789012".parse().expect("an account"),
        root: RootCredentials { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() },
        endpoint_names: vec!["iot.example".to_owned()],
        async_retry_ms: vec![60_000],
        rates: Default::default(),
        checkpoints: Checkpoints::default(),
    };
    let functions = Functions::new(runner, store.clone(), no_calls);
    let wall = WallClock::from_fn(|| u64::try_from(NOW.millis()).unwrap_or(0));
    let broker =
        Broker::open(store.clone(), BrokerLimits::default(), wall).map_err(|err| Error::internal(err.to_string()))?;
    Services::new(config, store.clone(), broker, functions, Clock::from_fn(|| NOW))
}

/// Through the door's own way from name and JSON to a verb, so that a new operation is one more line.
async fn read_everything(services: &Services, key: &[u8]) {
    let key = String::from_utf8_lossy(key);
    let name = key.split('/').nth(2).unwrap_or_default();
    let caller = Caller::Root { access_key_id: "AKIAROOT".to_owned() };
    for (service, operation, input) in [
        ("iot", "GetRegistrationCode", json!({})),
        ("iot", "ListCACertificates", json!({})),
        ("iot", "DescribeCACertificate", json!({ "certificateId": name })),
        ("iot", "ListCertificates", json!({})),
        ("iot", "DescribeCertificate", json!({ "certificateId": name })),
        ("iot", "GetPolicy", json!({ "policyName": name })),
        ("iot", "ListTopicRules", json!({})),
        ("iot", "GetTopicRule", json!({ "ruleName": name })),
        ("iam", "GetRole", json!({ "RoleName": name })),
        ("lambda", "GetFunction", json!({ "FunctionName": name })),
        ("logs", "DescribeLogGroups", json!({})),
    ] {
        if let Err(error) = api::call(services, caller.clone(), service, operation, input).await {
            check_sentence(&error);
        }
    }
}
