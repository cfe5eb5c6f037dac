//! Who subscribed to what: a tree with one node per topic level. It is generic over the subscriber and what is kept
//! for the subscription; a shared subscription stands under its pattern, its group is the business of the key.
//!
//! Nodes live in one vector and are walked with an explicit stack: a filter of 65,535 slashes must not cost stack.

mod children;

use crate::topic::{MultiLevel, TopicFilter, TopicName};
use children::Children;

const ROOT: usize = 0;

#[derive(Debug)]
pub struct SubscriptionTree<K, V> {
    nodes: Vec<Node<K, V>>,
    /// Nodes that were pruned, to be used again.
    free: Vec<usize>,
    len: usize,
}

#[derive(Debug)]
struct Node<K, V> {
    /// By the text of the next level; `+` has its own place.
    children: Children,
    single_level: Option<usize>,
    /// Subscriptions that end here, and those that end here with `#`; sorted by key.
    here: Vec<(K, V)>,
    below: Vec<(K, V)>,
}

/// A node still to be visited, and where in the topic its next level starts; `None` after the last.
type Pending = (usize, Option<usize>);

impl<K: Ord, V> SubscriptionTree<K, V> {
    pub fn new() -> Self {
        SubscriptionTree { nodes: vec![Node::new()], free: Vec::new(), len: 0 }
    }

    /// The number of subscriptions.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the subscriber had there before is given back.
    pub fn insert(&mut self, filter: &TopicFilter, key: K, value: V) -> Option<V> {
        let mut at = ROOT;
        for level in filter.levels() {
            if level == "#" {
                break;
            }
            at = self.child_or_new(at, level);
        }
        let entries = self.entries_mut(at, filter)?;
        match entries.binary_search_by(|(present, _)| present.cmp(&key)) {
            Ok(index) => entries.get_mut(index).map(|(_, present)| std::mem::replace(present, value)),
            Err(index) => {
                entries.insert(index, (key, value));
                self.len += 1;
                None
            }
        }
    }

    /// What was kept for the subscription, if there was one.
    pub fn remove(&mut self, filter: &TopicFilter, key: &K) -> Option<V> {
        let mut path = vec![ROOT];
        let mut at = ROOT;
        for level in filter.levels() {
            if level == "#" {
                break;
            }
            at = self.nodes.get(at)?.child(level)?;
            path.push(at);
        }
        let entries = self.entries_mut(at, filter)?;
        let index = entries.binary_search_by(|(present, _)| present.cmp(key)).ok()?;
        let (_, value) = entries.remove(index);
        if entries.is_empty() {
            *entries = Vec::new();
        }
        self.len -= 1;
        self.prune(filter, &path);
        Some(value)
    }

    pub fn get_mut(&mut self, filter: &TopicFilter, key: &K) -> Option<&mut V> {
        let mut at = ROOT;
        for level in filter.levels() {
            if level == "#" {
                break;
            }
            at = self.nodes.get(at)?.child(level)?;
        }
        let entries = self.entries_mut(at, filter)?;
        let index = entries.binary_search_by(|(present, _)| present.cmp(key)).ok()?;
        entries.get_mut(index).map(|(_, value)| value)
    }

