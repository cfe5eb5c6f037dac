//! Which topics a message may be published to, and how long topics and filters may be
//! ("AWS IoT Core message broker and protocol limits and quotas", and the developer guide's page on reserved topics).

pub use crate::quota::PAYLOAD_BYTES_MAX;
use crate::quota::{TOPIC_BYTES_MAX, TOPIC_SLASHES_MAX};

/// AWS names no bound; a subscription is kept as long as its connection, so there is one: a client id's.
const SHARE_NAME_BYTES_MAX: usize = 128;

const RULES: &str = "$aws/rules/";
/// Of a topic rule. (CreateTopicRule)
const RULE_NAME_BYTES_MAX: usize = 128;

/// A topic of Basic Ingest, `$aws/rules/<rule>/<topic>`: its messages go to that one rule and to no subscriber.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-basic-ingest.html>)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicIngest<'a> {
    pub rule: &'a str,
    /// What the rule sees as the topic; AWS counts nothing else of it.
    pub topic: &'a str,
}

impl<'a> BasicIngest<'a> {
    pub fn of(topic: &'a str) -> Option<Self> {
        let rest = topic.strip_prefix(RULES)?;
        let (rule, topic) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self { rule, topic })
    }
}

/// Whether a client may publish here at all, over MQTT or HTTPS; policies are asked afterwards. No service that takes
/// requests on a `$aws` topic is served yet, so none of these is open but those of Basic Ingest.
pub fn check_publish(topic: &str) -> Result<(), String> {
    if let Some(ingest) = BasicIngest::of(topic) {
        return check_ingest(ingest);
    }
    if topic.starts_with('$') {
        return Err(format!("the topic {topic} is reserved: clients cannot publish to topics that start with $"));
    }
    check_size("topic", topic)
}

fn check_ingest(BasicIngest { rule, topic }: BasicIngest<'_>) -> Result<(), String> {
    if rule.is_empty() || rule.len() > RULE_NAME_BYTES_MAX {
        let bytes = rule.len();
        return Err(format!(
            "a rule's name has 1 to {RULE_NAME_BYTES_MAX} bytes, and the one in the topic has {bytes}"
        ));
    }
    check_size("topic", topic)
}

/// Whether a message can be kept here for later subscribers. Reserved topics keep none.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html>, "MQTT retained messages")
pub fn check_retain(topic: &str) -> Result<(), String> {
    if topic.starts_with('$') {
        return Err(format!("the topic {topic} is reserved: topics that start with $ retain no messages"));
    }
    Ok(())
}

/// Whether a rule may republish here. Reserved topics are open to it, but for the events, which only the server tells,
/// and the topics of jobs.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/republish-rule-action.html>)
pub fn check_republish(topic: &str) -> Result<(), String> {
    let mut levels = topic.split('/');
    let levels = [(); 4].map(|()| levels.next().unwrap_or_default());
    match levels {
        ["$aws", "events", ..] => Err(format!("the topic {topic} is for the server's own events")),
        ["$aws", "things", _, "jobs"] => {
            Err(format!("the topic {topic} belongs to AWS IoT Jobs, to which rules cannot republish"))
        }
        _ => BasicIngest::of(topic).map_or_else(|| check_size("topic", topic), check_ingest),
    }
}

/// Whether a client may subscribe to this at all; policies are asked afterwards. Of the reserved topics those of AWS's
/// services are open, but nobody can listen to Basic Ingest, and no other topic starts with `$`.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/reserved-topics.html>)
pub fn check_filter(filter: &str) -> Result<(), String> {
    let (share, filter) = without_share(filter);
    let root = filter.split('/').next().unwrap_or_default();
    if root.starts_with('$') && root != "$aws" {
        return Err(format!(
            "the topic filter {filter} is reserved: of the topics that start with $ only $aws/ exists"
        ));
    }
    if BasicIngest::of(filter).is_some() {
        return Err(format!("the topic filter {filter} is reserved: Basic Ingest reaches rules and no subscriber"));
    }
    if share.len() > SHARE_NAME_BYTES_MAX {
        return Err(format!("the share name has {} bytes; {SHARE_NAME_BYTES_MAX} are allowed", share.len()));
    }
    check_size("topic filter", filter)
}

/// `$share/<name>/` does not count as a part of the filter.
fn without_share(filter: &str) -> (&str, &str) {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).unwrap_or(("", filter))
}

fn check_size(kind: &str, text: &str) -> Result<(), String> {
    if text.len() > TOPIC_BYTES_MAX {
        return Err(format!("the {kind} has {} bytes; {TOPIC_BYTES_MAX} are allowed", text.len()));
    }
    let slashes = text.bytes().filter(|byte| *byte == b'/').count();
    if slashes > TOPIC_SLASHES_MAX {
        return Err(format!("the {kind} {text} has {slashes} slashes; {TOPIC_SLASHES_MAX} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_filters() {
        let long = "x".repeat(256);
        let too_long = "x".repeat(257);
        let (share, long_share) = (format!("$share/{}/a", "g".repeat(128)), format!("$share/{}/a", "g".repeat(129)));
        for (topic, publish, republish, filter) in [
            ("a", true, true, true),
            ("a/b/c/d/e/f/g/h", true, true, true),
            ("a/b/c/d/e/f/g/h/i", false, false, false),
            ("$aws/things/x/shadow/update", false, true, true),
            ("$aws/things/x/jobs/get", false, false, true),
            ("$aws/events/certificates/registered/x", false, false, true),
            ("$aws/rules/r", true, true, false),
            ("$aws/rules/r/1/2/3/4/5/6/7/8", true, true, false),
            ("$aws/rules/r/1/2/3/4/5/6/7/8/9", false, false, false),
            ("$aws/rules/", false, false, false),
            ("$aws/rules//a", false, false, false),
            ("$aws/rules", false, true, true),
            (&format!("$aws/rules/{}/{long}", "r".repeat(128)), true, true, false),
            (&format!("$aws/rules/{}/a", "r".repeat(129)), false, false, false),
            (&format!("$aws/rules/r/{too_long}"), false, false, false),
            ("$share/group/$aws/rules/r/a", false, true, false),
            ("$share/group/$aws/events/#", false, true, true),
            ("$aws/#", false, true, true),
            ("$awsome/a", false, true, false),
            ("$SYS/#", false, true, false),
            ("$anything", false, true, false),
            ("$share/group/a/b/c/d/e/f/g/h", false, false, true),
            ("$share/group/a/b/c/d/e/f/g/h/i", false, false, false),
            (&share, false, true, true),
            (&long_share, false, true, false),
            (&long, true, true, true),
            (&too_long, false, false, false),
        ] {
            assert_eq!(check_publish(topic).is_ok(), publish, "publish {topic}");
            assert_eq!(check_republish(topic).is_ok(), republish, "republish {topic}");
            assert_eq!(check_filter(topic).is_ok(), filter, "subscribe {topic}");
            assert_eq!(check_retain(topic).is_ok(), !topic.starts_with('$'), "retain {topic}");
        }
    }
}
