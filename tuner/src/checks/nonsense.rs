//! No file, whatever is in it, makes a check of these areas panic, and none that can not be read is called good.

use super::testing::Fake;
use crate::Verdict;

/// Files that one check looks at, and judges by that file alone.
const ONE: [(&str, &str); 27] = [
    ("CLK-01", "sys/devices/system/clocksource/clocksource0/current_clocksource"),
    ("CLK-04", "proc/cmdline"),
    ("CLK-05", "proc/sys/kernel/timer_migration"),
    ("WD-02", "proc/sys/kernel/watchdog_cpumask"),
    ("WD-03", "proc/cmdline"),
    ("WD-04", "proc/sys/kernel/hung_task_timeout_secs"),
    ("WD-05", "sys/module/rcupdate/parameters/rcu_cpu_stall_suppress"),
    ("VM-01", "proc/sys/vm/stat_interval"),
    ("PWR-03", "sys/devices/system/cpu/cpu2/power/energy_perf_bias"),
    ("PWR-06", "sys/devices/system/cpu/cpufreq/boost"),
    ("PWR-08", "sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count"),
    ("UNC-01", "sys/devices/system/cpu/intel_uncore_frequency/package_00_die_00/min_freq_khz"),
    ("CST-01", "sys/devices/system/cpu/cpu2/cpuidle/state0/latency"),
    ("CST-04", "proc/cmdline"),
    ("CST-05", "proc/cmdline"),
    ("FW-01", "sys/firmware/acpi/platform_profile"),
    ("FW-04", "sys/module/pcie_aspm/parameters/policy"),
    ("FW-05", "sys/module/vfio_pci/parameters/disable_idle_d3"),
    ("MEM-05", "proc/mounts"),
    ("MEM-08", "sys/kernel/mm/transparent_hugepage/enabled"),
    ("MEM-09", "sys/kernel/mm/transparent_hugepage/defrag"),
    ("MEM-12", "proc/sys/vm/zone_reclaim_mode"),
    ("MEM-13", "proc/swaps"),
    ("MEM-14", "proc/sys/vm/swappiness"),
    ("MEM-15", "proc/sys/vm/compaction_proactiveness"),
    ("MEM-18", "proc/sys/vm/max_map_count"),
    ("MEM-19", "sys/module/vfio_iommu_type1/parameters/dma_entry_limit"),
];

#[test]
fn a_file_that_can_not_be_read_makes_its_check_unknown() {
    for (id, file) in ONE {
        Fake::new().file(file, "\0").expect(id, Verdict::Unknown);
    }
}

#[test]
fn absurd_files_make_no_check_panic() {
    let absurd = [
        "",
        "\n\n",
        "-1",
        "18446744073709551616",
        "9223372036854775807",
        "[]",
        "0-8191",
        "4294967295-",
        ":::",
        "0=0;1=;=2",
        "µs µs µs",
    ];
    for text in absurd {
        let all = ONE.iter().fold(Fake::new(), |fake, (_, file)| fake.file(file, text));
        let all = all
            .file("proc/cpuinfo", text)
            .file("proc/meminfo", format!("MemTotal: {text} kB\n"))
            .file("sys/fs/resctrl/schemata", text)
            .file("sys/fs/resctrl/cpus_list", text)
            .file("sys/devices/system/edac/mc/mc0/ce_count", text)
            .file("sys/devices/system/edac/mc/mc0/ue_count", text)
            .file("sys/devices/system/cpu/cpufreq/policy0/affected_cpus", text)
            .file("sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq", text)
            .file("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", text)
            .file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", text)
            .file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", text)
            .file("sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages", text)
            .file("sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", text)
            .file("etc/tuned/active_profile", text);
        for finding in all.look_at_everything() {
            assert!(!finding.seen.is_empty(), "{text:?}: {finding:#?}");
        }
    }
}
