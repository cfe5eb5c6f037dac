//! Paging: a page of a list, and the marker with which the next one is asked for. The marker is the sort key of the last
//! item, so a list that changes in between neither repeats nor skips what stayed.

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

/// `items` come with their sort keys, in any order; keys are unique.
pub(crate) fn page_of<T>(
    mut items: Vec<(String, T)>,
    size: Option<i32>,
    marker: Option<&str>,
    order: Order,
) -> Result<Page<T>, Error> {
    let size = size.map_or(SIZE_DEFAULT, |size| usize::try_from(size).unwrap_or(1).clamp(1, SIZE_MAX));
    let after = marker.map(read_marker).transpose()?;
    items.sort_by(|(left, _), (right, _)| left.cmp(right));
    if order == Order::Descending {
        items.reverse();
    }
    let beyond = |key: &String| match (&after, order) {
        (None, _) => true,
        (Some(after), Order::Ascending) => key > after,
        (Some(after), Order::Descending) => key < after,
    };
    let mut rest = items.into_iter().filter(|(key, _)| beyond(key));
    let page: Vec<(String, T)> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    Ok(Page { items: page.into_iter().map(|(_, item)| item).collect(), next })
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