    /// Every subscription whose filter matches, in no particular order; a subscriber with several such filters is
    /// seen several times. `MultiLevel::WithParent` marks those that match because `sport/#` matches `sport`.
    pub fn for_each_match<'a>(&'a self, topic: &TopicName, mut visit: impl FnMut(&'a K, &'a V, MultiLevel)) {
        let topic = topic.as_str();
        let mut pending: Vec<Pending> = Vec::new();
        let mut next: Option<Pending> = Some((ROOT, Some(0)));
        while let Some((at, start)) = next.take().or_else(|| pending.pop()) {
            let Some(node) = self.nodes.get(at) else {
                continue;
            };
            let Some(rest) = start.and_then(|start| topic.get(start..)) else {
                visit_all(&node.here, MultiLevel::BelowParent, &mut visit);
                visit_all(&node.below, MultiLevel::WithParent, &mut visit);
                continue;
            };
            // [MQTT-4.7.2-1]
            let wildcards_apply = at != ROOT || !topic.starts_with('$');
            // Levels are short: a search that is made for long texts takes longer.
            let (level, after) = match rest.bytes().position(|byte| byte == b'/') {
                Some(end) => (rest.get(..end).unwrap_or_default(), start.map(|start| start + end + 1)),
                None => (rest, None),
            };
            if wildcards_apply {
                visit_all(&node.below, MultiLevel::BelowParent, &mut visit);
                next = node.single_level.map(|child| (child, after));
            }
            if let Some(child) = node.children.get(level) {
                // The stack is touched only where both branches exist.
                if let Some(branch) = next.replace((child, after)) {
                    pending.push(branch);
                }
            }
        }
    }

    fn entries_mut(&mut self, at: usize, filter: &TopicFilter) -> Option<&mut Vec<(K, V)>> {
        let ends_in_hash = filter.pattern() == "#" || filter.pattern().ends_with("/#");
        let node = self.nodes.get_mut(at)?;
        Some(match ends_in_hash {
            true => &mut node.below,
            false => &mut node.here,
        })
    }

    fn child_or_new(&mut self, at: usize, level: &str) -> usize {
        if let Some(child) = self.nodes.get(at).and_then(|node| node.child(level)) {
            return child;
        }
        let child = match self.free.pop() {
            Some(child) => child,
            None => {
                self.nodes.push(Node::new());
                self.nodes.len() - 1
            }
        };
        if let Some(node) = self.nodes.get_mut(at) {
            node.link(level, child);
        }
        child
    }

    /// Unlinks the nodes of a path that hold nothing any more, from the end.
    fn prune(&mut self, filter: &TopicFilter, path: &[usize]) {
        let levels: Vec<&str> = filter.levels().collect();
        for (depth, at) in path.iter().enumerate().skip(1).rev() {
            let is_empty = self.nodes.get(*at).is_some_and(Node::is_empty);
            let (Some(level), Some(parent)) = (levels.get(depth - 1), path.get(depth - 1)) else {
                return;
            };
            if !is_empty {
                return;
            }
            if let Some(parent) = self.nodes.get_mut(*parent) {
                parent.unlink(level);
            }
            if let Some(node) = self.nodes.get_mut(*at) {
                *node = Node::new();
            }
            self.free.push(*at);
        }
    }
}

fn visit_all<'a, K, V>(
    entries: &'a [(K, V)],
    multi_level: MultiLevel,
    visit: &mut impl FnMut(&'a K, &'a V, MultiLevel),
) {
    for (key, value) in entries {
        visit(key, value, multi_level);
    }
}

impl<K: Ord, V> Default for SubscriptionTree<K, V> {
    fn default() -> Self {
        SubscriptionTree::new()
    }
}

