//! What a policy may ask of the thing behind a connection.

use std::collections::BTreeMap;

/// A thing of the registry that the connection's certificate is attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachedThing {
    pub name: String,
    pub type_name: Option<String>,
    pub attributes: BTreeMap<String, String>,
    /// The certificate is attached to this thing and no other: it is the connection's, whatever the client id.
    pub is_exclusive: bool,
}

/// The thing of a connection: the client id names it, and the certificate must be attached to it.
/// (AWS IoT, "Thing policy variables")
pub(super) fn of_connection<'a>(things: &'a [AttachedThing], client_id: Option<&str>) -> Option<&'a AttachedThing> {
    things.iter().find(|thing| thing.is_exclusive || Some(thing.name.as_str()) == client_id)
}
