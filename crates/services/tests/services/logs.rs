//! Nothing runs here, so the lines are those of rules whose function is not there: one for each message.

use bytes::Bytes;
use mqtt::{Qos, TopicName};
use serde_json::{Value, json};
use services::messages::Origin;

use crate::world::{World, pages, rule_input, with};

const GROUP: &str = "AWSIotLogsV2";

/// `count` lines in the stream of each of these rules, in turn, a millisecond apart.
async fn world_with_lines(rules: &[&str], count: usize) -> World {
    let world = World::new();
    for rule in rules {
        world.done("iot:CreateTopicRule", rule_input(rule, &format!("SELECT * FROM '{rule}'"), "missing")).await;
    }
    for _ in 0..count {
        for rule in rules {
            publish(&world, rule).await;
            world.pass_ms(1);
        }
    }
    world
}

async fn publish(world: &World, topic: &str) {
    let topic = TopicName::parse(topic).expect("a topic");
    let message = broker::Message {
        topic,
        payload: Bytes::from_static(b"{}"),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: mqtt::packet::Properties::new(),
    };
    world.services.accept(message, Origin::default()).await.expect("accepted");
}

fn times(answer: &Value) -> Vec<i64> {
    answer["events"].as_array().expect("events").iter().filter_map(|event| event["timestamp"].as_i64()).collect()
}

#[tokio::test]
async fn a_stream_is_read_from_both_ends() {
    let world = world_with_lines(&["r"], 5).await;
    let start = world.now_ms() - 5;
    let of_stream = json!({ "logGroupName": GROUP, "logStreamName": "r", "limit": 2 });
    let read = "logs:GetLogEvents";
    for (from_head, token, expected) in [
        (true, "nextForwardToken", [vec![0, 1], vec![2, 3], vec![4], vec![]]),
        (false, "nextBackwardToken", [vec![3, 4], vec![1, 2], vec![0], vec![]]),
    ] {
        let mut input = with(of_stream.clone(), json!({ "startFromHead": from_head }));
        let mut last = Value::Null;
        for page in expected {
            let answer = world.done(read, input.clone()).await;
            let page: Vec<i64> = page.into_iter().map(|n: i64| start + n).collect();
            assert_eq!(times(&answer), page, "{input}");
            last = answer[token].clone();
            input["nextToken"] = last.clone();
        }
        let answer = world.done(read, input).await;
        assert_eq!(answer[token], last, "at the end the token stays the same");
    }
    let window = with(of_stream.clone(), json!({ "startTime": start + 1, "endTime": start + 3, "limit": 10 }));
    assert_eq!(times(&world.done(read, window).await), [start + 1, start + 2]);
    let missing = "ResourceNotFoundException";
    for (changes, code, words) in [
        (json!({ "logGroupName": "none" }), missing, "log group does not exist"),
        (json!({ "logStreamName": "none" }), missing, "log stream does not exist"),
        (json!({ "logGroupName": null }), "InvalidParameterException", "required"),
        (json!({ "logGroupIdentifier": GROUP }), "InvalidParameterException", "mutually exclusive"),
        (json!({ "nextToken": "x" }), "InvalidParameterException", "nextToken"),
    ] {
        world.refused(read, with(of_stream.clone(), changes), code, words).await;
    }
    for (account, refusal) in [("123456789012", None), ("999999999999", Some(missing))] {
        let arn = format!("arn:aws:logs:us-east-1:{account}:log-group:{GROUP}");
        let input = with(of_stream.clone(), json!({ "logGroupName": null, "logGroupIdentifier": arn }));
        assert_eq!(world.call(read, input).await.err().map(|err| err.code), refusal, "{account}");
    }
}

#[tokio::test]
async fn a_group_is_filtered() {
    let world = world_with_lines(&["alpha", "beta"], 3).await;
    let filter = "logs:FilterLogEvents";
    let group = json!({ "logGroupName": GROUP, "limit": 2 });
    for (changes, expected) in [
        (json!({}), vec!["alpha", "beta", "alpha", "beta", "alpha", "beta"]),
        (json!({ "logStreamNames": ["beta"] }), vec!["beta", "beta", "beta"]),
        (json!({ "logStreamNamePrefix": "alpha" }), vec!["alpha", "alpha", "alpha"]),
        (json!({ "filterPattern": "\"alpha\"" }), vec!["alpha", "alpha", "alpha"]),
        (json!({ "filterPattern": "Failure -alpha" }), vec!["beta", "beta", "beta"]),
        (json!({ "filterPattern": "{ $.ruleName = \"al*\" }" }), vec!["alpha", "alpha", "alpha"]),
        (json!({ "filterPattern": "nothing" }), vec![]),
    ] {
        let input = with(group.clone(), changes);
        let pages = pages(&world, filter, input.clone(), "events", "nextToken").await;
        let streams: Vec<&str> = pages.iter().flatten().filter_map(|event| event["logStreamName"].as_str()).collect();
        assert_eq!(streams, expected, "{input}");
    }
    for (changes, code, words) in [
        (json!({ "logGroupName": "none" }), "ResourceNotFoundException", "log group"),
        (json!({ "filterPattern": "[a, b]" }), "InvalidParameterException", "not served"),
        (json!({ "filterPattern": "{ a = 1 }" }), "InvalidParameterException", "expected $"),
        (
            json!({ "logStreamNames": ["alpha"], "logStreamNamePrefix": "alpha" }),
            "InvalidParameterException",
            "exclusive",
        ),
        (json!({ "nextToken": "b/1" }), "InvalidParameterException", "nextToken"),
    ] {
        world.refused(filter, with(group.clone(), changes), code, words).await;
    }
}