impl<K, V> Node<K, V> {
    fn new() -> Self {
        Node { children: Children::new(), single_level: None, here: Vec::new(), below: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.single_level.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    fn child(&self, level: &str) -> Option<usize> {
        match level {
            "+" => self.single_level,
            _ => self.children.get(level),
        }
    }

    fn link(&mut self, level: &str, child: usize) {
        match level {
            "+" => self.single_level = Some(child),
            _ => self.children.insert(level, child),
        }
    }

    fn unlink(&mut self, level: &str) {
        match level {
            "+" => self.single_level = None,
            _ => self.children.remove(level),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};

    use super::{ROOT, SubscriptionTree};
    use crate::topic::{MultiLevel, TopicFilter, TopicName};

    #[derive(Clone, Debug)]
    enum Step {
        Insert(TopicFilter, u8),
        Remove(TopicFilter, u8),
        Match(TopicName),
    }

    /// Few different levels, so that filters meet.
    fn step() -> impl Strategy<Value = Step> {
        let filter = proptest::string::string_regex("(\\$?[ab]?|\\+)(/([ab]?|\\+)){0,3}(/#)?|#").expect("a pattern");
        let filter = filter.prop_filter_map("a filter", |text| TopicFilter::parse(&text).ok()).boxed();
        let topic = proptest::string::string_regex("\\$?[ab]?(/[abc]?){0,3}").expect("a pattern");
        let topic = topic.prop_filter_map("a topic", |text| TopicName::parse(&text).ok());
        prop_oneof![
            (filter.clone(), 0..4u8).prop_map(|(filter, key)| Step::Insert(filter, key)),
            (filter, 0..4u8).prop_map(|(filter, key)| Step::Remove(filter, key)),
            topic.prop_map(Step::Match),
        ]
    }

    type Found = Vec<(u8, usize, MultiLevel)>;

    fn matches(tree: &SubscriptionTree<u8, usize>, topic: &TopicName) -> Found {
        let mut found = Vec::new();
        tree.for_each_match(topic, |key, value, multi_level| found.push((*key, *value, multi_level)));
        found.sort_unstable_by_key(|(key, value, _)| (*key, *value));
        found
    }

    /// The same by trying every filter.
    fn naive(model: &BTreeMap<(TopicFilter, u8), usize>, topic: &TopicName) -> Found {
        let mut found: Found = model
            .iter()
            .filter(|((filter, _), _)| filter.matches(topic.as_str()))
            .map(|((filter, key), value)| {
                let strictly = filter.matches_with(topic.as_str(), MultiLevel::BelowParent);
                (*key, *value, if strictly { MultiLevel::BelowParent } else { MultiLevel::WithParent })
            })
            .collect();
        found.sort_unstable_by_key(|(key, value, _)| (*key, *value));
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn it_agrees_with_trying_every_filter(steps in vec(step(), 1..60), drain in any::<bool>()) {
            let mut tree = SubscriptionTree::new();
            let mut model = BTreeMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(filter, key) => {
                        let before = model.insert((filter.clone(), key), number);
                        assert_eq!(tree.insert(&filter, key, number), before);
                    }
                    Step::Remove(filter, key) => {
                        assert_eq!(tree.remove(&filter, &key), model.remove(&(filter.clone(), key)));
                        assert_eq!(tree.get_mut(&filter, &key), None);
                    }
                    Step::Match(topic) => assert_eq!(matches(&tree, &topic), naive(&model, &topic)),
                }
                assert_eq!(tree.len(), model.len());
            }
            if drain {
                for (filter, key) in model.keys() {
                    assert!(tree.remove(filter, key).is_some());
                }
                assert!(tree.is_empty());
                assert_eq!(tree.free.len(), tree.nodes.len() - 1, "nothing but the root is in use");
                assert!(tree.nodes[ROOT].is_empty());
            }
        }
    }

    #[test]
    fn the_longest_filters_and_topics_do_not_exhaust_the_stack() {
        let mut tree = SubscriptionTree::new();
        let slashes = "/".repeat(65_535);
        let exact = TopicFilter::parse(&slashes).expect("a filter");
        let wild = TopicFilter::parse(&"+/".repeat(32_767)).expect("a filter");
        tree.insert(&exact, 1u8, 1usize);
        tree.insert(&wild, 2, 2);
        let topic = TopicName::parse(&slashes).expect("a topic");
        assert_eq!(matches(&tree, &topic), [(1, 1, MultiLevel::BelowParent)]);
        let topic = TopicName::parse(&slashes[..32_767]).expect("a topic");
        assert_eq!(matches(&tree, &topic), [(2, 2, MultiLevel::BelowParent)]);
        assert_eq!(tree.remove(&exact, &1), Some(1));
        assert_eq!(tree.remove(&wild, &2), Some(2));
        assert_eq!(tree.free.len(), tree.nodes.len() - 1);
    }
}
