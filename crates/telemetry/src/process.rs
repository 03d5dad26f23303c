//! What Linux knows of this process, under the names that Prometheus' own clients use. Nothing on other systems.

use std::fs;

use crate::{Page, catalogue::process as families};

/// Clock ticks per second in `/proc` (`USER_HZ`): a constant of Linux' interface to programs, whatever the kernel's own is.
const TICKS: f64 = 100.0;

/// What of `/proc` is looked at.
struct Facts {
    stat: String,
    status: String,
    boot: String,
    limits: String,
    descriptors: usize,
}

/// Adds them to the page; leaves out what cannot be read.
pub fn describe(page: &mut Page) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let facts = Facts {
        stat: read("/proc/self/stat"),
        status: read("/proc/self/status"),
        boot: read("/proc/stat"),
        limits: read("/proc/self/limits"),
        descriptors: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
    };
    facts.write(page);
}

impl Facts {
    fn write(&self, page: &mut Page) {
        let numbers = [
            (&families::CPU, self.ticks(&[14, 15])),
            (&families::RESIDENT, self.kilobytes("VmRSS:")),
            (&families::VIRTUAL, self.kilobytes("VmSize:")),
            (&families::START, self.started()),
            (&families::DESCRIPTORS, Some(self.descriptors as f64).filter(|count| *count > 0.0)),
            (&families::MOST_DESCRIPTORS, self.most_descriptors()),
            (&families::THREADS, self.field(20)),
        ];
        for (family, value) in numbers {
            if let Some(value) = value {
                page.one(family, value);
            }
        }
    }

    /// A field of `/proc/self/stat` by its number in proc(5). The second is the program's name, in which anything may be.
    fn field(&self, number: usize) -> Option<f64> {
        let (_, after) = self.stat.rsplit_once(") ")?;
        after.split_ascii_whitespace().nth(number - 3)?.parse().ok()
    }

    fn ticks(&self, fields: &[usize]) -> Option<f64> {
        fields.iter().map(|number| self.field(*number)).sum::<Option<f64>>().map(|ticks| ticks / TICKS)
    }

    fn kilobytes(&self, name: &str) -> Option<f64> {
        let line = self.status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<f64>().ok().map(|number| number * 1024.0)
    }

    fn started(&self) -> Option<f64> {
        let boot: f64 = self.boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(boot + self.ticks(&[22])?)
    }

    fn most_descriptors(&self) -> Option<f64> {
        let line = self.limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Samples;

    #[test]
    fn the_kernels_files_are_read() {
        let numbers: Vec<String> = (4..=22).map(|number| number.to_string()).collect();
        let facts = Facts {
            stat: format!("1 (a ) b) S {} 0", numbers.join(" ")),
            status: "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t  1024 kB\n".to_owned(),
            boot: "cpu 1\nbtime 1000\n".to_owned(),
            limits: "Limit\nMax open files            1024                 32768                files\n".to_owned(),
            descriptors: 7,
        };
        let mut page = Page::default();
        facts.write(&mut page);
        let samples = Samples::parse(&page.text()).unwrap();
        for (name, value) in [
            ("process_cpu_seconds_total", 0.29),
            ("process_resident_memory_bytes", 1_048_576.0),
            ("process_virtual_memory_bytes", 2_097_152.0),
            ("process_start_time_seconds", 1000.22),
            ("process_open_fds", 7.0),
            ("process_max_fds", 1024.0),
            ("process_threads", 20.0),
        ] {
            assert!((samples.sum(name, &[]) - value).abs() < 1e-9, "{name}: {samples:?}");
        }
    }
}
