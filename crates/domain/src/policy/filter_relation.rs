//! How the topics that an MQTT filter matches lie to those that a glob matches.
//!
//! Both are read as automata over characters: the filter's has one state at a time, the glob's a set of them. A walk
//! through all pairs that some topic reaches tells whether the glob matches some of the filter's topics, or all.

use std::collections::{HashSet, VecDeque};

use mqtt::TopicFilter;
use mqtt::topic::MultiLevel;

use super::glob::Glob;
use super::pattern::Piece;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The glob matches none of the filter's topics.
    Apart,
    /// Some and not all, or nobody knows: it would have taken too long to tell.
    Across,
    /// All of them.
    Covered,
}

/// Work that one question may cost, over all globs that it looks at. Devices choose filters, and a policy may have many
/// patterns with many wildcards; a question that runs out is answered `Across`.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: usize,
}

impl Budget {
    /// About a millisecond.
    const STEPS: usize = 100_000;

    pub(crate) const fn new() -> Self {
        Self { steps: Self::STEPS }
    }

    fn spend(&mut self, steps: usize) -> Option<()> {
        self.steps = self.steps.checked_sub(steps)?;
        Some(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    One(char),
    /// `?`
    AnyOne,
    /// `+`: any run without a slash.
    AnyLevel,
    /// `*`, and `#` at the end of a filter.
    AnyRun,
}

/// The topics that a filter matches, and those that begin with `$` too where the filter begins with a wildcard: the
/// standard leaves them out, and leaving them in errs on the side of asking.
pub(crate) struct FilterTopics {
    tokens: Vec<Token>,
    multi_level: MultiLevel,
}

impl FilterTopics {
    pub(crate) fn new(filter: &TopicFilter, multi_level: MultiLevel) -> Self {
        let mut tokens = Vec::with_capacity(filter.pattern().len());
        for (index, level) in filter.levels().enumerate() {
            if index > 0 {
                tokens.push(Token::One('/'));
            }
            match level {
                "+" => tokens.push(Token::AnyLevel),
                "#" => tokens.push(Token::AnyRun),
                _ => tokens.extend(level.chars().map(Token::One)),
            }
        }
        Self { tokens, multi_level }
    }

    pub(crate) fn relation(&self, glob: &Glob, budget: &mut Budget) -> Relation {
        self.walk(&GlobStates::new(glob), budget).unwrap_or(Relation::Across)
    }

    /// `None`: the budget is spent.
    fn walk(&self, glob: &GlobStates, budget: &mut Budget) -> Option<Relation> {
        let alphabet = self.alphabet(glob);
        let start = (0, glob.start());
        let mut seen = HashSet::from([start.clone()]);
        let mut waiting = VecDeque::from([start]);
        let (mut some, mut all) = (false, true);
        while let Some((state, places)) = waiting.pop_front() {
            if self.is_end(state) {
                if glob.is_end(&places) {
                    some = true;
                } else {
                    all = false;
                }
            }
            if places.is_empty() {
                // Every state of the filter comes to an end, which the glob will not match.
                all = false;
                continue;
            }
            if some && !all {
                return Some(Relation::Across);
            }
            let literal;
            let characters = match self.tokens.get(state) {
                None => continue,
                Some(Token::One(character)) => {
                    literal = [*character];
                    literal.as_slice()
                }
                Some(_) => &alphabet,
            };
            for character in characters {
                budget.spend(1 + places.len())?;
                let Some(state) = self.step(state, *character) else { continue };
                let next = (state, glob.step(&places, *character));
                if !seen.contains(&next) {
                    seen.insert(next.clone());
                    waiting.push_back(next);
                }
            }
        }
        Some(match (some, all) {
            (false, _) => Relation::Apart,
            (true, true) => Relation::Covered,
            (true, false) => Relation::Across,
        })
    }

    fn step(&self, state: usize, character: char) -> Option<usize> {
        match self.tokens.get(state)? {
            Token::One(wanted) => (*wanted == character).then_some(state + 1),
            Token::AnyRun => Some(state),
            Token::AnyLevel if character != '/' => Some(state),
            // The slash behind the level, if there is one.
            Token::AnyLevel => self.tokens.get(state + 1).map(|_| state + 2),
            Token::AnyOne => Some(state + 1),
        }
    }

    fn is_end(&self, state: usize) -> bool {
        match self.tokens.get(state..).unwrap_or_default() {
            [] | [Token::AnyRun | Token::AnyLevel] => true,
            [Token::One('/'), Token::AnyRun] | [Token::AnyLevel, Token::One('/'), Token::AnyRun] => {
                self.multi_level == MultiLevel::WithParent
            }
            _ => false,
        }
    }

    /// Every character that either names, the slash, and one that stands for all others.
    fn alphabet(&self, glob: &GlobStates) -> Vec<char> {
        let named = self.tokens.iter().chain(&glob.tokens).filter_map(|token| match token {
            Token::One(character) => Some(*character),
            _ => None,
        });
        let mut alphabet: Vec<char> = named.chain(['/']).collect();
        alphabet.sort_unstable();
        alphabet.dedup();
        let other = ('a'..=char::MAX).find(|character| alphabet.binary_search(character).is_err());
        alphabet.extend(other);
        alphabet
    }
}

struct GlobStates {
    tokens: Vec<Token>,
}

impl GlobStates {
    fn new(glob: &Glob) -> Self {
        let mut tokens = Vec::new();
        for piece in glob.pieces() {
            match piece {
                Piece::Literal(literal) => tokens.extend(literal.chars().map(Token::One)),
                Piece::AnyOne => tokens.push(Token::AnyOne),
                Piece::AnyRun => tokens.push(Token::AnyRun),
                Piece::Variable { key, .. } => match *key {},
            }
        }
        Self { tokens }
    }

    fn start(&self) -> Vec<usize> {
        vec![0]
    }

    /// Ascending. What lies before the last `*` is left out: that `*` matches whatever could still be matched from there.
    fn step(&self, places: &[usize], character: char) -> Vec<usize> {
        let mut next = Vec::with_capacity(places.len() + 1);
        for place in places {
            let mut place = *place;
            while self.tokens.get(place) == Some(&Token::AnyRun) {
                next.push(place);
                place += 1;
            }
            match self.tokens.get(place) {
                Some(Token::One(wanted)) if *wanted == character => next.push(place + 1),
                Some(Token::AnyOne) => next.push(place + 1),
                _ => {}
            }
        }
        next.sort_unstable();
        next.dedup();
        if let Some(last_star) = next.iter().rposition(|place| self.tokens.get(*place) == Some(&Token::AnyRun)) {
            next.drain(..last_star);
        }
        next
    }

    fn is_end(&self, places: &[usize]) -> bool {
        let only_stars =
            |place: &usize| self.tokens.get(*place..).unwrap_or_default().iter().all(|token| *token == Token::AnyRun);
        places.iter().any(only_stars)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::super::glob::tests::glob;
    use super::{Budget, FilterTopics, Relation};
    use mqtt::TopicFilter;
    use mqtt::topic::MultiLevel;

    fn relation(filter: &str, pattern: &str, multi_level: MultiLevel) -> Relation {
        let filter = TopicFilter::parse(filter).unwrap();
        FilterTopics::new(&filter, multi_level).relation(&glob(pattern), &mut Budget::new())
    }

    #[test]
    fn table() {
        use Relation::{Across, Apart, Covered};
        for (filter, pattern, expected) in [
            ("a/b", "a/b", Covered),
            ("a/b", "a/?", Covered),
            ("a/b", "a/c", Apart),
            ("a/#", "a/*", Covered),
            ("a/#", "a*", Covered),
            ("a/#", "a/?*", Across),
            ("a/#", "a/b", Across),
            ("a/#", "b*", Apart),
            ("a/#", "a", Apart),
            ("a/+/c", "a/*", Covered),
            ("a/+/c", "a/*/c", Covered),
            ("a/+/c", "*c", Covered),
            ("a/+/c", "a/*/d", Apart),
            ("a/+", "a/b*", Across),
            // MQTT's wildcards are text in a policy: they are no level of a topic.
            ("a/+", "a/+", Across),
            ("+/+", "*/*", Covered),
            ("+", "*/*", Apart),
            ("#", "*", Covered),
            ("#", "**", Covered),
            ("#", "?*", Across),
            ("$share/g/a/#", "a/*", Covered),
            ("$share/g/a/#", "$share/*", Apart),
            ("é/+", "é/*", Covered),
        ] {
            assert_eq!(relation(filter, pattern, MultiLevel::BelowParent), expected, "{filter} and {pattern}");
        }
        assert_eq!(relation("a/#", "a/*", MultiLevel::WithParent), Across);
        assert_eq!(relation("a/#", "a*", MultiLevel::WithParent), Covered);
        assert_eq!(relation("+/#", "*/*", MultiLevel::WithParent), Across);
        assert_eq!(relation("+/#", "*", MultiLevel::WithParent), Covered);
    }

    #[test]
    fn a_question_that_takes_too_long_is_left_open() {
        let pattern = format!("*a{}*", "?".repeat(200));
        assert_eq!(relation("#", &pattern, MultiLevel::BelowParent), Relation::Across);
        let mut budget = Budget::new();
        let filter = TopicFilter::parse("#").unwrap();
        let topics = FilterTopics::new(&filter, MultiLevel::BelowParent);
        topics.relation(&glob(&pattern), &mut budget);
        assert_eq!(topics.relation(&glob("*"), &mut budget), Relation::Across, "the budget is one for all");
    }

    /// Every topic of up to five characters out of few, as the definition has it.
    fn by_trying(filter: &TopicFilter, pattern: &str, multi_level: MultiLevel) -> (bool, bool) {
        let (mut some, mut all) = (false, true);
        let mut topics = vec![String::new()];
        for _ in 0..5 {
            topics = topics.iter().flat_map(|topic| ["a", "b", "/", "x"].map(|end| format!("{topic}{end}"))).collect();
            for topic in topics.iter().filter(|topic| filter.matches_with(topic, multi_level)) {
                let matched = glob(pattern).matches(topic);
                (some, all) = (some || matched, all && matched);
            }
        }
        (some, all)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn agrees_with_trying(levels in proptest::collection::vec("a|b|ab|\\+|", 1..4), rest: bool, pattern in "[ab/*?]{1,6}", parent: bool) {
            let mut text = levels.join("/");
            if rest {
                text.push_str("/#");
            }
            let Ok(filter) = TopicFilter::parse(&text) else { return Ok(()) };
            let multi_level = if parent { MultiLevel::WithParent } else { MultiLevel::BelowParent };
            let (some, all) = by_trying(&filter, &pattern, multi_level);
            match relation(&text, &pattern, multi_level) {
                Relation::Covered => assert!(all, "{text} is not covered by {pattern}"),
                Relation::Apart => assert!(!some, "{text} meets {pattern}"),
                Relation::Across => {}
            }
        }
    }
}
