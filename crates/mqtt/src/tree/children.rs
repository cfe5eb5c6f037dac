//! The nodes below a node, by the text of their level. Most nodes have one or two, and to look at these is faster than
//! to hash; those that have many are hashed with a secret key, since strangers choose the texts.

use std::collections::HashMap;

/// Looked at one after the other.
const FEW_MAX: usize = 4;

#[derive(Debug)]
pub(super) enum Children {
    Few(Vec<(Box<str>, usize)>),
    Many(HashMap<Box<str>, usize>),
}

impl Children {
    pub(super) fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    pub(super) fn get(&self, level: &str) -> Option<usize> {
        match self {
            Self::Few(few) => few.iter().find(|(text, _)| **text == *level).map(|(_, child)| *child),
            Self::Many(many) => many.get(level).copied(),
        }
    }

    pub(super) fn insert(&mut self, level: &str, child: usize) {
        match self {
            Self::Few(few) => {
                if let Some((_, present)) = few.iter_mut().find(|(text, _)| **text == *level) {
                    *present = child;
                } else if few.len() < FEW_MAX {
                    few.push((level.into(), child));
                } else {
                    let others = few.drain(..);
                    *self = Self::Many(others.chain([(level.into(), child)]).collect());
                }
            }
            Self::Many(many) => {
                many.insert(level.into(), child);
            }
        }
    }

    pub(super) fn remove(&mut self, level: &str) {
        match self {
            Self::Few(few) => few.retain(|(text, _)| **text != *level),
            Self::Many(many) => {
                many.remove(level);
            }
        }
        if self.is_empty() {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{Children, FEW_MAX};

    proptest! {
        #[test]
        fn they_are_a_map(steps in vec((any::<bool>(), 0..3 * FEW_MAX), 1..80)) {
            let (mut children, mut model) = (Children::new(), HashMap::new());
            for (number, (is_insert, level)) in steps.into_iter().enumerate() {
                let level = level.to_string();
                if is_insert {
                    children.insert(&level, number);
                    model.insert(level, number);
                } else {
                    children.remove(&level);
                    model.remove(&level);
                }
                for level in 0..3 * FEW_MAX {
                    let level = level.to_string();
                    assert_eq!(children.get(&level), model.get(&level).copied());
                }
                assert_eq!(children.is_empty(), model.is_empty());
            }
        }
    }
}
