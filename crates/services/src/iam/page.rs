//! Paging as IAM does it: MaxItems of 1 to 1000, 100 where not given; a Marker where there is more. The marker is the
//! sort key of the last item, so a list that changes in between neither repeats nor skips what stayed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;

const ITEMS_DEFAULT: usize = 100;
const ITEMS_MAX: usize = 1000;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    pub marker: Option<String>,
}

impl<T> Page<T> {
    pub(super) fn is_truncated(&self) -> bool {
        self.marker.is_some()
    }
}

/// Items with unique sort keys, in any order: IAM's quotas keep these lists small.
pub(super) fn page_of<T>(
    mut items: Vec<(String, T)>,
    max_items: Option<i32>,
    marker: Option<&str>,
) -> Result<Page<T>, Error> {
    let size = max_items.map_or(ITEMS_DEFAULT, |size| usize::try_from(size).unwrap_or(1).clamp(1, ITEMS_MAX));
    if let Some(marker) = marker {
        let after = read_marker(marker)?;
        items.retain(|(key, _)| *key > after);
    }
    items.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let has_more = items.len() > size;
    items.truncate(size);
    let marker = items.last().filter(|_| has_more).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    Ok(Page { items: items.into_iter().map(|(_, item)| item).collect(), marker })
}

fn read_marker(marker: &str) -> Result<String, Error> {
    let key = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|key| String::from_utf8(key).ok());
    key.ok_or_else(|| Error::new("ValidationError", format!("Invalid Marker: {marker}")))
}

#[cfg(test)]
mod tests {
    use super::{Page, page_of};

    #[test]
    fn pages_cover_the_list_once() {
        let items: Vec<(String, i32)> = (0..7).rev().map(|n| (n.to_string(), n)).collect();
        for (size, expected) in [(3, vec![vec![0, 1, 2], vec![3, 4, 5], vec![6]]), (7, vec![(0..7).collect()])] {
            let (mut pages, mut marker) = (Vec::new(), None);
            loop {
                let page = page_of(items.clone(), Some(size), marker.as_deref()).expect("a good marker");
                pages.push(page.items);
                marker = page.marker;
                if marker.is_none() {
                    break;
                }
            }
            assert_eq!(pages, expected, "{size}");
        }
    }

    #[test]
    fn a_marker_outlives_its_item() {
        let page = page_of(vec![("a".into(), 1), ("b".into(), 2)], Some(1), None).expect("no marker");
        let rest = page_of(vec![("b".into(), 2)], Some(1), page.marker.as_deref()).expect("a marker");
        assert_eq!(rest, Page { items: vec![2], marker: None });
        assert_eq!(page_of::<i32>(Vec::new(), None, Some("%%")).map_err(|err| err.code), Err("ValidationError"));
    }
}
