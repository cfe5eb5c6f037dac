//! What health and metrics say beside the services' numbers: listeners, connections, the certificate's end, the disk, the
//! process.

use std::sync::Arc;
use std::time::SystemTime;

use api::Surroundings;
use gateway::Gateway;
use serde_json::{Map, Value, json};
use services::metrics::Exposition;

use crate::data_dir::DataDir;
use crate::process_metrics;
use crate::run_file::RunFile;
use crate::server_certificate::ServerCertificates;

pub fn of(run: &RunFile, gateway: Gateway, certificates: Arc<ServerCertificates>, data_dir: DataDir) -> Surroundings {
    let mut listeners = json!({ "api": run.api_url, "mqtt": run.mqtt_addr.to_string(), "endpoint": run.endpoint });
    for (name, addr) in [("alpn", run.alpn_addr), ("plainMqtt", run.plain_mqtt_addr)] {
        if let Some(addr) = addr {
            listeners[name] = json!(addr.to_string());
        }
    }
    let health = {
        let (certificates, data_dir) = (certificates.clone(), data_dir.clone());
        move || {
            let mut facts = Map::new();
            facts.insert("listeners".to_owned(), listeners.clone());
            facts.insert("devices".to_owned(), json!({ "connections": gateway.open_connections() }));
            facts.insert("certificate".to_owned(), json!({ "expires": certificates.expires().to_rfc3339() }));
            facts.insert("disk".to_owned(), disk(&data_dir));
            facts
        }
    };
    let started = SystemTime::now();
    let metrics = move |page: &mut Exposition| {
        process_metrics::show(page, started);
        page.gauge(
            "landfall_server_certificate_expiry_seconds",
            "When the server's certificate expires, in seconds since 1970.",
        )
        .sample(&[], certificates.expires().seconds());
        if let Some((free, total)) = disk_bytes(&data_dir) {
            page.gauge("landfall_disk_free_bytes", "Free on the data directory's file system.").sample(&[], free);
            page.gauge("landfall_disk_size_bytes", "Size of the data directory's file system.").sample(&[], total);
        }
    };
    Surroundings { health: Arc::new(health), metrics: Arc::new(metrics) }
}

/// `null` where the file system does not say.
fn disk(data_dir: &DataDir) -> Value {
    disk_bytes(data_dir).map_or(Value::Null, |(free, total)| json!({ "freeBytes": free, "totalBytes": total }))
}

/// Free and in all, of the file system that the data directory is on.
fn disk_bytes(data_dir: &DataDir) -> Option<(u64, u64)> {
    let facts = rustix::fs::statvfs(data_dir.path()).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    Some((bytes(facts.f_bavail), bytes(facts.f_blocks)))
}
