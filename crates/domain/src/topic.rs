//! Which topics a message may be published to, and how long topics and filters may be
//! ("AWS IoT Core message broker and protocol limits and quotas", and the developer guide's page on reserved topics).

/// Publish request payload: 128 KB. CONNECT has the same bound.
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
const TOPIC_BYTES_MAX: usize = 256;
const TOPIC_SLASHES_MAX: usize = 7;
/// AWS names no bound; a subscription is kept as long as its connection, so there is one: a client id's.
const SHARE_NAME_BYTES_MAX: usize = 128;

/// Whether a client may publish here at all, over MQTT or HTTPS; policies are asked afterwards. No service that takes
/// requests on a `$aws` topic is served yet, so none of these is open.
pub fn check_publish(topic: &str) -> Result<(), String> {
    if topic.starts_with('$') {
        return Err(format!("the topic {topic} is reserved: clients cannot publish to topics that start with $"));
    }
    check_size("topic", topic)
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
        _ => check_size("topic", topic),
    }
}

pub fn check_filter(filter: &str) -> Result<(), String> {
    let (share, filter) = without_share(filter);
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
            ("$anything", false, true, true),
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
        }
    }
}
