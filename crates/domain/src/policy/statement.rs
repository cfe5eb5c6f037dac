//! Documents and statements: the elements of the grammar, and which of them each kind of policy takes.
//! (IAM user guide, "Grammar of the IAM JSON policy language"; AWS IoT, "AWS IoT Core policies")

use super::Context;
use super::condition::{self, Condition};
use super::glob::Glob;
use super::json::{self, Member, Node, Value};
use super::malformed::{Fault, MalformedPolicy};
use super::pattern::{Pattern, Syntax, Variables, Wildcards};
use super::principal::Principals;

/// AWS counts no blanks, so blanks need a bound of their own.
const DOCUMENT_BYTES_MAX: usize = 128 * 1024;

const ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Iot,
    /// A role's: no Principal.
    Identity,
    /// A trust policy or a function's: Principal needed; Resource is what the policy hangs on if left out.
    Resource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug)]
pub(crate) struct Statement<K> {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) principals: Option<Principals>,
    actions: Listed<Pattern<String>>,
    resources: Option<Listed<Pattern<K>>>,
    conditions: Vec<Condition<K>>,
}

/// A list, or everything but the list (`NotAction`, `NotResource`).
#[derive(Clone, Debug)]
struct Listed<T> {
    items: Vec<T>,
    is_inverted: bool,
}

impl<K> Statement<K> {
    /// `action` in lower case: actions compare without regard to case.
    pub(crate) fn covers_action(&self, action: &str) -> bool {
        self.actions.items.iter().any(|pattern| pattern.matches_plainly(action)) != self.actions.is_inverted
    }

    /// Under `NotResource` an unresolved variable excludes nothing, so it must not make the statement match either.
    pub(crate) fn covers_resource<C: Context<Key = K>>(&self, resource: &str, context: &C) -> bool {
        let Some(resources) = &self.resources else { return true };
        let is_listed = resources.items.iter().any(|pattern| pattern.matches(resource, context));
        if resources.is_inverted {
            !is_listed && resources.items.iter().all(|pattern| pattern.is_resolved(context))
        } else {
            is_listed
        }
    }

    /// The resources with the values of variables in them; one with an unresolved variable matches nothing and is left
    /// out. Of a statement that names its resources: IoT policies have no other.
    pub(crate) fn resolve_resources<C: Context<Key = K>>(&self, context: &C) -> Vec<Glob> {
        let resources = self.resources.iter().flat_map(|listed| &listed.items);
        resources.filter_map(|pattern| pattern.resolve(context)).collect()
    }

    pub(crate) fn has_variable_resources(&self) -> bool {
        self.resources.iter().flat_map(|listed| &listed.items).any(Pattern::has_variables)
    }

    /// The keys that must have a value for the statement to speak of what its actions and resources name.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        let resources = self.resources.iter().flat_map(|listed| &listed.items);
        resources.flat_map(Pattern::keys).chain(self.conditions.iter().flat_map(Condition::keys))
    }

    pub(crate) fn conditions_hold<C: Context<Key = K>>(&self, context: &C) -> bool {
        self.conditions.iter().all(|condition| condition.holds(context))
    }
}

/// Reads a whole document. `chars_max` counts what is not blank, as AWS counts.
pub(crate) fn parse<K>(document: &str, dialect: Dialect, chars_max: usize) -> Result<Vec<Statement<K>>, MalformedPolicy>
where
    K: for<'name> From<&'name str>,
{
    bounded(document, chars_max)
        .and_then(|()| json::parse(document))
        .and_then(|root| statements(&root, dialect))
        .map_err(|fault| fault.in_document(document))
}

fn bounded(document: &str, chars_max: usize) -> Result<(), Fault> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Fault::new(0, format!("the document has more than {DOCUMENT_BYTES_MAX} bytes")));
    }
    let mut ink = document.char_indices().filter(|(_, character)| !character.is_whitespace());
    match ink.nth(chars_max) {
        Some((at, _)) => {
            let message = format!("the document has more than {chars_max} characters, blanks not counted");
            Err(Fault::new(at, message))
        }
        None => Ok(()),
    }
}

