use domain::iot_policy::IotAction;
use serde_json::{Value, json};

use crate::world::{World, certificate_arn, device, id_of};

const INVALID: &str = "InvalidRequestException";

fn thing(name: &str, attributes: Value) -> Value {
    json!({ "thingName": name, "attributePayload": { "attributes": attributes } })
}

#[tokio::test]
async fn things_are_made_changed_and_deleted() {
    let world = World::new();
    let made = world.done("iot:CreateThing", thing("pump", json!({ "hall": "7", "empty": "" }))).await;
    assert_eq!(made["thingArn"], format!("arn:aws:iot:us-east-1:{}:thing/pump", crate::world::ACCOUNT));
    let again = world.done("iot:CreateThing", thing("pump", json!({ "hall": "7" }))).await;
    assert_eq!(again, made, "the same thing again is the same thing");
    let other = thing("pump", json!({ "hall": "8" }));
    let exists = world.refused("iot:CreateThing", other, "ResourceAlreadyExistsException", "different").await;
    assert_eq!(exists.members[0], ("resourceId", "pump".to_owned()));

    // UpdateThing's input beside the name, and the attributes and version afterwards.
    for (change, attributes, version) in [
        (
            json!({ "attributePayload": { "merge": true, "attributes": { "floor": "2" } } }),
            json!({ "hall": "7", "floor": "2" }),
            2,
        ),
        (json!({ "attributePayload": { "merge": true, "attributes": { "hall": "" } } }), json!({ "floor": "2" }), 3),
        (json!({ "attributePayload": { "attributes": { "a": "1" } }, "expectedVersion": 3 }), json!({ "a": "1" }), 4),
        (json!({}), json!({ "a": "1" }), 5),
    ] {
        let mut input = change;
        input["thingName"] = json!("pump");
        world.done("iot:UpdateThing", input.clone()).await;
        let described = world.done("iot:DescribeThing", json!({ "thingName": "pump" })).await;
        assert_eq!((&described["attributes"], &described["version"]), (&attributes, &json!(version)), "{input}");
        assert_eq!(described["defaultClientId"], "pump");
        assert_eq!(described["thingId"], made["thingId"]);
    }
    let four = json!({ "a": "1", "b": "2", "c": "3", "d": "4" });
    for (operation, input, code, words) in [
        (
            "iot:UpdateThing",
            json!({ "thingName": "pump", "expectedVersion": 9 }),
            "VersionConflictException",
            "found 5",
        ),
        (
            "iot:DeleteThing",
            json!({ "thingName": "pump", "expectedVersion": 9 }),
            "VersionConflictException",
            "found 5",
        ),
        ("iot:CreateThing", thing("full", four), INVALID, "at most 3"),
        ("iot:CreateThing", json!({ "thingName": "t", "thingTypeName": "x" }), INVALID, "thingTypeName"),
        ("iot:CreateThing", json!({ "thingName": "t", "billingGroupName": "x" }), INVALID, "billingGroupName"),
        ("iot:UpdateThing", json!({ "thingName": "none" }), "ResourceNotFoundException", "Thing none"),
        ("iot:DescribeThing", json!({ "thingName": "none" }), "ResourceNotFoundException", "Thing none"),
        ("iot:ListThings", json!({ "attributeValue": "x" }), INVALID, "attributeName"),
    ] {
        world.refused(operation, input, code, words).await;
    }
    for _ in 0..2 {
        world.done("iot:DeleteThing", json!({ "thingName": "pump" })).await;
    }
    assert_eq!(world.keys("iot/thing/"), Vec::<String>::new());
}

