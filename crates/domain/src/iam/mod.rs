//! IAM: identity policies of roles, trust policies, and the resource policies of functions.

/// What is asked: may the caller do `action` (`iot:UpdateCertificate`) on `resource` (an ARN or `*`)?
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub action: &'a str,
    pub resource: &'a str,
    /// Condition keys and their values: (`aws:SourceArn`, ...). Keys compare without regard to case.
    pub context: &'a [(&'a str, &'a str)],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedPolicy {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// An identity policy (no Principal), a trust policy or a resource policy (Principal required).
#[derive(Clone, Debug)]
pub struct PolicyDocument {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Identity,
    Resource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    DeniedExplicitly,
    NotAllowed,
}

impl PolicyDocument {
    pub fn parse(_json: &str, _kind: Kind) -> Result<Self, MalformedPolicy> {
        todo!()
    }
}

/// Identity policies together: an explicit Deny wins, then any Allow.
pub fn judge_identity(_policies: &[PolicyDocument], _request: &Request<'_>) -> Decision {
    todo!()
}

/// Who calls, towards a trust or resource policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    Service(&'a str),
    Aws(&'a str),
}

pub fn judge_resource(_policy: &PolicyDocument, _principal: Principal<'_>, _request: &Request<'_>) -> Decision {
    todo!()
}
