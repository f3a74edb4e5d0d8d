# Sourced by the scripts beside it: builds what they run, into $programs.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
programs=$root/.build/release

build() {
    local log=$root/.build/build.log product
    "$root/ops/packages"
    echo "building (some minutes the first time)"
    mkdir -p "$root/.build"
    for product in holdfast holdfast-chaos; do
        if ! (cd "$root" && swift build -c release --product "$product") >"$log" 2>&1; then
            grep -E 'error:' "$log" >&2 || tail -n 20 "$log" >&2
            echo "error: the build failed; all of its output is in $log" >&2
            exit 1
        fi
    done
}
