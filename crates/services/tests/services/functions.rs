use serde_json::{Value, json};
use services::Caller;

use crate::world::{World, function_arn, function_input, pages, role_arn, with, zip, zip_of};

const CREATE: &str = "lambda:CreateFunction";
const INVALID: &str = "InvalidParameterValueException";

#[tokio::test]
async fn refusals_of_create() {
    let world = World::new();
    world.role("runs").await;
    let other = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "Service": "iot.amazonaws.com" }, "Action": "sts:AssumeRole",
    } });
    let input = json!({ "RoleName": "not-lambdas", "AssumeRolePolicyDocument": other.to_string() });
    world.done("iam:CreateRole", input).await;
    let good = function_input("f", &role_arn("runs"));
    let long = "n".repeat(65);
    let variables = |name: &str, value: &str| json!({ "Environment": { "Variables": { name: value } } });
    let assumed = "cannot be assumed by Lambda";
    for (changes, code, words) in [
        (json!({ "FunctionName": long }), INVALID, "64"),
        (json!({ "FunctionName": "f:PROD" }), "ResourceNotFoundException", "f:PROD"),
        (
            json!({ "FunctionName": function_arn("f").replace("us-east-1", "eu-west-1") }),
            "ResourceNotFoundException",
            "",
        ),
        (json!({ "Runtime": null }), INVALID, "mandatory"),
        (json!({ "Handler": null }), INVALID, "mandatory"),
        (json!({ "Runtime": "java21" }), INVALID, "java21"),
        (json!({ "Role": role_arn("nobody") }), INVALID, assumed),
        (json!({ "Role": role_arn("runs").replace("123456789012", "999999999999") }), INVALID, assumed),
        (json!({ "Role": role_arn("not-lambdas") }), INVALID, assumed),
        (json!({ "Code": {} }), INVALID, "source for function code"),
        (json!({ "Code": { "ZipFile": "AAAA" } }), INVALID, "Could not unzip"),
        (json!({ "Code": { "S3Bucket": "b", "S3Key": "k" } }), INVALID, "S3"),
        (variables("AWS_REGION", "eu-west-1"), INVALID, "AWS_REGION"),
        (variables("BIG", &"x".repeat(4096)), INVALID, "4KB"),
        (json!({ "Timeout": 901 }), "ValidationException", "less than or equal to 900"),
        (json!({ "MemorySize": 10_241 }), "ValidationException", "less than or equal to 10240"),
        (json!({ "Publish": true }), INVALID, "Publish"),
        (json!({ "Layers": ["arn"] }), INVALID, "Layers"),
        (json!({ "DurableConfig": { "ExecutionTimeout": 60 } }), INVALID, "DurableConfig"),
        (json!({ "TenancyConfig": { "TenantIsolationMode": "PER_TENANT" } }), INVALID, "TenancyConfig"),
        (json!({ "DeadLetterConfig": { "TargetArn": "arn" } }), INVALID, "DeadLetterConfig"),
        (json!({ "PackageType": "Image" }), INVALID, "PackageType"),
    ] {
        world.refused(CREATE, with(good.clone(), changes), code, words).await;
    }
    assert_eq!(world.keys("lambda/function/"), Vec::<String>::new());
    world.done(CREATE, good.clone()).await;
    world.refused(CREATE, good, "ResourceConflictException", "already exist").await;
}

#[tokio::test]
async fn a_function_is_read_back_with_its_defaults() {
    let world = World::new();
    world.role("runs").await;
    let created = world.done(CREATE, function_input("f", &role_arn("runs"))).await;
    assert_eq!(created["State"], "Pending");
    for name in [
        "f".to_owned(),
        function_arn("f"),
        format!("{}:$LATEST", function_arn("f")),
        "123456789012:function:f".to_owned(),
    ] {
        let read = world.done("lambda:GetFunction", json!({ "FunctionName": name })).await;
        let configuration = &read["Configuration"];
        for (member, expected) in [
            ("FunctionArn", json!(function_arn("f"))),
            ("State", json!("Active")),
            ("Timeout", json!(3)),
            ("MemorySize", json!(128)),
            ("Version", json!("$LATEST")),
            ("CodeSha256", created["CodeSha256"].clone()),
            ("RevisionId", created["RevisionId"].clone()),
        ] {
            assert_eq!(configuration[member], expected, "{name}: {member}");
        }
    }
    for name in ["g", "f:1", "999999999999:function:f"] {
        world.refused("lambda:GetFunction", json!({ "FunctionName": name }), "ResourceNotFoundException", name).await;
    }
    let input = json!({ "FunctionName": "f:$LATEST", "Qualifier": "1" });
    world.refused("lambda:GetFunction", input, INVALID, "qualifier").await;
}

