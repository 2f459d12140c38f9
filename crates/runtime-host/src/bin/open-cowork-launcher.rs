//! The launcher as a program of its own, for hosts whose `main` is not theirs (tests, plug-ins).

fn main() {
    open_cowork_runtime_host::launch::run_if_launcher();
    eprintln!("open-cowork-launcher is started by Open Cowork; it does nothing by itself.");
    std::process::exit(2);
}