#[tokio::test]
async fn streams_and_groups_are_listed() {
    let world = world_with_lines(&["a", "b", "c"], 1).await;
    publish(&world, "a").await;
    let streams = "logs:DescribeLogStreams";
    let group = json!({ "logGroupName": GROUP, "limit": 2 });
    for (changes, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({ "descending": true }), vec!["c", "b", "a"]),
        (json!({ "orderBy": "LastEventTime" }), vec!["b", "c", "a"]),
        (json!({ "logStreamNamePrefix": "b" }), vec!["b"]),
    ] {
        let input = with(group.clone(), changes);
        let pages = pages(&world, streams, input.clone(), "logStreams", "nextToken").await;
        let names: Vec<&str> = pages.iter().flatten().filter_map(|stream| stream["logStreamName"].as_str()).collect();
        assert_eq!(names, expected, "{input}");
    }
    let by_time = with(group.clone(), json!({ "orderBy": "LastEventTime", "logStreamNamePrefix": "b" }));
    world.refused(streams, by_time, "InvalidParameterException", "LastEventTime").await;
    let other = json!({ "logGroupName": "none" });
    world.refused(streams, other, "ResourceNotFoundException", "log group").await;

    // The group's record is written beside its first line.
    let groups = "logs:DescribeLogGroups";
    while world.keys("logs/group/").is_empty() {
        tokio::task::yield_now().await;
    }
    for (input, expected) in [
        (json!({}), 1),
        (json!({ "logGroupNamePrefix": "AWS" }), 1),
        (json!({ "logGroupNamePrefix": "/aws" }), 0),
        (json!({ "logGroupNamePattern": "iotlogs" }), 1),
    ] {
        let answer = world.done(groups, input.clone()).await;
        assert_eq!(answer["logGroups"].as_array().map(Vec::len), Some(expected), "{input}");
    }
    let both = json!({ "logGroupNamePrefix": "A", "logGroupNamePattern": "A" });
    world.refused(groups, both, "InvalidParameterException", "mutually exclusive").await;
}

const DAY_MS: i64 = 24 * 3600 * 1000;

async fn put(world: &World, stream: &str, events: &[(i64, &str)]) -> Value {
    let events: Vec<Value> =
        events.iter().map(|(at, message)| json!({ "timestamp": at, "message": message })).collect();
    let input = json!({ "logGroupName": "g", "logStreamName": stream, "logEvents": events });
    world.done("logs:PutLogEvents", input).await
}

