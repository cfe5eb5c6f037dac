//! Certificates in the order of their registration, all of them and by CA: what the lists page through. Without it each
//! page of a fleet's list would read the whole registry.

use std::ops::ControlFlow;

use domain::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::certificate::{CertificateRecord, PREFIX};
use super::page::{NamePage, Order, Page, PageMaker};
use crate::record::{Stored, delete, put};
use crate::{Error, Services};

const ALL: &str = "iot/cert-order/all/";

/// The last moment that thirteen digits of milliseconds hold: in the year 2286.
const MOMENT_MAX: i64 = 9_999_999_999_999;

/// Certificates put in order in one commit, for a directory from before there was an order.
const CHUNK: usize = 256;

/// Everything that there is to say is in the key.
#[derive(Debug, Serialize, Deserialize)]
struct OrderRecord {}

impl Stored for OrderRecord {
    const VERSION: u32 = 1;
}

fn of_ca(ca: CertificateId) -> String {
    format!("iot/cert-order/ca/{ca}/")
}

/// Newest first, as the lists are unless they are asked otherwise.
fn place(created_at: Timestamp, id: CertificateId) -> String {
    format!("{:013}{id}", MOMENT_MAX.saturating_sub(created_at.millis()).max(0))
}

fn id_at(place: &str) -> Option<CertificateId> {
    place.get(13..)?.parse().ok()
}

fn keys(id: CertificateId, record: &CertificateRecord) -> impl Iterator<Item = String> {
    let place = place(record.created_at, id);
    let prefixes = [Some(ALL.to_owned()), record.ca.map(of_ca)];
    prefixes.into_iter().flatten().map(move |prefix| format!("{prefix}{place}"))
}

pub(super) fn entering(id: CertificateId, record: &CertificateRecord) -> impl Iterator<Item = Write> {
    keys(id, record).map(|key| put(key, &OrderRecord {}, Expect::Anything))
}

pub(super) fn leaving(id: CertificateId, record: &CertificateRecord) -> impl Iterator<Item = Write> {
    keys(id, record).map(|key| delete(key, Expect::Anything))
}

/// Which certificates are listed, and from where on.
pub(super) struct Listing<'a> {
    pub ca: Option<CertificateId>,
    pub size: Option<i32>,
    pub marker: Option<&'a str>,
    pub order: Order,
}

impl Services {
    pub(super) async fn list_in_order(
        &self,
        listing: Listing<'_>,
    ) -> Result<Page<(CertificateId, CertificateRecord)>, Error> {
        let prefix = listing.ca.map_or_else(|| ALL.to_owned(), of_ca);
        let Page { items, next } = match listing.order {
            Order::Descending => {
                let (mut page, after) = NamePage::new(listing.size, listing.marker)?;
                let offer = |place: String, _: OrderRecord| page.offer(place, ());
                self.each_record_after(&prefix, after.as_deref(), offer).await?;
                let Page { items, next } = page.finish();
                Page { items: items.into_iter().map(|(place, ())| place).collect(), next }
            }
            // The greatest place is the oldest certificate.
            Order::Ascending => {
                let mut page = PageMaker::new(listing.size, listing.marker, Order::Descending)?;
                let offer = |place: String, _: OrderRecord| page.offer(place.clone(), place);
                self.each_record(&prefix, offer).await?;
                page.finish()
            }
        };
        let mut certificates = Vec::with_capacity(items.len());
        for id in items.iter().filter_map(|place| id_at(place)) {
            // One that was deleted since its place was read is not listed.
            certificates.extend(self.find_certificate(id)?.map(|found| (id, found.value)));
        }
        Ok(Page { items: certificates, next })
    }

    /// For a directory from before there was an order. It may be done again: every key is put where it belongs.
    pub(crate) async fn put_certificates_in_order(&self) -> Result<(), Error> {
        let mut after: Option<String> = None;
        loop {
            let mut chunk: Vec<(String, CertificateRecord)> = Vec::with_capacity(CHUNK);
            let offer = |id: String, record: CertificateRecord| {
                chunk.push((id, record));
                if chunk.len() == CHUNK { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            self.each_record_after(PREFIX, after.as_deref(), offer).await?;
            let Some((last, _)) = chunk.last() else { return Ok(()) };
            after = Some(last.clone());
            let parsed = chunk.iter().filter_map(|(id, record)| Some((id.parse().ok()?, record)));
            self.commit(parsed.flat_map(|(id, record)| entering(id, record)).collect()).await?;
        }
    }
}
