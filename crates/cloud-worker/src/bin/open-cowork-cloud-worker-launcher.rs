//! The process between a worker and its OpenCode, for programs that can't be it themselves.

fn main() {
    open_cowork_runtime_host::launch::run_if_launcher();
}
