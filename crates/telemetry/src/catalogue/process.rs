//! Of every process, from the kernel; names as in Prometheus' own clients.

use super::families;

families! {
    CPU = Counter "process_cpu_seconds_total" [] "Processor time used, of user and system together.";
    RESIDENT = Gauge "process_resident_memory_bytes" [] "Memory in use that is not swapped out.";
    VIRTUAL = Gauge "process_virtual_memory_bytes" [] "Size of the address space.";
    START = Gauge "process_start_time_seconds" [] "When the process began, in seconds since 1970.";
    DESCRIPTORS = Gauge "process_open_fds" [] "Open file descriptors.";
    MOST_DESCRIPTORS = Gauge "process_max_fds" [] "Limit of open file descriptors.";
    THREADS = Gauge "process_threads" [] "Threads.";
}