fn statements<K>(root: &Node, dialect: Dialect) -> Result<Vec<Statement<K>>, Fault>
where
    K: for<'name> From<&'name str>,
{
    let members = object(root, "a policy document")?;
    known(members, &["Version", "Id", "Statement"])?;
    let variables = match find(members, "Version") {
        // IAM's rule for a document that names no version.
        None => Variables::Literal,
        Some(node) => match text(node, "Version")? {
            "2012-10-17" if dialect == Dialect::Iot => Variables::SubstituteInIot,
            "2012-10-17" => Variables::Substitute,
            "2008-10-17" => Variables::Literal,
            other => {
                let message = format!("unknown version \"{other}\"; write \"Version\": \"2012-10-17\"");
                return Err(Fault::new(node.at, message));
            }
        },
    };
    if let Some(node) = find(members, "Id") {
        text(node, "Id")?;
    }
    let Some(node) = find(members, "Statement") else {
        return Err(Fault::new(root.at, "the document has no \"Statement\""));
    };
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        return Err(Fault::new(node.at, "\"Statement\" is empty; a policy needs at least one statement"));
    }
    let statements: Vec<_> =
        nodes.iter().map(|node| statement(node, dialect, variables)).collect::<Result<_, Fault>>()?;
    if dialect != Dialect::Iot {
        unique_sids(&statements, nodes)?;
    }
    Ok(statements)
}

fn unique_sids<K>(statements: &[Statement<K>], nodes: &[Node]) -> Result<(), Fault> {
    let mut seen = std::collections::HashSet::new();
    for (statement, node) in statements.iter().zip(nodes) {
        if let Some(sid) = statement.sid.as_deref().filter(|sid| !sid.is_empty())
            && !seen.insert(sid)
        {
            return Err(Fault::new(node.at, format!("the Sid \"{sid}\" is used by two statements")));
        }
    }
    Ok(())
}

fn statement<K>(node: &Node, dialect: Dialect, variables: Variables) -> Result<Statement<K>, Fault>
where
    K: for<'name> From<&'name str>,
{
    let members = object(node, "a statement")?;
    known(members, &ELEMENTS)?;
    taken(members, dialect)?;
    let Some(effect) = find(members, "Effect") else {
        return Err(Fault::new(node.at, "a statement has no \"Effect\"; write \"Allow\" or \"Deny\""));
    };
    let effect = match text(effect, "Effect")? {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        other => {
            return Err(Fault::new(effect.at, format!("unknown Effect \"{other}\"; write \"Allow\" or \"Deny\"")));
        }
    };
    let principals = find(members, "Principal").map(Principals::parse).transpose()?;
    if dialect == Dialect::Resource && principals.is_none() {
        return Err(Fault::new(node.at, "a statement has no \"Principal\"; say whom it speaks of"));
    }
    let actions = actions(members, node.at)?;
    let resources = resources(members, variables)?;
    if resources.is_none() && dialect != Dialect::Resource {
        return Err(Fault::new(node.at, "a statement has no \"Resource\"; write \"*\" for all"));
    }
    let conditions = match find(members, "Condition") {
        Some(block) => condition::parse(block, variables)?,
        None => Vec::new(),
    };
    Ok(Statement { sid: sid(members, dialect)?, effect, principals, actions, resources, conditions })
}

fn sid(members: &[Member], dialect: Dialect) -> Result<Option<String>, Fault> {
    let Some(node) = find(members, "Sid") else { return Ok(None) };
    let sid = text(node, "Sid")?;
    if dialect == Dialect::Identity && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Fault::new(node.at, format!("the Sid \"{sid}\" may hold letters and digits only")));
    }
    Ok(Some(sid.to_owned()))
}

/// Elements of the language that this kind of policy does not take.
fn taken(members: &[Member], dialect: Dialect) -> Result<(), Fault> {
    for member in members {
        let why = match (member.name.as_str(), dialect) {
            ("Principal" | "NotPrincipal", Dialect::Iot) => "an AWS IoT policy speaks of whom it is attached to",
            ("Principal" | "NotPrincipal", Dialect::Identity) => "an identity policy speaks of whom it is attached to",
            ("NotAction", Dialect::Iot) => "AWS IoT policies list what they cover: write \"Action\"",
            ("NotResource", Dialect::Iot) => "AWS IoT policies list what they cover: write \"Resource\"",
            ("NotPrincipal", Dialect::Resource) => "it is not served here: write \"Principal\" and \"Condition\"",
            _ => continue,
        };
        return Err(Fault::new(member.at, format!("\"{}\" is not allowed here; {why}", member.name)));
    }
    Ok(())
}

