//! How callers name a function: `name`, `account:function:name`, or an ARN, each with or without a qualifier.

use super::function::invalid;
use crate::{Error, Services};

/// The only version until PublishVersion is served.
pub(crate) const LATEST: &str = "$LATEST";

/// Finds the bare name in what a caller wrote. A name of another account, region or version is a function that does not
/// exist here.
pub(super) fn parse(services: &Services, text: &str, qualifier: Option<&str>) -> Result<String, Error> {
    let config = services.config();
    let missing = || {
        let arn = services.function_arn(text);
        not_found(if text.starts_with("arn:") { text } else { arn.as_str() })
    };
    let own = format!("arn:{}:lambda:{}:{}:function:", config.region.partition(), config.region, config.account);
    let rest = if text.starts_with("arn:") {
        text.strip_prefix(&own).ok_or_else(missing)?
    } else {
        match text.split_once(":function:") {
            Some((account, rest)) if account == config.account.as_str() => rest,
            Some(_) => return Err(missing()),
            None => text,
        }
    };
    let (name, written) = match rest.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (rest, None),
    };
    if let (Some(written), Some(given)) = (written, qualifier)
        && written != given
    {
        let message = "The derived qualifier from the function name does not match the specified qualifier.";
        return Err(invalid(message));
    }
    match written.or(qualifier) {
        None | Some(LATEST) => Ok(name.to_owned()),
        Some(other) => Err(not_found(&format!("{own}{name}:{other}"))),
    }
}

pub(super) fn not_found(arn: &str) -> Error {
    Error::new("ResourceNotFoundException", format!("Function not found: {arn}")).with_member("Type", "User")
}