#[tokio::test]
async fn code_is_updated_under_a_condition() {
    let world = World::new();
    world.function("f").await;
    let update = "lambda:UpdateFunctionCode";
    let input = |changes: Value| with(json!({ "FunctionName": "f", "ZipFile": zip() }), changes);
    let before = world.done("lambda:GetFunction", json!({ "FunctionName": "f" })).await["Configuration"].clone();
    for (changes, code, words) in [
        (json!({ "FunctionName": "g" }), "ResourceNotFoundException", "g"),
        (json!({ "RevisionId": "old" }), "PreconditionFailedException", "Revision Id"),
        (json!({ "Publish": true }), INVALID, "Publish"),
        (json!({ "ZipFile": null }), INVALID, "source"),
        (json!({ "ZipFile": "AAAA" }), INVALID, "Could not unzip"),
        (json!({ "S3Bucket": "b" }), INVALID, "S3"),
    ] {
        world.refused(update, input(changes), code, words).await;
    }
    world.pass_ms(1000);
    let dry = world.done(update, input(json!({ "DryRun": true }))).await;
    assert_eq!(dry["RevisionId"], before["RevisionId"]);
    let after = world.done(update, input(json!({ "RevisionId": before["RevisionId"] }))).await;
    assert_ne!(after["RevisionId"], before["RevisionId"]);
    assert_ne!(after["LastModified"], before["LastModified"]);
}

#[tokio::test]
async fn permissions() {
    let world = World::new();
    world.function("f").await;
    let add = "lambda:AddPermission";
    let good = json!({
        "FunctionName": "f", "StatementId": "iot", "Action": "lambda:InvokeFunction",
        "Principal": "iot.amazonaws.com", "SourceAccount": "123456789012", "SourceArn": "arn:aws:iot:*:*:rule/*",
    });
    for (changes, code, words) in [
        (json!({ "FunctionName": "g" }), "ResourceNotFoundException", "g"),
        (json!({ "Principal": "somebody" }), INVALID, "principal"),
        (json!({ "Qualifier": "$LATEST" }), INVALID, "$LATEST"),
        (json!({ "FunctionName": "f:$LATEST" }), INVALID, "$LATEST"),
        (json!({ "RevisionId": "old" }), "PreconditionFailedException", "Revision Id"),
        (json!({ "PrincipalOrgID": "o-1234567890" }), INVALID, "PrincipalOrgID"),
        (json!({ "EventSourceToken": "t" }), INVALID, "EventSourceToken"),
    ] {
        world.refused(add, with(good.clone(), changes), code, words).await;
    }
    let answer = world.done(add, good.clone()).await;
    let statement: Value = serde_json::from_str(answer["Statement"].as_str().expect("text")).expect("JSON in text");
    let expected = json!({
        "Sid": "iot", "Effect": "Allow", "Principal": { "Service": "iot.amazonaws.com" },
        "Action": "lambda:InvokeFunction", "Resource": function_arn("f"),
        "Condition": {
            "StringEquals": { "AWS:SourceAccount": "123456789012" },
            "ArnLike": { "AWS:SourceArn": "arn:aws:iot:*:*:rule/*" },
        },
    });
    assert_eq!(statement, expected);
    world.refused(add, good.clone(), "ResourceConflictException", "(iot)").await;

    let mut added = 0;
    let refused = loop {
        let statement = json!({ "StatementId": format!("s{added}"), "SourceArn": format!("arn:aws:iot:*:*:rule/{}", "r".repeat(900)) });
        match world.call(add, with(good.clone(), statement)).await {
            Ok(_) => added += 1,
            Err(err) => break err,
        }
        assert!(added < 30, "a policy grows without end");
    };
    assert_eq!(refused.code, "PolicyLengthExceededException");
    assert!(added > 10, "{added}");
}