fn actions(members: &[Member], statement_at: usize) -> Result<Listed<Pattern<String>>, Fault> {
    let Some(Listed { items: texts, is_inverted }) = listed(members, ["Action", "NotAction"])? else {
        return Err(Fault::new(statement_at, "a statement has no \"Action\""));
    };
    let syntax = Syntax { wildcards: Wildcards::Match, variables: Variables::Literal };
    let mut items = Vec::with_capacity(texts.len());
    for (at, text) in texts {
        let has_prefix = text.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty());
        if text != "*" && !has_prefix {
            let message = format!("the action \"{text}\" names no service; write it as in \"iot:Publish\"");
            return Err(Fault::new(at, message));
        }
        let pattern = Pattern::parse(&text.to_ascii_lowercase(), syntax);
        items.push(pattern.map_err(|error| Fault::new(at, error.text()))?);
    }
    Ok(Listed { items, is_inverted })
}

fn resources<K>(members: &[Member], variables: Variables) -> Result<Option<Listed<Pattern<K>>>, Fault>
where
    K: for<'name> From<&'name str>,
{
    let Some(Listed { items: texts, is_inverted }) = listed(members, ["Resource", "NotResource"])? else {
        return Ok(None);
    };
    let mut items = Vec::with_capacity(texts.len());
    for (at, text) in texts {
        if !text.starts_with("arn:") && !text.starts_with('*') {
            return Err(Fault::new(at, format!("the resource \"{text}\" is neither an ARN nor \"*\"")));
        }
        let pattern = Pattern::parse(text, Syntax { wildcards: Wildcards::Match, variables });
        items.push(pattern.map_err(|error| Fault::new(at, error.text()))?);
    }
    Ok(Some(Listed { items, is_inverted }))
}

/// The strings of an element or of its inverse, each with where it stands.
fn listed<'a>(members: &'a [Member], [name, inverse]: [&str; 2]) -> Result<Option<Listed<(usize, &'a str)>>, Fault> {
    let (node, name, is_inverted) = match (find(members, name), find(members, inverse)) {
        (None, None) => return Ok(None),
        (Some(node), None) => (node, name, false),
        (None, Some(node)) => (node, inverse, true),
        (Some(_), Some(node)) => {
            return Err(Fault::new(node.at, format!("a statement has both \"{name}\" and \"{inverse}\"; keep one")));
        }
    };
    let texts = texts(node, name)?;
    if texts.is_empty() {
        return Err(Fault::new(node.at, format!("\"{name}\" is empty; name at least one")));
    }
    Ok(Some(Listed { items: texts, is_inverted }))
}

pub(super) fn object<'a>(node: &'a Node, what: &str) -> Result<&'a [Member], Fault> {
    match &node.value {
        Value::Object(members) => Ok(members),
        other => Err(Fault::new(node.at, format!("{what} must be an object, not {}", other.kind()))),
    }
}

/// A string, or a list of strings.
pub(super) fn texts<'a>(node: &'a Node, name: &str) -> Result<Vec<(usize, &'a str)>, Fault> {
    match &node.value {
        Value::List(nodes) => nodes.iter().map(|node| Ok((node.at, text(node, name)?))).collect(),
        _ => Ok(vec![(node.at, text(node, name)?)]),
    }
}

fn text<'a>(node: &'a Node, name: &str) -> Result<&'a str, Fault> {
    match &node.value {
        Value::Text(text) => Ok(text),
        other => Err(Fault::new(node.at, format!("\"{name}\" takes a string, not {}", other.kind()))),
    }
}

fn find<'a>(members: &'a [Member], name: &str) -> Option<&'a Node> {
    members.iter().find(|member| member.name == name).map(|member| &member.node)
}

fn known(members: &[Member], names: &[&str]) -> Result<(), Fault> {
    let Some(member) = members.iter().find(|member| !names.contains(&member.name.as_str())) else { return Ok(()) };
    let close = names.iter().find(|name| name.eq_ignore_ascii_case(&member.name));
    let hint = close.map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
    Err(Fault::new(member.at, format!("unknown element \"{}\"{hint}", member.name)))
}