async fn messages(world: &World, changes: Value) -> Vec<String> {
    let answer = world.done("logs:FilterLogEvents", with(json!({ "logGroupName": "g" }), changes)).await;
    let events = answer["events"].as_array().expect("events");
    events.iter().filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn groups_and_streams_are_made_written_and_deleted() {
    let world = World::new();
    let (group, stream) = (json!({ "logGroupName": "g" }), json!({ "logGroupName": "g", "logStreamName": "s" }));
    let missing = "ResourceNotFoundException";
    let batch = with(stream.clone(), json!({ "logEvents": [{ "timestamp": world.now_ms(), "message": "m" }] }));
    for (operation, input) in [
        ("logs:DeleteLogGroup", group.clone()),
        ("logs:PutRetentionPolicy", with(group.clone(), json!({ "retentionInDays": 1 }))),
        ("logs:CreateLogStream", stream.clone()),
        ("logs:PutLogEvents", batch.clone()),
    ] {
        world.refused(operation, input, missing, "log group does not exist").await;
    }
    for asked in [json!({ "kmsKeyId": "k" }), json!({ "logGroupClass": "DELIVERY" }), json!({ "tags": { "a": "b" } })] {
        let input = with(group.clone(), asked);
        world.refused("logs:CreateLogGroup", input, "InvalidParameterException", "not served").await;
    }
    world.done("logs:CreateLogGroup", group.clone()).await;
    world.refused("logs:CreateLogGroup", group.clone(), "ResourceAlreadyExistsException", "already exists").await;
    world.refused("logs:PutLogEvents", batch.clone(), missing, "log stream does not exist").await;
    world.done("logs:CreateLogStream", stream.clone()).await;
    world.refused("logs:CreateLogStream", stream.clone(), "ResourceAlreadyExistsException", "already exists").await;
    let streams = world.done("logs:DescribeLogStreams", group.clone()).await;
    assert_eq!(streams["logStreams"][0]["logStreamName"], "s");
    assert_eq!(streams["logStreams"][0].get("lastEventTimestamp"), None, "nothing is in it yet");
    assert_eq!(world.done("logs:GetLogEvents", stream.clone()).await["events"], json!([]));

    let now = world.now_ms();
    let answer = put(&world, "s", &[(now - 2, "one"), (now - 1, "two")]).await;
    assert_eq!(answer.get("rejectedLogEventsInfo"), None);
    assert!(answer["nextSequenceToken"].is_string());
    put(&world, "s", &[(now - 3, "zero")]).await;
    assert_eq!(messages(&world, json!({})).await, ["zero", "one", "two"], "by their own times");
    assert_eq!(messages(&world, json!({ "startTime": now - 2, "endTime": now - 2 })).await, ["one"]);
    let described = world.done("logs:DescribeLogGroups", json!({})).await;
    assert_eq!(described["logGroups"][0]["storedBytes"], 10 + 3 * 26);
    let wrong = with(
        stream.clone(),
        json!({ "logEvents": [
        { "timestamp": now, "message": "b" }, { "timestamp": now - 1, "message": "a" },
    ] }),
    );
    world.refused("logs:PutLogEvents", wrong, "InvalidParameterException", "chronological").await;
    let answer = put(&world, "s", &[(now, "kept"), (now + 3 * 3600 * 1000, "from the future")]).await;
    assert_eq!(answer["rejectedLogEventsInfo"], json!({ "tooNewLogEventStartIndex": 1 }));

    let world = world.reopen().await;
    assert_eq!(messages(&world, json!({})).await, ["zero", "one", "two", "kept"]);
    world.done("logs:DeleteLogGroup", group.clone()).await;
    world.refused("logs:FilterLogEvents", group.clone(), missing, "log group").await;
    assert_eq!(world.keys("logs/"), Vec::<String>::new());
    let world = world.reopen().await;
    world.done("logs:CreateLogGroup", group.clone()).await;
    assert_eq!(messages(&world, json!({})).await, Vec::<String>::new(), "a new group has nothing of the old");
}

#[tokio::test]
async fn events_past_their_retention_are_gone() {
    let world = World::new();
    world.done("logs:CreateLogGroup", json!({ "logGroupName": "g" })).await;
    world.done("logs:CreateLogStream", json!({ "logGroupName": "g", "logStreamName": "s" })).await;
    let now = world.now_ms();
    put(&world, "s", &[(now - 5 * DAY_MS, "old")]).await;
    put(&world, "s", &[(now, "new")]).await;
    let retention = |days: i32| json!({ "logGroupName": "g", "retentionInDays": days });
    world.refused("logs:PutRetentionPolicy", retention(2), "InvalidParameterException", "retentionInDays").await;
    world.done("logs:PutRetentionPolicy", retention(7)).await;
    assert_eq!(messages(&world, json!({})).await, ["old", "new"]);
    world.done("logs:PutRetentionPolicy", retention(3)).await;
    assert_eq!(messages(&world, json!({})).await, ["new"]);
    let group = world.done("logs:DescribeLogGroups", json!({})).await["logGroups"][0].clone();
    assert_eq!((&group["retentionInDays"], &group["storedBytes"]), (&json!(3), &json!(29)));
    let late = json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": [{ "timestamp": now - 4 * DAY_MS, "message": "m" }] });
    let answer = world.done("logs:PutLogEvents", late).await;
    assert_eq!(answer["rejectedLogEventsInfo"], json!({ "expiredLogEventEndIndex": 1 }));
    world.pass_ms(4 * DAY_MS);
    assert_eq!(messages(&world, json!({})).await, Vec::<String>::new(), "also before anybody cleared up");
}

/// Until there was a journal for each group, all were in one.
#[tokio::test]
async fn what_an_older_server_logged_is_taken_over() {
    let world = World::new();
    world.done("logs:CreateLogGroup", json!({ "logGroupName": "g" })).await;
    let bounds = store::JournalBounds { bytes_max: 1 << 20, age_max_ms: i64::MAX };
    let common = world.store.journal("logs", bounds).expect("a journal");
    for (n, stream) in ["g\ns", "g\nt", "gone\ns"].iter().enumerate() {
        common.append(stream, world.now_ms() + n as i64, Bytes::from(format!("line {n}")));
    }
    let world = world.reopen().await;
    assert_eq!(messages(&world, json!({})).await, ["line 0", "line 1"]);
    assert!(world.store.journal_names().expect("lists").iter().all(|name| name != "logs"));
    let world = world.reopen().await;
    assert_eq!(messages(&world, json!({ "logStreamNames": ["t"] })).await, ["line 1"], "once");
}
