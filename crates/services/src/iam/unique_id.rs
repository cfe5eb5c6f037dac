//! The ids that IAM gives its nouns: four letters that say which noun, and seventeen characters of base 32.
//! (IAM user guide, "IAM identifiers", "Unique identifiers")

use crate::random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Role,
    ManagedPolicy,
}

impl IdKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Role => "AROA",
            Self::ManagedPolicy => "ANPA",
        }
    }
}

pub(crate) fn unique_id(kind: IdKind) -> String {
    id_of(kind, random::bytes())
}

/// The same id for the same bytes.
pub(crate) fn id_of(kind: IdKind, bytes: [u8; 17]) -> String {
    format!("{}{}", kind.prefix(), random::base32(&bytes))
}

#[cfg(test)]
mod tests {
    use super::{IdKind, unique_id};

    #[test]
    fn ids_have_the_form_of_awss() {
        for (kind, prefix) in [(IdKind::Role, "AROA"), (IdKind::ManagedPolicy, "ANPA")] {
            let id = unique_id(kind);
            assert!(id.len() == 21 && id.starts_with(prefix), "{id}");
        }
    }
}
