//! What /proc says of a process: CPU time, memory, descriptors.

use std::collections::BTreeMap;

use crate::Failure;

/// The kernel counts CPU time in hundredths of a second for programs that ask (USER_HZ), on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU-seconds so far.
pub struct Process {
    pub parent: u32,
    pub cpu: f64,
    pub cpu_of_ended_children: f64,
}

/// Of one process, its threads together.
pub fn cpu_seconds(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(parse_stat(&stat).ok_or("/proc/<pid>/stat cannot be read")?.cpu)
}

/// What `ps` and `top` show.
pub fn resident_kib(pid: u32) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

pub fn processes() -> Result<BTreeMap<u32, Process>, Failure> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since it was listed.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        all.extend(parse_stat(&stat).map(|process| (pid, process)));
    }
    Ok(all)
}

/// proc(5): pid (name) state ppid ...; the name may hold anything.
fn parse_stat(stat: &str) -> Option<Process> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field - 3)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        cpu: seconds(14)? + seconds(15)?,
        cpu_of_ended_children: seconds(16)? + seconds(17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn the_fields_are_counted_after_the_name() {
        let stat = "7 (a ) b) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 25 25 20 0 4 0 99";
        let process = parse_stat(stat).expect("a process");
        assert_eq!((process.parent, process.cpu, process.cpu_of_ended_children), (3, 2.0, 0.5));
    }
}
