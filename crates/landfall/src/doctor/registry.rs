//! What the registry holds, whoever read it: the running server or this process.

use domain::Timestamp;
use services::inspection::{InspectedCa, InspectedFunction, Inspection};

use super::{Finding, certificates};

pub fn findings(inspection: &Inspection, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(failure) = &inspection.store_failure {
        findings.push(Finding::wrong("store", failure.clone()));
    }
    let active: Vec<&InspectedCa> = inspection.cas.iter().filter(|ca| ca.is_active).collect();
    if active.is_empty() {
        let text = "none is registered and active, so no new device can come in; make and register one: landfall ca new --register";
        findings.push(Finding::note("CA", text));
    }
    for ca in active {
        let name = format!("{} ({}...)", ca.subject, ca.id.to_string().get(..12).unwrap_or_default());
        findings.push(certificates::of_ca(&name, ca.not_after, now));
    }
    for InspectedFunction { name, problem } in &inspection.functions {
        findings.push(match problem {
            None => Finding::good("function", name.clone()),
            Some(problem) => Finding::wrong("function", format!("{name}: {problem}")),
        });
    }
    if inspection.dead_letters > 0 {
        let text = format!(
            "{} calls of functions were given up; look at them, and replay them once the function is mended: landfall dead-letters",
            inspection.dead_letters
        );
        findings.push(Finding::note("dead letters", text));
    }
    findings
}