#[tokio::test]
async fn things_are_listed_by_name_and_attribute() {
    let world = World::new();
    for n in 0..7 {
        let attributes = json!({ "hall": format!("{}", n % 2), "serial": format!("ab{n}") });
        world.done("iot:CreateThing", thing(&format!("t{n}"), attributes)).await;
    }
    for (filter, expected) in [
        (json!({}), "t0 t1 t2 t3 t4 t5 t6"),
        (json!({ "attributeName": "hall" }), "t0 t1 t2 t3 t4 t5 t6"),
        (json!({ "attributeName": "hall", "attributeValue": "1" }), "t1 t3 t5"),
        (json!({ "attributeName": "serial", "attributeValue": "ab" }), ""),
        (
            json!({ "attributeName": "serial", "attributeValue": "ab", "usePrefixAttributeValue": true }),
            "t0 t1 t2 t3 t4 t5 t6",
        ),
        (json!({ "attributeName": "floor" }), ""),
        (json!({ "thingTypeName": "pump" }), ""),
    ] {
        for size in [1, 2, 3, 7, 250] {
            let (mut names, mut token) = (Vec::new(), Value::Null);
            loop {
                let mut input = filter.clone();
                input["maxResults"] = json!(size);
                input["nextToken"] = token;
                let page = world.done("iot:ListThings", input).await;
                let things = page["things"].as_array().expect("things");
                assert!(things.len() <= size);
                names.extend(things.iter().map(|thing| thing["thingName"].as_str().expect("a name").to_owned()));
                token = page["nextToken"].clone();
                if token.is_null() {
                    break;
                }
            }
            assert_eq!(names.join(" "), expected, "{filter} in pages of {size}");
        }
    }
}

#[tokio::test]
async fn certificates_are_attached_to_things() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    let (id, principal) = (id_of(&device), certificate_arn(&id_of(&device)));
    for name in ["a", "b"] {
        world.done("iot:CreateThing", json!({ "thingName": name })).await;
    }
    let pair = |thing: &str, kind: Option<&str>| json!({ "thingName": thing, "principal": principal, "thingPrincipalType": kind });
    let attach = "iot:AttachThingPrincipal";
    world.done(attach, pair("a", None)).await;
    world.done(attach, pair("a", None)).await;
    world.refused(attach, pair("b", Some("EXCLUSIVE_THING")), INVALID, "another thing").await;
    world.done(attach, pair("b", Some("NON_EXCLUSIVE_THING"))).await;
    let things = world.done("iot:ListPrincipalThings", json!({ "principal": principal, "maxResults": 1 })).await;
    assert_eq!(things["things"], json!(["a"]));
    let rest = json!({ "principal": principal, "nextToken": things["nextToken"] });
    assert_eq!(world.done("iot:ListPrincipalThings", rest).await["things"], json!(["b"]));
    let principals = world.done("iot:ListThingPrincipals", json!({ "thingName": "a" })).await;
    assert_eq!(principals["principals"], json!([principal]));
    for (kind, count) in [("EXCLUSIVE_THING", 0), ("NON_EXCLUSIVE_THING", 1)] {
        let of_thing = json!({ "thingName": "a", "thingPrincipalType": kind });
        let listed = world.done("iot:ListThingPrincipalsV2", of_thing).await;
        assert_eq!(listed["thingPrincipalObjects"].as_array().map(Vec::len), Some(count), "{kind}");
    }
    let both = world.done("iot:ListPrincipalThingsV2", json!({ "principal": principal })).await;
    assert_eq!(
        both["principalThingObjects"][1],
        json!({ "thingName": "b", "thingPrincipalType": "NON_EXCLUSIVE_THING" })
    );

    world.refused("iot:DeleteThing", json!({ "thingName": "a" }), INVALID, "still attached").await;
    world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "INACTIVE" })).await;
    let delete = json!({ "certificateId": id, "forceDelete": true });
    world.refused("iot:DeleteCertificate", delete.clone(), "DeleteConflictException", "Things must be detached").await;
    for thing in ["a", "b", "b"] {
        world.done("iot:DetachThingPrincipal", pair(thing, None)).await;
    }
    world.done(attach, pair("b", Some("EXCLUSIVE_THING"))).await;
    world.refused(attach, pair("a", None), INVALID, "exclusively").await;
    world.done("iot:DetachThingPrincipal", pair("b", None)).await;
    let nobody = json!({ "thingName": "a", "principal": certificate_arn(&"00".repeat(32)) });
    let nothing = json!({ "thingName": "none", "principal": principal });
    for (operation, input) in [
        (attach, nobody.clone()),
        (attach, nothing.clone()),
        ("iot:DetachThingPrincipal", nobody.clone()),
        ("iot:DetachThingPrincipal", nothing),
        ("iot:ListThingPrincipals", json!({ "thingName": "none" })),
        ("iot:ListPrincipalThings", json!({ "principal": nobody["principal"] })),
    ] {
        world.refused(operation, input, "ResourceNotFoundException", "").await;
    }
    world.done("iot:DeleteCertificate", delete).await;
    assert_eq!((world.keys("iot/thing-principal/"), world.keys("iot/principal-thing/")), (Vec::new(), Vec::new()));
}

