//! What each packet gets that policies do not let through, and what a subscriber may still hear when they change.

use fleet::{Closing, Device, MqttClient};
use mqtt::packet::{Connect, Properties, ReasonCode, Will};
use mqtt::{Qos, TopicName, Version};

use crate::server::{ARN, Server, allow_all, document, statement};

/// What a packet is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The connection closes and nothing is said.
    Closed,
    /// CONNACK, PUBACK or SUBACK; after the last two the connection stays.
    Code(ReasonCode),
    Disconnect(ReasonCode),
}

#[derive(Clone, Copy, Debug)]
enum Sent {
    Connect,
    ConnectWithWill,
    Publish(Qos),
    Subscribe,
    SubscribeShared,
}

fn connect(version: Version, client_id: &str) -> Connect {
    Connect { version, ..Connect::new(client_id) }
}

async fn answer(server: &Server, device: &Device, version: Version, sent: Sent, client_id: &str) -> Answer {
    let mut packet = connect(version, client_id);
    if let Sent::ConnectWithWill = sent {
        let topic = TopicName::parse("denied").unwrap();
        let (payload, qos, properties) = ("gone".into(), Qos::AtMostOnce, Properties::new());
        packet.will = Some(Will { topic, payload, qos, retain: false, properties });
    }
    if let Sent::Connect = sent {
        packet.client_id = "denied".to_owned();
    }
    let mut client = match server.connect(device, packet).await {
        Ok(client) => client,
        Err(fleet::Error::ConnectionRefused(code)) => return Answer::Code(code),
        Err(error) => {
            assert!(error.is_closed_without_connack(), "{error}");
            return Answer::Closed;
        }
    };
    let code = match sent {
        Sent::Connect | Sent::ConnectWithWill => panic!("{version:?} {sent:?} was let in"),
        Sent::Publish(Qos::AtMostOnce) => client.publish_at_most_once("denied", "x").await.map(|()| None),
        Sent::Publish(_) => client.publish_at_least_once("denied", "x").await.map(Some),
        Sent::Subscribe => client.subscribe("denied", Qos::AtLeastOnce).await.map(Some),
        Sent::SubscribeShared => client.subscribe("$share/g/denied", Qos::AtLeastOnce).await.map(Some),
    };
    if let Ok(Some(code)) = code {
        client.ping().await.expect("the connection stays");
        return Answer::Code(code);
    }
    let (how, reason) = client.closed().await.unwrap();
    assert_eq!(how, Closing::CloseNotify);
    reason.map_or(Answer::Closed, Answer::Disconnect)
}

/// (AWS IoT's developer guide, "MQTT 5 reason codes"; aws-iot-device-sdk-python-v2, issue 260, for 3.1.1)
#[tokio::test]
async fn what_each_packet_gets_that_is_not_allowed() {
    use Version::{V5, V311};
    let server = Server::start().await;
    let but_denied = |effect: &str| {
        let denied = ["client/denied", "topic/denied", "topicfilter/denied", "topicfilter/$share/*/denied"];
        denied.map(|resource| statement(effect, "iot:*", &format!("{ARN}:{resource}")))
    };
    let explicit = [[statement("Allow", "iot:*", "*")].as_slice(), &but_denied("Deny")].concat();
    let implicit = ["client/x-*", "topic/allowed", "topicfilter/allowed"]
        .map(|resource| statement("Allow", "iot:*", &format!("{ARN}:{resource}")));
    let not_authorized = Answer::Code(ReasonCode::NotAuthorized);
    for (policy, reason) in [(document(&explicit), "POLICY_DENIES"), (document(&implicit), "POLICY_DOES_NOT_ALLOW")] {
        let device = server.device(&policy).await;
        for (version, sent, expected) in [
            (V311, Sent::Connect, Answer::Closed),
            (V5, Sent::Connect, not_authorized),
            (V311, Sent::ConnectWithWill, Answer::Closed),
            (V5, Sent::ConnectWithWill, not_authorized),
            (V311, Sent::Publish(Qos::AtMostOnce), Answer::Closed),
            (V5, Sent::Publish(Qos::AtMostOnce), Answer::Disconnect(ReasonCode::NotAuthorized)),
            (V311, Sent::Publish(Qos::AtLeastOnce), Answer::Closed),
            (V5, Sent::Publish(Qos::AtLeastOnce), not_authorized),
            // 3.1.1 has one code for all failures: 0x80.
            (V311, Sent::Subscribe, Answer::Code(ReasonCode::UnspecifiedError)),
            (V5, Sent::Subscribe, not_authorized),
            (V311, Sent::SubscribeShared, Answer::Code(ReasonCode::UnspecifiedError)),
            (V5, Sent::SubscribeShared, not_authorized),
        ] {
            let client_id = format!("x-{}", services::uuid());
            let found = answer(&server, &device, version, sent, &client_id).await;
            assert_eq!(found, expected, "{version:?} {sent:?} {reason}");
            let client_id = if let Sent::Connect = sent { "denied".to_owned() } else { client_id };
            // What only its packet is refused for leaves the connection, and so no record.
            let ends = matches!(sent, Sent::Connect | Sent::ConnectWithWill) || !matches!(expected, Answer::Code(_));
            assert_eq!(server.reason(&client_id).as_deref(), ends.then_some(reason), "{version:?} {sent:?}");
        }
    }
}