/// One revision for a function and its policy, as on AWS: a change of either is one of both.
#[tokio::test]
async fn permissions_are_read_and_removed() {
    let world = World::new();
    world.function("f").await;
    let (get, remove) = ("lambda:GetPolicy", "lambda:RemovePermission");
    let f = json!({ "FunctionName": "f" });
    let missing = "ResourceNotFoundException";
    let by_sid = |sid: &str| json!({ "FunctionName": "f", "StatementId": sid });
    world.refused(get, f.clone(), missing, "The resource you requested does not exist.").await;
    world.refused(remove, by_sid("a"), missing, "No policy is associated").await;
    world.refused(get, json!({ "FunctionName": "g" }), missing, "Function not found").await;

    let revision = || async {
        world.done("lambda:GetFunctionConfiguration", json!({ "FunctionName": "f" })).await["RevisionId"].clone()
    };
    let configuration = world.done("lambda:GetFunctionConfiguration", f.clone()).await;
    for sid in ["a", "b"] {
        let input = json!({
            "FunctionName": "f", "StatementId": sid, "Action": "lambda:InvokeFunction",
            "Principal": "iot.amazonaws.com", "RevisionId": revision().await,
        });
        world.pass_ms(1000);
        world.done("lambda:AddPermission", input).await;
    }
    let answer = world.done(get, f.clone()).await;
    assert_eq!(answer["RevisionId"], revision().await);
    assert_ne!(answer["RevisionId"], configuration["RevisionId"]);
    let after = world.done("lambda:GetFunctionConfiguration", f.clone()).await;
    assert_eq!(after["LastModified"], configuration["LastModified"], "the function itself has not changed");
    let policy: Value = serde_json::from_str(answer["Policy"].as_str().expect("text")).expect("JSON in text");
    assert_eq!((&policy["Version"], &policy["Id"]), (&json!("2012-10-17"), &json!("default")));
    assert_eq!(policy["Statement"].as_array().map(Vec::len), Some(2));
    world.refused(get, json!({ "FunctionName": "f:$LATEST" }), missing, "does not exist").await;

    world.refused(remove, by_sid("c"), missing, "Statement c is not found").await;
    let stale = with(by_sid("a"), json!({ "RevisionId": configuration["RevisionId"] }));
    world.refused(remove, stale, "PreconditionFailedException", "Revision Id").await;
    let current = with(by_sid("a"), json!({ "RevisionId": revision().await }));
    world.done(remove, current).await;
    assert_ne!(revision().await, answer["RevisionId"]);
    world.done(remove, by_sid("b")).await;
    world.refused(get, f, missing, "does not exist").await;
}