/// `${iot:Connection.Thing...}` in the policy of a live connection follows the registry.
#[tokio::test]
async fn policies_see_the_thing_of_a_connection() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "pump").await.expect_err("registered, not admitted");
    let (id, principal) = (id_of(&device), certificate_arn(&id_of(&device)));
    let topic = |rest: &str| format!("arn:aws:iot:us-east-1:{}:topic/{rest}", crate::world::ACCOUNT);
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "*" },
        { "Effect": "Allow", "Action": "iot:Publish",
          "Resource": topic("${iot:Connection.Thing.ThingName}/${iot:Connection.Thing.Attributes[hall]}") },
    ] });
    let input = json!({ "policyName": "Things", "policyDocument": policy.to_string() });
    world.done("iot:CreatePolicy", input).await;
    world.done("iot:AttachPolicy", json!({ "policyName": "Things", "target": principal })).await;
    world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "ACTIVE" })).await;
    let cell = world.connect(&device, "pump").await.expect("admitted").standing;
    let facts = world.facts(&device, "pump");
    let may = |topic: &str| {
        let standing = cell.borrow().clone();
        standing.permissions(&facts).allows(IotAction::Publish, topic)
    };
    world.done("iot:CreateThing", thing("pump", json!({ "hall": "7" }))).await;
    assert!(!may("pump/7"), "not attached");
    world.done("iot:AttachThingPrincipal", json!({ "thingName": "pump", "principal": principal })).await;
    assert!(may("pump/7") && !may("pump/8"));
    world.done("iot:UpdateThing", thing("pump", json!({ "hall": "8" }))).await;
    assert!(may("pump/8") && !may("pump/7"));
    world.done("iot:DetachThingPrincipal", json!({ "thingName": "pump", "principal": principal })).await;
    assert!(!may("pump/8"), "detached");
}

/// A fleet's functions attach the same thing, or change it, all at once: none is turned away, and a thing that is deleted
/// meanwhile is attached to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thing_may_be_changed_by_many_at_once() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    world.done("iot:CreateThing", thing("gateway", json!({ "n": "0" }))).await;
    let mut principals = Vec::new();
    for n in 0..40 {
        let device = device(&ca, &format!("device-{n}"));
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        principals.push(certificate_arn(&id_of(&device)));
    }
    let world = std::sync::Arc::new(world);
    let mut calls = tokio::task::JoinSet::new();
    for principal in principals.clone() {
        let world = std::sync::Arc::clone(&world);
        calls.spawn(async move {
            world.done("iot:AttachThingPrincipal", json!({ "thingName": "gateway", "principal": principal })).await;
            world.done("iot:UpdateThing", json!({ "thingName": "gateway" })).await;
        });
    }
    calls.join_all().await;
    let described = world.done("iot:DescribeThing", json!({ "thingName": "gateway" })).await;
    assert_eq!(described["version"], 41);

    let mut calls = tokio::task::JoinSet::new();
    for principal in principals {
        let world = std::sync::Arc::clone(&world);
        calls.spawn(async move {
            let pair = json!({ "thingName": "gateway", "principal": principal });
            world.done("iot:DetachThingPrincipal", pair.clone()).await;
            // Deleting comes in between for some: gone, or kept by another's attachment.
            let _ = world.call("iot:DeleteThing", json!({ "thingName": "gateway" })).await;
            let _ = world.call("iot:AttachThingPrincipal", pair).await;
        });
    }
    calls.join_all().await;
    let is_there = world.call("iot:DescribeThing", json!({ "thingName": "gateway" })).await.is_ok();
    assert!(is_there || world.keys("iot/thing-principal/").is_empty(), "attached to a thing that is gone");
}
