//! Patterns without variables, and what is left of one once a known beginning has been matched.

use super::pattern::{Pattern, Piece};

/// The key of a pattern that has no variables.
#[derive(Clone, Debug)]
pub(crate) enum NoKey {}

/// Literal text, `*` and `?`.
#[derive(Clone, Debug)]
pub(crate) struct Glob(Pattern<NoKey>);

/// A place in a glob: the piece that comes next, and how many of its bytes have been matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    piece: usize,
    bytes: usize,
}

impl Glob {
    pub(super) fn new(pieces: Vec<Piece<NoKey>>) -> Self {
        Self(Pattern { pieces })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.matches_plainly(text)
    }

    pub(super) fn pieces(&self) -> &[Piece<NoKey>] {
        &self.0.pieces
    }

    /// The globs of which one matches `rest` exactly where this one matches `prefix` and `rest` together. There may be
    /// several: the `*` of `a*b` can end in `ab` or go on.
    pub(crate) fn after(&self, prefix: &str) -> Vec<Self> {
        let mut places = vec![Place { piece: 0, bytes: 0 }];
        for character in prefix.chars() {
            let mut next = Vec::new();
            for place in places {
                self.step(place, character, &mut next);
            }
            // A later `*` matches whatever an earlier one, or a place before it, could still match.
            let is_star = |place: &&Place| matches!(self.pieces().get(place.piece), Some(Piece::AnyRun));
            let last_star = next.iter().filter(is_star).max().copied();
            next.retain(|place| last_star.is_none_or(|star| *place >= star));
            next.sort_unstable();
            next.dedup();
            places = next;
        }
        places.into_iter().filter_map(|place| self.from(place)).collect()
    }

    /// The places after one more character.
    fn step(&self, mut place: Place, character: char, next: &mut Vec<Place>) {
        loop {
            let following = Place { piece: place.piece + 1, bytes: 0 };
            match self.pieces().get(place.piece) {
                None => return,
                Some(Piece::AnyRun) => {
                    next.push(place);
                    place = following;
                    continue;
                }
                Some(Piece::AnyOne) => next.push(following),
                Some(Piece::Literal(literal)) => {
                    let rest = literal.get(place.bytes..).unwrap_or_default();
                    if let Some(rest) = rest.strip_prefix(character) {
                        let bytes = literal.len() - rest.len();
                        next.push(if rest.is_empty() { following } else { Place { bytes, ..place } });
                    }
                }
                Some(Piece::Variable { key, .. }) => match *key {},
            }
            return;
        }
    }

    fn from(&self, place: Place) -> Option<Self> {
        let mut pieces = self.pieces().get(place.piece..)?.to_vec();
        if let Some(Piece::Literal(literal)) = pieces.first_mut() {
            *literal = literal.get(place.bytes..)?.into();
        }
        Some(Self::new(pieces))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::proptest;

    use super::super::pattern::{Pattern, Syntax, Variables, Wildcards};
    use super::{Glob, NoKey};

    impl From<&str> for NoKey {
        fn from(name: &str) -> Self {
            panic!("{name} is a variable")
        }
    }

    pub(in crate::policy) fn glob(text: &str) -> Glob {
        Glob(Pattern::parse(text, Syntax { wildcards: Wildcards::Match, variables: Variables::Literal }).unwrap())
    }

    #[test]
    fn what_is_left() {
        for (pattern, prefix, left) in [
            ("abc", "ab", 1),
            ("abc", "abc", 1),
            ("abc", "abcd", 0),
            ("abc", "x", 0),
            ("*", "ab", 1),
            ("a*b*", "ab", 1),
            ("*bc", "ab", 2),
            ("*?", "ab", 2),
            ("é?c", "éb", 1),
        ] {
            assert_eq!(glob(pattern).after(prefix).len(), left, "{pattern} after {prefix}");
        }
    }

    proptest! {
        #[test]
        fn prefix_and_rest_match_as_the_whole_does(
            pattern in "[abé*?]{0,12}",
            prefix in "[abé]{0,6}",
            rest in "[abé]{0,6}",
        ) {
            let whole = glob(&pattern).matches(&format!("{prefix}{rest}"));
            let left = glob(&pattern).after(&prefix);
            assert_eq!(left.iter().any(|glob| glob.matches(&rest)), whole, "{pattern} on {prefix} and {rest}: {left:?}");
        }
    }
}
