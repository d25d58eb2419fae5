# Shared by the scripts beside it: where things are, and how they talk. Sourced, never run.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[2m==>\033[0m %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# What the release build was made from: sources, manifest and compiler. Equal stamps mean nothing to build.
source_stamp() {
    {
        find Sources Package.swift -type f -printf '%p %s %T@\n' | LC_ALL=C sort
        swift --version 2>/dev/null
    } | sha256sum | cut -d' ' -f1
}