#[tokio::test]
async fn a_configuration_is_changed_in_the_named_parts() {
    let world = World::new();
    world.function("f").await;
    world.role("other").await;
    let (read, update) = ("lambda:GetFunctionConfiguration", "lambda:UpdateFunctionConfiguration");
    let f = json!({ "FunctionName": "f" });
    let before = world.done(read, f.clone()).await;
    for (changes, code, words) in [
        (json!({ "FunctionName": "g" }), "ResourceNotFoundException", "g"),
        (json!({ "RevisionId": "old" }), "PreconditionFailedException", "Call the GetFunction/GetAlias API"),
        (json!({ "Runtime": "java21" }), INVALID, "java21"),
        (json!({ "Role": role_arn("nobody") }), INVALID, "cannot be assumed by Lambda"),
        (json!({ "Timeout": 901 }), "ValidationException", "900"),
        (json!({ "MemorySize": 10_241 }), "ValidationException", "10240"),
        (json!({ "Environment": { "Variables": { "AWS_REGION": "x" } } }), INVALID, "AWS_REGION"),
        (json!({ "Layers": ["arn"] }), INVALID, "Layers"),
        (json!({ "DeadLetterConfig": { "TargetArn": "arn" } }), INVALID, "DeadLetterConfig"),
        (json!({ "VpcConfig": { "SubnetIds": ["subnet-1"] } }), INVALID, "VpcConfig"),
        (json!({ "LoggingConfig": { "LogFormat": "JSON" } }), INVALID, "LoggingConfig"),
        (json!({ "LoggingConfig": { "LogGroup": "/elsewhere" } }), INVALID, "LogGroup"),
    ] {
        world.refused(update, with(f.clone(), changes), code, words).await;
    }
    assert_eq!(world.done(read, f.clone()).await, before, "a refusal changes nothing");

    world.pass_ms(1000);
    let changes = json!({
        "Handler": "main.other", "Timeout": 30, "Environment": { "Variables": { "STAGE": "test" } },
        "Role": role_arn("other"), "RevisionId": before["RevisionId"], "LoggingConfig": { "LogGroup": "/aws/lambda/f" },
    });
    let answer = world.done(update, with(f.clone(), changes)).await;
    assert_eq!(answer["LastUpdateStatus"], "InProgress");
    let after = world.done(read, f.clone()).await;
    for (member, expected) in [
        ("Handler", json!("main.other")),
        ("Timeout", json!(30)),
        ("MemorySize", json!(128)),
        ("Runtime", before["Runtime"].clone()),
        ("Role", json!(role_arn("other"))),
        ("Environment", json!({ "Variables": { "STAGE": "test" } })),
        ("CodeSha256", before["CodeSha256"].clone()),
        ("LastUpdateStatus", json!("Successful")),
        ("RevisionId", answer["RevisionId"].clone()),
    ] {
        assert_eq!(after[member], expected, "{member}");
    }
    assert_ne!(after["LastModified"], before["LastModified"]);
    let cleared = with(f.clone(), json!({ "Environment": {} }));
    assert_eq!(world.done(update, cleared).await.get("Environment"), None);
}

#[tokio::test]
async fn functions_are_listed_by_name() {
    let world = World::new();
    world.role("runs").await;
    for name in ["c", "a", "b"] {
        world.done(CREATE, function_input(name, &role_arn("runs"))).await;
    }
    let list = "lambda:ListFunctions";
    let pages = pages(&world, list, json!({ "MaxItems": 2 }), "Functions", "NextMarker").await;
    let names: Vec<Vec<&str>> = pages
        .iter()
        .map(|page| page.iter().filter_map(|function| function["FunctionName"].as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["a", "b"], vec!["c"]]);
    let first = &pages[0][0];
    assert_eq!((first.get("State"), first.get("LastUpdateStatus")), (None, None), "a list has no states");
    assert_eq!(first["FunctionArn"], json!(function_arn("a")));
    let all = world.done(list, json!({ "FunctionVersion": "ALL", "MaxItems": 10_000 })).await;
    assert_eq!(all["Functions"][0]["FunctionArn"], json!(format!("{}:$LATEST", function_arn("a"))));
    let edge = world.done(list, json!({ "FunctionVersion": "ALL", "MasterRegion": "us-east-1" })).await;
    assert_eq!(edge["Functions"], json!([]));
    world.refused(list, json!({ "Marker": "%%" }), INVALID, "Marker").await;
}

#[tokio::test]
async fn invocations_are_judged_before_they_run() {
    let world = World::new();
    world.function("f").await;
    let invoke = "lambda:InvokeFunction";
    let dry = json!({ "FunctionName": "f", "InvocationType": "DryRun" });
    assert_eq!(world.done(invoke, dry.clone()).await["StatusCode"], 204);
    let event = |kind: &str, payload: &[u8]| {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::STANDARD.encode(payload);
        json!({ "FunctionName": "f", "InvocationType": kind, "Payload": payload })
    };
    assert_eq!(world.done(invoke, event("Event", b"{\"a\":1}")).await["StatusCode"], 202);
    assert_eq!(world.keys("invocation/").len(), 1, "an event is kept before it is answered");
    let large = |bytes: usize| format!("\"{}\"", "x".repeat(bytes)).into_bytes();
    for (input, code, words) in [
        (json!({ "FunctionName": "g" }), "ResourceNotFoundException", "g"),
        (event("RequestResponse", b"{a}"), "InvalidRequestContentException", "json"),
        (event("Event", &large(1 << 20)), "RequestTooLargeException", "1048576"),
        (event("RequestResponse", &large(6 << 20)), "RequestTooLargeException", "6291456"),
        (event("RequestResponse", b"{}"), "ServiceException", ""),
    ] {
        world.refused(invoke, input, code, words).await;
    }
    // The role is gone: there is nobody to run as.
    let write = store::Write { key: b"iam/role/role-of-f".to_vec(), value: None, expect: store::Expect::Anything };
    world.store.commit(vec![write]).await.expect("the role is deleted");
    let words = "cannot be assumed by Lambda";
    world.refused(invoke, event("RequestResponse", b"{}"), "AccessDeniedException", words).await;
}

