//! Finds DPDK, refuses a release that is not supported, compiles the shim and generates the
//! bindings.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[path = "src/gate.rs"]
#[expect(unreachable_pub, reason = "the library exports the same file")]
mod gate;

/// What is bound. `shim_*` and `SHIM_*` come on top.
const FUNCTIONS: &str = "rte_(\
    eal_init|eal_cleanup|eal_process_type|eal_get_runtime_dir|version|strerror|thread_register|thread_unregister|\
    log_set_global_level|log_get_global_level|log_set_level_pattern|\
    eal_has_hugepages|pktmbuf_pool_create_by_ops|pktmbuf_pool_init|pktmbuf_init|pktmbuf_free_bulk|mbuf_best_mempool_ops|\
    mempool_create_empty|mempool_set_ops_byname|mempool_populate_default|mempool_obj_iter|mempool_free|\
    mempool_avail_count|mempool_in_use_count|\
    mbuf_dynfield_register|mbuf_dyn_rx_timestamp_register|\
    ring_create|ring_free|\
    eal_hotplug_add|eal_hotplug_remove|\
    eth_dev_get_port_by_name|eth_dev_get_name_by_port|eth_dev_is_valid_port|eth_dev_owner_get|\
    eth_dev_info_get|eth_dev_fw_version_get|eth_dev_socket_id|eth_macaddr_get|eth_dev_configure|eth_dev_adjust_nb_rx_tx_desc|\
    eth_rx_queue_setup|eth_tx_queue_setup|eth_dev_set_mtu|eth_dev_get_mtu|eth_promiscuous_enable|eth_promiscuous_disable|eth_promiscuous_get|\
    eth_dev_start|eth_dev_stop|eth_dev_close|eth_stats_get|eth_stats_reset|eth_xstats_get|eth_xstats_get_names|\
    eth_read_clock|eth_call_rx_callbacks|eth_call_tx_callbacks)";
const TYPES: &str = "rte_(eth_conf|eth_fp_ops|pktmbuf_pool_private|eth_dev_info|eth_stats|eth_xstat|eth_xstat_name|mbuf_dynfield|ether_addr)";
const CONSTANTS: &str = "RTE_(MAX_ETHPORTS|MAX_LCORE|PKTMBUF_HEADROOM|MEMPOOL_CACHE_MAX_SIZE|MEMPOOL_NAMESIZE|\
    ETH_NAME_MAX_LEN|ETH_DEV_NO_OWNER|LOG_[A-Z]+|MEMPOOL_F_NO_IOVA_CONTIG|MAX_QUEUES_PER_PORT)|RING_F_S[PC]_[A-Z]+";
/// Bound as a size and an alignment only: `rte_mbuf` because its members move (see `src/mbuf.rs`),
/// the others because nothing here looks into them.
const OPAQUE: &str = "rte_(mbuf|mempool|ring|device|eth_rxseg.*|eth_vmdq.*|eth_dcb.*)";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let is_static = env::var_os("CARGO_FEATURE_STATIC").is_some();
    // Asks for flags and version only; linking is told to Cargo below, once the version has passed.
    let found = pkg_config::Config::new()
        .cargo_metadata(false)
        .probe("libdpdk")
        .map_err(|error| gate::missing(&first_line(&error)))?;
    let release = gate::check(&found.version)?;
    println!("cargo::rustc-env=BAREWIRE_DPDK_VERSION={}", found.version);

    // Another patch release in its place means new headers.
    for directory in pkg_config_says(&["--variable=pcfiledir", "libdpdk"])? {
        println!("cargo::rerun-if-changed={directory}/libdpdk.pc");
    }
    let flags = pkg_config_says(&["--cflags", "libdpdk"])?;
    compile_shim(&flags)?;
    generate_bindings(&flags, release.abi)?;
    if is_static {
        link_static()?
    } else {
        link_shared(&found)
    }
    Ok(())
}

/// Tells Cargo what libdpdk.pc says. The linker drops the libraries that nothing refers to
/// (`--as-needed`).
fn link_shared(found: &pkg_config::Library) {
    for path in &found.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for library in &found.libs {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}

fn first_line(error: &pkg_config::Error) -> String {
    // The error's text has a paragraph of hints; its `Display` of the failed command is what
    // matters here.
    error.to_string().lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason").to_owned()
}

/// Every word that pkg-config answers.
///
/// For compiler flags this matters, since the `pkg-config` crate keeps `-I` and `-D` alone:
/// `-march=…` decides which instructions DPDK's inline functions use, and `-include rte_config.h`
/// how its structures are laid out.
fn pkg_config_says(args: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=PKG_CONFIG");
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(program).args(args).output()?;
    if !output.status.success() {
        return Err(format!("pkg-config {}: {}", args.join(" "), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.split_whitespace().map(str::to_owned).collect())
}

fn compile_shim(flags: &[String]) -> Result<(), Box<dyn Error>> {
    let mut build = cc::Build::new();
    build.file("src/shim.c").std("gnu11").warnings(true).extra_warnings(false);
    // Always optimised: every test and every debug build goes through these few lines of inline
    // functions.
    build.opt_level(2);
    for flag in flags {
        build.flag(flag);
    }
    build.try_compile("barewire_dpdk_shim")?;
    Ok(())
}

fn generate_bindings(flags: &[String], abi: u32) -> Result<(), Box<dyn Error>> {
    let bindings = bindgen::Builder::default()
        .header("src/wrapper.h")
        .clang_args(flags)
        .allowlist_function(FUNCTIONS)
        .allowlist_function("shim_.*")
        .allowlist_type(TYPES)
        .allowlist_type("shim_link")
        .allowlist_var(CONSTANTS)
        .allowlist_var("SHIM_.*")
        .allowlist_var("rte_eth_fp_ops")
        .opaque_type(OPAQUE)
        .layout_tests(true)
        .derive_debug(true)
        .derive_default(true)
        .impl_debug(true)
        .prepend_enum_name(false)
        // DPDK's comments are doxygen, which rustdoc would misread.
        .generate_comments(false)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .raw_line(format!("pub const SHIM_ABI: u32 = {abi};"))
        .generate()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    bindings.write_to_file(out.join("bindings.rs"))?;
    Ok(())
}

/// Links every archive that `pkg-config --static` names, whole: drivers, buses and mempool handlers
/// register themselves in constructors that nothing refers to. What those archives need in turn is
/// linked shared.
fn link_static() -> Result<(), Box<dyn Error>> {
    let mut said = false;
    for flag in pkg_config_says(&["--static", "--libs", "libdpdk"])? {
        let archive = flag.strip_prefix("-l:lib").and_then(|name| name.strip_suffix(".a"));
        if let Some(name) = archive {
            println!("cargo::rustc-link-lib=static:+whole-archive,-bundle={name}");
            said = true;
        } else if let Some(path) = flag.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={path}");
        } else if let Some(name) = flag.strip_prefix("-l").filter(|name| !name.starts_with("rte_"))
        {
            println!("cargo::rustc-link-lib=dylib={name}");
        }
    }
    // rustc looks for archives in the directories it is told alone.
    for path in pkg_config_says(&["--variable=libdir", "libdpdk"])? {
        println!("cargo::rustc-link-search=native={path}");
    }
    if said { Ok(()) } else { Err("libdpdk.pc names no archives for a static link".into()) }
}