/// What arrives of these topics, in order; the last one must.
async fn heard(sender: &mut MqttClient, listener: &mut MqttClient, topics: &[&str]) -> Vec<String> {
    for topic in topics {
        sender.publish_at_least_once(topic, "x").await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.last().map(String::as_str) != topics.last().copied() {
        heard.push(listener.next_message().await.unwrap().topic.as_str().to_owned());
    }
    heard
}

fn listening(receive: &[String]) -> String {
    let others = ["iot:Connect", "iot:Subscribe"].map(|action| statement("Allow", action, "*"));
    document(&[&others, receive].concat())
}

fn may(effect: &str, topic: &str) -> String {
    statement(effect, "iot:Receive", &format!("{ARN}:topic/{topic}"))
}

#[tokio::test]
async fn receive_is_judged_for_each_message_or_for_all_of_a_filter() {
    let server = Server::start().await;
    let all = server.device(&allow_all()).await;
    for version in [Version::V311, Version::V5] {
        let mut sender = server.client(&all, "sender").await;
        let device = server.pending_device().await;
        server.set_status(&device, "ACTIVE").await;
        let policy = server.attach(&device, &listening(&[may("Allow", "a/*"), may("Allow", "end")])).await;
        let mut listener = server.connect(&device, connect(version, "listener")).await.unwrap();

        // Covered: every topic of the filter is allowed.
        listener.subscribe("a/#", Qos::AtMostOnce).await.unwrap();
        assert_eq!(heard(&mut sender, &mut listener, &["a/b", "b/c", "a/c/d"]).await, ["a/b", "a/c/d"]);

        // Beside it one that is not: each message is judged again.
        listener.subscribe("#", Qos::AtMostOnce).await.unwrap();
        assert_eq!(heard(&mut sender, &mut listener, &["a/b", "b/c", "end"]).await, ["a/b", "end"]);

        // Denied in between, allowed for all, and back: felt by the next message.
        server.edit(&policy, &listening(&[may("Allow", "*"), may("Deny", "a/secret")])).await;
        assert_eq!(heard(&mut sender, &mut listener, &["a/b", "a/secret", "b/c", "end"]).await, ["a/b", "b/c", "end"]);
        server.edit(&policy, &listening(&[may("Allow", "*")])).await;
        assert_eq!(heard(&mut sender, &mut listener, &["a/secret", "b/c"]).await, ["a/secret", "b/c"]);
        listener.ping().await.expect("what is not delivered ends no connection");
        server.edit(&policy, &listening(&[may("Allow", "end")])).await;
        assert_eq!(heard(&mut sender, &mut listener, &["a/b", "b/c", "end"]).await, ["end"]);

        // The right to subscribe is judged on SUBSCRIBE; whoever is subscribed hears what may be received.
        server.edit(&policy, &document(&[statement("Allow", "iot:Connect", "*"), may("Allow", "*")])).await;
        assert_eq!(heard(&mut sender, &mut listener, &["b/c", "end"]).await, ["b/c", "end"]);
        let refused = listener.subscribe("b/#", Qos::AtMostOnce).await.unwrap();
        assert!(refused.is_failure(), "{refused:?}");
    }
}

/// Only one statement may say so, in the words of the connection's certificate and thing: what was worked out for one
/// client id is not another's.
#[tokio::test]
async fn each_connection_of_a_certificate_has_its_own_rights() {
    let server = Server::start().await;
    let own = document(&[
        statement("Allow", "iot:Connect", "*"),
        statement("Allow", "iot:Publish", "*"),
        statement("Allow", "iot:Subscribe", &format!("{ARN}:topicfilter/${{iot:ClientId}}/*")),
        statement("Allow", "iot:Receive", &format!("{ARN}:topic/${{iot:ClientId}}/*")),
    ]);
    let device = server.device(&own).await;
    let mut sender = server.client(&device, "sender").await;
    for name in ["one", "two"] {
        let mut client = server.client(&device, name).await;
        for (filter, is_granted) in [("one/#", name == "one"), ("two/#", name == "two"), ("#", false)] {
            let code = client.subscribe(filter, Qos::AtMostOnce).await.unwrap();
            assert_eq!(!code.is_failure(), is_granted, "{name} {filter}");
        }
        let own = format!("{name}/x");
        assert_eq!(
            heard(&mut sender, &mut client, &["one/y", "two/y", &own]).await,
            [format!("{name}/y"), own.clone()]
        );
    }
}

/// Allowed at CONNECT, and judged again by the policies that are in force when the connection ends.
#[tokio::test]
async fn a_will_is_published_only_where_policies_still_allow_it() {
    let server = Server::start().await;
    let all = server.device(&allow_all()).await;
    let (mut listener, mut sender) = (server.client(&all, "listener").await, server.client(&all, "sender").await);
    listener.subscribe("#", Qos::AtMostOnce).await.unwrap();
    for (version, edited, is_heard) in [
        (Version::V311, statement("Allow", "iot:Publish", "*"), true),
        (Version::V5, statement("Allow", "iot:Publish", "*"), true),
        (Version::V311, statement("Deny", "iot:*", "*"), false),
        (Version::V5, statement("Deny", "iot:*", "*"), false),
    ] {
        let device = server.pending_device().await;
        server.set_status(&device, "ACTIVE").await;
        let policy = server.attach(&device, &allow_all()).await;
        let mut packet = connect(version, "dying");
        let topic = TopicName::parse("will").unwrap();
        let (payload, qos, properties) = ("gone".into(), Qos::AtMostOnce, Properties::new());
        packet.will = Some(Will { topic, payload, qos, retain: false, properties });
        let mut client = server.connect(&device, packet).await.unwrap();
        server.edit(&policy, &document(&[edited])).await;
        client.closed().await.expect("it may not stay connected");
        // The will goes out before the connection closes; what comes behind it tells that there was none.
        let expected = if is_heard { vec!["will", "end"] } else { vec!["end"] };
        let mut heard = heard(&mut sender, &mut listener, &["end"]).await;
        heard.retain(|topic| !topic.starts_with("$aws/"));
        assert_eq!(heard, expected, "{version:?}");
    }
}
