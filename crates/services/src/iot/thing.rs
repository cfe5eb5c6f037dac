//! Things: the registry's entries for devices, each a name with a few attributes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use domain::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::Iot;
use super::page::{NamePage, Page};
use super::shapes::{
    AttributePayload, CreateThingRequest, CreateThingResponse, DeleteThingRequest, DeleteThingResponse,
    DescribeThingRequest, DescribeThingResponse, ListThingsRequest, ListThingsResponse, ThingAttribute,
    UpdateThingRequest, UpdateThingResponse,
};
use super::thing_principal::principals_prefix;
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services, random};

const PREFIX: &str = "iot/thing/";

/// Of a thing without a type. (AWS IoT thing quotas)
const ATTRIBUTES_MAX: usize = 3;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ThingRecord {
    pub id: String,
    pub attributes: BTreeMap<String, String>,
    /// AWS's, which a caller may hold its changes to; not the store's revision.
    version: i64,
    created_at: Timestamp,
}

impl Stored for ThingRecord {
    const VERSION: u32 = 1;
}

pub(super) fn thing_key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

impl Services {
    pub(crate) fn find_thing(&self, name: &str) -> Result<Option<Found<ThingRecord>>, Error> {
        self.find(&thing_key(name))
    }

    pub(crate) fn thing_arn(&self, name: &str) -> Arn {
        Arn::new("iot", self.region(), &self.config().account, &format!("thing/{name}"))
    }
}

impl Iot {
    /// Making the same thing again succeeds; making another under its name does not.
    pub async fn create_thing(&self, op: &Op, input: CreateThingRequest) -> Result<CreateThingResponse, Error> {
        let name = input.thing_name;
        let arn = self.services.thing_arn(&name);
        self.authorize(op, "iot:CreateThing", arn.as_str())?;
        check_served(input.thing_type_name.as_deref(), input.billing_group_name.as_deref())?;
        let mut attributes = BTreeMap::new();
        apply(&mut attributes, input.attribute_payload)?;
        let services = &self.services;
        let id = services
            .transact(|| {
                if let Some(found) = services.find_thing(&name)? {
                    if found.value.attributes == attributes {
                        return Ok((Vec::new(), found.value.id));
                    }
                    let account = &services.config().account;
                    let message = format!("Thing {name} already exists in account {account} with different attributes");
                    return Err(Error::new("ResourceAlreadyExistsException", message)
                        .with_member("resourceId", &name)
                        .with_member("resourceArn", arn.as_str()));
                }
                let id = random::uuid();
                let attributes = attributes.clone();
                let record = ThingRecord { id: id.clone(), attributes, version: 1, created_at: op.now };
                Ok((vec![put(thing_key(&name), &record, Expect::Absent)], id))
            })
            .await?;
        Ok(CreateThingResponse { thing_name: Some(name), thing_arn: Some(arn.to_string()), thing_id: Some(id) })
    }

    pub async fn describe_thing(&self, op: &Op, input: DescribeThingRequest) -> Result<DescribeThingResponse, Error> {
        let name = input.thing_name;
        let arn = self.services.thing_arn(&name);
        self.authorize(op, "iot:DescribeThing", arn.as_str())?;
        let record = self.services.find_thing(&name)?.ok_or_else(|| missing(&name))?.value;
        Ok(DescribeThingResponse {
            attributes: Some(record.attributes),
            billing_group_name: None,
            default_client_id: Some(name.clone()),
            thing_arn: Some(arn.to_string()),
            thing_id: Some(record.id),
            thing_name: Some(name),
            thing_type_name: None,
            version: Some(record.version),
        })
    }

    /// In the order of their names.
    pub async fn list_things(&self, op: &Op, input: ListThingsRequest) -> Result<ListThingsResponse, Error> {
        self.authorize(op, "iot:ListThings", "*")?;
        if input.attribute_value.is_some() && input.attribute_name.is_none() {
            return Err(invalid("attributeValue asks for an attributeName beside it."));
        }
        let (mut page, after) = NamePage::new(input.max_results, input.next_token.as_deref())?;
        let fits = |record: &ThingRecord| {
            let by_type = input.thing_type_name.is_none();
            by_type
                && input.attribute_name.as_ref().is_none_or(|name| {
                    record.attributes.get(name).is_some_and(|value| match &input.attribute_value {
                        Some(start) if input.use_prefix_attribute_value == Some(true) => value.starts_with(start),
                        Some(wanted) => value == wanted,
                        None => true,
                    })
                })
        };
        let offer = |name: String, record: ThingRecord| match fits(&record) {
            true => page.offer(name, record),
            false => ControlFlow::Continue(()),
        };
        self.services.each_record_after(PREFIX, after.as_deref(), offer).await?;
        let Page { items, next } = page.finish();
        let things = items.into_iter().map(|(name, record)| ThingAttribute {
            attributes: Some(record.attributes),
            thing_arn: Some(self.services.thing_arn(&name).to_string()),
            thing_name: Some(name),
            thing_type_name: None,
            version: Some(record.version),
        });
        Ok(ListThingsResponse { things: Some(things.collect()), next_token: next })
    }

