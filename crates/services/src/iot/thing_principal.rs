//! Which certificates a thing has. Two keys for each attachment, so that both sides can be listed.

use domain::CertificateId;
use domain::iot_policy::AttachedThing;
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::Iot;
use super::attachment::no_such_target;
use super::certificate::certificate_key;
use super::page::{NamePage, Page};
use super::shapes::{
    AttachThingPrincipalRequest, AttachThingPrincipalResponse, DetachThingPrincipalRequest,
    DetachThingPrincipalResponse, ListPrincipalThingsRequest, ListPrincipalThingsResponse,
    ListPrincipalThingsV2Request, ListPrincipalThingsV2Response, ListThingPrincipalsRequest,
    ListThingPrincipalsResponse, ListThingPrincipalsV2Request, ListThingPrincipalsV2Response, PrincipalThingObject,
    ThingPrincipalObject,
};
use super::thing::{invalid, missing, thing_key};
use crate::authorization::DeniedAs;
use crate::record::{Stored, delete, put};
use crate::{Error, Op, Services};

/// Things of one certificate: a connection's standing holds them all. The bound is ours.
const THINGS_MAX: usize = 100;

const EXCLUSIVE: &str = "EXCLUSIVE_THING";
const NON_EXCLUSIVE: &str = "NON_EXCLUSIVE_THING";

/// Which thing and certificate, is in the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ThingPrincipalRecord {
    kind: String,
}

impl Stored for ThingPrincipalRecord {
    const VERSION: u32 = 1;
}

/// Below it are the ids of the certificates of a thing.
pub(super) fn principals_prefix(thing: &str) -> String {
    format!("iot/thing-principal/{thing}/")
}

/// Below it are the names of the things of a certificate.
fn things_prefix(id: CertificateId) -> String {
    format!("iot/principal-thing/{id}/")
}

fn keys(thing: &str, id: CertificateId) -> [String; 2] {
    [format!("{}{id}", principals_prefix(thing)), format!("{}{thing}", things_prefix(id))]
}

impl Services {
    pub(crate) fn has_things(&self, id: CertificateId) -> Result<bool, Error> {
        self.has_any_below(&things_prefix(id))
    }

    /// What a certificate's policies may ask about things.
    pub(crate) fn attached_things(&self, id: CertificateId) -> Result<Vec<AttachedThing>, Error> {
        let mut things = Vec::new();
        for (name, attachment) in self.find_all::<ThingPrincipalRecord>(&things_prefix(id))? {
            let Some(thing) = self.find_thing(&name)? else { continue };
            things.push(AttachedThing {
                name,
                type_name: None,
                attributes: thing.value.attributes,
                is_exclusive: attachment.value.kind == EXCLUSIVE,
            });
        }
        Ok(things)
    }

    /// Live connections of a thing's certificates see it as it is now.
    pub(super) fn refresh_principals_of(&self, thing: &str) -> Result<(), Error> {
        for id in self.keys_below(&principals_prefix(thing))?.iter().filter_map(|id| id.parse().ok()) {
            self.refresh_standing(id)?;
        }
        Ok(())
    }
}

impl Iot {
    pub async fn attach_thing_principal(
        &self,
        op: &Op,
        input: AttachThingPrincipalRequest,
    ) -> Result<AttachThingPrincipalResponse, Error> {
        let (thing, principal) = (&input.thing_name, &input.principal);
        self.authorize_on_pair(op, "iot:AttachThingPrincipal", thing, principal)?;
        let kind = input.thing_principal_type.unwrap_or_else(|| NON_EXCLUSIVE.to_owned());
        let id = self.certificate_of_target(principal)?;
        let services = &self.services;
        services
            .transact(|| {
                let found = services.find_thing(thing)?.ok_or_else(|| missing(thing))?;
                let certificate = services.find_certificate(id)?.ok_or_else(|| no_such_target(principal))?;
                let others: Vec<_> = services.find_all::<ThingPrincipalRecord>(&things_prefix(id))?;
                let others: Vec<_> = others.into_iter().filter(|(name, _)| name != thing).collect();
                check_kind(&kind, principal, &others.iter().map(|(_, other)| &other.value).collect::<Vec<_>>())?;
                // The certificate is written back unchanged: no other thing can be attached in between. On the thing the
                // commit only leans: a fleet's functions may attach the same one at once.
                let mut writes: Vec<Write> = vec![
                    Write::lean_on(thing_key(thing), found.revision),
                    put(certificate_key(id), &certificate.value, Expect::Revision(certificate.revision)),
                ];
                let record = ThingPrincipalRecord { kind: kind.clone() };
                writes.extend(keys(thing, id).map(|key| put(key, &record, Expect::Anything)));
                Ok((writes, ()))
            })
            .await?;
        services.refresh_standing(id)?;
        Ok(AttachThingPrincipalResponse {})
    }

    /// What is not attached is detached already.
    pub async fn detach_thing_principal(
        &self,
        op: &Op,
        input: DetachThingPrincipalRequest,
    ) -> Result<DetachThingPrincipalResponse, Error> {
        let (thing, principal) = (&input.thing_name, &input.principal);
        self.authorize_on_pair(op, "iot:DetachThingPrincipal", thing, principal)?;
        let id = self.certificate_of_target(principal)?;
        let services = &self.services;
        services.find_thing(thing)?.ok_or_else(|| missing(thing))?;
        services.find_certificate(id)?.ok_or_else(|| no_such_target(principal))?;
        services.commit(keys(thing, id).map(|key| delete(key, Expect::Anything)).to_vec()).await?;
        services.refresh_standing(id)?;
        Ok(DetachThingPrincipalResponse {})
    }