/// Whoever makes a function hands its role on, and may be allowed to do so to Lambda only.
#[tokio::test]
async fn the_role_of_a_function_must_be_passed() {
    for (service, passes) in [("lambda.amazonaws.com", true), ("ec2.amazonaws.com", false)] {
        let world = World::new();
        let caller: Caller = world.role("deploys").await;
        let document = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "lambda:CreateFunction", "Resource": "*" },
            { "Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
              "Condition": { "StringEquals": { "iam:PassedToService": service } } },
        ] });
        let input = json!({ "RoleName": "deploys", "PolicyName": "p", "PolicyDocument": document.to_string() });
        world.done("iam:PutRolePolicy", input).await;
        let answer = world.call_as(caller, CREATE, function_input("f", &role_arn("deploys"))).await;
        match answer {
            Ok(_) => assert!(passes, "{service}"),
            Err(err) => {
                assert!(!passes, "{service}: {err}");
                assert_eq!(err.code, "AccessDeniedException");
                assert!(err.message.contains("iam:PassRole") && err.message.contains(&role_arn("deploys")), "{err}");
            }
        }
    }
}

#[tokio::test]
async fn a_deleted_function_leaves_nothing_but_its_log() {
    let world = World::new();
    world.function("f").await;
    world.function("twin").await;
    let delete = "lambda:DeleteFunction";
    for (input, code, words) in [
        (json!({ "FunctionName": "g" }), "ResourceNotFoundException", "g"),
        (json!({ "FunctionName": "f:1" }), "ResourceNotFoundException", "f:1"),
        (json!({ "FunctionName": "f", "Qualifier": "$LATEST" }), INVALID, "cannot be deleted without"),
        (json!({ "FunctionName": "f:$LATEST" }), INVALID, "cannot be deleted without"),
    ] {
        world.refused(delete, input, code, words).await;
    }
    let f = json!({ "FunctionName": "f" });
    world.done("lambda:PutFunctionEventInvokeConfig", with(f.clone(), json!({ "MaximumRetryAttempts": 0 }))).await;
    assert_eq!(world.done(delete, f.clone()).await, json!({ "StatusCode": 204 }));
    world.refused("lambda:GetFunction", f.clone(), "ResourceNotFoundException", "function:f").await;
    world.refused(delete, f.clone(), "ResourceNotFoundException", "function:f").await;
    assert_eq!(world.packages().await, 1, "the twin has the same package");
    // A new one of the same name has nothing of the old.
    world.done(CREATE, function_input("f", &role_arn("role-of-f"))).await;
    let words = "doesn't have an EventInvokeConfig";
    world.refused("lambda:GetFunctionEventInvokeConfig", f.clone(), "ResourceNotFoundException", words).await;
    world.done(delete, f).await;
    world.done(delete, json!({ "FunctionName": "twin" })).await;
    assert_eq!(world.packages().await, 0);
}

