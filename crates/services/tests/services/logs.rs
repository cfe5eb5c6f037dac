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
        (json!({ "filterPattern": "nothing" }), vec![]),
    ] {
        let input = with(group.clone(), changes);
        let pages = pages(&world, filter, input.clone(), "events", "nextToken").await;
        let streams: Vec<&str> = pages.iter().flatten().filter_map(|event| event["logStreamName"].as_str()).collect();
        assert_eq!(streams, expected, "{input}");
    }
    for (changes, code, words) in [
        (json!({ "logGroupName": "none" }), "ResourceNotFoundException", "log group"),
        (json!({ "filterPattern": "{ $.a = 1 }" }), "InvalidParameterException", "not served"),
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