    pub async fn list_thing_principals(
        &self,
        op: &Op,
        input: ListThingPrincipalsRequest,
    ) -> Result<ListThingPrincipalsResponse, Error> {
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let Page { items, next } = self.principals_of(op, &input.thing_name, None, token, size).await?;
        let principals = items.into_iter().map(|(principal, _)| principal).collect();
        Ok(ListThingPrincipalsResponse { principals: Some(principals), next_token: next })
    }

    pub async fn list_thing_principals_v2(
        &self,
        op: &Op,
        input: ListThingPrincipalsV2Request,
    ) -> Result<ListThingPrincipalsV2Response, Error> {
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let kind = input.thing_principal_type.as_deref();
        let Page { items, next } = self.principals_of(op, &input.thing_name, kind, token, size).await?;
        let objects = items.into_iter().map(|(principal, kind)| ThingPrincipalObject {
            principal: Some(principal),
            thing_principal_type: Some(kind),
        });
        Ok(ListThingPrincipalsV2Response { thing_principal_objects: Some(objects.collect()), next_token: next })
    }

    pub async fn list_principal_things(
        &self,
        op: &Op,
        input: ListPrincipalThingsRequest,
    ) -> Result<ListPrincipalThingsResponse, Error> {
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let Page { items, next } = self.things_of(op, &input.principal, None, token, size).await?;
        let things = items.into_iter().map(|(thing, _)| thing).collect();
        Ok(ListPrincipalThingsResponse { things: Some(things), next_token: next })
    }

    pub async fn list_principal_things_v2(
        &self,
        op: &Op,
        input: ListPrincipalThingsV2Request,
    ) -> Result<ListPrincipalThingsV2Response, Error> {
        let (token, size) = (input.next_token.as_deref(), input.max_results);
        let kind = input.thing_principal_type.as_deref();
        let Page { items, next } = self.things_of(op, &input.principal, kind, token, size).await?;
        let objects = items
            .into_iter()
            .map(|(thing, kind)| PrincipalThingObject { thing_name: Some(thing), thing_principal_type: Some(kind) });
        Ok(ListPrincipalThingsV2Response { principal_thing_objects: Some(objects.collect()), next_token: next })
    }

    /// ARNs with the kind of attachment.
    async fn principals_of(
        &self,
        op: &Op,
        thing: &str,
        kind: Option<&str>,
        token: Option<&str>,
        size: Option<i32>,
    ) -> Result<Page<(String, String)>, Error> {
        self.authorize(op, "iot:ListThingPrincipals", self.services.thing_arn(thing).as_str())?;
        self.services.find_thing(thing)?.ok_or_else(|| missing(thing))?;
        let Page { items, next } = self.attached(&principals_prefix(thing), kind, token, size).await?;
        let arn = |id: String| id.parse().map(|id| self.services.certificate_arn(id).to_string()).unwrap_or(id);
        Ok(Page { items: items.into_iter().map(|(id, kind)| (arn(id), kind)).collect(), next })
    }

    /// Names with the kind of attachment.
    async fn things_of(
        &self,
        op: &Op,
        principal: &str,
        kind: Option<&str>,
        token: Option<&str>,
        size: Option<i32>,
    ) -> Result<Page<(String, String)>, Error> {
        self.authorize(op, "iot:ListPrincipalThings", principal)?;
        let id = self.certificate_of_target(principal)?;
        self.services.find_certificate(id)?.ok_or_else(|| no_such_target(principal))?;
        self.attached(&things_prefix(id), kind, token, size).await
    }

    async fn attached(
        &self,
        prefix: &str,
        kind: Option<&str>,
        token: Option<&str>,
        size: Option<i32>,
    ) -> Result<Page<(String, String)>, Error> {
        let (mut page, after) = NamePage::new(size, token)?;
        let offer = |name: String, record: ThingPrincipalRecord| match kind.is_none_or(|kind| kind == record.kind) {
            true => page.offer(name, record.kind),
            false => std::ops::ControlFlow::Continue(()),
        };
        self.services.each_record_after(prefix, after.as_deref(), offer).await?;
        Ok(page.finish())
    }

    /// The certificate is the resource, the thing a condition key. (Actions of AWS IoT, `iot:thingArn`)
    fn authorize_on_pair(&self, op: &Op, action: &str, thing: &str, principal: &str) -> Result<(), Error> {
        let thing = self.services.thing_arn(thing);
        let context = [("iot:thingArn", thing.as_str())];
        self.services.authorize_in_context(op, action, principal, &context, DeniedAs::AccessDeniedException)
    }
}

/// An exclusive attachment is the certificate's only one.
fn check_kind(kind: &str, principal: &str, others: &[&ThingPrincipalRecord]) -> Result<(), Error> {
    if kind == EXCLUSIVE && !others.is_empty() {
        let message =
            format!("{principal} is attached to another thing and cannot be attached exclusively to this one.");
        return Err(invalid(&message));
    }
    if others.iter().any(|other| other.kind == EXCLUSIVE) {
        let message = format!("{principal} is attached exclusively to another thing; detach it there first.");
        return Err(invalid(&message));
    }
    if others.len() >= THINGS_MAX {
        let message = format!("A certificate can be attached to {THINGS_MAX} things; detach one first.");
        return Err(invalid(&message));
    }
    Ok(())
}