    /// Policies that ask for an attribute see the new one at once.
    pub async fn update_thing(&self, op: &Op, input: UpdateThingRequest) -> Result<UpdateThingResponse, Error> {
        let name = &input.thing_name;
        self.authorize(op, "iot:UpdateThing", self.services.thing_arn(name).as_str())?;
        check_served(input.thing_type_name.as_deref(), None)?;
        let services = &self.services;
        services
            .transact(|| {
                let Found { value: mut record, revision } = services.find_thing(name)?.ok_or_else(|| missing(name))?;
                check_version(name, record.version, input.expected_version)?;
                apply(&mut record.attributes, input.attribute_payload.clone())?;
                record.version = record.version.saturating_add(1);
                Ok((vec![put(thing_key(name), &record, Expect::Revision(revision))], ()))
            })
            .await?;
        services.refresh_principals_of(name)?;
        Ok(UpdateThingResponse {})
    }

    /// A thing that is not there is deleted already.
    pub async fn delete_thing(&self, op: &Op, input: DeleteThingRequest) -> Result<DeleteThingResponse, Error> {
        let name = &input.thing_name;
        self.authorize(op, "iot:DeleteThing", self.services.thing_arn(name).as_str())?;
        let services = &self.services;
        services
            .transact(|| {
                let Some(found) = services.find_thing(name)? else { return Ok((Vec::new(), ())) };
                check_version(name, found.value.version, input.expected_version)?;
                if services.has_any_below(&principals_prefix(name))? {
                    let message = format!("Cannot delete. Thing {name} is still attached to one or more principals");
                    return Err(invalid(&message));
                }
                // Attaching only leans on the thing: that nobody has it must hold when it goes.
                let writes = vec![
                    delete(thing_key(name), Expect::Revision(found.revision)),
                    Write::nothing_below(principals_prefix(name)),
                ];
                Ok((writes, ()))
            })
            .await?;
        Ok(DeleteThingResponse {})
    }
}

/// Puts a payload's attributes in place of those that were, or with `merge` among them. A merged empty value removes.
fn apply(attributes: &mut BTreeMap<String, String>, payload: Option<AttributePayload>) -> Result<(), Error> {
    let Some(payload) = payload else { return Ok(()) };
    let given = payload.attributes.unwrap_or_default();
    if payload.merge != Some(true) {
        attributes.clear();
    }
    attributes.extend(given);
    attributes.retain(|_, value| !value.is_empty());
    if attributes.len() > ATTRIBUTES_MAX {
        let message = format!("A thing without a thing type has at most {ATTRIBUTES_MAX} attributes.");
        return Err(invalid(&message));
    }
    Ok(())
}

fn check_served(thing_type: Option<&str>, billing_group: Option<&str>) -> Result<(), Error> {
    match (thing_type, billing_group) {
        (Some(_), _) => Err(invalid("Thing types are not served yet: leave thingTypeName out.")),
        (_, Some(_)) => Err(invalid("Billing groups are not served: leave billingGroupName out.")),
        (None, None) => Ok(()),
    }
}

fn check_version(name: &str, version: i64, expected: Option<i64>) -> Result<(), Error> {
    // Zero is what SDKs send for a number that nobody set.
    match expected.filter(|expected| *expected != 0 && *expected != version) {
        None => Ok(()),
        Some(expected) => {
            let message = format!(
                "The version for thing {name} does not match the expected version. Expected {expected}, found {version}."
            );
            Err(Error::new("VersionConflictException", message))
        }
    }
}

pub(super) fn missing(name: &str) -> Error {
    Error::new("ResourceNotFoundException", format!("Thing {name} cannot be found."))
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new("InvalidRequestException", message)
}