#[tokio::test]
async fn packages_go_with_their_last_name() {
    let world = World::new();
    world.function("f").await;
    let update = "lambda:UpdateFunctionCode";
    let code = |source: &str| json!({ "FunctionName": "f", "ZipFile": zip_of(source) });
    world.done(update, with(code("1"), json!({ "DryRun": true }))).await;
    assert_eq!(world.packages().await, 1, "a dry run leaves nothing");
    let stale = with(code("2"), json!({ "RevisionId": "old" }));
    world.refused(update, stale, "PreconditionFailedException", "Revision").await;
    assert_eq!(world.packages().await, 1, "a refusal leaves nothing");
    world.done(update, code("3")).await;
    assert_eq!(world.packages().await, 1, "the old one is gone");
    world.done(update, code("3")).await;
    assert_eq!(world.packages().await, 1, "the same again is the same");
    let twin = with(function_input("f", &role_arn("role-of-f")), json!({ "Code": { "ZipFile": zip_of("4") } }));
    world.refused(CREATE, twin, "ResourceConflictException", "exist").await;
    assert_eq!(world.packages().await, 1, "a function that is not made leaves nothing");

    // What a crash left between two steps goes at the next start.
    world.store.blobs().put(bytes::Bytes::from_static(b"orphan")).await.expect("stored");
    assert_eq!(world.packages().await, 2);
    let world = world.reopen().await;
    let _running = world.run();
    let swept = async {
        while world.packages().await > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), swept).await.expect("the orphan goes");
}

#[tokio::test]
async fn event_invoke_configurations() {
    let world = World::new();
    for name in ["f", "next"] {
        world.function(name).await;
    }
    let f = json!({ "FunctionName": "f" });
    let (put, update) = ("lambda:PutFunctionEventInvokeConfig", "lambda:UpdateFunctionEventInvokeConfig");
    let (get, list) = ("lambda:GetFunctionEventInvokeConfig", "lambda:ListFunctionEventInvokeConfigs");
    let delete = "lambda:DeleteFunctionEventInvokeConfig";
    let missing = "ResourceNotFoundException";
    let not_configured =
        "The function arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST doesn't have an EventInvokeConfig";
    let to = |destination: &str| json!({ "DestinationConfig": { "OnFailure": { "Destination": destination } } });
    let next = function_arn("next");
    for (operation, changes, code, words) in [
        (put, json!({ "FunctionName": "g" }), INVALID, "at least one of error handling or destination"),
        (put, json!({ "FunctionName": "g", "MaximumRetryAttempts": 0 }), missing, "The function doesn't exist."),
        (update, json!({}), INVALID, "at least one"),
        (update, json!({ "MaximumRetryAttempts": 0 }), missing, not_configured),
        (get, json!({}), missing, not_configured),
        (delete, json!({}), missing, not_configured),
        (list, json!({ "FunctionName": "g" }), missing, "The function doesn't exist."),
        (put, to("arn:aws:sqs:us-east-1:123456789012:queue"), INVALID, "not served yet"),
        (put, to(&function_arn("g")), INVALID, "is invalid"),
        (put, to(&function_arn("f")), INVALID, "destination for itself"),
        (put, to(&next), INVALID, "doesn't have permission to call InvokeFunction"),
    ] {
        world.refused(operation, with(f.clone(), changes), code, words).await;
    }
    assert_eq!(world.done(list, f.clone()).await["FunctionEventInvokeConfigs"], json!([]));
    world.grant("role-of-f", "lambda:InvokeFunction", &next).await;
    let answer = world.done(put, with(f.clone(), with(to(&next), json!({ "MaximumRetryAttempts": 0 })))).await;
    let expected = json!({
        "FunctionArn": format!("{}:$LATEST", function_arn("f")),
        "LastModified": world.now_ms() as f64 / 1000.0,
        "MaximumRetryAttempts": 0,
        "DestinationConfig": { "OnFailure": { "Destination": next }, "OnSuccess": {} },
    });
    assert_eq!(answer, expected);
    let updated = world.done(update, with(f.clone(), json!({ "MaximumEventAgeInSeconds": 60 }))).await;
    assert_eq!(updated, with(expected.clone(), json!({ "MaximumEventAgeInSeconds": 60 })), "the rest stays");
    assert_eq!(world.done(get, f.clone()).await, updated);
    assert_eq!(world.done(list, f.clone()).await["FunctionEventInvokeConfigs"], json!([updated]));
    let replaced = world.done(put, with(f.clone(), json!({ "MaximumRetryAttempts": 1 }))).await;
    assert_eq!(replaced["DestinationConfig"], json!({ "OnFailure": {}, "OnSuccess": {} }), "what is left out is gone");
    world.done(delete, f.clone()).await;
    world.refused(get, f, missing, not_configured).await;
}
