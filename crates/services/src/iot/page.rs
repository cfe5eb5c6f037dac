//! Paging: a page of a list, and the marker with which the next one is asked for. The marker is the sort key of the last
//! item, so a list that changes in between neither repeats nor skips what stayed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;

/// `pageSize`: 1 to 250, 25 where not given. (List operations of AWS IoT)
const SIZE_DEFAULT: usize = 25;
const SIZE_MAX: usize = 250;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

impl Order {
    /// AWS lists newest first unless asked otherwise.
    pub(crate) fn of(ascending: Option<bool>) -> Self {
        if ascending == Some(true) { Self::Ascending } else { Self::Descending }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// Gathers one page out of a list that is offered item by item: of a million certificates it holds a page.
#[derive(Debug)]
pub(crate) struct PageMaker<T> {
    size: usize,
    order: Order,
    after: Option<String>,
    /// By sort key; one more than the page has, to know whether there is another.
    kept: BTreeMap<String, T>,
}

impl<T> PageMaker<T> {
    pub(crate) fn new(size: Option<i32>, marker: Option<&str>, order: Order) -> Result<Self, Error> {
        Ok(Self { size: size_of(size), order, after: marker.map(read_marker).transpose()?, kept: BTreeMap::new() })
    }

    /// Items come in any order; their sort keys are unique.
    pub(crate) fn offer(&mut self, key: String, item: T) {
        let beyond = match (&self.after, self.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => key > *after,
            (Some(after), Order::Descending) => key < *after,
        };
        if !beyond {
            return;
        }
        self.kept.insert(key, item);
        if self.kept.len() > self.size + 1 {
            self.pop_farthest();
        }
    }

    fn pop_farthest(&mut self) -> Option<(String, T)> {
        match self.order {
            Order::Ascending => self.kept.pop_last(),
            Order::Descending => self.kept.pop_first(),
        }
    }

    pub(crate) fn finish(mut self) -> Page<T> {
        let more = self.kept.len() > self.size && self.pop_farthest().is_some();
        let mut page: Vec<(String, T)> = self.kept.into_iter().collect();
        if self.order == Order::Descending {
            page.reverse();
        }
        let next = page.last().filter(|_| more).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
        Page { items: page.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// A page in the order of names that are keys of the store: what lies before it and after it is not read.
pub(crate) struct NamePage<T> {
    size: usize,
    items: Vec<(String, T)>,
    has_more: bool,
}

impl<T> NamePage<T> {
    /// The page, and the name after which it begins.
    pub(crate) fn new(size: Option<i32>, marker: Option<&str>) -> Result<(Self, Option<String>), Error> {
        let page = Self { size: size_of(size), items: Vec::new(), has_more: false };
        Ok((page, marker.map(read_marker).transpose()?))
    }

    /// Names come in ascending order; `Break` when the page is full and it is known that there is more.
    pub(crate) fn offer(&mut self, name: String, item: T) -> ControlFlow<()> {
        if self.items.len() == self.size {
            self.has_more = true;
            return ControlFlow::Break(());
        }
        self.items.push((name, item));
        ControlFlow::Continue(())
    }

    pub(crate) fn finish(self) -> Page<(String, T)> {
        let next = self.items.last().filter(|_| self.has_more).map(|(name, _)| URL_SAFE_NO_PAD.encode(name));
        Page { items: self.items, next }
    }
}

fn size_of(size: Option<i32>) -> usize {
    size.map_or(SIZE_DEFAULT, |size| usize::try_from(size).unwrap_or(1).clamp(1, SIZE_MAX))
}

/// A page of a list that is in memory anyway.
pub(crate) fn page_of<T>(
    items: Vec<(String, T)>,
    size: Option<i32>,
    marker: Option<&str>,
    order: Order,
) -> Result<Page<T>, Error> {
    let mut page = PageMaker::new(size, marker, order)?;
    for (key, item) in items {
        page.offer(key, item);
    }
    Ok(page.finish())
}

fn read_marker(marker: &str) -> Result<String, Error> {
    URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|key| String::from_utf8(key).ok())
        .ok_or_else(|| Error::new("InvalidRequestException", "The marker is not one that a list answered."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_pages(size: i32, order: Order) -> Vec<Vec<usize>> {
        let items: Vec<(String, usize)> = (0..7).map(|n| (format!("{n:03}"), n)).collect();
        let (mut pages, mut marker) = (Vec::new(), None);
        loop {
            let page = page_of(items.clone(), Some(size), marker.as_deref(), order).expect("a good marker");
            pages.push(page.items);
            marker = page.next;
            if marker.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_cover_the_list_once() {
        assert_eq!(all_pages(3, Order::Ascending), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(all_pages(3, Order::Descending), [vec![6, 5, 4], vec![3, 2, 1], vec![0]]);
        assert_eq!(all_pages(7, Order::Ascending), [vec![0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(all_pages(0, Order::Ascending).len(), 7);
    }

    #[test]
    fn a_marker_outlives_its_item() {
        let page = page_of(vec![("a".into(), 1), ("b".into(), 2)], Some(1), None, Order::Ascending).expect("no marker");
        let rest = page_of(vec![("b".into(), 2)], Some(1), page.next.as_deref(), Order::Ascending).expect("a marker");
        assert_eq!(rest, Page { items: vec![2], next: None });
        assert!(page_of(vec![("b".into(), 2)], None, Some("%%"), Order::Ascending).is_err());
    }
}
