//! What the health page says beside the services' numbers: listeners, connections, the certificate's end, the disk.

use std::sync::Arc;

use api::Surroundings;
use gateway::Gateway;
use serde_json::{Map, Value, json};

use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::server_certificate::ServerCertificates;

pub fn of(run: &RunFile, gateway: Gateway, certificates: Arc<ServerCertificates>, data_dir: DataDir) -> Surroundings {
    let mut listeners = json!({ "api": run.api_url, "mqtt": run.mqtt_addr.to_string(), "endpoint": run.endpoint });
    for (name, addr) in [("alpn", run.alpn_addr), ("plainMqtt", run.plain_mqtt_addr)] {
        if let Some(addr) = addr {
            listeners[name] = json!(addr.to_string());
        }
    }
    Surroundings(Arc::new(move || {
        let mut facts = Map::new();
        facts.insert("listeners".to_owned(), listeners.clone());
        facts.insert("devices".to_owned(), json!({ "connections": gateway.open_connections() }));
        facts.insert("certificate".to_owned(), json!({ "expires": certificates.expires().to_rfc3339() }));
        facts.insert("disk".to_owned(), disk(&data_dir));
        facts
    }))
}

/// Of the file system that the data directory is on; `null` where it does not say.
fn disk(data_dir: &DataDir) -> Value {
    let Ok(facts) = rustix::fs::statvfs(data_dir.path()) else { return Value::Null };
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    json!({ "freeBytes": bytes(facts.f_bavail), "totalBytes": bytes(facts.f_blocks) })
}
